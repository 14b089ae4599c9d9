"""Mails that come in: what proves which message they are about, what they change, and what nobody can change by them."""

from __future__ import annotations

import io
import threading
from datetime import date
from typing import Any

import pytest
from sqlmodel import col, select

from activities import replies
from activities.inbound.take import MOST_AN_HOUR
from activities.providers import Providers
from activities.sending.ledger import message_id_of
from activities.tracking import Tracking
from commands.inbound import AGAIN, inbound
from commands.mail import inbound_of
from crm.consent import consent, suppression
from crm.consent.mailbox import says_no
from crm.privacy.erasure import erase_person
from engine.versions import publish
from models import Body, Contact, EarlyReport, Event, InboundMail, Message, Run
from storage import sending_counts
from storage.sending_counts import Sent
from tests.activities.inbound.test_mail import arf, dsn
from tests.api.conftest import TestClient
from workspace import settings as workspace

ANNA, BEN, MAIL = "a" * 32, "b" * 32, "anna@example.com"
GONE = "Final-Recipient: rfc822; anna@example.com\nAction: failed\nStatus: 5.1.1"
KEY = "run:hello:1"


@pytest.fixture
def message(engine: Any) -> str:
    """A contact who got an e-mail, and has agreed to them."""
    now = engine.clock.now()
    with engine.db.write() as session:
        session.add(Contact(id=ANNA, email=MAIL, created_at=now, updated_at=now))
        session.flush()
        session.add(body := Body(contact_id=ANNA, recipient=MAIL, sender="Shop <news@Shop.example>", text="Hi", created_at=now))
        session.flush()
        session.add(
            Message(
                id=message_id_of(KEY), once_key=KEY, contact_id=ANNA, channel="email", status="sent", provider="smtp", account="smtp.main",
                node="hello", template="hello", planned_at=now, sent_at=now, body_id=body.id,
            )
        )  # fmt: skip
        agree(session, ANNA, now)
    return message_id_of(KEY)


def agree(session: Any, contact: str, now: Any) -> None:
    consent.record_consent(session, contact, "email", "marketing", "granted", now, evidence=consent.Evidence.DATED, source="test")


@pytest.fixture
def verp(settings: Any, message: str) -> str:
    return Tracking(settings.signing_keys(), settings.public_url).bounce_address("bounces@m.example.org", message)


def brings(admin: TestClient, raw: bytes, **query: str) -> str:
    answer = admin.post("/api/v1/inbound-mails", content=raw, params=query, headers={"content-type": "message/rfc822"})
    assert answer.status_code == 200, answer.text
    return f"{answer.json()['kind']} {answer.json()['outcome']}"


def letter(
    text: str, sender: str = MAIL, subject: str = "Re: Hello", ids: str = "", to: str = "hello@example.org", name: str = "1"
) -> bytes:
    return f"From: {sender}\nTo: {to}\nSubject: {subject}\nMessage-ID: <{name}@x>\nIn-Reply-To: {ids}\n\n{text}\n".encode()


def is_suppressed(engine: Any, address: str = MAIL) -> bool:
    with engine.db.read() as session:
        return any(suppression.find(session, engine.address_keys, "email", address, why) for why in ("hard_bounce", "complaint"))


def events(engine: Any, name: str) -> list[Event]:
    with engine.db.read() as session:
        return list(session.scalars(select(Event).where(Event.name == name).order_by(col(Event.id))))


def counted(engine: Any) -> list[Sent]:
    """What counts against the account, and as much against the sender's domain."""
    with engine.db.read() as session:
        found = sending_counts.read(session, date(2000, 1, 1))
    assert found.get("smtp.main") == found.get("@shop.example")
    return list(found.get("smtp.main", {}).values())


def state(engine: Any) -> str | None:
    with engine.db.read() as session:
        return consent.state(session, ANNA, "email", "marketing")


def test_a_bounce_that_names_its_message_counts_once(admin: TestClient, engine: Any, message: str, verp: str) -> None:
    raw = dsn(GONE, "Message-ID: <else@where>", verp.upper())
    assert brings(admin, raw) == "bounce taken"
    assert brings(admin, b"Received: from another way\n" + raw) == "bounce known"
    [event] = events(engine, "Message Bounced")
    assert (event.properties["bounce"], event.properties["reason"], event.routed) == ("hard", "dsn_5.1.1", True)
    assert (is_suppressed(engine), counted(engine)) == (True, [Sent(bounced=1)])
    with engine.db.read() as session:
        assert session.get_one(Message, message).status == "bounced"
        assert [(row.kind, row.outcome, row.via) for row in session.scalars(select(InboundMail))] == [("bounce", "taken", "api")]


def test_the_message_id_proves_as_much(admin: TestClient, engine: Any, message: str) -> None:
    assert brings(admin, arf("abuse", "Message-ID: <run.hello.1@example.org>")) == "complaint taken"
    assert is_suppressed(engine)
    assert [one.properties["message_id"] for one in events(engine, "Message Complained")] == [message]
    assert brings(admin, arf("fraud", "Message-ID: <run.hello.1@example.org>")) == "complaint known"
    assert counted(engine) == [Sent(complained=1)]


def test_a_provider_may_have_named_the_mail(engine: Any, settings: Any, message: str) -> None:
    with engine.db.write() as session:
        row = session.get_one(Message, message)
        row.provider, row.provider_id = "ses", "0102018f-abc-000000"
    door = inbound_of(settings, engine, Providers.built_in({"ses"}))
    for host in ("amazonses.com.evil.example", "eu-west-1.amazonses.com"):
        taken, _ = door.take(arf("abuse", f"Message-ID: <0102018f-abc-000000@{host}>"), "command")
    assert (taken.kind, taken.outcome) == ("complaint", "taken")
    assert len(events(engine, "Message Complained")) == 1


@pytest.mark.parametrize(
    "raw",
    [
        dsn(GONE, f"To: {MAIL}", "bounces@m.example.org"),
        dsn(GONE, f"To: {MAIL}", f"bounces+{'a' * 44}@m.example.org"),
        dsn(GONE, "Message-ID: <run.hello.2@example.org>", MAIL),
        arf("abuse", f"To: {MAIL}"),
        f"From: mailer-daemon@x\nTo: {MAIL}\nSubject: failure notice\n\n<{MAIL}>: 550 5.1.1 user unknown".encode(),
    ],
)
def test_a_forged_report_changes_nobody(admin: TestClient, engine: Any, message: str, raw: bytes) -> None:
    assert brings(admin, raw).endswith(" unknown")
    assert (is_suppressed(engine), state(engine), events(engine, "Message Bounced")) == (False, "granted", [])


def test_somebody_still_trying_is_no_bounce(admin: TestClient, engine: Any, verp: str) -> None:
    assert brings(admin, dsn("Action: delayed\nStatus: 4.4.1", to=verp)) == "delayed ignored"
    assert events(engine, "Message Bounced") == []


def test_a_report_waits_for_its_message(admin: TestClient, engine: Any, settings: Any, message: str) -> None:
    """As when a backup was restored, or the claim is not over."""
    other = Tracking(settings.signing_keys(), settings.public_url).bounce_address("bounces@m.example.org", "c" * 32)
    assert brings(admin, dsn(GONE, "x: y", other)) == "bounce kept"
    with engine.db.read() as session:
        assert [(row.message_id, row.kind) for row in session.scalars(select(EarlyReport))] == [("c" * 32, "bounced")]


def test_a_reply_belongs_to_whom_we_wrote_whoever_it_is_from(admin: TestClient, engine: Any, message: str) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        session.add(Contact(id=BEN, email="ben@example.com", created_at=now, updated_at=now))
    assert brings(admin, letter("Ja, gern!\n> alt", "ben@example.com", ids="<run.hello.1@example.org>")) == "reply taken"
    [event] = events(engine, "Message Replied")
    assert (event.contact_id, event.properties["message_id"], event.properties["text"], event.routed) == (ANNA, message, "Ja, gern!", True)


def test_a_word_stops_the_address_that_we_wrote_to(admin: TestClient, engine: Any, message: str) -> None:
    """It is forwarded to another one, from which she answers; her contact has a third one by now."""
    with engine.db.write() as session:
        session.get_one(Contact, ANNA).email = "anna@new.example"
    brings(admin, letter("STOP", "anna@elsewhere.example", ids="<run.hello.1@example.org>"))
    with engine.db.read() as session:
        assert says_no(session, engine.address_keys, "email", "marketing", MAIL)
    assert state(engine) == "withdrawn"


def test_without_a_proof_the_address_counts(admin: TestClient, engine: Any, message: str) -> None:
    assert brings(admin, letter("Wann?", subject="Eine Frage")) == "reply taken"
    assert [(one.contact_id, one.properties["text"]) for one in events(engine, "Message Replied")] == [(ANNA, "Wann?")]
    assert brings(admin, letter("Wann?", "stranger@example.com", name="2")) == "reply unknown"


@pytest.mark.parametrize(("subject", "text"), [("Re: Hello", "Stop\n\nAnna"), ("Abmelden", ""), ("arrêt", "merci"), ("BASTA", "x")])
def test_a_word_stops_e_mails(admin: TestClient, engine: Any, message: str, subject: str, text: str) -> None:
    assert brings(admin, letter(text, subject=subject)) == "reply taken"
    assert state(engine) == "withdrawn"
    assert [one.properties["intent"] for one in events(engine, "Message Replied")] == ["stop"]


def test_our_own_subject_is_nobodys_word(admin: TestClient, engine: Any, message: str) -> None:
    brings(admin, letter("Great offer", subject="Re: Stop"))
    assert state(engine) == "granted"


def test_a_yes_needs_a_proof(admin: TestClient, engine: Any, message: str) -> None:
    brings(admin, letter("STOP", name="1"))
    brings(admin, letter("START", name="2"))
    assert state(engine) == "withdrawn", "anybody can write in her name"
    brings(admin, letter("START", name="3", ids="<run.hello.1@example.org>"))
    assert state(engine) == "granted"


def test_an_old_message_of_ones_own_is_no_proof_for_another_sender(admin: TestClient, engine: Any, message: str) -> None:
    """Retention has taken its body, and with it the address that it went to."""
    now = engine.clock.now()
    with engine.db.write() as session:
        session.add(Contact(id=BEN, email="ben@example.com", created_at=now, updated_at=now))
        session.flush()
        agree(session, BEN, now)
        session.get_one(Message, message).body_id = None
    brings(admin, letter("STOP", "ben@example.com", name="1"))
    brings(admin, letter("START", "ben@example.com", name="2", ids="<run.hello.1@example.org>"))
    with engine.db.read() as session:
        assert consent.state(session, BEN, "email", "marketing") == "withdrawn"
        assert says_no(session, engine.address_keys, "email", "marketing", "ben@example.com")


def test_a_mail_program_unsubscribes_from_a_message_that_is_gone(admin: TestClient, engine: Any, message: str) -> None:
    to = f"bounces+{'a' * 44}@m.example.org"
    assert brings(admin, letter("", subject="unsubscribe", to=to)) == "unsubscribe taken"
    assert state(engine) == "withdrawn"


def test_the_mail_program_unsubscribes(admin: TestClient, engine: Any, verp: str) -> None:
    assert brings(admin, letter("", subject="unsubscribe", to=verp)) == "unsubscribe taken"
    assert (state(engine), events(engine, "Message Replied")) == ("withdrawn", [])


def test_a_program_may_say_that_it_is_one_when_it_unsubscribes(admin: TestClient, engine: Any, verp: str) -> None:
    raw = b"Auto-Submitted: auto-generated\nReturn-Path: <>\n" + letter("", sender="no-reply@mail.example", subject="unsubscribe", to=verp)
    assert brings(admin, raw) == "unsubscribe taken"
    assert state(engine) == "withdrawn"


@pytest.mark.parametrize(
    "raw",
    [
        b"Auto-Submitted: auto-replied\n" + letter("STOP", ids="<some.thing.else@example.org>"),
        letter("I am away", subject="Automatic reply: Hello"),
        letter("a copy of our own", sender="shop@example.org"),
    ],
)
def test_what_programs_write_is_no_reply(admin: TestClient, engine: Any, message: str, raw: bytes) -> None:
    with engine.db.write() as session:
        workspace.put(session, "sender", {"email": "shop@example.org"}, "test", engine.clock.now())
    assert brings(admin, raw).endswith(" ignored")
    assert (events(engine, "Message Replied"), state(engine)) == ([], "granted")


def test_an_automatic_reply_is_an_event_of_its_own_once_for_a_message(admin: TestClient, engine: Any, message: str, woken: Any) -> None:
    listens(engine, replies.AUTOMATIC)
    for number, subject in enumerate(("Automatic reply: Hello", "Abwesenheitsnotiz")):
        raw = letter("STOP! Back on Monday", subject=subject, ids="<run.hello.1@example.org>", name=str(number))
        assert brings(admin, raw) == ("automatic known" if number else "automatic taken")
    [event] = events(engine, "Message Auto-Replied")
    assert (event.contact_id, event.properties["message_id"], event.properties["text"]) == (ANNA, message, "STOP! Back on Monday")
    with engine.db.read() as session:
        [run] = session.scalars(select(Run))
    assert (run.contact_id, list(woken.wakeups.starts)) == (ANNA, [run.id])
    assert (events(engine, "Message Replied"), state(engine)) == ([], "granted")


def test_a_program_that_looks_like_a_person_is_cut_off_but_may_stop(admin: TestClient, engine: Any, message: str) -> None:
    for number in range(MOST_AN_HOUR + 2):
        brings(admin, letter("Thank you", name=str(number)))
    assert len(events(engine, "Message Replied")) == MOST_AN_HOUR
    brings(admin, letter("STOP", name="stop"))
    assert state(engine) == "withdrawn"
    assert len(events(engine, "Message Replied")) == MOST_AN_HOUR, "a word in her name sets off no more than another"


def listens(engine: Any, name: str) -> None:
    """A journey that begins with the event."""
    document: dict[str, Any] = {
        "spec": 1,
        "key": "answered",
        "name": "Answered",
        "entry": {"triggers": [{"type": "event", "event": name}]},
        "start": "wait",
        "nodes": {"wait": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
        "edges": [{"from": "wait", "to": "end"}],
    }
    now = engine.clock.now()
    with engine.db.write() as session:
        journey = publish.create_journey(session, document, "test", now)
        publish.publish(engine, session, journey.id, "test", "", now)


def test_a_reply_lets_in_at_once(admin: TestClient, engine: Any, message: str, woken: Any) -> None:
    listens(engine, replies.EVENT)
    brings(admin, letter("Hello"))
    with engine.db.read() as session:
        [run] = session.scalars(select(Run))
    assert (run.contact_id, list(woken.wakeups.starts)) == (ANNA, [run.id])


def test_after_an_erasure_a_mail_tells_nothing(admin: TestClient, engine: Any, message: str, verp: str) -> None:
    erase_person(engine.db, ANNA, engine.clock.now(), by="test", keys=engine.address_keys)
    assert brings(admin, letter("Hi", ids="<run.hello.1@example.org>")) == "reply known"
    assert brings(admin, dsn(GONE, "x: y", verp)) == "bounce known"
    assert events(engine, "Message Replied") == []


def test_two_ways_at_once_take_it_once(admin: TestClient, engine: Any, message: str) -> None:
    found: list[str] = []
    raw = letter("Hi")
    threads = [threading.Thread(target=lambda: found.append(brings(admin, raw))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(found) == ["reply known"] * 3 + ["reply taken"]
    assert len(events(engine, "Message Replied")) == 1


def test_a_pipe_says_whether_to_try_again(settings: Any, tmp_path: Any) -> None:
    out = io.StringIO()
    nowhere = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'none.db'}"})
    assert inbound(nowhere, io.BytesIO(letter("Hi")), "", out=out) == AGAIN
