"""Writing what many people say in a handful of statements, whatever their number: the costly part of an import.

Everything that decides is read once for all of them, every row is applied in its order to what stands in memory, and what changed is
written in bulk. The outcome is the one of `crm.people.profile` and `crm.consent.consent` called row by row, but for one thing: what a row changes in
fields and tags is one event `Contact Changed`, not one for each tag.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.consent import mailbox, suppression
from crm.consent.consent import Evidence, Standing, check, does_apply
from crm.imports import changes
from crm.imports.columns import Person, Said
from crm.people import phones, profile, touches
from crm.people.addresses import claim
from crm.people.identity import resolve_batch
from journeys.channels import ADDRESSED, address_of
from journeys.errors import Conflict, TooLarge
from models import Consent, ConsentState, Contact, Event, Tag, new_id
from storage import segment_marks
from storage.events import event_row, mark_new
from storage.identifiers import Name
from storage.json_values import clean_text
from storage.locks import lock_contacts
from storage.sql import on, table, upsert

consents, states, tags, events = table(Consent), table(ConsentState), table(Tag), table(Event)
_PHONES = frozenset({"phone", phones.FIELD})
Key = tuple[str, str, str]
"""(contact id, channel, purpose)"""


@dataclass(frozen=True, slots=True)
class WriteMode:
    """How rows are written. `source` names the events' source, `consent_source` where consents come from if a row does not say so;
    `proof` goes into every consent; `tags` are added to everybody; without `wake` what changes is history that wakes nobody. The first of `keys`
    hashes addresses that are suppressed."""

    source: str
    consent_source: str
    proof: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    region: str | None = None
    wake: bool = False
    keys: Sequence[bytes] = field(default=(), repr=False)
    import_id: str = ""
    """Under which what changes is kept, so that it can be undone; empty: it cannot."""


@dataclass(frozen=True, slots=True)
class Written:
    """How many contacts were made, and how many grants were withheld because without a date they cannot undo a withdrawal.

    `refused`: (index of the person, field, reason) of fields for which the contact has no room; the rest of that person is written.
    """

    created: int
    withheld: int
    refused: Sequence[tuple[int, str, str]] = ()
    changed: int = 0
    """Rows that changed a contact which was there before."""
    contact_ids: frozenset[str] = frozenset()


def _plain(standing: Standing | None) -> list[Any] | None:
    return [standing.state, standing.said_at.isoformat(), standing.dated] if standing else None


def write_people(session: Session, people: Sequence[Person], now: datetime, manner: WriteMode) -> Written:
    """Writes every person or raises at the first that cannot be written; then the caller rolls back.

    Raises:
        PfadwerkError: a name, tag or consent that cannot be stored.
    """
    history = () if manner.wake else range(len(people))
    names = [person.names for person in people]
    free = {name for one in names for name in one}
    free -= changes.held(session, free) if manner.import_id else free
    with nullcontext() if manner.wake else segment_marks.silently(session):  # also of contacts that a row of the file merges
        resolved = [found for found in resolve_batch(session, names, now, manner.region, history=history) if found]
    made = [found.contact_id for found in resolved if found.created]
    with session.no_autoflush:
        locked = lock_contacts(session, [found.contact_id for found in resolved])
        batch = _Batch(session, locked, now, manner, phoned=any(not _PHONES.isdisjoint(person.fields) for person in people))
        changed = 0
        for index, (person, found) in enumerate(zip(people, resolved, strict=True)):
            if found.contact_id not in locked:
                raise Conflict("The contact no longer exists.")
            before = batch.said_so_far
            batch.refused += [(index, name, reason) for name, reason in batch.add(locked[found.contact_id], person).items()]
            changed += found.contact_id not in made and (bool(found.merged) or batch.said_so_far != before)
            if found.merged:
                batch.whats[found.contact_id].merged = True
        batch.write()
    if manner.import_id:
        changes.keep(session, manner.import_id, made, batch.done(made, free), now)
    touches.record_all(session, [(contact_id, touches.made_by(manner.source, now)) for contact_id in made], made)
    touches.mark_new(session, made, now, silent=not manner.wake)
    merged = [event.id for found in resolved for event in found.events]
    if merged and not manner.wake:
        session.execute(update(Event).where(col(Event.id).in_(merged)).values(backfill=True, routed=True))
    return Written(sum(found.created for found in resolved), batch.withheld, batch.refused, changed, frozenset(locked))


class _Batch:
    """What stands about some contacts, and what rows have changed of it so far."""

    def __init__(
        self, session: Session, contacts: Mapping[str, Contact], now: datetime, manner: WriteMode, *, phoned: bool = False
    ) -> None:
        """`phoned`: rows say phone numbers, so further numbers may change."""
        self.session, self.now, self.manner = session, now, manner
        self.contacts, self.phoned = contacts, phoned
        self.words: list[mailbox.Word] = []
        self.moved: dict[str, Contact] = {}
        self.withheld = 0
        self.refused: list[tuple[int, str, str]] = []
        self.tags: dict[str, set[str]] = defaultdict(set)
        for id, tag in session.execute(sql_select(tags.c.contact_id, tags.c.tag).where(tags.c.contact_id.in_(contacts))):
            self.tags[id].add(tag)
        found = session.execute(sql_select(states).where(states.c.contact_id.in_(contacts)))
        self.states: dict[Key, Standing] = {
            (row.contact_id, row.channel, row.purpose): Standing(row.state, row.said_at, row.dated) for row in found
        }
        self.said = self._said() if self.states else set()
        self.new_tags: list[dict[str, Any]] = []
        self.new_consents: list[dict[str, Any]] = []
        self.new_states: dict[Key, Standing] = {}
        self.new_events: list[dict[str, Any]] = []
        self.claims: dict[str, dict[str, str]] = {}
        self.said_again: list[str] = []
        self.whats: dict[str, changes.What] = defaultdict(changes.What)
        self.before = self._look()

    def _look(self) -> dict[str, dict[str, Any]]:
        further = changes.further(self.session, self.contacts) if self.phoned and self.manner.import_id else {}
        return {id: changes.look(contact, further.get(id, ())) for id, contact in self.contacts.items()}

    def _said(self) -> set[tuple[Any, ...]]:
        """The statements there are, so that the same one is not logged twice."""
        wanted = (consents.c.contact_id, consents.c.channel, consents.c.purpose, consents.c.state, consents.c.source, consents.c.said_at)
        ids = {id for id, _, _ in self.states}
        return {tuple(row) for row in self.session.execute(sql_select(*wanted).where(consents.c.contact_id.in_(ids)))}

    @property
    def said_so_far(self) -> tuple[int, int]:
        """Grows with everything that changes."""
        return len(self.new_events), len(self.new_consents)

    def add(self, contact: Contact, person: Person) -> Mapping[str, str]:
        """One row, after those before it; returns the fields that found no room, with the reason."""
        properties, refused = self._fields(contact, person.fields)
        new = self._tags(contact.id, (*person.tags, *self.manner.tags))
        if new:
            self.whats[contact.id].tags += new
            properties = {"fields": [], **properties, "tags_added": new}
        if properties:
            contact.updated_at = self.now
            self._tell(contact.id, "Contact Changed", properties, self.manner.source)
        for said in person.consents:
            self.say(contact.id, said)
        for channel in person.suppress:
            self._suppress(channel, contact, person)
        return refused

    def _fields(self, contact: Contact, fields: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, str]]:
        if not fields:
            return {}, {}
        checked = profile.read_fields(self.session, fields, self.manner.region)
        free = {name: value for name, value in checked.values.items() if name not in profile.COLUMNS}
        refused = profile.written(contact.attributes, free)[1] if free else {}
        fitting = {name: value for name, value in checked.values.items() if name not in refused}
        fitted = profile.CheckedFields(fitting, checked.refused, checked.unfit, checked.phones)
        change = profile.write_with_phones(self.session, contact, fitted, self.now)
        if change is None:
            return {}, refused
        if change.claims:
            self.moved[contact.id] = contact
            self.claims[contact.id] = self.claims.get(contact.id, {}) | dict(change.claims)
        return change.properties, refused

    def _suppress(self, channel: str, contact: Contact, person: Person) -> None:
        named = dict(person.names).get(ADDRESSED.get(channel, ""))
        address = named or address_of(contact, channel)
        if address:
            self.whats[contact.id].suppressed = True
            suppression.suppress(self.session, self.manner.keys, channel, address, "import", self.now, self.manner.source)

    def _tags(self, contact_id: str, wanted: Iterable[str]) -> list[str]:
        new = [tag for tag in dict.fromkeys(map(profile.read_tag, wanted)) if tag not in self.tags[contact_id]]
        if len(self.tags[contact_id]) + len(new) > profile.MAX_TAGS:
            raise TooLarge("A contact has at most {limit} tags.", limit=profile.MAX_TAGS)
        self.tags[contact_id] |= set(new)
        self.new_tags += [{"contact_id": contact_id, "tag": tag, "added_at": self.now} for tag in new]
        return new

    def say(self, contact_id: str, said: Said, proof: Mapping[str, Any] | None = None) -> None:
        """One statement; `proof` goes into it beside the import's own."""
        check(said.channel, said.purpose, said.state)
        key = (contact_id, said.channel, said.purpose)
        present = self.states.get(key)
        dated = said.said_at is not None
        said_at = min(said.said_at or self.now, self.now)
        applies = does_apply(present, said.state, said_at, Evidence.DATED if dated else Evidence.UNDATED)
        if present is not None and not applies and not dated:
            self.withheld += present.state == "withdrawn"
            return
        source = clean_text(said.source or self.manner.consent_source)[:200]
        statement = (*key, said.state, source, said_at)
        if present is not None and statement in self.said:
            return
        self.said.add(statement)
        proof = {**self.manner.proof, **(proof or {}), "dated": dated}
        self.new_consents.append(
            {
                "contact_id": contact_id,
                "channel": said.channel,
                "purpose": said.purpose,
                "state": said.state,
                "source": source,
                "wording": clean_text(said.wording)[:4_000],
                "proof": proof if applies else {**proof, "applied": False},
                "said_at": said_at,
                "recorded_at": self.now,
            }
        )
        if not applies:
            return
        now_stands = self.states[key] = self.new_states[key] = Standing(said.state, said_at, dated)
        what, new = self.whats[contact_id], {f"{said.channel} {said.purpose}": [_plain(present), _plain(now_stands)]}
        what.consents = changes.then(what.consents, new, stays=changes.is_no)
        if dated or (present.state if present else None) != said.state == "withdrawn":
            self.words += mailbox.words(self.contacts[contact_id], said.channel, said.purpose, said.state, said_at)
        if present is None or present.state != said.state:
            self._tell(contact_id, "Consent Changed", {"channel": said.channel, "purpose": said.purpose, "state": said.state}, "system")
        else:
            self.said_again.append(contact_id)

    def _tell(self, contact_id: str, name: str, properties: Mapping[str, Any], source: str) -> None:
        wakes = self.manner.wake
        row = event_row(
            "system", name, properties, received_at=self.now, source=source, message_id=new_id(), routed=not wakes, backfill=not wakes
        )
        self.new_events.append({"contact_id": contact_id, **row})

    def done(self, made: Collection[str], free: Collection[Name]) -> dict[str, changes.What]:
        """What changed of each contact; of new ones only what is undone where they stay, and what stays where they go. `free`: names of the rows that
        nobody had."""
        names, after = changes.new_names(self.session, [id for id in self.contacts if id not in made], free, self.now), self._look()
        for id in self.contacts:
            if id not in made and (fields := changes.differences(self.before[id], after[id])):
                self.whats[id].fields = fields
            if id in names:
                self.whats[id].names = names[id]
        for id in made:  # they go as a whole, unless they are in use by then
            what = self.whats[id]
            self.whats[id] = changes.What(consents=what.consents, merged=what.merged, suppressed=what.suppressed)
        return {id: what for id, what in self.whats.items() if what.to_json()}

    def write(self) -> None:
        """Everything that changed, one statement a table."""
        self.session.flush()
        connection, session = on(self.session), self.session
        if self.claims:
            claim(session, self.claims, self.now)
        if self.new_tags:
            connection.execute(insert(tags), self.new_tags)
        if self.new_consents:
            connection.execute(insert(consents), self.new_consents)
        if self.new_states:
            statement = upsert(session, ConsentState)
            new = {name: statement.excluded[name] for name in Standing._fields}
            keys = ["contact_id", "channel", "purpose"]
            rows = [dict(zip((*keys, *Standing._fields), (*key, *standing), strict=True)) for key, standing in self.new_states.items()]
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), rows)
        if self.new_events:
            connection.execute(insert(events), self.new_events)
            mark_new(session, self.new_events)
        segment_marks.mark(session, self.said_again, {"consent"}, self.now, silent=not self.manner.wake)
        mailbox.write(session, self.words)
        withdrawn = {contact_id for (contact_id, _, _), standing in self.states.items() if standing.state == "withdrawn"}
        for contact_id in sorted(withdrawn & self.moved.keys()):
            mailbox.carry(session, self.moved[contact_id])


def write_consents(session: Session, said: Sequence[tuple[Contact, Said, str]], now: datetime, manner: WriteMode) -> Written:
    """Records statements of contacts that the caller holds, in their order, as a row of a contact's file would: (contact, statement, proof).

    Raises:
        PfadwerkError: a statement that cannot be stored.
    """
    with session.no_autoflush:
        batch = _Batch(session, {contact.id: contact for contact, _, _ in said}, now, manner)
        changed = 0
        for contact, one, proof in said:
            before = batch.said_so_far
            batch.say(contact.id, one, {"file": clean_text(proof)[:2_000]} if proof else {})
            changed += batch.said_so_far != before
        batch.write()
    if manner.import_id:
        changes.keep(session, manner.import_id, (), batch.done((), ()), now)
    return Written(0, batch.withheld, (), changed, frozenset(batch.contacts))
