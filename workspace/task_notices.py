"""What members are told of their tasks, as rows: written in the transaction of the task, told by `activities.team.task_notices`.

Real time, like all notices. Nothing is written unless the workspace wants it (`settings.Notices.tasks`), and rows of tasks that are over go once
their messages say so: there are never more than open tasks have had owners.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, delete, select, text, update
from sqlalchemy.orm import Session

from models import TaskNotice
from storage.sql import changed_rows, table
from workspace import settings

notices = table(TaskNotice)
What = Literal["assigned", "overdue"]
AT_ONCE: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Who writes a notice knows the product's time alone."""
ONCE_KEY: Final = "task_notice:"
"""How the once key of a notice's message begins; its id follows."""
UNTOLD = text("task_notice.state IN ('waiting','claimed')")
CHANGED = text("task_notice.is_changed")
A_TICK: Final = 20


def add(session: Session, task_id: str, member_id: str, what: What, by: str) -> None:
    """The member shall be told, unless they did it themselves (`by`, as the audit trail has it) or nobody wants such notices."""
    if by in (member_id, f"member:{member_id}") or not settings.load(session, settings.Notices).tasks:
        return
    session.add(TaskNotice(task_id=task_id, member_id=member_id, what=what, next_at=AT_ONCE))


def note_change(session: Session, task_ids: Iterable[str] | Any) -> None:
    """The tasks (ids, or a statement of them) are not as they were told any more."""
    changed = {"is_changed": True, "changes": notices.c.changes + 1}
    session.execute(update(notices).where(notices.c.task_id.in_(task_ids)).values(**changed))


def untold(session: Session, now: datetime) -> Sequence[Row[Any]]:
    """Those whose time has come; a claimed one among them is what a process that died has left."""
    statement = select(notices).where(UNTOLD, notices.c.next_at <= now).order_by(notices.c.next_at).limit(A_TICK)
    return session.execute(statement).all()


def changed(session: Session, now: datetime) -> Sequence[Row[Any]]:
    """Those whose messages say what is not so any more."""
    statement = select(notices).where(CHANGED, notices.c.next_at <= now, ~notices.c.state.in_(("waiting", "claimed")))
    return session.execute(statement.order_by(notices.c.next_at).limit(A_TICK)).all()


def of_task(session: Session, task_id: str) -> Sequence[Row[Any]]:
    """Those of one task that have been told and have changed since."""
    statement = select(notices).where(notices.c.task_id == task_id, notices.c.is_changed, notices.c.state == "sent")
    return session.execute(statement.limit(A_TICK)).all()


def still_there(session: Session, once_keys: Iterable[str]) -> set[str]:
    """Those of `once_keys` whose notice is there, so that its message may change."""
    named = {key.removeprefix(ONCE_KEY): key for key in once_keys if key.startswith(ONCE_KEY)}
    return {named[id] for id in session.scalars(select(notices.c.id).where(notices.c.id.in_(list(named))))} if named else set()


def claim(session: Session, notice: Row[Any], until: datetime) -> bool:
    """Takes the notice as it was seen; of several that ask, one gets it."""
    return _change(session, notice, state="claimed", attempts=notice.attempts + 1, next_at=until)


def put_off(session: Session, notice: Row[Any], next_at: datetime) -> None:
    """No call was made: it waits on."""
    _change(session, notice, next_at=next_at)


def end(session: Session, notice: Row[Any], state: str, code: str, next_at: datetime) -> None:
    """What became of the notice that was claimed as `notice` says: sent, failed, uncertain, or waiting for another try at `next_at`."""
    mine = (notices.c.id == notice.id, notices.c.state == "claimed", notices.c.attempts == notice.attempts + 1)
    session.execute(update(notices).where(*mine).values(state=state, code=code, next_at=next_at))


def settle(session: Session, notice: Row[Any], state: str, code: str) -> None:
    """Without another call: what has become of the one that a dead process began."""
    _change(session, notice, state=state, code=code)


def agrees(session: Session, notice: Row[Any], *, is_over: bool) -> None:
    """The message says what was so when `notice` was read; nothing more will follow once the task `is_over`."""
    mine = (notices.c.id == notice.id, notices.c.changes == notice.changes)
    session.execute(delete(notices).where(*mine) if is_over else update(notices).where(*mine).values(is_changed=False))


def withdraw(session: Session, notice: Row[Any]) -> None:
    """There is nothing to tell any more."""
    session.execute(delete(notices).where(*_seen(notice)))


def _change(session: Session, notice: Row[Any], **values: Any) -> bool:
    return changed_rows(session, update(notices).where(*_seen(notice)).values(**values)) > 0


def _seen(notice: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    return notices.c.id == notice.id, notices.c.state == notice.state, notices.c.next_at == notice.next_at
