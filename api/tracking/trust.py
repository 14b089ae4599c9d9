"""Whose word a tracking call is: an authenticated sender's, or anybody's. What anybody may change is decided in `crm.people.visitors` and `crm.consent.consent`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from api.tracking.calls import TrackingCall
from api.tracking.write_keys import Key
from crm.people.identity import ResolvedContact, find
from crm.people.profile import update_fields
from crm.people.visitors import NEEDS_SERVER, fill_fields
from models import Event

MAX_LISTED = 20
"""Reasons kept with one event."""


def is_trusted(key: Key, headers: Mapping[str, str]) -> bool:
    """A server key, and not out of a web page: browsers name the page in `Origin`, and what stands in a page is no secret."""
    return key.kind == "server" and "origin" not in headers


@dataclass(slots=True)
class Changed:
    """What a call changed in the profile, and what was left out: field or kind of name -> reason."""

    event: Event | None = None
    refused: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    """Field -> why it was left out, or which type was expected of what is kept; for whoever keeps the sender."""


def write_fields(session: Session, call: TrackingCall, contact: ResolvedContact, fields: Mapping[str, object], now: datetime) -> Changed:
    """Writes what a call says about its contact, as far as its sender may."""
    source = call.row["source"]
    if call.trusted:
        told: dict[str, str] = {}
        return Changed(update_fields(session, contact.contact_id, fields, now, source, told=told), told=told)
    filled = fill_fields(session, contact.contact_id, fields, now, source, own=contact.own)
    return Changed(filled.event, filled.refused, {**filled.unfit, **filled.refused})


def left_out(session: Session, call: TrackingCall, contact: ResolvedContact) -> dict[str, str]:
    """The names that an unauthenticated call wanted for its contact and did not get, the alias among them."""
    if call.trusted:
        return {}
    refused = {bad.kind: bad.reason for bad in contact.refused if bad.reason == NEEDS_SERVER}
    if call.previous_id is not None and find(session, ("anonymous_id", call.previous_id)) != contact.contact_id:
        refused["alias"] = NEEDS_SERVER
    return refused
