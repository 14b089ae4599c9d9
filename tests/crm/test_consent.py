from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from crm.consent import consent
from crm.consent.consent import (
    CONSENTS,
    STRICTNESS,
    TOPIC,
    Evidence,
    Standing,
    admitted,
    confirm,
    does_apply,
    history,
    object_all,
    record_consent,
    shorten_ip,
    state,
)
from crm.imports.bulk import WriteMode, write_people
from crm.imports.columns import Person, Said
from journeys.errors import Invalid, TooLarge
from models import Contact, Database, Event, Identity
from tests.broken import copies

HOUR = timedelta(hours=1)


def say(session: Session, contact: str, what: str, now: datetime, **more: Any) -> Event | None:
    named = {"evidence": Evidence.DATED, "source": "api", **more}
    return record_consent(session, contact, "email", "marketing", what, now, **named)


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
    record_consent(session, contact, "email", "newsletter", "granted", now, evidence=Evidence.DATED, source="api")
    events = object_all(session, contact, now + HOUR, source="letter")
    assert {(event.properties["channel"], event.properties["purpose"]) for event in events} == {
        *((channel, "marketing") for channel in CONSENTS if channel != TOPIC),
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
        record_consent(session, contact, channel, purpose, what, now, evidence=Evidence.DATED, source="api")


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


Table = dict[tuple[Evidence, str, str, str], str | None]
"""(evidence, what is said, what holds, when it is said) -> what holds afterwards."""

HOLDING = ("nothing", "withdrawn", "pending", "granted", "granted, undated")


def expected(evidence: Evidence, said: str, holds: str, when: str) -> str | None:
    """The law in words, apart from the code: what a statement makes of what holds."""
    before = None if holds == "nothing" else holds.split(",")[0]
    waits = "pending" if evidence is Evidence.UNAUTHENTICATED and said == "granted" else said
    if before is None:
        return waits
    if said == "withdrawn":
        no_counts = when != "before" or holds == "granted, undated"
        return "withdrawn" if no_counts else before
    if evidence is Evidence.UNAUTHENTICATED:
        return before  # never looser than what holds
    if evidence is Evidence.UNDATED and before == "withdrawn":
        return before  # a repetition, whenever it comes
    if said == "pending" and before == "granted":
        return before  # asking again takes nothing away
    if when == "same" and STRICTNESS[said] < STRICTNESS[before] and (before, said) != ("pending", "granted"):
        return before
    return before if when == "before" else said


LAW: Table = {
    (evidence, said, holds, when): expected(evidence, said, holds, when)
    for evidence in Evidence
    for said in STRICTNESS
    for holds in HOLDING
    for when in ("before", "same", "after")
}


def standing(holds: str, at: datetime) -> Standing | None:
    return None if holds == "nothing" else Standing(holds.split(",")[0], at, "undated" not in holds)


def broken(rule: Callable[..., bool], now: datetime) -> Iterator[tuple[Evidence, str, str, str]]:
    """The lines of the table that `rule` does not keep."""
    for (evidence, said, holds, when), after in LAW.items():
        at = now + {"before": -HOUR, "same": 0 * HOUR, "after": HOUR}[when]
        present, counts_as = standing(holds, now), admitted(said, evidence)
        found = counts_as if rule(present, counts_as, at, evidence) else present.state if present else None
        if found != after:
            yield evidence, said, holds, when


def test_what_a_statement_may_do_is_a_table(now: datetime) -> None:
    assert list(broken(does_apply, now)) == []
    assert keeps_the_rest(does_apply, now)


def keeps_the_rest(rule: Callable[..., bool], now: datetime) -> bool:
    """What the table cannot show: an older withdrawal does not make a standing one older (a yes from between the two would count), and
    anybody's yes confirms nothing even if a caller forgets to ask what it is admitted as."""
    older = rule(Standing("withdrawn", now, dated=False), "withdrawn", now - HOUR, Evidence.DATED)
    confirmed = rule(Standing("pending", now), "granted", now + HOUR, Evidence.UNAUTHENTICATED)
    return not older and not confirmed


SAME = {
    "STRICTNESS[state] >= STRICTNESS[present.state]: Gt": "who says the same at the same instant changes nothing",
    "said_at > present.said_at: GtE": "what was said at the same instant is decided above",
}
"""What is turned round -> why no case can tell."""


def test_each_rule_is_needed(now: datetime) -> None:
    rules = dict(copies(does_apply))
    assert len(rules) > 10
    for text, rule in rules.items():
        try:
            fails = bool(list(broken(rule, now))) or not keeps_the_rest(rule, now)
        except AttributeError:  # nothing holds: without the first rule there is nothing to ask
            fails = True
        assert fails or text.partition(" ")[2] in SAME, f"nothing notices that this rule is gone: {text}"


@pytest.mark.parametrize("evidence", Evidence)
@pytest.mark.parametrize("said", STRICTNESS)
@pytest.mark.parametrize("holds", HOLDING)
def test_the_log_and_the_state_keep_the_table(
    session: Session, contact: str, now: datetime, evidence: Evidence, said: str, holds: str
) -> None:
    if holds != "nothing":
        first = Evidence.UNDATED if "undated" in holds else Evidence.DATED
        say(session, contact, holds.split(",")[0], now, evidence=first, said_at=now)
    for when, at in (("before", now - HOUR), ("same", now), ("after", now + HOUR)):
        with session.begin_nested() as attempt:
            say(session, contact, said, now + 2 * HOUR, evidence=evidence, said_at=at, source="another")
            assert state(session, contact, "email", "marketing") == LAW[evidence, said, holds, when], when
            attempt.rollback()
        session.expire_all()


@pytest.mark.parametrize("said", STRICTNESS)
@pytest.mark.parametrize("holds", HOLDING)
@pytest.mark.parametrize("dated", [True, False])
def test_an_import_keeps_the_same_table(session: Session, contact: str, now: datetime, said: str, holds: str, dated: bool) -> None:
    session.add(Identity(kind="user_id", value="u1", contact_id=contact, created_at=now))
    if holds != "nothing":
        first = Evidence.UNDATED if "undated" in holds else Evidence.DATED
        say(session, contact, holds.split(",")[0], now, evidence=first, said_at=now)
    evidence = Evidence.DATED if dated else Evidence.UNDATED
    cell = Said("email", "marketing", said, now + HOUR if dated else None, "file", "")
    write_people(session, [Person([("user_id", "u1")], consents=[cell])], now + 2 * HOUR, WriteMode("import", "file"))
    assert state(session, contact, "email", "marketing") == LAW[evidence, said, holds, "after"]


def test_granted_at_every_login_is_no_news(session: Session, contact: str, now: datetime) -> None:
    """It neither takes back the no, nor outdates one that was said between two logins and is heard of later, nor fills the log."""
    for login in range(3):
        say(session, contact, "granted", now + login * HOUR, evidence=Evidence.UNDATED)
    assert len(history(session, contact)) == 1
    assert say(session, contact, "withdrawn", now + 3 * HOUR, said_at=now + HOUR) is not None
    for login in range(4, 7):
        assert say(session, contact, "granted", now + login * HOUR, evidence=Evidence.UNDATED) is None
    assert state(session, contact, "email", "marketing") == "withdrawn"
    assert len(history(session, contact)) == 2
    assert say(session, contact, "granted", now + 8 * HOUR, evidence=Evidence.DATED, said_at=now + 7 * HOUR) is not None


def test_a_list_of_unsubscribed_people_beats_an_undated_yes_from_today(session: Session, contact: str, now: datetime) -> None:
    say(session, contact, "granted", now, evidence=Evidence.UNDATED)
    assert say(session, contact, "withdrawn", now, said_at=now - timedelta(days=400), source="import:old") is not None


def test_an_unauthenticated_yes_waits_for_its_confirmation(session: Session, contact: str, now: datetime) -> None:
    event = say(session, contact, "granted", now, evidence=Evidence.UNAUTHENTICATED, said_at=now - HOUR)
    assert event is not None
    assert event.properties["state"] == "pending"
    assert history(session, contact)[-1].proof == {"evidence": "unauthenticated", "said": "granted"}
    assert confirm(session, contact, "email", "marketing", now, source="confirm") is not None
