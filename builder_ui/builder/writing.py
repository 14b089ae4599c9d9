"""The fields of a builder's forms while somebody else changes what is in them: which are drawn anew, and which wait until they are left. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from journeys.conflicts import Saved
from journeys.merge import Conflict

from builder_ui.builder import joining
from builder_ui.builder.draft import Draft, at, replaced

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """A step as it was when a field of its form began to be written in; somebody else `saved` it with other values at `paths`."""

    before: dict[str, Any]
    paths: tuple[Path, ...]
    saved: Saved


@dataclass(frozen=True, slots=True)
class Dispute:
    """What was written into a field that somebody else changed meanwhile; no conflict where both mean the same."""

    conflict: Conflict | None
    saved: Saved


@dataclass(frozen=True, slots=True)
class Gone:
    """A step that somebody else took out while its form was shown, with its edges as they hung on it, what it was called, and who `saved`."""

    id: str
    raw: dict[str, Any]
    edges: list[list[str]]
    name: str
    saved: Saved

    def with_value(self, path: Path, value: Any) -> Conflict:
        """The question whether the step comes back, with what was written into one of its fields."""
        raw = replaced(self.raw, path, value) if path else self.raw
        return Conflict(("nodes", self.id), {"raw": raw, "edges": self.edges})


class Fields:
    """`written` is the id of the field that somebody writes in, empty: none. `gone` is the step of the form if it is there no longer; it is
    `held` while somebody still writes in it."""

    def __init__(self) -> None:
        self.written = ""
        self.gone: Gone | None = None
        self._fresh: Counter[Path] = Counter()
        self._meanwhile: dict[str, Meanwhile] = {}

    def fresh(self, id: str) -> dict[Path, int]:
        """Path of a field of a step -> how often somebody else changed it: then it is drawn anew."""
        return {path[1:]: count for path, count in self._fresh.items() if path[0] == id}

    def are_of(self, id: str) -> bool:
        """Whether somebody writes into the form of a step."""
        return self.written.startswith(f"pfb-{id.strip('$')}-")

    @property
    def held(self) -> Gone | None:
        """The step that is gone and whose form stays until its field is left: what is in it nobody knows yet."""
        return self.gone if self.gone and self.are_of(self.gone.id) else None

    def change(self, old: Draft, news: joining.News, saved: Saved) -> None:
        """Somebody else changed values: all fields but the one that is being written in show them."""
        for id in news["nodes"]:
            changed = joining.paths(news, id)
            held = tuple(path for path in changed if self._is_written(id, path))
            self._fresh.update((id, *path) for path in changed if path not in held)
            if held and id not in self._meanwhile:
                self._meanwhile[id] = Meanwhile(dict(joining.raw_of(old, id) or {}), held, saved)

    def _is_written(self, id: str, path: Path) -> bool:
        field = f"pfb-{id.strip('$')}-{'-'.join(str(one) for one in path)}"
        return self.written == field or self.written.startswith(f"{field}-")

    def write(self, field: str) -> bool:
        """A field is written in; empty: it was left as it was. Whether fields have to be drawn anew."""
        self.written = field
        if field or not self._meanwhile:
            return False
        self._fresh.update((id, *path) for id, one in self._meanwhile.items() for path in one.paths)
        self._meanwhile = {}
        return True

    def leave(self) -> None:
        """Another form is shown."""
        self.written, self.gone, self._meanwhile = "", None, {}

    def dispute(
        self, id: str, path: Path, value: Any, present: Mapping[str, Any]
    ) -> Dispute | None:
        """`value` was written into a field; None: nobody else changed it meanwhile. `present` is the step as it is now."""
        self.written = ""
        held = self._meanwhile.get(id)
        place = next((one for one in held.paths if one == path[: len(one)]), None) if held else None
        if held is None or place is None:
            return None
        del self._meanwhile[id]
        self._fresh[id, *place] += 1
        mine = at(replaced(held.before, path, value), place)
        agreed = mine in (at(present, place), at(held.before, place))
        conflict = Conflict(joining.place_of(id, [str(one) for one in place]), mine)
        return Dispute(None if agreed else conflict, held.saved)
