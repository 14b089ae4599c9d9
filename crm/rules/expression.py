"""The second face of a rule: a SQLAlchemy expression over `Contact` that finds everyone for whom it holds.

Built from the same predicates as the closures (`journeys.rules.predicates`), two-valued throughout (never NULL), on SQLite and PostgreSQL.
Conditions on columns and events can use indexes; conditions on attributes read every contact that is left. What a term is in SQL
stands in `crm.rules.terms`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, and_, false, func, literal, not_, or_, select, true
from sqlalchemy.orm import Session

from crm.rules.answers import INSTANT, Answer, Clock, contacts
from crm.rules.terms import SQL
from journeys.errors import Invalid, Issue
from journeys.rules import Group, Rule, can_flip, dates, needs_run
from storage import sampling


def expression(rule: Rule, as_of: datetime) -> Answer:
    """True for the contacts for whom `rule` holds at `as_of`; never NULL. For statements that select from `Contact` itself.

    Merged and erased contacts are not left out (`living` does that).

    Raises:
        Invalid: the rule asks about a run (`trigger.…`, `steps.…`, `since_entry`, its own messages).
    """
    if needs_run(rule):
        text = "There is no run here yet: this condition only works inside a journey."
        raise Invalid("The rule can only be asked inside a journey.", [Issue(code="rule.needs_run", text=text)])
    return Builder(_At(as_of)).rule(rule)


def may_flip(rule: Rule, as_of: datetime) -> Answer:
    """True at least for the contacts for whom `journeys.rules.next_flip` gives an instant; never NULL."""
    return Builder(_At(as_of)).flips(rule)


def living() -> Answer:
    """Contacts that are neither merged into another one nor erased."""
    return and_(contacts.c.merged_into.is_(None), contacts.c.erased_at.is_(None))


def count(session: Session, rule: Rule, as_of: datetime) -> int:
    """How many living contacts the rule holds for."""
    statement = select(func.count()).select_from(contacts).where(living(), expression(rule, as_of))
    return int(session.execute(statement).scalar_one())


def page(session: Session, rule: Rule, as_of: datetime, after_id: str = "", limit: int = 500) -> Sequence[str]:
    """Ids of the next `limit` living contacts after `after_id` for whom the rule holds, in the order of ids; fewer than `limit` at the end."""
    statement = select(contacts.c.id).where(contacts.c.id > after_id, living(), expression(rule, as_of))
    return session.execute(statement.order_by(contacts.c.id).limit(limit)).scalars().all()


def some(session: Session, rule: Rule, as_of: datetime, size: int, of: int) -> Sequence[str]:
    """`size` of the living contacts for whom the rule holds, drawn by lot; `of` or more are known to be there."""
    statement = select(contacts.c.id).where(living(), expression(rule, as_of))
    return session.execute(sampling.drawn(statement, contacts.c.id, size, of)).scalars().all()


def among(session: Session, rule: Rule, as_of: datetime, ids: Collection[str]) -> Sequence[str]:
    """Those of `ids`, living, for whom the rule holds, in the order of ids."""
    statement = select(contacts.c.id).where(contacts.c.id.in_(ids), living(), expression(rule, as_of))
    return session.execute(statement.order_by(contacts.c.id)).scalars().all()


@dataclass(frozen=True)
class _At:
    as_of: datetime

    def instant(self, offset: timedelta) -> ColumnElement[Any]:
        return literal(self.as_of + offset, INSTANT)

    def text(self, offset: timedelta) -> ColumnElement[str]:
        return literal(dates.text_of(self.as_of + offset), String())


@dataclass(frozen=True)
class Builder:
    """Puts the SQL of terms together, group by group."""

    clock: Clock

    def rule(self, rule: Rule) -> Answer:
        """Asked of contacts."""
        if isinstance(rule, Group):
            return _grouped(rule, [self.rule(inner) for inner in sorted(rule.rules, key=_is_costly)])
        return SQL[rule.kind].on_contact(rule, self)

    def flips(self, rule: Rule) -> Answer:
        """As `next_flip`: a term whose answer time cannot change decides for its group."""
        if not can_flip(rule):
            return false()
        if not isinstance(rule, Group):
            return SQL[rule.kind].may_flip(rule, self)
        steady = [self.rule(inner) for inner in rule.rules if not can_flip(inner)]
        moving = or_(*(self.flips(inner) for inner in rule.rules if can_flip(inner)))
        return and_(*(steady if rule.combinator == "and" else map(not_, steady)), moving)

    def where(self, rule: Rule, events: FromClause) -> Answer:
        """Asked of the properties of events; terms that can only be asked of a contact are false there."""
        if isinstance(rule, Group):
            return _grouped(rule, [self.where(inner, events) for inner in rule.rules])
        return SQL[rule.kind].on_event(rule, events, self)


def _is_costly(rule: Rule) -> bool:
    """The databases ask a group's terms in this order where one alone decides, at least within an “or”."""
    return any(map(_is_costly, rule.rules)) if isinstance(rule, Group) else SQL[rule.kind].costly


def _grouped(group: Group, inner: list[Answer]) -> Answer:
    if not inner:
        return false() if group.negated else true()
    answer = and_(*inner) if group.combinator == "and" else or_(*inner)
    return not_(answer) if group.negated else answer
