"""What the members of a company did, newest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from models import CompanyMember, Event
from storage.sql import on, table

MOST_CONTACTS = 50
"""So many members are looked at, those that were active last: each costs a look into an index, however much each did."""
PAGE = 50

members, events = table(CompanyMember), table(Event)
_columns = [events.c[name] for name in ("id", "contact_id", "type", "name", "properties", "source", "occurred_at")]
_of_one = (
    select(*_columns)
    .where(events.c.contact_id == bindparam("contact"), events.c.id < bindparam("before"))
    .order_by(events.c.id.desc())
    .limit(PAGE + 1)
)
_LAST = 2**63 - 1


def page(session: Session, company_id: str, before: int | None = None) -> tuple[list[Any], str | None]:
    """The newest events before the event `before` (all, where None), and what `before` of the next call is; None at the end."""
    active = select(members.c.contact_id).where(members.c.company_id == company_id)
    ids = on(session).execute(active.order_by(members.c.active_at.desc().nulls_last(), members.c.contact_id).limit(MOST_CONTACTS)).scalars()
    each = [_newest(session, id, before or _LAST) for id in ids.all()]
    found = heapq.nlargest(PAGE + 1, (row for rows in each for row in rows), key=lambda row: row.id)
    return found[:PAGE], str(found[PAGE - 1].id) if len(found) > PAGE else None


def _newest(session: Session, contact_id: str, before: int) -> Iterator[Any]:
    yield from on(session).execute(_of_one, {"contact": contact_id, "before": before})
