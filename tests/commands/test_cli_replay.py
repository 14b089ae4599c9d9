"""`pfadwerk replay` with files: no server is needed, and a history that no longer fits is found."""

from __future__ import annotations

import json
from pathlib import Path

HISTORY = Path(__file__).with_name("histories") / "a_run_that_waits.json"


def test_a_recorded_history_replays(run):
    ran = run("replay", HISTORY, "--json")
    assert ran.code == 0, ran.out
    assert json.loads(ran.out) == {
        "replayed": 1,
        "failed": 0,
        "histories": [{"name": str(HISTORY), "events": 18, "replays": True, "failure": None}],
    }


def test_a_history_of_another_workflow_fails_and_is_named(run, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(
        HISTORY.read_text().replace("EVENT_TYPE_TIMER_STARTED", "EVENT_TYPE_TIMER_STARTED").replace("effect:email", "effect:fax")
    )
    ran = run("replay", HISTORY, other)
    assert ran.code == 1
    assert f"✗ {other}: " in ran.out
    assert "Histories: 2; 1 do not replay." in ran.out


def test_what_is_no_history_is_told(run, tmp_path):
    for number, text in enumerate(("", "{}", "[]", '{"events": 1}', "\x00")):
        file = tmp_path / f"{number}.json"
        file.write_text(text)
        ran = run("replay", file)
        assert ran.code == 1, text
        assert str(file) in ran.out + ran.err


def test_a_journey_that_does_not_exist_is_no_check_passed(run, demo):
    ran = run("replay", "--journey", "welcom")
    assert ran.code == 1
    assert "There is no journey “welcom”." in ran.err
