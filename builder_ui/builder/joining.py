"""What somebody else saved, as news for an open builder: the parts that are others now, and nothing beside them.

The canvas puts them into what it shows and into every state its undo leads to, so that undo takes back only what its own person did. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from builder_ui.builder.draft import Draft, at, replaced
from builder_ui.builder.protocol import ENTRY, Changes, Note
from journeys.merge import Conflict

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
        "notes": {id: note.model_dump() for id, note in new.notes.items() if old.notes.get(id) != note},
        "torn": [id for id in old.notes if id not in new.notes],
        "laid": bool(new.ui.get("laid_out")),
    }


def is_empty(news: News) -> bool:
    return not any(news[name] for name in ("nodes", "gone", "edges", "cut", "notes", "torn"))


def _step(old: Draft, new: Draft, id: str) -> dict[str, Any]:
    before, after = raw_of(old, id), raw_of(new, id)
    place = dict(zip("xy", new.places[id], strict=True)) if id in new.places and old.places.get(id) != new.places[id] else {}
    if before is None:
        return {"raw": after, **place}
    changes = list(_changes(before, after or {}, id == ENTRY))
    return {**({"set": changes} if changes else {}), **place}


def raw_of(draft: Draft, id: str) -> dict[str, Any] | None:
    return draft.parts if id == ENTRY else draft.nodes.get(id)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], deep: bool) -> Iterator[list[Any]]:
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
    draft.edges = {(source, outlet): to for (source, outlet), to in draft.edges.items() if source in there and to in draft.nodes}
    draft.notes = {id: note for id, note in draft.notes.items() if id not in news["torn"]}
    draft.notes |= {id: Note.model_validate(note) for id, note in news["notes"].items()}


def _set_raw(draft: Draft, id: str, raw: dict[str, Any]) -> None:
    if id == ENTRY:
        draft.set_parts(raw)
    else:
        draft.nodes[id] = raw


def overrun(changes: Changes, before: Draft, news: News) -> list[Conflict]:
    """What changes of a page that did not know the news wanted otherwise than these."""
    led: dict[Any, str | None] = {(source, outlet): to for source, outlet, to in news["edges"]}
    led |= dict.fromkeys(tuple(place) for place in news["cut"])
    drawn: dict[tuple[str, str], str | None] = {(source, outlet): to for source, outlet, to in changes.edges}
    drawn |= {place: None for place in changes.cut if place not in drawn}
    ways = [Conflict(("edges", *place), to) for place, to in drawn.items() if place in led and led[place] != to]
    return [
        *ways,
        *(one for id, step in changes.nodes.items() if step.raw is not None for one in _overrun_fields(id, step.raw, before, news)),
    ]


def _overrun_fields(id: str, raw: Mapping[str, Any], before: Draft, news: News) -> Iterator[Conflict]:
    for path, value in news["nodes"].get(id, {}).get("set", ()):
        mine = at(raw, tuple(path))
        if mine not in (value, at(raw_of(before, id), tuple(path))):
            yield Conflict(place_of(id, path), mine)


def place_of(id: str, path: Sequence[str]) -> Path:
    """As `journeys.merge` names a field."""
    return ("parts", *path) if id == ENTRY else ("nodes", id, *path)
