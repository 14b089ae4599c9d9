"""What is done to conditions within one drawing of them: nothing of it takes back what was done the instant before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from builder_ui.builder.draft import replaced
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.rule_editor import rule_field
from builder_ui.builder.widgets import Form, Path
from builder_ui.kit.i18n import translator_for
from journeys.catalogue import Catalogue


def elements(model: Any) -> Iterator[dict[str, Any]]:
    if isinstance(model, dict):
        yield model
        model = model.get("children", ())
    if isinstance(model, list | tuple):
        for child in model:
            yield from elements(child)


class Drawn:
    """A rule in a form that was drawn once, and the step as acts leave it."""

    def __init__(self, rule: Any) -> None:
        self.step: Any = {"rule": rule}
        form = Form(translator_for("en"), Lookups(Catalogue.built_in()), "step", self.step, self._edit, 0)
        self.elements = list(elements(rule_field(form, ("rule",), False)))

    def _edit(self, path: Path, value: Any, _redraw: bool) -> None:
        self.step = replaced(self.step, path, value)

    def act(self, label: str, event: str, target: dict[str, Any]) -> None:
        [found] = [one for one in self.elements if one.get("attributes", {}).get("aria-label") == label]
        asyncio.run(found["eventHandlers"][event].function([{"target": target}]))


def test_what_was_just_typed_stays_when_a_condition_is_added() -> None:
    drawn = Drawn({"combinator": "and", "rules": [{"tag": ""}]})
    drawn.act("Tag", "onBlur", {"value": "vip"})
    drawn.act("Add a condition: Score", "onClick", {})
    assert drawn.step["rule"]["rules"] == [{"tag": "vip"}, {"score": "", "operator": ">=", "value": None}]


def test_what_was_just_chosen_stays_when_something_is_typed_beside_it() -> None:
    drawn = Drawn({"combinator": "and", "rules": [{"tag": ""}]})
    drawn.act("Has or has not", "onChange", {"value": "False"})
    drawn.act("Tag", "onBlur", {"value": "vip"})
    assert drawn.step["rule"]["rules"] == [{"tag": "vip", "has": False}]


def test_a_condition_that_stands_alone_becomes_one_of_a_group() -> None:
    drawn = Drawn({"tag": "vip"})
    drawn.act("Add a condition: Tag", "onClick", {})
    assert drawn.step["rule"] == {"combinator": "and", "rules": [{"tag": "vip"}, {"tag": ""}]}
