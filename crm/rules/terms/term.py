"""`TermSql`: what a kind of term (`journeys.rules.terms`) is in SQL, on SQLite and PostgreSQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import FromClause, false, true

from crm.rules.answers import Answer, Clock
from journeys.rules import Rule, Term

T = TypeVar("T", bound=Term)


class Builder(Protocol):
    """Who asks: has the clock, and builds rules inside a term."""

    @property
    def clock(self) -> Clock: ...

    def where(self, rule: Rule, events: FromClause) -> Answer:
        """`rule`, asked of the properties of `events`."""


class TermSql(ABC, Generic[T]):
    """Stateless; one instance of each stands in `crm.rules.terms.BUILT_IN`. Its answers are those of the closure, and never NULL."""

    term: ClassVar[type[Term]]
    costly: ClassVar[bool] = False
    """Reads rows of a large table for each contact, so the others of its group are asked first."""

    @abstractmethod
    def on_contact(self, term: T, builder: Builder) -> Answer:
        """True for the rows of `crm.rules.answers.contacts` for whom the term holds."""

    def may_flip(self, term: T, builder: Builder) -> Answer:
        """True at least for those for whom the term's `flip` gives an instant. Asked only of terms that have one; that it may be anybody is always
        right, and costs a look at everybody where a segment fills."""
        return true()

    def on_event(self, term: T, events: FromClause, builder: Builder) -> Answer:
        """The same for the properties of `events`, where a term can be asked of one (`on_event`)."""
        return false()
