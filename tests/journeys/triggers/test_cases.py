"""Every trigger against its case file.

A case: `trigger` (as in a document, without `type`) and either an `event` with `fields` of the contact, or `after` and a `zone` for those that
hang on the clock; `answer` is what the trigger says. `pytest tests/journeys/triggers --update` accepts new answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from builder_ui.kit import labels
from builder_ui.kit.i18n import translator_for
from journeys.rules import DictFacts
from journeys.triggers import BY_KIND, TRIGGERS, AnyTrigger, ClockTrigger, Trigger

CASES = Path(__file__).parent / "cases"
AS_OF = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_any: TypeAdapter[Trigger] = TypeAdapter(AnyTrigger)


@dataclass(frozen=True)
class Seen:
    """An event as the engine hands it over."""

    name: str
    type: str = "track"
    properties: dict[str, Any] = field(default_factory=dict)


def cases_of(kind: str) -> list[dict[str, Any]]:
    file = CASES / f"{kind}.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else []


def everything() -> Iterator[Any]:
    for one in TRIGGERS:
        for case in cases_of(one.kind()):
            yield pytest.param(one.kind(), case, id=f"{one.kind()}: {case['about']}")


def answer_of(kind: str, case: dict[str, Any]) -> dict[str, Any]:
    trigger = _any.validate_python({"type": kind, **case["trigger"]})
    assert type(trigger) is BY_KIND[kind]
    assert _any.validate_json(trigger.model_dump_json()) == trigger
    said = {language: labels.trigger(translator_for(language), trigger) for language in ("en", "de")}
    return {**said, **(on_the_clock(trigger, case) if isinstance(trigger, ClockTrigger) else on_event(trigger, case))}


def on_event(trigger: Trigger, case: dict[str, Any]) -> dict[str, Any]:
    event, facts = Seen(**case.get("event", {"name": "Signed Up"})), DictFacts(case.get("fields", {}))
    fires = trigger.fires(event, facts, AS_OF)
    return {"topics": list(trigger.topics()), "fires": fires, "unmet": [] if fires else trigger.unmet(event, facts, AS_OF)}


def on_the_clock(trigger: ClockTrigger, case: dict[str, Any]) -> dict[str, Any]:
    zone = ZoneInfo(case["zone"])
    instants = list(islice(trigger.instants(datetime.fromisoformat(case["after"]), zone), 3))
    whom = asdict(trigger.whom(instants[:2], zone))
    return {
        "instants": [at.isoformat() for at in instants],
        "whom": {name: plain(value) for name, value in whom.items()},
        "properties": dict(trigger.properties(date(2026, 5, 4))),
    }


def plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(day.isoformat() for day in value)
    return value.model_dump(mode="json", exclude_defaults=True) if hasattr(value, "model_dump") else value


@pytest.mark.parametrize(("kind", "case"), list(everything()))
def test_the_trigger_answers_as_written_down(kind: str, case: dict[str, Any], request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        update(kind)
        return
    assert answer_of(kind, case) == case.get("answer"), "if that is meant: `pytest tests/journeys/triggers --update`"


def update(kind: str) -> None:
    cases = [case | {"answer": answer_of(kind, case)} for case in cases_of(kind)]
    (CASES / f"{kind}.json").write_text(json.dumps(cases, indent=2, ensure_ascii=False) + "\n", "utf-8")


@pytest.mark.parametrize("kind", list(BY_KIND))
def test_every_trigger_has_cases_and_one_that_hangs_on_events_one_that_fires_and_one_that_does_not(kind: str) -> None:
    answers = [answer_of(kind, case) for case in cases_of(kind)]
    assert answers, f"write tests/journeys/triggers/cases/{kind}.json"
    if any(answer.get("topics") for answer in answers):
        assert {answer["fires"] for answer in answers} == {True, False}, f"{kind}.json has a case that fires and one that does not"


def test_no_case_file_is_left_over() -> None:
    left = {file.stem for file in CASES.glob("*.json")} - set(BY_KIND)
    assert left == set(), "name them in `TRIGGERS` of journeys/triggers/__init__.py, or take the files away"
