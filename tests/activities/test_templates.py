"""Templates saved in versions, previewed and tried out on colleagues."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session
from sqlmodel import select

from activities.providers import Answer, InDoubt, MessageDead, Outbox, Outgoing
from activities.sending.messages import MessageSettings
from activities.templates import library, listing
from activities.templates.library import Saved, archive, latest, load, preview, save, send_test
from activities.tracking import Tracking
from journeys.errors import Conflict, Invalid, NotFound
from journeys.link_parameters import LinkParameters
from models import Audit, Body, Contact, Database, Event, Member, Message, OutboxItem, Template, TemplateVersion
from workspace.settings import put

BODY = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hallo {{ contact.first_name }}, {{ trigger.total|money('EUR') }} "
    '<a href="{{ unsubscribe_url }}">weg</a></mj-text></mj-column></mj-section></mj-body></mjml>'
)
HOUSE = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>", language="de")


def put_template(db: Database, now: datetime, body: str = BODY, **more: Any) -> Saved:
    variants = {"default": {"subject": "Für {{ contact.first_name }}", "mjml": body}}
    options = {"name": "Welcome", "kind": "email", "message_class": "marketing", "actor": "test", "now": now, **more}
    return save(db, "welcome_1", variants, **options)  # type: ignore[arg-type]


def rows(db: Database, model: Any) -> list[Any]:
    with db.read() as session:
        return list(session.scalars(select(model)))


def test_every_changed_text_is_a_version(db: Database, now: datetime) -> None:
    first = put_template(db, now)
    same = put_template(db, now + timedelta(hours=1), name="Willkommen")
    second = put_template(db, now + timedelta(hours=2), BODY.replace("Hallo", "Hi"))
    assert [first.number, same.number, second.number] == [1, 1, 2]
    assert second.template.revision == 3
    with db.read() as session:
        assert latest(session, "welcome_1") == 2
        assert "Hallo" in load(session, "welcome_1", 1).variants["default"].text
        assert "Hi" in load(session, "welcome_1").variants["default"].text
        with pytest.raises(NotFound):
            load(session, "welcome_1", 3)
    assert [line.action for line in rows(db, Audit)] == ["template.save"] * 3


def test_a_broken_template_stores_nothing(db: Database, now: datetime) -> None:
    with pytest.raises(Invalid) as caught:
        put_template(db, now, BODY.replace("<mj-text>", "<mj-txt>"))
    assert [(issue.code, issue.values["column"]) for issue in caught.value.issues] == [("tag_crossed", 151)]
    assert rows(db, Template) == rows(db, TemplateVersion) == rows(db, Audit) == []


def test_two_people_cannot_overwrite_each_other(db: Database, now: datetime) -> None:
    put_template(db, now)
    put_template(db, now, BODY.replace("Hallo", "A"), revision=1)
    with pytest.raises(Conflict):
        put_template(db, now, BODY.replace("Hallo", "B"), revision=1)
    with pytest.raises(Conflict):
        save(db, "welcome_1", {"de": {"text": "x"}}, name="x", kind="sms", message_class="marketing", actor="test", now=now)
    assert rows(db, Template)[0].revision == 2


@pytest.mark.parametrize(("key", "name", "message_class"), [("Über", "x", "marketing"), ("a", " ", "marketing"), ("a", "x", "urgent")])
def test_names_are_checked(sqlite_db: Database, now: datetime, key: str, name: str, message_class: str) -> None:
    with pytest.raises(Invalid):
        save(sqlite_db, key, {"de": {"text": "x"}}, name=name, kind="sms", message_class=message_class, actor="test", now=now)


def test_archived_templates_still_load(db: Database, now: datetime) -> None:
    put_template(db, now)
    with db.write() as session:
        archive(session, "welcome_1", "test", now)
    with db.read() as session:
        assert library.get(session, "welcome_1").archived_at == now
        assert load(session, "welcome_1", 1).kind == "email"


def test_a_preview_shows_the_contacts_message(db: Database, contact: Contact, now: datetime) -> None:
    put_template(db, now)
    with db.write() as session:
        put(session, "sender", {"name": "Shop", "email": "shop@example.com"}, "test", now)
        compiled = load(session, "welcome_1")
        shown = preview(session, HOUSE, compiled, now, contact_id=contact.id, trigger={"total": 12})
        assert shown.subject == "Für Anna"
        assert "12.00" in shown.text or "12,00" in shown.text
        made_up = preview(session, HOUSE, compiled, now, trigger={"total": 12}, locale="de")
        assert made_up.locale == "de"
        with pytest.raises(Invalid) as caught:
            preview(session, HOUSE, compiled, now, contact_id=contact.id)
        assert [issue.values["name"] for issue in caught.value.issues] == ["total"]
        with pytest.raises(NotFound):
            preview(session, HOUSE, compiled, now, contact_id="0" * 32)


def member(session: Session, now: datetime, **more: Any) -> str:
    row = Member(name="Max", email="max@example.com", created_at=now, **more)
    session.add(row)
    session.flush()
    return row.id


def test_a_test_message_goes_to_the_colleague_and_counts_nowhere(db: Database, contact: Contact, now: datetime) -> None:
    put_template(db, now)
    with db.write() as session:
        max_id = member(session, now)
    sent = send_test(
        db, HOUSE, Outbox(db, lambda: now), "welcome_1", member_id=max_id, contact_id=contact.id, now=now, trigger={"total": 1}
    )
    item = rows(db, OutboxItem)[0]
    assert (item.recipient, item.subject) == ("max@example.com", "[Test] Für Anna")
    assert "/c/" not in item.html
    assert "/o/" not in item.html
    assert (sent.test, sent.status, sent.once_key[:5], sent.template_version) == (True, "sent", "test:", 1)
    assert [row.recipient for row in rows(db, Body)] == ["max@example.com"]
    assert rows(db, Event) == []


class Failing(Outbox):
    """A provider whose other side misbehaves."""

    def __init__(self, db: Database, failure: Exception) -> None:
        super().__init__(db)
        self.failure = failure

    def send(self, message: Outgoing) -> Answer:
        raise self.failure


@pytest.mark.parametrize(("failure", "status"), [(MessageDead("smtp_554"), "failed"), (InDoubt("smtp_no_answer"), "uncertain")])
def test_what_the_provider_said_is_kept(sqlite_db: Database, now: datetime, failure: Exception, status: str) -> None:
    put_template(sqlite_db, now, BODY.replace("{{ trigger.total|money('EUR') }}", ""))
    with sqlite_db.write() as session:
        contact = Contact(first_name="Anna", created_at=now, updated_at=now)
        session.add(contact)
        max_id = member(session, now)
    sent = send_test(sqlite_db, HOUSE, Failing(sqlite_db, failure), "welcome_1", member_id=max_id, contact_id=contact.id, now=now)
    assert (sent.status, sent.reason, sent.sent_at) == (status, str(failure), None)
    assert rows(sqlite_db, Message)[0].status == status


def test_only_people_of_the_team_get_test_messages(db: Database, contact: Contact, now: datetime) -> None:
    put_template(db, now)
    with db.write() as session:
        gone = member(session, now, active=False)
    for nobody in (gone, contact.id, "anna@example.org"):
        with pytest.raises(NotFound):
            send_test(db, HOUSE, Outbox(db), "welcome_1", member_id=nobody, contact_id=contact.id, now=now, trigger={"total": 1})
    assert rows(db, Message) == []


LINK = BODY.replace("</mj-text>", '<a href="https://shop.example/a">Shop</a></mj-text>')
OWN = LinkParameters(mode="own", source="mail-{template}", campaign="{journey}")


def linked(session: Session, now: datetime, number: int | None = None) -> str:
    """The query of the link in the template's newest version, or in another one."""
    shown = preview(session, HOUSE, load(session, "welcome_1", number), now, trigger={"total": 12})
    return shown.html.partition('href="https://shop.example/a')[2].partition('"')[0].replace("&amp;", "&")


def test_what_is_added_to_links_is_pinned_by_the_version(db: Database, now: datetime) -> None:
    assert put_template(db, now, LINK).number == 1
    with db.write() as session:
        put(session, "link_parameters", {"source": "shop", "excluded": " Example.ORG, x.example"}, "test", now)
        assert linked(session, now).startswith("?utm_source=shop")
        described = library.describe(
            session,
            "welcome_1",
            1,
            name="Welcome",
            message_class="marketing",
            folder="",
            tags=[],
            actor="test",
            now=now,
            link_parameters=OWN,
        )
        assert (described.revision, latest(session, "welcome_1")) == (2, 2)
        assert linked(session, now).startswith("?utm_source=mail-welcome_1&utm_campaign=preview")
        assert linked(session, now, 1).startswith("?utm_source=shop")
        library.describe(
            session, "welcome_1", 2, name="W", message_class="marketing", folder="", tags=[], actor="test", now=now, link_parameters=OWN
        )
        assert latest(session, "welcome_1") == 2, "the same again is no version"
        assert not listing.is_draft(session, library.get(session, "welcome_1"))
    third = put_template(db, now, LINK, link_parameters=LinkParameters(mode="none"))
    assert third.number == 3
    assert put_template(db, now, LINK).number == 3, "left out, it stays"
    with db.write() as session:
        assert not linked(session, now).startswith("?")
        listing.duplicate(session, "welcome_1", "welcome_2", "Two", "test", now)
        assert load(session, "welcome_2").link_parameters == {"mode": "none"}


@pytest.mark.parametrize("pattern", ["{contact}", "{journey", "}", "x" * 121, "{journey.key}"])
def test_strange_patterns_are_refused(sqlite_db: Database, now: datetime, pattern: str) -> None:
    with pytest.raises(ValidationError):
        LinkParameters(mode="own", source=pattern)
    with sqlite_db.write() as session, pytest.raises(Invalid):
        put(session, "link_parameters", {"source": pattern}, "test", now)


@pytest.mark.parametrize("sites", ["https://x.example", "x", "a b.example"])
def test_sites_left_alone_are_hosts(sqlite_db: Database, now: datetime, sites: str) -> None:
    with sqlite_db.write() as session, pytest.raises(Invalid):
        put(session, "link_parameters", {"excluded": sites}, "test", now)
