"""The contacts behind a number: who waits at a step, came through it, got its message or did not, or was not let into a journey.

Newest first, page by page after a key, each question through one index. What a number counts is written down in `storage.tally`; here are
the rows it was counted from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Select, and_, or_
from sqlalchemy.orm import Session
from sqlmodel import col, select

from models import Message, Refusal, Run, Trail, Version

OPEN = ("active", "held", "stuck", "quarantined")
SENT = ("sent", "delivered", "uncertain")
LONGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Which number of which journey. `node` is empty for the journey as a whole; `outlet` is a way out, or a reason; `before` is the key
    that the last page answered with."""

    journey_id: str
    what: str
    node: str = ""
    outlet: str = ""
    version: int | None = None
    before: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class One:
    """One contact behind the number. `reason` and `status` are codes of the row; `due_at` is when somebody who waits goes on."""

    contact_id: str
    run_id: str | None
    at: datetime
    version: int | None
    status: str = ""
    reason: str = ""
    outlet: str = ""
    due_at: datetime | None = None


Page = tuple[list[One], str | None]
"""The contacts, and the key to go on after; None at the end."""


def people(session: Session, asked: Asked) -> Page:
    """One page of those behind a number; empty for a question that nobody counts."""
    question = (_OF_NODE if asked.node else _OF_JOURNEY).get(asked.what)
    return question(session, asked) if question else ([], None)


def _waiting(session: Session, asked: Asked) -> Page:
    statement = select(Run).where(
        col(Run.version_id).in_(_versions(session, asked)), col(Run.node) == asked.node, col(Run.status).in_(OPEN)
    )
    return _paged(session, statement, asked, (col(Run.id),), _stands)


def _stands(run: Run) -> One:
    at = run.node_entered_at or run.started_at
    return One(run.contact_id, run.id, at, run.version_number, run.status, run.reason, due_at=run.due_at)


def _passed(session: Session, asked: Asked) -> Page:
    """Those who entered a step, or left it, once for every time."""
    statement = select(Trail).where(
        col(Trail.version_id).in_(_versions(session, asked)), col(Trail.node) == asked.node, col(Trail.what) == asked.what
    )
    if asked.outlet:
        statement = statement.where(col(Trail.outlet) == asked.outlet)
    found, key = _rows(session, statement, asked, (col(Trail.at), col(Trail.run_id), col(Trail.step), col(Trail.seq)))
    runs = {run.id: run for run in session.scalars(select(Run).where(col(Run.id).in_({line.run_id for line in found})))}
    return [
        One(runs[line.run_id].contact_id, line.run_id, line.at, runs[line.run_id].version_number, outlet=line.outlet)
        for line in found
        if line.run_id in runs
    ], key


def _message(session: Session, asked: Asked) -> Page:
    statement = select(Message).where(col(Message.journey_id) == asked.journey_id, col(Message.node) == asked.node, ~col(Message.test))
    statement = statement.where(_FATES[asked.what]())
    if asked.outlet:
        statement = statement.where(col(Message.reason) == asked.outlet)
    if asked.version is not None:
        statement = statement.where(col(Message.version_number) == asked.version)
    return _paged(session, statement, asked, (col(Message.planned_at), col(Message.id)), _WHEN[asked.what])


def _fate(moment: str) -> Callable[[Message], One]:
    def one(message: Message) -> One:
        at = getattr(message, moment) or message.planned_at
        return One(message.contact_id, message.run_id, at, message.version_number, message.status, message.reason)

    return one


_FATES: Mapping[str, Callable[[], Any]] = {
    "sent": lambda: col(Message.status).in_(SENT),
    "opened": lambda: col(Message.opened_at).is_not(None),
    "clicked": lambda: col(Message.clicked_at).is_not(None),
    "bounced": lambda: col(Message.status) == "bounced",
    "failed": lambda: col(Message.status) == "failed",
    "skipped": lambda: col(Message.status) == "skipped",
}
_WHEN = {
    "sent": _fate("sent_at"),
    "opened": _fate("opened_at"),
    "clicked": _fate("clicked_at"),
    "bounced": _fate("bounced_at"),
    "failed": _fate("planned_at"),
    "skipped": _fate("planned_at"),
}


def _refused(session: Session, asked: Asked) -> Page:
    """Those whom the journey did not let in, whatever version was live."""
    statement = select(Refusal).where(col(Refusal.journey_id) == asked.journey_id)
    if asked.outlet:
        statement = statement.where(col(Refusal.reason) == asked.outlet)
    return _paged(session, statement, asked, (col(Refusal.id),), _turned_away)


def _turned_away(row: Refusal) -> One:
    return One(row.contact_id, None, row.refused_at, None, reason=row.reason)


def _runs(*conditions: Callable[[], Any]) -> Callable[[Session, Asked], Page]:
    def question(session: Session, asked: Asked) -> Page:
        statement = select(Run).where(col(Run.journey_id) == asked.journey_id, col(Run.status) != "held_out")
        statement = statement.where(*(condition() for condition in conditions))
        if asked.version is not None:
            statement = statement.where(col(Run.version_number) == asked.version)
        return _paged(session, statement, asked, (col(Run.started_at), col(Run.id)), _WHOLE[asked.what])

    return question


def _went(moment: str) -> Callable[[Run], One]:
    def one(run: Run) -> One:
        return One(run.contact_id, run.id, getattr(run, moment), run.version_number, run.status, run.reason, due_at=run.due_at)

    return one


_WHOLE = {"entered": _went("started_at"), "waiting": _went("started_at"), "ended": _went("ended_at"), "goal": _went("goal_at")}
_OF_NODE: Mapping[str, Callable[[Session, Asked], Page]] = {
    "waiting": _waiting,
    "entered": _passed,
    "placed": _passed,
    "left": _passed,
    **dict.fromkeys(_FATES, _message),
}
_OF_JOURNEY: Mapping[str, Callable[[Session, Asked], Page]] = {
    "entered": _runs(),
    "waiting": _runs(lambda: col(Run.ended_at).is_(None)),
    "ended": _runs(lambda: col(Run.ended_at).is_not(None)),
    "goal": _runs(lambda: col(Run.goal_at).is_not(None)),
    "refused": _refused,
}
WHATS = tuple(dict.fromkeys((*_OF_NODE, *_OF_JOURNEY)))


def _versions(session: Session, asked: Asked) -> list[str]:
    statement = select(Version.id).where(Version.journey_id == asked.journey_id)
    if asked.version is not None:
        statement = statement.where(Version.number == asked.version)
    return list(session.scalars(statement))


# Pages


def _paged(session: Session, statement: Any, asked: Asked, key: Sequence[Any], one: Callable[[Any], One]) -> Page:
    found, after = _rows(session, statement, asked, key)
    return [one(row) for row in found], after


def _rows(session: Session, statement: Select[Any], asked: Asked, key: Sequence[Any]) -> tuple[list[Any], str | None]:
    """Rows from the newest down after the key of the page before; one that cannot be read begins at the top."""
    limit = max(1, min(asked.limit, LONGEST_PAGE))
    place = _place(asked.before, key)
    if place is not None:
        statement = statement.where(_below(key, place))
    found = list(session.scalars(statement.order_by(*(column.desc() for column in key)).limit(limit + 1)))
    more = len(found) > limit
    return found[:limit], _key(found[limit - 1], key) if more else None


def _below(key: Sequence[Any], place: Sequence[Any]) -> Any:
    """Lexicographically less, spelt out: row values are compared by hand in every dialect alike."""
    terms = []
    for n, column in enumerate(key):
        terms.append(and_(*(one == value for one, value in zip(key[:n], place[:n], strict=True)), column < place[n]))
    return or_(*terms)


def _key(row: Any, key: Sequence[Any]) -> str:
    values = [getattr(row, column.key) for column in key]
    return "~".join(value.isoformat() if isinstance(value, datetime) else str(value) for value in values)


def _place(text: str, key: Sequence[Any]) -> list[Any] | None:
    pieces = text.split("~")
    if not text or len(pieces) != len(key):
        return None
    try:
        place = [_read(piece, column) for piece, column in zip(pieces, key, strict=True)]
    except ValueError:
        return None
    return place


def _read(text: str, column: Any) -> Any:
    if isinstance(column.type, Integer):
        return int(text[:18])
    if not column.key.endswith("at"):
        return text[:64]
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a moment without a zone")
    return at
