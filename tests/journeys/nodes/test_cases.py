"""Every kind against its case file. State goes through JSON between two calls, as it does between two steps of a run.

A case: `node` (as in a document), `facts` (arguments of `DictFacts`), `as_of`, and either nothing (the contact arrives) or
`outcome` (what it waited for); `answer` is what the kind says. `pytest tests/journeys/nodes --update` accepts new answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from journeys.errors import Issue
from journeys.nodes import BUILT_IN, Node, Palette
from journeys.rules import DictFacts
from journeys.rules.facts import Calendar
from journeys.values import Context, Do, Occurred, Performed, Reached, Received, RunInfo, TimedOut, WaitFor, WaitUntil, pack, unpack

CASES = Path(__file__).parent / "cases"
NODE_ID = "here"
OUTCOMES = {"reached": Reached, "occurred": Occurred, "timed_out": TimedOut, "performed": Performed}
RECEIVED = TypeAdapter(list[Received])


def cases_of(kind: str) -> list[dict[str, Any]]:
    file = CASES / f"{kind}.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else []


def everything() -> Iterator[Any]:
    for kind in BUILT_IN:
        for case in cases_of(kind.kind):
            yield pytest.param(kind.kind, case, id=f"{kind.kind}: {case['about']}")


def answer_of(kind: str, case: dict[str, Any]) -> Any:
    parsed = Palette.built_in().parse(NODE_ID, {"kind": kind, **case["node"]})
    if isinstance(parsed, list):
        return {"issues": [issue_row(issue) for issue in parsed]}
    node = through_json(kind, parsed)
    if problems := list(node.problems(NODE_ID)):
        return {"issues": [issue_row(issue) for issue in problems]}
    context = context_of(case)
    answer = node.resume(context, outcome_of(case)) if "outcome" in case else node.enter(context)
    if isinstance(answer, Do | WaitUntil | WaitFor):
        assert unpack(json.loads(json.dumps(pack(answer)))) == answer
    said: dict[str, Any] = answer.model_dump(mode="json", exclude_defaults=True)
    return {"answer": answer.answer, **said}


def issue_row(issue: Issue) -> list[str | None]:
    return [issue.field, issue.code]


def through_json(kind: str, node: Node) -> Node:
    again = Palette.built_in().parse(NODE_ID, {"kind": kind, **json.loads(node.model_dump_json())})
    assert again == node
    return node


def context_of(case: dict[str, Any]) -> Context:
    facts = dict(case.get("facts", {}))
    facts["consents"] = {(c, p): state for c, p, state in facts.get("consents", [])}
    facts["events"] = RECEIVED.validate_python(facts.get("events", []))
    if facts.get("calendar") == "closed on Monday":
        facts["calendar"] = Calendar(days_off=frozenset({"2026-03-09"}))
    as_of = datetime.fromisoformat(case["as_of"]).astimezone(UTC)
    return Context(
        facts=DictFacts(**{"fields": {}, **facts}),
        as_of=as_of,
        run=RunInfo("run-1", case.get("contact_id", "contact-1"), "journey-1", as_of, trigger=facts.get("trigger", {})),
        node_id=NODE_ID,
        visit=case.get("visit", 1),
        entered_at=datetime.fromisoformat(case.get("entered_at", case["as_of"])).astimezone(UTC),
        zone=ZoneInfo(case.get("zone", "Europe/Zurich")),
        spread_seconds=case.get("spread_seconds", 0),
        memory=case.get("memory", {}),
    )


def outcome_of(case: dict[str, Any]) -> Any:
    given = dict(case["outcome"])
    return OUTCOMES[given.pop("is")].model_validate(given)


@pytest.mark.parametrize(("kind", "case"), list(everything()))
def test_the_kind_answers_as_written_down(kind: str, case: dict[str, Any], request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        update(kind)
        return
    assert answer_of(kind, case) == case.get("answer"), "if that is meant: `pytest tests/journeys/nodes --update`"


@pytest.mark.parametrize("kind", [kind.kind for kind in BUILT_IN])
def test_every_kind_has_cases_for_each_of_its_outlets(kind: str) -> None:
    seen = {answer_of(kind, case).get("outlet") for case in cases_of(kind)}
    outlets: set[str] = set()
    for case in cases_of(kind):
        node = Palette.built_in().parse(NODE_ID, {"kind": kind, **case["node"]})
        outlets |= set(node.outlets()) if isinstance(node, Node) else set()
    assert seen, f"write tests/journeys/nodes/cases/{kind}.json"
    assert outlets <= seen, f"no case of {kind}.json leaves through {outlets - seen}"


def update(kind: str) -> None:
    cases = [case | {"answer": answer_of(kind, case)} for case in cases_of(kind)]
    (CASES / f"{kind}.json").write_text(json.dumps(cases, indent=2, ensure_ascii=False) + "\n", "utf-8")


def test_no_case_file_is_left_over() -> None:
    left = {file.stem for file in CASES.glob("*.json")} - {kind.kind for kind in BUILT_IN}
    assert left == set(), "name them in `BUILT_IN` of journeys/nodes/built_in.py, or take the files away"
