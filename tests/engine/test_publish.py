"""Back to an earlier version: as a new one, with everybody inside where they are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import select

from engine.versions import publish
from journeys.document import digest
from journeys.errors import Conflict, Invalid, NotFound
from journeys.reading import read
from models import Audit, Journey, Version

FIRST = {
    "spec": 1,
    "key": "back",
    "name": "Back",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "pause",
    "nodes": {"pause": {"kind": "wait", "duration": "P3D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "pause", "to": "end"}],
}
SECOND = {**FIRST, "name": "Back, shorter", "nodes": {**FIRST["nodes"], "pause": {"kind": "wait", "duration": "P1D"}}}
THIRD = {**FIRST, "name": "Back, never published"}


@pytest.fixture
def journey(world):
    """Two versions, one contact on the second."""
    world.publish(FIRST)
    return world.publish(SECOND)


def roll_back(world, journey, number, **more):
    with world.db.write() as session:
        return publish.roll_back(world.engine, session, journey, number, "member:x", world.now, **more)


def edit(world, journey, document):
    with world.db.write() as session:
        row = publish.get_journey(session, journey)
        publish.save_draft(session, journey, document, row.revision, "member:y", world.now)


def get(world, journey) -> Journey:
    with world.db.read() as session:
        return publish.get_journey(session, journey)


def test_an_earlier_version_is_published_once_more(world, journey):
    inside = world.run(world.happens(world.contact(), "Signed Up"))
    made = roll_back(world, journey, 1)
    row = get(world, journey)
    assert (made.version.number, made.copy_key) == (3, None)
    assert (row.live_version, row.state, row.name, row.draft["nodes"]["pause"]["duration"]) == (3, "live", "Back", "P3D")
    with world.db.read() as session:
        versions = session.scalars(select(Version).where(Version.journey_id == journey).order_by(Version.number)).all()
        actions = session.scalars(select(Audit.action).order_by(Audit.id)).all()
    assert [one.document["name"] for one in versions] == ["Back", "Back, shorter", "Back"]
    assert versions[2].digest == versions[0].digest
    assert actions[-2:] == ["journey.publish", "journey.roll_back"]
    assert world.row(inside).version_number == 2
    entered = world.run(world.happens(world.contact(), "Signed Up"))
    assert world.row(entered).version_number == 3
    assert world.row(entered).due_at - world.now == timedelta(days=3)


def test_edits_that_were_never_published_are_not_lost_by_accident(world, journey):
    edit(world, journey, THIRD)
    with pytest.raises(Conflict) as refused:
        roll_back(world, journey, 1)
    assert refused.value.details["unpublished"]
    assert get(world, journey).name == "Back, never published"


def test_they_can_be_kept_as_a_copy(world, journey):
    edit(world, journey, THIRD)
    assert roll_back(world, journey, 1, unpublished="copy").copy_key == "back_draft"
    copy = get(world, "back_draft")
    assert (copy.state, copy.live_version, copy.draft["nodes"], copy.draft["key"]) == ("draft", None, THIRD["nodes"], "back_draft")
    edit(world, journey, THIRD)
    assert roll_back(world, journey, 2, unpublished="copy").copy_key == "back_draft2"


def test_they_can_be_dropped(world, journey):
    edit(world, journey, THIRD)
    made = roll_back(world, journey, 1, unpublished="drop")
    assert (made.version.number, made.copy_key, get(world, journey).draft["name"]) == (3, None, "Back")


def test_somebody_who_saved_meanwhile_is_not_overrun(world, journey):
    seen = get(world, journey).revision
    edit(world, journey, THIRD)
    with pytest.raises(Conflict):
        roll_back(world, journey, 1, revision=seen, unpublished="drop")


TYPO = {"field": "last_name", "operator": "=", "value": "King", "witin": "P7D"}
STRAYS = {
    "in the entry": {"entry": {**FIRST["entry"], "filter": TYPO}},
    "in a step": {
        "nodes": {**FIRST["nodes"], "pause": {"kind": "if_else", "rule": TYPO}},
        "edges": [{"from": "pause", "outlet": outlet, "to": "end"} for outlet in ("yes", "no")],
    },
}


@pytest.mark.parametrize("place", STRAYS)
def test_a_version_from_before_unknown_keys_were_refused_can_be_gone_back_to_and_published_again(world, journey, place):
    """It runs without the key anyhow; only a draft that somebody changes must do without it."""
    stored = {**FIRST, **STRAYS[place]}
    with world.db.write() as session:
        session.execute(update(Version).where(Version.number == 1).values(document=stored, digest=digest(read(stored))))
    assert roll_back(world, journey, 1).version.number == 3
    with world.db.write() as session:
        assert publish.publish(world.engine, session, journey, "member:x", "", world.now).number == 3
    if place == "in a step":
        edit(world, journey, {**stored, "name": "Back, changed"})
        with world.db.write() as session, pytest.raises(Invalid):
            publish.publish(world.engine, session, journey, "member:x", "", world.now)


def test_there_is_nothing_to_go_back_to(world, journey):
    with pytest.raises(Conflict):
        roll_back(world, journey, 2)
    with pytest.raises(NotFound):
        roll_back(world, journey, 9)


def test_an_earlier_version_that_has_problems_today_changes_nothing(world, reference):
    key = world.publish(reference)
    world.publish({**SECOND, "key": "reference"})
    with world.db.write() as session:
        session.execute(publish.update(publish.Template).values(archived_at=world.now))
    with pytest.raises(Invalid):
        roll_back(world, key, 1)
    row = get(world, key)
    assert (row.live_version, row.name) == (2, "Back, shorter")
