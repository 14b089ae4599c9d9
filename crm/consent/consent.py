"""Consent: an append-only log of what was said, and the state that follows from it.

The statement said last counts, whenever it arrives; of two said at the same instant the stricter. What stands behind a statement
(`Evidence`) limits what it may loosen. Statements that do not count are logged with `proof["applied"] = false`. What counts is also said of
the contact's addresses (`crm.consent.mailbox`). This module decides
nothing about sending (the gate does) and asks nobody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import bindparam
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.consent.mailbox import EVERYTHING, says_no, words, write
from journeys.channels import ADDRESSED, CONSENTS, TOPIC
from journeys.errors import Invalid
from models import Consent, ConsentState, Contact, Event
from storage import segment_marks
from storage.events import append_event
from storage.json_values import clean_object, clean_text
from storage.locks import lock_contact
from storage.sql import on, table
from workspace.settings import CONSENT_NAME

STRICTNESS = {"granted": 0, "pending": 1, "withdrawn": 2}
"""The three states; a higher number allows less. Nothing ever said is no state: the gate refuses it by itself."""


class Evidence(Enum):
    """What stands behind a statement. Whoever records one has to say it."""

    DATED = "dated"
    """Said now by the person or a member of the team, or passed on by an authenticated sender who names the instant."""
    UNDATED = "undated"
    """Passed on by an authenticated sender without an instant: `granted` at every login, a column of a file. A repetition, not news."""
    UNAUTHENTICATED = "unauthenticated"
    """Sent by anybody, with a key that is public: it may take permission away and never give any."""


MAX_PROOF_BYTES = 8_192
_states = table(ConsentState)
_state = sql_select(_states.c.state).where(
    _states.c.contact_id == bindparam("of"), _states.c.channel == bindparam("on"), _states.c.purpose == bindparam("for")
)


def record_consent(
    session: Session,
    contact: str | Contact,
    channel: str,
    purpose: str,
    state: str,
    now: datetime,
    *,
    evidence: Evidence,
    source: str,
    said_at: datetime | None = None,
    wording: str = "",
    proof: Mapping[str, object] | None = None,
    mailbox: str | None = None,
    hops: int = 0,
) -> Event | None:
    """Logs a statement and makes it the state if it counts (`does_apply`).

    `said_at` defaults to `now` and is never in the future. `pending` (a double opt-in that waits) does not take away what is granted;
    an unauthenticated `granted` is logged as `pending`. An `ip` in the proof is shortened. The same statement from the same source
    again is not logged twice, nor is an undated one that changes nothing, whenever it is repeated.
    `mailbox`: the address whose own message the statement came from; only such a yes answers what other contacts with the address said.

    Returns the event `Consent Changed` {channel, purpose, state}, None when the state stays as it is.

    Raises:
        Invalid: unknown state, or malformed channel or purpose.
        TooLarge: the proof is larger than 8 kB.
        NotFound: no such contact.
    """
    check(channel, purpose, state)
    said_at = min(said_at or now, now)
    kept = _kept_proof({**(proof or {}), **_marks(state, evidence)})
    state = admitted(state, evidence)
    contact = lock_contact(session, contact)
    contact_id = contact.id
    present = session.get(ConsentState, (contact_id, channel, purpose))
    applies = does_apply(Standing(present.state, present.said_at, present.dated) if present else None, state, said_at, evidence)
    ever = not applies and evidence is not Evidence.DATED
    if present is not None and _already_said(session, contact_id, channel, purpose, state, source, None if ever else said_at):
        return None
    session.add(
        Consent(
            contact_id=contact_id,
            channel=channel,
            purpose=purpose,
            state=state,
            source=clean_text(source)[:200],
            wording=clean_text(wording)[:4_000],
            proof=kept if applies else {**kept, "applied": False},
            said_at=said_at,
            recorded_at=now,
        )
    )
    before = present.state if present else None
    if applies:
        put_state(session, present, contact_id, channel, purpose, state, said_at, evidence is Evidence.DATED)
        if evidence is Evidence.DATED or before != state == "withdrawn":  # what is repeated at every login is no news to a mailbox
            write(session, words(contact, channel, purpose, state, said_at, mailbox))
    session.flush()
    if applies and before == state:  # nothing else holds, but it was said later (`ConsentAgeTerm`)
        segment_marks.mark(session, [contact_id], {"consent"}, now, hops=hops)
    if before == state or not applies:
        return None
    properties = {"channel": channel, "purpose": purpose, "state": state}
    return append_event(session, contact_id, "system", "Consent Changed", properties, now, hops=hops)


def confirm(
    session: Session,
    contact: str | Contact,
    channel: str,
    purpose: str,
    now: datetime,
    *,
    source: str,
    proof: Mapping[str, object] | None = None,
    mailbox: str | None = None,
    keys: Sequence[bytes] = (),
) -> Event | None:
    """Turns a pending double opt-in into granted; None when nothing is pending (confirmed already, or withdrawn meanwhile).

    `mailbox`: the address the mail with the link went to. Who had said yes before is heard again where that mailbox says no.
    """
    contact = lock_contact(session, contact)
    present = state(session, contact.id, channel, purpose)
    repeated = present == "granted" and mailbox is not None and says_no(session, keys, channel, purpose, mailbox)
    if present != "pending" and not repeated:
        return None
    return record_consent(
        session, contact, channel, purpose, "granted", now, evidence=Evidence.DATED, source=source, proof=proof, mailbox=mailbox
    )


def state(session: Session, contact_id: str, channel: str, purpose: str) -> str | None:
    """`granted`, `withdrawn`, `pending`, or None if nothing was ever said."""
    return on(session).execute(_state, {"of": contact_id, "on": channel, "for": purpose}).scalar()


def object_all(
    session: Session,
    contact: str | Contact,
    now: datetime,
    *,
    source: str,
    proof: Mapping[str, object] | None = None,
    mailbox: tuple[str, str] | None = None,
    hops: int = 0,
) -> list[Event]:
    """The objection to direct marketing: withdraws every purpose on every channel, also where nothing was said yet, and for everybody who
    has one of the contact's addresses. `mailbox`: (channel, address) whose own message it came from.

    Source: GDPR Art. 21(2), 21(3): absolute, without reasons, running journeys included.
    """
    contact = lock_contact(session, contact)
    said = session.execute(select(ConsentState.channel, ConsentState.purpose).where(ConsentState.contact_id == contact.id))
    pairs = {(channel, purpose) for channel, purpose in said} | {(channel, "marketing") for channel in CONSENTS}
    pairs = {
        (channel, purpose) for channel, purpose in pairs if channel != TOPIC
    }  # nothing comes of any topic; what is liked may be liked again
    from_there = dict([mailbox] if mailbox else [])
    events = [
        record_consent(
            session,
            contact,
            channel,
            purpose,
            "withdrawn",
            now,
            evidence=Evidence.DATED,
            source=source,
            proof=proof,
            mailbox=from_there.get(channel),
            hops=hops,
        )
        for channel, purpose in sorted(pairs)
    ]
    for channel in ADDRESSED:
        write(session, words(contact, channel, EVERYTHING, "withdrawn", now, from_there.get(channel)))
    return [event for event in events if event is not None]


def history(session: Session, contact_id: str) -> list[Consent]:
    """Every statement of the contact, oldest first."""
    return list(session.scalars(select(Consent).where(Consent.contact_id == contact_id).order_by(col(Consent.id))))


def stricter(one: str, other: str) -> str:
    """Which of two states allows less."""
    return max(one, other, key=STRICTNESS.__getitem__)


def shorten_ip(address: str) -> str:
    """The network an address belongs to: /24 of IPv4, /48 of IPv6; empty for what is no address.

    Example: 203.0.113.77 -> 203.0.113.0. Source: the IP anonymisation that data-protection authorities accept.
    """
    try:
        ip = ipaddress.ip_address(address.strip())
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False).network_address)


def put_state(
    session: Session,
    present: ConsentState | None,
    contact_id: str,
    channel: str,
    purpose: str,
    state: str,
    said_at: datetime,
    dated: bool,
) -> None:
    """Writes the state row that goes with a statement just logged. `dated`: the statement says itself when it was made."""
    row = present or ConsentState(contact_id=contact_id, channel=channel, purpose=purpose, state=state, said_at=said_at)
    row.state, row.said_at, row.dated = state, said_at, dated
    session.add(row)


def check(channel: str, purpose: str, state: str) -> None:
    """Raises:
    Invalid: no statement can be about this channel and purpose, or in this state."""
    if state not in STRICTNESS:
        raise Invalid("Expected a consent state out of {states}.", states=list(STRICTNESS))
    if not CONSENT_NAME.fullmatch(channel) or len(channel) > 32:
        raise Invalid("Expected a channel such as {channels}.", channels=list(CONSENTS))
    if not CONSENT_NAME.fullmatch(purpose):
        raise Invalid("Expected a purpose such as marketing: lower case letters, digits and _ . : -, at most 64.")


def _kept_proof(proof: Mapping[str, object]) -> dict[str, Any]:
    kept = clean_object(proof, MAX_PROOF_BYTES)
    if "ip" in kept:
        kept["ip"] = shorten_ip(str(kept["ip"]))
    return kept


def _already_said(session: Session, contact_id: str, channel: str, purpose: str, state: str, source: str, said_at: datetime | None) -> bool:
    """Whether the source has said so before: at that instant, or ever if `said_at` is None."""
    statement = select(Consent.id).where(
        Consent.contact_id == contact_id,
        Consent.channel == channel,
        Consent.purpose == purpose,
        Consent.state == state,
        Consent.source == clean_text(source)[:200],
    )
    if said_at is not None:
        statement = statement.where(Consent.said_at == said_at)
    return session.scalar(statement.limit(1)) is not None


def _marks(state: str, evidence: Evidence) -> dict[str, str]:
    """What the proof keeps of a statement that is worth less than it says."""
    if evidence is Evidence.DATED:
        return {}
    return {"evidence": evidence.value, **({"said": state} if admitted(state, evidence) != state else {})}


class Standing(NamedTuple):
    """What holds, since when it was said, and whether the statement named that instant itself."""

    state: str
    said_at: datetime
    dated: bool = True


def admitted(state: str, evidence: Evidence) -> str:
    """What a statement counts as: nobody consents for a stranger, so an unauthenticated yes is a double opt-in that waits."""
    return "pending" if evidence is Evidence.UNAUTHENTICATED and state == "granted" else state


def does_apply(present: Standing | None, state: str, said_at: datetime, evidence: Evidence) -> bool:
    """Whether a statement (`state` as `admitted`) becomes the state; of two said at the same instant the stricter does.

    An undated yes is a repetition: it never takes back a withdrawal, never makes a standing yes younger, and loses to every withdrawal,
    also to one from before it was repeated. An unauthenticated statement only withdraws, or waits where nothing was ever said.
    """
    if present is None:
        return True
    if evidence is not Evidence.DATED and state != "withdrawn":
        repeated = present.state in (state, "withdrawn")
        if repeated or evidence is Evidence.UNAUTHENTICATED:
            return False
    if state == "withdrawn" and present.state != "withdrawn" and not present.dated:
        return True
    if state == "pending" and present.state == "granted":
        return False
    if said_at == present.said_at:
        return STRICTNESS[state] >= STRICTNESS[present.state] or (present.state, state) == ("pending", "granted")
    return said_at > present.said_at
