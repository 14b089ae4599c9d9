"""What anybody may say about a contact: calls with a browser key, which is public by nature.

A browser proves one thing, that it is the same browser: by its anonymous id, which nobody else knows. So such a call
- finds a contact by user id or anonymous id, never by an address or an id of another system, and merges nobody;
- gives names and addresses only to a contact that it makes, or that is known by its anonymous id and that nobody authenticated has named
  (`Contact.vouched`), and only where there is none yet;
- fills empty fields of whomever it names and overwrites none.

What it may say about consent is in `crm.consent.consent`. Everything left out is told with a reason; nothing here is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent import mailbox
from crm.people import phones
from crm.people.addresses import claim
from crm.people.profile import COLUMNS, CheckedFields, read_fields, write_fields, written
from journeys import postal
from journeys.rules.fields import path_of
from models import Contact, Event, Identity, new_id
from storage.events import append_event
from storage.identifiers import Name
from storage.json_values import MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, same, size
from storage.locks import lock_contact

if TYPE_CHECKING:
    from crm.people.identity import Plan

NEEDS_SERVER = "needs_server_key"
FILLED = "filled"
TOO_MUCH = "too_much"
"""Reasons why something was left out."""

IDS = ("user_id", "anonymous_id")
GIVEN = ("user_id", "email", "anonymous_id")
"""Kinds of names that a browser can give, and among them those that find somebody. A phone number is a field and nobody's name."""
ADDRESSES = ("email", "phone", postal.FIELD)
ROOM = 2
"""One part in so many of what a contact may hold; the rest stays free for authenticated senders."""


def plan_call(plan: Plan, number: int, names: Sequence[Name]) -> None:
    """Plans one call: whom it means, made if nobody is known by its ids, and which names that contact gets."""
    ids = {kind: (kind, value) for kind, value in reversed(names) if kind in IDS}
    head = _meant(plan, ids)
    plan.created.append(head is None and bool(ids))
    if head is None and ids:
        head = new_id()
        plan.contacts[head] = {}
        own = True
    else:
        own = head is not None and head not in plan.vouched and head == _holder(plan, ids.get("anonymous_id"))
    plan.meant.append(head)
    if head is None:
        return
    sure = [name for name in names if name[0] != "phone"]
    if own:
        plan.own.add(number)
        for name in sure:
            if name[0] in GIVEN and plan.holder(name) is None and not plan.held[head].get(name[0]):
                plan.take(name, head)
    plan.denied[number] = [kind for kind, value in sure if plan.holder((kind, value)) != head]


def _meant(plan: Plan, ids: Mapping[str, Name]) -> str | None:
    """Who has the user id; else who has the anonymous id, unless another user does or somebody authenticated has named that contact."""
    user = ids.get("user_id")
    known, same_browser = _holder(plan, user), _holder(plan, ids.get("anonymous_id"))
    if known is not None or same_browser is None or user is None:
        return known or same_browser
    free = same_browser not in plan.vouched and not plan.held[same_browser].get("user_id")
    return same_browser if free else None


def _holder(plan: Plan, name: Name | None) -> str | None:
    return plan.holder(name) if name is not None else None


@dataclass(slots=True)
class Filled:
    """`event`: `Contact Changed`, None if nothing changed. `refused`: field -> why it was left out."""

    event: Event | None = None
    refused: dict[str, str] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)
    """Field -> the type that the catalogue expects; the value is written as it came."""


def fill_fields(session: Session, contact: str | Contact, fields: Mapping[str, object], now: datetime, source: str, *, own: bool) -> Filled:
    """Writes the fields that are empty. Addresses only if the contact is the sender's `own`, and an e-mail only if it is a name of
    the contact: an address of a stranger would bring that contact's messages to the sender, or the sender's words to the stranger.

    Raises:
        NotFound: no such contact.
    """
    checked = read_fields(session, fields)
    contact = lock_contact(session, contact)
    filled = Filled(refused=dict(checked.refused), unfit=checked.unfit)
    if checked.phones is not None:
        filled.refused[phones.FIELD] = NEEDS_SERVER
    values: dict[str, Any] = {}
    for name, value in checked.values.items():
        present = _present(contact, name)
        if same(present, value):
            continue
        if reason := why_not(name, present, own=own):
            filled.refused[name] = reason
        elif name == "email" and not _is_known_by(session, contact.id, value):
            filled.refused[name] = NEEDS_SERVER
        elif value is not None:
            values[name] = value
    _leave_room(contact, values, filled.refused)
    change = write_fields(contact, CheckedFields(values, {})) if values else None  # what was refused stands at the call's own event
    if change is not None:
        contact.updated_at = now
        session.add(contact)
        _tell_addresses(session, contact, change.claims, now)
        filled.event = append_event(session, contact.id, "system", "Contact Changed", change.properties, now, source=source)
    return filled


def _tell_addresses(session: Session, contact: Contact, claims: Sequence[Name], now: datetime) -> None:
    """A no that was said before stands for the new addresses, too; whoever has the same is suggested as a duplicate."""
    if claims:
        session.flush()
        mailbox.carry(session, contact)
        claim(session, {contact.id: dict(claims)}, now)


def why_not(name: str, present: object, *, own: bool) -> str | None:
    """Why a browser may not write a field of a contact, in which `present` stands; None if it may."""
    if not is_empty(present):
        return FILLED
    if name in ADDRESSES and not own:
        return NEEDS_SERVER
    return None


def is_empty(value: object) -> bool:
    """Whether a field holds nothing; `false` and 0 are something."""
    return value is None or value in ("", [], {})


def _present(contact: Contact, name: str) -> Any:
    """What stands in a field. Where the way leads through a value that is no object, that value: it would have to go."""
    if name in COLUMNS:
        return getattr(contact, name)
    value: Any = contact.attributes
    for key in path_of(name):
        if not isinstance(value, Mapping):
            return value
        value = value.get(key)
    return value


def _is_known_by(session: Session, contact_id: str, value: object) -> bool:
    holder = select(Identity.contact_id).where(Identity.kind == "email", Identity.value == value)
    return session.scalar(holder) == contact_id


def _leave_room(contact: Contact, values: dict[str, Any], refused: dict[str, str]) -> None:
    """Takes the attributes out of `values` if they would leave too little room."""
    free = {name: value for name, value in values.items() if name not in COLUMNS}
    after = written(contact.attributes, free)[0]
    if free and (len(after) > MAX_ATTRIBUTES // ROOM or size(after) > MAX_ATTRIBUTES_BYTES // ROOM):
        for name in free:
            refused[name] = TOO_MUCH
            del values[name]
