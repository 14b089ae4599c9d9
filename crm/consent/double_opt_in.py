"""Double opt-in: somebody asks for messages at an address, a mail goes there, and only its answer is a consent.

Source: § 7 UWG and the courts on it (the confirmation must be provable, its mail free of advertising); GDPR Art. 7(1).

Nothing here says whether an address was known. It sends no mail: `activities.sending.confirmations` does, from the rows. Routing the events is
the caller's part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from sqlalchemy import func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.consent import consent
from crm.consent.consent import Evidence, record_consent, shorten_ip
from crm.people import identity, profile, touches
from journeys.channels import DEFAULT, TOPIC, address_of
from journeys.errors import Invalid, NotFound
from models import DUE_OPT_IN, Contact, Event, OptIn
from storage import company_marks, identifiers, segment_marks
from storage.events import append_event
from storage.json_values import clean_text
from storage.locks import lock_contact
from workspace import settings

CHANNEL = DEFAULT
"""The channel that a mail can ask about."""
ONCE = "opt_in:"
"""The once keys of these mails begin with it; the request's id and the mail's number follow."""
CONFIRMED = "Subscription Confirmed"
FIELDS = ("first_name", "last_name")
"""What a form may ask for besides the address."""
DAY = timedelta(days=1)
MOST_UNANSWERED = 6
"""Requests of one address that are kept unanswered; from then on it gets no mail until they are purged."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What somebody asked. `wording` is what was shown, in `language`; `source` is `form:<key>` or `api:<key id>`."""

    address: str
    purpose: str
    wording: str
    language: str
    source: str
    page: str = ""
    ip: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, bool] = field(default_factory=dict)
    """Key of each topic that was offered -> whether it was chosen."""
    further: Sequence[tuple[str, str]] = ()
    """(purpose, wording) of what else the same answer consents to."""
    proof: Mapping[str, object] = field(default_factory=dict)
    """What proves it besides."""
    touch: touches.Touch | None = None
    """How somebody came who is new; None: as `source` and `page` say."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`opt_in_id`: None where the address has got too many mails. `made`: nobody was known by it before. `events` are not routed yet."""

    contact: Contact
    made: bool
    opt_in_id: str | None = None
    events: Sequence[Event] = ()


def ask(session: Session, asked: Request, now: datetime) -> list[Event]:
    """Stores the request; a mail leaves soon, unless the address has got too many. The same for every address, known or not.

    Raises:
        Invalid: this is no address.
    """
    return [*request(session, asked, now).events]


def request(session: Session, asked: Request, now: datetime) -> Asked:
    """As `ask`, and says whom it is about: for whoever keeps more of what was filled in. What it says may reach nobody outside.

    Raises: as `ask`."""
    address = identifiers.normalise("email", asked.address)
    if isinstance(address, identifiers.Refused):
        raise Invalid("Expected an e-mail address.")
    contact, made = holder(session, address, now)
    if made:
        touches.record(session, contact.id, _touch(asked, now), now, is_new=True)
    if not _may_be_mailed(session, address, now):
        return Asked(contact, made)
    row = _row(session, asked, address, contact, made, now)
    for older in session.scalars(select(OptIn).where(OptIn.address == address, OptIn.state == "waiting")):
        if older.sent or _is_repeated(older, row):
            older.next_at = None
            session.add(older)
    session.add(row)
    session.flush()
    said = [
        record_consent(
            session,
            contact,
            CHANNEL,
            purpose,
            "pending",
            now,
            evidence=Evidence.UNAUTHENTICATED,
            source=row.source,
            wording=wording,
            proof=_asked(row, wording),
        )
        for purpose, wording in _asked_for(row)
    ]
    return Asked(contact, made, row.id, [event for event in said if event is not None])


def _touch(asked: Request, now: datetime) -> touches.Touch:
    if asked.touch is not None:
        return asked.touch
    by_form = asked.source.startswith("form:")
    return touches.of_form(asked.source, now, page=asked.page) if by_form else touches.made_by(asked.source, now)


def _is_repeated(older: OptIn, row: OptIn) -> bool:
    """Whether the answer to the newer request says all that the answer to the older one would; else the mail of that, which has not left, is still needed."""
    asked = {purpose for purpose, _ in _asked_for(row)}
    return older.source == row.source and all(purpose in asked for purpose, _ in _asked_for(older))


def wordings(row: OptIn) -> list[str]:
    """What whoever answers agrees to, as it was shown."""
    return [wording for _, wording in _asked_for(row) if wording]


def _asked_for(row: OptIn) -> list[tuple[str, str]]:
    """(purpose, wording) of everything that the answer consents to."""
    return [(row.purpose, row.wording), *((str(one["purpose"]), str(one["wording"])) for one in row.further)]


def holder(session: Session, address: str, now: datetime) -> tuple[Contact, bool]:
    """Who has the address today, and whether nobody had. Whoever asks is a stranger, and vouches for nobody."""
    name = ("email", address)
    known = identity.find(session, name)
    found = identity.resolve(session, [name], now) if known is None else None
    contact = lock_contact(session, found.contact_id if found else str(known))
    if not _is_theirs(contact, address):
        return _another(session, address, now)
    if found and found.created:
        contact.vouched = False
        session.add(contact)
    return contact, bool(found and found.created)


def _is_theirs(contact: Contact, address: str) -> bool:
    """Whether the contact has the address still: the name by which somebody is known outlives it, and mailboxes are given to others."""
    return (address_of(contact, CHANNEL) or address) == address


def _another(session: Session, address: str, now: datetime) -> tuple[Contact, bool]:
    """Somebody else is known by the address, and gave it up: who has it now is found, or made, without that name."""
    theirs = (col(Contact.email) == address, col(Contact.merged_into).is_(None), col(Contact.erased_at).is_(None))
    found = session.scalar(select(Contact.id).where(*theirs).order_by(col(Contact.id)).limit(1))
    if found is not None:
        return lock_contact(session, found), False
    contact = Contact(email=address, created_at=now, updated_at=now, vouched=False)
    session.add(contact)
    session.flush()
    segment_marks.mark_new(session, [contact.id], now)
    company_marks.mark_new(session, [contact.id], now)
    return contact, True


def _row(session: Session, asked: Request, address: str, contact: Contact, made: bool, now: datetime) -> OptIn:
    expires = settings.load(session, settings.DoubleOptIn).expires
    fields = {name: clean_text(value).strip()[:120] for name, value in asked.fields.items() if name in FIELDS}
    return OptIn(
        contact_id=contact.id,
        made_contact=made,
        address=address,
        purpose=asked.purpose,
        wording=clean_text(asked.wording)[:4_000],
        language=asked.language,
        source=asked.source,
        page=clean_text(asked.page)[:2_000],
        ip=shorten_ip(asked.ip),
        fields={name: value for name, value in fields.items() if value},
        topics=dict(asked.topics) if any(asked.topics.values()) else {},
        further=[{"purpose": purpose, "wording": clean_text(wording)[:4_000]} for purpose, wording in asked.further],
        proof=dict(asked.proof),
        next_at=now,
        asked_at=now,
        expires_at=now + expires,
    )


def _may_be_mailed(session: Session, address: str, now: datetime) -> bool:
    """Counted from the rows, under the contact's lock: nobody fills a mailbox through a form."""
    most = settings.load(session, settings.DoubleOptIn).mails_a_day
    of_address = select(func.count()).select_from(OptIn).where(OptIn.address == address)
    today = session.scalar(of_address.where(col(OptIn.asked_at) > now - DAY)) or 0
    unanswered = session.scalar(of_address.where(OptIn.state == "waiting")) or 0
    return today < most and unanswered < MOST_UNANSWERED


def _asked(row: OptIn, wording: str) -> dict[str, object]:
    """What proves the first of the two steps."""
    return {
        **row.proof,
        "opt_in": row.id,
        "asked_at": row.asked_at.isoformat(),
        "asked_ip": row.ip,
        "page": row.page,
        "language": row.language,
        "wording_version": wording_version(wording),
    }


def wording_version(wording: str) -> str:
    """A digest of what was shown."""
    return sha256(wording.encode()).hexdigest()[:16]


State = Literal["waiting", "confirmed", "ended", "expired"]
"""`confirmed`: by this call or before, and it holds; `ended`: it was confirmed, and the consent does not hold any more; `expired`: its time is
over, or the contact gave the address up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a link, and what it changed."""

    state: State
    events: Sequence[Event] = ()


def state_of(session: Session, row: OptIn, now: datetime) -> State:
    if row.state == "confirmed":
        return "confirmed" if consent.state(session, row.contact_id, CHANNEL, row.purpose) == "granted" else "ended"
    return "expired" if now >= row.expires_at else "waiting"


def confirm(session: Session, opt_in_id: str, now: datetime, *, ip: str, message_id: str) -> Answer:
    """The address has answered: consent is given, once, with the proof of both steps. `message_id`: the mail that had the link.

    Raises:
        NotFound: the request was purged, or its contact erased.
    """
    row = locked(session, opt_in_id)
    if row is None:
        raise NotFound("There is no such request.")
    state = state_of(session, row, now)
    if state != "waiting":
        return Answer(state)
    contact = lock_contact(session, row.contact_id)
    if not _is_theirs(contact, row.address):
        return Answer("expired")
    events = [_granted(session, contact, row, said, now, ip, message_id) for said in _asked_for(row)]
    events += [*_choose(session, contact, row, now), _fill(session, contact, row, now)]
    properties = {"channel": CHANNEL, "purpose": row.purpose, "form": row.source.removeprefix("form:"), "language": row.language}
    events.append(append_event(session, contact.id, "system", CONFIRMED, properties, now, message_id=f"{CONFIRMED}:{row.id}"))
    contact.vouched = True
    session.add(contact)
    row.state, row.confirmed_at, row.next_at, row.fields, row.topics = "confirmed", now, None, {}, {}
    session.add(row)
    return Answer("confirmed", [event for event in events if event is not None])


def _granted(
    session: Session, contact: Contact, row: OptIn, said: tuple[str, str], now: datetime, ip: str, message_id: str
) -> Event | None:
    purpose, wording = said
    proof = {**_asked(row, wording), "method": "double opt-in", "message_id": message_id, "confirmed_at": now.isoformat(), "ip": ip}
    return record_consent(
        session,
        contact,
        CHANNEL,
        purpose,
        "granted",
        now,
        evidence=Evidence.DATED,
        source=row.source,
        wording=wording,
        proof=proof,
        mailbox=row.address,
    )


def _choose(session: Session, contact: Contact, row: OptIn, now: datetime) -> list[Event | None]:
    """The topics that were ticked are wanted; one that was left out is declined where the contact never answered about it, and otherwise stays."""
    said = [(key, "granted" if chosen else "withdrawn") for key, chosen in row.topics.items()]
    said = [(key, state) for key, state in said if state == "granted" or consent.state(session, contact.id, TOPIC, key) is None]
    proof = {"opt_in": row.id, "method": "double opt-in"}
    return [
        record_consent(session, contact, TOPIC, key, state, now, evidence=Evidence.DATED, source=row.source, proof=proof)
        for key, state in said
    ]


def _fill(session: Session, contact: Contact, row: OptIn, now: datetime) -> Event | None:
    """What was filled in beside the address, where the contact has nothing yet: who asked need not be who confirmed."""
    wanted = {name: value for name, value in row.fields.items() if not getattr(contact, name)}
    if not contact.locale:
        wanted["locale"] = row.language
    if not address_of(contact, CHANNEL):
        wanted["email"] = row.address
    return profile.update_fields(session, contact, wanted, now, row.source) if wanted else None


def locked(session: Session, opt_in_id: str) -> OptIn | None:
    """The request, fresh, under its contact's lock; None if there is none (any more)."""
    row = session.get(OptIn, opt_in_id)
    if row is None:
        return None
    contact = lock_contact(session, row.contact_id)
    session.expire(row)
    found = session.get(OptIn, opt_in_id)
    return found if found is not None and contact.erased_at is None else None


def due(session: Session, now: datetime, limit: int) -> Sequence[str]:
    """Ids of requests of which a mail is to leave."""
    return session.scalars(select(OptIn.id).where(DUE_OPT_IN, col(OptIn.next_at) <= now).order_by(col(OptIn.next_at)).limit(limit)).all()


def put_off(session: Session, row: OptIn, until: datetime) -> None:
    """The mail that is due comes later; not at all where its link would be over."""
    row.next_at = until if until < row.expires_at else None
    session.add(row)


def mailed(session: Session, row: OptIn, now: datetime, *, again: bool) -> None:
    """The mail that was due has met its end. The first is followed by one reminder, if the workspace wants it and `again` says it can help."""
    remind = settings.load(session, settings.DoubleOptIn).remind
    row.sent += 1
    half_way = now + (row.expires_at - now) / 2
    due = row.next_at is not None  # else another request has taken its place
    row.next_at = half_way if due and remind and again and row.sent == 1 and row.state == "waiting" else None
    session.add(row)
