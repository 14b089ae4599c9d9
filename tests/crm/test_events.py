from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from journeys.errors import Invalid, TooLarge
from models import Event
from storage.events import MAX_EVENT_BYTES, append_event, event_row, insert_events


def test_an_event_is_stored_with_its_id_and_waits_for_routing(session: Session, contact: str, now: datetime) -> None:
    event = append_event(session, contact, "track", " Order Completed ", {"total": 10, "at": "2026-01-01T10:00:00+01:00"}, now, hops=2)
    stored = session.get_one(Event, event.id)
    assert (stored.name, stored.hops, stored.routed, stored.backfill) == ("Order Completed", 2, False, False)
    assert stored.properties == {"total": 10, "at": "2026-01-01T09:00:00.000000Z"}


def test_the_future_has_not_happened(session: Session, contact: str, now: datetime) -> None:
    event = append_event(session, contact, "track", "X", {}, now, occurred_at=now + timedelta(days=1))
    assert event.occurred_at == now


def test_a_message_id_is_stored_once(session: Session, contact: str, now: datetime) -> None:
    first = append_event(session, contact, "system", "Message Sent", {"message_id": "m"}, now, message_id="sent:m")
    again = append_event(session, contact, "system", "Message Sent", {}, now, message_id="sent:m")
    other = append_event(session, contact, "system", "Message Sent", {}, now, message_id="sent:m", source="else")
    assert (again.id == first.id, other.id == first.id) == (True, False)


def row(contact: str, now: datetime, message_id: str, source: str = "api") -> dict[str, object]:
    return event_row("track", "X", {"n": message_id}, received_at=now, source=source, message_id=message_id) | {"contact_id": contact}


def test_a_batch_answers_row_by_row(session: Session, contact: str, now: datetime) -> None:
    first = insert_events(session, [row(contact, now, "a"), row(contact, now, "b"), row(contact, now, "a")])
    assert first[0] is not None
    assert first[1] is not None
    assert first[0] < first[1]
    assert first[2] is None
    second = insert_events(session, [row(contact, now, "b"), row(contact, now, "c"), row(contact, now, "b", source="other")])
    assert second[0] is None
    assert None not in second[1:]
    assert insert_events(session, []) == []
    stored = {event.id: event.properties["n"] for event in session.scalars(select(Event))}
    assert stored == {first[0]: "a", first[1]: "b", second[1]: "c", second[2]: "b"}


def test_a_large_batch_keeps_its_order(session: Session, contact: str, now: datetime) -> None:
    ids = insert_events(session, [row(contact, now, f"m{number}") for number in range(500)])
    numbers = [id for id in ids if id is not None]
    assert len(numbers) == 500
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": ""}, Invalid),
        ({"name": "\x00"}, Invalid),
        ({"name": "x" * 201}, TooLarge),
        ({"type": "click"}, Invalid),
        ({"message_id": "x" * 101}, TooLarge),
        ({"properties": {"a": "x" * MAX_EVENT_BYTES}}, TooLarge),
        ({"context": {"a": "x" * MAX_EVENT_BYTES}}, TooLarge),
    ],
)
def test_what_is_wrong_is_refused_before_the_database(change: dict[str, object], error: type[Exception], now: datetime) -> None:
    usual = {"type": "track", "name": "X", "properties": {}, "received_at": now, "source": "api", "message_id": "m"}
    with pytest.raises(error):
        event_row(**(usual | change))  # type: ignore[arg-type]
