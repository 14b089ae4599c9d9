"""E-mails that a member writes to one contact: once, through the gate, with the consent that they need, and answered onto the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from activities.account_setup import set_up_of
from activities.happenings import Streak
from activities.inbound.take import Inbound
from activities.providers.provider import AddressDead, Answer, InDoubt, Outgoing, RetryLater
from activities.providers.smtp import Smtp
from activities.sending import personal
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings
from activities.sending.personal import Letter
from activities.sending.personal_sending import send_due
from activities.templates import library
from activities.tracking import Tracking
from crm.consent import suppression
from crm.consent.consent import Evidence, record_consent
from crm.coupons import pools
from crm.people.identity import resolve
from crm.people.merge import merge
from crm.people.timeline import Wanted, timeline
from crm.privacy.erasure import erase
from crm.uncertain import decide
from engine.engine import Engine
from engine.enrolment.routing import routed
from engine.restored import mark
from journeys.errors import Conflict, Invalid, NotFound, PfadwerkError
from journeys.nodes import Palette
from models import Body, Contact, Database, Event, Member, Message, PersonalMail, Template
from tests.mail_server import Death, Moment, Post
from workspace import accounts, sending_domains
from workspace import settings as workspace
from workspace.members import add_member

KEYS = (b"k" * 32,)
ANNA = "anna@example.org"
HELLO = Letter("Your  question", "Yes, it is in stock.\n\n<b>Really</b> & truly.\nBye", signature="Mara Marti\nShop")
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ contact.first_name | default('you') }} <a href=\"{{ unsubscribe_url }}\">no more</a> {{ sender.address }}</mj-text></mj-column></mj-section></mj-body></mjml>"


@dataclass
class Desk:
    """Who writes, to whom, and what carries it."""

    engine: Engine
    effects: Effects
    post: Post
    clock: Moment
    member: str
    anna: str

    @property
    def messaging(self) -> MessageSettings:
        handler: Any = self.effects.performers["email"]
        found: MessageSettings = handler.messaging
        return found

    def write(self, letter: Letter = HELLO, mail_id: str = "", contact: str = "") -> Message:
        return personal.post(self.engine.db, self.messaging, contact or self.anna, letter, self.member, self.clock.at, mail_id)

    def look(self, **span: float) -> None:
        self.clock.at += timedelta(**span)
        for _ in range(4):
            send_due(self.effects)
            self.clock.at += timedelta(seconds=3)

    def stands(self) -> list[tuple[str, str]]:
        with self.engine.db.read() as session:
            return [(row.status, row.reason) for row in session.scalars(select(Message).order_by(Message.planned_at))]  # type: ignore[arg-type]

    def told(self) -> Mapping[str, dict[str, Any]]:
        with self.engine.db.read() as session:
            rows = session.execute(select(Event.name, Event.properties).where(Event.contact_id == self.anna, Event.type == "system"))
            return {name: properties for name, properties in rows if name.startswith("Message")}


@pytest.fixture
def desk(db: Database) -> Desk:
    clock, post = Moment(), Post()
    engine = Engine(db, clock, Palette.built_in(), KEYS)  # type: ignore[arg-type]
    messaging = MessageSettings(Tracking({"k1": b"k" * 32}, "https://news.example.com"), KEYS, "Shop <shop@example.com>")
    effects = Effects(engine, {"email": MessageHandler(messaging, post, "email")}, Breakers(db))  # type: ignore[arg-type]
    with db.write() as session:
        member = add_member(session, "Mara Marti", "mara@example.com", "sales", clock.at).id
        anna = resolve(session, [("email", ANNA)], clock.at).contact_id
    return Desk(engine, effects, post, clock, member, anna)


def template(desk: Desk, message_class: str, mjml: str = MJML) -> str:
    with desk.engine.db.write() as session:
        workspace.put(
            session, "sender", {"name": "Shop", "email": "shop@example.com", "postal_address": "Weg 1, Bern"}, "test", desk.clock.at
        )
    saved = {"default": {"subject": "Offer", "mjml": mjml}}
    kind: Any = {"name": "Offer", "kind": "email", "message_class": message_class}
    library.save(desk.engine.db, "offer", saved, **kind, actor="test", now=desk.clock.at)
    return "offer"


def test_own_words_leave_once_as_they_were_written(desk: Desk) -> None:
    mail_id = "a" * 32
    first, again = desk.write(mail_id=mail_id), desk.write(mail_id=mail_id)
    assert (first.id, first.status) == (again.id, "planned"), "pressed twice"
    desk.look()
    [mail] = desk.post.arrived
    assert (mail.recipient, mail.subject, mail.sender) == (ANNA, "Your question", "Shop <shop@example.com>")
    assert mail.text == "Yes, it is in stock.\n\n<b>Really</b> & truly.\nBye\n\n-- \nMara Marti\nShop\n"
    assert "&lt;b&gt;Really&lt;/b&gt; &amp; truly.<br>Bye" in mail.html
    assert "/o/" not in mail.html, "a letter is not tracked"
    assert desk.stands() == [("sent", "")]
    assert desk.told() == {
        "Message Sent": {"message_id": first.id, "template": "", "channel": "email", "message_class": "transactional", "machine": False}
    }
    with desk.engine.db.read() as session:
        assert [one.data["subject"] for one in timeline(session, desk.anna, wanted=Wanted(("message",))).items] == ["Your question"]
        assert session.scalars(select(PersonalMail.next_at)).one() is None


@pytest.mark.parametrize(
    "letter",
    [
        Letter("", "text"),
        Letter("subject", " \n"),
        Letter("s" * 201, "text"),
        Letter("subject", "t" * 20_001),
        Letter("subject", "text", sender="nobody"),
        Letter(template="missing"),
    ],
)
def test_what_is_no_letter_is_refused_and_nothing_stays(desk: Desk, letter: Letter) -> None:
    with pytest.raises(PfadwerkError):
        desk.write(letter)
    assert desk.stands() == []


def test_own_words_need_no_consent_but_no_suppressed_address_gets_them(desk: Desk) -> None:
    refused = {"hard_bounce": "suppressed", "complaint": "suppressed", "manual": "suppressed", "objection": "objects to direct marketing"}
    for reason in ("unsubscribe", *refused):
        with desk.engine.db.write() as session:
            person = resolve(session, [("email", f"{reason}@example.org")], desk.clock.at).contact_id
            suppression.suppress(session, KEYS, "email", f"{reason}@example.org", reason, desk.clock.at)
        if reason not in refused:
            desk.write(contact=person)
        else:
            with pytest.raises(Conflict, match=refused[reason]):
                desk.write(contact=person)
    assert len(desk.stands()) == 1


def test_a_marketing_template_asks_for_consent_again_before_it_leaves(desk: Desk) -> None:
    letter = Letter(template=template(desk, "marketing"))
    with pytest.raises(Conflict, match="has not allowed marketing"):
        desk.write(letter)
    with desk.engine.db.write() as session:
        consent = ("email", "marketing", "granted", desk.clock.at)
        record_consent(session, desk.anna, *consent, evidence=Evidence.DATED, source="test", wording="Yes.")
    desk.write(letter)
    desk.look()
    assert "List-Unsubscribe" in desk.post.arrived[0].headers
    assert desk.write(letter).status == "held", "a day's cap holds for it, too"
    with desk.engine.db.write() as session:
        withdrawn = ("email", "marketing", "withdrawn", desk.clock.at + timedelta(seconds=1))
        record_consent(session, desk.anna, *withdrawn, evidence=Evidence.DATED, source="test", wording="No.")
    desk.look(days=2)
    assert len(desk.post.arrived) == 1
    assert ("skipped", "no_consent") in desk.stands()


def test_whoever_sends_marketing_to_an_address_that_unsubscribed_is_told_what_may_be_sent(desk: Desk) -> None:
    letter = Letter(template=template(desk, "marketing"))
    with desk.engine.db.write() as session:
        consent = ("email", "marketing", "granted", desk.clock.at)
        record_consent(session, desk.anna, *consent, evidence=Evidence.DATED, source="test", wording="Yes.")
        suppression.suppress(session, KEYS, "email", ANNA, "unsubscribe", desk.clock.at)
    with pytest.raises(Conflict, match="has unsubscribed from marketing"):
        desk.write(letter)
    assert desk.write().status == "planned"


def test_its_links_name_the_template_and_no_journey(desk: Desk) -> None:
    key = template(desk, "transactional", MJML.replace("Hello", '<a href="https://shop.example/a">Look</a>'))
    with desk.engine.db.write() as session:
        patterns = {"source": "{template}", "campaign": "{journey}", "content": "{step}"}
        workspace.put(session, "link_parameters", patterns, "test", desk.clock.at)
    desk.write(Letter(template=key))
    desk.look()
    assert '"https://shop.example/a?utm_source=offer"' in desk.post.arrived[0].html


def test_a_template_for_a_journey_is_refused_with_the_reason(desk: Desk) -> None:
    key = template(desk, "transactional", MJML.replace("Hello", "Order {{ trigger.order_id }}"))
    with pytest.raises(Invalid, match="order_id"):
        desk.write(Letter(template=key))


@pytest.mark.parametrize(("check", "ends", "arrives"), [("idempotent", "sent", 1), ("lookup", "sent", 1), ("blind", "uncertain", 1)])
def test_a_process_that_dies_in_the_call_sends_nothing_twice(desk: Desk, check: str, ends: str, arrives: int) -> None:
    desk.post.delivery_check = check
    desk.post.silent = [Death()]
    desk.write()
    with pytest.raises(Death):
        send_due(desk.effects)
    assert desk.stands()[0][0] == "claimed"
    desk.look()
    desk.look(minutes=3)
    assert (desk.stands()[0][0], len(desk.post.arrived)) == (ends, arrives)


def test_who_may_have_got_it_gets_it_no_second_time_however_long_nobody_sent(desk: Desk) -> None:
    """The provider remembers its key for a day."""
    desk.post.silent = [Death()]
    desk.write()
    with pytest.raises(Death):
        send_due(desk.effects)
    desk.look(hours=25)
    assert (desk.stands(), len(desk.post.arrived)) == ([("uncertain", "no_answer")], 1)


def test_of_one_in_doubt_a_person_says_whether_it_was_sent_and_sends_it_no_second_time(desk: Desk) -> None:
    desk.post.delivery_check, desk.post.failures = "blind", [InDoubt("timeout")]
    letter = desk.write()
    desk.look()
    with desk.engine.db.write() as session:
        with pytest.raises(Conflict, match="Only messages of journeys"):
            decide(session, letter.id, "again", 1, "member:m1", desk.clock.at)
        decide(session, letter.id, "sent", 1, "member:m1", desk.clock.at)
    desk.look()
    assert (desk.stands(), desk.post.arrived) == ([("sent", "confirmed")], [])


@pytest.mark.parametrize("again", [RetryLater("busy", timedelta(days=2)), RetryLater("busy", timedelta(days=4))])
def test_a_repeat_that_is_refused_does_not_say_that_the_first_call_was(desk: Desk, again: RetryLater) -> None:
    desk.post.silent = [Death()]
    desk.write()
    with pytest.raises(Death):
        send_due(desk.effects)
    desk.post.failures = [again]
    desk.look(minutes=3)
    desk.look(days=2)
    assert (desk.stands()[0][0], len(desk.post.arrived)) == ("uncertain", 1)


def test_a_call_in_doubt_is_never_held(desk: Desk) -> None:
    with desk.engine.db.write() as session:
        consent = ("email", "marketing", "granted", desk.clock.at)
        record_consent(session, desk.anna, *consent, evidence=Evidence.DATED, source="test", wording="Yes.")
    desk.post.silent = [Death()]
    desk.write(Letter(template=template(desk, "marketing")))
    with pytest.raises(Death):
        send_due(desk.effects)
    with desk.engine.db.write() as session:
        night = {"enabled": True, "start": "09:01", "end": "08:59", "days": [], "zone": "UTC"}
        workspace.put(session, "quiet_hours", night, "test", desk.clock.at)
    desk.look(minutes=3)
    assert (desk.stands(), len(desk.post.arrived)) == ([("uncertain", "quiet_hours")], 1)


def test_what_nobody_sent_in_time_does_not_leave_and_keeps_nobody_back(desk: Desk) -> None:
    desk.write()
    desk.look(days=3, minutes=1)
    assert (desk.stands(), desk.post.arrived) == ([("failed", "not_in_time")], [])
    lost = desk.write()
    with desk.engine.db.write() as session:
        session.get_one(Message, lost.id).body_id = None
    desk.look()
    with desk.engine.db.read() as session:
        assert session.scalars(select(PersonalMail.next_at).where(PersonalMail.next_at != None)).all() == []  # noqa: E711


@pytest.mark.parametrize(("assume", "ends"), [("sent", "sent"), ("ask", "uncertain"), ("unsent", "sent")])
def test_after_a_restore_it_leaves_only_if_it_has_not(desk: Desk, assume: Any, ends: str) -> None:
    desk.write()
    with desk.engine.db.write() as session:
        mark(session, backup_at=desk.clock.at, until=desk.clock.at, assume=assume)
    desk.look()
    assert (desk.stands()[0][0], len(desk.post.arrived)) == (ends, int(assume == "unsent"))


def test_what_a_provider_answers_is_heeded(desk: Desk) -> None:
    desk.post.failures = [RetryLater("busy", timedelta(minutes=1)), InDoubt("timeout"), AddressDead("no_such_user")]
    desk.write()
    desk.look()
    assert desk.stands() == [("planned", "busy")]
    desk.look(minutes=2)
    desk.look(minutes=3)
    assert desk.stands() == [("bounced", "no_such_user")]
    assert desk.told()["Message Bounced"]["bounce"] == "hard"
    with pytest.raises(Conflict, match="suppressed"):
        desk.write()
    desk.post.failures = [RetryLater("busy", timedelta(days=4))]
    with desk.engine.db.write() as session:
        other = resolve(session, [("email", "ben@example.org")], desk.clock.at).contact_id
    desk.write(contact=other)
    desk.look()
    assert ("failed", "busy") in desk.stands(), "nobody expects it any more by then"


def test_it_goes_to_whoever_the_person_is_by_then_and_to_nobody_who_was_erased(desk: Desk) -> None:
    with desk.engine.db.write() as session:
        kept = resolve(session, [("user_id", "anna"), ("email", "anna@new.example.org")], desk.clock.at).contact_id
    desk.write()
    with desk.engine.db.write() as session:
        merge(session, kept, desk.anna, desk.clock.at)
    desk.look()
    assert [mail.recipient for mail in desk.post.arrived] == ["anna@new.example.org"]
    desk.write(contact=kept)
    with desk.engine.db.write() as session:
        erase(session, kept, desk.clock.at, by="test", keys=KEYS)
    desk.look()
    assert len(desk.post.arrived) == 1
    assert ("skipped", "no_contact") in desk.stands()
    with desk.engine.db.read() as session:
        assert "stock" not in str([body.text for body in session.scalars(select(Body))])


def test_the_answer_comes_onto_the_timeline(desk: Desk) -> None:
    message = desk.write()
    desk.look()
    local = message.once_key.replace(":", ".")
    raw = f"From: {ANNA}\r\nTo: shop@example.com\r\nSubject: Re: Your question\r\nIn-Reply-To: <{local}@example.com>\r\nMessage-ID: <1@example.org>\r\n\r\nThank you!\r\n"
    inbound = Inbound(
        desk.engine,
        lambda session, events, now: routed(desk.engine, session, list(events), now),
        desk.messaging.tracking,
        Streak(3, timedelta(days=30)),
    )
    taken, _ = inbound.take(raw.encode(), "api")
    assert (taken.kind, taken.outcome) == ("reply", "taken")
    assert desk.told()["Message Replied"]["message_id"] == message.id


def test_a_member_writes_in_their_own_name_where_the_domain_is_ours(desk: Desk) -> None:
    with desk.engine.db.read() as session:
        mara = session.get_one(Member, desk.member)
        assert personal.senders(session, desk.messaging, mara)[personal.OWN] == "Mara Marti <mara@example.com>"
    desk.write(Letter("Hi", "Text", sender=personal.OWN))
    desk.look()
    assert desk.post.arrived[0].sender == "Mara Marti <mara@example.com>"


def test_who_writes_to_hundreds_is_told_to_use_a_journey(desk: Desk) -> None:
    for _ in range(personal.MOST_AN_HOUR):
        desk.write()
    with pytest.raises(Conflict, match="journey"):
        desk.write()
    desk.clock.at += timedelta(hours=1, seconds=1)
    desk.write()


def carried(desk: Desk, **found: str) -> None:
    """An account carries e-mail; `found`: domain -> level of its key there."""
    with desk.engine.db.write() as session:
        accounts.add(session, KEYS, "main", set_up_of(Smtp, Smtp.Config(host="localhost")), "test", desk.clock.at)
        accounts.carry(session, {"email": "smtp.main"}, "test", desk.clock.at)
        for domain, level in found.items():
            sending_domains.note(
                session,
                "smtp.main",
                domain.replace("_", "."),
                [{"what": "dkim", "level": level, "code": "dkim_key"}],
                "test",
                desk.clock.at,
            )


@pytest.mark.parametrize(("found", "may"), [({}, False), ({"mara_example": "bad"}, False), ({"mara_example": "good"}, True)])
def test_nobody_writes_from_a_domain_that_is_not_proven(desk: Desk, found: dict[str, str], may: bool) -> None:
    with desk.engine.db.write() as session:
        session.get_one(Member, desk.member).email = "mara@mara.example"
        care = {"key": "care", "name": "Care", "email": "care@mara.example", "reply_to": "care@shop.example"}
        workspace.put(session, "senders", {"senders": [care]}, "test", desk.clock.at)
    carried(desk, **found)
    for sender in (personal.OWN, "care"):
        if may:
            desk.write(Letter("Hi", "Text", sender=sender))
        else:
            with pytest.raises(Invalid, match="sender"):
                desk.write(Letter("Hi", "Text", sender=sender))
    desk.look()
    assert {mail.sender: mail.reply_to for mail in desk.post.arrived} == (
        {"Mara Marti <mara@mara.example>": "", "Care <care@mara.example>": "care@shop.example"} if may else {}
    )


def test_only_who_is_of_the_team_writes_and_nobody_in_the_place_of_another(desk: Desk) -> None:
    desk.write(mail_id="a" * 32)
    with desk.engine.db.write() as session:
        ben = add_member(session, "Ben", "ben@example.com", "sales", desk.clock.at).id
    mara, desk.member = desk.member, ben
    with pytest.raises(Conflict, match="has this id already"):
        desk.write(mail_id="a" * 32)
    with desk.engine.db.write() as session:
        session.get_one(Member, mara).active = False
    desk.member = mara
    with pytest.raises(NotFound):
        desk.write()
    assert len(desk.stands()) == 1


def test_nobody_writes_to_who_was_erased_and_a_made_up_contact_gets_nothing(desk: Desk) -> None:
    desk.write()
    with desk.engine.db.write() as session:
        session.get_one(Contact, desk.anna).demo = True
    desk.look()
    assert (desk.stands(), desk.post.arrived) == ([("skipped", "made_up")], [])
    with desk.engine.db.write() as session:
        erase(session, desk.anna, desk.clock.at, by="test", keys=KEYS)
    with pytest.raises(Conflict, match="was erased"):
        desk.write()


def test_templates_that_are_no_letters_are_refused_with_the_reason(desk: Desk) -> None:
    about: Any = {"message_class": "transactional", "actor": "test", "now": desk.clock.at}
    mail = {"default": {"subject": "Offer", "mjml": MJML}}
    confirm = {"default": {"subject": "Offer", "mjml": MJML.replace("unsubscribe_url", "confirm_url")}}
    code = {"default": {"subject": "Offer", "mjml": MJML.replace("Hello", "{{ coupon('spring') }}")}}
    with desk.engine.db.write() as session:
        pools.put(session, "spring", "test", desk.clock.at, name="Spring")
    for key, kind, variants in (
        ("text", "sms", {"default": {"text": "Hello"}}),
        ("old", "email", mail),
        ("confirm", "email", confirm),
        ("code", "email", code),
    ):
        library.save(desk.engine.db, key, variants, name=key, kind=kind, **about)
    with desk.engine.db.write() as session:
        session.get_one(Template, "old").archived_at = desk.clock.at
    for key, reason in (("text", "for e-mails"), ("old", "archived"), ("confirm", "confirmation"), ("code", "coupon codes")):
        with pytest.raises(Conflict, match=reason):
            desk.write(Letter(template=key))
    assert desk.stands() == []


def test_another_account_takes_no_letter_that_the_first_may_have_sent(desk: Desk) -> None:
    desk.post.silent = [Death()]
    desk.write()
    with pytest.raises(Death):
        send_due(desk.effects)
    first, second = desk.post, Post("other")
    handler: Any = MessageHandler(desk.messaging, second, "email")  # type: ignore[arg-type]
    known: Any = lambda provider, account: first  # noqa: E731
    desk.effects = Effects(desk.engine, {"email": handler}, Breakers(desk.engine.db), known)
    desk.look(minutes=3)
    assert (desk.stands(), len(first.arrived), second.arrived) == ([("uncertain", "no_answer")], 1, [])


def test_what_is_known_by_the_time_a_call_ends_is_not_written_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = desk.write()

    def slow(mail: Outgoing) -> Answer:
        with desk.engine.db.write() as session:
            message = session.get_one(Message, letter.id)
            message.status, message.provider_id = "bounced", "first"
        return Answer(provider_id="second")

    monkeypatch.setattr(desk.post, "send", slow)
    desk.look()
    with desk.engine.db.read() as session:
        message = session.get_one(Message, letter.id)
        assert (message.status, message.provider_id) == ("bounced", "first")
    assert "Message Sent" not in desk.told()
