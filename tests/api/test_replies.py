"""What people write back: on the timeline once, heeded where it says STOP or START, routed at once, and erased with its author."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from sqlmodel import col, select
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from activities.account_setup import read
from activities.providers.twilio import Twilio
from crm.consent import consent, suppression
from crm.consent.mailbox import says_no
from crm.privacy import export
from crm.privacy.erasure import erase_person
from engine.versions import publish
from models import Body, Consent, Contact, Event, Message, Run
from tests.api.conftest import TestClient
from workspace import accounts

TOKEN, ANNA, BEN, NUMBER = "t" * 32, "a" * 32, "b" * 32, "+41791234567"
CONFIG = {"account_sid": "AC" + "a1" * 16, "auth_token": TOKEN, "sms_sender": "+41791111111"}
ADDRESS = "/callbacks/twilio.main/inbound"


@pytest.fixture
def anna(engine: Any, settings: Any) -> str:
    """A contact who got two text messages, and has agreed to them."""
    now = engine.clock.now()
    with engine.db.write() as session:
        accounts.add(session, engine.address_keys, "main", read(Twilio, CONFIG)[1], "test", now)
        session.add(Contact(id=ANNA, phone=NUMBER, created_at=now, updated_at=now))
        session.flush()
        body = Body(contact_id=ANNA, recipient=NUMBER, text="Hi", created_at=now)
        session.add(body)
        session.flush()
        session.add(
            Message(
                id="f" * 32, once_key="x:text:1", contact_id=ANNA, channel="sms", status="sent", provider="twilio", account="twilio.main",
                node="text", template="hello", planned_at=now, sent_at=now, body_id=body.id,
            )
        )  # fmt: skip
        agree(session, ANNA, now)
    return ANNA


def agree(session: Any, contact: str, now: Any, purpose: str = "marketing", state: str = "granted") -> None:
    consent.record_consent(session, contact, "sms", purpose, state, now, evidence=consent.Evidence.DATED, source="test")


def writes(
    client: TestClient, settings: Any, text: str, sid: str = "SM1", sender: str = NUMBER, token: str = TOKEN, to: str = ADDRESS, **more: str
) -> Any:
    form = {"MessageSid": sid, "From": sender, "To": "+41791111111", "Body": text, **more}
    signature = RequestValidator(token).compute_signature(f"{settings.public_url}{to}", form)
    headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded", "authorization": ""}
    return client.post(to, content=urlencode(form).encode(), headers=headers)


def replies(engine: Any) -> list[Event]:
    with engine.db.read() as session:
        return list(session.scalars(select(Event).where(Event.name == "Message Replied").order_by(col(Event.id))))


def state(engine: Any, contact: str = ANNA, purpose: str = "marketing") -> str | None:
    with engine.db.read() as session:
        return consent.state(session, contact, "sms", purpose)


def test_a_reply_is_told_once_and_says_what_it_answers(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    for _ in range(2):
        answer = writes(client, settings, "Ja, gern!\x00 Um 5?")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0], answer.text) == (200, "text/xml", "<Response/>")
    [event] = replies(engine)
    assert (event.contact_id, event.routed) == (anna, True)
    wanted = {"message_id": "f" * 32, "node": "text", "template": "hello", "channel": "sms", "text": "Ja, gern! Um 5?", "intent": ""}
    assert {name: event.properties[name] for name in wanted} == wanted
    assert state(engine) == "granted"


@pytest.mark.parametrize(("text", "more"), [("STOP", {}), ("Abmelden", {}), ("arrêt", {}), ("Genug jetzt", {"OptOutType": "STOP"})])
def test_stop_counts_for_everybody_with_the_number(
    client: TestClient, engine: Any, settings: Any, anna: str, text: str, more: dict[str, str]
) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        session.add(Contact(id=BEN, phone=NUMBER, created_at=now, updated_at=now))
        session.flush()
        agree(session, BEN, now)
        agree(session, anna, now, "news")
    assert writes(client, settings, text, **more).status_code == 200
    assert [state(engine), state(engine, purpose="news"), state(engine, BEN)] == ["withdrawn"] * 3
    with engine.db.read() as session:
        assert says_no(session, engine.address_keys, "sms", "marketing", NUMBER)
        said = session.scalars(select(Consent).where(Consent.contact_id == anna, Consent.state == "withdrawn")).first()
        changed = session.scalars(
            select(Event).where(Event.name == "Consent Changed", Event.properties["state"].as_string() == "withdrawn")
        ).all()
    assert said is not None
    assert (said.source, said.proof) == ("opt_out:twilio.main", {"reply": "SM1", "word": "stop"})
    assert [one.routed for one in changed] == [True] * 3
    assert [one.properties["intent"] for one in replies(engine)] == ["stop"]


def test_the_longest_names_lose_no_stop(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    name = "n" * 64
    with engine.db.write() as session:
        accounts.add(session, engine.address_keys, name, read(Twilio, CONFIG)[1], "test", engine.clock.now())
    for sid in ("SM" + "1" * 32, "SM" + "1" * 32, "SM" + "1" * 198 + "2", "SM" + "1" * 198 + "3"):
        assert writes(client, settings, "STOP", sid, to=f"/callbacks/twilio.{name}/inbound").status_code == 200
    assert (state(engine), len(replies(engine))) == ("withdrawn", 3)


def test_start_brings_back_what_several_stops_took(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    for sid, text in (("SM1", "STOP"), ("SM2", "Stop"), ("SM3", "START")):
        writes(client, settings, text, sid)
    assert state(engine) == "granted"


def test_start_brings_back_what_stop_took_and_nothing_else(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        agree(session, anna, now, "news")
        agree(session, anna, now, "news", "withdrawn")
    writes(client, settings, "STOP")
    writes(client, settings, "START", "SM2")
    assert (state(engine), state(engine, purpose="news")) == ("granted", "withdrawn")
    with engine.db.read() as session:
        assert not says_no(session, engine.address_keys, "sms", "marketing", NUMBER)
    with engine.db.write() as session:
        agree(session, anna, engine.clock.now(), state="withdrawn")
    writes(client, settings, "START", "SM3")
    assert state(engine) == "withdrawn", "what was said elsewhere is taken back elsewhere"


def test_start_of_somebody_who_never_agreed_gives_nothing(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    with engine.db.write() as session:
        session.add(Contact(id=BEN, phone="+41790000000", created_at=engine.clock.now(), updated_at=engine.clock.now()))
    for number, text in enumerate(("START", "STOP", "START")):
        writes(client, settings, text, f"SM{number}", "+41790000000")
    assert state(engine, BEN) == "withdrawn"


def test_a_number_that_nobody_has_can_stop_and_start(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    def reasons() -> list[str]:
        with engine.db.read() as session:
            return suppression.reasons(session, engine.address_keys, "sms", "+41790000000")

    writes(client, settings, "STOP", sender="+41790000000")
    assert reasons() == ["unsubscribe"]
    writes(client, settings, "START", "SM2", "+41790000000")
    assert reasons() == []
    with engine.db.write() as session:
        suppression.suppress(session, engine.address_keys, "sms", "+41790000000", "unsubscribe", engine.clock.now(), source="import:list")
    writes(client, settings, "START", "SM3", "+41790000000")
    assert reasons() == ["unsubscribe"], "what others wrote stays"
    writes(client, settings, "Hello?", "SM4", "+41790000000")
    assert replies(engine) == [], "nobody is made a contact"


def test_a_reply_lets_in_and_out_at_once(client: TestClient, engine: Any, settings: Any, anna: str, woken: Any) -> None:
    document: dict[str, Any] = {
        "spec": 1,
        "key": "answered",
        "name": "Answered",
        "entry": {"triggers": [{"type": "event", "event": "Message Replied"}]},
        "exit_when": [{"event": "Message Replied"}],
        "start": "wait",
        "nodes": {"wait": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
        "edges": [{"from": "wait", "to": "end"}],
    }
    now = engine.clock.now()
    with engine.db.write() as session:
        journey = publish.create_journey(session, document, "test", now)
        publish.publish(engine, session, journey.id, "test", "", now)
    writes(client, settings, "Hello")
    with engine.db.read() as session:
        [run] = session.scalars(select(Run))
    assert (run.contact_id, list(woken.wakeups.starts)) == (anna, [run.id])
    writes(client, settings, "Hello")
    assert run.id not in woken.wakeups.runs, "the same once more sets nothing off"
    writes(client, settings, "Still there?", "SM2")
    assert run.id in woken.wakeups.runs


def test_a_reply_is_exported_and_erased_with_its_author_and_logged_nowhere(
    client: TestClient, engine: Any, settings: Any, anna: str, caplog: pytest.LogCaptureFixture
) -> None:
    writes(client, settings, "My secret is xanthippe")
    assert "xanthippe" not in caplog.text
    assert NUMBER not in caplog.text
    with engine.db.read() as session:
        assert "xanthippe" in str(export.export(session, anna))
    erase_person(engine.db, anna, engine.clock.now(), by="test", keys=engine.address_keys)
    with engine.db.read() as session:
        left = [one.properties for one in session.scalars(select(Event).where(Event.contact_id == anna))]
    assert "xanthippe" not in str(left)
    writes(client, settings, "And again", "SM2")
    assert [one for one in replies(engine) if "again" in str(one.properties)] == []


def test_what_is_forged_or_no_reply_changes_nothing(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    assert writes(client, settings, "STOP", token="x" * 32).status_code == 403
    assert client.post(ADDRESS, content=b"x" * 2_000_000).status_code == 413
    assert writes(client, settings, "STOP", "").status_code == 400
    assert writes(client, settings, "STOP", sender="SHOP").status_code == 200
    assert (replies(engine), state(engine)) == ([], "granted")
