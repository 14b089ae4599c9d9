"""Signed addresses, and what is recorded when they are fetched."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from activities.rendering import link_digest
from activities.tracking import MAX_HITS, Fetch, Tracking, classify, level, own_domains, record_click, record_open, store_links, target
from crm.consent.consent import Evidence, record_consent
from models import Contact, Database, Event, Hit, Link, Message
from workspace.settings import put

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
OLD = {"k1": b"1" * 32}
tracking = Tracking(OLD, "https://m.example.com/")
IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)


@settings(max_examples=30)
@given(IDS, IDS)
def test_addresses_carry_ids_there_and_back(message_id: str, digest: str) -> None:
    assert tracking.read("open", tracking.pixel_url(message_id).removeprefix("https://m.example.com/o/")) == message_id
    assert tracking.read_click(tracking.click_url(message_id, digest).rpartition("/")[2]) == (message_id, digest)
    address = tracking.bounce_address("bounces@example.com", message_id)
    assert tracking.read_bounce(address.lower()) == message_id
    assert len(address.partition("@")[0]) <= 64


@settings(max_examples=200)
@given(st.data())
def test_a_changed_token_is_no_token(data: st.DataObject) -> None:
    token = tracking.unsubscribe_url("ab" * 16).rpartition("/")[2]
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != token[at]))
    assert tracking.read("unsubscribe", token[:at] + other + token[at + 1 :]) is None
    assert tracking.read("unsubscribe", token[:at]) is None
    assert tracking.read("unsubscribe", token + other) is None


def test_a_token_opens_one_door_only() -> None:
    token = tracking.unsubscribe_url("ab" * 16).rpartition("/")[2]
    assert tracking.read("unsubscribe", token) == "ab" * 16
    for purpose in ("open", "preferences", "view", "bounce"):
        assert tracking.read(purpose, token) is None  # type: ignore[arg-type]
    assert tracking.read_click(token) is None


def test_old_mails_keep_working_when_the_key_is_changed() -> None:
    token = tracking.pixel_url("ab" * 16).rpartition("/")[2]
    both = Tracking({"k2": b"2" * 32, **OLD}, "https://m.example.com")
    assert both.read("open", token) == "ab" * 16
    assert both.pixel_url("ab" * 16) != tracking.pixel_url("ab" * 16)
    assert Tracking({"k2": b"2" * 32}, "https://m.example.com").read("open", token) is None
    assert Tracking({"k1": b"2" * 32}, "https://m.example.com").read("open", token) is None


@pytest.mark.parametrize(
    ("fetch", "seconds", "expected"),
    [
        (Fetch(FIREFOX), 60, "human"),
        (Fetch(FIREFOX), 1, "scanner"),
        (Fetch(FIREFOX, method="HEAD"), 60, "scanner"),
        (Fetch(FIREFOX, prefetch=True), 60, "prefetch"),
        (Fetch("Mozilla/5.0"), 60, "prefetch"),
        (Fetch("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"), 60, "prefetch"),
        (Fetch("Mozilla/5.0 (Windows NT 10.0) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"), 60, "prefetch"),
        (Fetch("Barracuda Sentinel (EE)"), 60, "scanner"),
        (Fetch("python-requests/2.31"), 60, "scanner"),
        (Fetch(""), 60, "unknown"),
    ],
)
def test_machines_are_told_apart(now: datetime, fetch: Fetch, seconds: int, expected: str) -> None:
    assert classify(fetch, now, now + timedelta(seconds=seconds)) == expected


def test_a_human_open_is_an_event_and_a_date(db: Database, message: Message, now: datetime) -> None:
    later = now + timedelta(minutes=5)
    with db.write() as session:
        event = record_open(session, message.id, Fetch(FIREFOX), later)
    assert event is not None
    assert (event.name, event.type, event.contact_id, event.routed, event.hops) == (
        "Message Opened",
        "system",
        message.contact_id,
        False,
        3,
    )
    assert event.properties == {
        "message_id": message.id, "run_id": message.run_id, "journey": "welcome", "node": "first", "template": "welcome_1", "channel": "email", "message_class": "marketing",
        "machine": False,
    }  # fmt: skip
    with db.read() as session:
        row = session.get_one(Message, message.id)
        assert row.opened_at == later
        assert [hit.agent_class for hit in session.scalars(select(Hit))] == ["human"]


def test_a_machine_open_is_stored_and_does_not_count(db: Database, message: Message, now: datetime) -> None:
    with db.write() as session:
        event = record_open(session, message.id, Fetch("Mozilla/5.0"), now + timedelta(minutes=5))
    assert event is not None
    assert event.properties["machine"] is True
    with db.read() as session:
        assert session.get_one(Message, message.id).opened_at is None


def test_opening_again_within_the_hour_says_nothing_new(db: Database, message: Message, now: datetime) -> None:
    said = []
    for minutes in (5, 6, 7, 70):
        with db.write() as session:
            said.append(record_open(session, message.id, Fetch(FIREFOX), now + timedelta(minutes=minutes)))
    assert [event is not None for event in said] == [True, False, False, True]
    with db.read() as session:
        assert session.get_one(Message, message.id).opened_at == now + timedelta(minutes=5)
        assert len(session.scalars(select(Hit)).all()) == 4


def _links(db: Database, now: datetime, *urls: str) -> list[Link]:
    with db.write() as session:
        store_links(session, {link_digest(url): url for url in urls}, now)
    with db.read() as session:
        return [link for url in urls if (link := target(session, link_digest(url)))]


def test_links_are_stored_once(db: Database, now: datetime) -> None:
    first = _links(db, now, "https://a.example/", "https://b.example/")
    assert [link.id for link in _links(db, now, "https://b.example/", "https://a.example/")] == [first[1].id, first[0].id]
    with db.write() as session:
        store_links(session, {}, now)
    with db.read() as session:
        assert target(session, "f" * 32) is None


def test_a_click_is_an_event_with_its_link(db: Database, message: Message, now: datetime) -> None:
    link = _links(db, now, "https://shop.example/p/1")[0]
    later = now + timedelta(hours=1)
    with db.write() as session:
        event = record_click(session, message.id, link, Fetch(FIREFOX), later)
        assert record_click(session, message.id, link, Fetch(FIREFOX), later) is None
    assert event is not None
    assert (event.name, event.properties["link"], event.properties["machine"]) == ("Message Clicked", "https://shop.example/p/1", False)
    with db.read() as session:
        row = session.get_one(Message, message.id)
        assert (row.clicked_at, row.opened_at) == (later, later)


def test_whoever_fetches_every_link_at_once_is_a_scanner(db: Database, message: Message, now: datetime) -> None:
    links = _links(db, now, "https://shop.example/1", "https://shop.example/2", "https://shop.example/3")
    with db.write() as session:
        for number, link in enumerate(links):
            record_click(session, message.id, link, Fetch(FIREFOX), now + timedelta(minutes=1, milliseconds=100 * number))
    with db.read() as session:
        assert [hit.agent_class for hit in session.scalars(select(Hit).order_by(Hit.id))] == ["human", "scanner", "scanner"]  # type: ignore[arg-type]


def test_a_flood_of_hits_is_cut(db: Database, message: Message, now: datetime) -> None:
    with db.write() as session:
        for hour in range(MAX_HITS + 5):
            record_open(session, message.id, Fetch(FIREFOX), now + timedelta(hours=hour + 1))
    with db.read() as session:
        assert len(session.scalars(select(Hit)).all()) == MAX_HITS


@pytest.mark.parametrize("why", ["test", "withdrawn", "erased", "unknown"])
def test_what_must_not_be_tracked_is_not(db: Database, message: Message, now: datetime, why: str) -> None:
    with db.write() as session:
        if why == "test":
            session.get_one(Message, message.id).test = True
        if why == "withdrawn":
            record_consent(session, message.contact_id, "tracking", "marketing", "withdrawn", now, evidence=Evidence.DATED, source="test")
        if why == "erased":
            session.get_one(Contact, message.contact_id).erased_at = now
    with db.write() as session:
        assert record_open(session, "0" * 32 if why == "unknown" else message.id, Fetch(FIREFOX), now + timedelta(hours=1)) is None
    with db.read() as session:
        assert session.scalars(select(Hit)).all() == []
        assert session.scalars(select(Event).where(Event.name == "Message Opened")).all() == []


@pytest.mark.parametrize(
    ("most", "setting", "state", "expected"),
    [
        ("full", {}, None, "full"),
        ("clicks", {}, "granted", "clicks"),
        ("none", {}, "granted", "none"),
        ("full", {"level": "clicks"}, None, "clicks"),
        ("full", {}, "withdrawn", "none"),
        ("full", {"opens_need_consent": True}, None, "clicks"),
        ("full", {"opens_need_consent": True}, "pending", "clicks"),
        ("full", {"opens_need_consent": True}, "granted", "full"),
    ],
)
def test_the_level_is_the_least_of_all(
    sqlite_db: Database, now: datetime, most: str, setting: dict[str, object], state: str | None, expected: str
) -> None:
    with sqlite_db.write() as session:
        contact = Contact(created_at=now, updated_at=now)
        session.add(contact)
        session.flush()
        put(session, "tracking", setting, "test", now)
        if state:
            record_consent(session, contact.id, "tracking", "marketing", state, now, evidence=Evidence.DATED, source="test")
        assert level(session, contact.id, most) == expected  # type: ignore[arg-type]


def test_marks_follow_the_level() -> None:
    assert tracking.marks("ab" * 16, "none").click is None
    assert tracking.marks("ab" * 16, "clicks").pixel_url == ""
    full = tracking.marks("ab" * 16, "full")
    assert full.pixel_url == tracking.pixel_url("ab" * 16)
    assert full.click is not None
    assert full.click("cd" * 16) == tracking.click_url("ab" * 16, "cd" * 16)


def test_a_workspace_is_at_home_at_its_website_and_where_it_sends_from(sqlite_db: Database, now: datetime) -> None:
    with sqlite_db.write() as session:
        assert own_domains(session, "Shop <shop@Ops.example>") == {"ops.example"}
        put(session, "appearance", {"website": "https://www.Brand.example/de"}, "test", now)
        put(session, "sender", {"email": "hello@mail.brand.example"}, "test", now)
        assert own_domains(session, "shop@ops.example") == {"ops.example", "brand.example", "mail.brand.example"}
