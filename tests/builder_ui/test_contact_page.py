"""What one contact's page says: what was opened and by whom, what changed from what to what, tests that are not theirs, and why an address is blocked."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any

from sqlmodel import select

from activities.rendering import link_digest
from activities.tracking import Fetch, record_click, record_open, store_links, target
from crm.consent import suppression
from crm.people import touches
from crm.people.identity import resolve
from crm.people.profile import add_tag, update_fields
from crm.people.touches import Touch
from crm.sales import tasks
from journeys.changes import CreateTask
from models import Contact, Message, new_id
from storage.events import append_event
from tests.builder_ui.test_pages import say

PERSON = Fetch("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
MACHINE = Fetch("Mozilla/5.0 Barracuda")
SHOP = "https://shop.example.org/rucksack"


def first_mail(town: Any, session: Any, first: str) -> Message:
    return session.scalars(select(Message).where(Message.run_id == town.run_of(first), Message.node == "hello")).one()  # type: ignore[no-any-return]


def page_of(log_in: Any, opened: Any, town: Any, first: str, query: str = "") -> str:
    return say(opened, log_in("admin"), f"/ui/contacts/{town.people[first]}{query}")


def test_opens_and_clicks_name_their_message_and_link_and_machines_are_told_apart(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        message = first_mail(town, session, "Carla")
        store_links(session, {link_digest(SHOP): SHOP}, town.now, town.people["Carla"])
        link = target(session, link_digest(SHOP))
        assert link is not None
        assert message.sent_at is not None
        record_open(session, message.id, MACHINE, message.sent_at + timedelta(minutes=1))
    subject = message.subject
    text = page_of(log_in, opened, town, "Carla")
    assert f"Opened (probably by a machine) :  {subject}" in text
    assert f"Opened :  {subject}" not in text
    with town.db.write() as session:
        record_click(session, message.id, link, PERSON, message.sent_at + timedelta(hours=1))
        record_click(session, message.id, link, MACHINE, message.sent_at + timedelta(hours=2))
    text = page_of(log_in, opened, town, "Carla")
    assert f"Clicked :  {subject} link to {SHOP}" in text
    assert f"Clicked (probably by a machine) :  {subject} link to {SHOP}" in text


def test_a_reply_stands_in_the_contact_s_words_and_a_bounce_says_how_bad_it_is(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        message = first_mail(town, session, "Ben")
        about = {"message_id": message.id, "channel": "sms"}
        for name, more in (
            ("Message Replied", {"text": "<b>Nein</b>, danke. STOP", "intent": "stop"}),
            ("Message Auto-Replied", {"text": "Back on Monday"}),
            ("Message Bounced", {"bounce": "soft"}),
            ("Message Bounced", {"bounce": "streak"}),
        ):
            append_event(session, town.people["Ben"], "system", name, {**about, **more}, town.now)
    text = page_of(log_in, opened, town, "Ben")
    assert f"Reply :  {message.subject} <b>Nein</b>, danke. STOP Wants no more messages on this channel" in html.unescape(text)
    assert f"Automatic reply :  {message.subject} Back on Monday" in text
    assert f"Bounced for now :  {message.subject}" in text
    assert "Bounced several times in a row: the address is blocked" in text


def test_a_change_says_from_what_to_what(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        update_fields(session, town.people["Ben"], {"plan": "trial"}, town.now, "test")
        update_fields(session, town.people["Ben"], {"plan": "pro"}, town.now, "test")
        place = {"line1": "Weg 1", "postal_code": "8001", "city": "Zürich", "country": "CH"}
        update_fields(session, town.people["Ben"], {"postal_address": place}, town.now, "test")
        add_tag(session, town.people["Ben"], "vip", town.now, "test")
    text = page_of(log_in, opened, town, "Ben")
    assert "plan: – → trial" in text
    assert "plan: trial → pro" in text
    assert "Tag added: vip" in text
    assert text.count("Weg 1, 8001 Zürich, CH") == 2, "beside the other fields, and where it changed"
    assert "Postal address: – → Weg 1" in text


def test_the_note_of_a_finished_task_is_there_and_no_row_says_it_again(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        task = CreateTask(id=new_id(), title="Call back", owner=town.members["sales"], outcomes=("done",))
        made = tasks.create(session, task, contact_id=town.people["Ben"], now=town.now, by="test")
        tasks.finish(session, made.id, "done", f"member:{town.members['sales']}", town.now, note="Wants an offer in May.")
    text = page_of(log_in, opened, town, "Ben")
    assert text.count("Wants an offer in May.") == 1
    assert "Task Finished" not in text
    assert "Task Finished" in page_of(log_in, opened, town, "Ben", "?kind=event")


def test_a_test_of_a_template_is_not_the_contact_s(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        session.add(
            Message(
                once_key="test:1",
                contact_id=town.people["Ben"],
                channel="email",
                subject="[Test] Hello",
                status="sent",
                planned_at=town.now,
                test=True,
            )
        )
    text = page_of(log_in, opened, town, "Ben")
    assert "Test   [Test] Hello A test for the team" in text
    listed = say(opened, log_in("admin"), "/ui/messages")
    assert "the team [Test] Hello Test Sent" in listed


def test_a_journey_that_somebody_entered_and_left_is_named_once_each(log_in: Any, opened: Any, town: Any) -> None:
    text = page_of(log_in, opened, town, "Felix")
    assert text.count("Cart abandonment   ended: an exit rule came true") == 1
    assert "Cart abandonment   entered (version 1)" in text
    assert "Journey Ended" not in text
    assert "exits early" not in text


def test_finished_journeys_and_ways_to_reach_somebody(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        update_fields(session, town.people["Felix"], {"phone": "+41441234567"}, town.now, "test")
    with opened(log_in("admin"), f"/ui/contacts/{town.people['Felix']}") as page:
        assert "Finished journeys Cart abandonment" in page.text
        assert "tel:+41441234567" in str(page.model)


def test_who_was_only_imported_or_made_by_hand_was_never_seen(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        id = resolve(session, [("email", "list@example.org")], town.now).contact_id
        assert session.get_one(Contact, id).last_seen_at is None
    assert "Last seen never, according to tracking" in say(opened, log_in("admin"), f"/ui/contacts/{id}")


def test_a_blocked_address_says_channel_reason_since_when_and_what_lifts_it(log_in: Any, opened: Any, town: Any) -> None:
    keys = town.engine.address_keys
    with town.db.write() as session:
        for first, reason in (("Ben", "hard_bounce"), ("Carla", "unsubscribe")):
            suppression.suppress(session, keys, "email", f"{first.lower()}@mail.example.org", reason, town.now)
    bounced, unsubscribed = (page_of(log_in, opened, town, first) for first in ("Ben", "Carla"))
    assert "This address is suppressed on the channel E-mail: the address is blocked after a bounce" in bounced
    assert "Since" in bounced
    assert "An administrator can unsuppress it under Change once the address works again." in bounced
    assert "This address gets no marketing on the channel E-mail: the address has unsubscribed" in unsubscribed
    assert "Transactional messages still arrive." in unsubscribed
    assert "New consent from this mailbox removes the suppression" in unsubscribed


def test_how_somebody_came_stands_beside_and_finds_them(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        for touch in (
            Touch("referrer", town.now, referrer="blog.example/a"),
            Touch("campaign", town.now + timedelta(hours=1), utm_source="news"),
        ):
            touches.record(session, town.people["Anna"], touch, town.now)
    client = log_in("viewer")
    beside = say(opened, client, f"/ui/contacts/{town.people['Anna']}")
    assert "First touch Source kind Link on another site" in beside
    assert "Referrer blog.example/a" in beside
    assert "UTM source news" in beside
    assert "Last touch : Campaign link UTM source: news" in " ".join(beside.split()), "the timeline says it in words"
    assert "Lead source" not in say(opened, client, f"/ui/contacts/{town.people['Ben']}"), "nothing is known"
    for asked in ("source=news", "source=blog.example", "came=referrer"):
        shown = say(opened, client, f"/ui/contacts?{asked}")
        assert ("Anna" in shown, "Ben" in shown) == (True, False), asked
    assert "Anna" not in say(opened, client, "/ui/contacts?came=campaign"), "not by the last touch"
