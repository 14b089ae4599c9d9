"""Three-way merge: what two people made of one document, in one document, and what only a person can decide.

Both sides are compared with the document they began with, part by part: each field of a step, each outlet, each field of the journey's own
form, each note. A part that one side changed is as that side has it; a part that both changed in different ways stays as it is in `theirs` and
is told as a conflict, with what `mine` has. Steps that both put into one edge follow one another (`journeys.insertions`). Where things stand on
the canvas is no question: there `mine` counts.

Pure, and knows no kinds of steps. Whether what comes out makes sense is judged by `check`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from journeys import insertions, unfinished
from journeys.insertions import Outlet

START = "$entry"
"""What stands in for the journey itself where an edge begins: its outlet `next` leads to the first step."""
PLACE = "conflicts"
"""The part of `ui` in which conflicts wait for a decision (`journeys.conflicts`)."""

Path = tuple[str, ...]
"""(`nodes`, id) for a whole step, (`nodes`, id, field), (`edges`, id, outlet), (`parts`, name), (`parts`, `entry` or `settings`, field),
(`notes`, id, `text`)."""

MOST_IN_A_SET = 20
_ABSENT: Any = object()
_IN_FIELDS = ("entry", "settings")
_SETS: frozenset[Path] = frozenset({("parts", "entry", "triggers"), ("parts", "exit_when")})
"""Lists in which order says nothing: what either side added is in, what either side took out is out."""
_OWN_PLACES = (unfinished.PLACE, "positions", "notes", PLACE)

Flat = dict[Path, Any]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One part that both sides changed. The merged document has it as in `theirs`; `mine` is JSON, None where it is taken out, and of a whole
    step {"raw": the step or None, "edges": [[from, outlet, to or None], …]}."""

    path: Path
    mine: Any


@dataclass(frozen=True, slots=True)
class Merged:
    """`document` holds every change that is in no conflict."""

    document: dict[str, Any]
    conflicts: tuple[Conflict, ...]


def merge(base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any], *, older: bool = False) -> Merged:
    """`mine` and `theirs` both began as `base`. All three are valid documents of one key.

    `older`: nobody has the draft any more that `mine` began with, and `theirs` alone began as `base`. Whatever `mine` has otherwise may be a
    change or what others have changed since: nothing of `theirs` gives way to it unasked.
    """
    both = _Both(_Side(base), _Side(mine), _Side(theirs), older)
    whole = {id: None for id in (*both.theirs.nodes, *both.mine.nodes) if both.differ_wholly(id)}
    both.keep_what_follows(whole)
    chains = both.chains(whole)
    found: Flat = {}
    conflicts = [Conflict(("nodes", id), both.step(id)) for id in whole]
    for path in dict.fromkeys((*both.theirs.flat, *both.mine.flat)):
        value, clash = both.whole_part(path, whole) or both.chained_part(path, chains) or both.part(path)
        if value is not _ABSENT:
            found[path] = value
        if clash:
            conflicts.append(Conflict(path, both.mine.flat.get(path)))
    found |= {("edges", *place): to for chain in chains.values() for place, to in chain.items()}
    return Merged(_document(found, both.mine, both.theirs), tuple(conflicts))


def same(one: Any, other: Any) -> bool:
    """Equal as JSON, in which `true` is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


class _Side:
    """A document by paths, with its steps and edges at hand. `parts` are as they were typed, right or wrong."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.ui: Mapping[str, Any] = document.get("ui") or {}
        self.parts = {**{name: document[name] for name in unfinished.PARTS if name in document}, **unfinished.parts_of(self.ui)}
        self.nodes: Mapping[str, Mapping[str, Any]] = document.get("nodes") or {}
        self.edges = _edges(document)
        self.out: dict[str, dict[str, str]] = {}
        self.into: dict[str, list[Outlet]] = {}
        for (source, outlet), to in self.edges.items():
            self.out.setdefault(source, {})[outlet] = to
            self.into.setdefault(to, []).append((source, outlet))
        self.notes = notes_of(self.ui)
        self.flat: Flat = dict(self._paths())

    def _paths(self) -> Iterator[tuple[Path, Any]]:
        for name, typed in self.parts.items():
            in_fields = name in _IN_FIELDS and isinstance(typed, Mapping)
            yield from ((("parts", name, field), value) for field, value in typed.items()) if in_fields else [(("parts", name), typed)]
        for id, raw in self.nodes.items():
            yield ("nodes", id), True
            yield from ((("nodes", id, field), value) for field, value in raw.items())
        yield from ((("edges", *place), to) for place, to in self.edges.items())
        for id, note in self.notes.items():
            yield ("notes", id), True
            yield from ((("notes", id, field), value) for field, value in note.items())
        yield from ((("places", id), place) for id, place in _mapping(self.ui.get("positions")).items())
        yield from ((("conflicts", json.dumps(one, sort_keys=True)), one) for one in _list(self.ui.get(PLACE)))
        own = _OWN_PLACES if self.notes or not self.ui.get("notes") else [name for name in _OWN_PLACES if name != "notes"]
        yield from ((("ui", name), value) for name, value in self.ui.items() if name not in own)


@dataclass(frozen=True, slots=True)
class _Both:
    base: _Side
    mine: _Side
    theirs: _Side
    older: bool = False
    """Whether `mine` began with a later draft than `base`."""

    def part(self, path: Path) -> tuple[Any, bool]:
        """(the value, whether both sides changed it in different ways)."""
        was, here, there = (side.flat.get(path, _ABSENT) for side in (self.base, self.mine, self.theirs))
        if path[0] == "notes" and (keeper := self._keeper(path[1])) is not None:
            return keeper.flat.get(path, _ABSENT), False
        if same(here, there) or same(here, was):
            return there, False
        if self.older:
            return self._unsure(path, was, here, there)
        if same(there, was) or not _is_content(path):
            return here, False
        together = _together(was, here, there) if path in _SETS else None
        return (there, True) if together is None else (together, False)

    def _unsure(self, path: Path, was: Any, here: Any, there: Any) -> tuple[Any, bool]:
        """`part`, where `mine` has something else than `base` and `theirs`, and it is not known who of them changed it."""
        if was is _ABSENT and there is _ABSENT:
            return here, False
        if not _is_content(path):
            return there, False
        grown = path in _SETS and isinstance(here, list) and isinstance(there, list) and all(one in here for one in there)
        together = _together(was, here, there) if grown else None
        return (there, True) if together is None else (together, False)

    def _keeper(self, id: str) -> _Side | None:
        """Who still has a note that the other took off, if they wrote on it meanwhile: a text outlives that."""
        here, there = id in self.mine.notes, id in self.theirs.notes
        if here == there or id not in self.base.notes:
            return None
        keeper = self.mine if here else self.theirs
        return None if keeper.notes[id].get("text") == self.base.notes[id].get("text") else keeper

    # Steps that follow one another

    def chains(self, whole: Mapping[str, None]) -> dict[Outlet, dict[Outlet, str]]:
        """As `insertions.chained`, but for steps that are decided as a whole."""
        mine, theirs = (insertions.Drawn(side.edges, side.nodes.keys() - self.base.nodes.keys()) for side in (self.mine, self.theirs))
        found = insertions.chained(self.base.edges, mine, theirs)
        return {
            place: chain for place, chain in found.items() if not whole.keys() & {place[0], *self._ends(("edges", *place)), *chain.values()}
        }

    def chained_part(self, path: Path, chains: Mapping[Outlet, Any]) -> tuple[Any, bool] | None:
        """`part` of an edge into which both put something, None for anything else."""
        chained = path[0] == "edges" and path[1:] in chains
        return (self.theirs.flat.get(path, _ABSENT), False) if chained else None

    # Steps that are decided as a whole

    def differ_wholly(self, id: str) -> bool:
        """Whether one side took a step out and the other still works with it, both added one under this id, or its kind changed."""
        was, here, there = (side.nodes.get(id) for side in (self.base, self.mine, self.theirs))
        if was is None:
            return here is not None and there is not None and dict(here) != dict(there)
        if here is None or there is None:
            unsure = self.older and here is None and there is not None
            return unsure or self._is_touched(id, self.theirs if here is None else self.mine)
        kinds = {side.get("kind") for side in (was, here, there)}
        return len(kinds) > 1 and dict(was) not in (dict(here), dict(there)) and dict(here) != dict(there)

    def _is_touched(self, id: str, side: _Side) -> bool:
        """Whether a side changed a step, what follows it, or drew a new edge to it."""
        return (
            side.nodes.get(id) != self.base.nodes.get(id)
            or side.out.get(id) != self.base.out.get(id)
            or any(self.base.edges.get(place) != id for place in side.into.get(id, ()))
        )

    def keep_what_follows(self, whole: dict[str, None]) -> None:
        """What a step leads to that stays as in `theirs` stays, too, if only `mine` took it out."""
        waiting = list(whole)
        while waiting:
            for to in self.theirs.out.get(waiting.pop(), {}).values():
                if to in self.base.nodes and to not in self.mine.nodes and to not in whole:
                    whole[to] = None
                    waiting.append(to)

    def whole_part(self, path: Path, whole: Mapping[str, None]) -> tuple[Any, bool] | None:
        """`part`, for what belongs to a step that is decided as a whole, None for anything else."""
        ids = path[1:2] if path[0] == "nodes" else self._ends(path) if path[0] == "edges" else ()
        return (self.theirs.flat.get(path, _ABSENT), False) if any(id in whole for id in ids) else None

    def _ends(self, path: Path) -> tuple[Any, ...]:
        return path[1], *(side.flat.get(path) for side in (self.base, self.mine, self.theirs))

    def step(self, id: str) -> dict[str, Any]:
        """What `mine` has of a step, and of the edges that hang on it where they are others."""
        places = [place for side in (self.mine, self.theirs, self.base) for place in [*_from(side, id), *side.into.get(id, ())]]
        edges = [[*place, self.mine.edges.get(place)] for place in dict.fromkeys(places)]
        raw = self.mine.nodes.get(id)
        return {
            "raw": None if raw is None else dict(raw),
            "edges": [edge for edge in edges if edge[2] != self.theirs.edges.get((edge[0], edge[1]))],
        }


def _from(side: _Side, id: str) -> list[Outlet]:
    return [(id, outlet) for outlet in side.out.get(id, {})]


def _is_content(path: Path) -> bool:
    """Whether a part is more than how the drawing looks."""
    return path[0] in ("nodes", "edges", "parts") or (path[0] == "notes" and path[2:] == ("text",))


def _together(was: Any, here: Any, there: Any) -> list[Any] | None:
    """One list of what both sides added and neither took out; None where both changed the same entry, or it would be too long."""
    was, here, there = ([] if side is _ABSENT else side for side in (was, here, there))
    if not all(isinstance(side, list) for side in (was, here, there)):
        return None
    if any(one not in here and one not in there for one in was):
        return None
    added = [one for one in here if one not in was and one not in there]
    found = [*(one for one in there if one in here or one not in was), *added]
    return found if len(found) <= MOST_IN_A_SET else None


# Documents


def _edges(document: Mapping[str, Any]) -> dict[Outlet, str]:
    start = {(START, "next"): document["start"]} if document.get("start") else {}
    return {**start, **{(edge["from"], edge.get("outlet", "next")): edge["to"] for edge in document.get("edges") or ()}}


def notes_of(ui: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By id; none where they come from elsewhere and have no ids of their own."""
    notes = _list(ui.get("notes"))
    ids = [note.get("id") if isinstance(note, Mapping) else None for note in notes]
    good = all(isinstance(id, str) for id in ids) and len(set(ids)) == len(ids)
    return {str(note["id"]): note for note in notes} if good else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _document(found: Flat, mine: _Side, theirs: _Side) -> dict[str, Any]:
    """What the paths say. Edges of steps that are gone go with them."""
    nodes: dict[str, Any] = {path[1]: {} for path in found if path[0] == "nodes"}
    for path, value in found.items():
        if path[0] == "nodes" and len(path) == 3:
            nodes[path[1]][path[2]] = value
    drawn = {path[1:]: to for path, to in found.items() if path[0] == "edges" and (path[1] in nodes or path[1] == START) and to in nodes}
    start = drawn.pop((START, "next"), None)
    good, held = _parts(found, mine, theirs)
    edges = [{"from": source, "outlet": outlet, "to": to} for (source, outlet), to in drawn.items()]
    ui = _ui(found, nodes, held)
    whole = {"spec": theirs.document.get("spec", 1), "key": theirs.document["key"], **good, "start": start, "nodes": nodes, "edges": edges}
    return {name: value for name, value in {**whole, "ui": ui}.items() if value is not None}


def _parts(found: Flat, mine: _Side, theirs: _Side) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parts that are right, parts that are kept beside the document until they are)."""
    typed: dict[str, Any] = {}
    for path, value in found.items():
        if path[0] == "parts":
            typed = {**typed, path[1]: value if len(path) == 2 else {**_mapping(typed.get(path[1])), path[2]: value}}
    good, held = {}, {}
    for name in unfinished.PARTS:
        side = next((side for side in (theirs, mine) if same(typed.get(name), side.parts.get(name))), theirs)
        is_one_side = same(typed.get(name), side.parts.get(name))
        wrong = name in typed and (name in unfinished.parts_of(side.ui) if is_one_side else bool(unfinished.wrong(name, typed[name])))
        if wrong:
            held[name] = typed[name]
        kept = side.document.get(name) if wrong else typed.get(name)
        if kept is not None:
            good[name] = kept
    return good, held


def _ui(found: Flat, nodes: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    notes: dict[str, Any] = {path[1]: {} for path in found if path[0] == "notes"}
    for path, value in found.items():
        if path[0] == "notes" and len(path) == 3:
            notes[path[1]][path[2]] = value
    places = {path[1]: place for path, place in found.items() if path[0] == "places" and (path[1] in nodes or path[1] == START)}
    parts = {
        "positions": places,
        "notes": list(notes.values()),
        unfinished.PLACE: dict(held),
        PLACE: [value for path, value in found.items() if path[0] == "conflicts"],
    }
    own = {path[1]: value for path, value in found.items() if path[0] == "ui"}
    return {**own, **{name: value for name, value in parts.items() if value}}
