"""The devices on which a contact gets push messages: registered, moved, removed, and the contact's field that says which kinds there are.

A device is one person's at a time: whoever registers it has it, because whoever holds a phone reads what is shown on it. Whether somebody may
register it for a contact is the callers' question. The field `push_devices` changes in the same transaction, under the contact's lock, so the
gate and rules read it like any other. Events are stored here and routed by the keeper. Nothing is sent here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Conflict, Invalid, NotFound
from models import Contact, Device
from storage.events import append_event
from storage.locks import lock_contacts, person_of
from storage.sql import insert_new, on, table
from workspace.audit import record

MOST: Final = 20
"""Devices of one contact; beyond them the one unseen for longest goes."""
UNSEEN: Final = timedelta(days=365)
"""A device that has not registered again for so long is removed. Source: push services forget an app that was not opened for 270 days."""
SEEN_AGAIN: Final = timedelta(days=1)
"""A device is noted as seen once in so long."""
MAX_ADDRESS: Final = 2_048
KINDS: Final = ("web", "android", "ios")

Kind = Literal["web", "android", "ios"]
Reason = Literal["gone", "left", "moved", "limit", "removed", "unseen"]
"""Why a device was removed: its push service does not know it any more, it said so itself, somebody else has it now, the contact has too many, a
person removed it, or it was not seen for too long."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A device as it presents itself, checked. `address`: see `models.Device`.

    Raises:
        Invalid: an address or a key that no device has.
    """

    kind: Kind
    address: str = field(repr=False)
    p256dh: str = field(default="", repr=False)
    auth: str = field(default="", repr=False)
    made_for: str = ""
    app: str = ""
    language: str = ""

    def __post_init__(self) -> None:
        if not 0 < len(self.address) <= MAX_ADDRESS or not self.address.isascii() or not self.address.isprintable() or " " in self.address:
            raise Invalid("Expected the token or the endpoint of a device, at most {limit} characters.", limit=MAX_ADDRESS)
        if self.kind == "web":
            _check_endpoint(self.address)
            _check_keys(self.p256dh, self.auth)


def _check_endpoint(endpoint: str) -> None:
    """Whom we will call is what a stranger's browser told us. Source: RFC 8030, 8: push services are reached by https. Inner addresses the HTTP
    client refuses when it is called."""
    try:
        parts = urlsplit(endpoint)
        is_fine = (
            parts.scheme == "https" and bool(parts.hostname) and parts.username is None and parts.port in (None, 443) and not parts.fragment
        )
    except ValueError:
        is_fine = False
    if not is_fine:
        raise Invalid("Expected the endpoint of a browser's subscription: an address that begins with https://.")


def _check_keys(p256dh: str, auth: str) -> None:
    """A point on P-256, uncompressed, and 16 bytes. Source: RFC 8291, 3.1 and 3.2."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _bytes(p256dh))
        is_fine = len(_bytes(p256dh)) == 65 and len(_bytes(auth)) == 16
    except (ValueError, binascii.Error):
        is_fine = False
    if not is_fine:
        raise Invalid("Expected the keys p256dh and auth of a browser's subscription.")


def _bytes(text: str) -> bytes:
    if len(text) > 200 or not text.isascii():
        raise ValueError
    return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)


def hash_of(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def register(session: Session, contact_id: str, new: Registration, now: datetime, *, source: str = "api") -> Device:
    """The contact, or the one it has become, gets push messages on this device from now on, and whoever had it before no longer does. The same
    registration again only says that it was seen.

    Raises:
        NotFound: there is no such contact, or it was erased.
    """
    contact_id = person_of(session, contact_id)
    hashed = hash_of(new.address)
    holder = session.scalar(select(Device.contact_id).where(Device.address_hash == hashed))
    contacts = lock_contacts(session, {contact_id, holder or contact_id})
    contact = contacts.get(contact_id)
    if contact is None or contact.erased_at is not None or contact.merged_into is not None:
        raise NotFound("There is no such contact.")
    device = _by_hash(session, hashed)
    if device is not None and device.contact_id != contact.id:
        _take_away(session, lock_contacts(session, [device.contact_id])[device.contact_id], device, "moved", now)
        device = None
    is_new = device is None and _is_inserted(session, contact.id, new, hashed, now)
    device = device or _by_hash(session, hashed)
    if device is None or device.contact_id != contact.id:
        raise Conflict("This device is being registered elsewhere; try again.")
    _tell_apart(device, new, now)
    session.add(device)
    session.flush()
    if is_new:
        append_event(session, contact.id, "system", "Device Added", {"kind": new.kind, "app": device.app}, now, source=source)
        _keep_to_limit(session, contact, now)
    _refresh(session, contact, now)
    return device


def _is_inserted(session: Session, contact_id: str, new: Registration, hashed: str, now: datetime) -> bool:
    """False: another transaction was first with the address."""
    row = {
        "contact_id": contact_id, "kind": new.kind, "address": new.address, "address_hash": hashed, "p256dh": "", "auth": "", "made_for": "",
        "app": "", "language": "", "created_at": now, "last_seen_at": now,
    }  # fmt: skip
    return on(session).execute(insert_new(session, Device, ("address_hash",), ("id",)), row).first() is not None


def _tell_apart(device: Device, new: Registration, now: datetime) -> None:
    """What may have changed since it was registered first."""
    device.kind, device.p256dh, device.auth, device.made_for = new.kind, new.p256dh, new.auth, new.made_for
    device.app, device.language = new.app[:200] or device.app, new.language[:35] or device.language
    device.last_seen_at = max(device.last_seen_at, now)


def is_known(session: Session, contact_id: str, address: str, now: datetime) -> bool:
    """Whether the contact has this device and was seen with it within a day."""
    known = session.execute(select(Device.contact_id, Device.last_seen_at).where(Device.address_hash == hash_of(address))).first()
    return known is not None and known.contact_id == contact_id and now - known.last_seen_at < SEEN_AGAIN


def renew(session: Session, before: str, new: Registration, now: datetime) -> Device | None:
    """A browser has got another subscription for a former one: the same person has it. None: the former one is not known.

    Knowing an endpoint is the proof, as it is for the push service. Source: RFC 8030, 8.3 (capability URLs).

    Raises:
        Invalid: somebody else has the new one.
    """
    known = session.scalar(select(Device).where(Device.address_hash == hash_of(before), Device.kind == "web"))
    if known is None:
        return None
    contact = lock_contacts(session, [known.contact_id])[known.contact_id]
    former, other = _by_hash(session, hash_of(before)), _by_hash(session, hash_of(new.address))
    if former is None or former.contact_id != contact.id:
        return None
    if other is not None and other.contact_id != contact.id:
        raise Invalid("This subscription is registered already.")
    if other is not None and other.id != former.id:
        _take_away(session, contact, former, "left", now)
        former = other
    former.address, former.address_hash = new.address, hash_of(new.address)
    _tell_apart(former, new, now)
    session.add(former)
    session.flush()
    return former


def leave(session: Session, contact_id: str, address: str, now: datetime) -> bool:
    """The device wants no more; false if this contact has none of that address."""
    device = session.scalar(select(Device).where(Device.address_hash == hash_of(address)))
    if device is None or device.contact_id != person_of(session, contact_id):
        return False
    return take(session, device.id or 0, "left", now)


def take(session: Session, device_id: int, reason: Reason, now: datetime, *, address: str = "") -> bool:
    """Removes a device; false if it is gone already, or has another address by now than `address`."""
    known = session.scalar(select(Device.contact_id).where(Device.id == device_id))
    if known is None:
        return False
    contact = lock_contacts(session, [known])[known]
    device = session.scalar(select(Device).where(Device.id == device_id), execution_options={"populate_existing": True})
    if device is None or device.contact_id != contact.id or (address and device.address != address):
        return False
    _take_away(session, contact, device, reason, now)
    return True


def remove(session: Session, contact_id: str, device_id: int, by: str, now: datetime) -> None:
    """A member of the team removes a device; audited.

    Raises:
        NotFound: the contact has no such device.
    """
    device = session.get(Device, device_id)
    if device is None or device.contact_id != person_of(session, contact_id) or not take(session, device_id, "removed", now):
        raise NotFound("There is no such device.")
    record(session, by, "contact.device_remove", f"contact:{device.contact_id}", {"device": device_id, "kind": device.kind})


def of_contact(session: Session, contact_id: str, kinds: Collection[str] = KINDS) -> list[Device]:
    """Its devices of these kinds, the one seen last first."""
    statement = select(Device).where(Device.contact_id == contact_id, col(Device.kind).in_(sorted(kinds)))
    return list(session.scalars(statement.order_by(col(Device.last_seen_at).desc(), col(Device.id).desc()).limit(MOST)))


def kinds_of(said: str | None) -> frozenset[str]:
    """The kinds that a contact's field `push_devices` names."""
    return frozenset((said or "").split())


def settle(session: Session, contacts: Iterable[Contact], now: datetime) -> None:
    """After devices changed hands (a merge, or its undoing): the fields, and no more than `MOST`. The caller holds the contacts."""
    for contact in contacts:
        _keep_to_limit(session, contact, now)
        _refresh(session, contact, now)


def unseen(session: Session, now: datetime, limit: int) -> Sequence[int]:
    """Devices that were not seen for `UNSEEN`."""
    statement = select(Device.id).where(col(Device.last_seen_at) < now - UNSEEN).order_by(col(Device.last_seen_at)).limit(limit)
    return [id for id in session.scalars(statement) if id is not None]


def _by_hash(session: Session, hashed: str) -> Device | None:
    """The device as it is now that its person's row is held."""
    found = select(Device).where(Device.address_hash == hashed)
    device: Device | None = session.scalar(found, execution_options={"populate_existing": True})
    return device


def _take_away(session: Session, contact: Contact, device: Device, reason: Reason, now: datetime) -> None:
    session.flush()
    session.execute(delete(table(Device)).where(table(Device).c.id == device.id))
    session.expunge(device)
    append_event(session, contact.id, "system", "Device Removed", {"kind": device.kind, "reason": reason}, now)
    _refresh(session, contact, now)


def _keep_to_limit(session: Session, contact: Contact, now: datetime) -> None:
    """Every contact may have `MOST`; a merge can bring twice as many."""
    newest_first = (col(Device.last_seen_at).desc(), col(Device.id).desc())
    beyond = select(Device).where(Device.contact_id == contact.id).order_by(*newest_first).offset(MOST).limit(MOST + 1)
    for device in session.scalars(beyond).all():
        _take_away(session, contact, device, "limit", now)


def _refresh(session: Session, contact: Contact, now: datetime) -> None:
    """The field says what there is; a change of it is told as that of any field."""
    kinds = session.scalars(select(Device.kind).where(Device.contact_id == contact.id).distinct())
    said = " ".join(sorted(kinds)) or None
    before = contact.push_devices
    if said == before:
        return
    contact.push_devices, contact.updated_at = said, now
    session.add(contact)
    session.flush()
    changes = {"push_devices": [before, said]}
    append_event(session, contact.id, "system", "Contact Changed", {"fields": ["push_devices"], "changes": changes}, now)
