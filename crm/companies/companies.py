"""Companies as people, senders and imports make them: found by what they are known by, created, changed, merged, deleted. Who belongs to one is
`members`, what its members add up to `roll_ups`.

Locks: contacts by id, then companies by id. Whoever only reads which company is meant takes none, so that a large company's members never wait for
each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.catalogue import learn
from crm.companies import members
from crm.companies.names import MOST_DOMAINS, Said, domains_of, read_id, read_name, sorted_by
from crm.companies.told import OWN, told
from crm.jobs import add_job
from crm.people.profile import changed_paths, written
from journeys.errors import Conflict, Invalid, Issue, NotFound, TooLarge
from journeys.rules.fields import COMPANY, path_of
from models import Company, CompanyName, CompanySpread, Event, lock
from storage import company_marks
from storage.json_values import clean, size
from storage.sql import on, savepoint, table, upsert
from workspace.audit import record
from workspace.members import list_members

MOST_ATTRIBUTES, MOST_BYTES = 150, 32_768
"""Of one company. All that rules can ask of it fits into one event (`journeys.topics.MOST_FIELDS`)."""
MOST_KEY = 100
ATTEMPTS = 5
EMPTY, MOVE = "company_empty", "company_move"
"""The kinds of job that take the members of a deleted company away, and that bring those of a merged one to the other."""
OWNER = "owner"

companies, names, spreads = table(Company), table(CompanyName), table(CompanySpread)


@dataclass(frozen=True, slots=True)
class Upserted:
    """`refused`: field -> why it was left out, as for contacts (`crm.people.profile.check_fields`)."""

    company_id: str
    created: bool = False
    changed: list[str] = field(default_factory=list)
    refused: Mapping[str, str] = field(default_factory=dict)


def get(session: Session, company_id: str) -> Company:
    """The company; of one that was merged the company it has become.

    Raises:
        NotFound: there is none, or it was deleted."""
    place = members.there(session, company_id)
    if place is None:
        raise NotFound("There is no such company.", company_id=company_id[:64])
    return _read(session, place)


def lock_company(session: Session, company_id: str) -> Company:
    """As `get`, locked and fresh. Whoever needs contacts locks them before.

    Raises: as `get`."""
    statement = select(Company).where(col(Company.id) == get(session, company_id).id)
    found: Company | None = session.scalar(lock(session, statement, key_share=True), execution_options={"populate_existing": True})
    if found is None or found.gone:
        return lock_company(session, company_id)  # merged or deleted while we waited: `get` says which
    return found


def names_of(session: Session, company_id: str) -> dict[str, list[str]]:
    """`id` and `domain` -> what the company is known by, sorted."""
    rows = on(session).execute(select(names.c.kind, names.c.value).where(names.c.company_id == company_id).order_by(names.c.value))
    found: dict[str, list[str]] = {"id": [], "domain": [], "name": []}
    for kind, value in rows:
        found[kind].append(value)
    return found


# Finding and making


def find(session: Session, said: Said) -> str | None:
    """The company that is meant, if there is one."""
    return find_all(session, [said])[0]


def find_all(session: Session, wanted: Sequence[Said]) -> list[str | None]:
    """Of many at once, in two statements."""
    holders = _holders(session, wanted)
    ids = _known_ids(session, holders.values())
    return [_meant(said, holders, ids) for said in wanted]


def _holders(session: Session, wanted: Sequence[Said]) -> dict[tuple[str, str], str]:
    by_kind: dict[str, set[str]] = {}
    for said in wanted:
        for kind, value in said.known_as():
            by_kind.setdefault(kind, set()).add(value)
    terms = [(names.c.kind == kind) & names.c.value.in_(sorted(values)) for kind, values in sorted(by_kind.items())]
    rows = on(session).execute(select(names.c.kind, names.c.value, names.c.company_id).where(or_(*terms)))
    return {(kind, value): company_id for kind, value, company_id in rows}


def _known_ids(session: Session, company_ids: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """Company id -> kind -> what it is known by."""
    found: dict[str, dict[str, set[str]]] = {}
    ids = sorted(set(company_ids))
    rows = on(session).execute(select(names.c.company_id, names.c.kind, names.c.value).where(names.c.company_id.in_(ids))) if ids else ()
    for company_id, kind, value in rows:
        found.setdefault(company_id, {}).setdefault(kind, set()).add(value)
    return found


def _meant(said: Said, holders: Mapping[tuple[str, str], str], known: Mapping[str, Mapping[str, set[str]]]) -> str | None:
    """Who has the surest of the names, if nothing surer tells the two apart: a company of another id is another one, be its name the same."""
    surer: list[tuple[str, str]] = []
    for kind, value in said.known_as():
        company_id = holders.get((kind, value))
        if company_id is not None:
            has = known.get(company_id, {})
            differ = any(has.get(other) and wanted not in has[other] for other, wanted in surer)
            return None if differ else company_id
        surer.append((kind, value))
    return None


def ensure(session: Session, said: Said, now: datetime, by: str, *, vouched: bool = True) -> Upserted:
    """The company that is meant, made if there is none; whatever it is not known by yet and nobody else has, it is known by from now on. Two processes at
    once make one. Anybody's word (not `vouched`) adds no name to a company that somebody authenticated has named, and no domain to a new one that has an
    id: whoever writes to that domain would belong to it.

    Raises:
        Conflict: it keeps changing hands; try again.
    """
    for _ in range(ATTEMPTS):
        found = find(session, said)
        if found is not None:
            if vouched or not _read(session, found).vouched:
                _claim(session, found, _claimed(said.known_as()[:2] if said.id or said.domain else [], vouched), now)
            return Upserted(found)
        made = _make(session, said, now, by, vouched)
        if made is not None:
            return Upserted(made, created=True)
    raise Conflict("The companies of this call keep changing; try again.")


def _claimed(wanted: Sequence[tuple[str, str]], vouched: bool) -> list[tuple[str, str]]:
    return [one for one in wanted if vouched or one[0] != "domain"]


class _TakenError(Exception):
    """Somebody else was first with a name."""


def _make(session: Session, said: Said, now: datetime, by: str, vouched: bool) -> str | None:
    """None if somebody else was first with the surest of its names, which is not taken."""
    title = said.title()
    row = Company(name=title, sort_name=sorted_by(title), vouched=vouched, created_by=by[:120], created_at=now, updated_at=now)
    surest, *others = said.known_as()
    company_marks.begin(session)
    try:
        with savepoint(session):
            session.add(row)
            session.flush()
            if not _claim(session, row.id, [surest], now):
                raise _TakenError
    except _TakenError:
        return None
    claimed = _claim(session, row.id, [*_claimed(others, vouched), ("name", row.sort_name)], now)
    row.domain = said.domain if said.domain and (surest[0] == "domain" or ("domain", said.domain) in claimed) else None
    row.told = told(row)
    session.add(row)
    session.flush()
    return row.id


def _claim(session: Session, company_id: str, wanted: Sequence[tuple[str, str]], now: datetime) -> set[tuple[str, str]]:
    """Makes a company known by what nobody else is known by; returns what is new."""
    rows = [{"kind": kind, "value": value, "company_id": company_id, "created_at": now} for kind, value in sorted(set(wanted))]
    if not rows:
        return set()
    statement = upsert(session, CompanyName).on_conflict_do_nothing(index_elements=["kind", "value"])
    return {(kind, value) for kind, value in on(session).execute(statement.returning(names.c.kind, names.c.value), rows)}


def upsert_company(
    session: Session,
    said: Said,
    fields: Mapping[str, object],
    now: datetime,
    by: str,
    *,
    trusted: bool = True,
    hops: int = 0,
    silent: bool = False,
) -> Upserted:
    """Finds or makes a company, and writes what is said of it: for imports, senders and the interface alike. None clears a field.

    `trusted` false: anybody may have said it (a browser); fields are filled in where they are empty, and only of a company that nobody
    authenticated has named. Nothing is an error: what cannot be stored is left out and told.
    """
    done = ensure(session, said, now, by, vouched=trusted)
    row = _read(session, done.company_id)
    refused = _nothing_new(row, said, fields, trusted)
    if refused is not None:
        return Upserted(done.company_id, done.created, refused=refused)
    row = lock_company(session, done.company_id)
    changed, refused = _write(session, row, _wanted(row, said, fields, trusted), now)
    row.vouched = row.vouched or trusted
    _stored(session, row, changed, now, hops=hops, silent=silent)
    return Upserted(row.id, done.created, changed, refused)


def _read(session: Session, company_id: str) -> Company:
    row = session.get(Company, company_id)
    assert row is not None, "it was found in this transaction"
    return row


def _wanted(row: Company, said: Said, fields: Mapping[str, object], trusted: bool) -> dict[str, object]:
    """What is to be written: what was said, its name among it; of anybody's word only what fills a gap."""
    wanted = dict(fields)
    if said.name:
        wanted.setdefault("name", said.name)
    if trusted:
        return wanted
    if row.vouched:
        return {}
    is_bare = row.name in (row.domain, said.title()) or not row.name
    return {
        name: value
        for name, value in wanted.items()
        if name != OWNER and (is_bare if name == "name" else row.attributes.get(name) in (None, "", [], {}))
    }


def _nothing_new(row: Company, said: Said, fields: Mapping[str, object], trusted: bool) -> dict[str, str] | None:
    """Where everything that can be stored stands there already: what is left out, and nobody waits for the row. None: something is new."""
    checked, refused = check_fields(_wanted(row, said, fields, trusted))
    after, unfit = written(row.attributes, {name: value for name, value in checked.items() if name not in COLUMNS})
    columns = {name: value for name, value in checked.items() if name in COLUMNS and (name, value) != ("name", "")}
    same = after == row.attributes and all(getattr(row, name) == value for name, value in columns.items())
    return refused | unfit if same and (row.vouched or not trusted) else None


# What can be written

COLUMNS = ("name", OWNER)
"""Fields of a company that have a column of their own, beside its domains."""


def check_fields(fields: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """Name -> value as it is stored, and name -> why it cannot be: no_name, too_long, too_deep, read_only, wrong_type."""
    values: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for given, value in fields.items():
        name = str(given).strip()
        reason = _why_not(name, value)
        if reason is None:
            try:
                values[name] = _stored_value(name, value)
                continue
            except TooLarge:
                reason = "too_deep"
        refused[name[:MOST_KEY]] = reason
    return values, refused


def _why_not(name: str, value: object) -> str | None:
    if not name or not all(path_of(name)):
        return "no_name"
    if len(name) > MOST_KEY:
        return "too_long"
    if name in COLUMNS:
        return None if value is None or (isinstance(value, str | int) and not isinstance(value, bool)) else "wrong_type"
    return "read_only" if path_of(name)[0] in OWN else None


def _stored_value(name: str, value: object) -> Any:
    if name == "name":
        return read_name(str(value or ""))
    if name == OWNER:
        return (str(value).strip()[:32] or None) if value is not None else None
    return None if value == "" else clean(value)


def _write(session: Session, row: Company, fields: Mapping[str, object], now: datetime) -> tuple[list[str], dict[str, str]]:
    """Sets fields on the locked row. Returns the paths that differ, as rules name them without the prefix, and what was left out."""
    checked, refused = check_fields(fields)
    if checked.get("name") == "":
        checked.pop("name")  # a company has a name
    before, domain = dict(row.attributes), row.domain
    attributes, too_much = written(before, {name: value for name, value in checked.items() if name not in COLUMNS})
    if len(attributes) > MOST_ATTRIBUTES or size(attributes) > MOST_BYTES:
        too_much |= dict.fromkeys((name for name in checked if name not in COLUMNS), "too_much")
        attributes = before
    changed = [name for name in COLUMNS if name in checked and getattr(row, name) != checked[name]]
    for name in changed:
        setattr(row, name, checked[name])
    if "name" in changed:
        _rename(session, row, now)
    paths = changed_paths(before, attributes)
    if paths:
        row.attributes = attributes
        learn(session, {f"{COMPANY}{name}": attributes[name] for name in attributes if name not in before}, {}, now)
    return [*changed, *(["domain"] if row.domain != domain else []), *paths], refused | too_much


def _rename(session: Session, row: Company, now: datetime) -> None:
    """The former name is free again; the new one leads here unless another company has it."""
    row.sort_name = sorted_by(row.name)
    on(session).execute(delete(names).where(names.c.company_id == row.id, names.c.kind == "name"))
    _claim(session, row.id, [("name", row.sort_name)], now)


def _stored(session: Session, row: Company, changed: Sequence[str], now: datetime, *, hops: int = 0, silent: bool = False) -> None:
    """After a change: what rules read is written, and its members will hear of it."""
    if changed:
        row.version += 1
        row.updated_at = now
        row.told = told(row)
    session.add(row)
    session.flush()
    spread(session, row.id, changed, hops=hops, silent=silent)


def spread(session: Session, company_id: str, fields: Sequence[str], *, hops: int = 0, silent: bool = False) -> None:
    """The members of a company will be told that fields of it have changed (`crm.companies.roll_ups.spread_page`). `fields` without the prefix."""
    rows = [
        {"company_id": company_id, "field": f"{COMPANY}{name}"[:120], "after_id": "", "again": False, "hops": hops, "silent": silent}
        for name in sorted(set(fields))
    ]
    if rows:
        statement = upsert(session, CompanySpread)
        new = statement.excluded
        more = {"again": True, "silent": spreads.c.silent & new.silent}
        on(session).execute(statement.on_conflict_do_update(index_elements=["company_id", "field"], set_=more), rows)


# As people do it


def create(
    session: Session,
    name: str,
    by: str,
    now: datetime,
    *,
    external_id: str | None = None,
    domains: Sequence[str] = (),
    owner: str | None = None,
    fields: Mapping[str, object] | None = None,
) -> Company:
    """A new company.

    Raises:
        Invalid: lists every problem of name, id, domains, owner and fields.
        Conflict: the id or a domain is another company's; `details["company_id"]` says whose.
    """
    wanted = {"name": name, **({OWNER: owner} if owner else {}), **(fields or {})}
    known = domains_of(list(domains))
    _refuse(session, wanted)
    id = _read_id(external_id)
    _refuse_taken(session, [*([("id", id)] if id else []), *(("domain", one) for one in known)], "")
    said = Said(id, known[0] if known else None, "" if id or known else read_name(name))
    made = _make(session, said, now, by, True) if id or known else _make_alone(session, read_name(name), now, by)
    if made is None:
        raise Conflict("Another company has this id or domain.")
    row = lock_company(session, made)
    _claim(session, row.id, [("domain", one) for one in known], now)
    _write(session, row, wanted, now)
    row.told = told(row)
    session.add(row)
    session.flush()
    record(session, by, "company.create", f"company:{row.id}", {})
    return row


def _make_alone(session: Session, name: str, now: datetime, by: str) -> str:
    """A company that is known by its name at most: another may have the same."""
    company_marks.begin(session)
    row = Company(name=name, sort_name=sorted_by(name), created_at=now, created_by=by[:120], updated_at=now)
    row.told = told(row)
    session.add(row)
    session.flush()
    _claim(session, row.id, [("name", row.sort_name)], now)
    return row.id


def change(
    session: Session,
    company_id: str,
    by: str,
    now: datetime,
    *,
    fields: Mapping[str, object] | None = None,
    external_id: str | None = None,
    domains: Sequence[str] | None = None,
    version: int | None = None,
) -> Company:
    """Changes what is given: fields (with `name` and `owner`), the id of another system ("" takes it away), all domains.

    `version`: the one that was looked at; another one by now refuses, so that nobody overwrites what he has not seen.

    Raises:
        NotFound. Invalid: lists every problem. Conflict: somebody else has changed it, or an id or domain is another company's.
    """
    known = None if domains is None else domains_of(list(domains))
    _refuse(session, fields or {})
    row = lock_company(session, company_id)
    known_by = names_of(session, row.id)
    if version is not None and version != row.version:
        raise Conflict("Somebody else has changed this company meanwhile. Look at it again, then change it.", version=row.version)
    changed, refused = _write(session, row, fields or {}, now)
    if refused:
        raise Invalid("Some fields cannot be stored.", [_issue(name, reason) for name, reason in refused.items()])
    if external_id is not None:
        _take_names(session, row, "id", [one] if (one := _read_id(external_id)) else [], now)
    if known is not None:
        _take_names(session, row, "domain", known, now)
        first = known[0] if known else None
        changed += ["domain"] if row.domain != first else []
        row.domain = first
    if not changed and names_of(session, row.id) != known_by:
        row.version, row.updated_at = row.version + 1, now
    _stored(session, row, changed, now)
    record(
        session, by, "company.change", f"company:{row.id}", {"fields": changed[:50], "names": external_id is not None or known is not None}
    )
    return row


def _take_names(session: Session, row: Company, kind: str, wanted: Sequence[str], now: datetime) -> None:
    _refuse_taken(session, [(kind, one) for one in wanted], row.id)
    gone = delete(names).where(names.c.company_id == row.id, names.c.kind == kind, names.c.value.not_in(list(wanted)))
    on(session).execute(gone)
    _claim(session, row.id, [(kind, one) for one in wanted], now)


def _refuse_taken(session: Session, wanted: Sequence[tuple[str, str]], company_id: str) -> None:
    for kind, value in wanted:
        holder = on(session).execute(select(names.c.company_id).where(names.c.kind == kind, names.c.value == value)).scalar()
        if holder is not None and holder != company_id:
            raise Conflict("Another company has “{value}” already.", value=value, company_id=holder, field=kind)


def _read_id(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    found = read_id(text)
    if found is None:
        raise Invalid("{problem}", [issue := _issue("external_id", "placeholder")], problem=issue)
    return found


def _refuse(session: Session, fields: Mapping[str, object]) -> None:
    checked, refused = check_fields(fields)
    issues = [_issue(name, reason) for name, reason in refused.items()]
    if "name" in fields and not checked.get("name") and "name" not in refused:
        issues.append(Issue(code="company.name", text="Expected a name of 1 to 200 characters.", field="name"))
    free = {name: value for name, value in checked.items() if name not in COLUMNS}
    if len(free) > MOST_ATTRIBUTES or size(free) > MOST_BYTES:
        issues.append(_issue("fields", "too_much"))
    owner = checked.get(OWNER)
    if owner and owner not in {one.id for one in list_members(session)}:
        issues.append(Issue(code="company.owner", text="There is no such member of the team.", field=OWNER))
    if issues:
        raise Invalid("Some fields cannot be stored.", issues)


def _issue(name: str, reason: str) -> Issue:
    return Issue(code=f"company.{reason}", text=REASONS[reason], values={"limit": MOST_ATTRIBUTES}, field=name)


REASONS = {
    "wrong_type": "Expected text.",
    "too_long": "This is too long.",
    "too_deep": "This is nested too deeply.",
    "no_name": "A field needs a name.",
    "read_only": "This field is maintained by the system.",
    "not_an_object": "The path to this field leads through a value that is not an object.",
    "too_much": "A company has at most {limit} fields.",
    "placeholder": "This is a placeholder, not an id.",
}
"""Code of a refused field -> sentence (message id of the catalogues)."""


def assign(session: Session, contact_id: str, company_id: str | None, by: str, now: datetime, *, source: str = "hand") -> list[Event]:
    """Puts a contact, whose row the caller has locked, into a company, or takes it out (None), audited. Returns the events, which the caller routes.

    Raises:
        NotFound: no such company.
    """
    to = None if company_id is None else get(session, company_id).id
    moved = members.put(session, {contact_id: to}, source, now)
    if moved:
        record(session, by, "company.assign", f"contact:{contact_id}", {"company": to})
    return members.tell(session, moved, now)


def assign_many(
    session: Session,
    contact_ids: Collection[str],
    company_id: str | None,
    by: str,
    now: datetime,
    *,
    source: str = "api",
    only_from: str | None = None,
) -> list[Event]:
    """`assign` for many, whom it locks; who is merged or erased is passed over, and with `only_from` whoever belongs to another company.

    Raises:
        NotFound: there is no such company."""
    living = members.locked(session, contact_ids)
    if only_from is not None:
        here, present = get(session, only_from).id, members.of(session, living)
        living = [id for id in living if id in present and present[id].company_id == here]
    moved = members.put(session, dict.fromkeys(living, company_id), source, now)
    if moved:
        subject = f"company:{company_id or only_from}"
        record(session, by, "company.members", subject, {"joined" if company_id else "left": len(moved)})
    return members.tell(session, moved, now)


# Two become one, and none


def merge(session: Session, winner_id: str, loser_id: str, by: str, now: datetime) -> Company:
    """The loser becomes part of the winner: its names and, where the winner has none, its fields at once, its members in the background. There is no undo.

    Raises:
        NotFound. Conflict: it is the same company, or together they have too many fields or domains.
    """
    if get(session, winner_id).id == get(session, loser_id).id:
        raise Conflict("A company cannot be merged with itself.")
    for id in sorted((winner_id, loser_id)):
        lock_company(session, id)
    winner, loser = lock_company(session, winner_id), lock_company(session, loser_id)
    if winner.id == loser.id:
        raise Conflict("A company cannot be merged with itself.")  # somebody else was faster
    attributes = {**loser.attributes, **winner.attributes}
    domains = {*names_of(session, winner.id)["domain"], *names_of(session, loser.id)["domain"]}
    if len(attributes) > MOST_ATTRIBUTES or size(attributes) > MOST_BYTES or len(domains) > MOST_DOMAINS:
        raise Conflict("Together these companies have too many fields or domains.")
    changed = changed_paths(winner.attributes, attributes)
    winner.attributes = attributes
    for name in (OWNER, "domain"):
        if getattr(winner, name) is None and getattr(loser, name) is not None:
            setattr(winner, name, getattr(loser, name))
            changed.append(name)
    on(session).execute(update(names).where(names.c.company_id == loser.id).values(company_id=winner.id))
    on(session).execute(update(companies).where(companies.c.merged_into == loser.id).values(merged_into=winner.id))
    loser.gone, loser.merged_into, loser.updated_at = "merged", winner.id, now
    session.add(loser)
    _stored(session, winner, changed, now)
    record(session, by, "company.merge", f"company:{winner.id}", {"other": loser.id, "name": loser.name})
    add_job(session, MOVE, f"company:{loser.id}", {"company": loser.id, "to": winner.id}, by, now, loser.members)
    return winner


def remove(session: Session, company_id: str, by: str, now: datetime) -> None:
    """Deletes a company for good: nothing finds it any more, and what it was known by is free. Its members stay, and leave it in the background.

    Raises:
        NotFound.
    """
    row = lock_company(session, company_id)
    on(session).execute(delete(names).where(names.c.company_id == row.id))
    row.gone, row.updated_at = "deleted", now
    session.add(row)
    record(session, by, "company.delete", f"company:{row.id}", {"name": row.name})
    add_job(session, EMPTY, f"company:{row.id}", {"company": row.id}, by, now, row.members)


PAGE = 200


@dataclass(frozen=True, slots=True)
class Emptied:
    """`events`: stored, and routed by the caller. `finished`: nobody is left."""

    moved: int
    events: list[Event]
    finished: bool


def empty_page(session: Session, company_id: str, to: str | None, now: datetime) -> Emptied:
    """The next members of a company that is gone leave it, or go to the one it has become. Repeating it changes nothing.

    The last page of a deleted one takes its row away, too.
    """
    row = session.get(Company, company_id)
    if row is None:
        return Emptied(0, [], True)
    ids = [one.contact_id for one in members.page(session, company_id, limit=PAGE)]
    living = members.locked(session, ids)
    target = None if to is None else members.there(session, to)
    moved = members.move_all(session, living, company_id, target, now)
    events = _events_of(session, moved, row, target, now)
    if len(ids) < PAGE and row.gone == "deleted" and not members.page(session, company_id, limit=1):
        row.told, row.attributes, row.name, row.sort_name, row.domain, row.owner = {}, {}, "–", "–", None, None
        session.add(row)
    return Emptied(len(moved), events, len(ids) < PAGE)


def _events_of(session: Session, moved: Sequence[members.Moved], row: Company, target: str | None, now: datetime) -> list[Event]:
    """Who goes along hears what is different; who has no company any more, that it left."""
    if target is None:
        return members.tell(session, moved, now)
    other = _read(session, target)
    fields = [f"{COMPANY}{name}" for name in sorted({*row.told, *other.told}) if row.told.get(name) != other.told.get(name)]
    return members.tell_change(session, [one.contact_id for one in moved], other, fields, now)


# Looking


@dataclass(frozen=True, slots=True)
class CompanyPage:
    """`next`: what `after` of the next call is; None at the end."""

    companies: list[Company]
    next: str | None


SORTS: Mapping[str, tuple[Any, bool]] = {
    "name": (col(Company.sort_name), True),
    "created": (None, False),
    "members": (col(Company.members), False),
    "revenue": (col(Company.revenue), False),
    "active": (col(Company.last_activity_at), False),
}
"""Order -> (what it goes by, None for the id, which grows with time; whether it ascends)."""
MOST_PAGE = 200
LAST = "\U0010ffff"


def search(
    session: Session, *, text: str = "", owner: str | None = None, after: str | None = None, limit: int = 50, sort: str = "name"
) -> CompanyPage:
    """Companies whose name, or one of whose domains, begins with `text`. `after`: the id of the last one of the page before; an unknown one begins anew."""
    key, ascending = SORTS.get(sort, SORTS["name"])
    statement = select(Company).where(col(Company.gone) == "", *_wanted_ones(text, owner))
    last = session.get(Company, after) if after else None
    id = col(Company.id)
    if key is None:
        statement = statement.where(id < last.id) if last is not None else statement
        statement = statement.order_by(id.desc())
    else:
        statement = statement.where(_behind(key, ascending, last)) if last is not None else statement
        statement = statement.order_by(*((key.asc(), id.asc()) if ascending else (key.desc().nulls_last(), id.desc())))
    found = list(session.scalars(statement.limit(max(1, min(limit, MOST_PAGE)) + 1)))
    page = found[: max(1, min(limit, MOST_PAGE))]
    return CompanyPage(page, page[-1].id if len(found) > len(page) else None)


def _behind(key: Any, ascending: bool, last: Company) -> Any:
    """What comes after a row in an order; where nothing is known of it, in the order of ids at the end."""
    value, id = getattr(last, key.key), col(Company.id)
    if ascending:
        return or_(key > value, (key == value) & (id > last.id))
    if value is None:
        return key.is_(None) & (id < last.id)
    return or_(key < value, key.is_(None), (key == value) & (id < last.id))


def _wanted_ones(text: str, owner: str | None) -> Iterator[Any]:
    begins = sorted_by(" ".join(text.split()))
    if begins:
        by_domain = select(names.c.company_id).where(names.c.kind == "domain", names.c.value >= begins, names.c.value < begins + LAST)
        yield or_(col(Company.sort_name).startswith(begins, autoescape=True), col(Company.id).in_(by_domain))
    if owner is not None:
        yield col(Company.owner) == owner


def named(session: Session, company_ids: Collection[str]) -> dict[str, Company]:
    """Id -> company, of those that are there."""
    rows = session.scalars(select(Company).where(col(Company.id).in_(list(company_ids)), col(Company.gone) == ""))
    return {row.id: row for row in rows}
