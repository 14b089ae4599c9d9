"""What somebody else saved, as news for an open builder: the parts that are others now, and nothing beside them.

The canvas puts them into what it shows and into every state its undo leads to, so that undo takes back only what its own person did. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from journeys.insertions import Drawn, chained
from journeys.merge import Conflict

from builder_ui.builder.draft import Draft, Edges, at, replaced
from builder_ui.builder.protocol import ENTRY, Changes, Note

Path = tuple[str, ...]
News = dict[str, Any]
"""`nodes`: id -> {"set": [[path, value], …], "x", "y"} of a step that was there, {"raw", "x", "y"} of a new one; a value of None takes the field out.
`gone`, `edges`, `cut`, `notes`, `torn` as in `protocol.Changes`; `laid`."""

_IN_FIELDS = ("entry", "settings")


def between(old: Draft, new: Draft) -> News:
    """What leads from one draft to the other."""
    nodes = {id: _step(old, new, id) for id in (ENTRY, *new.nodes)}
    edges = [[*place, to] for place, to in new.edges.items() if old.edges.get(place) != to]
    return {
        "nodes": {id: one for id, one in nodes.items() if one},
        "gone": [id for id in old.nodes if id not in new.nodes],
        "edges": edges,
        "cut": [list(place) for place in old.edges if place not in new.edges],
        "notes": {
            id: note.model_dump() for id, note in new.notes.items() if old.notes.get(id) != note
        },
        "torn": [id for id in old.notes if id not in new.notes],
        "laid": bool(new.ui.get("laid_out")),
    }


def is_empty(news: News) -> bool:
    return not any(news[name] for name in ("nodes", "gone", "edges", "cut", "notes", "torn"))


def _step(old: Draft, new: Draft, id: str) -> dict[str, Any]:
    before, after = raw_of(old, id), raw_of(new, id)
    place = (
        dict(zip("xy", new.places[id], strict=True))
        if id in new.places and old.places.get(id) != new.places[id]
        else {}
    )
    if before is None:
        return {"raw": after, **place}
    changes = list(_changes(before, after or {}, id == ENTRY))
    return {**({"set": changes} if changes else {}), **place}


def raw_of(draft: Draft, id: str) -> dict[str, Any] | None:
    return draft.parts if id == ENTRY else draft.nodes.get(id)


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], deep: bool
) -> Iterator[list[Any]]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if deep and name in _IN_FIELDS and isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from ([[name, *path], value] for path, value in _changes(old, new, False))
        else:
            yield [[name], new]


def paths(news: News, id: str) -> list[Path]:
    """The fields of a step that are others now."""
    return [tuple(path) for path, _ in news["nodes"].get(id, {}).get("set", ())]


def put_into(draft: Draft, news: News) -> None:
    """Once more, into a draft that has heard of changes made without knowing the news."""
    for id, one in news["nodes"].items():
        raw = raw_of(draft, id)
        if raw is None and "raw" in one:
            draft.nodes[id] = one["raw"]
        elif raw is not None and one.get("set"):
            for path, value in one["set"]:
                raw = replaced(raw, tuple(path), value)
            _set_raw(draft, id, raw)
    for id in news["gone"]:
        draft.nodes.pop(id, None)
    for place in news["cut"]:
        draft.edges.pop((place[0], place[1]), None)
    draft.edges |= {(source, outlet): to for source, outlet, to in news["edges"]}
    there = {ENTRY, *draft.nodes}
    draft.edges = {
        (source, outlet): to
        for (source, outlet), to in draft.edges.items()
        if source in there and to in draft.nodes
    }
    draft.notes = {id: note for id, note in draft.notes.items() if id not in news["torn"]}
    draft.notes |= {id: Note.model_validate(note) for id, note in news["notes"].items()}


def _set_raw(draft: Draft, id: str, raw: dict[str, Any]) -> None:
    if id == ENTRY:
        draft.set_parts(raw)
    else:
        draft.nodes[id] = raw


def overrun(changes: Changes, before: Draft, news: News) -> list[Conflict]:
    """What changes of a page that did not know the news wanted otherwise than these."""
    mine, theirs = (
        _ways(before, changes.gone, changes.cut, changes.edges),
        _ways(before, news["gone"], news["cut"], news["edges"]),
    )
    whole = dict.fromkeys((*_lost(changes, news), *_missed(changes, before, news)))
    chains = _chains(changes, before, news)
    return [
        *(Conflict(("nodes", id), _step_of(id, changes, before, mine, theirs)) for id in whole),
        *(
            one
            for one in _overrun_ways(changes, news)
            if (one.path[1], one.path[2]) not in chains
            and not whole.keys() & {one.path[1], one.mine, theirs.get((one.path[1], one.path[2]))}
        ),
        *(
            one
            for id, step in changes.nodes.items()
            if step.raw is not None
            for one in _overrun_fields(id, step.raw, before, news)
        ),
        *_overrun_notes(changes, before, news),
    ]


def _chains(
    changes: Changes, before: Draft, news: News
) -> dict[tuple[str, str], dict[tuple[str, str], str]]:
    """Outlets in whose edges the changes put steps as the news did, and the edges by which theirs follow those of the news."""
    made = [
        id
        for id, step in changes.nodes.items()
        if step.raw is not None and id not in before.nodes and id != ENTRY
    ]
    come = [id for id, one in news["nodes"].items() if "raw" in one and id not in before.nodes]
    mine = Drawn(_ways(before, changes.gone, changes.cut, changes.edges), frozenset(made))
    return chained(
        before.edges,
        mine,
        Drawn(_ways(before, news["gone"], news["cut"], news["edges"]), frozenset(come)),
    )


def _lost(changes: Changes, news: News) -> list[str]:
    """Steps that the news take out while the changes work with them."""
    touched = {id for id, step in changes.nodes.items() if step.raw is not None} | {
        end for one in changes.edges for end in (one[0], one[2])
    }
    return [id for id in news["gone"] if id in touched and id not in changes.gone]


def _missed(changes: Changes, before: Draft, news: News) -> list[str]:
    """Steps that the changes take out while the news work with them."""
    touched = {id for id, one in news["nodes"].items() if one.get("set")} | {
        end for one in news["edges"] for end in (one[0], one[2])
    }
    return [id for id in changes.gone if id in touched and id in before.nodes]


def _ways(
    before: Draft, gone: Sequence[str], cut: Iterable[Sequence[str]], drawn: Iterable[Sequence[str]]
) -> Edges:
    taken = {(place[0], place[1]) for place in cut}
    edges = {place: to for place, to in before.edges.items() if place not in taken}
    edges |= {(source, outlet): to for source, outlet, to in drawn}
    return {place: to for place, to in edges.items() if place[0] not in gone and to not in gone}


def _step_of(
    id: str, changes: Changes, before: Draft, mine: Edges, theirs: Edges
) -> dict[str, Any]:
    """A step and the edges that hang on it, as the changes have them (`merge.Conflict.mine`)."""
    step = changes.nodes.get(id)
    raw = (
        None
        if id in changes.gone
        else step.raw
        if step and step.raw is not None
        else before.nodes.get(id)
    )
    places = dict.fromkeys(
        place
        for edges in (mine, theirs, before.edges)
        for place, to in edges.items()
        if id in (place[0], to)
    )
    return {
        "raw": raw,
        "edges": [
            [*place, mine.get(place)] for place in places if mine.get(place) != theirs.get(place)
        ],
    }


def _overrun_ways(changes: Changes, news: News) -> Iterator[Conflict]:
    led: dict[Any, str | None] = {(source, outlet): to for source, outlet, to in news["edges"]}
    led |= dict.fromkeys(tuple(place) for place in news["cut"])
    drawn: dict[tuple[str, str], str | None] = {
        (source, outlet): to for source, outlet, to in changes.edges
    }
    drawn |= {place: None for place in changes.cut if place not in drawn}
    return (
        Conflict(("edges", *place), to)
        for place, to in drawn.items()
        if place in led and led[place] != to
    )


def _overrun_notes(changes: Changes, before: Draft, news: News) -> Iterator[Conflict]:
    for id, note in changes.notes.items():
        was, there = before.notes.get(id), news["notes"].get(id)
        if (
            was
            and there
            and there["text"] != was.text
            and note.text not in (was.text, there["text"])
        ):
            yield Conflict(("notes", id, "text"), note.text)


def kept(draft: Draft, changes: Changes, before: Draft, news: News) -> Draft | None:
    """`draft`, in which the news are, with what neither side may lose: steps that the changes took out while the news work with them, texts of
    notes that only the changes wrote, and the way to steps that both put into one edge. None: nothing of that kind."""
    missed = [id for id in _missed(changes, before, news) if id not in draft.nodes]
    written = {
        id: note.text
        for id, note in changes.notes.items()
        if id in before.notes and note.text != before.notes[id].text
    }
    chains = [
        chain
        for chain in _chains(changes, before, news).values()
        if {end for one in chain for end in (one[0], chain[one])} <= draft.nodes.keys()
    ]
    if not missed and not written and not chains:
        return None
    made = Draft(draft.document())
    for chain in chains:
        made.edges |= chain
    for id in missed:
        raw = before.nodes[id]
        for path, value in news["nodes"].get(id, {}).get("set", ()):
            raw = replaced(raw, tuple(path), value)
        made.nodes[id] = raw
        made.places |= {id: before.places[id]} if id in before.places else {}
    for place, to in _ways(before, news["gone"], news["cut"], news["edges"]).items():
        if (
            {place[0], to} & set(missed)
            and (place[0] in made.nodes or place[0] == ENTRY)
            and to in made.nodes
        ):
            made.edges[place] = to
    for id, text in written.items():
        there = news["notes"].get(id)
        if id in news["torn"]:
            made.notes = {**made.notes, id: changes.notes[id]}
        elif there and there["text"] == before.notes[id].text:
            made.notes = {**made.notes, id: Note.model_validate({**there, "text": text})}
    return made


def _overrun_fields(
    id: str, raw: Mapping[str, Any], before: Draft, news: News
) -> Iterator[Conflict]:
    for path, value in news["nodes"].get(id, {}).get("set", ()):
        mine = at(raw, tuple(path))
        if mine not in (value, at(raw_of(before, id), tuple(path))):
            yield Conflict(place_of(id, path), mine)


def place_of(id: str, path: Sequence[str]) -> Path:
    """As `journeys.merge` names a field."""
    return ("parts", *path) if id == ENTRY else ("nodes", id, *path)
