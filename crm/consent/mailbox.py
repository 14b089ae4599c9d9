"""The word of a mailbox: a no said for an address or number stands for every contact that has it (decision 013).

Rows are what each contact said last about each address. A mailbox says no while somebody's no is newer than the newest *proven* yes: one that
came from the mailbox itself. A yes of another origin only takes back the speaker's own no.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, case, func, update
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.consent import suppression
from crm.consent.suppression import hashed
from journeys.channels import ADDRESSED, CHANNELS
from models import ConsentState, Contact, MailboxConsent
from storage import identifiers
from storage.json_values import clean_text
from storage.sql import on, table, upsert
from workspace.audit import record

EVERYTHING = "*"
"""The purpose of an objection: all of them, also those nobody spoke of yet."""
WORKSPACE = ""
"""Who says what an audited act says."""

_rows = table(MailboxConsent)
_KEYS = ["channel", "mailbox", "purpose", "contact_id"]


class Word(NamedTuple):
    """One contact's statement about one address."""

    channel: str
    mailbox: str
    purpose: str
    contact_id: str
    state: str
    said_at: datetime
    proven: bool = False


def _latest(fits: Any) -> Any:
    return func.max(case((fits, _rows.c.said_at)))


_word = sql_select(
    _latest(_rows.c.state == "withdrawn").label("no"), _latest((_rows.c.state == "granted") & _rows.c.proven).label("yes")
).where(
    _rows.c.channel == bindparam("on"),
    _rows.c.mailbox.in_(bindparam("spellings", expanding=True)),
    _rows.c.purpose.in_((bindparam("for"), EVERYTHING)),
)


def says_no(session: Session, keys: Sequence[bytes], channel: str, purpose: str, address: str) -> bool:
    """Whether anybody who has `address` said no on `channel` to `purpose`, and nobody took it back from the mailbox since.

    One lookup by the primary key. `keys` are those of `crm.consent.suppression`: words of erased contacts are kept under hashes.
    """
    if channel not in ADDRESSED:
        return False
    spelled = spelling(channel, address)
    spellings = [spelled, *(hashed(key, channel, spelled) for key in keys)]
    found = on(session).execute(_word, {"on": channel, "for": purpose, "spellings": spellings}).one()
    return is_no(found.no, found.yes)


def is_no(no: datetime | None, yes: datetime | None) -> bool:
    """Whether a mailbox says no: `no` when somebody said so last, `yes` when it was last answered from the mailbox itself."""
    return no is not None and (yes is None or yes <= no)


def address_of(contact: Contact | Row[Any], channel: str) -> str | None:
    """The address of a contact on a channel whose addresses may be shared; None on others."""
    return CHANNELS[channel].address_of(contact) if channel in ADDRESSED else None


def spelling(channel: str, address: str) -> str:
    """The one spelling of an address that is stored; what cannot be read is compared in lower case without blanks around it."""
    own = CHANNELS[channel].compared(address)
    if own is not None:
        return own[:320]
    found = identifiers.normalise(ADDRESSED[channel], address)
    return (clean_text(address).strip().lower() if isinstance(found, identifiers.Refused) else found)[:320]


def words(contact: Contact, channel: str, purpose: str, state: str, said_at: datetime, mailbox: str | None = None) -> list[Word]:
    """What a statement that became the contact's state says about addresses: its own, and the `mailbox` the statement came from.

    A no is about both; a yes from a mailbox proves that one.
    """
    if channel not in ADDRESSED or state not in ("granted", "withdrawn"):
        return []
    proven = spelling(channel, mailbox) if mailbox else None
    own = address_of(contact, channel)
    addresses = {address for address in (spelling(channel, own) if own else None, proven) if address}
    return [
        Word(channel, address, purpose, contact.id, state, said_at, state == "granted" and address == proven)
        for address in sorted(addresses)
    ]


def write(session: Session, said: Iterable[Word]) -> None:
    """Stores words; of one contact about one address the later counts, at the same instant the no. One statement."""
    newest: dict[tuple[str, ...], Word] = {}
    for word in said:
        before = newest.get(word[:4])
        if before is None or _counts(word, before):
            newest[word[:4]] = word
    rows = [word._asdict() for _, word in sorted(newest.items()) if _matters(word)]
    rows += _only_where_said(session, [word for word in newest.values() if not _matters(word)])
    if not rows:
        return
    statement = upsert(session, MailboxConsent)
    new = statement.excluded
    later = (new.said_at > _rows.c.said_at) | ((new.said_at == _rows.c.said_at) & (new.state == "withdrawn"))
    values = {"state": new.state, "said_at": new.said_at, "proven": new.proven}
    on(session).execute(statement.on_conflict_do_update(index_elements=_KEYS, set_=values, where=later), rows)


def _counts(word: Word, before: Word) -> bool:
    return word.said_at > before.said_at or (word.said_at == before.said_at and word.state == "withdrawn")


def _matters(word: Word) -> bool:
    """A yes that proves nothing changes nothing but the speaker's own no."""
    return word.state == "withdrawn" or word.proven


def _only_where_said(session: Session, said: Sequence[Word]) -> list[dict[str, Any]]:
    """Unproven yeses of contacts that spoke about the same address before."""
    if not said:
        return []
    spoken = {
        tuple(row)
        for row in on(session).execute(
            sql_select(_rows.c.channel, _rows.c.mailbox, _rows.c.purpose, _rows.c.contact_id).where(
                _rows.c.contact_id.in_(sorted({word.contact_id for word in said}))
            )
        )
    }
    return [word._asdict() for word in said if word[:4] in spoken]


def carry(session: Session, contact: Contact) -> None:
    """What the contact said no to stands for the addresses it has got meanwhile, as of when it was said. For whoever changes an address."""
    states = select(ConsentState).where(ConsentState.contact_id == contact.id, ConsentState.state == "withdrawn")
    nos = [(row.channel, row.purpose, row.said_at) for row in session.scalars(states)]
    if not nos:
        return
    objections = sql_select(_rows.c.channel, _rows.c.purpose, func.max(_rows.c.said_at)).where(
        _rows.c.contact_id == contact.id, _rows.c.purpose == EVERYTHING, _rows.c.state == "withdrawn"
    )
    nos += [tuple(row) for row in on(session).execute(objections.group_by(_rows.c.channel, _rows.c.purpose))]
    write(session, [word for channel, purpose, at in nos for word in words(contact, channel, purpose, "withdrawn", at)])


def refusal(session: Session, keys: Sequence[bytes], channel: str, address: str) -> str | None:
    """Why an address gets no marketing on `channel`: the reason it is suppressed for, `unsubscribe` where its mailbox said no; None if it may."""
    reason = suppression.is_suppressed(session, keys, channel, address)
    return reason or ("unsubscribe" if says_no(session, keys, channel, "marketing", address) else None)


class Refused(NamedTuple):
    """Why an address gets no marketing (`refusal`), and since when."""

    reason: str
    since: datetime | None


def refused(session: Session, keys: Sequence[bytes], channel: str, address: str) -> Refused | None:
    """`refusal` with the instant from which it holds."""
    reason = refusal(session, keys, channel, address)
    if reason is None:
        return None
    entry = suppression.find(session, keys, channel, address, reason)
    if entry is not None:
        return Refused(reason, entry.created_at)
    spelled = spelling(channel, address)
    spellings = [spelled, *(hashed(key, channel, spelled) for key in keys)]
    return Refused(reason, on(session).execute(_word, {"on": channel, "for": "marketing", "spellings": spellings}).one().no)


def lift(session: Session, keys: Sequence[bytes], channel: str, address: str, by: str, why: str, now: datetime) -> bool:
    """Takes away the reason that `refusal` names, audited; False if there is none. `why` is the evidence: what changed since.

    A dead address that works again has not said yes: a no behind another reason stays, and needs an act of its own. Who said no stays
    unsubscribed; the others who have the address get their messages again.
    """
    reason = refusal(session, keys, channel, address)
    lifted = suppression.lift(session, keys, channel, address, by, why)
    if reason != "unsubscribe" or channel not in ADDRESSED:
        return lifted
    if not lifted:
        entry = f"suppression:{hashed(keys[0], channel, address)[:16]}"
        record(session, by, "suppression.lift", entry, {"channel": channel, "reason": reason}, why=why)
    write(session, [Word(channel, spelling(channel, address), EVERYTHING, WORKSPACE, "granted", now, proven=True)])
    return True


def move(session: Session, winner_id: str, loser_id: str) -> None:
    """A merge: what both said about an address is said by the winner; where they differ the no stays."""
    session.flush()
    for row in on(session).execute(sql_select(_rows).where(_rows.c.contact_id == loser_id)).all():
        whose = [_rows.c[key] == getattr(row, key) for key in _KEYS[:3]]
        ours = on(session).execute(sql_select(_rows).where(*whose, _rows.c.contact_id == winner_id)).first()
        if ours is None:
            on(session).execute(update(_rows).where(*whose, _rows.c.contact_id == loser_id).values(contact_id=winner_id))
            continue
        kept = max((ours, row), key=lambda one: (one.state == "withdrawn", one.said_at))
        values = {"state": kept.state, "said_at": kept.said_at, "proven": kept.proven}
        on(session).execute(update(_rows).where(*whose, _rows.c.contact_id == winner_id).values(values))
        on(session).execute(_rows.delete().where(*whose, _rows.c.contact_id == loser_id))


def hide(session: Session, keys: Sequence[bytes], contact_id: str) -> None:
    """An erasure: the addresses become keyed hashes, so that the no outlives the name. Without keys nothing can be kept."""
    session.flush()
    said = on(session).execute(sql_select(_rows).where(_rows.c.contact_id == contact_id)).all()
    on(session).execute(_rows.delete().where(_rows.c.contact_id == contact_id))
    if keys:
        write(
            session,
            [
                Word(row.channel, hashed(keys[0], row.channel, row.mailbox), row.purpose, contact_id, row.state, row.said_at, row.proven)
                for row in said
            ],
        )


def of_contact(session: Session, keys: Sequence[bytes], contact: Contact) -> list[tuple[str, str]]:
    """(channel, purpose) where the contact said yes and its mailbox says no: what pages have to explain."""
    granted = select(ConsentState).where(
        ConsentState.contact_id == contact.id, ConsentState.state == "granted", col(ConsentState.channel).in_(ADDRESSED)
    )
    return sorted(
        (row.channel, row.purpose)
        for row in session.scalars(granted)
        if (address := address_of(contact, row.channel)) and says_no(session, keys, row.channel, row.purpose, address)
    )


__all__ = [
    "EVERYTHING", "WORKSPACE", "Refused", "Word", "address_of", "carry", "hide", "lift", "move", "of_contact", "refusal", "refused",
    "says_no", "spelling", "words", "write",
]  # fmt: skip
