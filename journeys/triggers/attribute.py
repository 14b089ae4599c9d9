from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from journeys.errors import Issue
from journeys.labels import FieldLabel
from journeys.rules import FieldTerm, explain
from journeys.triggers.trigger import Happened, Phrases, Trigger

if TYPE_CHECKING:
    from journeys.rules.facts import Facts

TO = "Go to value"


class AttributeTrigger(Trigger):
    """Enters when the contact field `field` changes; with `any_value` false only when it changes to the value `to`."""

    label = "Field changes"
    example = {"field": "lifecycle_stage", "any_value": False, "to": "customer"}

    type: Literal["attribute"] = "attribute"
    field: str = Field(title="Field", min_length=1, max_length=120, json_schema_extra={"widget": "field"})
    to: Any = Field(None, title=TO, json_schema_extra={"only_if": {"any_value": False}})
    any_value: bool = Field(True, title="Any value", description="Any new value.")

    def topics(self) -> Collection[str]:
        return (f"field:{self.field}",)

    def fires(self, event: Happened, facts: Facts, as_of: datetime) -> bool:
        return self._changed(event) and (self.any_value or bool(facts.value(self.field) == self.to))

    def unmet(self, event: Happened, facts: Facts, as_of: datetime) -> list[dict[str, Any]]:
        if self.any_value or not self._changed(event):
            return []
        return explain(FieldTerm(field=self.field, operator="=", value=self.to), facts, as_of)

    def _changed(self, event: Happened) -> bool:
        return event.type == "system" and self.field in event.properties.get("fields", ())

    def problems(self, path: str) -> Iterable[Issue]:
        if not self.any_value and self.to in (None, ""):
            yield FieldLabel(TO).empty(None, f"{path}.to")

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "field", "field", self.field

    def sentence(self, t: Phrases) -> str:
        if self.any_value:
            return t("When the field *{field}* changes", field=self.field)
        return t("When the field *{field}* changes to “{value}”", field=self.field, value=self.to)
