"""Notices to the team, as rows: what is gathered, what is due, and which of its ways are still to be gone. `activities.team.notices` goes them.

Real time, not the workspace's clock: people are told when something waits for them. Runs that get stuck are gathered by journey and told of
together, at most once in a while; each run names the notice that tells of it, so that none is told of twice and none is forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from models import STUCK_RUN, Journey, Notice, NoticeDelivery, Run, new_id
from storage.sql import changed_rows, table, upsert
from workspace.audit import record

notices = table(Notice)
deliveries = table(NoticeDelivery)
runs = table(Run)
journeys = table(Journey)

STUCK, STOPPED, COUPONS, SCORED, TEST = "stuck_runs", "account_stopped", "coupons_low", "score_reached", "test"
SOON = timedelta(minutes=1)
"""Runs that get stuck of one cause come one after the other: so long after the first they are told of together."""
KEPT = timedelta(days=30)
PLACES = 10
"""A notice names so many steps and reasons at most."""
GATHERING = text("notice.state = 'gathering'")
UNDELIVERED = text("notice_delivery.state IN ('waiting','claimed')")


# Stuck runs


def stuck(session: Session) -> list[Row[Any]]:
    """(journey's id, key, name, number) where runs are stuck now, by name. Costs what stuck runs there are, whatever else waits."""
    # Counting ids, which only the index of stuck runs holds: SQLite would rather read an index of all runs than look into the table.
    counted = select(runs.c.journey_id, func.count(runs.c.id).label("number")).where(STUCK_RUN).group_by(runs.c.journey_id).subquery()
    statement = select(journeys.c.id, journeys.c.key, journeys.c.name, counted.c.number)
    return list(session.execute(statement.join(counted, counted.c.journey_id == journeys.c.id).order_by(journeys.c.name)))


def untold(session: Session) -> Sequence[str]:
    """Journeys with stuck runs that no notice tells of."""
    statement = select(runs.c.journey_id).where(STUCK_RUN, runs.c.notice_id.is_(None)).distinct().limit(500)
    return session.scalars(statement).all()


def gather(session: Session, journey_id: str, now: datetime, at_most_every: timedelta, limit: int) -> int:
    """Puts the next stuck runs of the journey into the notice that is gathered, or into a new one; returns how many. Rows that somebody works at are
    left to the next time."""
    page = select(runs.c.id, runs.c.node, runs.c.reason).where(STUCK_RUN, runs.c.notice_id.is_(None), runs.c.journey_id == journey_id)
    page = page.order_by(runs.c.id).limit(limit)
    sqlite = session.get_bind().dialect.name == "sqlite"  # it has locked the whole file already
    found = session.execute(page if sqlite else page.with_for_update(skip_locked=True)).all()
    if not found:
        return 0
    row = session.execute(select(notices).where(GATHERING, notices.c.topic == STUCK, notices.c.about == journey_id)).first()
    id = row.id if row else _begin(session, STUCK, journey_id, now, _due_at(session, journey_id, now, at_most_every))
    session.execute(update(runs).where(runs.c.id.in_([one.id for one in found])).values(notice_id=id))
    places = Counter({(node, reason): count for node, reason, count in (row.detail["places"] if row else ())})
    places.update((one.node, one.reason) for one in found)
    detail = {"places": [[*place, count] for place, count in places.most_common(PLACES)]}
    session.execute(update(notices).where(notices.c.id == id).values(runs=(row.runs if row else 0) + len(found), detail=detail))
    return len(found)


def _due_at(session: Session, journey_id: str, now: datetime, at_most_every: timedelta) -> datetime:
    last = select(func.max(notices.c.due_at)).where(notices.c.topic == STUCK, notices.c.about == journey_id, notices.c.state == "told")
    told_at = session.scalar(last)
    return max(now + SOON, told_at + at_most_every) if told_at else now + SOON


# Other notices


def _begin(
    session: Session, topic: str, about: str, now: datetime, due_at: datetime, detail: Mapping[str, Any] | None = None
) -> str | None:
    """The new notice's id; None where one about the same is gathered already."""
    values = {"id": new_id(), "topic": topic, "about": about, "runs": 0, "detail": dict(detail or {}), "state": "gathering"}
    statement = upsert(session, Notice).values(**values, made_at=now, due_at=due_at).on_conflict_do_nothing()
    id: str | None = session.scalar(statement.returning(notices.c.id))
    return id


def account_stopped(session: Session, account: str, code: str, since: datetime, now: datetime, *, is_mailbox: bool = False) -> None:
    """Tells at once that a provider account takes nothing, or, of a mailbox, that it cannot be read."""
    _begin(session, STOPPED, account[:130], now, now, {"code": code, "since": since.isoformat(), "is_mailbox": is_mailbox})


def coupons_low(session: Session, pool: str, left: int, now: datetime) -> None:
    """Tells at once that a pool of coupon codes is running low."""
    _begin(session, COUPONS, pool, now, now, {"left": left})


def score_reached(session: Session, model: str, threshold: str, name: str, now: datetime) -> None:
    """Tells, together with who else does in the next minute, that somebody has reached a threshold of a scoring model."""
    about = f"{model}:{threshold}"
    _begin(session, SCORED, about, now, now + SOON, {"name": name, "count": 0})
    mine = (GATHERING, notices.c.topic == SCORED, notices.c.about == about)
    detail = session.execute(select(notices.c.detail).where(*mine).with_for_update()).scalar_one()
    session.execute(update(notices).where(*mine).values(detail={**detail, "count": detail["count"] + 1}))


def test(session: Session, by: str, member_id: str, now: datetime) -> None:
    """Tells the webhook, and a member by mail, that notices arrive. One at a time."""
    _begin(session, TEST, "", now, now, {"member": member_id})
    record(session, by, "notice.test", "notice:test", {})


# Telling


def due(session: Session, now: datetime) -> Sequence[Row[Any]]:
    """Notices whose time has come."""
    return session.execute(select(notices).where(GATHERING, notices.c.due_at <= now).order_by(notices.c.due_at).limit(20)).all()


def holds(session: Session, notice: Row[Any]) -> bool:
    """Whether what a notice tells of is still so: one of its runs is stuck."""
    if notice.topic != STUCK:
        return True
    return (
        session.execute(
            select(runs.c.id).where(STUCK_RUN, runs.c.journey_id == notice.about, runs.c.notice_id == notice.id).limit(1)
        ).first()
        is not None
    )


def settle(session: Session, notice: Row[Any], ways: Iterable[tuple[str, str]] | None, now: datetime) -> None:
    """The notice goes by these ways, (route, member id) each, from now on; None: it is withdrawn. Of two that ask, one does it."""
    state = "withdrawn" if ways is None else "told"
    mine = update(notices).where(notices.c.id == notice.id, notices.c.state == "gathering").values(state=state, due_at=now)
    if not changed_rows(session, mine):
        return
    rows = [_waiting(notice.id, route, member_id, now) for route, member_id in dict.fromkeys(ways or ())]
    if rows:
        session.execute(insert(deliveries), rows)


def _waiting(notice_id: str, route: str, member_id: str, now: datetime) -> dict[str, Any]:
    return {"notice_id": notice_id, "route": route, "member_id": member_id, "state": "waiting", "attempts": 0, "next_at": now, "code": ""}


def to_deliver(session: Session, now: datetime, limit: int = 20) -> Sequence[Row[Any]]:
    """Deliveries whose time has come, with their notice; a claimed one among them is what a process that died has left."""
    statement = select(deliveries, notices.c.topic, notices.c.about, notices.c.runs, notices.c.detail, notices.c.due_at)
    statement = statement.join(notices, notices.c.id == deliveries.c.notice_id).where(UNDELIVERED, deliveries.c.next_at <= now)
    return session.execute(statement.order_by(deliveries.c.next_at).limit(limit)).all()


def claim(session: Session, delivery: Row[Any], until: datetime) -> bool:
    """Takes the delivery as it was seen; of several that ask, one gets it."""
    values = {"state": "claimed", "attempts": delivery.attempts + 1, "next_at": until}
    return _change(session, delivery, values)


def put_off(session: Session, delivery: Row[Any], next_at: datetime) -> None:
    """No call was made: it waits on."""
    _change(session, delivery, {"next_at": next_at})


def end(session: Session, delivery: Row[Any], state: str, code: str, next_at: datetime) -> None:
    """What became of the claimed delivery: sent, failed, uncertain, or waiting for another try at `next_at`."""
    claimed = (*_key(delivery), deliveries.c.state == "claimed", deliveries.c.attempts == delivery.attempts + 1)
    session.execute(update(deliveries).where(*claimed).values(state=state, code=code, next_at=next_at))


def give_up(session: Session, delivery: Row[Any], state: str, code: str) -> None:
    """Nothing is called any more for the delivery as it was seen."""
    _change(session, delivery, {"state": state, "code": code})


def _change(session: Session, delivery: Row[Any], values: Mapping[str, Any]) -> bool:
    seen = (*_key(delivery), deliveries.c.state == delivery.state, deliveries.c.next_at == delivery.next_at)
    return changed_rows(session, update(deliveries).where(*seen).values(**values)) > 0


def _key(delivery: Row[Any]) -> tuple[Any, ...]:
    key = ("notice_id", "route", "member_id")
    return tuple(deliveries.c[name] == getattr(delivery, name) for name in key)


# Looking, and forgetting


def listed(session: Session, limit: int = 20) -> list[dict[str, Any]]:
    """The newest notices, each with its ways."""
    rows = session.execute(select(notices).order_by(notices.c.made_at.desc(), notices.c.id).limit(limit)).all()
    ways: dict[str, list[dict[str, Any]]] = {row.id: [] for row in rows}
    names = ("route", "member_id", "state", "attempts", "next_at", "code")
    for way in session.execute(
        select(deliveries).where(deliveries.c.notice_id.in_(ways)).order_by(deliveries.c.route, deliveries.c.member_id)
    ):
        ways[way.notice_id].append({name: getattr(way, name) for name in names})
    return [{**row._mapping, "ways": ways[row.id]} for row in rows]


def old(session: Session, now: datetime) -> Sequence[str]:
    """Notices of long ago, but for those whose runs are stuck still or that are not told yet."""
    held = select(runs.c.id).where(STUCK_RUN, runs.c.journey_id == notices.c.about, runs.c.notice_id == notices.c.id).exists()
    statement = select(notices.c.id).where(notices.c.made_at < now - KEPT, notices.c.state != "gathering", ~held)
    return session.scalars(statement.limit(50)).all()


def forget(session: Session, ids: Sequence[str]) -> None:
    """Deletes notices with their ways."""
    session.execute(delete(deliveries).where(deliveries.c.notice_id.in_(ids)))
    session.execute(delete(notices).where(notices.c.id.in_(ids)))
