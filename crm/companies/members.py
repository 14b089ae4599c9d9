"""Who belongs to which company. Whoever makes or ends a membership does it here, so that roll-ups and events always follow.

A contact has one company (decision 056). What a contact counted for goes with it as an appended row (`CompanyDelta`); what it counts for at its new
company is worked out next (`crm.companies.roll_ups`). The caller holds the contacts' locks and none of a company.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from crm.companies.money import added
from journeys.rules.fields import COMPANY
from journeys.topics import COMPANY_CHANGED, COMPANY_JOINED, COMPANY_LEFT, MOST_FIELDS
from models import Company, CompanyDelta, CompanyMember, Event, new_id
from storage import company_marks
from storage.events import event_row, insert_events
from storage.locks import lock_contacts
from storage.sql import on, table

STRENGTH: Mapping[str, int] = {"domain": 1, "group": 2, "api": 3, "hand": 3}
"""Source of a membership -> how sure it is: what is less sure moves nobody. A person's word stands against the calls that a web site sends with each page."""

TOLD_AT_ONCE = 200
"""Members that hear of a change in one transaction."""

members, companies, deltas = table(CompanyMember), table(Company), table(CompanyDelta)


@dataclass(frozen=True, slots=True)
class Moved:
    """`from_id` or `to_id` is None where there was no company before, or is none now."""

    contact_id: str
    from_id: str | None
    to_id: str | None


@dataclass(frozen=True, slots=True)
class Membership:
    """The company of a contact."""

    contact_id: str
    company_id: str
    since: datetime
    source: str


def of(session: Session, contact_ids: Collection[str]) -> dict[str, Any]:
    """Contact id -> its row, of those that have a company."""
    found = on(session).execute(select(members).where(members.c.contact_id.in_(list(contact_ids)))).all()
    return {row.contact_id: row for row in found}


def of_contact(session: Session, contact_id: str) -> Membership | None:
    row = of(session, [contact_id]).get(contact_id)
    return None if row is None else Membership(row.contact_id, row.company_id, row.since, row.source)


def page(session: Session, company_id: str, after_id: str = "", limit: int = 50) -> list[Membership]:
    """The next members after `after_id`, in the order of ids."""
    wanted = select(members.c.contact_id, members.c.company_id, members.c.since, members.c.source)
    theirs = wanted.where(members.c.company_id == company_id, members.c.contact_id > after_id)
    return [Membership(*row) for row in on(session).execute(theirs.order_by(members.c.contact_id).limit(limit))]


def put(
    session: Session,
    wanted: Mapping[str, str | None],
    source: str,
    now: datetime,
    *,
    since: datetime | None = None,
    silent: bool = False,
) -> list[Moved]:
    """Contact id -> the company it belongs to from now on (None: to none). Returns who moved; who is there already, or was put where it is by
    something surer, stays.
    """
    session.flush()
    present = of(session, wanted)
    moved = [
        Moved(id, None if id not in present else present[id].company_id, to)
        for id, to in sorted(wanted.items())
        if _moves(present.get(id), to, source)
    ]
    _end(session, [present[one.contact_id] for one in moved if one.from_id is not None])
    rows: list[dict[str, Any]] = [
        {"contact_id": one.contact_id, "company_id": one.to_id, "since": since or now, "source": source, "score": 0, "revenues": {}}
        for one in moved
        if one.to_id is not None
    ]
    if rows:
        on(session).execute(insert(members), rows)
        _append(session, [{"company_id": row["company_id"], "members": 1, "score": 0, "revenues": {}} for row in rows])
        company_marks.mark(session, [row["contact_id"] for row in rows], now, silent=silent)
    _confirm(session, present, wanted, source)
    return moved


def _moves(present: Any, to: str | None, source: str) -> bool:
    if present is None:
        return to is not None
    return bool(present.company_id != to and STRENGTH[source] >= STRENGTH[present.source])


def _confirm(session: Session, present: Mapping[str, Any], wanted: Mapping[str, str | None], source: str) -> None:
    """What something surer says again is as sure from now on."""
    surer = [id for id, row in present.items() if row.company_id == wanted[id] and STRENGTH[source] > STRENGTH[row.source]]
    if surer:
        on(session).execute(members.update().where(members.c.contact_id.in_(surer)).values(source=source))


def _end(session: Session, rows: Sequence[Any]) -> None:
    if not rows:
        return
    on(session).execute(delete(members).where(members.c.contact_id.in_([row.contact_id for row in rows])))
    _append(
        session,
        [{"company_id": row.company_id, "members": -1, "score": -row.score, "revenues": added({}, row.revenues, -1)} for row in rows],
    )


def _append(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        on(session).execute(insert(deltas), list(rows))


def count_anew(session: Session, row: Any, score: int, revenues: Mapping[str, int], active_at: datetime | None) -> None:
    """What a member counts for from now on; the difference to `row`, what it counted for, is appended."""
    if (row.score, row.revenues, row.active_at) == (score, revenues, active_at):
        return
    values = {"score": score, "revenues": dict(revenues), "active_at": active_at}
    on(session).execute(members.update().where(members.c.contact_id == row.contact_id).values(**values))
    more = {"members": 0, "score": score - row.score, "revenues": added(revenues, row.revenues, -1)}
    _append(session, [{"company_id": row.company_id, **more}])


def forget(session: Session, contact_ids: Collection[str]) -> None:
    """Contacts that are nobody any more belong to no company; nobody is told."""
    _end(session, list(of(session, contact_ids).values()))
    company_marks.forget(session, contact_ids)


def hand_over(session: Session, winner_id: str, loser_id: str, now: datetime) -> tuple[dict[str, Any], list[Event]]:
    """At a merge: the winner has the company that is surer of the two, the winner's where both are. Returns what an undo needs, and the events."""
    if not company_marks.are_there(session):
        return {}, []
    present = of(session, [winner_id, loser_id])
    won, lost = present.get(winner_id), present.get(loser_id)
    kept = {"lost": _kept(lost), "won": _kept(won)}
    _end(session, [lost] if lost is not None else [])
    company_marks.forget(session, [loser_id])
    company_marks.mark_members(session, [winner_id], now)
    if lost is None or (won is not None and STRENGTH[lost.source] <= STRENGTH[won.source]):
        return kept, []
    moved = put(session, {winner_id: lost.company_id}, lost.source, now, since=lost.since)
    return kept, tell(session, moved, now, source="merge", routed=False)


def hand_back(session: Session, winner_id: str, loser_id: str, kept: Mapping[str, Any], now: datetime) -> list[Event]:
    """Undoes `hand_over`: each has the company again that it had, as far as that is still there and nobody has moved the winner since."""
    present = of(session, [winner_id]).get(winner_id)
    events: list[Event] = []
    there = _places(session, [one[0] for one in (kept.get("lost"), kept.get("won")) if one])
    for contact_id, said in ((loser_id, kept.get("lost")), (winner_id, kept.get("won"))):
        is_given = contact_id == loser_id or (present is not None and kept.get("lost") and present.company_id == there.get(kept["lost"][0]))
        if not is_given:
            continue
        to = there.get(said[0]) if said else None
        if contact_id == winner_id and present is not None and present.company_id != to:
            _end(session, [present])
        moved = put(session, {contact_id: to}, said[1], now, since=datetime.fromisoformat(said[2])) if said and to else []
        if contact_id == winner_id and present is not None and present.company_id != to:
            moved = [Moved(winner_id, present.company_id, to)]
        events += tell(session, moved, now, source="unmerge", routed=False)
    company_marks.mark_members(session, [winner_id, loser_id], now)
    return events


def _kept(row: Any) -> list[str] | None:
    return None if row is None else [row.company_id, row.source, row.since.isoformat()]


def _places(session: Session, company_ids: Sequence[str]) -> dict[str, str]:
    return {id: place for id in company_ids if (place := there(session, id)) is not None}


def there(session: Session, company_id: str) -> str | None:
    """The company that this one has become; None if it is gone."""
    row, known = session.get(Company, company_id), set[str]()
    while row is not None and row.merged_into is not None and row.id not in known:
        known.add(row.id)
        row = session.get(Company, row.merged_into)
    return None if row is None or row.gone else row.id


def locked(session: Session, contact_ids: Collection[str]) -> list[str]:
    """Those of the contacts that are somebody, locked in the order of their ids."""
    found = lock_contacts(session, contact_ids)
    return [id for id, contact in found.items() if contact.merged_into is None and contact.erased_at is None]


def move_all(session: Session, contact_ids: Collection[str], from_id: str, to_id: str | None, now: datetime) -> list[Moved]:
    """Moves members of one company, as sure as they were; who is elsewhere by now stays there. The caller tells."""
    rows = {id: row for id, row in of(session, contact_ids).items() if row.company_id == from_id}
    moved: list[Moved] = []
    _end(session, list(rows.values()))
    for source in sorted({row.source for row in rows.values()}):
        theirs = {id: to_id for id, row in sorted(rows.items()) if row.source == source}
        put(session, theirs, source, now)
        moved += [Moved(id, from_id, to_id) for id in theirs]
    return moved


def tell(
    session: Session,
    moved: Sequence[Moved],
    now: datetime,
    *,
    source: str = "system",
    hops: int = 0,
    silent: bool = False,
    routed: bool = True,
) -> list[Event]:
    """The events of those who moved: *Company Left*, then *Company Joined*. `routed`: the caller routes them."""
    if not moved:
        return []
    ids = {id for one in moved for id in (one.from_id, one.to_id) if id is not None}
    known = {row.id: row for row in on(session).execute(_shown.where(companies.c.id.in_(ids)))}
    said = [
        (one.contact_id, name, _properties(known[id]))
        for one in moved
        for name, id in ((COMPANY_LEFT, one.from_id), (COMPANY_JOINED, one.to_id))
        if id is not None
    ]
    return store(session, said, now, source=source, hops=hops, silent=silent, routed=routed)


_shown = select(companies.c.id, companies.c.name, companies.c.domain, companies.c.told)


def _properties(row: Any) -> dict[str, Any]:
    return {
        "company_id": row.id,
        "name": row.name,
        "domain": row.domain,
        "fields": [f"{COMPANY}{name}" for name in sorted(row.told)][:MOST_FIELDS],
    }


def tell_change(
    session: Session, contact_ids: Iterable[str], company: Any, fields: Sequence[str], now: datetime, *, hops: int = 0, silent: bool = False
) -> list[Event]:
    """*Company Changed* for members. `fields` as in rules; the caller routes."""
    properties = {"company_id": company.id, "name": company.name, "fields": list(fields)[:MOST_FIELDS]}
    said = [(id, COMPANY_CHANGED, properties) for id in contact_ids]
    return store(session, said, now, hops=hops, silent=silent)


def store(
    session: Session,
    said: Sequence[tuple[str, str, dict[str, Any]]],
    now: datetime,
    *,
    source: str = "system",
    hops: int = 0,
    silent: bool = False,
    routed: bool = True,
) -> list[Event]:
    """(contact, name, properties) as events of ours, in their order."""
    rows = [
        {
            **event_row(
                "system",
                name,
                properties,
                received_at=now,
                source=source,
                message_id=new_id(),
                hops=hops,
                routed=routed or silent,
                backfill=silent,
            ),
            "contact_id": contact_id,
        }
        for contact_id, name, properties in said
    ]
    ids = [id for id in insert_events(session, rows) if id is not None]
    return list(session.scalars(select(Event).where(table(Event).c.id.in_(ids)).order_by(table(Event).c.id)))
