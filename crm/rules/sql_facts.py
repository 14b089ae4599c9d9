"""Facts about one contact, read from the database inside the caller's transaction.

Nothing is read before it is asked for; the contact's row, its tags, consents and scores cost at most one SELECT each, an event term one
per instant. What was read is kept, so an object serves one walk of one step and then goes. The caller holds the contact's lock, or
is content with what it happens to see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Executable, Select, String, and_, bindparam, select
from sqlalchemy.orm import Session

from crm.rules.answers import INSTANT
from crm.rules.expression import Builder
from crm.rules.occurrences import climbed, counted, occurrences, steps
from crm.rules.terms.event import conditions
from journeys.errors import NotFound
from journeys.rules import EventTerm, SequenceTerm, dates
from journeys.rules.facts import Calendar, Occurrences, Steps
from journeys.rules.fields import COMPANY, CONTACT_COLUMNS, TRIGGER, path_of, read
from journeys.values import RunInfo
from models import Company, CompanyMember, ConsentState, Contact, Event, LeadSource, Score, Segment, SegmentMember, Tag
from storage.json_sql import Kind, Text, place
from storage.sql import on, table
from workspace.calendar import Calendars
from workspace.members import next_owner

_contacts = table(Contact)
_one = bindparam("contact", type_=String())
_row = select(*(_contacts.c[name] for name in ("id", *CONTACT_COLUMNS, "attributes", "merged_into", "erased_at", "demo"))).where(
    _contacts.c.id == _one
)
_tags = select(table(Tag).c.tag).where(table(Tag).c.contact_id == _one)
_members = table(SegmentMember)
_segments = (
    select(table(Segment).c.key)
    .join_from(_members, table(Segment), table(Segment).c.id == _members.c.segment_id)
    .where(_members.c.contact_id == _one)
)
_company = (
    select(table(Company).c.told)
    .join_from(table(CompanyMember), table(Company), table(Company).c.id == table(CompanyMember).c.company_id)
    .where(table(CompanyMember).c.contact_id == _one)
)
_states = table(ConsentState)
_consents = select(_states.c.channel, _states.c.purpose, _states.c.state, _states.c.said_at).where(_states.c.contact_id == _one)
_touches = select(table(LeadSource)).where(table(LeadSource).c.contact_id == _one)
_score_table = table(Score)
_scores = select(_score_table.c.score_group, _score_table.c.value).where(_score_table.c.contact_id == _one)


class SqlFacts:
    """`Facts` of one contact out of the database.

    `run` gives `trigger.…`, `since_entry` and `own_run` their meaning; without it they find nothing. `as_of` decides who is absent from a
    rotation. `calendars` is the process's memory of the workspace's working hours.
    """

    def __init__(
        self,
        session: Session,
        contact_id: str,
        run: RunInfo | None = None,
        *,
        as_of: datetime,
        calendars: Calendars | None = None,
    ) -> None:
        self.session = session
        self.contact_id = contact_id
        self.run = run
        self.as_of = as_of
        self._calendars = calendars or Calendars()
        self._seen: dict[tuple[str, datetime], Occurrences] = {}
        self._climbed: dict[tuple[str, datetime], Steps] = {}

    @cached_property
    def contact(self) -> Mapping[str, Any]:
        """The contact's row: id, every field with a column, `attributes`, `merged_into`, `erased_at`, `demo`.

        Raises:
            NotFound: no such contact.
        """
        row = self._execute(_row).mappings().first()
        if row is None:
            raise NotFound("There is no such contact.", contact_id=self.contact_id)
        return dict(row)

    @cached_property
    def company(self) -> Mapping[str, Any]:
        """What is read as `company.…`; empty for whoever has none."""
        found: Mapping[str, Any] | None = self._execute(_company).scalar()
        return found or {}

    @property
    def email(self) -> str | None:
        return self._column("email")

    @property
    def phone(self) -> str | None:
        return self._column("phone")

    @property
    def postal_address(self) -> str | None:
        return self._column("postal_address")

    @property
    def first_name(self) -> str | None:
        return self._column("first_name")

    @property
    def last_name(self) -> str | None:
        return self._column("last_name")

    @property
    def locale(self) -> str | None:
        return self._column("locale")

    @property
    def timezone(self) -> str | None:
        return self._column("timezone")

    def value(self, name: str) -> Any:
        if name in CONTACT_COLUMNS:
            return dates.normalise(self.contact[name])
        if name.startswith(TRIGGER):
            return None if self.run is None else read(self.run.trigger, path_of(name)[1:])
        if name.startswith(COMPANY):
            return read(self.company, path_of(name)[1:])
        return read(self.contact["attributes"], path_of(name))

    def has_tag(self, tag: str) -> bool:
        return tag in self._all_tags

    def in_segment(self, key: str) -> bool:
        return key in self._all_segments

    def consent(self, channel: str, purpose: str) -> str | None:
        found = self._all_consents.get((channel, purpose))
        return found and found[0]

    def consent_said_at(self, channel: str, purpose: str) -> datetime | None:
        found = self._all_consents.get((channel, purpose))
        return found and found[1]

    def touch(self, which: Literal["first", "last"]) -> Mapping[str, Any] | None:
        return self._all_touches.get(which)

    def score(self, group: str) -> float:
        return self._all_scores.get(group, 0.0)

    def occurrences(self, term: EventTerm, as_of: datetime) -> Occurrences:
        if self.run is None and (term.since_entry or term.own_run):
            return occurrences(term, None)
        text = term.model_dump_json(by_alias=True)
        found = self._seen.get((text, as_of))
        if found is None:
            found = self._seen[text, as_of] = occurrences(term, self._row(_statement(text), as_of))
        return found

    def sequence(self, term: SequenceTerm, as_of: datetime) -> Steps:
        text = term.model_dump_json(by_alias=True)
        found = self._climbed.get((text, as_of))
        if found is None:
            found = self._climbed[text, as_of] = steps(term, self._row(_climbing(text), as_of))
        return found

    def next_owner(self, pool: str) -> str | None:
        return next_owner(self.session, pool, self.as_of)

    def calendar(self) -> Calendar:
        return self._calendars.get(self.session, self.as_of)

    @cached_property
    def _all_tags(self) -> frozenset[str]:
        return frozenset(self._execute(_tags).scalars())

    @cached_property
    def _all_segments(self) -> frozenset[str]:
        return frozenset(self._execute(_segments).scalars())

    @cached_property
    def _all_consents(self) -> dict[tuple[str, str], tuple[str, datetime]]:
        return {(channel, purpose): (state, said_at) for channel, purpose, state, said_at in self._execute(_consents)}

    @cached_property
    def _all_touches(self) -> Mapping[str, Mapping[str, Any]]:
        return touches_of(self._execute(_touches).mappings().first())

    @cached_property
    def _all_scores(self) -> dict[str, float]:
        return dict(self._execute(_scores).all())

    def _column(self, name: str) -> str | None:
        value: str | None = self.contact[name]
        return value

    def _execute(self, statement: Executable) -> Any:
        return on(self.session).execute(statement, {"contact": self.contact_id})

    def _row(self, asked: Built, as_of: datetime) -> Mapping[str, Any] | None:
        values = {"contact": self.contact_id, **asked.clock.values(as_of)}
        if self.run is not None:
            values |= {"run": self.run.id, "started_at": self.run.started_at, "trigger": self.run.trigger_event or 0}
        row = on(self.session).execute(asked.statement, values).mappings().first()
        return None if row is None else {**row}


def touches_of(row: Mapping[str, Any] | None) -> Mapping[str, Mapping[str, Any]]:
    """First and last -> what it says, of a row of `LeadSource`."""
    if row is None:
        return {}
    parts = [(name, *name.split("_", 1)) for name in row if name != "contact_id"]
    return {which: {part: row[name] for name, place, part in parts if place == which} for which in ("first", "last")}


# --- Event terms as statements, built once ---------------------------------------------------------------------------


class Later:
    """A clock of parameters: a statement is built once, and `values` fills its instants in when it is executed."""

    def __init__(self) -> None:
        self._instants: dict[str, timedelta] = {}
        self._texts: dict[str, timedelta] = {}

    def instant(self, offset: timedelta) -> ColumnElement[Any]:
        name = f"instant_{len(self._instants)}"
        self._instants[name] = offset
        return bindparam(name, type_=INSTANT)

    def text(self, offset: timedelta) -> ColumnElement[str]:
        name = f"text_{len(self._texts)}"
        self._texts[name] = offset
        return bindparam(name, type_=String())

    def values(self, as_of: datetime) -> dict[str, Any]:
        instants = {name: as_of + offset for name, offset in self._instants.items()}
        return {**instants, **{name: dates.text_of(as_of + offset) for name, offset in self._texts.items()}}


@dataclass(frozen=True)
class Built:
    """A statement, and the clock that fills its instants in."""

    statement: Select[Any]
    clock: Later


@lru_cache(maxsize=2048)
def _statement(text: str) -> Built:
    """By the term's JSON and not by the term: `1`, `1.0` and `True` are equal to Python, so terms that differ could be, too."""
    term = EventTerm.model_validate_json(text)
    events, clock = table(Event), Later()
    found = [events.c.contact_id == _one, *conditions(term, events, Builder(clock))]
    if term.since_entry:
        found += [events.c.occurred_at >= bindparam("started_at", type_=INSTANT), events.c.id != bindparam("trigger")]
    if term.own_run:
        where = place(events.c.properties, "run_id")
        found.append(and_(Kind(*where) == "text", Text(*where) == bindparam("run", type_=String())))
    return Built(counted(term, events, found), clock)


@lru_cache(maxsize=1024)
def _climbing(text: str) -> Built:
    term, clock = SequenceTerm.model_validate_json(text), Later()
    return Built(climbed(term, Builder(clock), lambda events: events.c.contact_id == _one), clock)
