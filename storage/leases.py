"""Leases by name: of several processes one does a duty at a time. What is done does not depend on it; it keeps them out of each other's way."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from models import Database, Lease
from storage.sql import changed_rows, table

leases = table(Lease)


def hold(db: Database, name: str, holder: str, real_now: datetime, span: timedelta) -> bool:
    """Takes the lease, or prolongs it, for `span` from now (real time); false while another holds it."""
    until = real_now + span
    mine = (
        update(leases)
        .where(leases.c.name == name, (leases.c.holder == holder) | (leases.c.until < real_now))
        .values(holder=holder, until=until)
    )
    with db.write() as session:
        if changed_rows(session, mine):
            return True
    try:
        with db.write() as session:
            session.execute(insert(leases).values(name=name, holder=holder, until=until))
    except IntegrityError:
        return False
    return True
