"""Conflicts of a merge that wait for a person: kept in the document beside what counts until somebody decides.

They stand in `ui["conflicts"]`, a list of {"path", "mine", "by", "at", "over", "over_at"}: what `by` (an actor) had at `path` when `over` had saved
something else, which is what the document has. They survive a closed page and are seen by everybody; a draft that has some cannot be published. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journeys import unfinished
from journeys.document import Journey
from journeys.errors import Issue, TooLarge
from journeys.merge import PLACE, START, Conflict, Path, notes_of

MOST = 200
Saved = tuple[str, str]
"""Who saved something, and when (an ISO time)."""
NOBODY: Saved = ("", "")


@dataclass(frozen=True, slots=True)
class Open:
    """A conflict nobody has decided yet. `at` and `over_at` are ISO times."""

    path: Path
    mine: Any
    by: str
    at: str
    over: str
    over_at: str

    @property
    def place(self) -> str:
        """The step it is about, `$entry` for the journey's own form, `note` for a note."""
        return place_of(self.path)


def place_of(path: Path) -> str:
    return {"parts": START, "notes": "note"}.get(path[0], path[1])


def _entry(one: Conflict, by: str, at: str, over: Saved) -> dict[str, Any]:
    return {"path": list(one.path), "mine": one.mine, "by": by, "at": at, "over": over[0], "over_at": over[1]}


def noted(document: Mapping[str, Any], found: Iterable[Conflict], by: str, at: str, over: Mapping[Path, Saved]) -> dict[str, Any]:
    """The document with new conflicts in it, in place of what `by` had there before; `over`: path -> who saved what it has there, and when.

    Raises: TooLarge, where one would have to be left out.
    """
    ui = dict(document.get("ui") or {})
    fresh = [_entry(one, by, at, over.get(one.path, NOBODY)) for one in found]
    again = {(tuple(one["path"]), by) for one in fresh}
    before = [one for one in _listed(document) if (tuple(one["path"]), one.get("by")) not in again]
    listed = [*before, *fresh]
    if len(listed) > MOST:
        raise TooLarge("Too many changes by two people are waiting for a decision.", limit=MOST)
    return {**document, "ui": {**ui, PLACE: listed}} if listed else dict(document)


def open_in(document: Mapping[str, Any]) -> list[Open]:
    """Those that still ask for something: the document has something else at that place, and the step is there."""
    return [one for one in map(_opened, _listed(document)) if _asks(document, one)]


def _opened(one: Mapping[str, Any]) -> Open:
    path = tuple(str(part) for part in one["path"])
    return Open(path, one.get("mine"), *(str(one.get(name) or "") for name in ("by", "at", "over", "over_at")))


def pruned(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without conflicts that ask for nothing any more: they would come back with the next edit at their place."""
    left = [one for one in _listed(document) if _asks(document, _opened(one))]
    ui = {name: value for name, value in (document.get("ui") or {}).items() if name != PLACE}
    return {**document, "ui": {**ui, PLACE: left} if left else ui}


def current(document: Mapping[str, Any], path: Path) -> Any:
    """What a document has at a path, None where nothing is; of a whole step its fields."""
    noun, *names = path
    if noun == "edges":
        return _edge(document, names[0], names[1])
    if noun == "parts":
        held = unfinished.parts_of(document.get("ui") or {})
        whole = held[names[0]] if names[0] in held else document.get(names[0])
        return whole if len(names) == 1 else whole.get(names[1]) if isinstance(whole, Mapping) else None
    if noun == "notes":
        return notes_of(document.get("ui") or {}).get(names[0], {}).get(names[1])
    raw = (document.get("nodes") or {}).get(names[0])
    return raw if len(names) == 1 else (raw or {}).get(names[1])


def settled(document: Mapping[str, Any], place: str, by: str) -> dict[str, Any]:
    """The document without what `by` had at one place: what it has counts."""
    left = [one for one in _listed(document) if (place_of(tuple(one["path"])), str(one.get("by") or "")) != (place, by)]
    ui = {name: value for name, value in (document.get("ui") or {}).items() if name != PLACE}
    return {**document, "ui": {**ui, PLACE: left} if left else ui}


def taken(document: Mapping[str, Any], place: str, by: str) -> dict[str, Any]:
    """The document with what `by` had at one place, which is decided thereby."""
    chosen = [Conflict(one.path, one.mine) for one in open_in(document) if (one.place, one.by) == (place, by)]
    return settled(with_mine(document, chosen), place, by)


def with_mine(document: Mapping[str, Any], found: Iterable[Conflict]) -> dict[str, Any]:
    """The document with `mine` of conflicts that need no question."""
    done = dict(document)
    for one in found:
        done = _put(done, one.path, one.mine)
    return done


def issues(journey: Journey) -> list[Issue]:
    """One for each place that waits for a decision."""
    if not journey.ui.get(PLACE):
        return []
    document = journey.model_dump(mode="json", by_alias=True, exclude_unset=True)
    places = dict.fromkeys(one.place for one in open_in(document))
    return [_issue(place if place in journey.nodes else None) for place in places]


def _issue(node_id: str | None) -> Issue:
    text = "Two people changed this at the same time: choose what counts."
    return Issue(code="conflict", text=text, node_id=node_id)


def _listed(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Documents come from everywhere: whatever is no conflict of ours is passed over."""
    found = (document.get("ui") or {}).get(PLACE)
    return [one for one in found if _is_one(one)][:MOST] if isinstance(found, list) else []


_LENGTHS = {"nodes": (2, 3), "edges": (3,), "parts": (2, 3), "notes": (3,)}


def _is_one(one: Any) -> bool:
    path = one.get("path") if isinstance(one, Mapping) else None
    if not isinstance(path, list) or not path or not all(isinstance(part, str) for part in path):
        return False
    return len(path) in _LENGTHS.get(path[0], ()) and _fits(path, one.get("mine"))


def _fits(path: Sequence[str], mine: Any) -> bool:
    """Whether a document can have that there."""
    if path[0] == "nodes" and len(path) == 2:
        return _is_step(mine)
    if path[0] == "edges":
        return isinstance(mine, str | None)
    if path[0] == "notes":
        return path[2] == "text" and isinstance(mine, str | None)
    return path[1] in unfinished.PARTS if path[0] == "parts" else path[2] != "kind" or isinstance(mine, str)


def _is_step(mine: Any) -> bool:
    if not isinstance(mine, Mapping) or not isinstance(mine.get("edges"), list):
        return False
    edges = all(isinstance(edge, list) and len(edge) == 3 and all(isinstance(end, str | None) for end in edge) for edge in mine["edges"])
    raw = mine.get("raw")
    return edges and (raw is None or (isinstance(raw, Mapping) and isinstance(raw.get("kind"), str)))


def _asks(document: Mapping[str, Any], one: Open) -> bool:
    noun, id = one.path[:2]
    nodes = document.get("nodes") or {}
    if noun == "nodes" and len(one.path) == 2:
        return bool(nodes.get(id) != one.mine["raw"])
    if noun == "parts":
        return bool(current(document, one.path) != one.mine)
    there = id in nodes or id == START if noun == "edges" else current(document, one.path) is not None if noun == "notes" else id in nodes
    return there and bool(current(document, one.path) != one.mine)


def _edge(document: Mapping[str, Any], source: str, outlet: str) -> Any:
    if source == START:
        return document.get("start")
    edges: Sequence[Mapping[str, Any]] = document.get("edges") or ()
    return next((edge["to"] for edge in edges if edge["from"] == source and edge.get("outlet", "next") == outlet), None)


def _put(document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    noun, *names = path
    if noun == "edges":
        return _drawn(document, [[names[0], names[1], value]])
    if noun == "parts":
        return _part(document, names, value)
    if noun == "notes":
        ui = document.get("ui") or {}
        notes = [{**note, names[1]: value} if id == names[0] else note for id, note in notes_of(ui).items()]
        return {**document, "ui": {**ui, "notes": notes}} if notes else document
    nodes = dict(document.get("nodes") or {})
    if len(names) == 2:
        changed = {names[0]: _set(nodes[names[0]], names[1], value)} if names[0] in nodes else {}
        return {**document, "nodes": {**nodes, **changed}}
    nodes.pop(names[0], None)
    if value["raw"] is not None:
        nodes[names[0]] = dict(value["raw"])
    return _drawn({**document, "nodes": nodes}, value["edges"])


def _set(raw: Mapping[str, Any], field: str, value: Any) -> dict[str, Any]:
    return {**raw, field: value} if value is not None else {name: one for name, one in raw.items() if name != field}


def _part(document: dict[str, Any], names: Sequence[str], value: Any) -> dict[str, Any]:
    """A part of the journey's own form; one that is not right yet waits beside the document."""
    name = names[0]
    whole = current(document, ("parts", name))
    typed = value if len(names) == 1 else _set(whole if isinstance(whole, Mapping) else {}, names[1], value)
    ui = dict(document.get("ui") or {})
    held = {part: one for part, one in unfinished.parts_of(ui).items() if part != name}
    ui.pop(unfinished.PLACE, None)
    done = {part: one for part, one in document.items() if part != name or typed is not None}
    if typed is not None and unfinished.wrong(name, typed):
        held[name] = typed
    elif typed is not None:
        done[name] = typed
    return {**done, "ui": {**ui, unfinished.PLACE: held} if held else ui}


def _drawn(document: dict[str, Any], edges: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """With these edges in place of what led on from there, and none to or from a step that is not there."""
    nodes = document["nodes"]
    places = {(edge["from"], edge.get("outlet", "next")): edge["to"] for edge in document.get("edges") or ()}
    if document.get("start"):
        places[START, "next"] = document["start"]
    places |= {(source, outlet): to for source, outlet, to in edges}
    kept = {place: to for place, to in places.items() if to in nodes and (place[0] in nodes or place[0] == START)}
    start = kept.pop((START, "next"), None)
    drawn = [{"from": source, "outlet": outlet, "to": to} for (source, outlet), to in kept.items()]
    whole = {name: value for name, value in document.items() if name != "start"}
    return {**whole, **({"start": start} if start else {}), "edges": drawn}
