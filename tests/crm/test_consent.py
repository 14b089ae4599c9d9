from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from crm import consent
from crm.consent import CHANNELS, STRICTNESS, confirm, history, object_all, record_consent, shorten_ip, state
from journeys.errors import Invalid, TooLarge
from models import Contact, Database, Event

HOUR = timedelta(hours=1)


def say(session: Session, contact: str, what: str, now: datetime, **more: Any) -> Event | None:
    return record_consent(session, contact, "email", "marketing", what, now, source=more.pop("source", "api"), **more)


def test_a_statement_becomes_the_state_and_an_event(session: Session, contact: str, now: datetime) -> None:
    assert state(session, contact, "email", "marketing") is None
    event = say(session, contact, "granted", now, wording="Yes please", proof={"ip": "203.0.113.77", "form": "/signup"})
    assert event is not None
    assert (event.name, event.properties) == ("Consent Changed", {"channel": "email", "purpose": "marketing", "state": "granted"})
    assert state(session, contact, "email", "marketing") == "granted"
    [line] = history(session, contact)
    assert (line.wording, line.proof) == ("Yes please", {"ip": "203.0.113.0", "form": "/signup"})


def test_saying_it_again_later_is_logged_but_changes_nothing(session: Session, contact: str, now: datetime) -> None:
    say(session, contact, "granted", now)
    assert say(session, contact, "granted", now + HOUR) is None
    assert len(history(session, contact)) == 2
    assert say(session, contact, "granted", now + HOUR) is None
    assert len(history(session, contact)) == 2, "the same statement twice (an import run again) is one"


def test_what_was_said_last_counts_whenever_it_arrives(session: Session, contact: str, now: datetime) -> None:
    say(session, contact, "withdrawn", now)
    assert say(session, contact, "granted", now + HOUR, said_at=now - HOUR) is None
    assert state(session, contact, "email", "marketing") == "withdrawn"
    assert history(session, contact)[-1].proof == {"applied": False}


def test_of_two_at_one_instant_the_stricter_counts(session: Session, contact: str, now: datetime) -> None:
    say(session, contact, "withdrawn", now)
    assert say(session, contact, "granted", now, source="form") is None
    assert state(session, contact, "email", "marketing") == "withdrawn"
    assert say(session, contact, "granted", now + HOUR) is not None


def test_double_opt_in(session: Session, contact: str, now: datetime) -> None:
    assert confirm(session, contact, "email", "marketing", now, source="confirm") is None
    say(session, contact, "pending", now)
    event = confirm(session, contact, "email", "marketing", now + HOUR, source="confirm", proof={"ip": "2001:db8:1234:5678::1"})
    assert event is not None
    assert event.properties["state"] == "granted"
    assert history(session, contact)[-1].proof == {"ip": "2001:db8:1234::"}
    assert confirm(session, contact, "email", "marketing", now + HOUR, source="confirm") is None
    assert say(session, contact, "pending", now + 2 * HOUR) is None, "asking again takes nothing away"
    assert state(session, contact, "email", "marketing") == "granted"
    say(session, contact, "withdrawn", now + 3 * HOUR)
    assert confirm(session, contact, "email", "marketing", now + 4 * HOUR, source="old mail") is None


def test_nobody_consents_in_the_future(session: Session, contact: str, now: datetime) -> None:
    say(session, contact, "granted", now, said_at=now + timedelta(days=365))
    assert say(session, contact, "withdrawn", now + HOUR) is not None


def test_an_objection_covers_everything(session: Session, contact: str, now: datetime) -> None:
    say(session, contact, "granted", now)
    record_consent(session, contact, "email", "newsletter", "granted", now, source="api")
    events = object_all(session, contact, now + HOUR, source="letter")
    assert {(event.properties["channel"], event.properties["purpose"]) for event in events} == {
        *((channel, "marketing") for channel in CHANNELS),
        ("email", "newsletter"),
    }
    assert object_all(session, contact, now + HOUR, source="letter") == []


@pytest.mark.parametrize(
    ("channel", "purpose", "what"),
    [
        ("email", "marketing", "maybe"),
        ("E-Mail", "marketing", "granted"),
        ("", "marketing", "granted"),
        ("email", "", "granted"),
        ("e" * 33, "m", "granted"),
    ],
)
def test_nonsense_is_refused(session: Session, contact: str, now: datetime, channel: str, purpose: str, what: str) -> None:
    with pytest.raises(Invalid):
        record_consent(session, contact, channel, purpose, what, now, source="api")


def test_a_proof_is_small(session: Session, contact: str, now: datetime) -> None:
    with pytest.raises(TooLarge):
        say(session, contact, "granted", now, proof={"x": "y" * 9_000})


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2::3", "2001:db8:1::"),
        ("not an ip", ""),
    ],
)
def test_addresses_are_shortened(address: str, kept: str) -> None:
    assert shorten_ip(address) == kept


statements = st.lists(st.tuples(st.sampled_from(sorted(STRICTNESS)), st.integers(0, 5)), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=statements)
def test_without_double_opt_in_the_state_is_what_was_said_last(sqlite_db: Database, now: datetime, said: list[tuple[str, int]]) -> None:
    """In any order of arrival: the newest instant wins, at one instant the stricter."""
    said = [(what, at) for what, at in said if what != "pending"] or [("granted", 0)]
    with sqlite_db.write() as session:
        contact = consent_contact(session, now)
        for number, (what, at) in enumerate(said):
            say(session, contact, what, now, said_at=now - timedelta(hours=10 - at), source=f"s{number}")
        last = max(at for _, at in said)
        expected = max((what for what, at in said if at == last), key=STRICTNESS.__getitem__)
        assert consent.state(session, contact, "email", "marketing") == expected


def consent_contact(session: Session, now: datetime) -> str:
    contact = Contact(created_at=now, updated_at=now)
    session.add(contact)
    session.flush()
    return contact.id
