"""Publishing looks every name up in the workspace; versions that are published already go on."""

from __future__ import annotations

import pytest

from crm import settings, tasks, team
from engine import publish as publishing
from engine import uses
from journeys.errors import Conflict, Invalid
from journeys.templates import TemplateEntry, gallery
from models import Template

CALL = {
    "spec": 1,
    "key": "call",
    "name": "Call",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "call",
    "nodes": {"call": {"kind": "create_task", "title": "Call", "sla": "PT2H"}, "end": {"kind": "exit"}},
    "edges": [{"from": "call", "to": "end"}],
}


def named(**fields):
    return {**CALL, "nodes": {**CALL["nodes"], "call": {**CALL["nodes"]["call"], **fields}}}


def member(world, role="sales", name="Kim"):
    with world.db.write() as session:
        return team.add_member(session, name, f"{name}@example.org", role, world.now).id


def issues(world, document):
    with world.db.read() as session:
        found = publishing.check_draft(world.engine, session, document)
    return {(issue.node_id, issue.field, issue.code) for issue in found if issue.severity == "error"}


@pytest.mark.parametrize("field", ["owner", "escalate_to"])
def test_a_ghost_is_not_published(world, field):
    with pytest.raises(Invalid) as refused:
        world.publish(named(**{field: "ghost"}))
    assert [(issue.node_id, issue.field, issue.code) for issue in refused.value.issues] == [("call", field, "unknown_member")]
    world.publish(named(**{field: member(world)}))


def test_somebody_who_has_left_is_a_ghost(world):
    kim = member(world)
    member(world, "admin", "Ada")
    with world.db.write() as session:
        team.change_member(session, kim, {"active": False}, "test", world.now)
    assert issues(world, named(owner=kim)) == {("call", "owner", "unknown_member")}


def test_a_cap_class_is_one_that_the_workspace_has(world):
    service = {**CALL, "settings": {"cap_class": "service"}}
    assert issues(world, service) == {(None, "settings.cap_class", "unknown_cap_class")}
    with world.db.write() as session:
        caps = {"caps": [{"cap_class": "service", "count": 3, "per": "P7D"}]}
        settings.put(session, "frequency_caps", caps, "test", world.now)
    assert issues(world, service) == issues(world, CALL) == set()


def test_a_version_that_named_somebody_goes_on_when_they_have_left(world):
    kim, ada = member(world), member(world, "admin", "Ada")
    world.publish(named(owner=kim, escalate_to=kim))
    with world.db.write() as session:
        team.change_member(session, kim, {"active": False}, "test", world.now)
    world.happens(world.contact(), "Signed Up")
    with world.db.read() as session:
        [task] = tasks.list_tasks(session, world.now).tasks
    assert task.owner == ada


@pytest.mark.parametrize("entry", gallery(), ids=lambda entry: entry.key)
def test_a_journey_of_the_gallery_comes_into_an_empty_workspace(world, entry: TemplateEntry):
    """What it names and nobody has made yet are problems until somebody chooses; then it can be published."""
    with world.db.write() as session:
        for mail in entry.mails:
            session.add(Template(key=mail.key, name=mail.name, message_class="transactional", created_at=world.now, updated_at=world.now))
    open_choices = {
        "mql_to_sql": {
            ("owner", "pool", "unknown_pool"),
            ("call", "escalate_to", "unknown_member"),
            ("escalate", "to.0", "unknown_member"),
        }
    }.get(entry.key, set())
    document = {**entry.document, "settings": {**entry.document.get("settings", {}), "message_class": "transactional"}}
    assert issues(world, document) == open_choices
    if open_choices:
        lead = member(world, name="Lena")
        with world.db.write() as session:
            team.put_rotation(session, "team", [lead], "Team")
        nodes = {**document["nodes"]}
        nodes["owner"] = {**nodes["owner"], "pool": "team"}
        nodes["call"] = {**nodes["call"], "escalate_to": lead}
        nodes["escalate"] = {**nodes["escalate"], "to": [lead, "owner"]}
        document = {**document, "nodes": nodes}
    world.publish(document)


def test_where_a_member_is_named_in_journeys_that_run(world):
    kim = member(world)
    member(world, "admin", "Ada")
    tell = {"kind": "notify_team", "name": "Tell", "to": ["owner", kim], "text": "x"}
    document = named(escalate_to=kim)
    document = {
        **document,
        "nodes": {**document["nodes"], "tell": tell},
        "edges": [{"from": "call", "to": "tell"}, {"from": "tell", "to": "end"}],
    }
    journey = world.publish(document)

    def found():
        with world.db.read() as session:
            return [(use.journey, use.node, use.field, use.node_name) for use in uses.uses_of_member(world.engine, session, kim)]

    assert found() == [("call", "call", "escalate_to", "Create task"), ("call", "tell", "to.1", "Tell")]
    with world.db.write() as session, pytest.raises(Conflict) as refused:
        uses.refuse_used_member(world.engine, session, kim)
    assert [use["node"] for use in refused.value.details["used_in"]] == ["call", "tell"]
    with world.db.write() as session:
        publishing.stop(world.engine, session, journey, "test", world.now)
    assert found() == []
