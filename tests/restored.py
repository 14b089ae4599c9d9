"""A database into which a backup was restored, for tests of deciding about all that may have left; and a death in the middle of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event
from sqlmodel import select

from engine.restored import PERHAPS_SENT
from models import Audit, Contact, Database, Message, Restore, RestoredMessage, new_id


def hold(db: Database, count: int, now: datetime) -> str:
    """So many e-mails wait for a decision, without the text that sending one again takes; returns the restore's id."""
    with db.write() as session:
        restore = Restore(since=now - timedelta(days=2), until=now - timedelta(days=1), assume="ask", restored_at=now)
        contact = Contact(id=new_id(), created_at=now, updated_at=now)
        session.add_all([restore, contact])
        session.flush()
        for number in range(count):
            message = Message(
                once_key=f"run{number}:hello:1", run_id=f"run{number}", node="hello", contact_id=contact.id, channel="email",
                status="uncertain", reason=PERHAPS_SENT, planned_at=now,
            )  # fmt: skip
            session.add(message)
            session.add(RestoredMessage(message_id=message.id, restore_id=restore.id, assumed="ask", decided_at=now))
        return restore.id


def fates(db: Database) -> Counter[tuple[str, str]]:
    """How many messages stand where, and what was made of them."""
    with db.read() as session:
        found = select(Message.status, RestoredMessage.assumed).join(RestoredMessage, RestoredMessage.message_id == Message.id)  # type: ignore[arg-type]
        return Counter((status, assumed) for status, assumed in session.execute(found))


def decided(db: Database) -> Counter[str]:
    """How often the audit trail says that something was decided about each message."""
    with db.read() as session:
        return Counter(session.scalars(select(Audit.subject).where(Audit.action == "message.decide")))


class Died(BaseException):
    """Stands for SIGKILL: nothing catches it, and what is not committed is lost."""


@contextmanager
def dying_at_message(number: int) -> Iterator[None]:
    """Whoever decides about the so many-th message in this block dies before it is written."""
    written = 0

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal written
        written += statement.startswith("UPDATE message SET")
        if written == number:
            raise Died

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", count)
