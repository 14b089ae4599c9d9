"""What an import changes of each contact, kept so that the whole import can be undone (`crm.imports.undo`).

One row for each contact, whatever the number of its lines: of a field the value before the first of them and after the last. What undoing cannot
take back (merges, withdrawals, suppressed addresses) is kept too, to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.people import phones
from models import Contact, ContactPhone, Identity, ImportChange
from storage.identifiers import Name
from storage.sql import on, table, upsert

COLUMNS = ("email", "phone", "postal_address", "first_name", "last_name", "locale", "timezone", "lifecycle_stage", "owner")
ATTRIBUTE = "attributes."
changes, identities, numbers = table(ImportChange), table(Identity), table(ContactPhone)


@dataclass(slots=True)
class What:
    """`fields`: name -> [before, after], attributes by their first part (`attributes.plan`), absent as None; `phones` are the further numbers. `tags`
    that were added, `names` that it became known by, `consents`: `channel purpose` -> [standing before or None, after], a standing as
    [state, ISO instant, dated]; a no that the file said itself is what stood before its later yes. `lists`: ids of segments it was put
    on. `events`: it got some of the file. `merged`, `suppressed`: what cannot be taken back."""

    fields: dict[str, list[Any]] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    names: list[list[str]] = field(default_factory=list)
    consents: dict[str, list[Any]] = field(default_factory=dict)
    lists: list[int] = field(default_factory=list)
    events: bool = False
    merged: bool = False
    suppressed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> What:
        return cls(**stored)

    def then(self, later: What) -> What:
        """Both, one after the other."""
        return What(
            then(self.fields, later.fields),
            [*dict.fromkeys((*self.tags, *later.tags))],
            self.names + [name for name in later.names if name not in self.names],
            then(self.consents, later.consents, stays=is_no),
            [*dict.fromkeys((*self.lists, *later.lists))],
            self.events or later.events,
            self.merged or later.merged,
            self.suppressed or later.suppressed,
        )


def then(
    first: Mapping[str, list[Any]], later: Mapping[str, list[Any]], stays: Callable[[Any], bool] = lambda _: False
) -> dict[str, list[Any]]:
    """Pairs of before and after, one after the other. What somebody else put there in between is what stood before, and so is what `stays`."""
    found = dict(first)
    for name, (before, after) in later.items():
        known = first.get(name)
        found[name] = [known[0] if known is not None and known[1] == before and not stays(before) else before, after]
    return found


def is_no(standing: Any) -> bool:
    """Whether this standing of a consent is a withdrawal: no undo takes one back."""
    return standing is not None and standing[0] == "withdrawn"


def look(contact: Contact, further: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a contact as they are now; `further`: its phone numbers beside the main one."""
    found: dict[str, Any] = {name: getattr(contact, name) for name in COLUMNS}
    found |= {ATTRIBUTE + name: value for name, value in contact.attributes.items()}
    return found | ({phones.FIELD: list(further)} if further else {})


def further(session: Session, contacts: Mapping[str, Contact]) -> dict[str, list[str]]:
    """Contact id -> its further numbers, as `crm.people.phones.further` lists them."""
    found: dict[str, list[str]] = {}
    rows = select(numbers.c.contact_id, numbers.c.phone).where(numbers.c.contact_id.in_(contacts)).order_by(numbers.c.id)
    for id, phone in session.execute(rows):
        if phone != contacts[id].phone and phone not in found.setdefault(id, []):
            found[id].append(phone)
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: [before.get(name), after.get(name)] for name in names}


def keep(session: Session, import_id: str, made: Collection[str], whats: Mapping[str, What], now: datetime) -> None:
    """Stores what a chunk changed, on top of what the chunks before did. `made`: contacts that it made. The caller holds their locks."""
    ids = {*made, *whats}
    if not ids:
        return
    known = {
        row.contact_id: (row.made, What.read(row.what))
        for row in on(session).execute(select(changes).where(changes.c.import_id == import_id, changes.c.contact_id.in_(ids)))
    }
    nothing = (False, What())
    rows = []
    for id in sorted(ids):
        was_made, before = known.get(id, nothing)
        is_made = was_made or id in made
        what = before.then(whats.get(id, What()))
        rows.append({"import_id": import_id, "contact_id": id, "made": is_made, "what": what.to_json(), "at": now, "kept": ""})
    statement = upsert(session, ImportChange)
    new = {name: statement.excluded[name] for name in ("made", "what", "at")}
    on(session).execute(statement.on_conflict_do_update(index_elements=["import_id", "contact_id"], set_=new), rows)


def held(session: Session, names: Collection[Name]) -> set[Name]:
    """Those of the names that somebody is known by."""
    wanted = select(identities.c.kind, identities.c.value).where(identities.c.value.in_({value for _, value in names}))
    kinds = {kind for kind, _ in names}
    return {(kind, value) for kind, value in on(session).execute(wanted.where(identities.c.kind.in_(kinds)))} if names else set()


def new_names(session: Session, contact_ids: Iterable[str], names: Collection[Name], now: datetime) -> dict[str, list[list[str]]]:
    """Contact id -> which of the names, that nobody had before, it got at this instant."""
    found: dict[str, list[list[str]]] = {}
    if not names:
        return found
    wanted = select(identities.c.contact_id, identities.c.kind, identities.c.value).where(
        identities.c.contact_id.in_(list(contact_ids)), identities.c.created_at == now
    )
    for id, kind, value in on(session).execute(wanted.order_by(identities.c.kind, identities.c.value)):
        if (kind, value) in names:
            found.setdefault(id, []).append([kind, value])
    return found
