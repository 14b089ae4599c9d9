"""A no follows the mailbox: whoever says it says it for everybody who has the address, and only the mailbox itself takes it back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlmodel import select

from activities.sending.gate import Pass, Refuse, SendRequest, ask
from crm.consent import consent, mailbox, opt_out, suppression
from crm.consent.consent import Evidence, record_consent
from crm.imports import bulk
from crm.imports.columns import Person, Said
from crm.people import profile
from crm.people.merge import merge
from crm.privacy.erasure import erase
from models import Audit, Contact, Database, MailboxConsent

KEYS = [b"k" * 32, b"old" * 11]
HOUR = timedelta(hours=1)
FAMILY, OWN = "family@example.org", "own@example.org"
Make = Callable[..., str]


def say(
    session: Session, contact: str, state: str, at: datetime, *, channel: str = "email", purpose: str = "marketing", **more: Any
) -> None:
    evidence = more.pop("evidence", Evidence.DATED)
    record_consent(session, contact, channel, purpose, state, at, evidence=evidence, source=f"test {at:%d %H:%M}", **more)


def verdict(session: Session, contact_id: str, now: datetime, *, channel: str = "email", purpose: str = "marketing") -> Any:
    session.flush()
    wanted = SendRequest("m", channel, purpose, "marketing", "default", 3, None, "UTC")
    return ask(session, session.get(Contact, contact_id), wanted, KEYS, now)


@pytest.fixture
def couple(session: Session, make_contact: Make, now: datetime) -> tuple[str, str]:
    """Two user ids with one address, who both agreed."""
    for name in ("acc-1", "acc-2"):
        make_contact(name, email=FAMILY, phone="+41446681800")
        for channel in ("email", "sms", "whatsapp"):
            say(session, name, "granted", now - HOUR, channel=channel)
    return "acc-1", "acc-2"


def test_a_no_of_one_stops_both(session: Session, couple: tuple[str, str], now: datetime) -> None:
    assert verdict(session, "acc-2", now) == Pass(FAMILY)
    say(session, "acc-1", "withdrawn", now)
    assert verdict(session, "acc-1", now) == Refuse("no_consent")
    assert verdict(session, "acc-2", now) == Refuse("suppressed_unsubscribe")
    assert consent.state(session, "acc-2", "email", "marketing") == "granted", "what the other said is not rewritten"


def test_it_is_about_one_channel_and_purpose(session: Session, couple: tuple[str, str], now: datetime) -> None:
    say(session, "acc-2", "granted", now - HOUR, purpose="newsletter")
    say(session, "acc-1", "withdrawn", now, channel="sms")
    assert verdict(session, "acc-2", now, channel="sms") == Refuse("suppressed_unsubscribe")
    assert verdict(session, "acc-2", now, channel="whatsapp") == Pass("+41446681800"), "one number, but another channel"
    say(session, "acc-1", "withdrawn", now)
    assert verdict(session, "acc-2", now, purpose="newsletter") == Pass(FAMILY)


def test_an_objection_is_about_everything(session: Session, couple: tuple[str, str], now: datetime) -> None:
    say(session, "acc-2", "granted", now - HOUR, purpose="newsletter")
    consent.object_all(session, "acc-1", now, source="letter")
    for channel, purpose in (("email", "marketing"), ("email", "newsletter"), ("sms", "marketing"), ("whatsapp", "marketing")):
        assert verdict(session, "acc-2", now, channel=channel, purpose=purpose) == Refuse("suppressed_unsubscribe")


def test_who_opts_out_stops_every_purpose_of_the_number_until_they_start_again(
    session: Session, couple: tuple[str, str], now: datetime
) -> None:
    phone = "+41446681800"
    say(session, "acc-2", "granted", now - HOUR, channel="sms", purpose="news")
    for later in (0, 1):
        opt_out.opt_out(session, "acc-1", "sms", phone, now + later * HOUR, by="twilio.main", proof={})
    assert verdict(session, "acc-2", now + HOUR, channel="sms", purpose="news") == Refuse("suppressed_unsubscribe")
    assert verdict(session, "acc-2", now + HOUR, channel="whatsapp") == Pass(phone), "another channel"
    opt_out.opt_in(session, "acc-1", "sms", phone, now + 2 * HOUR, by="twilio.main", proof={})
    for name, purpose in (("acc-1", "marketing"), ("acc-2", "marketing"), ("acc-2", "news")):
        assert verdict(session, name, now + 2 * HOUR, channel="sms", purpose=purpose) == Pass(phone)


def test_to_start_again_takes_back_no_objection(session: Session, couple: tuple[str, str], now: datetime) -> None:
    say(session, "acc-2", "granted", now - HOUR, channel="sms", purpose="news")
    consent.object_all(session, "acc-1", now, source="letter")
    opt_out.opt_out(session, "acc-1", "sms", "+41446681800", now + HOUR, by="twilio.main", proof={})
    opt_out.opt_in(session, "acc-1", "sms", "+41446681800", now + 2 * HOUR, by="twilio.main", proof={})
    assert verdict(session, "acc-1", now + 2 * HOUR, channel="sms") == Refuse("no_consent")
    assert verdict(session, "acc-2", now + 2 * HOUR, channel="sms", purpose="news") == Refuse("suppressed_unsubscribe")


@pytest.mark.parametrize("spelled", [" Family@Example.ORG ", "family@example.org\u200b", "FAMILY@EXAMPLE.ORG"])
def test_every_spelling_is_the_same_mailbox(session: Session, couple: tuple[str, str], now: datetime, spelled: str) -> None:
    say(session, "acc-1", "withdrawn", now)
    assert mailbox.says_no(session, KEYS, "email", "marketing", spelled.replace("\u200b", " "))


def test_who_gets_the_address_later_is_stopped_too(session: Session, couple: tuple[str, str], make_contact: Make, now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    profile.update_fields(session, "acc-1", {"email": OWN}, now, "api")
    make_contact("later", email=FAMILY)
    say(session, "later", "granted", now + HOUR)
    assert verdict(session, "later", now + HOUR) == Refuse("suppressed_unsubscribe")


def test_a_no_goes_with_who_said_it_to_a_new_address(session: Session, couple: tuple[str, str], make_contact: Make, now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    make_contact("new", email=OWN)
    say(session, "new", "granted", now - HOUR)
    profile.update_fields(session, "acc-1", {"email": OWN}, now + HOUR, "api")
    assert verdict(session, "new", now + HOUR) == Refuse("suppressed_unsubscribe")


def test_an_import_says_no_for_the_address_as_well(session: Session, couple: tuple[str, str], now: datetime) -> None:
    no = Said(channel="email", purpose="marketing", state="withdrawn", said_at=None, source="", wording="")
    person = Person(names=[("user_id", "u9")], fields={"email": FAMILY}, tags=(), consents=[no])
    bulk.write_people(session, [person], now, bulk.WriteMode("import:x", "import:x"))
    assert verdict(session, "acc-2", now) == Refuse("suppressed_unsubscribe")


def test_only_the_mailbox_itself_answers_the_no_of_another(session: Session, couple: tuple[str, str], now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    say(session, "acc-2", "granted", now + HOUR)
    assert verdict(session, "acc-2", now + HOUR) == Refuse("suppressed_unsubscribe"), "a yes of another origin"
    say(session, "acc-2", "granted", now + 2 * HOUR, mailbox=OWN)
    assert verdict(session, "acc-2", now + 2 * HOUR) == Refuse("suppressed_unsubscribe"), "from another mailbox"
    say(session, "acc-2", "granted", now + 3 * HOUR, said_at=now - HOUR, mailbox=FAMILY)
    assert verdict(session, "acc-2", now + 3 * HOUR) == Refuse("suppressed_unsubscribe"), "said before the no"
    say(session, "acc-2", "granted", now + 4 * HOUR, mailbox=FAMILY)
    assert verdict(session, "acc-2", now + 4 * HOUR) == Pass(FAMILY)
    assert verdict(session, "acc-1", now + 4 * HOUR) == Refuse("no_consent"), "who said no still says no"
    say(session, "acc-1", "withdrawn", now + 5 * HOUR)
    assert verdict(session, "acc-2", now + 5 * HOUR) == Refuse("suppressed_unsubscribe")


def test_who_said_no_may_say_yes_again_but_not_for_another(session: Session, couple: tuple[str, str], now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    say(session, "acc-1", "granted", now + HOUR, evidence=Evidence.UNDATED)
    assert verdict(session, "acc-2", now + HOUR) == Refuse("suppressed_unsubscribe"), "a repetition"
    say(session, "acc-1", "granted", now + 2 * HOUR)
    assert verdict(session, "acc-1", now + 2 * HOUR) == verdict(session, "acc-2", now + 2 * HOUR) == Pass(FAMILY)
    say(session, "acc-2", "withdrawn", now + 3 * HOUR)
    say(session, "acc-1", "withdrawn", now + 4 * HOUR)
    say(session, "acc-1", "granted", now + 5 * HOUR)
    assert verdict(session, "acc-1", now + 5 * HOUR) == Refuse("suppressed_unsubscribe"), "the other one's no stands"


def test_a_double_opt_in_from_the_mailbox_is_heard(session: Session, couple: tuple[str, str], make_contact: Make, now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    make_contact("new", email=FAMILY)
    say(session, "new", "pending", now + HOUR)
    consent.confirm(session, "new", "email", "marketing", now + 2 * HOUR, source="form", mailbox=FAMILY, keys=KEYS)
    assert verdict(session, "new", now + 2 * HOUR) == Pass(FAMILY)
    say(session, "acc-1", "withdrawn", now + 3 * HOUR)
    assert consent.confirm(session, "new", "email", "marketing", now + 4 * HOUR, source="form", mailbox=FAMILY, keys=KEYS) is None
    assert verdict(session, "new", now + 4 * HOUR) == Pass(FAMILY), "who had said yes is heard again"


def test_a_no_outlives_the_erasure_without_a_name(session: Session, couple: tuple[str, str], now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    erase(session, "acc-1", now, by="test", keys=KEYS[:1])
    session.flush()
    assert FAMILY not in {row.mailbox for row in session.scalars(select(MailboxConsent))}
    assert verdict(session, "acc-2", now) == Refuse("suppressed_unsubscribe")
    say(session, "acc-2", "granted", now + HOUR, mailbox=FAMILY)
    assert verdict(session, "acc-2", now + HOUR) == Pass(FAMILY), "the mailbox may say yes again"


def test_a_no_is_found_with_an_old_key(session: Session, couple: tuple[str, str], now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    erase(session, "acc-1", now, by="test", keys=KEYS[1:])
    assert verdict(session, "acc-2", now) == Refuse("suppressed_unsubscribe")


def test_a_merge_keeps_the_no(session: Session, couple: tuple[str, str], make_contact: Make, now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    make_contact("third", email=OWN)
    make_contact("fourth", email=OWN)
    say(session, "fourth", "granted", now)
    merge(session, "third", "acc-1", now)
    assert verdict(session, "acc-2", now) == Refuse("suppressed_unsubscribe")
    assert verdict(session, "fourth", now) == Refuse("suppressed_unsubscribe"), "the winner's address is the speaker's now"
    say(session, "third", "granted", now + HOUR)
    assert verdict(session, "fourth", now + HOUR) == Pass(OWN), "the words of both are one person's"
    assert verdict(session, "acc-2", now + HOUR) == Refuse("suppressed_unsubscribe"), "who said yes does not have this address any more"


def test_an_audited_act_answers_the_no_but_a_living_address_does_not(session: Session, couple: tuple[str, str], now: datetime) -> None:
    say(session, "acc-1", "withdrawn", now)
    suppression.suppress(session, KEYS, "email", FAMILY, "hard_bounce", now)
    assert mailbox.refusal(session, KEYS, "email", FAMILY) == "hard_bounce"
    assert mailbox.lift(session, KEYS, "email", FAMILY, "m1", "the mailbox is back", now + HOUR)
    assert verdict(session, "acc-2", now + HOUR) == Refuse("suppressed_unsubscribe"), "a bounce that is over is no yes"
    assert mailbox.lift(session, KEYS, "email", FAMILY, "m1", "a letter from both", now + HOUR)
    assert verdict(session, "acc-2", now + HOUR) == Pass(FAMILY)
    assert [row.detail["reason"] for row in session.scalars(select(Audit))] == ["hard_bounce", "unsubscribe"]
    assert not mailbox.lift(session, KEYS, "email", FAMILY, "m1", "once more", now + HOUR)


def test_the_gate_looks_a_mailbox_up_by_its_key(sqlite_db: Database, now: datetime) -> None:
    with sqlite_db.write() as session:
        mailbox.says_no(session, KEYS, "email", "marketing", FAMILY)
        plan = session.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT max(said_at) FROM mailbox_consent WHERE channel = 'email' AND mailbox IN ('a', 'b')"
                " AND purpose IN ('marketing', '*')"
            )
        ).all()
    assert all("SEARCH mailbox_consent USING INDEX" in row[3] for row in plan)


CONTACTS = ("a", "b", "c")
ADDRESSES = ("x@example.org", "y@example.org")
words = st.tuples(
    st.just("say"),
    st.sampled_from(CONTACTS),
    st.sampled_from(["granted", "withdrawn", "pending"]),
    st.sampled_from([Evidence.DATED, Evidence.UNDATED, Evidence.UNAUTHENTICATED]),
    st.booleans(),
)
moves = st.tuples(st.just("move"), st.sampled_from(CONTACTS), st.sampled_from(ADDRESSES))
ends = st.tuples(st.just("erase"), st.sampled_from(CONTACTS))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(st.one_of(words, words, moves, ends), min_size=1, max_size=14))
def test_no_message_reaches_a_mailbox_whose_last_word_was_no(sqlite_db: Database, now: datetime, story: list[tuple[Any, ...]]) -> None:
    """The reference knows lists only. A mailbox's words: every no said by whoever has it, and every yes that came from it; a speaker's
    own later yes takes the speaker's noes away. If the last of them is a no, nothing goes there, whoever is asked for."""
    said: dict[str, list[tuple[str, str]]] = defaultdict(list)
    has = dict.fromkeys(CONTACTS, ADDRESSES[0])
    gone: set[str] = set()
    with (
        sqlite_db.engine.connect().execution_options(pfadwerk_write=True) as connection,
        Session(connection, info=sqlite_db.info) as session,
    ):
        for id in CONTACTS:
            session.add(Contact(id=id, email=ADDRESSES[0], created_at=now, updated_at=now))
        session.flush()
        for number, (what, who, *more) in enumerate(story):
            at = now + number * HOUR
            if who in gone:
                continue
            if what == "move":
                has[who] = more[0]
                profile.update_fields(session, who, {"email": has[who]}, at, "test")
            elif what == "erase":
                erase(session, who, at, by="test", keys=KEYS)
                gone.add(who)
            else:
                state, evidence, proven = more
                before = consent.state(session, who, "email", "marketing")
                say(session, who, state, at, evidence=evidence, mailbox=has[who] if proven and evidence is Evidence.DATED else None)
                after = consent.state(session, who, "email", "marketing")
                if state == "withdrawn" and (evidence is Evidence.DATED or before != "withdrawn"):
                    said[has[who]].append((who, "no"))
                elif after == state == "granted" and evidence is Evidence.DATED:
                    said[has[who]] = [word for word in said[has[who]] if word != (who, "no")]
                    if proven:
                        said[has[who]].append((who, "yes"))
            for person in set(CONTACTS) - gone:
                last = said[has[person]][-1:]
                if last and last[0][1] == "no":
                    assert not isinstance(verdict(session, person, at), Pass)
        connection.rollback()
