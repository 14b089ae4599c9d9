"""`pfadwerk simulate`: the path as people read it, scenarios that are compared, and what is known about a contact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[2] / "journeys" / "templates"
KEYS = ("welcome", "cart_abandonment", "mql_to_sql", "re_engagement")


@pytest.mark.parametrize("key", KEYS)
def test_the_scenarios_of_the_gallery_are_as_expected(run, key):
    ran = run("simulate", GALLERY / key / "journey.json", "--script", GALLERY / key / "scenarios.json")
    assert ran.code == 0
    assert "✗ Step" not in ran.out
    assert ran.out.count("✓ as expected") == len(json.loads((GALLERY / key / "scenarios.json").read_text()))


def test_the_timeline_tells_times_decisions_and_reasons(run):
    ran = run("simulate", "welcome", "--script", GALLERY / "welcome" / "scenarios.json")
    assert "2026-03-02 10:00  Welcome 1 " in ran.out
    assert "email: welcome-1-hello" in ran.out
    assert "waits until 2026-03-03 10:00" in ran.out
    assert "✓ opened *Welcome 1*  [1 times]" in ran.out
    assert "on Message Clicked" in ran.out


def scenario(tmp_path: Path, **changes: object) -> Path:
    first = json.loads((GALLERY / "welcome" / "scenarios.json").read_text())[0]
    file = tmp_path / "one.scenario.json"
    file.write_text(json.dumps(first | changes))
    return file


def test_another_path_than_expected_is_told_where_they_part(run, tmp_path):
    file = scenario(
        tmp_path, expect=[{"node": "hello", "outlet": "sent"}, {"node": "a_day", "outlet": "next"}, {"node": "again", "outlet": "x"}]
    )
    ran = run("simulate", "welcome", "--script", file)
    assert ran.code == 1
    assert "✗ Step 3 of the path: expected again → x, got read_it → yes." in ran.out


def test_another_end_than_expected_is_told(run, tmp_path):
    ran = run("simulate", "welcome", "--script", scenario(tmp_path, ends="not_bought"), "--json")
    assert ran.code == 1
    [found] = json.loads(ran.out)["scenarios"]
    assert found["differences"] == ["The end: expected not_bought, got completed."]


def test_who_does_not_enter_is_told_why(run, tmp_path):
    file = scenario(tmp_path, consents=[["email", "marketing", "withdrawn"]], expect=[], ends=None)
    ran = run("simulate", "welcome", "--script", file)
    assert ran.code == 0
    assert "Does not enter" in ran.out
    assert "[withdrawn]" in ran.out


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is not JSON"), ("[]", "expected a scenario"), ('{"expect": [1]}', "expect"), ('{"start": 1, "x": 2}', "scenario 0")],
)
def test_a_scenario_that_cannot_be_read_names_the_place(run, tmp_path, text, said):
    file = tmp_path / "bad.json"
    file.write_text(text)
    ran = run("simulate", "welcome", "--script", file)
    assert ran.code == 1
    assert said in ran.err


def test_the_facts_of_a_real_contact(run, demo):
    ran = run("simulate", "welcome", "--contact", "anna@shop.example.org", "--json")
    assert ran.code == 0
    [found] = json.loads(ran.out)["scenarios"]
    assert found["entered"]
    ran = run("simulate", "welcome", "--contact", "rita", "--json")
    [found] = json.loads(ran.out)["scenarios"]
    assert not found["entered"], "she withdrew her consent"


def test_a_contact_or_journey_that_is_not_there(run, demo):
    assert run("simulate", "welcome", "--contact", "nobody@example.org").code == 1
    assert run("simulate", "no_such_journey").code == 1


def test_a_journey_with_errors_is_not_walked(run, tmp_path):
    file = tmp_path / "broken.json"
    file.write_text(json.dumps({"spec": 1, "key": "broken", "name": "Broken", "nodes": {"a": {"kind": "nothing"}}, "start": "a"}))
    ran = run("simulate", file)
    assert ran.code == 1
    head, *problems = ran.err.splitlines()
    assert "Problems of the journey" in head
    assert any("a.kind: " in problem for problem in problems)
    told = [problem.partition(": ")[2] for problem in problems]
    assert len(told) == len(set(told)), "each problem once"
    assert not any(problem in head for problem in told if problem)


def test_answers_that_the_journey_cannot_give_are_told_and_nothing_is_walked(run, tmp_path):
    ran = run("simulate", "welcome", "--script", scenario(tmp_path, answers={"hello": ["sent", "send"], "helo": "sent"}))
    assert ran.code == 1
    assert ran.out == ""
    assert "answers.hello: This step has no outlet “send”. Did you mean “sent”?" in ran.err
    assert "answers.helo: There is no step “helo”." in ran.err


@pytest.mark.parametrize("start", ["yesterday", "2026-13-01T00:00:00Z", "2026-03-02T09:00:00", 1.5e300, [1]])
def test_a_start_that_is_no_instant_is_told_how_to_write_one(run, tmp_path, start):
    ran = run("simulate", "welcome", "--script", scenario(tmp_path, start=start))
    assert ran.code == 1
    assert 'start: Must be a date and time with its zone, such as "2026-03-02T09:00:00Z".' in ran.err


def test_a_start_off_the_calendar_is_told_its_bounds(run, tmp_path):
    ran = run("simulate", "welcome", "--script", scenario(tmp_path, start="0002-01-01T00:00:00Z"))
    assert ran.code == 1
    assert "start: Must be at least 1970-01-01T00:00:00Z." in ran.err
