"""What comes in by a form: whose it is, what it says about consent, and the event that journeys listen to. Decision 058.

Anybody can fill in a form with anybody's address, so what is filled in is worth what a browser key is worth (`crm.people.visitors`): it fills empty
fields of whom nobody authenticated has named, and overwrites nothing. Where somebody authenticated has named the holder of the address, the whole submission waits until the mailbox
has answered the double opt-in; a form that asks no mailbox reaches a contact of its own then. Consents are *pending*, each with the wording
that was shown. Only `crm.consent.double_opt_in` turns those of the mailbox into consents.

Nothing here routes: that is the caller's part, in the same transaction. Nothing here says to whoever asks whether an address was known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.consent import double_opt_in
from crm.consent.consent import Evidence, record_consent, shorten_ip
from crm.forms.definition import Box, Definition
from crm.forms.forms import SUBMITTED, id_of
from crm.forms.reading import Filled
from crm.people import identity, touches
from crm.people.duplicates import suggest
from crm.people.visitors import fill_fields
from crm.people.visits import UTM
from models import Contact, Event, Form, FormDay, FormSubmission, FormVersion, lock
from storage import segment_marks
from storage.events import append_event
from storage.json_values import clean_text
from storage.locks import lock_contact, person_of
from storage.sql import on, table, upsert
from storage.tally import day_of

ORIGIN = (*(f"utm_{name}" for name in UTM), "referrer", "landing_page")
"""What a browser says about whence somebody came."""
ARRIVED, WAITING = "arrived", "waiting"


@dataclass(frozen=True, slots=True, repr=False)
class Sent:
    """One form as it was sent in. `definition` and `version` are those that were shown, `nonce` that of the page."""

    form: Form
    definition: Definition
    version: int
    filled: Filled
    nonce: str
    language: str
    page: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)
    """Those of `ORIGIN` that the browser said."""
    ip: str = ""
    anonymous_id: str = ""
    """Of the browser, where its person allowed one."""

    @property
    def source(self) -> str:
        """As consents name it."""
        return f"form:{self.form.key}"


def submit(session: Session, sent: Sent, now: datetime) -> list[Event]:
    """Stores a submission with all that comes of it; the same page a second time changes nothing. Returns the events, not yet routed."""
    form_id = id_of(sent.form)
    day = _day(session, form_id, now)  # whoever sends the same page at the same instant waits here
    known = select(FormSubmission.id).where(FormSubmission.form_id == form_id, FormSubmission.nonce == sent.nonce)
    if session.scalar(known) is not None:
        return []
    day.submitted += 1
    row = _row(sent, now)
    browser, is_new = _browser(session, sent, now)
    mailed = [box for box in sent.filled.boxes if box.by_mail]
    asked = double_opt_in.request(session, _request(sent, mailed, row), now) if mailed else None
    if browser is not None:
        contact, arrives = browser, True
    elif asked is not None:
        contact, arrives = asked.contact, asked.made or not asked.contact.vouched
    else:
        (contact, is_new), arrives = _alone(session, sent, now), True
    row.contact_id, row.opt_in_id = contact.id, asked.opt_in_id if asked is not None else None
    row.state = ARRIVED if arrives else WAITING
    session.add(row)
    session.flush()
    events = list(asked.events) if asked is not None else []
    if asked is None:
        events += _fill(session, contact, row, sent.definition, now, own=not contact.vouched)
    came = touches.record(session, contact.id, _touch(row, sent.form), now, is_new=is_new) if arrives else None
    events += [came] if came is not None else []
    return [*events, *_arrive(session, contact, row, sent.form, sent.definition, now)] if arrives else events


def spam(session: Session, form: Form, now: datetime) -> None:
    """Counts what only programs fill in, and keeps nothing of it."""
    _day(session, id_of(form), now).spam += 1


def confirmed(session: Session, opt_in_id: str, now: datetime) -> list[Event]:
    """The mailbox has answered: what was filled in beside the address is the contact's, and what has waited arrives."""
    events: list[Event] = []
    for row in session.scalars(select(FormSubmission).where(FormSubmission.opt_in_id == opt_in_id).order_by(col(FormSubmission.id))):
        form = session.get_one(Form, row.form_id)
        version = session.get(FormVersion, (row.form_id, row.version))
        definition = Definition.model_validate(version.definition if version is not None else form.definition)
        contact = lock_contact(session, row.contact_id)
        events += _fill(session, contact, row, definition, now, own=row.state == ARRIVED)
        if row.state == WAITING:
            row.state = ARRIVED
            session.add(row)
            came = touches.record(session, contact.id, _touch(row, form), now)
            events += [came] if came is not None else []
            events += _arrive(session, contact, row, form, definition, now)
    return events


def _touch(row: FormSubmission, form: Form) -> touches.Touch:
    parameters = {name: row.source.get(f"utm_{name}") for name in UTM}
    referrer = str(row.source.get("referrer", ""))
    return touches.of_form(f"form:{form.key}", row.submitted_at, page=row.page, referrer=referrer, parameters=parameters)


# Whose it is


def _browser(session: Session, sent: Sent, now: datetime) -> tuple[Contact | None, bool]:
    """Who is known by the browser's anonymous id, unless the address that was filled in is somebody else's; and whether that contact is new."""
    if not sent.anonymous_id:
        return None, False
    address = sent.filled.email
    names = [("anonymous_id", sent.anonymous_id), *([("email", address)] if address else [])]
    found = identity.resolve_batch(session, [names], now, visitors={0})[0]
    if found is None or (address and identity.find(session, ("email", address)) != found.contact_id):
        return None, False
    return lock_contact(session, found.contact_id), found.created


def _alone(session: Session, sent: Sent, now: datetime) -> tuple[Contact, bool]:
    """Whom the address means, where no mailbox is asked, and whether that contact is new. If somebody authenticated has named that contact, a new one that nobody is known by; whoever
    works with contacts sees that both have the address."""
    address = sent.filled.email
    if address:
        contact, made = double_opt_in.holder(session, address, now)
        if made or not contact.vouched:
            return contact, made
    contact = Contact(created_at=now, updated_at=now, vouched=False)
    session.add(contact)
    session.flush()
    segment_marks.mark_new(session, [contact.id], now)
    if address:
        suggest(session, {contact.id: {"email": address}}, now)
    return contact, True


# What comes of it


def _request(sent: Sent, boxes: Sequence[Box], row: FormSubmission) -> double_opt_in.Request:
    first, *others = boxes
    said = sent.language
    return double_opt_in.Request(
        address=sent.filled.email,
        purpose=first.purpose,
        wording=first.wording.said(said),
        language=said,
        source=sent.source,
        page=sent.page,
        ip=sent.ip,
        topics=sent.filled.topics,
        further=[(box.purpose, box.wording.said(said)) for box in others],
        proof={"form_version": sent.version, "submission": row.id},
        touch=_touch(row, sent.form),
    )


def _row(sent: Sent, now: datetime) -> FormSubmission:
    return FormSubmission(
        form_id=id_of(sent.form),
        contact_id="",
        nonce=sent.nonce,
        version=sent.version,
        language=sent.language,
        address=sent.filled.email,
        values=dict(sent.filled.values),
        boxes=[box.key for box in sent.filled.boxes],
        page=clean_text(sent.page)[:2_000],
        source={name: clean_text(sent.origin[name])[:500] for name in ORIGIN if sent.origin.get(name)},
        ip=shorten_ip(sent.ip),
        submitted_at=now,
    )


def _fill(session: Session, contact: Contact, row: FormSubmission, definition: Definition, now: datetime, *, own: bool) -> list[Event]:
    """Into empty fields. A number that a stranger typed does not become a known contact's, nor does an address by which somebody else is known."""
    asked = {one.name for one in definition.fields if one.kind == "contact"}
    fields = {name: value for name, value in row.values.items() if name in asked}
    if not contact.locale:
        fields["locale"] = row.language
    filled = fill_fields(session, contact, fields, now, f"form:{row.form_id}", own=own) if fields else None
    return [filled.event] if filled is not None and filled.event is not None else []


def _arrive(session: Session, contact: Contact, row: FormSubmission, form: Form, definition: Definition, now: datetime) -> list[Event]:
    """The consents that no mailbox answers, and the event."""
    ticked = [box for box in definition.boxes if box.key in row.boxes]
    said = [_pending(session, contact, row, form, box, now) for box in ticked if not box.by_mail]
    return [*(one for one in said if one is not None), _event(session, contact, row, form, definition, now)]


def _pending(session: Session, contact: Contact, row: FormSubmission, form: Form, box: Box, now: datetime) -> Event | None:
    wording = box.wording.said(row.language)
    proof = {
        "form_version": row.version,
        "submission": row.id,
        "asked_at": row.submitted_at.isoformat(),
        "page": row.page,
        "ip": row.ip,
        "language": row.language,
        "wording_version": double_opt_in.wording_version(wording),
    }
    return record_consent(
        session,
        contact,
        box.channel,
        box.purpose,
        "granted",
        now,
        evidence=Evidence.UNAUTHENTICATED,
        source=f"form:{form.key}",
        wording=wording,
        proof=proof,
    )


def _event(session: Session, contact: Contact, row: FormSubmission, form: Form, definition: Definition, now: datetime) -> Event:
    questions = {one.name for one in definition.fields if one.kind == "question"}
    properties: dict[str, Any] = {
        "form": form.key,
        "version": row.version,
        "page": row.page,
        "language": row.language,
        "boxes": list(row.boxes),
        "answers": {name: value for name, value in row.values.items() if name in questions},
        "hidden": {one.name: one.value for one in definition.hidden},
    }
    return append_event(
        session,
        contact.id,
        "system",
        SUBMITTED,
        properties,
        now,
        source=f"form:{row.form_id}",
        message_id=row.id,
        occurred_at=row.submitted_at,
        context=_context(row),
    )


def _context(row: FormSubmission) -> dict[str, Any]:
    """As tracking calls say it (Segment "Common Fields")."""
    page = {"url": row.page, "referrer": row.source.get("referrer", "")}
    campaign = {("name" if name == "campaign" else name): row.source[f"utm_{name}"] for name in UTM if f"utm_{name}" in row.source}
    return {
        "locale": row.language,
        "page": {name: value for name, value in page.items() if value},
        **({"campaign": campaign} if campaign else {}),
    }


# Reading


def of_contact(session: Session, contact_id: str, limit: int = 20) -> list[tuple[FormSubmission, Form]]:
    """The newest of a contact."""
    theirs = select(FormSubmission, Form).join(Form, col(Form.id) == col(FormSubmission.form_id))
    mine = theirs.where(FormSubmission.contact_id == person_of(session, contact_id)).order_by(col(FormSubmission.id).desc()).limit(limit)
    return [(row, form) for row, form in session.execute(mine)]


def page(session: Session, form: Form, before: str | None, limit: int, address: str = "") -> list[FormSubmission]:
    """Newest first. `address`: how the address begins that was filled in."""
    rows = select(FormSubmission).where(FormSubmission.form_id == id_of(form))
    if before:
        rows = rows.where(col(FormSubmission.id) < before)
    if address:
        wanted = address.strip().lower()
        rows = rows.where(col(FormSubmission.address) >= wanted, col(FormSubmission.address) < f"{wanted}\U0010ffff")
    return list(session.scalars(rows.order_by(col(FormSubmission.id).desc()).limit(limit)))


def days(session: Session, form: Form, since: datetime) -> list[FormDay]:
    """What came in by day (UTC); a day of nothing is missing."""
    mine = select(FormDay).where(FormDay.form_id == id_of(form), col(FormDay.day) >= day_of(since))
    return list(session.scalars(mine.order_by(col(FormDay.day))))


def totals(session: Session) -> dict[int, tuple[int, int]]:
    """Form -> (submitted, spam), of all time."""
    days = table(FormDay)
    counted = session.execute(select(days.c.form_id, func.sum(days.c.submitted), func.sum(days.c.spam)).group_by(days.c.form_id))
    return {form_id: (int(submitted), int(spam)) for form_id, submitted, spam in counted}


def _day(session: Session, form_id: int, now: datetime) -> FormDay:
    """The row of the day, locked."""
    key = {"form_id": form_id, "day": day_of(now)}
    on(session).execute(
        upsert(session, FormDay).on_conflict_do_nothing(index_elements=["form_id", "day"]), {**key, "submitted": 0, "spam": 0}
    )
    statement = lock(session, select(FormDay).where(FormDay.form_id == form_id, FormDay.day == key["day"]))
    found: FormDay = session.scalars(statement, execution_options={"populate_existing": True}).one()
    return found
