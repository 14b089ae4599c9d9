from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from journeys.rules import DictFacts, ScoreTerm, explain
from journeys.triggers.trigger import Happened, Phrases, Trigger
from journeys.types import Key

if TYPE_CHECKING:
    from journeys.rules.facts import Facts


class ScoreTrigger(Trigger):
    """Enters when the score `group` rises to `at_least` from below."""

    label = "Score rises"
    example = {"group": "fit", "at_least": 50}

    type: Literal["score"] = "score"
    group: Key = Field(title="Score", json_schema_extra={"widget": "score_group", "names": "score"})
    at_least: float = Field(title="At least")

    def topics(self) -> Collection[str]:
        return (f"score:{self.group}",)

    def fires(self, event: Happened, facts: Facts, as_of: datetime) -> bool:
        before, after = event.properties.get("before", 0.0), event.properties.get("after", 0.0)
        return self._is_about(event) and bool(before < self.at_least <= after)

    def unmet(self, event: Happened, facts: Facts, as_of: datetime) -> list[dict[str, Any]]:
        """Nothing for a score that had been high enough before."""
        after = float(event.properties.get("after") or 0.0)
        if not self._is_about(event) or after >= self.at_least:
            return []
        term = ScoreTerm(score=self.group, value=self.at_least)
        return explain(term, DictFacts({}, scores={self.group: after}), as_of)

    def _is_about(self, event: Happened) -> bool:
        return event.type == "system" and event.properties.get("group") == self.group

    def sentence(self, t: Phrases) -> str:
        return t("When the score *{group}* reaches {least}", group=self.group, least=t.number(self.at_least))
