"""Double opt-in, from the form to the consent: the real app, the real ledger and gate, and a mail server that dies when it is told to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import select

from activities.providers.provider import AddressDead, InDoubt, RetryLater
from activities.sending.breakers import Breakers
from activities.sending.confirmations import send_due, settle
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings
from activities.templates import library
from activities.tracking import Tracking
from api.app import create_app
from crm.consent import consent, mailbox, suppression
from crm.consent.consent import Evidence, record_consent
from crm.people import contacts, identity, profile
from crm.privacy.erasure import erase
from crm.privacy.export import export
from engine.clock import Clock
from engine.engine import Engine
from engine.jobs.worker import work_through
from engine.keeper import Keeper
from engine.temporal.wakeups import Wakeups
from engine.versions import publish as publishing
from journeys.errors import Invalid
from journeys.nodes import Palette
from models import Body, Consent, ConsentState, Contact, Database, Event, Job, Message, OptIn, Run
from settings import Settings
from tests.api.conftest import Woken
from tests.made_forms import put_form, signing_up
from tests.mail_server import Death, Moment, Post
from workspace import settings as workspace

KEYS = (b"k" * 32,)
ANNA = "anna@example.org"
WORDING = {"de": "Ja, ich möchte den Newsletter.", "en": "Yes, send me the newsletter."}
FORM = signing_up(title="Newsletter", names=True, **WORDING)
WITH_TOPICS = signing_up(title="Newsletter", names=True, topics=True, **WORDING)
YES = {"email": ANNA, "agree": "yes", "language": "de"}


@pytest.fixture
def clock() -> Moment:
    return Moment()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), database_url="sqlite:///unused.db", public_url="http://testserver")


@pytest.fixture(scope="module")
def shared(settings: Settings, sqlite_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, Engine, Woken]]:
    """One app for the file: to build it would take longer than most tests here. It is started anew for each, with nothing in its memory."""
    path = tmp_path_factory.mktemp("shared") / "base.db"
    copyfile(sqlite_base, path)
    engine, woken = Engine(Database(f"sqlite:///{path}"), Clock(), Palette.built_in(), KEYS), Woken()
    with closing(engine.db):
        yield create_app(settings, engine, waker=woken), engine, woken


@pytest.fixture
def engine(shared: tuple[FastAPI, Engine, Woken], db: Database, clock: Moment) -> Engine:
    """The app's engine, as new, over the test's database."""
    engine, fresh = shared[1], Engine(db, clock, Palette.built_in(), KEYS)  # type: ignore[arg-type]
    for one in fields(Engine):
        setattr(engine, one.name, getattr(fresh, one.name))
    return engine


@pytest.fixture
def woken(shared: tuple[FastAPI, Engine, Woken]) -> Woken:
    shared[2].wakeups = Wakeups()
    return shared[2]


@pytest.fixture
def app(shared: tuple[FastAPI, Engine, Woken], engine: Engine, woken: Woken) -> FastAPI:
    return shared[0]


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def effects(engine: Engine, settings: Settings, post: Post) -> Effects:
    messaging = MessageSettings(Tracking(settings.signing_keys(), settings.public_url), KEYS, "Shop <shop@example.com>")
    return Effects(engine, {"email": MessageHandler(messaging, post, "email")}, Breakers(engine.db))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def form(engine: Engine) -> None:
    put_form(engine, **FORM)


def put(engine: Engine, name: str, value: dict[str, Any]) -> None:
    with engine.db.write() as session:
        workspace.put(session, name, value, "test", engine.clock.now())


def look(effects: Effects, clock: Moment, **span: float) -> None:
    """Time passes, and whatever is due leaves; a call that did not begin because the machine stood still is made again."""
    clock.at += timedelta(**span)
    for _ in range(5):
        send_due(effects)
        clock.at += timedelta(seconds=3)


def link(post: Post) -> str:
    found = re.search(r'href="([^"]*/confirm/[^"]+)"', post.arrived[-1].html)
    assert found
    return found[1]


def rows(engine: Engine, model: Any) -> list[Any]:
    with engine.db.read() as session:
        return list(session.scalars(select(model)))


def state(engine: Engine, email: str = ANNA) -> str | None:
    with engine.db.read() as session:
        contact = identity.find(session, ("email", email))
        return consent.state(session, contact, "email", "marketing") if contact else None


def test_from_the_form_to_a_proved_consent(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    page = client.get("/subscribe/footer?language=de")
    assert "Newsletter" in page.text
    assert "Ja, ich möchte den Newsletter." in page.text
    assert "checked" not in page.text
    asked_at = clock.at
    asked = client.post("/subscribe/footer", data={**YES, "first_name": "Anna"}, headers={"origin": "https://shop.example"})
    assert (asked.status_code, "<h1>Fast geschafft</h1>" in asked.text) == (200, True)
    assert (state(engine), post.arrived) == ("pending", [])
    look(effects, clock)
    [mail] = post.arrived
    assert (mail.recipient, mail.subject) == (ANNA, "Bitte bestätigen Sie Ihre E-Mail-Adresse")
    assert "Anna" not in mail.html + mail.text, "what a stranger typed is in no mail"
    assert client.get(link(post)).status_code == 200
    assert client.head(link(post)).status_code == 200
    assert state(engine) == "pending", "a scanner follows every link"
    assert "Ja, bestätigen" in client.get(link(post), headers={"accept-language": "en"}).text
    clock.at += timedelta(hours=1)
    done = client.post(link(post), data={"confirm": "yes"})
    assert "Sie sind angemeldet" in done.text
    assert state(engine) == "granted"
    [line] = [one for one in rows(engine, Consent) if one.state == "granted"]
    assert (line.wording, line.source, line.said_at) == (WORDING["de"], "form:footer", clock.at)
    proof = line.proof
    assert [datetime.fromisoformat(proof[name]) for name in ("asked_at", "confirmed_at")] == [asked_at, clock.at]
    assert proof["message_id"] == mail.message_id
    assert proof["page"] == "https://shop.example"
    assert len(proof["wording_version"]) == 16
    [contact] = rows(engine, Contact)
    assert (contact.first_name, contact.locale, contact.vouched) == ("Anna", "de", True)
    [message] = rows(engine, Message)
    assert (message.status, message.message_class, message.run_id) == ("sent", "transactional", None)


def test_topics_that_are_offered_are_chosen_by_the_mailbox(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    put(
        engine,
        "topics",
        {"topics": [{"key": "news"}, {"key": "events", "german": "Anlässe"}, {"key": "tips"}, {"key": "old", "archived": True}]},
    )
    assert "topic." not in client.get("/subscribe/footer").text, "the form does not offer them"
    put_form(engine, **WITH_TOPICS)
    page = client.get("/subscribe/footer?language=de").text
    assert 'name="topic.events" value="yes">\n<span>Anlässe</span>' in page
    assert ("topic.old" in page, "checked" in page) == (False, False)
    again = client.post("/subscribe/footer", data={**YES, "agree": "", "topic.events": "yes"}).text
    assert 'name="topic.events" value="yes" checked' in again
    client.post("/subscribe/footer", data={**YES, "topic.events": "yes", "topic.old": "yes", "topic.evil": "yes"})
    look(effects, clock)
    assert topics(engine) == {}, "a stranger's ticks say nothing"
    with engine.db.write() as session:
        contact = identity.find(session, ("email", ANNA))
        assert contact
        record_consent(session, contact, "topic", "tips", "granted", clock.at, evidence=Evidence.DATED, source="test")
    client.post(link(post), data={"confirm": "yes"})
    assert topics(engine) == {"events": "granted", "news": "withdrawn", "tips": "granted"}, "what was answered before is not taken back"
    assert [row.topics for row in rows(engine, OptIn)] == [{}]


def test_a_topic_that_the_form_did_not_show_is_not_declined(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    put(engine, "topics", {"topics": [{"key": "news"}, {"key": "events"}]})
    put_form(engine, **WITH_TOPICS)
    assert 'name="shown" value="topic.events"' in client.get("/subscribe/footer").text
    put(engine, "topics", {"topics": [{"key": "news"}, {"key": "events"}, {"key": "tips"}]})
    client.post("/subscribe/footer", data={**YES, "topic.news": "yes", "shown": ["topic.news", "topic.events"]})
    look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    assert topics(engine) == {"news": "granted", "events": "withdrawn"}


def test_who_ticks_no_topic_hears_about_everything(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    put(engine, "topics", {"topics": [{"key": "news"}, {"key": "events"}]})
    put_form(engine, **WITH_TOPICS)
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    assert (state(engine), topics(engine)) == ("granted", {})


def topics(engine: Engine) -> dict[str, str]:
    return {row.purpose: row.state for row in rows(engine, ConsentState) if row.channel == "topic"}


def test_a_link_works_once_and_not_for_ever(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    assert client.post(link(post), data={}).status_code == 400
    clock.at += timedelta(days=8)
    late = client.post(link(post), data={"confirm": "yes"})
    assert "Dieser Link ist nicht mehr gültig" in late.text
    assert 'href="/f/footer"' in late.text
    assert state(engine) == "pending"
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    for _ in range(3):
        assert "Sie sind angemeldet" in client.post(link(post), data={"confirm": "yes"}).text
    assert len([one for one in rows(engine, Event) if one.name == "Subscription Confirmed"]) == 1
    assert client.post(link(post)[:-1] + "x", data={"confirm": "yes"}).status_code == 404


def test_a_withdrawal_after_the_confirmation_is_not_undone_by_the_old_link(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    clock.at += timedelta(minutes=1)
    [contact] = rows(engine, Contact)
    with engine.db.write() as session:
        record_consent(
            session, contact.id, "email", "marketing", "withdrawn", clock.at, evidence=Evidence.DATED, source="test", mailbox=ANNA
        )
    clock.at += timedelta(minutes=1)
    for page in (client.post(link(post), data={"confirm": "yes"}), client.get(link(post))):
        assert "<h1>Sie sind nicht angemeldet</h1>" in page.text
        assert 'href="/f/footer"' in page.text
    assert state(engine) == "withdrawn"


def test_who_said_no_gets_messages_again_only_by_confirming(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    with engine.db.write() as session:
        contact = contacts.create(session, [("email", ANNA)], {"first_name": "Ada"}, clock.at, "test")[0].id
        record_consent(session, contact, "email", "marketing", "withdrawn", clock.at, evidence=Evidence.DATED, source="test")
    clock.at += timedelta(days=1)
    client.post("/subscribe/footer", data={**YES, "first_name": "Mallory"})
    assert state(engine) == "withdrawn"
    look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    assert state(engine) == "granted"
    with engine.db.read() as session:
        assert not mailbox.says_no(session, KEYS, "email", "marketing", ANNA)
        assert session.get_one(Contact, contact).first_name == "Ada", "a form overwrites nothing"


@pytest.mark.parametrize("known", [False, True])
def test_nobody_learns_whether_an_address_is_known(client: TestClient, engine: Engine, known: bool) -> None:
    if known:
        with engine.db.write() as session:
            contact = contacts.create(session, [("email", ANNA)], {}, engine.clock.now(), "test")[0].id
            record_consent(session, contact, "email", "marketing", "granted", engine.clock.now(), evidence=Evidence.DATED, source="test")
    answers = [client.post("/subscribe/footer", data={**YES, "email": email}) for email in (ANNA, "new@example.org")]
    assert len({(one.status_code, one.text) for one in answers}) == 1


def test_an_address_gets_so_many_mails_a_day_whoever_asks(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    put(engine, "double_opt_in", {"mails_a_day": 2})
    answers = set()
    for _ in range(6):
        answers.add(client.post("/subscribe/footer", data=YES).text)
        look(effects, clock)
    assert (len(post.arrived), len(answers)) == (2, 1)
    for _ in range(20):
        clock.at += timedelta(hours=25)
        client.post("/subscribe/footer", data=YES)
        look(effects, clock)
    assert len(rows(engine, OptIn)) == 6, "unanswered, it gets no more until they are purged"


def test_what_another_form_asks_is_asked_too(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    """The mail of the first has not left when the second is sent in; the same form again takes its place."""
    put_form(engine, "other", **FORM)
    for key in ("footer", "other", "other"):
        client.post(f"/subscribe/{key}", data=YES)
    look(effects, clock)
    assert len(post.arrived) == 2


def test_a_network_and_a_form_ask_so_often_an_hour(client: TestClient, engine: Engine) -> None:
    put(engine, "double_opt_in", {"asks_a_form": 3})
    told = [client.post("/subscribe/footer", data={**YES, "email": f"a{n}@example.org"}).status_code for n in range(4)]
    assert told == [200, 200, 200, 429]
    put(engine, "double_opt_in", {"asks_a_network": 2})
    put_form(engine, "other", **FORM)
    told = [client.post("/subscribe/other", data={**YES, "email": f"b{n}@example.org"}).status_code for n in range(3)]
    assert told == [200, 200, 429]
    assert len(rows(engine, OptIn)) == 5


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"website": "https://spam.example"}, 200, "Fast geschafft"),
        ({"agree": ""}, 400, "Bitte setzen Sie das Häkchen"),
        ({"email": "nobody"}, 400, "Bitte prüfen Sie die E-Mail-Adresse"),
        ({"email": "a@example.org\r\nBcc: b@example.org"}, 400, "Bitte prüfen Sie"),
        ({"email": f"<script>{ANNA}"}, 400, "&lt;script&gt;"),
    ],
)
def test_what_is_no_sign_up_leaves_nothing(client: TestClient, engine: Engine, change: dict[str, str], status: int, told: str) -> None:
    answer = client.post("/subscribe/footer", data={**YES, **change})
    assert (answer.status_code, told in answer.text) == (status, True)
    assert rows(engine, OptIn) == rows(engine, Contact) == []


def test_the_page_of_the_form_is_kept_and_ours_is_known_without_being_told(client: TestClient, engine: Engine) -> None:
    for n, told in enumerate(({"origin": "null"}, {"referer": "https://shop.example/news", "origin": "https://shop.example"}, {})):
        client.post("/subscribe/footer", data={**YES, "email": f"a{n}@example.org"}, headers=told)
    here = "http://testserver/subscribe/footer"
    assert sorted(one.page for one in rows(engine, OptIn)) == sorted([here, "https://shop.example/news", here])


def test_a_form_that_is_not_there_is_nothing(client: TestClient) -> None:
    assert client.get("/subscribe/nobody").status_code == client.post("/subscribe/nobody", data=YES).status_code == 404


def test_one_reminder_and_no_more(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    look(effects, clock, days=3)
    assert len(post.arrived) == 1
    look(effects, clock, hours=13)
    look(effects, clock, days=2)
    look(effects, clock, days=30)
    assert [one.once_key.rpartition(":")[2] for one in post.arrived] == ["1", "2"]
    assert "vor einiger Zeit" in post.arrived[1].html


def test_who_confirmed_is_not_reminded(client: TestClient, effects: Effects, post: Post, clock: Moment) -> None:
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    look(effects, clock, days=5)
    assert len(post.arrived) == 1


def test_no_reminder_where_none_is_wanted(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    put(engine, "double_opt_in", {"remind": False})
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    look(effects, clock, days=5)
    assert len(post.arrived) == 1


def test_a_suppressed_address_gets_no_mail(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    with engine.db.write() as session:
        suppression.suppress(session, KEYS, "email", ANNA, "complaint", clock.at)
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    look(effects, clock, days=5)
    assert post.arrived == []
    assert [(one.status, one.reason) for one in rows(engine, Message)] == [("skipped", "suppressed_complaint")]


def test_a_dead_address_is_called_once(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    post.failures = [AddressDead("smtp_550")]
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    look(effects, clock, days=5)
    assert (post.arrived, [one.status for one in rows(engine, Message)]) == ([], ["bounced"])
    with engine.db.read() as session:
        assert suppression.is_suppressed(session, KEYS, "email", ANNA) == "hard_bounce"


def test_a_busy_server_is_asked_again(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    post.failures = [RetryLater("busy", timedelta(minutes=5)), RetryLater("busy", timedelta(minutes=5))]
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    assert post.arrived == []
    look(effects, clock, minutes=6)
    look(effects, clock, minutes=6)
    assert (len(post.arrived), [one.attempts for one in rows(engine, Message)]) == (1, [3])


@contextmanager
def mortal(db: Database, post: Post, fatal: int, passed: list[int]) -> Iterator[None]:
    """Makes every commit, and every call of the mail server, two points, and dies at number `fatal`."""
    dialect, commit, send = db.engine.dialect, db.engine.dialect.do_commit, post.send

    def reach() -> None:
        passed[0] += 1
        if passed[0] == fatal:
            raise Death

    def between(act: Any) -> Any:
        def acts(*given: Any) -> Any:
            reach()
            done = act(*given)
            reach()
            return done

        return acts

    dialect.do_commit, post.send = between(commit), between(send)  # type: ignore[method-assign]
    try:
        yield
    finally:
        dialect.do_commit, post.send = commit, send  # type: ignore[method-assign]


@pytest.mark.parametrize("doubt", ["idempotent", "lookup", "blind"])
def test_a_process_that_dies_anywhere_sends_no_second_mail(
    client: TestClient, engine: Engine, effects: Effects, clock: Moment, post: Post, doubt: str
) -> None:
    """Undisturbed first, which counts the points; then a death at each of them."""
    post.delivery_check = doubt
    passed, fatal, points = [0], 0, 1
    while fatal < points:
        email = f"a{fatal}@example.org"
        client.post("/subscribe/footer", data={**YES, "email": email})
        passed[0] = 0
        with mortal(engine.db, post, fatal, passed):
            try:
                send_due(effects)
            except Death:
                assert fatal
        points, fatal = max(points, passed[0]), fatal + 1
        for _ in range(3):
            look(effects, clock, minutes=3)
        arrived = [one for one in post.arrived if one.recipient == email]
        with engine.db.read() as session:
            [message] = session.scalars(
                select(Message).join(OptIn, OptIn.contact_id == Message.contact_id).where(OptIn.address == email)  # type: ignore[arg-type]
            )
        assert len(arrived) == 1 or (doubt == "blind" and not arrived and message.status == "uncertain")
        assert message.status == ("sent" if doubt != "blind" else message.status)
        assert message.status in ("sent", "uncertain")
    assert points >= 6, "claim, call and answer were reached"


def test_a_call_without_an_answer_is_uncertain_where_nobody_can_tell(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    post.delivery_check, post.silent = "blind", [InDoubt("cut_off")]
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    look(effects, clock, hours=1)
    assert (len(post.arrived), [one.status for one in rows(engine, Message)]) == (1, ["uncertain"])


@pytest.mark.parametrize("meanwhile", ["confirmed", "asked again"])
@pytest.mark.parametrize(("doubt", "end"), [("lookup", "sent"), ("blind", "uncertain"), ("idempotent", "uncertain")])
def test_a_claim_that_nobody_comes_back_to_gets_its_end(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment, doubt: str, end: str, meanwhile: str
) -> None:
    """The mail arrived, its process died, and the request needs no mail any more."""
    post.delivery_check, post.silent = doubt, [Death()]
    client.post("/subscribe/footer", data=YES)
    with pytest.raises(Death):
        send_due(effects)
    [claimed] = rows(engine, Message)
    if meanwhile == "confirmed":
        client.post(link(post), data={"confirm": "yes"})
    else:
        client.post("/subscribe/footer", data=YES)

    def stands() -> str:
        with engine.db.read() as session:
            return session.get_one(Message, claimed.id).status

    settle(effects)
    assert stands() == "claimed", "the call may be on its way still"
    look(effects, clock, minutes=3)
    settle(effects)
    assert stands() == end
    look(effects, clock, days=5)
    assert [one.once_key for one in post.arrived].count(claimed.once_key) == 1
    assert len(post.arrived) == (1 if meanwhile == "confirmed" else 3), "the newer request has its mail and its reminder"


def test_a_mail_that_never_left_and_is_not_needed_any_more_does_not_leave(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    post.delivery_check, post.failures = "lookup", [Death()]
    client.post("/subscribe/footer", data=YES)
    with pytest.raises(Death):
        send_due(effects)
    client.post("/subscribe/footer", data=YES)
    look(effects, clock, minutes=3)
    settle(effects)
    assert sorted((one.status, one.reason) for one in rows(engine, Message)) == [("sent", ""), ("skipped", "not_needed")]
    assert len(post.arrived) == 1


def test_a_claim_that_is_taken_up_again_is_left_to_whoever_does(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    post.silent = [Death()]
    client.post("/subscribe/footer", data=YES)
    with pytest.raises(Death):
        send_due(effects)
    clock.at += timedelta(minutes=3)
    settle(effects)
    assert [one.status for one in rows(engine, Message)] == ["claimed"]
    look(effects, clock)
    assert [one.status for one in rows(engine, Message)] == ["sent"]


def test_a_request_that_cannot_be_dealt_with_keeps_no_other_and_comes_back(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment, caplog: pytest.LogCaptureFixture
) -> None:
    client.post("/subscribe/footer", data=YES)
    [bad] = rows(engine, Contact)
    with engine.db.write() as session:
        session.get_one(Contact, bad.id).attributes = [ANNA]  # type: ignore[assignment]  # a row that is not as it should be
    clock.at += timedelta(seconds=1)
    client.post("/subscribe/footer", data={**YES, "email": "bo@example.org"})
    look(effects, clock)
    assert [one.recipient for one in post.arrived] == ["bo@example.org"]
    [line] = [one.getMessage() for one in caplog.records if "tried again" in one.getMessage()]
    assert ("TypeError" in line, ANNA in line) == (True, False)
    with engine.db.write() as session:
        session.get_one(Contact, bad.id).attributes = {}
    look(effects, clock, minutes=6)
    assert [one.recipient for one in post.arrived] == ["bo@example.org", ANNA]


@pytest.mark.parametrize("own", [False, True])
def test_what_is_kept_of_the_mail_confirms_nothing(
    client: TestClient, admin_key: str, engine: Engine, effects: Effects, post: Post, clock: Moment, own: bool
) -> None:
    """Whoever may read messages could otherwise make the proof that the address has answered."""
    if own:
        own_template(engine, OURS, subject="Ours {{ confirm_url }}")
        put(engine, "double_opt_in", {"template": "ours"})
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    token = link(post).rpartition("/")[2]
    [message], [body], [contact] = rows(engine, Message), rows(engine, Body), rows(engine, Contact)
    api = client.get(f"/api/v1/messages/{message.id}", headers={"authorization": f"Bearer {admin_key}"})
    assert api.status_code == 200
    with engine.db.read() as session:
        exported = str(export(session, contact.id))
    kept = (api.text, exported, str(message.model_dump()), str(body.model_dump()))
    assert ["/confirm/" in one for one in kept] == [True, True, own, True]
    assert [token in one for one in kept] == [False] * 4
    for found in re.findall(r"/confirm/[\w-]+", body.html + body.text + body.subject):
        assert client.post(found, data={"confirm": "yes"}).status_code == 404
    assert state(engine) == "pending"
    assert client.post(link(post), data={"confirm": "yes"}).status_code == 200


def test_the_event_of_the_confirmation_starts_a_journey_in_the_same_transaction(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment, woken: Any
) -> None:
    document = {
        "spec": 1, "key": "hello", "name": "Hello", "start": "wait",
        "entry": {"triggers": [{"type": "event", "event": "Subscription Confirmed"}]},
        "nodes": {"wait": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}}, "edges": [{"from": "wait", "to": "end"}],
    }  # fmt: skip
    with engine.db.write() as session:
        journey = publishing.create_journey(session, document, "test", clock.at)
        publishing.publish(engine, session, journey.id, "test", "", clock.at)
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    [run] = rows(engine, Run)
    assert run.id in woken.wakeups.starts
    assert all(event.routed for event in rows(engine, Event))


def own_template(engine: Engine, text: str, message_class: str = "transactional", subject: str = "Ours") -> None:
    mjml = f"<mjml><mj-body><mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section></mj-body></mjml>"
    variants = {"default": {"subject": subject, "mjml": mjml}}
    library.save(engine.db, "ours", variants, name="Ours", kind="email", message_class=message_class, actor="test", now=engine.clock.now())


OURS = '<a href="{{ confirm_url }}">Yes</a>'


def test_the_workspace_has_a_mail_of_its_own(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    own_template(engine, OURS)
    put(engine, "double_opt_in", {"template": "ours"})
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    assert post.arrived[0].subject == "Ours"
    client.post(link(post), data={"confirm": "yes"})
    assert state(engine) == "granted"
    assert [(one.template, one.template_version) for one in rows(engine, Message)] == [("ours", 1)]


@pytest.mark.parametrize(("text", "message_class"), [("Hello", "transactional"), (OURS, "marketing")])
def test_a_mail_that_cannot_ask_is_not_taken(engine: Engine, text: str, message_class: str) -> None:
    own_template(engine, text, message_class)
    for key in ("ours", "nobody"):
        with pytest.raises(Invalid):
            put(engine, "double_opt_in", {"template": key})


@pytest.mark.parametrize("text", ["Nothing to click", OURS + "{{ contact.shoe_size }}"])
def test_where_the_own_mail_fails_later_the_built_in_one_asks(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment, text: str
) -> None:
    own_template(engine, OURS)
    put(engine, "double_opt_in", {"template": "ours"})
    own_template(engine, text)
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    assert post.arrived[0].subject == "Bitte bestätigen Sie Ihre E-Mail-Adresse"
    assert link(post)


def test_a_form_asks_for_a_purpose_that_is_listed(engine: Engine) -> None:
    with pytest.raises(Invalid):
        put_form(engine, **{**FORM, "boxes": [{**FORM["boxes"][0], "purpose": "spam"}]})


# The interface


def test_the_interface_asks_with_a_form_or_with_its_own_words(
    admin: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    told = admin.post("/api/v1/opt-ins", json={"email": ANNA, "form": "footer", "language": "de-CH", "ip": "203.0.113.77"})
    assert (told.status_code, told.json()) == (202, {"asked": True})
    own = {"email": "bo@example.org", "purpose": "newsletter", "wording": "Yes please.", "page": "https://shop.example/"}
    assert admin.post("/api/v1/opt-ins", json=own).status_code == 202
    with engine.db.read() as session:
        first, second = session.scalars(select(OptIn).order_by(OptIn.address)).all()  # type: ignore[arg-type]
    assert (first.language, first.ip, first.wording) == ("de", "203.0.113.0", WORDING["de"])
    assert (second.purpose, second.wording, second.page) == ("newsletter", "Yes please.", "https://shop.example/")
    for wrong in ({"email": ANNA}, {"email": "x", "form": "footer"}, {"email": ANNA, "purpose": "newsletter"}):
        assert admin.post("/api/v1/opt-ins", json=wrong).status_code == 422
    assert admin.post("/api/v1/opt-ins", json={"email": ANNA, "form": "nobody"}).status_code == 404


# What is kept


def purge(engine: Engine) -> Job | None:
    """What the keeper queues, done."""
    keeper = Keeper(engine, None)  # type: ignore[arg-type]
    assert keeper.queue_purge() == Wakeups()
    jobs = [job for job in rows(engine, Job) if job.state == "running"]
    for job in jobs:
        work_through(engine, job.id)
    return next((job for job in rows(engine, Job) if jobs and job.id == jobs[0].id), None)


def test_who_never_confirmed_is_forgotten(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    with engine.db.write() as session:
        known = contacts.create(session, [("email", "known@example.org")], {}, clock.at, "test")[0].id
    for email in (ANNA, "known@example.org", "confirms@example.org"):
        client.post("/subscribe/footer", data={**YES, "email": email})
        look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    clock.at += timedelta(days=29)
    assert purge(engine) is None
    clock.at += timedelta(days=2)
    job = purge(engine)
    assert job is not None
    assert (job.state, job.counts) == ("done", {"opt_ins": 3, "unconfirmed": 1, "submissions": 1})
    assert rows(engine, OptIn) == []
    with engine.db.read() as session:
        assert identity.find(session, ("email", ANNA)) is None
        assert identity.find(session, ("email", "known@example.org")) == known
        assert ANNA not in " ".join(str(body.model_dump()) for body in session.scalars(select(Body)))
    assert state(engine, "confirms@example.org") == "granted"
    assert purge(engine) is None, "once a day, and only if there is anything"


def test_requests_are_exported_and_erased(client: TestClient, engine: Engine) -> None:
    client.post("/subscribe/footer", data=YES)
    [contact] = rows(engine, Contact)
    with engine.db.write() as session:
        assert [one["address"] for one in export(session, contact.id)["opt_ins"]] == [ANNA]
        erase(session, contact.id, engine.clock.now(), by="test", keys=KEYS)
    assert rows(engine, OptIn) == []


def moves(engine: Engine, contact_id: str, email: str) -> None:
    """The contact gives up an address for another one; its name by the old one stays."""
    with engine.db.write() as session:
        profile.update_fields(session, contact_id, {"email": email}, engine.clock.now(), "test")


def granted(engine: Engine) -> list[str | None]:
    """The addresses of those who have consented."""
    people = {one.id: one.email for one in rows(engine, Contact)}
    return [people[one.contact_id] for one in rows(engine, ConsentState) if one.state == "granted"]


def test_an_address_says_yes_for_nobody_who_had_it_once(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    """Mailboxes are given to others: whoever has it today confirms, and somebody else would get the mails."""
    with engine.db.write() as session:
        ada = contacts.create(session, [("email", ANNA)], {}, clock.at, "test")[0].id
    moves(engine, ada, "ada@example.org")
    for _ in range(2):
        client.post("/subscribe/footer", data=YES)
        look(effects, clock)
    assert "Sie sind angemeldet" in client.post(link(post), data={"confirm": "yes"}).text
    assert granted(engine) == [ANNA]
    assert len(rows(engine, Contact)) == 2, "who asks again is known"


def test_a_link_is_over_when_the_contact_gives_up_its_address(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    moves(engine, rows(engine, Contact)[0].id, "ada@example.org")
    assert "Dieser Link ist nicht mehr gültig" in client.post(link(post), data={"confirm": "yes"}).text
    assert granted(engine) == []
    client.post("/subscribe/footer", data=YES)
    look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    assert granted(engine) == [ANNA]


def test_who_has_no_address_any_more_gets_the_one_that_confirmed(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    client.post("/subscribe/footer", data=YES)
    with engine.db.write() as session:
        profile.update_fields(session, session.scalars(select(Contact)).one().id, {"email": None}, engine.clock.now(), "test")
    look(effects, clock)
    client.post(link(post), data={"confirm": "yes"})
    assert granted(engine) == [ANNA]


def test_no_mail_leaves_whose_link_is_over(client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment) -> None:
    """Workers were away for longer than the link lives."""
    client.post("/subscribe/footer", data=YES)
    look(effects, clock, days=8)
    assert post.arrived == []


def test_a_late_mail_is_not_followed_by_its_reminder_at_once(
    client: TestClient, engine: Engine, effects: Effects, post: Post, clock: Moment
) -> None:
    client.post("/subscribe/footer", data=YES)
    look(effects, clock, days=4)
    assert len(post.arrived) == 1
