"""How contacts came: the first and the last touch of each, kept in `LeadSource`.

A touch is that somebody came: by a link with campaign parameters, from a foreign page, through a form. From another page of the same site without
parameters nobody came. That somebody typed the address (`direct`), or that a contact was made by a file, a program or a member of the team, tells
where there is nothing better: such a touch can be the first, and is the last only of somebody who never came otherwise. Source: Google Analytics 4,
"last non-direct click".

The first touch is the earliest and the last the latest by the time when it happened, whenever it is told; so late history moves the first one back
and never the last one. The same touch again within half an hour is the same visit.

Whoever records a touch holds the contact's lock. What changes is told as `Lead Source Changed`, but for contacts that are new: whom that concerns
they tell by themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import BindParameter, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crm.people import visits
from crm.people.visits import UTM, Visit
from journeys.topics import LEAD_SOURCE, LEAD_SOURCE_CHANGED
from models import Event, LeadSource
from storage import segment_marks
from storage.events import append_event
from storage.sql import on, table

Kind = Literal["campaign", "referrer", "form", "import", "api", "staff", "direct"]
CAME = frozenset({"campaign", "referrer", "form"})
"""Kinds of touches that make the last one; the others only tell how the contact was made."""
SAME_VISIT = timedelta(minutes=30)
"""Source: Google Analytics, the default length of a session."""
FIRST, LAST, BOTH = "first", "last", "both"

_rows = table(LeadSource)
_ids: BindParameter[Sequence[str]] = bindparam("contacts", expanding=True)
_known = select(_rows).where(_rows.c.contact_id.in_(_ids))


@dataclass(frozen=True, slots=True)
class Touch:
    """One touch. `source_id`: the stable id of the form, import, key or member it came with. Texts are as `crm.people.visits` makes them."""

    kind: Kind
    at: datetime
    source_id: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    referrer: str | None = None
    landing_page: str | None = None

    @property
    def came(self) -> bool:
        return self.kind in CAME


PARTS = tuple(one.name for one in fields(Touch))


class Standing(NamedTuple):
    """Both touches of a contact."""

    first: Touch
    last: Touch


class Change(NamedTuple):
    """What a touch changed: the first, the last or both, and what stands there now."""

    which: str
    touch: Touch


def of_visit(visit: Visit | None, at: datetime) -> Touch | None:
    """The touch that a visit is; None where nobody came."""
    if visit is None or (visit.internal and not visit.parameters):
        return None
    kind: Kind = "campaign" if visit.parameters else "referrer" if visit.referrer else "direct"
    return _touch(kind, at, None, visit.parameters, visit.referrer, visit.landing_page)


def of_form(form: str, at: datetime, *, page: str = "", referrer: str = "", parameters: Mapping[str, Any] | None = None) -> Touch:
    """The touch that sending in a form is. `form`: its stable id, with what kind of form it is (`form:ID`). `page` and `referrer` are addresses as the browser
    has them; `parameters` (`source`, `medium` …) are those that the form brought along, else those of the page's address."""
    given = {name: kept for name in UTM if parameters and (kept := visits.parameter(parameters.get(name)))}
    context = {"page": {"url": page, "referrer": referrer}, "campaign": {}}
    visit = visits.read(context, {}) or Visit({})
    return _touch("form", at, form, given or visit.parameters, visit.referrer, visit.landing_page)


def made_by(source: str, at: datetime) -> Touch:
    """The touch of a contact that somebody or something made. `source` as events have it: `key:ID`, `import:ID`, `member:ID`."""
    source = source.removeprefix("api:")
    kinds: Mapping[str, Kind] = {"import": "import", "member": "staff", "form": "form"}
    return Touch(kinds.get(source.partition(":")[0], "api"), at, source[:64])


def _touch(kind: Kind, at: datetime, source_id: str | None, given: Mapping[str, str], referrer: str | None, page: str | None) -> Touch:
    utm = {f"utm_{name}": given.get(name) for name in UTM}
    return Touch(kind, at, source_id and source_id[:64], referrer=referrer, landing_page=page, **utm)


# What counts


def settle(known: Standing | None, touch: Touch) -> Standing:
    """Both touches after one more."""
    if known is None:
        return Standing(touch, touch)
    first = touch if touch.at < known.first.at else known.first
    if not touch.came or (known.last.came and not _is_newer(known.last, touch)):
        return Standing(first, known.last if known.last.came else first)
    return Standing(first, touch)


def joined(one: Standing | None, other: Standing | None) -> Standing | None:
    """Both touches of two contacts that become one."""
    if one is None or other is None:
        return one or other
    found = one
    for touch in other:
        found = settle(found, touch)
    return found


def _is_newer(last: Touch, touch: Touch) -> bool:
    if touch.at < last.at:
        return False
    same = replace(touch, at=last.at, landing_page=last.landing_page) == last
    return not same or touch.at - last.at >= SAME_VISIT


# Reading and writing


def of(session: Session, contact_ids: Collection[str]) -> dict[str, Standing]:
    """By contact; who has none is not in it."""
    return {row["contact_id"]: read(dict(row)) for row in on(session).execute(_known, {"contacts": list(contact_ids)}).mappings()}


def read(row: Mapping[str, Any]) -> Standing:
    """A row of the table."""
    return Standing(*(Touch(**{part: row[f"{which}_{part}"] for part in PARTS}) for which in (FIRST, LAST)))


def values(standing: Standing) -> dict[str, Any]:
    """The columns of the row, all but the contact."""
    first, last = standing
    return {
        "first_kind": first.kind,
        "first_source_id": first.source_id,
        "first_utm_source": first.utm_source,
        "first_utm_medium": first.utm_medium,
        "first_utm_campaign": first.utm_campaign,
        "first_utm_term": first.utm_term,
        "first_utm_content": first.utm_content,
        "first_referrer": first.referrer,
        "first_landing_page": first.landing_page,
        "first_at": first.at,
        "last_kind": last.kind,
        "last_source_id": last.source_id,
        "last_utm_source": last.utm_source,
        "last_utm_medium": last.utm_medium,
        "last_utm_campaign": last.utm_campaign,
        "last_utm_term": last.utm_term,
        "last_utm_content": last.utm_content,
        "last_referrer": last.referrer,
        "last_landing_page": last.landing_page,
        "last_at": last.at,
    }


MOST_LOOKED_AT = 2_000
_newest = (
    select(*(_rows.c[f"last_{part}"] for part in PARTS if part not in ("kind", "at")))
    .order_by(_rows.c.last_at.desc())
    .limit(MOST_LOOKED_AT)
)


def known_values(session: Session, most: int = 50) -> dict[str, list[str]]:
    """By attribute: what the newest last touches say there, the most frequent first."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for row in on(session).execute(_newest).mappings():
        for name, value in row.items():
            if value is not None:
                counted[name.removeprefix("last_")][value] += 1
    return {attribute: [value for value, _ in values.most_common(most)] for attribute, values in counted.items()}


def record_all(session: Session, touches: Iterable[tuple[str, Touch]], new: Collection[str] = ()) -> dict[str, Change]:
    """Records touches of many contacts in two statements. Returns what changed of those that are not `new`, for the caller to tell (`told`)."""
    by_contact: dict[str, list[Touch]] = {}
    for contact_id, touch in touches:
        by_contact.setdefault(contact_id, []).append(touch)
    if not by_contact:
        return {}
    session.flush()
    before = of(session, by_contact)
    after: dict[str, Standing] = {}
    for contact_id, its in by_contact.items():
        standing = before.get(contact_id)
        for touch in its:
            standing = settle(standing, touch)
        if standing is not None and standing != before.get(contact_id):
            after[contact_id] = standing
    put(session, after)
    return {one: _change(before.get(one), standing) for one, standing in after.items() if one not in new}


def put(session: Session, standings: Mapping[str, Standing]) -> None:
    """Writes both touches of contacts."""
    if not standings:
        return
    rows = [{"contact_id": one, **values(standing)} for one, standing in sorted(standings.items())]
    on(session).execute(_put(session.get_bind().dialect.name), rows)


@cache
def _put(dialect: str) -> Any:
    make: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = make(_rows)
    new = {column.name: statement.excluded[column.name] for column in _rows.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=["contact_id"], set_=new)


def forget(session: Session, contact_ids: Collection[str]) -> None:
    """Takes the touches of contacts away."""
    on(session).execute(delete(_rows).where(_rows.c.contact_id.in_(list(contact_ids))))


def record(session: Session, contact_id: str, touch: Touch, now: datetime, *, is_new: bool = False, hops: int = 0) -> Event | None:
    """Records a touch of one contact, whose lock the caller holds; `is_new`: this transaction has made it.

    Returns the event `Lead Source Changed`, which the caller routes; None where nothing changed, or nobody can wait for it yet.
    """
    changes = record_all(session, [(contact_id, touch)], (contact_id,) if is_new else ())
    if is_new:
        mark_new(session, [contact_id], now)
    change = changes.get(contact_id)
    if change is None:
        return None
    return append_event(session, contact_id, "system", LEAD_SOURCE_CHANGED, told(change), now, hops=hops)


def mark_new(session: Session, contact_ids: Iterable[str], now: datetime, *, silent: bool = False) -> None:
    """Tells the segments of the touches of new contacts."""
    segment_marks.mark(session, contact_ids, {LEAD_SOURCE}, now, silent=silent)


def told(change: Change) -> dict[str, Any]:
    """The properties of `Lead Source Changed`."""
    touch = change.touch
    said = {
        "touch": change.which,
        "kind": touch.kind,
        "source_id": touch.source_id,
        "source": touch.utm_source,
        "medium": touch.utm_medium,
        "campaign": touch.utm_campaign,
        "term": touch.utm_term,
        "content": touch.utm_content,
        "referrer": touch.referrer,
        "landing_page": touch.landing_page,
    }
    return {name: value for name, value in said.items() if value is not None}


def changed(before: Standing | None, after: Standing | None) -> Change | None:
    """What differs; None if nothing does, or nothing is left."""
    return None if after is None or before == after else _change(before, after)


def _change(before: Standing | None, after: Standing) -> Change:
    if before is None or (before.first != after.first and before.last != after.last):
        return Change(BOTH, after.last)
    return Change(LAST, after.last) if before.first == after.first else Change(FIRST, after.first)


def undone(now: Standing | None, merged: Standing | None, was: Standing | None) -> Standing | None:
    """What a contact keeps when a merge is undone: what it had, but for touches that came since."""
    if now is None or merged is None or now == merged:
        return was
    since: Sequence[Touch] = [touch for touch, then in zip(now, merged, strict=True) if touch != then]
    found = was
    for touch in since:
        found = settle(found, touch)
    return found


def as_json(standing: Standing | None) -> dict[str, Any] | None:
    """For what a merge keeps."""
    if standing is None:
        return None
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values(standing).items()}


def from_json(kept: Mapping[str, Any] | None) -> Standing | None:
    """What `as_json` wrote."""
    if kept is None:
        return None
    return read({name: datetime.fromisoformat(value) if name.endswith("_at") else value for name, value in kept.items()})
