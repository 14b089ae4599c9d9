"""What the members of a company add up to, kept up to date: marked contacts are worked out anew, what that changes is folded into their companies, and
the members hear of what rules may ask. Three sorts of pages, each a transaction that can be repeated; one process at a time does them (`engine.companies`).

- `recount`: for contacts that are marked, which company their address means, and what they count for: all of it read anew from what is stored, so late
  orders, merges and refunds need no case of their own.
- `fold`: appended changes go into the companies' rows, which nobody else writes for this.
- `spread_page`: the members of a company whose fields have changed, a page at a time, however many they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.companies import companies, members
from crm.companies.free_mailers import is_free
from crm.companies.members import Moved
from crm.companies.money import ORDER_EVENTS, added, in_currency, net
from crm.companies.names import Said, read_domain
from crm.companies.told import ROLL_UPS, told
from journeys.rules.fields import COMPANY
from models import (
    OF_COMPANIES,
    Company,
    CompanyDelta,
    CompanyMark,
    CompanyMember,
    CompanySpread,
    Contact,
    Event,
    Score,
    Subscription,
    lock,
)
from storage import company_marks, segment_marks
from storage.locks import lock_contacts
from storage.sql import on, table
from workspace import settings

PAGE = 100
FOLDED = 500
"""Appended changes that are folded in one transaction."""
BY = "system:domain"
"""Who makes companies of domains."""

marks, deltas, spreads, rows = table(CompanyMark), table(CompanyDelta), table(CompanySpread), table(Company)
member_rows, contacts, events, scores, subscriptions = table(CompanyMember), table(Contact), table(Event), table(Score), table(Subscription)


@dataclass(slots=True)
class Done:
    """`events`: stored, and routed by the caller in the same transaction. `rows`: how many were worked on."""

    rows: int = 0
    events: list[Event] = field(default_factory=list)


# Contacts


def waiting(session: Session, now: datetime, limit: int = PAGE) -> list[str]:
    """The contacts that have waited longest."""
    due = select(marks.c.contact_id).where(marks.c.marked_at <= now).order_by(marks.c.marked_at, marks.c.contact_id)
    return list(on(session).execute(due.limit(limit)).scalars())


def postpone(session: Session, contact_id: str, until: datetime) -> None:
    """A contact that cannot be worked out now holds up nobody: it is asked again at `until`."""
    on(session).execute(update(marks).where(marks.c.contact_id == contact_id).values(marked_at=until))


def recount(session: Session, contact_ids: Collection[str], now: datetime) -> Done:
    """Works out anew what marked contacts count for, and takes their marks away."""
    found = {
        id: contact
        for id, contact in lock_contacts(session, contact_ids).items()
        if contact.merged_into is None and contact.erased_at is None
    }
    gone = delete(marks).where(marks.c.contact_id.in_(list(contact_ids))).returning(marks.c.contact_id, marks.c.silent)
    silent = {row.contact_id: row.silent for row in on(session).execute(gone)}
    done = Done(len(contact_ids))
    if company_marks.is_by_domain(session):
        done.events += _by_domain(session, found, silent, now)
    present = members.of(session, found)
    points, orders = _points(session, present), _orders(session, present)
    for contact_id, row in sorted(present.items()):
        members.count_anew(session, row, points.get(contact_id, 0), net(orders.get(contact_id, ())), found[contact_id].last_seen_at)
    on(session).execute(delete(marks).where(marks.c.contact_id.in_(list(found))))  # what joining marked has been worked out here
    return done


def _by_domain(session: Session, found: Mapping[str, Contact], silent: Mapping[str, bool], now: datetime) -> list[Event]:
    """Who has no company, or one that only the address said, gets the one that the address means now."""
    present = members.of(session, found)
    more = frozenset(settings.load(session, settings.Companies).free_mailers)
    moved: dict[bool, list[Moved]] = {False: [], True: []}
    asked = {id: one for id, one in found.items() if id not in present or present[id].source == "domain"}
    domains = {id: company_domain(one.email, more) for id, one in asked.items()}
    for domain in sorted({one for one in domains.values() if one}):
        theirs = [id for id, one in domains.items() if one == domain]
        vouched = any(found[id].vouched for id in theirs)
        company = companies.ensure(session, Said(domain=domain), now, BY, vouched=vouched).company_id
        for quiet in (False, True):
            wanted: dict[str, str | None] = {id: company for id in theirs if silent.get(id, False) is quiet}
            moved[quiet] += members.put(session, wanted, "domain", now, silent=quiet) if wanted else []
    for quiet in (False, True):
        out: dict[str, str | None] = {
            id: None for id, one in domains.items() if one is None and id in present and silent.get(id, False) is quiet
        }
        moved[quiet] += members.put(session, out, "domain", now, silent=quiet) if out else []
    return [*members.tell(session, moved[False], now), *members.tell(session, moved[True], now, silent=True)]


def company_domain(email: str | None, more: frozenset[str] = frozenset()) -> str | None:
    """The domain of an address that says which company somebody works for; None for free mailers and what throws mail away."""
    domain = read_domain(email.rpartition("@")[2]) if email and "@" in email else None
    return None if domain is None or is_free(domain, more) else domain


def _points(session: Session, contact_ids: Collection[str]) -> dict[str, int]:
    """All scores of a contact together, in thousandths."""
    found: dict[str, int] = defaultdict(int)
    for contact_id, value in on(session).execute(
        select(scores.c.contact_id, scores.c.value).where(scores.c.contact_id.in_(list(contact_ids)))
    ):
        found[contact_id] += round(value * 1000)
    return found


def _orders(session: Session, contact_ids: Collection[str]) -> dict[str, list[Any]]:
    wanted = select(events.c.id, events.c.contact_id, events.c.name, events.c.properties, events.c.occurred_at)
    theirs = wanted.where(events.c.contact_id.in_(list(contact_ids)), events.c.name.in_(sorted(ORDER_EVENTS)))
    found: dict[str, list[Any]] = defaultdict(list)
    for row in on(session).execute(theirs):
        found[row.contact_id].append(row)
    return found


# Companies


def fold(session: Session, now: datetime, is_asked: Callable[[str], bool], limit: int = FOLDED) -> int:
    """Moves the oldest appended changes into the companies' rows; answers how many there were. `is_asked`: whether anybody hangs on a topic, so that members
    have to hear of a roll-up. Rows are taken by id, so one that is committed late is folded later.
    """
    taken = on(session).execute(lock(session, select(deltas).order_by(deltas.c.id).limit(limit))).all()
    if not taken:
        return 0
    on(session).execute(delete(deltas).where(deltas.c.id.in_([row.id for row in taken])))
    by_company: dict[str, list[Any]] = defaultdict(list)
    for row in taken:
        by_company[row.company_id].append(row)
    currency = settings.load(session, settings.Companies).currency
    for company_id, changes in sorted(by_company.items()):
        _fold_into(session, company_id, changes, currency, now, is_asked)
    return len(taken)


def _fold_into(
    session: Session, company_id: str, changes: Sequence[Any], currency: str, now: datetime, is_asked: Callable[[str], bool]
) -> None:
    company = session.scalar(
        lock(session, select(Company).where(col(Company.id) == company_id), key_share=True), execution_options={"populate_existing": True}
    )
    assert company is not None, "what is gone leaves its row"
    for change in changes:
        company.members += change.members
        company.score += change.score
        company.revenues = added(company.revenues, change.revenues)
    company.last_activity_at = _last_activity(session, company_id)
    _tell_again(session, company, currency, is_asked)


def _last_activity(session: Session, company_id: str) -> datetime | None:
    newest: datetime | None = (
        on(session).execute(select(func.max(member_rows.c.active_at)).where(member_rows.c.company_id == company_id)).scalar()
    )
    return newest


def _tell_again(session: Session, company: Company, currency: str, is_asked: Callable[[str], bool]) -> None:
    """Writes what rules read of the roll-ups, and lets the members hear of it where anybody asks."""
    before = dict(company.told)
    company.revenue, company.currency = in_currency(company.revenues, currency), currency
    company.told = told(company)
    session.add(company)
    session.flush()
    changed = [name for name in (*ROLL_UPS, "currency") if before.get(name) != company.told.get(name)]
    companies.spread(session, company.id, [name for name in changed if is_asked(f"field:{COMPANY}{name}")])


def other_currency(session: Session, is_asked: Callable[[str], bool], limit: int = PAGE) -> int:
    """Works revenue out anew for the next companies that tell it in another currency than the workspace; answers how many there were."""
    currency = settings.load(session, settings.Companies).currency
    other = or_(col(Company.currency) < currency, col(Company.currency) > currency)
    statement = select(Company).where(other).order_by(col(Company.id)).limit(limit)
    found = session.scalars(lock(session, statement, key_share=True)).all()
    for company in found:
        _tell_again(session, company, currency, is_asked)
    return len(found)


def has_other_currency(session: Session) -> bool:
    currency = settings.load(session, settings.Companies).currency
    looks = (rows.c.currency < currency, rows.c.currency > currency)
    return any(on(session).execute(select(rows.c.id).where(look).limit(1)).scalar() is not None for look in looks)


def waits_for(session: Session, topic: str) -> bool:
    """Whether a segment or a run hangs on a topic of companies (`field:company.revenue`)."""
    if topic in segment_marks.known(session).topics:
        return True
    heard = select(subscriptions.c.run_id).where(text(OF_COMPANIES), subscriptions.c.topic == topic).limit(1)
    return on(session).execute(heard).scalar() is not None


# Members


def next_spread(session: Session) -> Any:
    """What members have to hear next; None if there is nothing."""
    return on(session).execute(select(spreads).order_by(spreads.c.company_id, spreads.c.field).limit(1)).first()


def spread_page(session: Session, spread: Any, now: datetime, starts_journeys: bool) -> Done:
    """Tells the next members of one changed field. Of a roll-up, which changes with every order, only whoever waits for it gets an event, and everybody where a
    journey begins by it (`starts_journeys`); the others are only asked again by their segments. Contacts are locked first: whoever changes a company has
    theirs, and waits for the row of `spread` next.
    """
    key = (spreads.c.company_id == spread.company_id, spreads.c.field == spread.field)
    company = session.get(Company, spread.company_id, populate_existing=True)
    if company is None or company.gone:
        on(session).execute(delete(spreads).where(*key))
        return Done()
    ids = [one.contact_id for one in members.page(session, company.id, spread.after_id, members.TOLD_AT_ONCE)]
    topic = f"field:{spread.field}"
    is_roll_up = spread.field.removeprefix(COMPANY) in (*ROLL_UPS, "currency")
    told_to = ids if starts_journeys or not is_roll_up else _listening(session, ids, topic)
    living = members.locked(session, told_to)
    here = on(session).execute(lock(session, select(spreads).where(*key))).first()
    if here is None or here.after_id != spread.after_id:
        return Done()  # another process was here meanwhile
    _move_on(session, here, key, ids)
    done = Done(len(ids), members.tell_change(session, living, company, [spread.field], now, hops=here.hops, silent=here.silent))
    segment_marks.mark(session, set(ids).difference(living), (topic,), now, silent=here.silent, hops=here.hops)
    return done


def _move_on(session: Session, here: Any, key: Sequence[Any], ids: Sequence[str]) -> None:
    """Where the next page begins; from the beginning where it has changed meanwhile, and nowhere at the end."""
    if len(ids) == members.TOLD_AT_ONCE:
        on(session).execute(update(spreads).where(*key).values(after_id=ids[-1]))
    elif here.again:
        on(session).execute(update(spreads).where(*key).values(after_id="", again=False))
    else:
        on(session).execute(delete(spreads).where(*key))


def _listening(session: Session, contact_ids: Sequence[str], topic: str) -> list[str]:
    heard = select(subscriptions.c.contact_id).where(subscriptions.c.contact_id.in_(list(contact_ids)), subscriptions.c.topic == topic)
    return sorted(set(on(session).execute(heard).scalars()))


def recounted(session: Session, company_id: str) -> dict[str, Any]:
    """What the roll-ups of a company should be, counted from nothing: for tests and for whoever doubts them."""
    ids = list(on(session).execute(select(member_rows.c.contact_id).where(member_rows.c.company_id == company_id)).scalars())
    points, orders = _points(session, ids), _orders(session, ids)
    revenues: dict[str, int] = {}
    for contact_id in ids:
        revenues = added(revenues, net(orders.get(contact_id, ())))
    seen = on(session).execute(select(func.max(contacts.c.last_seen_at)).where(contacts.c.id.in_(ids))).scalar()
    return {"members": len(ids), "score": sum(points.values()), "revenues": revenues, "last_activity_at": seen}
