"""What speaks for and against marketing to somebody, in one statement: their consent, the topic, and the word of the address.

`consent.state`, `suppression.reasons` and `mailbox.says_no` answer one of these each; the gate asks all of them for every message, and a
statement costs more than what it looks up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from crm.consent.mailbox import EVERYTHING, is_no, spelling
from crm.consent.suppression import hashes
from journeys.channels import ADDRESSED, TOPIC
from models import ConsentState, MailboxConsent, Suppression
from storage.sql import on, table

states, suppressed, words = table(ConsentState), table(Suppression), table(MailboxConsent)


class Standing(NamedTuple):
    """`consent` and `topic`: granted, withdrawn, pending, or None where nothing was said. `said_at`: when the consent was. `reasons`: why the address gets nothing; `unsubscribe`
    also where somebody who has it said no."""

    consent: str | None
    said_at: datetime | None
    topic: str | None
    reasons: list[str]


def standing(session: Session, keys: Sequence[bytes], contact_id: str, channel: str, purpose: str, topic: str, address: str) -> Standing:
    """What stands now for a marketing message. `keys`: those of `crm.consent.suppression`; `topic`: empty for none."""
    found = hashes(keys, channel, address)
    given = {"of": contact_id, "on": channel, "for": purpose, "about": topic, **{f"hash{n}": one for n, one in enumerate(found)}}
    if channel in ADDRESSED:
        given["spelled"] = spelling(channel, address)
    said: dict[str, str] = {}
    said_at: datetime | None = None
    reasons: list[str] = []
    for row in on(session).execute(_asked(len(found), channel in ADDRESSED), given):
        if row.what == "suppression":
            reasons.append(row.said)
        elif row.what == "mailbox":
            reasons += ["unsubscribe"] if is_no(row.no, row.yes) else []
        else:
            said[row.what], said_at = row.said, row.no or said_at
    return Standing(said.get("consent"), said_at, said.get("topic"), reasons)


@cache
def _asked(keys: int, addressed: bool) -> CompoundSelect[Any]:
    """Every part is one look-up by a primary key, or by as many keys as hash the address."""
    hashed: list[BindParameter[str]] = [bindparam(f"hash{n}") for n in range(keys)]
    nothing = cast(null(), words.c.said_at.type)
    consents = select(_kind("consent"), states.c.state.label("said"), states.c.said_at.label("no"), nothing.label("yes")).where(
        states.c.contact_id == bindparam("of"), states.c.channel == bindparam("on"), states.c.purpose == bindparam("for")
    )
    topics = select(_kind("topic"), states.c.state, nothing, nothing).where(
        states.c.contact_id == bindparam("of"), states.c.channel == TOPIC, states.c.purpose == bindparam("about")
    )
    stopped = select(_kind("suppression"), suppressed.c.reason, nothing, nothing).where(
        suppressed.c.channel == bindparam("on"), suppressed.c.address_hash.in_(hashed)
    )
    if not addressed:
        return union_all(consents, topics, stopped)
    no = func.max(case((words.c.state == "withdrawn", words.c.said_at)))
    yes = func.max(case(((words.c.state == "granted") & words.c.proven, words.c.said_at)))
    spoken: Any = select(_kind("mailbox"), literal_column("''"), no, yes).where(
        words.c.channel == bindparam("on"),
        words.c.mailbox.in_([bindparam("spelled"), *hashed]),
        or_(words.c.purpose == bindparam("for"), words.c.purpose == EVERYTHING),
    )
    return union_all(consents, topics, stopped, spoken)


def _kind(name: str) -> ColumnElement[str]:
    return literal_column(f"'{name}'").label("what")
