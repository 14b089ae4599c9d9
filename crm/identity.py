"""Who is meant: names of a call -> one contact, found or created, merged where the names prove it.

Rules, after Segment's:
- The surest name of a call leads (user id, external id, e-mail, phone, anonymous id); the others join it.
- Two contacts with different user ids, or different ids in one external system, are never merged by a call; `alias` says so on purpose.
- An anonymous id alone never joins two contacts that have different e-mail addresses or phone numbers (a shared device).
- An e-mail address that another user id holds stays there; the caller's contact may still carry it as a field.

The costly path is the bulk one: a batch takes the same number of statements whatever its size, merges apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, or_
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.merge import merge
from crm.names import Name, Refused, normalise_all
from crm.sql import table, upsert
from journeys.errors import Conflict, Invalid
from models import Contact, Event, Identity, lock, new_id

ATTEMPTS = 5
"""How often a resolution starts over because another transaction took a name meanwhile (PostgreSQL only)."""


@dataclass(slots=True)
class ResolvedContact:
    """`merged`: ids of contacts that became this one. `events`: what those merges changed, not yet routed."""

    contact_id: str
    created: bool = False
    merged: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)
    """Runs whose inbox or state a merge touched: ring their bells."""


def resolve(session: Session, names: Sequence[Name], now: datetime, region: str | None = None) -> ResolvedContact:
    """The contact that `names` mean, created if nobody is known by any of them.

    Raises:
        Invalid: none of the names can be used; `details["refused"]` says why.
    """
    found = resolve_batch(session, [names], now, region)[0]
    if found is None:
        refused = normalise_all(names, region)[1]
        raise Invalid("Expected at least one usable name of a contact.", refused=[[bad.kind, bad.reason] for bad in refused])
    return found


def resolve_many(session: Session, list_of_names: Sequence[Sequence[Name]], now: datetime, region: str | None = None) -> list[str | None]:
    """For each list of names the contact it means, in order; None where no name can be used. See `resolve_batch`."""
    return [found.contact_id if found else None for found in resolve_batch(session, list_of_names, now, region)]


def resolve_batch(
    session: Session, list_of_names: Sequence[Sequence[Name]], now: datetime, region: str | None = None
) -> list[ResolvedContact | None]:
    """`resolve` for many calls at once, as if one after the other. Contacts that are found are locked, ids sorted.

    Two or three statements, two more if contacts are created, and those of each merge.
    """
    calls = [normalise_all(names, region) for names in list_of_names]
    for _ in range(ATTEMPTS):
        plan = _plan(session, [usable for usable, _ in calls])
        if plan is not None and _write(session, plan, now):
            return _finish(session, plan, [refused for _, refused in calls], now)
    raise Conflict("The contacts of this call keep changing; try again.")


def alias(session: Session, previous: Name, current: Name, now: datetime) -> ResolvedContact:
    """Declares that two names mean one person, whatever they were: the explicit merge of the tracking API."""
    old, new = resolve(session, [previous], now), resolve(session, [current], now)
    if old.contact_id != new.contact_id:
        done = merge(session, new.contact_id, old.contact_id, now, reason="alias")
        new.merged.append(old.contact_id)
        new.events, new.rung = done.events, done.rung
    return new


def find(session: Session, name: Name, region: str | None = None) -> str | None:
    """The contact known by `name`, if any; creates nothing."""
    usable, _ = normalise_all([name], region)
    if not usable:
        return None
    kind, value = usable[0]
    return session.scalar(select(Identity.contact_id).where(Identity.kind == kind, Identity.value == value))


@dataclass(slots=True)
class _Plan:
    """What a batch will do. `heads` follows merges planned earlier in the batch: loser -> winner."""

    holders: dict[Name, str]
    held: dict[str, dict[str, set[str]]]
    heads: dict[str, str] = field(default_factory=dict)
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[Name, str] = field(default_factory=dict)
    merges: list[tuple[str, str, int]] = field(default_factory=list)
    meant: list[str | None] = field(default_factory=list)
    created: list[bool] = field(default_factory=list)

    def head(self, contact_id: str) -> str:
        while contact_id in self.heads:
            contact_id = self.heads[contact_id]
        return contact_id

    def holder(self, name: Name) -> str | None:
        found = self.holders.get(name)
        return self.head(found) if found else None

    def take(self, name: Name, contact_id: str) -> None:
        self.holders[name] = self.claims[name] = contact_id
        self.held[contact_id][name[0]].add(name[1])

    def join(self, winner: str, loser: str, call: int) -> None:
        self.heads[loser] = winner
        self.merges.append((winner, loser, call))
        for kind, values in self.held[loser].items():
            self.held[winner][kind] |= values


def _plan(session: Session, calls: Sequence[Sequence[Name]]) -> _Plan | None:
    """None if a contact that was found has been merged or erased while we waited for its lock."""
    holders = _holders(session, {name for names in calls for name in names})
    found = set(holders.values())
    if not _locked(session, found):
        return None
    plan = _Plan(holders, _held(session, _undecided(calls, holders)))
    for number, names in enumerate(calls):
        _plan_call(plan, number, names)
    return plan


def _plan_call(plan: _Plan, number: int, names: Sequence[Name]) -> None:
    if not names:
        plan.meant.append(None)
        plan.created.append(False)
        return
    groups = _by_holder(plan, names)
    head = _leader(plan, groups, names)
    plan.created.append(head is None)
    if head is None:
        head = new_id()
        plan.contacts[head] = {}
    plan.meant.append(head)
    for name in names:
        if plan.holder(name) is None and not _contradicts(plan.held[head], name):
            plan.take(name, head)
            groups.setdefault(head, []).append(name)
    for other in [holder for holder in groups if holder != head]:
        weak = _only_anonymous(groups[other]) or _only_anonymous(groups[head])
        if _agree(plan.held[head], plan.held[other], weak):
            plan.join(head, other, number)


def _leader(plan: _Plan, groups: dict[str, list[Name]], names: Sequence[Name]) -> str | None:
    """The contact a call is about: who holds the surest name, else the first holder that nothing in the call contradicts."""
    asked: dict[str, set[str]] = defaultdict(set)
    for kind, value in names:
        asked[kind].add(value)
    surest = plan.holder(names[0])
    return surest or next((holder for holder, its in groups.items() if _agree(plan.held[holder], asked, _only_anonymous(its))), None)


def _by_holder(plan: _Plan, names: Sequence[Name]) -> dict[str, list[Name]]:
    """Contacts that hold some of the names, the one with the surest name first -> the names they hold."""
    groups: dict[str, list[Name]] = {}
    for name in names:
        holder = plan.holder(name)
        if holder is not None:
            groups.setdefault(holder, []).append(name)
    return groups


def _contradicts(held: dict[str, set[str]], name: Name) -> bool:
    kind, value = name
    return _is_exclusive(kind) and bool(held.get(kind, set()) - {value})


def _agree(one: dict[str, set[str]], two: dict[str, set[str]], weak: bool) -> bool:
    """Whether no kind of name tells the two apart; where only an anonymous id links them, e-mail and phone must not differ either."""
    kinds = [kind for kind in {*one, *two} if _is_exclusive(kind) or (weak and kind in ("email", "phone"))]
    return all(not one.get(kind) or not two.get(kind) or one[kind] & two[kind] for kind in kinds)


def _only_anonymous(names: Iterable[Name]) -> bool:
    kinds = {kind for kind, _ in names}
    return kinds == {"anonymous_id"}


def _is_exclusive(kind: str) -> bool:
    return kind == "user_id" or kind.startswith("external:")


def _undecided(calls: Sequence[Sequence[Name]], holders: dict[Name, str]) -> set[str]:
    """Contacts whose other names matter: their call has a name without a holder, or names of several contacts."""
    wanted: set[str] = set()
    for names in calls:
        found = {holders.get(name) for name in names}
        if len(found) > 1:
            wanted |= {holder for holder in found if holder}
    return wanted


def _holders(session: Session, names: Iterable[Name]) -> dict[Name, str]:
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, value in names:
        by_kind[kind].append(value)
    if not by_kind:
        return {}
    identities = table(Identity)
    terms = [and_(identities.c.kind == kind, identities.c.value.in_(values)) for kind, values in sorted(by_kind.items())]
    rows = session.execute(select(identities.c.kind, identities.c.value, identities.c.contact_id).where(or_(*terms)))
    return {(kind, value): contact_id for kind, value, contact_id in rows}


def _held(session: Session, contact_ids: set[str]) -> dict[str, dict[str, set[str]]]:
    """contact id -> kind -> values, for the kinds that can contradict."""
    held: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    if contact_ids:
        identities = table(Identity)
        rows = session.execute(
            select(identities.c.contact_id, identities.c.kind, identities.c.value).where(
                identities.c.contact_id.in_(sorted(contact_ids)), identities.c.kind != "anonymous_id"
            )
        )
        for contact_id, kind, value in rows:
            held[contact_id][kind].add(value)
    return held


def _locked(session: Session, contact_ids: set[str]) -> bool:
    """Locks the contacts; false if one of them is no longer its own person. SQLite needs no row locks and no statement."""
    if not contact_ids or session.get_bind().dialect.name == "sqlite":
        return True
    statement = select(col(Contact.merged_into), col(Contact.erased_at)).where(col(Contact.id).in_(sorted(contact_ids)))
    rows = session.execute(lock(session, statement.order_by(col(Contact.id)))).all()
    return all(merged_into is None and erased_at is None for merged_into, erased_at in rows)


def _write(session: Session, plan: _Plan, now: datetime) -> bool:
    """Creates the new contacts and their names; false, with nothing written, if another transaction was first with a name."""
    if not plan.claims:
        return True
    names = sorted(plan.claims)
    with session.begin_nested() as attempt:
        if plan.contacts:
            session.execute(insert(table(Contact)), [_contact_row(plan, contact_id, now) for contact_id in plan.contacts])
        identities = table(Identity)
        statement = upsert(session, Identity).on_conflict_do_nothing(index_elements=["kind", "value"]).returning(identities.c.kind)
        rows = [{"kind": kind, "value": value, "contact_id": plan.claims[(kind, value)], "created_at": now} for kind, value in names]
        if len(session.execute(statement, rows).all()) == len(rows):
            return True
        attempt.rollback()
    return False


def _contact_row(plan: _Plan, contact_id: str, now: datetime) -> dict[str, Any]:
    held = plan.held[contact_id]
    return {
        "id": contact_id,
        "email": next(iter(sorted(held["email"])), None),
        "phone": next(iter(sorted(held["phone"])), None),
        "attributes": {},
        "created_at": now,
        "updated_at": now,
        "last_seen_at": now,
        "demo": False,
    }


def _finish(session: Session, plan: _Plan, refused: Sequence[list[Refused]], now: datetime) -> list[ResolvedContact | None]:
    found = [
        ResolvedContact(plan.head(contact_id), created, refused=bad) if contact_id else None
        for contact_id, created, bad in zip(plan.meant, plan.created, refused, strict=True)
    ]
    for winner, loser, number in plan.merges:
        done = merge(session, winner, loser, now, reason="identify")
        answer = found[number]
        assert answer is not None  # a call without names plans no merge
        answer.merged.append(loser)
        answer.events += done.events
        answer.rung += done.rung
    return found
