"""Senders: who may be chosen, what publishing refuses, and whom a message is from."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from activities.providers import Answer, Outbox, Outgoing
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings, stored
from activities.templates import library
from activities.tracking import Tracking
from engine.versions import publish as publishing
from engine.versions import uses
from journeys.errors import Invalid
from models import Audit, Body, Message, Template
from storage import sending_counts
from storage.tally import day_of
from workspace import accounts, sending_domains, settings

TEAM = {"key": "team", "name": "The team", "email": "team@shop.example", "reply_to": "answers@shop.example"}
CARE = {"key": "care", "name": "", "email": "care@other.example"}
MARK = {"name": "", "type": "", "value": ""}
GOOD_KEY = {**MARK, "what": "dkim", "level": "good", "code": "good"}
RED = {**MARK, "what": "dmarc", "level": "bad", "code": "dmarc_none"}
MX = {**MARK, "what": "mx", "level": "bad", "code": "mx_none"}
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>Hello from {{ sender.name }}</mj-text></mj-column></mj-section></mj-body></mjml>"


def journey(message_class: str = "transactional", **mail: Any) -> dict[str, Any]:
    return {
        "spec": 1, "key": "hello", "name": "Hello", "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]}, "start": "mail",
        "settings": {"message_class": message_class},
        "nodes": {"mail": {"kind": "send_email", "template": "hello", **mail}, "end": {"kind": "exit"}},
        "edges": [{"from": "mail", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
    }  # fmt: skip


def put(world: Any, name: str, value: dict[str, Any]) -> None:
    with world.db.write() as session:
        settings.put(session, name, value, "test", world.now)


def carries(world: Any, channel: str = "email", provider: str = "smtp", **config: str) -> None:
    """An account carries the channel."""
    with world.db.write() as session:
        given = accounts.SetUp(provider, config or {"host": "localhost"}, {"api_key": "k"} if config else {})
        accounts.add(session, world.engine.address_keys, "main", given, "test", world.now)
        accounts.carry(session, {channel: f"{provider}.main"}, "test", world.now)


def checked(world: Any, domain: str, *marks: dict[str, str], account: str = "smtp.main") -> None:
    with world.db.write() as session:
        sending_domains.note(session, account, domain, marks, "test", world.now)


def refused(world: Any, document: dict[str, Any]) -> set[tuple[str, str]]:
    with world.db.read() as session:
        found = publishing.check_draft(world.engine, session, document)
    return {(issue.code, str(issue.field)) for issue in found if issue.severity == "error"}


@pytest.fixture(name="shop")
def fixture_shop(world: Any) -> Any:
    texts = {"default": {"subject": "Hi", "mjml": MJML, "text": "{{ sender.email }} {{ unsubscribe_url }}"}}
    library.save(world.db, "hello", texts, name="Hello", kind="email", message_class="transactional", actor="test", now=world.now)
    put(world, "sender", {"name": "Shop", "email": "shop@shop.example", "reply_to": "usual@shop.example"})
    put(world, "senders", {"senders": [TEAM, CARE]})
    return world


def test_a_sender_that_is_gone_is_not_published(shop: Any) -> None:
    assert refused(shop, journey(sender="nobody", reply_to="care")) == {("unknown_sender", "sender")}
    assert refused(shop, journey(sender="team", reply_to="nobody")) == {("unknown_sender", "reply_to")}
    assert refused(shop, journey(sender="team", reply_to="care")) == set()


def test_a_sender_is_verified_by_the_accounts_own_key_in_its_domain(shop: Any) -> None:
    carries(shop)
    assert refused(shop, journey(sender="team")) == {("unverified_sender", "sender")}
    checked(shop, "shop.example", GOOD_KEY, account="smtp.other")
    assert refused(shop, journey(sender="team")) == {("unverified_sender", "sender")}, "another account's key proves nothing"
    checked(shop, "shop.example", GOOD_KEY)
    assert refused(shop, journey(sender="team")) == set()
    assert refused(shop, journey(sender="team", reply_to="care")) == {("unverified_sender", "reply_to")}
    checked(shop, "shop.example", {**GOOD_KEY, "level": "bad", "code": "dkim_other"})
    assert refused(shop, journey(sender="team")) == {("unverified_sender", "sender")}
    assert refused(shop, journey()) == set(), "the usual one needs no proof"


@pytest.mark.parametrize("sender", [{}, {"sender": "team"}])
def test_a_domain_with_red_marks_carries_no_marketing_unless_an_administrator_says_so(shop: Any, sender: dict[str, str]) -> None:
    carries(shop)
    checked(shop, "shop.example", GOOD_KEY, RED)
    marketing = journey("marketing", **sender)
    assert ("red_sender", "sender") in refused(shop, marketing)
    assert ("red_sender", "sender") not in refused(shop, journey(**sender)), "transactional messages are owed"
    with shop.db.write() as session:
        sending_domains.allow(session, "smtp.main", "shop.example", "member:ada")
    assert ("red_sender", "sender") not in refused(shop, marketing)
    checked(shop, "shop.example", GOOD_KEY, RED, MX)
    assert ("red_sender", "sender") in refused(shop, marketing), "another red mark was not allowed"
    checked(shop, "shop.example", GOOD_KEY)
    checked(shop, "shop.example", GOOD_KEY, RED)
    assert ("red_sender", "sender") in refused(shop, marketing), "what was mended meanwhile is allowed no more"
    with shop.db.read() as session:
        said = [(one.action, one.actor, one.detail["red"]) for one in session.scalars(select(Audit)) if one.action.startswith("domain.")]
    assert said[:2] == [("domain.check", "test", ["dmarc_none"]), ("domain.allow", "member:ada", ["dmarc_none"])]


def test_no_marketing_mail_goes_live_before_postal_address_and_imprint_are_set(shop: Any) -> None:
    legal = {("no_imprint", "None"), ("no_postal_address", "None")}
    assert not legal & refused(shop, journey("marketing")), "where no account carries e-mail nobody is reached"
    carries(shop)
    assert legal <= refused(shop, journey("marketing"))
    assert not legal & refused(shop, journey()), "transactional messages are owed"
    assert legal <= refused(shop, journey(message_class="marketing"))
    put(shop, "sender", {"name": "Shop", "email": "shop@shop.example", "postal_address": "  "})
    assert legal <= refused(shop, journey("marketing")), "blanks are no address"
    put(shop, "sender", {"name": "Shop", "email": "shop@shop.example", "postal_address": "Musterweg 1"})
    assert legal & refused(shop, journey("marketing")) == {("no_imprint", "None")}
    put(shop, "appearance", {"imprint": "https://shop.example/legal"})
    assert not legal & refused(shop, journey("marketing"))


def test_no_marketing_card_goes_live_before_it_can_say_whom_it_is_from(shop: Any) -> None:
    legal = {("no_imprint", "None"), ("no_postal_address", "None")}
    front = {"default": {"front": "<p>Hi</p>", "text": "Hello"}}
    library.save(shop.db, "card", front, name="Card", kind="postcard", message_class="transactional", actor="test", now=shop.now)
    carries(shop)
    assert not legal & refused(shop, journey("marketing", kind="send_postcard", template="card")), "nobody prints"
    carries(shop, "postcard", "postal_http", shape="lob")
    assert legal & refused(shop, journey("marketing", kind="send_postcard", template="card")) == {("no_postal_address", "None")}
    assert not legal & refused(shop, journey(kind="send_postcard", template="card")), "transactional cards are owed"
    put(shop, "sender", {"name": "Shop", "email": "shop@shop.example", "postal_address": "Musterweg 1"})
    assert not legal & refused(shop, journey("marketing", kind="send_postcard", template="card"))


def test_where_no_account_carries_e_mail_nobody_is_asked_for_proof(shop: Any) -> None:
    checked(shop, "shop.example", RED)
    assert refused(shop, journey(sender="team")) == set()


def test_a_sender_that_runs_is_not_removed_unseen(shop: Any) -> None:
    shop.publish(journey(sender="team"))
    with shop.db.read() as session:
        before = settings.load(session, settings.Senders)
        found = uses.uses_of_removed(shop.engine, session, before, settings.Senders(senders=()))
    assert [(use.node, use.field, use.name) for use in found] == [("mail", "sender", "team")]


class Post(Outbox):
    """The outbox, which notes what it was handed."""

    def __init__(self, shop: Any) -> None:
        super().__init__(shop.db, lambda: shop.now)
        self.handed: list[Outgoing] = []

    def send(self, message: Outgoing) -> Answer:
        self.handed.append(message)
        return Outbox.send(self, message)


def sent(shop: Any, document: dict[str, Any]) -> tuple[Any, Outgoing | None]:
    post = Post(shop)
    messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Operator <op@example.com>")
    shop.effects = Effects(shop.engine, {"email": MessageHandler(messaging, post, "email")}, Breakers(shop.db))
    shop.publish(document)
    run = shop.run(shop.happens(shop.contact(), "Signed Up"))
    shop.perform(run)
    [message] = shop.messages(run)
    return message, post.handed[0] if post.handed else None


@pytest.mark.parametrize(
    ("said", "mailbox", "reply_to", "shown"),
    [
        ({}, "Shop <shop@shop.example>", "usual@shop.example", "Shop"),
        ({"sender": "team"}, "The team <team@shop.example>", "answers@shop.example", "The team"),
        ({"sender": "care"}, "care@other.example", "", ""),
        ({"reply_to": "care"}, "Shop <shop@shop.example>", "care@other.example", "Shop"),
        ({"sender": "care", "reply_to": "team"}, "care@other.example", "team@shop.example", ""),
    ],
)
def test_a_message_is_from_whom_its_step_says(shop: Any, said: dict[str, str], mailbox: str, reply_to: str, shown: str) -> None:
    message, out = sent(shop, journey(**said))
    assert out is not None
    assert (message.status, out.sender, out.reply_to) == ("sent", mailbox, reply_to)
    assert f"Hello from {shown}" in out.html
    with shop.db.read() as session:
        again = stored(session, session.get(Message, message.id))  # type: ignore[arg-type]
        body = session.get_one(Body, message.body_id)
        counted = sending_counts.read(session, day_of(shop.now))
    assert list(counted) == ["@" + mailbox.strip(">").rpartition("@")[2]], "and counts for the rates of its domain"
    assert again is not None
    assert again.sender == next(iter(counted))
    assert (again.payload.sender, again.payload.reply_to) == (mailbox, reply_to), "sent once more it is from the same"
    assert body.headers.get("Reply-To", "") == reply_to


@pytest.mark.parametrize(
    ("label", "said", "mailbox", "reply_to"),
    [
        ({"sender": "team"}, {}, "The team <team@shop.example>", "answers@shop.example"),
        ({"sender": "care", "reply_to": "team"}, {}, "care@other.example", "team@shop.example"),
        ({"sender": "team"}, {"sender": "care"}, "care@other.example", ""),
        ({"reply_to": "care"}, {}, "Shop <shop@shop.example>", "care@other.example"),
        ({"sender": "team", "reply_to": "care"}, {"reply_to": "team"}, "The team <team@shop.example>", "team@shop.example"),
    ],
)
def test_a_template_chooses_where_its_step_does_not(
    shop: Any, label: dict[str, str], said: dict[str, str], mailbox: str, reply_to: str
) -> None:
    labelled(shop, **label)
    _, out = sent(shop, journey(**said))
    assert out is not None
    assert (out.sender, out.reply_to) == (mailbox, reply_to)


def labelled(shop: Any, **label: str) -> None:
    with shop.db.write() as session:
        revision = session.get_one(Template, "hello").revision
        about: dict[str, Any] = {"name": "Hello", "message_class": "transactional", "folder": "", "tags": []}
        library.describe(session, "hello", revision, actor="test", now=shop.now, **about, **label)


def test_the_senders_of_a_template_are_verified_when_it_is_published_and_when_it_is_sent(shop: Any) -> None:
    labelled(shop, sender="team", reply_to="care")
    carries(shop)
    assert refused(shop, journey()) == {("unverified_sender", "template")}
    checked(shop, "shop.example", GOOD_KEY)
    checked(shop, "other.example", GOOD_KEY)
    assert refused(shop, journey()) == set()
    assert refused(shop, journey(sender="care")) == set()
    shop.publish(journey())
    checked(shop, "other.example", {**GOOD_KEY, "level": "bad", "code": "dkim_other"})
    assert refused(shop, journey(reply_to="team")) == set(), "the step's own choice stands before the template's"
    assert performed(shop) == [("skipped", "unverified_sender")]


def test_a_template_chooses_among_the_senders_there_are_and_keeps_them(shop: Any) -> None:
    with pytest.raises(Invalid, match="nobody"):
        labelled(shop, sender="nobody")
    labelled(shop, sender="team")
    with shop.db.write() as session, pytest.raises(Invalid) as answer:
        settings.put(session, "senders", {"senders": [CARE]}, "test", shop.now)
    assert [issue.values["templates"] for issue in answer.value.issues] == ["hello"]
    put(shop, "senders", {"senders": [TEAM]})


def test_a_body_from_before_replies_stood_in_it_is_answered_as_then(shop: Any) -> None:
    message, _ = sent(shop, journey())
    with shop.db.write() as session:
        body = session.get_one(Body, message.body_id)
        body.headers = {name: value for name, value in body.headers.items() if name != "Reply-To"}
        session.add(body)
    with shop.db.read() as session:
        again = stored(session, session.get(Message, message.id))  # type: ignore[arg-type]
    assert again is not None
    assert again.payload.reply_to == "usual@shop.example"


def test_a_sender_that_goes_meanwhile_is_replaced_by_nobody(shop: Any) -> None:
    shop.publish(journey(sender="team"))
    put(shop, "senders", {"senders": []})
    assert performed(shop) == [("skipped", "no_sender")]


def performed(shop: Any) -> list[tuple[str, str]]:
    """What becomes of the next message of the journey as it is published; nothing was handed to the provider if it did not leave."""
    post = Post(shop)
    messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Operator <op@example.com>")
    shop.effects = Effects(shop.engine, {"email": MessageHandler(messaging, post, "email")}, Breakers(shop.db))
    run = shop.run(shop.happens(shop.contact(), "Signed Up"))
    shop.perform(run)
    found = [(one.status, one.reason) for one in shop.messages(run)]
    assert len(post.handed) == sum(status == "sent" for status, _ in found)
    return found
