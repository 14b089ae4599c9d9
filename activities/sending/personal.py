"""E-mails that a member writes to one contact: put together, asked of the gate, and handed to the ledger. `personal_sending` sends them.

Words of a member's own are transactional: an answer, an agreement, an offer that was asked for. They need no consent, and no suppressed address gets
them. Advertising is sent with a template, whose class asks for consent as in a journey (docs/contacts.md). None is tracked: it is a letter, not a campaign.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.rendering import Rendered
from activities.sending import gate, ledger
from activities.sending.gate import Hold, Refuse, SendRequest
from activities.sending.identity import mailbox
from activities.sending.messages import REPLY_TO, MessageSettings
from activities.templates import library
from crm.people import contacts
from journeys.channels import DEFAULT
from journeys.errors import Conflict, Invalid, NotFound
from models import ONCE_PERSONAL, Body, Contact, Database, Member, Message, PersonalMail, new_id
from storage.json_values import clean_text
from storage.locks import lock_contact, person_of
from workspace import sending_domains, settings
from workspace.audit import record

OWN = "member"
"""The choice of sender that means the member's own address."""
TRANSACTIONAL, MARKETING = "transactional", "marketing"
MAX_SUBJECT, MAX_TEXT, MAX_SIGNATURE = 200, 20_000, 2_000
SIGNATURE = "signature"
"""Under this name a member's signature is kept among the preferences."""
PATIENCE = timedelta(days=3)
AN_HOUR = timedelta(hours=1)
MOST_AN_HOUR = 60
"""Letters of one member: who writes more of them wants a campaign."""


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """What a member wants to say: the newest version of a template, or a subject and plain text. `sender`: empty for the workspace's usual one, the key
    of another, or `OWN`."""

    subject: str = ""
    text: str = ""
    template: str = ""
    sender: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Composed:
    """A letter as the contact would get it. `version`: of its template."""

    rendered: Rendered
    sender: str
    reply_to: str
    message_class: str = TRANSACTIONAL
    purpose: str = TRANSACTIONAL
    topic: str = ""
    template: str = ""
    version: int | None = None


def once_key_of(mail_id: str) -> str:
    return f"{ONCE_PERSONAL}{mail_id}"


def senders(session: Session, messaging: MessageSettings, member: Member | None) -> dict[str, str]:
    """Choice -> mailbox, of those a letter may be from: the member's own address only where its domain is proven to be ours."""
    usual = settings.load(session, settings.Sender)
    found = {"": mailbox(usual.name, usual.email, messaging.mail_from)}
    if member is not None and _may_be_from(session, messaging, member.email):
        found[OWN] = mailbox(member.name, member.email, member.email)
    bad = sending_domains.standings(session)
    for one in settings.load(session, settings.Senders).senders:
        if bad.get(one.key) != "unverified":
            found[one.key] = mailbox(one.name, one.email, one.email)
    return found


def _may_be_from(session: Session, messaging: MessageSettings, address: str) -> bool:
    """Whether the account that carries e-mail may send in the name of the address; where none does nobody is reached."""
    account, domain = sending_domains.carrier(session), sending_domains.domain_of(address)
    if not domain or not account:
        return bool(domain)
    usual = settings.load(session, settings.Sender).email
    trusted = sending_domains.domain_of(usual) if usual else sending_domains.sender_name(messaging.mail_from).removeprefix("@")
    return domain == trusted or sending_domains.is_verified(sending_domains.checks(session, account).get(domain))


def compose(
    session: Session,
    messaging: MessageSettings,
    contact: Contact,
    letter: Letter,
    member: Member | None,
    now: datetime,
    message_id: str = "0" * 32,
) -> Composed:
    """The letter as it would leave, filled in for the contact.

    Raises:
        Invalid: no subject or text, too much of it, an unknown sender, or a template that cannot be filled in.
        NotFound, Conflict: there is no such template, or it is for no letter.
    """
    offered = senders(session, messaging, member)
    if letter.sender not in offered:
        raise Invalid("This sender cannot be used any more; choose another one.")
    reply_to = _reply_to(session, letter.sender)
    if letter.template:
        return _of_template(session, messaging, contact, letter.template, offered[letter.sender], reply_to, now, message_id)
    subject, text, signature = (clean_text(part).strip() for part in (letter.subject, letter.text, letter.signature))
    subject = " ".join(subject.split())
    if not subject or not text:
        raise Invalid("Enter a subject and a text, or choose a template.")
    if len(subject) > MAX_SUBJECT or len(text) > MAX_TEXT or len(signature) > MAX_SIGNATURE:
        raise Invalid(
            "A subject has at most {most} characters, a text {long} and a signature {signed}.",
            most=MAX_SUBJECT,
            long=MAX_TEXT,
            signed=MAX_SIGNATURE,
        )
    whole = f"{text}\n\n-- \n{signature}\n" if signature else f"{text}\n"
    language = contact.locale or messaging.language
    return Composed(Rendered(subject, as_html(whole, language), whole, language), offered[letter.sender], reply_to)


def _reply_to(session: Session, sender: str) -> str:
    """Answers go where those to all other messages go, so that they come onto the timeline."""
    chosen = settings.load(session, settings.Senders).find(sender) if sender not in ("", OWN) else None
    return chosen.reply_to if chosen else settings.load(session, settings.Sender).reply_to


def _of_template(
    session: Session, messaging: MessageSettings, contact: Contact, key: str, sender: str, reply_to: str, now: datetime, message_id: str
) -> Composed:
    template = library.get(session, key)
    if template.kind != DEFAULT or template.archived_at is not None:
        raise Conflict("Only a template for e-mails that is not archived can be sent.")
    number = library.latest(session, key)
    compiled = library.load(session, key, number)
    if any("confirm_url" in variant.fields for variant in compiled.variants.values()):
        raise Conflict("This template asks for a confirmation; it is sent by sign-up forms only.")
    rendered = library.preview(
        session, messaging, compiled, now, contact_id=contact.id, message_class=template.message_class, message_id=message_id, about={}
    )
    if rendered.coupons:
        raise Conflict("This template hands out coupon codes; only journeys send it.")
    purpose = MARKETING if template.message_class == MARKETING else TRANSACTIONAL
    return Composed(rendered, sender, reply_to, template.message_class, purpose, template.topic, key, number)


def as_html(text: str, language: str) -> str:
    """Plain text as a mail without any design; nothing in it is markup."""
    paragraphs = re.split(r"\n{2,}", text.strip("\n"))
    body = "".join(f"<p>{html.escape(one).replace(chr(10), '<br>')}</p>" for one in paragraphs)
    return f'<!doctype html><html lang="{html.escape(language, quote=True)}"><head><meta charset="utf-8"></head><body>{body}</body></html>'


SAYS: Mapping[str, str] = {
    "no_address": "The contact has no e-mail address; enter one under Change.",
    "no_consent": "This template is marketing, and the contact has not allowed marketing by e-mail. Write in your own words, or ask for the consent first.",
    "consent_expired": "This template is marketing, and the contact's consent has expired. Write in your own words, or ask for a new one.",
    "topic_declined": "The contact wants nothing about the topic of this template.",
    "global_hold_out": "The contact is in the workspace's control group and gets no marketing.",
    "suppressed_unsubscribe": "This template is marketing, and this address has unsubscribed from marketing. Write in your own words.",
    "suppressed_objection": "The contact objects to direct marketing, so nothing is sent to this address. Only the contact can withdraw the objection.",
}
"""Why the gate refuses -> what to do, in words of the page."""
SUPPRESSED = "This address is suppressed, so nothing is sent to it. An administrator can unsuppress it under Change."


def post(
    db: Database, messaging: MessageSettings, contact_id: str, letter: Letter, member_id: str, now: datetime, mail_id: str = ""
) -> Message:
    """Hands a letter over: from now on it leaves once, or says on the timeline why it did not. The same `mail_id` again is the same letter.

    Raises:
        NotFound: no such contact or template.
        Invalid: as `compose`.
        Conflict: the contact was erased, the gate refuses, or the member has sent too many within the hour.
    """
    mail_id = mail_id or new_id()
    message_id = ledger.message_id_of(once_key_of(mail_id))
    with db.read() as session:
        known = session.get(Message, message_id)
        if known is not None:
            return _the_same(session, known, contact_id, member_id, mail_id)
        member = session.get(Member, member_id)
        if member is None or not member.active:
            raise NotFound("There is no such member of the team.")
        contact = contacts.get(session, contact_id)
        if contact.erased_at is not None:
            raise Conflict("This contact was erased.")
        composed = compose(session, messaging, contact, letter, member, now, message_id)
    with db.write() as session:
        contact = lock_contact(session, contact_id)
        known = session.get(Message, message_id)
        if known is not None:  # somebody pressed twice
            return _the_same(session, known, contact_id, member_id, mail_id)
        _not_too_many(session, member_id, now)
        asked = wanted(message_id, composed.message_class, composed.purpose, composed.topic)
        verdict = gate.ask(session, contact, asked, messaging.address_keys, now)
        if isinstance(verdict, Refuse):
            raise refusal(verdict.reason)
        message = _put(session, contact, composed, asked, mail_id, now)
        if isinstance(verdict, Hold):
            message.status, message.reason, message.held_until = "held", verdict.reason, verdict.until
        due, author = (verdict.until if isinstance(verdict, Hold) else now), f"member:{member_id}"
        session.add(PersonalMail(id=mail_id, contact_id=contact.id, author=author, next_at=due, give_up_at=now + PATIENCE, created_at=now))
        record(session, author, "mail.write", f"contact:{contact.id}", {"message": message_id, "template": composed.template})
        session.flush()
        return message


def _put(session: Session, contact: Contact, composed: Composed, asked: SendRequest, mail_id: str, now: datetime) -> Message:
    """The row of the ledger with its text, before anything is called."""
    rendered = composed.rendered
    body = Body(
        contact_id=contact.id,
        recipient=contact.email or "",
        sender=composed.sender,
        subject=rendered.subject,
        headers={**rendered.headers, **({REPLY_TO: composed.reply_to} if composed.reply_to else {})},
        html=rendered.html,
        text=rendered.text,
        created_at=now,
    )
    session.add(body)
    session.flush()
    message = Message(
        id=asked.message_id,
        once_key=once_key_of(mail_id),
        contact_id=contact.id,
        channel=DEFAULT,
        purpose=composed.purpose,
        message_class=composed.message_class,
        topic=composed.topic,
        cap_class=asked.cap_class,
        template=composed.template,
        template_version=composed.version,
        locale=rendered.locale,
        subject=rendered.subject,
        status="planned",
        planned_at=now,
        body_id=body.id,
    )
    session.add(message)
    return message


def _the_same(session: Session, known: Message, contact_id: str, member_id: str, mail_id: str) -> Message:
    mail = session.get(PersonalMail, mail_id)
    if known.contact_id != person_of(session, contact_id) or mail is None or mail.author != f"member:{member_id}":
        raise Conflict("Another e-mail has this id already.")
    return known


def refusal(reason: str) -> Conflict:
    """The gate's refusal as a sentence that says what to do."""
    otherwise = SUPPRESSED if reason.startswith("suppressed_") else "The e-mail cannot be sent: {reason}."
    return Conflict(SAYS.get(reason, otherwise), reason=reason)


def wanted(message_id: str, message_class: str, purpose: str, topic: str) -> SendRequest:
    """What a letter asks of the gate. An own text is in no frequency cap; a marketing template counts like every other."""
    cap_class = "default" if message_class == MARKETING else ""
    return SendRequest(message_id, DEFAULT, purpose, message_class, cap_class, 3, None, "UTC", topic=topic)


def _not_too_many(session: Session, member_id: str, now: datetime) -> None:
    rows = select(PersonalMail.id).where(PersonalMail.author == f"member:{member_id}", col(PersonalMail.created_at) > now - AN_HOUR)
    if len(session.scalars(rows.limit(MOST_AN_HOUR)).all()) == MOST_AN_HOUR:
        raise Conflict("That is {most} e-mails within an hour; to write to many, use a journey.", most=MOST_AN_HOUR)


def remember_signature(session: Session, member_id: str, signature: str) -> None:
    """So that the member's next letter begins with it."""
    member = session.get(Member, member_id)
    signature = clean_text(signature).strip()[:MAX_SIGNATURE]
    if member is not None and member.preferences.get(SIGNATURE, "") != signature:
        member.preferences = {**member.preferences, SIGNATURE: signature}
        session.add(member)
