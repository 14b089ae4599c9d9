"""Messages to contacts: what a channel with a provider needs to prepare, check, record and send one. `effect` runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Row, bindparam, insert, select
from sqlalchemy.orm import Session

from activities.link_parameters import marked
from activities.providers.provider import Answer, DeliveryCheck, MessageDead, Outgoing, Printer, Provider, RetryLater
from activities.rendering import INLINE, CompiledTemplate, RenderBusy, Rendered, Renderer, RenderFailed, answered
from activities.rendering.cards import A6, Card
from activities.rendering.forms import in_form, is_free_text
from activities.rendering.kinds import KINDS
from activities.sending import cards, gate, twins
from activities.sending.handler import AddressReason, CannotPrepare, Carried, Draft, Job, Person
from activities.sending.identity import identity, mailbox, sender_of
from activities.sending.ledger import message_id_of
from activities.sending.template_labels import label_of
from activities.tracking import Level, Tracking, level, own_domains, store_links
from crm.consent import suppression
from crm.consent.opt_out import opt_out
from crm.coupons import reservations
from crm.people.devices import kinds_of
from crm.rules.sql_facts import SqlFacts
from engine.interpreter.gate import is_open, message_class, wanted
from journeys.channels import CHANNELS, address_of
from models import Body, Contact, TemplateVersion, Version, new_id
from storage.sql import on, table
from workspace import brand, settings

bodies = table(Body)
contacts = table(Contact)
versions = table(Version)
_contact = select(contacts).where(contacts.c.id == bindparam("of"))
_pins_of = select(versions.c.pins).where(versions.c.id == bindparam("of"))
_insert_body = insert(bodies)

SENT: Mapping[str, str] = {"sent": "sent", "skipped": "skipped", "failed": "failed"}
HIDDEN = frozenset({"merged_into", "erased_at", "demo", "push_devices"})
SHOWN = [column.name for column in contacts.columns if column.name not in HIDDEN | {"attributes"}]


CLOSING = timedelta(minutes=1)
"""A reply window that closes within this time counts as closed while a message is written: it takes the approved form, if there is one."""
REPLY_TO = "Reply-To"
"""Kept among the headers of a body; on its way it has a field of its own."""
DELIVERY = ("lifetime_seconds", "urgency", "replaces")
"""What a step says of the delivery: kept with the body, so that a message that is sent again lives as long and takes the same place."""
MADE_UP = "made_up"
"""Why a person of the demo gets nothing from a provider that reaches people: the demo's messages stay in the outbox, whatever is set up later."""


NO_REACH = "no_reachable_device"
"""The contact has devices, but no account is set up that reaches them."""


@dataclass(frozen=True, slots=True)
class MessageSettings:
    """What all messages of an installation have in common. `mail_from` is used where the workspace names no sender; `zone` and `language`
    serve contacts whose own are unknown. The first of `address_keys` hashes suppressed addresses, all are read. `renderer` fills in what
    strangers have written or are told: the pool, in a process that has other work to do. `hands_out_coupons`: false where nobody is reached (staging)."""

    tracking: Tracking
    address_keys: Sequence[bytes] = field(repr=False)
    mail_from: str
    tracking_level: Level = "full"
    language: str = "en"
    zone: str = "Europe/Berlin"
    renderer: Renderer = field(default=INLINE, repr=False)
    hands_out_coupons: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message that is ready but for its recipient."""

    rendered: Rendered
    sender: str
    reply_to: str
    card: Card | None = None
    """What is printed, but for the address."""
    delivery: Mapping[str, Any] = field(default_factory=dict)
    """As `models.Body.delivery`."""


@dataclass(slots=True)
class MessageHandler(Carried):
    """Sends through one provider account on one channel."""

    messaging: MessageSettings
    provider: Provider
    channel: str
    outlets: Mapping[str, str] = field(default_factory=lambda: SENT)
    _templates: dict[tuple[str, int], CompiledTemplate] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def reaches_people(self) -> bool:
        return self.provider.reaches_people

    @property
    def delivery_check(self) -> DeliveryCheck:
        return self.provider.delivery_check

    @property
    def remembers(self) -> timedelta:
        return self.provider.remembers

    @property
    def timeout_seconds(self) -> float:
        return self.provider.timeout_seconds

    def prepare(self, session: Session, job: Job) -> Draft:
        contact = self.contact(session, job)
        if contact is None or contact.erased_at is not None:
            raise CannotPrepare("no_contact")
        label = label_of(session, job.call.input.get("template"))
        sender = identity(session, job.call.input, label, self.messaging.mail_from)
        values = self._values(job, contact, sender.shown, brand.values(session, self.messaging.tracking.public_url))
        zone = contact.timezone or job.program.settings.timezone
        template, number = self._template(session, job)
        try:
            if template is None:
                locale = contact.locale or self.messaging.language
                text = str(job.call.input.get("text", ""))
                write = partial(self.messaging.renderer.render_text, text, locale=locale, zone=zone)
                rendered = self._with_coupons(job, write, values, write(values))
            else:
                rendered = self._render(session, job, contact, template, values, zone)
        except RenderFailed as error:
            raise CannotPrepare(f"render_{error.code}") from None
        card = self._card(session, rendered)
        wanted = self.wanted(session, job)
        return Draft(
            Prepared(rendered, sender.mailbox, sender.reply_to, card, _delivery_of(job.call.input)),
            {
                "purpose": wanted.purpose,
                "message_class": wanted.message_class,
                "cap_class": wanted.cap_class,
                "topic": wanted.topic,
                "template": str(job.call.input.get("template", "")),
                "template_version": number,
                "locale": rendered.locale,
                "subject": rendered.subject,
            },
            sender_of(self.channel, sender.mailbox),
        )

    def sender(self, workspace: settings.Sender) -> str:
        """From whom messages are: the workspace's sender, else the operator's."""
        return mailbox(workspace.name, workspace.email, self.messaging.mail_from)

    def ask(self, session: Session, contact: Person | None, job: Job, draft: Draft) -> gate.Verdict:
        if contact is not None and contact.demo and self.provider.reaches_people:
            return gate.Refuse(MADE_UP)
        if contact is not None and self._reaches_none_of(contact):
            return gate.Refuse(NO_REACH)
        wanted = self.wanted(session, job, draft)
        address = address_of(contact, self.channel) if contact is not None else None
        twin = twins.twin_of(session, self.mailbox_key(job, address), wanted.message_id, job.clock)
        return gate.ask(session, contact, wanted, self.messaging.address_keys, job.as_of, twin)

    def _reaches_none_of(self, contact: Person) -> bool:
        """It has devices, and this workspace's accounts reach none of their kinds. One without any has no address, which the gate says."""
        field = CHANNELS[self.channel].reach_field
        has = kinds_of(getattr(contact, field)) if field else frozenset()
        return bool(has and self.provider.reaches) and has.isdisjoint(self.provider.reaches)

    def contact(self, session: Session, job: Job) -> Person | None:
        """Whom the message is for, as it is written with."""
        return on(session).execute(_contact, {"of": job.row.contact_id}).first()

    def record(self, session: Session, job: Job, draft: Draft, address: str) -> Mapping[str, Any]:
        prepared: Prepared = draft.payload
        store_links(session, prepared.rendered.links, job.as_of, job.row.contact_id)
        body_id = new_id()
        on(session).execute(
            _insert_body,
            {
                "id": body_id,
                "contact_id": job.row.contact_id,
                "recipient": address,
                "sender": prepared.sender,
                "subject": prepared.rendered.subject,
                "headers": {**prepared.rendered.headers, **({REPLY_TO: prepared.reply_to} if prepared.reply_to else {})},
                "html": prepared.rendered.html,
                "text": prepared.rendered.text,
                "parts": dict(prepared.rendered.parts),
                "delivery": dict(prepared.delivery),
                "created_at": job.as_of,
            },
        )
        return {"body_id": body_id, "mailbox_key": self.mailbox_key(job, address)}

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        return self.provider.send(self._outgoing(job, draft.payload, address))

    def _card(self, session: Session, rendered: Rendered) -> Card | None:
        """The card that is printed, which has room for all that is on it; None on channels that print nothing.

        Raises: CannotPrepare.
        """
        if self.channel not in KINDS or not KINDS[self.channel].is_card:
            return None
        card = cards.card_of(session, rendered)
        try:
            self.messaging.renderer.card("show", card, self.provider.paper if isinstance(self.provider, Printer) else A6)
        except RenderFailed as error:
            raise CannotPrepare(f"render_{error.code}") from None
        return card

    def lookup(self, once_key: str) -> Answer | None:
        return self.provider.lookup(once_key)

    def address_refused(self, session: Session, job: Job, address: str, reason: AddressReason) -> None:
        """It gets nothing more on this channel: nothing at all if it is dead, and no marketing if its owner said so."""
        if reason == "opted_out":
            opt_out(session, job.row.contact_id, self.channel, address, job.as_of, by=self.name, proof={}, hops=job.row.hops + 1)
            return
        if CHANNELS[self.channel].reach_field:
            return  # the contact's id is no address, and its dead devices are removed already
        suppression.suppress(
            session, self.messaging.address_keys, self.channel, address, "hard_bounce", job.as_of, source=f"provider:{self.name}"
        )

    def mailbox_key(self, job: Job, address: str | None) -> str | None:
        """Names the send and the mailbox (`activities.sending.twins`)."""
        return twins.key_of(job, address, message_class(job.call.input, job.program.settings), self.messaging.address_keys)

    def _outgoing(self, job: Job, prepared: Prepared, address: str) -> Outgoing:
        rendered, delivery = prepared.rendered, prepared.delivery
        return Outgoing(
            once_key=job.once_key,
            message_id=message_id_of(job.once_key),
            channel=self.channel,
            recipient=address,
            sender=prepared.sender,
            reply_to=prepared.reply_to,
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            headers=rendered.headers,
            metadata={"run": job.row.id, "node": job.state.node},
            parts=rendered.parts,
            documents=self._documents(prepared, address),
            lifetime=timedelta(seconds=seconds) if (seconds := delivery.get("lifetime_seconds")) else None,
            urgency=str(delivery.get("urgency") or "normal"),
            replaces=str(delivery.get("replaces") or ""),
        )

    def _documents(self, prepared: Prepared, address: str) -> tuple[bytes, ...]:
        """The PDF for the printer. Raises: MessageDead; RetryLater, while nobody renders."""
        printer = self.provider
        if prepared.card is None or not isinstance(printer, Printer):
            return ()
        card = prepared.card if printer.adds_address else cards.addressed(prepared.card, self.channel, address, prepared.rendered.locale)
        try:
            return tuple(self.messaging.renderer.card("print_sides" if printer.separates_sides else "print", card, printer.paper))
        except RenderFailed as error:
            raise MessageDead(f"render_{error.code}") from None
        except RenderBusy as busy:
            raise RetryLater(busy.code) from None

    def wanted(self, session: Session, job: Job, draft: Draft | None = None) -> gate.SendRequest:
        """What the message asks of the gate; `draft`: as it was written, so that free text is told from an approved form. Its topic is the step's,
        else the template's."""
        said = job.call.input
        asked = wanted(message_id_of(job.once_key), self.channel, said, job.program.settings)
        asked = asked if asked.topic else replace(asked, topic=label_of(session, said.get("template")).topic)
        known = CHANNELS.get(self.channel)
        if draft is None or known is None or known.reply_window is None:
            return asked
        free = is_free_text(self.channel, draft.payload.rendered.parts)
        return replace(asked, reply_window=known.reply_window) if free else asked

    def _render(
        self, session: Session, job: Job, contact: Person, template: CompiledTemplate, values: Mapping[str, Any], zone: str
    ) -> Rendered:
        template = in_form(template, self._may_answer(session, contact, job.as_of))
        tracked = level(session, contact.id, self.messaging.tracking_level)
        marks = self.messaging.tracking.marks(message_id_of(job.once_key), tracked, own_domains(session, self.messaging.mail_from))
        named = replace(template, name=label_of(session, template.key).name)
        marks = marked(session, named, self._about(job), marks)
        languages = [name for name in (contact.locale, self.messaging.language) if name]
        kind = message_class(job.call.input, job.program.settings)
        fill = partial(self.messaging.renderer.render, template, languages, marks=marks, message_class=kind, zone=zone)
        values = {**values, **answered(template, languages, SqlFacts(session, contact.id, as_of=job.as_of), job.as_of)}
        return self._with_coupons(job, fill, values, fill(values))

    def _about(self, job: Job) -> dict[str, str]:
        """What the campaign parameters of its links may name."""
        journey = job.program.journey
        return {"journey": journey.key, "journey_name": journey.name, "channel": self.channel, "step": job.state.node}

    def _with_coupons(
        self, job: Job, fill: Callable[[Mapping[str, Any]], Rendered], values: Mapping[str, Any], rendered: Rendered
    ) -> Rendered:
        """Filled in once more with codes, where the message shows any: only then is it known of which pools, and none is taken in vain."""
        codes: Mapping[str, str] = {}
        while self.messaging.hands_out_coupons and job.db is not None and (missing := set(rendered.coupons) - codes.keys()):
            try:
                reserved = reservations.reserve(
                    job.db, missing, message_id=message_id_of(job.once_key), run_id=job.row.id, contact_id=job.row.contact_id, now=job.as_of
                )
            except reservations.Exhausted as nothing:
                raise CannotPrepare(nothing.reason) from None
            codes = {**codes, **reserved}
            rendered = fill({**values, "coupons": codes})
        return rendered

    def _may_answer(self, session: Session, contact: Person, now: datetime) -> bool:
        """Whether free text may be sent to the contact, for some time yet; the gate looks once more when the message is claimed."""
        known = CHANNELS.get(self.channel)
        window = known.reply_window if known is not None else None
        if window is None:
            return True
        at = gate.replied_at(session, contact.id, self.channel, address_of(contact, self.channel), now)
        return is_open(at, window - CLOSING, now)

    def _template(self, session: Session, job: Job) -> tuple[CompiledTemplate | None, int | None]:
        """The template in the version that the journey's version pins. Compiled templates never change, so they are kept."""
        key = job.call.input.get("template")
        if key is None:
            return None, None
        number = self.pins(session, job.row.version_id).get("templates", {}).get(key)
        if number is None:
            raise CannotPrepare("no_template")
        known = self._templates.get((key, number))
        if known is None:
            row = session.get(TemplateVersion, (key, number))
            if row is None:
                raise CannotPrepare("no_template")
            compiled = CompiledTemplate.from_json(self.channel, row.compiled)
            known = self._templates[key, number] = replace(compiled, key=key, link_parameters=row.link_parameters)
        return known, number

    def pins(self, session: Session, version_id: str) -> dict[str, Any]:
        """What a version of a journey pins. Asked anew each time: a correction reaches what is running (`update_pinned_template`)."""
        pins: dict[str, Any] = on(session).execute(_pins_of, {"of": version_id}).scalar_one()
        return pins

    def _values(self, job: Job, contact: Person, sender: Mapping[str, str], look: Mapping[str, str]) -> dict[str, Any]:
        """What a template may read: plain values only."""
        urls = self.messaging.tracking.urls(message_id_of(job.once_key))
        return {
            "contact": contact_values(contact),
            "trigger": job.row.trigger,
            "run": {"id": job.row.id, "journey": job.program.key, "started_at": job.row.started_at},
            "steps": job.state.memory,
            "sender": dict(sender),
            "brand": look,
            "now": job.as_of,
            **urls,
        }


def stored(session: Session, message: Row[Any]) -> Draft | None:
    """A message as it was rendered for a former attempt, ready to be sent once more; None if its text is not kept."""
    body = session.get(Body, message.body_id) if message.body_id else None
    if body is None:
        return None
    headers = dict(body.headers)
    reply_to = headers.pop(REPLY_TO, "") or _usual_reply_to(session, body.sender)
    rendered = Rendered(body.subject, body.html, body.text, message.locale, headers, parts=body.parts)
    is_card = message.channel in KINDS and KINDS[message.channel].is_card
    prepared = Prepared(rendered, body.sender, reply_to, cards.card_of(session, rendered) if is_card else None, body.delivery)
    return Draft(prepared, {"message_class": message.message_class}, sender_of(message.channel, body.sender))


def _delivery_of(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in DELIVERY if said.get(name)}


def _usual_reply_to(session: Session, sender: str) -> str:
    """Of a message from the workspace's usual sender, also one whose body was kept before the address for replies stood in it."""
    usual = settings.load(session, settings.Sender)
    return usual.reply_to if usual.email and usual.email in sender else ""


def contact_values(contact: Contact | Row[Any]) -> dict[str, Any]:
    """A contact as templates see it: attributes, overlaid by the fields with a column of their own."""
    columns = {name: getattr(contact, name) for name in SHOWN}
    return {**contact.attributes, **columns}
