"""A trigger that the product does not have; the test adds it to a copy as the recipe of CONTRIBUTING says."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from journeys.errors import Issue
from journeys.labels import FieldLabel
from journeys.triggers.trigger import Happened, Phrases, Trigger

if TYPE_CHECKING:
    from journeys.rules.facts import Facts


class TaggedTrigger(Trigger):
    """Enters when a contact gets the tag `tag`."""

    label = "Tag given"
    example = {"tag": "vip"}

    type: Literal["tagged"] = "tagged"
    tag: str = Field(title="Which tag", max_length=64)
    beside: str = Field("locale", title="Beside", json_schema_extra={"widget": "field"})
    loudly: bool = Field(False, title="Loudly", description="Said aloud.")
    volume: int = Field(1, title="How loudly", json_schema_extra={"only_if": {"loudly": True}})

    def topics(self) -> Collection[str]:
        return (f"tag:{self.tag}",)

    def fires(self, event: Happened, facts: Facts, as_of: datetime) -> bool:
        return self.tag in event.properties.get("tags_added", ())

    def unmet(self, event: Happened, facts: Facts, as_of: datetime) -> list[dict[str, Any]]:
        return [{"path": "", "term": {"tag": self.tag}, "actual": False, "result": False}]

    def problems(self, path: str) -> Iterable[Issue]:
        if not self.tag:
            yield FieldLabel("Which tag").empty(None, f"{path}.tag")

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "beside", "field", self.beside

    def sentence(self, t: Phrases) -> str:
        return t("Gets the tag *{tag}*, {volume}", tag=self.tag, volume=t.number(self.volume))
