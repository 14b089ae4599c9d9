"""Lists that journeys choose from, and what was meant for somebody gone, as their pages show them."""

from __future__ import annotations

from typing import Any

import pytest

from crm.people.scores import change_score
from crm.sales import tasks
from engine.versions import publish
from journeys.changes import CreateTask
from models import Member
from tests.builder_ui.test_settings_pages import submit
from workspace import members, settings

CALLS: dict[str, Any] = {
    "spec": 1,
    "key": "calls",
    "name": "Calls",
    "entry": {"triggers": [{"type": "event", "event": "Call Wanted"}]},
    "start": "share",
    "nodes": {
        "share": {"kind": "assign_owner", "name": "Share out", "pool": "sales"},
        "call": {"kind": "create_task", "name": "Call them", "title": "Call", "sla": "PT2H"},
        "points": {"kind": "change_score", "name": "Five points", "group": "fit", "points": 5},
        "end": {"kind": "exit"},
    },
    "edges": [{"from": "share", "to": "call"}, {"from": "call", "to": "points"}, {"from": "points", "to": "end"}],
}


def publish_calls(town: Any, **changes: Any) -> None:
    nodes = {**CALLS["nodes"], "call": {**CALLS["nodes"]["call"], **changes}}
    with town.db.write() as session:
        journey = publish.create_journey(session, {**CALLS, "nodes": nodes}, "test", town.now)
        publish.publish(town.engine, session, journey.id, "test", "", town.now)


def keys(town: Any, name: str) -> list[str]:
    with town.db.read() as session:
        setting = settings.get(session, name)
        assert isinstance(setting, settings.NameList)
        return [one.key for one in setting.names]


ROWS = ("engagement", "", "", "fit", "Fit for us", "", "", "", "")
WITHOUT = ("engagement", "", "", "", "", "", "", "", "")


def test_a_score_is_added_and_renamed_and_taken_away_after_a_question(log_in: Any, opened: Any, town: Any) -> None:
    publish_calls(town)
    path = "/ui/settings/workspace/score_groups"
    with opened(log_in("admin"), path) as page:
        submit(page, *ROWS[:6], "loyalty", "", "Treue")
        page.see_until("Saved.")
    assert keys(town, "score_groups") == ["engagement", "fit", "loyalty"]
    with opened(log_in("admin"), path) as page:
        submit(page, *WITHOUT, "", "", "")
        page.see_until("Live journeys use fit, loyalty: Calls (Five points).")
        assert keys(town, "score_groups") == ["engagement", "fit", "loyalty"]
        submit(page, *WITHOUT, "", "", "", "")
        page.see_until("nothing has been saved yet")
        assert keys(town, "score_groups") == ["engagement", "fit", "loyalty"]
        submit(page, *WITHOUT, "", "", "", "on")
        page.see_until("Saved.")
    assert keys(town, "score_groups") == ["engagement"]


def test_a_yes_to_one_question_is_none_to_another(log_in: Any, opened: Any, town: Any) -> None:
    publish_calls(town)
    with opened(log_in("admin"), "/ui/settings/workspace/score_groups") as page:
        submit(page, *WITHOUT)
        page.see_until("Live journeys use fit: Calls (Five points).")
        publish_again(town)
        submit(page, *WITHOUT, "on")
        page.see_until("Calls (Ten points)")
    assert keys(town, "score_groups") == ["engagement", "fit"]


def publish_again(town: Any) -> None:
    nodes = {**CALLS["nodes"], "points": {**CALLS["nodes"]["points"], "name": "Ten points"}}
    with town.db.write() as session:
        journey = publish.get_journey(session, "calls")
        publish.save_draft(session, journey.id, {**CALLS, "nodes": nodes}, journey.revision, "test", town.now)
        publish.publish(town.engine, session, journey.id, "test", "", town.now)


def test_what_contacts_have_beside_the_list_is_added_with_a_button(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        change_score(session, town.people["Anna"], "loyalty", 5, False, "test", town.now, source="test")
    with opened(log_in("viewer"), "/ui/settings/workspace/score_groups") as page:
        assert "Used, but not in the list" in page.text
        assert not [node for node in page.nodes() if node.get("eventHandlers")]
    with opened(log_in("admin"), "/ui/settings/workspace/score_groups") as page:
        page.press("Add")
        page.see_until("Saved.")
        assert "Used, but not in the list" not in page.text
    assert keys(town, "score_groups") == ["engagement", "fit", "loyalty"]


def test_the_last_one_of_a_rotation_is_taken_out_after_a_question(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/settings/rotations") as page:
        assert "No one else in it is active, and live journeys use it: MQL to SQL (" in page.text
    publish_calls(town)
    with opened(log_in("marketer"), "/ui/settings/rotations") as page:
        assert "Calls (Share out)" in page.text
    with opened(log_in("admin"), f"/ui/settings/users/{town.members['sales']}") as page:
        assert "No one else is active in one of their rotations that journeys use: Calls (Share out), MQL to SQL (" in page.text
    with town.db.write() as session:
        members.put_rotation(session, "sales", [town.members["sales"], town.members["admin"]])
    with opened(log_in("marketer"), "/ui/settings/rotations") as page:
        assert "No one else in it is active" not in page.text


@pytest.mark.parametrize(
    ("language", "said"), [("en", "was for Gerda Gone, who has left"), ("de", "war für Gerda Gone bestimmt (nicht mehr im Team)")]
)
def test_whom_a_task_was_meant_for_is_seen_wherever_the_task_is(log_in: Any, opened: Any, town: Any, language: str, said: str) -> None:
    with town.db.write() as session:
        gone = members.add_member(session, "Gerda Gone", "gerda@example.com", "sales", town.now)
        gone.active = False
        session.get_one(Member, town.members["admin"]).locale = language
        run = town.run_of("Anna")
        task = CreateTask(id=f"{run}:hello:1", title="Ring her", outcomes=("done",), owner=gone.id)
        tasks.create(session, task, contact_id=town.people["Anna"], now=town.now, run_id=run, node="hello")
    client = log_in("admin")
    places = ("/ui/tasks?owner=all", f"/ui/contacts/{town.people['Anna']}?kind=task", f"/ui/runs/{run}")
    for path in places:
        with opened(client, path) as page:
            assert said in page.text, path
    [told] = [one for one in client.get(f"/api/v1/runs/{run}").json()["tasks"] if one["title"] == "Ring her"]
    assert (told["owner"], told["instead_of"]) != (gone.id, None)
    with town.db.write() as session:
        tasks.reassign(session, task.id, town.members["sales"], "test", town.now)
    for path in (places[0], places[2]):
        with opened(client, path) as page:
            assert "Ring her" in page.text
            assert said not in page.text, path
