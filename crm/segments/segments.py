"""Segments as people make them: created, changed and deleted, with every change audited. Who is in one is `evaluation`'s, or a person's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.jobs import add_job
from crm.rules.askable import askable
from crm.segments import members
from crm.segments.circles import circle
from crm.segments.evaluation import FILLING, tell
from journeys.contact_rules import checked
from journeys.errors import Conflict, Invalid, Issue, NotFound, refuse
from journeys.keys import key_of, key_problems, name_problems
from journeys.rules import DictFacts, Rule, holds, topics
from journeys.rules.fields import CONTACT_COLUMNS
from journeys.spelling import one_line
from journeys.topics import ENTERED, LEFT, of_segment
from models import Contact, Event, Job, ScoreModel, Segment, lock
from storage import segment_marks
from storage.segment_marks import EMPTYING, NEW
from storage.sql import on, table
from workspace.audit import record

MOST = 500
"""Segments of a workspace."""
MOST_AT_ONCE = 1_000
"""Contacts that are put on a list, or taken from it, by one call."""
KEPT = timedelta(days=30)
"""So long a deleted segment can be taken back."""
FILL, EMPTY = "segment_fill", "segment_empty"
"""The kinds of job that ask everybody about a new rule, and that take the members of a deleted segment away."""


def get(session: Session, key: str) -> Segment:
    """Raises:
    NotFound: there is no such segment."""
    found: Segment | None = session.scalar(select(Segment).where(col(Segment.key) == key, col(Segment.state) != EMPTYING))
    if found is None:
        raise NotFound("There is no segment “{key}”.", key=key[:64])
    return found


def id_of(segment: Segment) -> int:
    assert segment.id is not None, "it is stored"
    return segment.id


def listed(session: Session) -> list[Segment]:
    """All of them, by name."""
    there = select(Segment).where(col(Segment.state) != EMPTYING)
    return list(session.scalars(there.order_by(func.lower(col(Segment.name)), col(Segment.key))))


def offered(session: Session) -> list[tuple[str, str]]:
    """(key, name) of all, by name, to choose from."""
    return [(one.key, one.name) for one in listed(session)]


def keys(session: Session) -> frozenset[str]:
    """Of all segments."""
    return frozenset(segment_marks.known(session).by_key)


def create(
    session: Session,
    name: str,
    rule: Mapping[str, Any] | None,
    by: str,
    now: datetime,
    *,
    key: str = "",
    description: str = "",
    announce: bool = False,
) -> Segment:
    """A new segment: live with a `rule`, static with None. An empty key is made of the name.

    A live one fills in the background (`FILL`); nobody is told of those who are in it from the start, unless `announce` asks for it.

    Raises:
        Invalid: lists every problem of name, key and rule, also a circle of segments.
        Conflict: the key is taken, or there are `MOST`.
    """
    segment_marks.changed(session)  # whoever else changes segments waits, so limits, keys and circles are asked of what is committed
    present = keys(session)
    if len(present) >= MOST:
        raise Conflict("Expected at most {limit} segments.", limit=MOST)
    if key in present:
        raise Conflict("There is a segment “{key}” already.", key=key)
    key = key or key_of(name, set(present), "segment", "-")
    row = Segment(key=key, name=one_line(name), description=one_line(description), created_at=now, created_by=by[:120], updated_at=now)
    row.kind = "static" if rule is None else "live"
    refuse(_problems(row))
    if rule is not None:
        _take_rule(session, row, rule)
    session.add(row)
    session.flush()
    record(session, by, "segment.create", f"segment:{key}", {"name": row.name, "kind": row.kind})
    if rule is not None:
        _fill(session, row, by, now, announce)
    return row


def change(
    session: Session,
    key: str,
    by: str,
    now: datetime,
    *,
    name: str | None = None,
    description: str | None = None,
    rule: Mapping[str, Any] | None = None,
    announce: bool = False,
) -> Segment:
    """Changes what is not None. A rule that asks something else makes a new version, and everybody is asked again in the background.

    Raises:
        NotFound. Invalid: lists every problem. Conflict: a list kept by hand gets no rule.
    """
    row = _locked(session, key)
    before = {"name": row.name, "description": row.description}
    row.name = row.name if name is None else one_line(name)
    row.description = row.description if description is None else one_line(description)
    refuse(_problems(row))
    asks_anew = rule is not None and rule != row.rule
    if asks_anew and row.kind == "static":
        raise Conflict("This segment is a list kept by hand; a rule needs a segment of its own.")
    if asks_anew and rule is not None:
        _take_rule(session, row, rule)
        row.version += 1
    row.updated_at = now
    session.add(row)
    told = {field: value for field, value in before.items() if getattr(row, field) != value}
    record(session, by, "segment.change", f"segment:{key}", {"before": told, "version": row.version})
    if asks_anew:
        _fill(session, row, by, now, announce)
    return row


def refill(session: Session, key: str, by: str, now: datetime) -> Segment:
    """Asks everybody again, silently: after a fill that failed.

    Raises:
        NotFound. Conflict: it is a list kept by hand.
    """
    row = _locked(session, key)
    if row.kind == "static":
        raise Conflict("This segment is a list kept by hand: there is no rule to ask.")
    row.version += 1
    _fill(session, row, by, now, announce=False)
    return row


def remove(session: Session, key: str, by: str, now: datetime) -> Segment:
    """Deletes a segment: nothing finds it any more from now on, and its key is free. For `KEPT` it can be taken back (`restore`). The members of
    one with a rule go at once, in the background; those of a list kept by hand only with the segment itself. Who asks first where journeys and
    templates use it calls `hold` before, so that nobody begins to use it meanwhile.

    Raises:
        NotFound. Conflict, with the list: other segments (`segments`) or scoring models (`scoring`) ask for it.
    """
    row = _locked(session, key)
    asking = used_by(session, key)
    if asking:
        raise Conflict(
            "Other segments ask for this one: {names}.", names=[one.name for one in asking], segments=[one.key for one in asking]
        )
    scoring = scored_by(session, key)
    if scoring:
        names, found = [one.name for one in scoring], [one.key for one in scoring]
        raise Conflict("Scoring models ask for this segment: {names}.", names=names, scoring=found)
    row.key, row.former_key, row.state, row.deleted_at = f"~{row.id}", key, EMPTYING, now
    row.version += 1
    session.add(row)
    record(session, by, "segment.delete", f"segment:{key}", {"name": row.name})
    if row.kind == "live":
        _empty(session, row, by, now)
    for old in _deleted(session)[MOST:]:
        for_good(session, old, by, now)
    return row


def hold(session: Session) -> None:
    """Until this transaction ends no segment is made, changed or deleted by others, and nothing that is published or saved begins to ask for one."""
    segment_marks.changed(session)


def deleted(session: Session, now: datetime) -> list[Segment]:
    """Those that can be taken back, newest first."""
    return [row for row in _deleted(session) if row.deleted_at is not None and row.deleted_at > now - KEPT]


def restore(session: Session, id: int, by: str, now: datetime) -> Segment:
    """Takes a deleted segment back, under its old key if that is still free. One with a rule is filled anew, silently.

    Raises:
        NotFound: it is not deleted, or has gone for good. Conflict: there are `MOST`. Invalid: its rule names what is no longer there.
    """
    segment_marks.changed(session)
    row: Segment | None = session.scalar(
        lock(session, select(Segment).where(col(Segment.id) == id)), execution_options={"populate_existing": True}
    )
    if row is None or row.deleted_at is None or row.deleted_at <= now - KEPT:
        raise NotFound("This segment can no longer be restored.")
    present = keys(session)
    if len(present) >= MOST:
        raise Conflict("Expected at most {limit} segments.", limit=MOST)
    row.key = row.former_key if row.former_key not in present else key_of(row.name, set(present), "segment", "-")
    row.state, row.deleted_at, row.former_key, row.updated_at = "live", None, "", now
    row.version += 1
    if row.rule is not None:
        _take_rule(session, row, row.rule)
    session.add(row)
    session.flush()
    record(session, by, "segment.restore", f"segment:{row.key}", {"name": row.name})
    if row.rule is not None:
        _fill(session, row, by, now, announce=False)
    return row


def too_old(session: Session, now: datetime, limit: int) -> list[Segment]:
    """Deleted ones that can no longer be taken back."""
    return [row for row in _deleted(session) if row.deleted_at is not None and row.deleted_at <= now - KEPT][:limit]


def for_good(session: Session, row: Segment, by: str, now: datetime) -> None:
    """A deleted segment goes, with whoever is still in it, in the background."""
    row.deleted_at = None
    session.add(row)
    _empty(session, row, by, now)


def _deleted(session: Session) -> list[Segment]:
    """At most some more than `MOST`: whoever deletes lets the oldest go."""
    gone = select(Segment).where(col(Segment.state) == EMPTYING, col(Segment.deleted_at).is_not(None))
    return list(session.scalars(gone.order_by(col(Segment.deleted_at).desc(), col(Segment.id).desc())))


def _empty(session: Session, row: Segment, by: str, now: datetime) -> None:
    input = {"segment": row.id, "version": row.version}
    add_job(session, EMPTY, f"segment:{row.former_key}", input, by, now, members.count(session, id_of(row)))


def used_by(session: Session, key: str) -> list[segment_marks.KnownSegment]:
    """The segments whose rules ask for this one."""
    known = segment_marks.known(session)
    return [known.by_id[id] for id in sorted(known.hanging_on([of_segment(key)]))]


def scored_by(session: Session, key: str) -> list[ScoreModel]:
    """The scoring models, of those that give points, whose rules ask for this segment."""
    ids = segment_marks.known(session).scored_on([of_segment(key)])
    return list(session.scalars(select(ScoreModel).where(col(ScoreModel.id).in_(ids)).order_by(col(ScoreModel.id)))) if ids else []


def fill_of(session: Session, row: Segment) -> Job | None:
    """The newest job that asks everybody, with its progress; None where there was none."""
    return None if row.fill_job is None else session.get(Job, row.fill_job)


# Lists kept by hand


def put_in(session: Session, key: str, contact_ids: Collection[str], by: str, now: datetime, *, silent: bool = False) -> list[Event]:
    """Puts contacts on a list; who is on it stays, who is merged or erased is passed over. Returns the events, stored and not yet routed.

    Raises:
        NotFound: no such segment. Conflict: its rule decides. Invalid: more than `MOST_AT_ONCE`.
    """
    return _by_hand(session, key, contact_ids, by, now, ENTERED, silent)


def take_out(session: Session, key: str, contact_ids: Collection[str], by: str, now: datetime, *, silent: bool = False) -> list[Event]:
    """The other way. Raises: as `put_in`."""
    return _by_hand(session, key, contact_ids, by, now, LEFT, silent)


def _by_hand(session: Session, key: str, contact_ids: Collection[str], by: str, now: datetime, name: str, silent: bool) -> list[Event]:
    wanted = set(contact_ids)
    if len(wanted) > MOST_AT_ONCE:
        raise Invalid("Expected at most {limit} contacts at once.", limit=MOST_AT_ONCE)
    segment = segment_marks.known(session).by_key.get(key)
    if segment is None:
        raise NotFound("There is no segment “{key}”.", key=key[:64])
    if segment.kind != "static":
        raise Conflict("The rule of this segment decides who is in it.")
    contacts = table(Contact)
    living = select(contacts.c.id).where(contacts.c.id.in_(wanted), contacts.c.merged_into.is_(None), contacts.c.erased_at.is_(None))
    ids = list(on(session).execute(lock(session, living.order_by(contacts.c.id))).scalars())
    moved = (members.add if name == ENTERED else members.remove)(session, segment.id, ids, now)
    if not moved:
        return []
    record(session, by, "segment.members", f"segment:{key}", {"entered" if name == ENTERED else "left": len(moved)})
    if silent:
        segment_marks.mark(session, moved, (of_segment(key),), now, silent=True)
        return []
    return [tell(session, segment, name, id, now) for id in sorted(moved)]


# Rules


def read_rule(session: Session, rule: Mapping[str, Any], key: str = "") -> Rule:
    """The rule of a segment, checked: it is asked of contacts, names what there is, and does not lead back to the segment `key` itself.

    Raises:
        Invalid: lists every problem, with its place (`rule.rules.0.field`).
    """
    parsed, issues = checked(rule, askable(session), "rule")
    wrong = [one for one in issues if one.severity == "error"]
    if parsed is None:
        raise Invalid("This is no rule.", wrong)
    refuse([*wrong, *_circle(session, parsed, key)])
    return parsed


def _take_rule(session: Session, row: Segment, rule: Mapping[str, Any]) -> None:
    parsed = read_rule(session, rule, row.key)
    row.rule, row.topics, row.state = dict(rule), sorted(hangs_on(parsed)), FILLING


def hangs_on(rule: Rule) -> frozenset[str]:
    """What can change an answer besides time; `contact` where somebody new and unknown may be in it from the start."""
    found = topics(rule)
    hangs_on_row = not found.isdisjoint(f"field:{name}" for name in CONTACT_COLUMNS) or any(_asked(found))
    return found | {NEW} if hangs_on_row or holds(rule, DictFacts({}), _ANY) else found


_ANY = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
"""Of somebody of whom nothing is known, time changes nothing."""


def _circle(session: Session, rule: Rule, key: str) -> Iterator[Issue]:
    """A segment that asks for itself, through however many others."""
    if key:
        yield from circle(session, of_segment(key), {of_segment(key)}, topics(rule), "rule")


def _asked(topics: Iterable[str]) -> Iterator[str]:
    """The keys of the segments that a rule asks for."""
    prefix = of_segment("")
    return (topic.removeprefix(prefix) for topic in sorted(topics) if topic.startswith(prefix))


# What is shared


def _fill(session: Session, row: Segment, by: str, now: datetime, announce: bool) -> None:
    input = {"segment": row.id, "version": row.version, "announce": announce}
    row.state, row.fill_job = FILLING, add_job(session, FILL, f"segment:{row.key}", input, by, now).id
    session.add(row)


def _locked(session: Session, key: str) -> Segment:
    row = get(session, key)
    found: Segment | None = session.scalar(
        lock(session, select(Segment).where(col(Segment.id) == row.id)), execution_options={"populate_existing": True}
    )
    if found is None or found.state == EMPTYING:
        raise NotFound("There is no segment “{key}”.", key=key[:64])
    segment_marks.changed(session)  # as in `create`: what was asked before may have changed while we waited
    return found


def _problems(row: Segment) -> Iterator[Issue]:
    yield from key_problems(row.key)
    yield from name_problems(row.name)
    if len(row.description) > 500:
        yield Issue(code="description", text="At most {max_length} characters.", values={"max_length": 500}, field="description")
