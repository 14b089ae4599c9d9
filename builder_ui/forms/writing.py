"""One open editor of a form: what was written so far. Nothing is stored before somebody says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builder_ui.builder.draft import at, replaced
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.widgets import Path
from builder_ui.kit import forms as page_forms
from builder_ui.kit.context import PageContext
from builder_ui.kit.observable import Publisher
from crm.forms import forms
from crm.forms.definition import inputs_of, spec_of
from journeys.channels import DEFAULT
from journeys.errors import Invalid, Issue
from journeys.keys import free

FIELDS, BOXES = ("definition", "fields"), ("definition", "boxes")


class Writing(Publisher):
    """Topic: `form`."""

    called = "a form's editor"

    def __init__(self, context: PageContext, lookups: Lookups, key: str, name: str, definition: Mapping[str, Any], version: int) -> None:
        super().__init__()
        self.context, self.lookups, self.key, self.version = context, lookups, key, version
        self.draft: dict[str, Any] = {"name": name, "definition": dict(definition)}
        self.generation = 0
        self.issues: Sequence[Issue] = ()

    def edit(self, path: Path, value: Any, redraw: bool) -> None:
        """`redraw`: fields moved."""
        self.draft = replaced(self.draft, path, value)
        if path[:2] == FIELDS and path[3:] in (("name",), ("kind",)):
            self._fit(path)
            redraw = True
        self.generation += redraw
        self.tell("form")

    def _fit(self, path: Path) -> None:
        """Another contact field is filled in the way that fits it."""
        field = at(self.draft, path[:3])
        spec = spec_of(self.lookups.catalogue, str(field.get("name"))) if field.get("kind") == "contact" else None
        if spec is not None and field.get("input") not in inputs_of(spec):
            self.draft = replaced(self.draft, (*path[:3], "input"), inputs_of(spec)[0])

    def listed(self, path: Path) -> list[Any]:
        return list(at(self.draft, path) or ())

    def add(self, path: Path, item: Mapping[str, Any]) -> None:
        self.edit(path, [*self.listed(path), dict(item)], True)

    def remove(self, path: Path, place: int) -> None:
        present = self.listed(path)
        self.edit(path, [*present[:place], *present[place + 1 :]], True)

    def raise_(self, path: Path, place: int) -> None:
        """Moves an entry up by one."""
        present = self.listed(path)
        self.edit(path, [*present[: place - 1], present[place], present[place - 1], *present[place + 1 :]], True)

    def add_field(self) -> None:
        """The first contact field that is not asked yet."""
        taken = {one.get("name") for one in self.listed(FIELDS)}
        name = next((key for key, _ in self.lookups.choices["form_field"] if key not in taken), "first_name")
        spec = spec_of(self.lookups.catalogue, name)
        self.add(FIELDS, {"kind": "contact", "name": name, "input": inputs_of(spec)[0] if spec is not None else "text"})

    def add_question(self) -> None:
        name = free("question", {str(one.get("name")) for one in self.listed(FIELDS)})
        self.add(FIELDS, {"kind": "question", "name": name, "input": "text"})

    def add_box(self) -> None:
        key = free("box", {str(one.get("key")) for one in self.listed(BOXES)})
        self.add(BOXES, {"key": key, "channel": DEFAULT, "purpose": "marketing", "wording": {}})

    def store(self, visitor: PageContext) -> None:
        """Stores what was written, as whoever was asked just now.

        Raises: Invalid, also for what only a Conflict says elsewhere.
        """
        self.issues = ()
        try:
            with visitor.engine.db.write() as session, page_forms.plainly():
                done = forms.change(
                    session,
                    self.key,
                    visitor.by,
                    visitor.app.now(),
                    name=str(self.draft.get("name") or ""),
                    definition=self.draft["definition"],
                    expected=self.version,
                )
                self.version = done.version
        except Invalid as error:
            self.issues = error.issues
            raise
