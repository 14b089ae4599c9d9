"""Publishing looks every name up in the workspace; versions that are published already go on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crm.catalogue import declare_missing
from crm.sales import tasks
from engine.versions import publish as publishing
from engine.versions import uses
from journeys.errors import Conflict, Invalid
from journeys.templates import TemplateEntry, gallery
from models import Template
from workspace import members, settings

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
        return members.add_member(session, name, f"{name}@example.org", role, world.now).id


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
        members.change_member(session, kim, {"active": False}, "test")
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
        members.change_member(session, kim, {"active": False}, "test")
    world.happens(world.contact(), "Signed Up")
    with world.db.read() as session:
        [task] = tasks.list_tasks(session, world.now).tasks
    assert task.owner == ada


@pytest.mark.parametrize("entry", gallery(), ids=lambda entry: entry.key)
def test_a_journey_of_the_gallery_comes_into_an_empty_workspace(world, entry: TemplateEntry):
    """What it names and nobody has made yet are problems until somebody chooses; then it can be published."""
    with world.db.write() as session:
        declare_missing(session, entry.fields, entry.events, world.now)
        for mail in entry.mails:
            session.add(Template(key=mail.key, name=mail.name, message_class="transactional", created_at=world.now, updated_at=world.now))
    open_choices = {
        "mql_to_sql": {
            ("owner", "pool", "unknown_pool"),
            ("call", "escalate_to", "unknown_member"),
            ("escalate", "to.0", "unknown_member"),
        }
    }.get(entry.key, set())
    nodes = {id: {name: value for name, value in node.items() if name != "message_class"} for id, node in entry.document["nodes"].items()}
    settings_of = {**entry.document.get("settings", {}), "message_class": "transactional"}
    document = {**entry.document, "nodes": nodes, "settings": settings_of}
    assert issues(world, document) == open_choices
    if open_choices:
        lead = member(world, name="Lena")
        with world.db.write() as session:
            members.put_rotation(session, "team", [lead], "Team")
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


def listing(world, name, *keys):
    with world.db.write() as session:
        settings.put(session, name, {"names": [{"key": key} for key in keys]}, "test", world.now)


MAIL = {
    **CALL,
    "nodes": {**CALL["nodes"], "call": {"kind": "send_sms", "text": "Hello", "purpose": "fair"}},
    "edges": [{"from": "call", "outlet": "sent", "to": "end"}],
}
POINTS = {**CALL, "nodes": {**CALL["nodes"], "call": {"kind": "change_score", "group": "loyalty", "points": 5}}}
BY_SCORE = {**CALL, "entry": {"triggers": [{"type": "score", "group": "loyalty", "at_least": 50}]}}
FILTERED = {**CALL, "entry": {**CALL["entry"], "filter": {"rules": [{"tag": "x"}, {"score": "loyalty", "value": 5}]}}}
LEAVING = {**CALL, "exit_when": [{"rule": {"consent": "email", "purpose": "fair", "value": "withdrawn"}}]}
ASKING = {
    **CALL,
    "nodes": {
        **CALL["nodes"],
        "call": {"kind": "if_else", "rule": {"rules": [{"consent": "sms", "purpose": "fair"}]}},
    },
    "edges": [{"from": "call", "outlet": outlet, "to": "end"} for outlet in ("yes", "no")],
}
NAMING = [
    pytest.param({**CALL, "settings": {"purpose": "fair"}}, (None, "settings.purpose"), "purposes", id="the settings"),
    pytest.param(MAIL, ("call", "purpose"), "purposes", id="a message"),
    pytest.param(LEAVING, (None, "exit_when.0.rule.purpose"), "purposes", id="an exit"),
    pytest.param(ASKING, ("call", "rule.rules.0.purpose"), "purposes", id="a step's rule"),
    pytest.param(POINTS, ("call", "group"), "score_groups", id="points"),
    pytest.param(BY_SCORE, (None, "entry.triggers.0.group"), "score_groups", id="a trigger"),
    pytest.param(FILTERED, (None, "entry.filter.rules.1.score"), "score_groups", id="a filter"),
]
"""(document, where it names something, the setting that lists it): `fair` is a purpose, `loyalty` a score."""
NOUNS = {"purposes": ("purpose", "marketing", "fair"), "score_groups": ("score", "engagement", "loyalty")}


@pytest.mark.parametrize(("document", "place", "name"), NAMING)
def test_a_purpose_and_a_score_are_those_of_the_workspace(world, document, place, name):
    noun, usual, own = NOUNS[name]
    assert issues(world, document) == {(*place, f"unknown_{noun}")}
    listing(world, name, usual, own)
    assert issues(world, document) == set()
    world.publish(document)


@pytest.mark.parametrize(("document", "place", "name"), NAMING)
def test_where_a_purpose_or_a_score_is_named_is_said_before_it_goes(world, document, place, name):
    noun, usual, own = NOUNS[name]
    listing(world, name, usual, own)
    journey = world.publish(document)

    def taken_away():
        with world.db.read() as session:
            before = settings.get(session, name)
            after = before.model_copy(update={"names": before.names[:1]})
            return [(use.node or None, use.field, use.noun, use.name) for use in uses.uses_of_removed(world.engine, session, before, after)]

    assert taken_away() == [(*place, noun, own)]
    with world.db.write() as session:
        publishing.stop(world.engine, session, journey, "test", world.now)
    assert taken_away() == []


def test_a_near_purpose_is_proposed(world):
    with world.db.read() as session:
        [issue] = publishing.check_draft(world.engine, session, {**CALL, "settings": {"purpose": "newsleter"}})
    assert issue.message == "There is no consent purpose “newsleter”. Did you mean “newsletter”?"


def test_a_class_of_caps_that_a_journey_counts_in_is_named_before_it_goes(world):
    with world.db.write() as session:
        settings.put(session, "frequency_caps", {"caps": [{"cap_class": "service", "count": 3, "per": "P7D"}]}, "test", world.now)
    world.publish({**CALL, "settings": {"cap_class": "service"}})
    with world.db.read() as session:
        before = settings.load(session, settings.FrequencyCaps)
        found = uses.uses_of_removed(world.engine, session, before, settings.FrequencyCaps(caps=()))
    assert [(use.journey_name, use.node, use.field, use.name) for use in found] == [("Call", "", "settings.cap_class", "service")]


SHARED = {**CALL, "nodes": {**CALL["nodes"], "call": {"kind": "assign_owner", "name": "Share", "pool": "team"}}}


def sharing(world, *people):
    with world.db.write() as session:
        members.put_rotation(session, "team", list(people), "Team")


def test_a_rotation_in_which_nobody_is_active_is_not_published(world):
    kim, lee, _ = member(world), member(world, name="Lee"), member(world, "admin", "Ada")
    sharing(world)
    assert issues(world, SHARED) == {("call", "pool", "idle_pool")}
    sharing(world, kim, lee)
    assert issues(world, SHARED) == set()
    for id, left in ((kim, set()), (lee, {("call", "pool", "idle_pool")})):
        with world.db.write() as session:
            members.change_member(session, id, {"active": False}, "test")
        assert issues(world, SHARED) == left


def test_who_is_absent_comes_back_and_so_keeps_a_rotation(world):
    kim = member(world)
    sharing(world, kim)
    with world.db.write() as session:
        members.set_absence(session, kim, world.now + timedelta(days=30))
    assert issues(world, SHARED) == set()


def test_a_version_whose_rotation_ran_empty_goes_on_without_a_new_owner(world):
    kim, _ = member(world), member(world, "admin", "Ada")
    sharing(world, kim)
    world.publish(SHARED)
    sharing(world)
    run = world.happens(world.contact(), "Signed Up")
    assert run is not None


def test_the_last_one_of_a_rotation_is_named_before_they_go(world):
    kim, lee = member(world), member(world, name="Lee")
    sharing(world, kim, lee)
    world.publish(SHARED)

    def found(members):
        with world.db.read() as session:
            return [(use.node, use.name) for use in uses.uses_without(world.engine, session, "team", members)]

    def last():
        with world.db.read() as session:
            return {who: [use.node_name for use in used] for who, used in uses.uses_of_last(world.engine, session).items()}

    assert (found([kim]), found([]), last()) == ([], [("call", "team")], {})
    member(world, "admin", "Ada")
    with world.db.write() as session:
        assert uses.uses_of_member(world.engine, session, lee) == []
        members.change_member(session, lee, {"active": False}, "test")
    assert (found([lee]), found([kim]), last()) == ([("call", "team")], [], {("team", kim): ["Share"]})
    with world.db.read() as session:
        assert [use.noun for use in uses.uses_of_member(world.engine, session, kim)] == ["pool"]
