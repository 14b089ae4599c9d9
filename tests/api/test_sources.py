"""The source of events over the API: stable over rotation and renaming; and what comes back from a webhook ends some time."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from sqlmodel import select

from activities.webhooks.client import Request, _headers
from api.admin.journeys import DOCUMENT
from engine.engine import Engine
from engine.enrolment.enrol import MAX_HOPS
from engine.versions.publish import create_journey, publish
from models import Event, Run
from storage.origin import HOPS_HEADER
from workspace.api_keys import add_key, rotate_key


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"{secret}:".encode()).decode()


def events(engine: Engine, name: str) -> list[Event]:
    with engine.db.read() as session:
        return list(session.scalars(select(Event).where(Event.name == name)))


def test_a_call_repeated_with_the_rotated_key_is_stored_once(client: Any, engine: Engine) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        old, secret = add_key(session, "server", "Shop", now)
        _, rotated = rotate_key(session, old.id, now)
        _, other = add_key(session, "server", "Other", now)
    call = {"userId": "u1", "event": "Ordered", "messageId": "m1"}
    for one in (secret, rotated, other):
        assert client.post("/v1/track", json=call, headers={"authorization": basic(one)}).status_code == 200
    assert [event.source == old.source for event in events(engine, "Ordered")] == [True, False]


@pytest.fixture
def journey(engine: Engine) -> str:
    """Anybody who does *Signed Up* enters."""
    now = engine.clock.now()
    with engine.db.write() as session:
        created = create_journey(session, DOCUMENT, "tests", now)
        publish(engine, session, created.id, "tests", "", now)
        return created.id


def test_two_systems_that_answer_each_other_come_to_rest(track: Any, engine: Engine, journey: str) -> None:
    """Each run calls the other system, which sends an event back with the header it got, about somebody else each time."""
    said, entered = "0", 0
    for number in range(3 * MAX_HOPS):
        assert track("track", {"userId": f"u{number}", "event": "Signed Up"}, pfadwerk_hops=said).status_code == 200
        with engine.db.read() as session:
            hops = session.scalars(select(Run.hops).order_by(Run.id)).all()  # type: ignore[arg-type]
        if len(hops) == entered:
            break
        entered = len(hops)
        said = _headers(Request("id", "https://example.org", hops=hops[-1] + 1), engine.clock.now())[HOPS_HEADER]
    assert (entered, len(events(engine, "Signed Up"))) == (MAX_HOPS + 1, MAX_HOPS + 2), "what is too much is stored all the same"


def test_an_event_that_has_been_around_too_often_starts_nothing(track: Any, engine: Engine, journey: str) -> None:
    for number, hops in enumerate((0, MAX_HOPS, MAX_HOPS + 1)):
        assert track("track", {"userId": f"u{number}", "event": "Signed Up"}, pfadwerk_hops=str(hops)).status_code == 200
    with engine.db.read() as session:
        assert sorted(session.scalars(select(Run.hops))) == [0, MAX_HOPS]


def test_what_a_call_changes_has_been_around_as_often_as_the_call(track: Any, engine: Engine) -> None:
    body = {"userId": "u1", "traits": {"plan": "pro", "consents": [{"channel": "email", "state": "granted"}]}}
    assert track("identify", body, pfadwerk_hops="5").status_code == 200
    assert {event.hops for event in events(engine, "Contact Changed")} == {5}
