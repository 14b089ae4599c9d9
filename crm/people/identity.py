"""Who is meant: names of a call -> one contact, found or created, merged where the names prove it.

Rules (decision 014):
- The surest name of a call leads (user id, external id, e-mail, anonymous id); the others join it.
- Two contacts with different user ids, or different ids in one external system, are never merged by a call; `alias` says so on purpose.
- A phone number identifies nobody: colleagues have one switchboard. It makes a new contact if there is no other name, and suggests a duplicate.
- An e-mail address joins where ids do not differ. One that contacts with different ids have is *shared*: alone it means none of them, but the
  one contact of that address that has no id, made if need be.
- An anonymous id alone never joins two contacts that have different e-mail addresses or phone numbers (a shared device).
- Two contacts of whom a person said that they are not the same are merged by no call.
- An e-mail address that another user id holds stays there; the caller's contact may still carry it as a field.
- Calls that anybody can have made have rules of their own (`crm.people.visitors`); the others vouch for the contact they name.

The costly path is the bulk one: a batch takes the same number of statements whatever its size, merges apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, or_, update
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.people.addresses import ID_KINDS, differ, is_id, mark_shared
from crm.people.duplicates import SUGGESTS, suggest
from crm.people.merge import merge
from crm.people.visitors import NEEDS_SERVER
from crm.people.visitors import plan_call as plan_visitor
from journeys.errors import Conflict, Invalid
from models import Contact, ContactPhone, Duplicate, Event, Identity, lock, new_id
from storage import company_marks, segment_marks
from storage.identifiers import Name, Refused, normalise_all
from storage.sql import table, upsert

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
    own: bool = True
    """Whether the sender may give the contact addresses; false for visitors' calls about somebody else."""
    to_wake: list[str] = field(default_factory=list)
    """Runs whose inbox or state a merge touched; wake them."""


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
    session: Session,
    list_of_names: Sequence[Sequence[Name]],
    now: datetime,
    region: str | None = None,
    visitors: Container[int] = (),
    history: Container[int] = (),
) -> list[ResolvedContact | None]:
    """`resolve` for many calls at once, as if one after the other. Contacts that are found are locked, ids sorted.

    `visitors`: places of the calls that anybody can have made (`crm.people.visitors`). `history`: of those that bring in what was long ago: segments
    take the new contacts in without telling anybody.
    Two or three statements, two more if contacts are created, and those of each merge.
    """
    calls = [normalise_all(names, region) for names in list_of_names]
    for _ in range(ATTEMPTS):
        plan = _plan(session, [usable for usable, _ in calls], visitors)
        if plan is not None and _write(session, plan, now):
            return _told(session, _finish(session, plan, [refused for _, refused in calls], now), history, now)
    raise Conflict("The contacts of this call keep changing; try again.")


def _told(session: Session, found: list[ResolvedContact | None], history: Container[int], now: datetime) -> list[ResolvedContact | None]:
    new = {number: one.contact_id for number, one in enumerate(found) if one is not None and one.created}
    for silent in (False, True):
        ids = [id for number, id in new.items() if (number in history) is silent]
        segment_marks.mark_new(session, ids, now, silent=silent)
        company_marks.mark_new(session, ids, now, silent=silent)
    return found


def alias(session: Session, previous: Name, current: Name, now: datetime) -> ResolvedContact:
    """Declares that two names mean one person, whatever they were: the explicit merge of the tracking API."""
    old, new = resolve(session, [previous], now), resolve(session, [current], now)
    if old.contact_id != new.contact_id:
        done = merge(session, new.contact_id, old.contact_id, now, reason="alias")
        new.merged.append(old.contact_id)
        new.events, new.to_wake = done.events, done.to_wake
    return new


def find(session: Session, *names: Name, region: str | None = None) -> str | None:
    """The contact that `names` mean, if there is one; creates nothing. A phone number or a shared e-mail address means nobody."""
    usable, _ = normalise_all(names, region)
    if not usable:
        return None
    plan = _plan(session, [usable], locking=False)
    return plan.meant[0] if plan is not None and not plan.created[0] else None


def find_many(session: Session, list_of_names: Sequence[Sequence[Name]], region: str | None = None) -> list[str | None]:
    """For each list of names the contact that the surest known one of them means, or None; creates, merges and locks nothing. Two statements."""
    calls = [normalise_all(names, region)[0] for names in list_of_names]
    holders, shared, _ = _holders(session, {name for names in calls for name in names if name[0] != "phone"})
    meant = {**holders, **shared}  # alone a shared address means the one that has no id
    return [next((id for name in names if (id := meant.get(name))), None) for names in calls]


@dataclass(slots=True)
class Plan:
    """What a batch will do (for `crm.people.visitors` too, which plans the calls that anybody can have made). `heads` follows merges planned
    earlier in the batch: loser -> winner."""

    holders: dict[Name, str]
    held: dict[str, dict[str, set[str]]]
    heads: dict[str, str] = field(default_factory=dict)
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[Name, str] = field(default_factory=dict)
    merges: list[tuple[str, str, int]] = field(default_factory=list)
    shared: dict[Name, str] = field(default_factory=dict)
    """E-mail addresses that ids share -> the contact without an id that they mean alone ("" if there is none yet)."""
    newly_shared: set[Name] = field(default_factory=set)
    apart: set[frozenset[str]] = field(default_factory=set)
    meant: list[str | None] = field(default_factory=list)
    created: list[bool] = field(default_factory=list)
    vouched: set[str] = field(default_factory=set)
    """Contacts that somebody authenticated has named, and `newly` among them."""
    newly: set[str] = field(default_factory=set)
    own: set[int] = field(default_factory=set)
    """Visitors' calls whose contact is their own, and what others left out: call -> kinds of names."""
    denied: dict[int, list[str]] = field(default_factory=dict)

    def head(self, contact_id: str) -> str:
        while contact_id in self.heads:
            contact_id = self.heads[contact_id]
        return contact_id

    def holder(self, name: Name) -> str | None:
        found = self.holders.get(name)
        return self.head(found) if found else None

    def is_shared(self, name: Name) -> bool:
        return name in self.shared or name in self.newly_shared

    def may_join(self, one: str, other: str) -> bool:
        """Nobody said that they are different people."""
        return frozenset((one, other)) not in self.apart

    def take(self, name: Name, contact_id: str) -> None:
        self.holders[name] = self.claims[name] = contact_id
        self.held[contact_id][name[0]].add(name[1])

    def vouch(self, contact_id: str) -> None:
        if contact_id not in self.vouched:
            self.vouched.add(contact_id)
            self.newly.add(contact_id)

    def join(self, winner: str, loser: str, call: int) -> None:
        self.heads[loser] = winner
        self.merges.append((winner, loser, call))
        if loser in self.vouched:
            self.vouched.add(winner)  # the merge writes it
        for kind, values in self.held[loser].items():
            self.held[winner][kind] |= values
        self.apart |= {(pair - {loser}) | {winner} for pair in self.apart if loser in pair and winner not in pair}


def _plan(session: Session, calls: Sequence[Sequence[Name]], visitors: Container[int] = (), *, locking: bool = True) -> Plan | None:
    """None if a contact that was found has been merged or erased while we waited for its lock."""
    holders, shared, vouched = _holders(session, {name for names in calls for name in names if name[0] != "phone"})
    undecided = _undecided(calls, holders)
    found = set(holders.values()) | {contact_id for contact_id in shared.values() if contact_id}
    if locking and not _locked(session, found, vouched):
        return None
    plan = Plan(holders, _held(session, undecided), shared=shared, apart=_apart(session, undecided), vouched=vouched)
    for number, names in enumerate(calls):
        plan_one = plan_visitor if number in visitors else _plan_call
        plan_one(plan, number, names)
    return plan


def _plan_call(plan: Plan, number: int, names: Sequence[Name]) -> None:
    if not names:
        plan.meant.append(None)
        plan.created.append(False)
        return
    sure = [name for name in names if name[0] != "phone"]
    alone = next((name for name in sure if plan.is_shared(name)), None) if not _has_id(sure) else None
    groups = _by_holder(plan, [name for name in sure if not plan.is_shared(name)])
    if alone is not None and plan.shared.get(alone) and not groups:
        groups = {plan.head(plan.shared[alone]): [alone]}
    head = _leader(plan, groups, sure) if sure else None
    plan.created.append(head is None)
    if head is None:
        head = new_id()
        plan.contacts[head] = {}
        for kind, value in names:
            if kind == "phone" or plan.is_shared((kind, value)):
                plan.held[head][kind].add(value)
        if alone is not None:
            plan.shared[alone] = head
    plan.meant.append(head)
    for name in sure:
        if plan.holder(name) is None and not plan.is_shared(name) and not _contradicts(plan.held[head], name):
            plan.take(name, head)
            groups.setdefault(head, []).append(name)
    for other in [holder for holder in groups if holder != head]:
        weak = _only_anonymous(groups[other]) or _only_anonymous(groups[head])
        if _agree(plan.held[head], plan.held[other], weak) and plan.may_join(head, other):
            plan.join(head, other, number)
        elif differ(plan.held[head], plan.held[other]):
            plan.newly_shared |= {name for name in groups[other] if name[0] == "email"}
    if not _only_anonymous(names):
        plan.vouch(head)


def _has_id(names: Iterable[Name]) -> bool:
    return any(is_id(kind) for kind, _ in names)


def _leader(plan: Plan, groups: dict[str, list[Name]], names: Sequence[Name]) -> str | None:
    """The contact a call is about: who holds the surest name, else the first holder that nothing in the call contradicts."""
    asked: dict[str, set[str]] = defaultdict(set)
    for kind, value in names:
        asked[kind].add(value)
    surest = next((holder for holder, its in groups.items() if names[0] in its), None)
    return surest or next((holder for holder, its in groups.items() if _agree(plan.held[holder], asked, _only_anonymous(its))), None)


def _by_holder(plan: Plan, names: Sequence[Name]) -> dict[str, list[Name]]:
    """Contacts that hold some of the names, the one with the surest name first -> the names they hold."""
    groups: dict[str, list[Name]] = {}
    for name in names:
        holder = plan.holder(name)
        if holder is not None:
            groups.setdefault(holder, []).append(name)
    return groups


def _contradicts(held: dict[str, set[str]], name: Name) -> bool:
    kind, value = name
    return is_id(kind) and bool(held.get(kind, set()) - {value})


def _agree(one: dict[str, set[str]], two: dict[str, set[str]], weak: bool) -> bool:
    """Whether no kind of name tells the two apart; where only an anonymous id links them, e-mail and phone must not differ either."""
    kinds = [kind for kind in {*one, *two} if is_id(kind) or (weak and kind in ("email", "phone"))]
    return all(not one.get(kind) or not two.get(kind) or one[kind] & two[kind] for kind in kinds)


def _only_anonymous(names: Iterable[Name]) -> bool:
    kinds = {kind for kind, _ in names}
    return kinds == {"anonymous_id"}


def _undecided(calls: Sequence[Sequence[Name]], holders: dict[Name, str]) -> set[str]:
    """Contacts whose other names matter: their call has a name without a holder, or names of several contacts."""
    wanted: set[str] = set()
    for names in calls:
        found = {holders.get(name) for name in names}
        if len(found) > 1:
            wanted |= {holder for holder in found if holder}
    return wanted


def _holders(session: Session, names: Iterable[Name]) -> tuple[dict[Name, str], dict[Name, str], set[str]]:
    """Who holds which name; for shared addresses the contact without an id that they mean, "" if there is none; and which holders
    somebody authenticated has named."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, value in names:
        by_kind[kind].append(value)
    if not by_kind:
        return {}, {}, set()
    identities, contacts = table(Identity), table(Contact)
    columns = (identities.c.kind, identities.c.value, identities.c.contact_id, identities.c.shared, contacts.c.vouched)
    joined = identities.join(contacts, contacts.c.id == identities.c.contact_id)
    terms = [and_(identities.c.kind == kind, identities.c.value.in_(values)) for kind, values in sorted(by_kind.items())]
    rows = session.execute(sql_select(*columns).select_from(joined).where(or_(*terms))).all()
    holders = {(row.kind, row.value): row.contact_id for row in rows}
    shared = {(row.kind, row.value): "" for row in rows if row.shared}
    vouched = {row.contact_id for row in rows if row.vouched}
    return holders, shared | _without_id(session, sorted(value for _, value in shared)), vouched


def _without_id(session: Session, addresses: Sequence[str]) -> dict[Name, str]:
    """Shared addresses -> the eldest contact that has the address and no id."""
    if not addresses:
        return {}
    contacts, identities = table(Contact), table(Identity)
    has_id = select(identities.c.contact_id).where(identities.c.contact_id == contacts.c.id, ID_KINDS).exists()
    present = (contacts.c.email.in_(addresses), contacts.c.merged_into.is_(None), contacts.c.erased_at.is_(None))
    found = select(contacts.c.email, func.min(contacts.c.id)).where(*present, ~has_id).group_by(contacts.c.email)
    return {("email", address): contact_id for address, contact_id in session.execute(found)}


def _apart(session: Session, contact_ids: set[str]) -> set[frozenset[str]]:
    """Pairs among the contacts of whom a person said that they are not the same."""
    if len(contact_ids) < 2:
        return set()
    pairs = table(Duplicate)
    ids = sorted(contact_ids)
    said = select(pairs.c.one_id, pairs.c.other_id).where(pairs.c.one_id.in_(ids), pairs.c.other_id.in_(ids), pairs.c.state == "different")
    return {frozenset(pair) for pair in session.execute(said)}


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
        contacts = table(Contact)
        further, ids = table(ContactPhone), sorted(contact_ids)
        mains = sql_select(contacts.c.id, contacts.c.phone).where(contacts.c.id.in_(ids), contacts.c.phone.is_not(None))
        for contact_id, phone in session.execute(
            mains.union_all(sql_select(further.c.contact_id, further.c.phone).where(further.c.contact_id.in_(ids)))
        ):
            held[contact_id]["phone"].add(phone)
    return held


def _locked(session: Session, contact_ids: set[str], vouched: set[str]) -> bool:
    """Locks the contacts; false if one of them is no longer its own person. SQLite needs no row locks and no statement.

    Who was vouched for while we waited for the lock is added to `vouched`.
    """
    if not contact_ids or session.get_bind().dialect.name == "sqlite":
        return True
    columns = (col(Contact.id), col(Contact.merged_into), col(Contact.erased_at), col(Contact.vouched))
    statement = select(*columns).where(col(Contact.id).in_(sorted(contact_ids)))
    rows = session.execute(lock(session, statement.order_by(col(Contact.id)))).all()
    vouched |= {row.id for row in rows if row.vouched}
    return all(row.merged_into is None and row.erased_at is None for row in rows)


def _write(session: Session, plan: Plan, now: datetime) -> bool:
    """Creates the new contacts and their names; false, with nothing written, if another transaction was first with a name."""
    if not plan.claims and not plan.contacts and not plan.newly_shared:
        return True
    names = sorted(plan.claims)
    with session.begin_nested() as attempt:
        if plan.contacts:
            made = [_contact_row(plan, contact_id, now) for contact_id in plan.contacts]
            session.execute(insert(table(Contact)), made)
        identities = table(Identity)
        if plan.newly_shared:
            addresses = sorted(value for _, value in plan.newly_shared)
            session.execute(update(identities).where(identities.c.kind == "email", identities.c.value.in_(addresses)).values(shared=True))
        if not names:
            return True
        statement = upsert(session, Identity).on_conflict_do_nothing(index_elements=["kind", "value"]).returning(identities.c.kind)
        rows = [_identity_row(plan, name, now) for name in names]
        if len(session.execute(statement, rows).all()) == len(rows):
            return True
        attempt.rollback()
    return False


def _identity_row(plan: Plan, name: Name, now: datetime) -> dict[str, Any]:
    shared = name in plan.newly_shared
    return {"kind": name[0], "value": name[1], "contact_id": plan.claims[name], "created_at": now, "shared": shared}


def _contact_row(plan: Plan, contact_id: str, now: datetime) -> dict[str, Any]:
    held = plan.held[contact_id]
    return {
        "id": contact_id,
        "email": next(iter(sorted(held["email"])), None),
        "phone": next(iter(sorted(held["phone"])), None),
        "attributes": {},
        "created_at": now,
        "updated_at": now,
        "last_seen_at": None,
        "demo": False,
        "vouched": contact_id in plan.vouched,
    }


def _finish(session: Session, plan: Plan, refused: Sequence[list[Refused]], now: datetime) -> list[ResolvedContact | None]:
    found = [
        ResolvedContact(plan.head(contact_id), created, refused=bad) if contact_id else None
        for contact_id, created, bad in zip(plan.meant, plan.created, refused, strict=True)
    ]
    for number, kinds in plan.denied.items():
        answer = found[number]
        assert answer is not None  # a call without a contact is denied nothing
        answer.own = number in plan.own
        answer.refused += [Refused(kind, NEEDS_SERVER) for kind in kinds]
    if newly := plan.newly - plan.contacts.keys():
        session.execute(update(table(Contact)).where(table(Contact).c.id.in_(sorted(newly))).values(vouched=True))
    for winner, loser, number in plan.merges:
        done = merge(session, winner, loser, now, reason="identify")
        answer = found[number]
        assert answer is not None  # a call without names plans no merge
        answer.merged.append(loser)
        answer.events += done.events
        answer.to_wake += done.to_wake
    made = plan.contacts.keys() - plan.heads.keys()
    named = {plan.head(contact_id) for name, contact_id in plan.claims.items() if is_id(name[0]) and contact_id not in plan.contacts}
    if named:
        mark_shared(session, named)
    suggest(session, {contact_id: {kind: value for kind in SUGGESTS for value in plan.held[contact_id][kind]} for contact_id in made}, now)
    return found
