"""How many messages an account, or a domain as the sender, may send on a day: a limit, and a warm-up that grows to it.

A new domain that sends much at once is taken for a spammer's; mailbox providers want to see its volume grow. A pure rule (`limit_on`), and rows that
all workers share: what was `taken` of a day, and how many that found no room are `planned` for it. Those come first on their day. Days are those of
UTC, in real time. What counts is a message that is about to leave; who asks for how many at once, and which messages wait, is `activities.sending.quotas`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.orm import Session

from journeys.errors import Invalid, Issue, NotFound
from models import SendingPlan, SendingPlanDay
from storage.sql import changed_rows, table, upsert
from workspace import accounts, sending_domains
from workspace.audit import record

plans = table(SendingPlan)
days = table(SendingPlanDay)

MOST: Final = 100_000_000
"""A day."""
MOST_GROWTH: Final = 300
KEPT: Final = timedelta(days=31)
"""So long days that are over are kept."""


@dataclass(frozen=True, slots=True)
class Plan:
    """At most `a_day`; from `warm_up_from` on (None: no warm-up) first `first`, and each day `growth` percent more."""

    a_day: int
    warm_up_from: date | None = None
    first: int = 0
    growth: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """`limit`: at most so many; `planned`: that had no room before."""

    day: date
    limit: int
    taken: int = 0
    planned: int = 0


def limit_on(plan: Plan, day: date) -> int:
    """How many may leave on the day. 50 at first and 50 percent more each day: 50, 75, 112, 168 …; before the first day as many as on it."""
    if plan.warm_up_from is None:
        return plan.a_day
    number = max(0, (day - plan.warm_up_from).days)
    grown = math.log(plan.first) + number * math.log1p(plan.growth / 100)
    if grown > math.log(plan.a_day) + 1:  # the power itself may be too large for any number
        return plan.a_day
    many: float = plan.first * (1 + plan.growth / 100) ** number
    return min(plan.a_day, int(many + 1e-9))


def full_on(plan: Plan) -> date | None:
    """The first day without any limit but `a_day`; None: there is no warm-up, or it never ends."""
    if plan.warm_up_from is None or (plan.growth == 0 and plan.first < plan.a_day):
        return None
    number = 0 if plan.first >= plan.a_day else math.ceil(math.log(plan.a_day / plan.first) / math.log1p(plan.growth / 100))
    return plan.warm_up_from + timedelta(days=number) if number <= (date.max - plan.warm_up_from).days else None


def known(session: Session) -> dict[str, Plan]:
    """Name -> its plan; what has none is missing."""
    return {row.account: _plan(row) for row in session.execute(select(plans))}


def find(session: Session, name: str) -> Plan | None:
    row = session.execute(select(plans).where(plans.c.account == name)).first()
    return _plan(row) if row is not None else None


def _plan(row: Row[Any]) -> Plan:
    return Plan(row.a_day, row.warm_up_from, row.warm_up_first, row.warm_up_growth)


def put(session: Session, name: str, plan: Plan, by: str, now: datetime) -> None:
    """Sets the plan of an account, or of a domain that senders are in. It holds within a second.

    Raises: NotFound: there is no such account or domain; Invalid.
    """
    _must_exist(session, name)
    if problems := list(_problems(plan)):
        raise Invalid("{problem}", problems, problem=problems[0])
    before = find(session, name)
    values = {
        "a_day": plan.a_day, "warm_up_from": plan.warm_up_from, "warm_up_first": plan.first, "warm_up_growth": plan.growth,
        "updated_at": now, "updated_by": by[:120],
    }  # fmt: skip
    session.execute(
        upsert(session, SendingPlan).values(account=name, **values).on_conflict_do_update(index_elements=["account"], set_=values)
    )
    record(session, by, "sending_plan.put", f"account:{name}", {"before": _audited(before), "after": _audited(plan)})


def remove(session: Session, name: str, by: str) -> None:
    """Lets everything leave again. Raises: NotFound: it has no plan."""
    before = find(session, name)
    if before is None:
        raise NotFound("“{name}” has no daily limit.", name=name[:260])
    session.execute(delete(plans).where(plans.c.account == name))
    session.execute(delete(days).where(days.c.account == name))
    record(session, by, "sending_plan.remove", f"account:{name}", {"before": _audited(before)})


def _audited(plan: Plan | None) -> dict[str, Any]:
    if plan is None:
        return {}
    begins = plan.warm_up_from.isoformat() if plan.warm_up_from else None
    return {"a_day": plan.a_day, "warm_up_from": begins, "first": plan.first, "growth": plan.growth}


def _must_exist(session: Session, name: str) -> None:
    if name.startswith("@"):
        sending_domains.must_be_listed(session, name[1:])
    else:
        accounts.find(session, name)


def _problems(plan: Plan) -> list[Issue]:
    found = []
    if not 1 <= plan.a_day <= MOST:
        found.append(_issue("a_day", "Expected a number from {least} to {most}.", least="1", most=str(MOST)))
    if plan.warm_up_from is not None and not 1 <= plan.first <= max(1, plan.a_day):
        found.append(_issue("first", "A warm-up begins with at least one message, and with no more than the limit."))
    if plan.warm_up_from is not None and not 1 <= plan.growth <= MOST_GROWTH:
        found.append(_issue("growth", "Expected a number from {least} to {most}.", least="1", most=str(MOST_GROWTH)))
    return found


def _issue(field: str, text: str, **values: str) -> Issue:
    return Issue(code="sending_plan", text=text, values=values, field=field)


# What is taken of a day


def take(session: Session, name: str, plan: Plan, day: date, wanted: int, *, was_planned: bool) -> int:
    """Takes up to `wanted` of the day's messages; returns how many it got. What is planned for the day is kept for those that come back
    (`was_planned`)."""
    _begin(session, name, [day])
    row = session.execute(select(days).where(*_of(name, day)).with_for_update()).one()
    kept = 0 if was_planned else row.planned
    taken: int = row.taken
    wanted = min(wanted, max(1, row.planned)) if was_planned else wanted
    got = max(0, min(wanted, limit_on(plan, day) - taken - kept))
    if got:
        planned = max(0, row.planned - got) if was_planned else row.planned
        session.execute(update(days).where(*_of(name, day)).values(taken=taken + got, planned=planned))
    return got


def count(session: Session, name: str, day: date, number: int) -> None:
    """Counts messages that leave whatever the limit says."""
    _begin(session, name, [day])
    session.execute(update(days).where(*_of(name, day)).values(taken=days.c.taken + number))


def plan_ahead(session: Session, names: Sequence[tuple[str, Plan]], after: date, until: date) -> date | None:
    """The first day after `after`, and not after `until`, on which all of `names` have room, with one message more planned for it; None: there
    is none. Whoever asks at the same time waits."""
    ahead = [after + timedelta(days=number) for number in range(1, (until - after).days + 1)]
    if not ahead:
        return None
    for name, _ in sorted(names):
        _begin(session, name, ahead[:1])
        session.execute(select(days).where(*_of(name, ahead[0])).with_for_update())  # the lock of all that plan ahead
    used = {
        (row.account, row.day): row.taken + row.planned
        for row in session.execute(select(days).where(days.c.account.in_([name for name, _ in names]), days.c.day > after))
    }
    day = next((day for day in ahead if all(used.get((name, day), 0) < limit_on(plan, day) for name, plan in names)), None)
    if day is not None:
        for name, _ in sorted(names):
            _begin(session, name, [day])
            session.execute(update(days).where(*_of(name, day)).values(planned=days.c.planned + 1))
    return day


def ahead_of(session: Session, name: str, plan: Plan, first: date, number: int) -> list[Day]:
    """The days from `first` on, with what is taken of each."""
    last = first + timedelta(days=number - 1)
    rows = {row.day: row for row in session.execute(select(days).where(days.c.account == name, days.c.day.between(first, last)))}
    shown = [first + timedelta(days=place) for place in range(number)]
    return [Day(day, limit_on(plan, day), *((rows[day].taken, rows[day].planned) if day in rows else (0, 0))) for day in shown]


def waiting(session: Session, name: str, after: date) -> int:
    """How many messages are planned for later days."""
    return int(
        session.execute(select(func.coalesce(func.sum(days.c.planned), 0)).where(days.c.account == name, days.c.day > after)).scalar_one()
    )


def has_old(session: Session, today: date) -> bool:
    """Whether there are days that nobody looks at any more."""
    return session.execute(select(days.c.day).where(days.c.day < today - KEPT).limit(1)).first() is not None


def forget(session: Session, today: date) -> int:
    """Deletes those days; returns how many."""
    return changed_rows(session, delete(days).where(days.c.day < today - KEPT))


def _of(name: str, day: date) -> tuple[Any, ...]:
    return days.c.account == name, days.c.day == day


def _begin(session: Session, name: str, which: Sequence[date]) -> None:
    values = [{"account": name, "day": day, "taken": 0, "planned": 0} for day in which]
    session.execute(upsert(session, SendingPlanDay).values(values).on_conflict_do_nothing(index_elements=["account", "day"]))
