"""What a contact can choose on the preference page, and how the answers become statements of consent.

Only what was changed on the page is recorded, so saving an unchanged page says nothing, whatever has happened since it was opened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent.consent import Evidence, record_consent
from crm.consent.mailbox import says_no
from crm.people import profile
from journeys import wishes
from journeys.channels import CHANNELS, DEFAULT, SENDABLE, TOPIC, TRACKING
from locales import SUPPORTED
from models import ConsentState, Contact, Event, Message
from workspace import listed_names, settings

ALLOW_TRACKING = "You may measure whether I open messages and which links I use."
NO_TRACKING = "Do not measure whether I open messages and which links I use."
"""Where nobody is asked first: a box that is ticked before somebody said yes would be no consent (ECJ C-673/17, Planet49)."""


PAUSES: Mapping[str, int] = {"none": 0, "30": 30, "60": 60, "90": 90}
"""What the page offers -> days; 0 ends a pause."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One box: `label` and `channel_label` are message ids of the catalogue, or `label` is the workspace's own for the purpose; a purpose
    that is not listed shows its own name."""

    channel: str
    purpose: str
    label: str
    channel_label: str
    chosen: bool
    objection: bool = False
    """Ticked it is a no, and left as it is it says nothing."""
    description: str = ""
    """The workspace's own sentence below a topic."""
    state: str | None = None
    """What was said about it before."""

    @property
    def name(self) -> str:
        """The field's name in the form."""
        return f"{'o' if self.objection else 'c'}.{self.channel}.{self.purpose}"

    def said_by(self, ticked: bool) -> str:
        """The state of consent that the box stands for once the form is saved."""
        return "granted" if ticked != self.objection else "withdrawn"

    @property
    def shown(self) -> str:
        """What a hidden field of the form says: that the box was on the page, and how."""
        return f"{self.name}={'on' if self.chosen else ''}"

    @property
    def wording(self) -> str:
        """What was shown, for the proof."""
        return f"{self.label} – {self.channel_label}" if self.channel_label else self.label


@dataclass(frozen=True, slots=True, repr=False)
class Sender:
    """From where a page is opened: the message, and the address it went to (None once its body is gone). `keys`: those of `crm.consent.suppression`."""

    message: Message
    mailbox: str | None
    keys: Sequence[bytes]

    def allows(self, session: Session, channel: str, purpose: str, state: str | None) -> bool:
        """Whether messages come as things stand: the contact said yes, and nobody with the mailbox said no since."""
        if state != "granted" or self.mailbox is None or channel != self.message.channel:
            return state == "granted"
        return not says_no(session, self.keys, channel, purpose, self.mailbox)


def choices(session: Session, sender: Sender, language: str) -> list[Choice]:
    """Everything the contact ever said something about, and the message at hand; then the workspace's topics; tracking last. `language` is the
    reader's."""
    message = sender.message
    statement = select(ConsentState.channel, ConsentState.purpose, ConsentState.state).where(ConsentState.contact_id == message.contact_id)
    states = {(channel, purpose): state for channel, purpose, state in session.execute(statement)}
    pairs = sorted({pair for pair in states if pair[0] in SENDABLE} | _own(message))
    called = listed_names.labels(session, "purposes", language)
    boxes = [
        Choice(c, p, called.get(p) or p.replace("_", " "), CHANNELS[c].wording, sender.allows(session, c, p, state), state=state)
        for c, p in pairs
        for state in (states.get((c, p)),)
    ]
    topics = _topics(session, states, language, subscribed=any(box.chosen for box in boxes))
    return [*boxes, *topics, _tracking(session, states.get((TRACKING, "marketing")))]


def _topics(session: Session, states: Mapping[tuple[str, str], str], language: str, *, subscribed: bool) -> list[Choice]:
    """A box for each topic that is offered: ticked if messages about it come. Who agreed to marketing gets all topics until they decline some."""
    return [
        Choice(
            TOPIC,
            one.key,
            one.label(language),
            "",
            chosen=state == "granted" or (subscribed and state != "withdrawn"),
            description=one.description(language),
            state=state,
        )
        for one in settings.load(session, settings.Topics).asked
        for state in (states.get((TOPIC, one.key)),)
    ]


def has_declined_all(boxes: Sequence[Choice]) -> bool:
    """Whether the contact allows messages and wants to hear about no topic: then the page offers to end them altogether."""
    topics = [box for box in boxes if box.channel == TOPIC]
    return bool(topics) and not any(box.chosen for box in topics) and any(box.chosen for box in boxes if box.channel in SENDABLE)


def examples(session: Session, language: str) -> list[Choice]:
    """Boxes as a contact of this workspace who said nothing yet would see them."""
    named = list(listed_names.labels(session, "purposes", language).items())[:3]
    boxes = [Choice(DEFAULT, key, label, CHANNELS[DEFAULT].wording, chosen=False) for key, label in named]
    return [*boxes, *_topics(session, {}, language, subscribed=False), _tracking(session, None)]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How often, from when on, and in which language a contact wants messages. `at_most` is empty: as they come."""

    at_most: str = ""
    paused_until: datetime | None = None
    language: str = ""


def wishes_of(contact: Contact, language: str, now: datetime) -> Wishes:
    """What holds now; a pause that is over is none. `language` is that of the page, where the contact has none."""
    rhythm, pause = str(contact.attributes.get(wishes.AT_MOST)), wishes.paused_until(contact.attributes.get(wishes.PAUSED_UNTIL))
    own = (contact.locale or "").partition("-")[0]
    at_most = rhythm if rhythm in wishes.EVERY else ""
    return Wishes(at_most, pause if pause is not None and pause > now else None, own if own in SUPPORTED else language)


def wish(session: Session, contact: Contact, shown: Wishes, values: Mapping[str, str], now: datetime) -> list[Event]:
    """Stores what differs from what was shown; the event says from what to what. What the page did not offer changes nothing."""
    fields: dict[str, object] = {}
    rhythm, pause, language = (values.get(name, "") for name in ("at_most", "pause", "language"))
    if "at_most" in values and rhythm != shown.at_most and rhythm in ("", *wishes.EVERY):
        fields[wishes.AT_MOST] = rhythm or None
    if pause in PAUSES:
        fields[wishes.PAUSED_UNTIL] = (now + timedelta(days=PAUSES[pause])).isoformat() if PAUSES[pause] else None
    if language in SUPPORTED and language != shown.language:
        fields["locale"] = language
    event = profile.update_fields(session, contact.id, fields, now, "preferences") if fields else None
    return [event] if event else []


def purpose_of(message: Message) -> str:
    """The consent purpose that a message was sent under."""
    return message.purpose or "marketing"


def record(
    session: Session,
    sender: Sender,
    ticked: frozenset[str],
    shown: Collection[str],
    now: datetime,
    proof: Mapping[str, object],
    language: str,
) -> list[Event]:
    """Stores what differs from what the page showed in `language`; returns the events to route. What is said here comes from the mailbox itself.

    `shown` are the boxes that the page had (`Choice.shown`); empty: it does not say, and had those of now. Who agrees to messages and ticks some
    topics has answered about all that were shown: those left out are declined.
    """
    events = []
    message, boxes = sender.message, choices(session, sender, language)
    before = {name: bool(on) for name, _, on in (one.rpartition("=") for one in shown or [box.shown for box in boxes])}
    boxes = [box for box in boxes if box.name in before]
    anew = _agrees_anew(boxes, before, ticked)
    for choice in boxes:
        wanted = choice.name in ticked
        changed = wanted != before[choice.name] and (choice.state is None or wanted != choice.chosen)
        if changed or (anew and choice.channel == TOPIC and choice.state is None):
            said = record_consent(
                session,
                message.contact_id,
                choice.channel,
                choice.purpose,
                choice.said_by(wanted),
                now,
                evidence=Evidence.DATED,
                source="preferences",
                wording=choice.wording,
                proof=proof,
                mailbox=sender.mailbox if choice.channel == message.channel else None,
            )
            events += [said] if said else []
    return events


def _agrees_anew(boxes: Sequence[Choice], before: Mapping[str, bool], ticked: frozenset[str]) -> bool:
    """Whether somebody whose page said that they get no messages agrees to some, and ticks topics."""
    channels = [box for box in boxes if box.channel in SENDABLE]
    begins = not any(before[box.name] for box in channels) and any(box.name in ticked for box in channels)
    return begins and any(box.name in ticked for box in boxes if box.channel == TOPIC)


def _own(message: Message) -> set[tuple[str, str]]:
    return {(message.channel, purpose_of(message))} if message.channel in SENDABLE and message.message_class == "marketing" else set()


def _tracking(session: Session, state: str | None) -> Choice:
    """What was said about tracking; where nothing was and the workspace does not ask first, the way to object."""
    asks = settings.load(session, settings.Tracking).opens_need_consent
    if state is None and not asks:
        return Choice(TRACKING, "marketing", NO_TRACKING, "", chosen=False, objection=True)
    return Choice(TRACKING, "marketing", ALLOW_TRACKING, "", chosen=state == "granted", state=state)
