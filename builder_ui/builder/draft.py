"""A draft in the shape in which it is edited: nodes and edges by id, and the journey's own parts as they were typed, right or wrong.

Pure. A part that is wrong (a trigger without an event) is kept as typed beside what is right (`journeys.unfinished`).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from journeys import unfinished
from journeys.document import MAX_EDGES, MAX_NODES
from journeys.errors import Invalid, TooLarge
from journeys.reading import read
from journeys.unfinished import PARTS
from pydantic import ValidationError

from builder_ui.builder.protocol import ENTRY, MAX_NOTE_CHARACTERS, MAX_NOTES, Changes, Note

START = (ENTRY, "next")

Edges = dict[tuple[str, str], str]


class Draft:
    """`nodes`: id -> raw step; `edges`: (id, outlet) -> id; `places`: id -> (x, y); `notes`: id -> note;
    `parts`: the journey's own form."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        data = copy.deepcopy(dict(document))
        self.key: str = data["key"]
        self.good: dict[str, Any] = {name: data[name] for name in PARTS if name in data}
        self.nodes: dict[str, dict[str, Any]] = data.get("nodes") or {}
        self.edges: Edges = {
            (edge["from"], edge.get("outlet", "next")): edge["to"]
            for edge in data.get("edges") or ()
        }
        if data.get("start"):
            self.edges = {START: data["start"], **self.edges}
        self.ui: dict[str, Any] = data.get("ui") or {}
        self.parts: dict[str, Any] = {**self.good, **unfinished.parts_of(self.ui)}
        self.places: dict[str, tuple[float, float]] = _places(self.ui)
        self.notes: dict[str, Note] = _notes(self.ui)

    def document(self) -> dict[str, Any]:
        """What can be stored."""
        nodes = dict(self.nodes)
        edges = [
            {"from": source, "outlet": outlet, "to": to}
            for (source, outlet), to in self.edges.items()
            if source != ENTRY
        ]
        places = {
            id: {"x": x, "y": y} for id, (x, y) in self.places.items() if id in nodes or id == ENTRY
        }
        ui = {**self.ui, "positions": places}
        ui.pop("notes", None)
        ui.pop(unfinished.PLACE, None)
        held = {name: typed for name, typed in self.parts.items() if unfinished.wrong(name, typed)}
        if held:
            ui[unfinished.PLACE] = held
        if self.notes:
            ui["notes"] = [
                {"id": id, **note.model_dump(mode="json")} for id, note in self.notes.items()
            ]
        document = {
            "spec": 1,
            "key": self.key,
            **self.good,
            "nodes": nodes,
            "edges": edges,
            "ui": ui,
        }
        start = self.edges.get(START)
        return {**document, "start": start} if start else document

    def change(self, changes: Changes) -> set[str]:
        """Carries out what the canvas says; answers the ids whose step is new or different.

        Raises: Invalid, TooLarge; nothing is changed then.
        """
        nodes, edges, places = dict(self.nodes), dict(self.edges), dict(self.places)
        parts = None
        for id in changes.gone:
            nodes.pop(id, None)
            places.pop(id, None)
        touched = set()
        for id, step in changes.nodes.items():
            if step.x is not None and step.y is not None:
                places[id] = (round(step.x), round(step.y))
            if step.raw is None:
                continue
            touched.add(id)
            if id == ENTRY:
                parts = {name: step.raw[name] for name in PARTS if name in step.raw}
            elif not isinstance(step.raw.get("kind"), str):
                raise Invalid("A step needs a kind.")
            else:
                nodes[id] = step.raw
        edges = {place: to for place, to in edges.items() if place not in set(changes.cut)}
        edges |= {(source, outlet): to for source, outlet, to in changes.edges}
        edges = {
            (source, outlet): to
            for (source, outlet), to in edges.items()
            if (source == ENTRY or source in nodes) and to in nodes
        }
        if len(nodes) > MAX_NODES or len(edges) > MAX_EDGES:
            raise TooLarge(
                "A journey has at most {steps} steps and {connections} connections.",
                steps=MAX_NODES,
                connections=MAX_EDGES,
            )
        notes = {
            id: note for id, note in self.notes.items() if id not in set(changes.torn)
        } | changes.notes
        if len(notes) > MAX_NOTES:
            raise TooLarge("A journey has at most {limit} notes.", limit=MAX_NOTES)
        read(
            {
                "spec": 1,
                "key": self.key,
                "name": "x",
                "nodes": {id: nodes[id] for id in touched if id in nodes},
            }
        )
        self.nodes, self.edges, self.places, self.notes = nodes, edges, places, notes
        self.ui = {**self.ui, "laid_out": changes.laid}
        if parts is not None:
            self.set_parts(parts)
        return touched

    def set_parts(self, parts: Mapping[str, Any]) -> None:
        """The journey's own form as typed; what is right of it can be stored."""
        self.parts = dict(parts)
        for name in PARTS:
            if name not in parts:
                if name != "name":
                    self.good.pop(name, None)
            elif not unfinished.wrong(name, parts[name]):
                self.good[name] = parts[name]


def _places(ui: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Positions that are some; documents come from everywhere."""
    stored = ui.get("positions")
    found = {}
    for id, place in stored.items() if isinstance(stored, Mapping) else ():
        x, y = (place.get("x"), place.get("y")) if isinstance(place, Mapping) else (None, None)
        if (
            isinstance(x, int | float)
            and isinstance(y, int | float)
            and abs(x) < 1e7
            and abs(y) < 1e7
        ):
            found[id] = (x, y)
    return found


def _notes(ui: Mapping[str, Any]) -> dict[str, Note]:
    """Notes that are some, as with positions; a text that is too long is cut."""
    stored = ui.get("notes")
    found: dict[str, Note] = {}
    for n, one in enumerate(stored[:1_000] if isinstance(stored, list) else ()):
        if not isinstance(one, Mapping) or len(found) == MAX_NOTES:
            continue
        note = _note(one)
        id = one.get("id")
        if note is not None:
            found[
                id if isinstance(id, str) and _NOTE_ID.match(id) and id not in found else f"note{n}"
            ] = note
    return found


_NOTE_ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")


def _note(one: Mapping[str, Any]) -> Note | None:
    text = one.get("text")
    try:
        return Note.model_validate(
            {**one, "text": text[:MAX_NOTE_CHARACTERS] if isinstance(text, str) else ""}
        )
    except ValidationError:
        return None


def replaced(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy of JSON `data` with `value` at `path`; None takes a key of an object out. Objects on the way are made; behind the end of a list
    `value` is its next element."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        items = list(data or ())
        present = items[first] if first < len(items) else None
        return [*items[:first], replaced(present, rest, value), *items[first + 1 :]]
    object = dict(data) if isinstance(data, Mapping) else {}
    if not rest and value is None:
        object.pop(first, None)
    else:
        object[first] = replaced(object.get(first), rest, value)
    return object


def at(data: Any, path: tuple[str | int, ...]) -> Any:
    """What stands at `path`, None where nothing does."""
    for place in path:
        if isinstance(data, Mapping):
            data = data.get(place)
        elif isinstance(data, list | tuple) and isinstance(place, int) and place < len(data):
            data = data[place]
        else:
            return None
    return data
