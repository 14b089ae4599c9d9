"""Facts about many contacts at once, for rules that are asked of a page of them: a statement for each thing asked, not for each contact.

The answers are those of `crm.rules.sql_facts.SqlFacts`. There is no run, so what asks about one finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Literal, TypeVar

from sqlalchemy import BindParameter, Select, bindparam, select
from sqlalchemy.orm import Session

from crm.rules.expression import Builder
from crm.rules.occurrences import climbed, counted, occurrences, steps
from crm.rules.sql_facts import Built, Later, touches_of
from crm.rules.terms.event import conditions
from journeys.rules import EventTerm, SequenceTerm, dates
from journeys.rules.facts import Calendar, Occurrences, Steps
from journeys.rules.fields import COMPANY, CONTACT_COLUMNS, OF_RUN, path_of, read
from models import Company, CompanyMember, ConsentState, Contact, Event, LeadSource, Score, Segment, SegmentMember, Tag
from storage.sql import on, table

T = TypeVar("T", EventTerm, SequenceTerm)
F = TypeVar("F")
_ids: BindParameter[Sequence[str]] = bindparam("contacts", expanding=True)
_contacts, _tags, _states, _scores = table(Contact), table(Tag), table(ConsentState), table(Score)
_members, _segments = table(SegmentMember), table(Segment)
_rows = select(*(_contacts.c[name] for name in ("id", *CONTACT_COLUMNS, "attributes"))).where(_contacts.c.id.in_(_ids))
_all_tags = select(_tags.c.contact_id, _tags.c.tag).where(_tags.c.contact_id.in_(_ids))
_all_states = select(*(_states.c[name] for name in ("contact_id", "channel", "purpose", "state", "said_at"))).where(
    _states.c.contact_id.in_(_ids)
)
_all_scores = select(_scores.c.contact_id, _scores.c.score_group, _scores.c.value).where(_scores.c.contact_id.in_(_ids))
_all_touches = select(table(LeadSource)).where(table(LeadSource).c.contact_id.in_(_ids))
_all_companies = (
    select(table(CompanyMember).c.contact_id, table(Company).c.told)
    .join_from(table(CompanyMember), table(Company), table(Company).c.id == table(CompanyMember).c.company_id)
    .where(table(CompanyMember).c.contact_id.in_(_ids))
)
_all_members = (
    select(_members.c.contact_id, _segments.c.key)
    .join_from(_members, _segments, _segments.c.id == _members.c.segment_id)
    .where(_members.c.contact_id.in_(_ids))
)


class Crowd:
    """What is known of `ids` at `as_of`, read when it is first asked for. The caller holds their locks. `segment_ids`: of which segments
    memberships are asked; None: of any."""

    def __init__(self, session: Session, ids: Sequence[str], as_of: datetime, segment_ids: Collection[int] | None = None) -> None:
        self.session, self.ids, self.as_of, self.segment_ids = session, list(ids), as_of, segment_ids
        self._found: dict[int, Mapping[str, Any]] = {}
        self._terms: list[EventTerm | SequenceTerm] = []

    def facts(self, contact_id: str) -> CrowdFacts:
        """Of one of them."""
        return CrowdFacts(self, contact_id)

    @cached_property
    def rows(self) -> dict[str, Mapping[str, Any]]:
        return {row["id"]: row for row in self._execute(_rows).mappings()}

    @cached_property
    def tags(self) -> frozenset[tuple[str, str]]:
        return frozenset((contact_id, tag) for contact_id, tag in self._execute(_all_tags))

    @cached_property
    def companies(self) -> Mapping[str, Mapping[str, Any]]:
        """By contact, what is read as `company.…`; who has none is not in it."""
        return dict(self._execute(_all_companies).all())

    @cached_property
    def consents(self) -> Mapping[tuple[str, str, str], tuple[str, datetime]]:
        """(contact, channel, purpose) -> state, and when it was said."""
        return {tuple(key): (state, said_at) for *key, state, said_at in self._execute(_all_states)}

    @cached_property
    def touches(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """By contact: first and last -> what it says."""
        return {row["contact_id"]: touches_of(row) for row in self._execute(_all_touches).mappings()}

    @cached_property
    def scores(self) -> dict[tuple[str, str], float]:
        """(contact, group) -> value; whoever changes one changes it here, too."""
        return {(contact_id, group): value for contact_id, group, value in self._execute(_all_scores)}

    @cached_property
    def segments(self) -> set[tuple[str, str]]:
        """(contact, key of a segment) of every membership; whoever changes one changes it here, too."""
        asked = _all_members if self.segment_ids is None else _all_members.where(_members.c.segment_id.in_(self.segment_ids))
        return {(contact_id, key) for contact_id, key in self._execute(asked)}

    def occurrences(self, term: EventTerm) -> Mapping[str, Occurrences]:
        """By contact; who has none is not in it."""
        return self._once(term, lambda row: occurrences(term, row), _statement)

    def sequences(self, term: SequenceTerm) -> Mapping[str, Steps]:
        """By contact; who has none of its events is not in it."""
        return self._once(term, lambda row: steps(term, row), _climbing)

    def _once(self, term: T, read: Callable[[Mapping[str, Any]], F], statement: Callable[[str], Built]) -> Mapping[str, F]:
        known = self._found.get(id(term))
        if known is None:
            self._terms.append(term)  # as long as it is here, no other has its `id`
            known = self._found[id(term)] = {} if term.needs_run() else self._rows(read, statement(term.model_dump_json(by_alias=True)))
        return known

    def _rows(self, read: Callable[[Mapping[str, Any]], F], asked: Built) -> Mapping[str, F]:
        rows = on(self.session).execute(asked.statement, {"contacts": self.ids, **asked.clock.values(self.as_of)}).mappings()
        return {row["contact_id"]: read({**row}) for row in rows}

    def _execute(self, statement: Select[Any]) -> Any:
        return on(self.session).execute(statement, {"contacts": self.ids})


@dataclass(frozen=True, slots=True)
class CrowdFacts:
    """`Facts` of one out of a crowd, at the crowd's instant."""

    crowd: Crowd
    contact_id: str

    def value(self, name: str) -> Any:
        if name.startswith(OF_RUN):
            return None
        if name.startswith(COMPANY):
            return read(self.crowd.companies.get(self.contact_id), path_of(name)[1:])
        row = self.crowd.rows[self.contact_id]
        return dates.normalise(row[name]) if name in CONTACT_COLUMNS else read(row["attributes"], path_of(name))

    def has_tag(self, tag: str) -> bool:
        return (self.contact_id, tag) in self.crowd.tags

    def in_segment(self, key: str) -> bool:
        return (self.contact_id, key) in self.crowd.segments

    def consent(self, channel: str, purpose: str) -> str | None:
        found = self.crowd.consents.get((self.contact_id, channel, purpose))
        return found and found[0]

    def consent_said_at(self, channel: str, purpose: str) -> datetime | None:
        found = self.crowd.consents.get((self.contact_id, channel, purpose))
        return found and found[1]

    def touch(self, which: Literal["first", "last"]) -> Mapping[str, Any] | None:
        return self.crowd.touches.get(self.contact_id, {}).get(which)

    def score(self, group: str) -> float:
        return self.crowd.scores.get((self.contact_id, group), 0.0)

    def occurrences(self, term: EventTerm, as_of: datetime) -> Occurrences:
        assert as_of == self.crowd.as_of, "a crowd knows one instant"
        found = self.crowd.occurrences(term).get(self.contact_id)
        return occurrences(term, None) if found is None else found

    def sequence(self, term: SequenceTerm, as_of: datetime) -> Steps:
        assert as_of == self.crowd.as_of, "a crowd knows one instant"
        found = self.crowd.sequences(term).get(self.contact_id)
        return steps(term, None) if found is None else found

    def next_owner(self, pool: str) -> str | None:
        """Rules do not ask whose turn it is."""

    def calendar(self) -> Calendar:
        return Calendar()


@lru_cache(maxsize=2048)
def _statement(text: str) -> Built:
    """By the term's JSON, as in `crm.rules.sql_facts`."""
    term, events, clock = EventTerm.model_validate_json(text), table(Event), Later()
    return Built(counted(term, events, [events.c.contact_id.in_(_ids), *conditions(term, events, Builder(clock))]), clock)


@lru_cache(maxsize=1024)
def _climbing(text: str) -> Built:
    clock = Later()
    return Built(climbed(SequenceTerm.model_validate_json(text), Builder(clock), lambda events: events.c.contact_id.in_(_ids)), clock)
