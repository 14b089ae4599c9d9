"""Two contacts become one. Everything the loser had moves to the winner; nothing that was said or done is lost.

- names, events, messages, tasks, histories: move. Tags: union. Scores: added up (a score is the sum of its history).
- touches: the earliest first and the latest last one.
- fields: the winner's, and the loser's where the winner has none. Phone numbers of both are kept, the loser's main one as a further one.
- consent: the stricter of two statements per channel and purpose; where only one of the two ever spoke, that statement stands.
- runs move, and open ones say so in their timeline; where the re-entry policy allows one open run, the younger ends with the reason `merged`.
- what one contact did reaches the inboxes of the other's runs, so that an order made before logging in still ends a cart journey.

Suppressions are by address and need no move. Events of a merge are not routed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import delete, func, update
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col, select

from crm.companies import members as company_members
from crm.consent import mailbox
from crm.consent.consent import put_state, stricter
from crm.people import devices, duplicates, touches
from crm.people.addresses import settle_shared
from crm.people.scores import MAX_SCORE
from crm.people.touches import Standing
from crm.scoring import booked, grades
from crm.segments import members
from journeys.errors import Conflict, NotFound
from journeys.topics import LEAD_SOURCE_CHANGED, MOST_FIELDS
from models import (
    Body,
    Consent,
    ConsentState,
    Contact,
    ContactPhone,
    Coupon,
    Device,
    Event,
    FormSubmission,
    Identity,
    InAppMessage,
    Link,
    MailboxConsent,
    Merge,
    MergeMoved,
    Message,
    Note,
    OptIn,
    PersonalMail,
    Refusal,
    Run,
    Score,
    ScoreChange,
    Subscription,
    Tag,
    Task,
)
from storage import segment_marks
from storage.events import append_event
from storage.json_values import MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, same, size
from storage.locks import lock_contacts
from storage.run_rows import deliver, end_runs, open_runs, surplus
from storage.run_trail import note_beside
from storage.sql import table

MOVED: tuple[type[SQLModel], ...] = (
    Identity,
    Event,
    Consent,
    ScoreChange,
    Task,
    Message,
    Body,
    Refusal,
    Subscription,
    Run,
    Link,
    OptIn,
    FormSubmission,
    InAppMessage,
    Device,
    ContactPhone,
    Coupon,
    Note,
    PersonalMail,
)
"""Tables whose rows simply change hands."""

MOVED_KEYS: Mapping[type[SQLModel], tuple[str, ...]] = {Identity: ("kind", "value"), Subscription: ("run_id",)}
"""What names a row of a moved table, where it is not its id."""

FIELDS = ("email", "phone", "postal_address", "first_name", "last_name", "locale", "timezone", "lifecycle_stage", "owner")


@dataclass(slots=True)
class Merged:
    """`events`: what changed for the winner, not yet routed. `to_wake`: runs that ended or got something into their inbox."""

    winner_id: str
    events: list[Event] = field(default_factory=list)
    to_wake: list[str] = field(default_factory=list)


def merge(session: Session, winner_id: str, loser_id: str, now: datetime, reason: str = "manual") -> Merged:
    """Makes the loser part of the winner. A second call with the same pair changes nothing.

    Raises:
        NotFound: one of the contacts does not exist.
        Conflict: one of them was erased, or has become part of a third contact.
    """
    contacts = lock_contacts(session, [winner_id, loser_id])
    if winner_id not in contacts or loser_id not in contacts:
        raise NotFound("There is no such contact.")
    winner, loser = contacts[winner_id], contacts[loser_id]
    if winner_id == loser_id or loser.merged_into == winner_id:
        return Merged(winner_id)
    if winner.merged_into or loser.merged_into or winner.erased_at or loser.erased_at:
        raise Conflict("A contact that was erased or merged before cannot be merged.")
    return _merge(session, winner, loser, now, reason)


def _merge(session: Session, winner: Contact, loser: Contact, now: datetime, reason: str) -> Merged:
    done = Merged(winner.id)
    session.flush()
    line = Merge(winner_id=winner.id, loser_id=loser.id, reason=reason, kept={}, merged_at=now)
    session.add(line)
    session.flush()
    kept = _kept(session, winner, loser)
    done.to_wake += deliver(session, winner.id, loser.id, now) + deliver(session, loser.id, winner.id, now)
    ended = end_runs(session, surplus(session, open_runs(session, [winner.id, loser.id])), "merged", now)
    done.to_wake += ended
    tags = _merge_tags(session, winner.id, loser.id)
    scores = _merge_scores(session, winner.id, loser.id, now)
    consents = _merge_consents(session, winner.id, loser.id, now)
    for run in open_runs(session, [loser.id]):
        note_beside(session, run, "merged", now, {"contact": loser.id})
    for model in MOVED:
        _move(session, line, model, winner.id, loser.id)
    mailbox.move(session, winner.id, loser.id)
    phone_row = _keep_number(session, winner, loser, now)
    fields = _merge_fields(winner, loser, now)
    came = _merge_touches(session, winner.id, loser.id)
    lists = members.hand_over(session, winner.id, loser.id, now)
    company, joined = company_members.hand_over(session, winner.id, loser.id, now)
    given = booked.hand_over(session, winner.id, loser.id)
    grades.drop(session, loser, now)
    line.kept = kept | {
        "moved": True,
        "lists": lists,
        "touches": [touches.as_json(one) for one in came],
        "company": company,
        **given,
        "ended": ended,
        "merged_states": _rows(_states(session, winner.id)),
        "given": kept["given"]
        | {
            "fields": [name for name in fields if name in FIELDS],
            "attributes": sorted(set(winner.attributes) - set(kept["given"]["own"])),
            "tags": tags,
            "phone_row": phone_row,
            "scores": {change["group"]: change["after"] - change["before"] for change in scores},
        },
    }
    session.add_all((winner, loser, line))
    mailbox.carry(session, winner)
    session.execute(update(Contact).where(col(Contact.merged_into) == loser.id).values(merged_into=winner.id))
    session.flush()
    duplicates.joined(session, winner.id, loser.id)
    settle_shared(session, winner.id)
    devices.settle(session, (winner, loser), now)
    segment_marks.mark_for_all(session, [winner.id], now)
    done.events += joined
    done.events += _events(session, winner.id, fields, tags, scores, consents, now)
    if (change := touches.changed(came[0], came[2])) is not None:
        done.events.append(append_event(session, winner.id, "system", LEAD_SOURCE_CHANGED, touches.told(change), now, source="merge"))
    done.to_wake = sorted(set(done.to_wake))
    return done


def _events(
    session: Session,
    contact_id: str,
    fields: list[str],
    tags: list[str],
    scores: list[dict[str, Any]],
    consents: list[dict[str, Any]],
    now: datetime,
) -> Iterable[Event]:
    if fields or tags:
        properties = {"fields": fields[:MOST_FIELDS], "tags_added": tags}
        yield append_event(session, contact_id, "system", "Contact Changed", properties, now, source="merge")
    for properties in scores:
        yield append_event(session, contact_id, "system", "Score Changed", properties, now, source="merge")
    for properties in consents:
        yield append_event(session, contact_id, "system", "Consent Changed", properties, now, source="merge")


KEYS_A_ROW = 500


def _move(session: Session, line: Merge, model: type[SQLModel], winner_id: str, loser_id: str) -> None:
    """Gives the loser's rows of a table to the winner, and notes their keys."""
    holder = cast(Any, model).contact_id
    keys = [getattr(model, name) for name in MOVED_KEYS.get(model, ("id",))]
    moved = session.execute(update(model).where(holder == loser_id).values(contact_id=winner_id).returning(*keys)).all()
    found = sorted({row[0] if len(keys) == 1 else tuple(row) for row in moved})
    for part, start in enumerate(range(0, len(found), KEYS_A_ROW)):
        kept: list[Any] = [list(key) if isinstance(key, tuple) else key for key in found[start : start + KEYS_A_ROW]]
        session.add(MergeMoved(merge_id=line.id or 0, kind=table(model).name, part=part, keys=kept))


def _rows(states: Iterable[ConsentState]) -> list[list[Any]]:
    return sorted([row.channel, row.purpose, row.state, row.said_at.isoformat(), row.dated] for row in states)


def _kept(session: Session, winner: Contact, loser: Contact) -> dict[str, Any]:
    """What both were, for people who have to undo or explain a merge."""
    names = session.execute(select(Identity.kind, Identity.value).where(Identity.contact_id == loser.id))
    states = session.scalars(select(ConsentState).where(ConsentState.contact_id == loser.id))
    scores = session.scalars(select(Score).where(Score.contact_id == loser.id)).all()
    words = session.scalars(select(MailboxConsent).where(MailboxConsent.contact_id == loser.id))
    tags = session.execute(select(Tag.tag, Tag.added_at).where(Tag.contact_id == loser.id)).all()
    ours = session.scalars(select(Score.score_group).where(Score.contact_id == winner.id)).all()
    theirs = [row.score_group for row in scores]
    return {
        "absorbed": sorted(session.scalars(select(Contact.id).where(Contact.merged_into == loser.id))),
        "states": _rows(_states(session, loser.id)),
        "winner_states": _rows(_states(session, winner.id)),
        "mailboxes": [[row.channel, row.mailbox, row.purpose, row.state, row.said_at.isoformat(), row.proven] for row in words],
        "tag_rows": sorted([tag, added_at.isoformat()] for tag, added_at in tags),
        "given": {
            "own": sorted(winner.attributes),
            "created_at": winner.created_at.isoformat(),
            "last_seen_at": winner.last_seen_at.isoformat() if winner.last_seen_at else None,
            "demo": winner.demo,
            "new_scores": sorted(set(theirs) - set(ours)),
        },
        "contact": loser.model_dump(mode="json"),
        "names": sorted([kind, value] for kind, value in names),
        "tags": sorted(tag for tag, _ in tags),
        "scores": {row.score_group: row.value for row in scores},
        "consents": [[row.channel, row.purpose, row.state, row.said_at.isoformat()] for row in states],
        "runs": sorted(session.scalars(select(Run.id).where(Run.contact_id == loser.id))),
    }


def _merge_tags(session: Session, winner_id: str, loser_id: str) -> list[str]:
    has = set(session.scalars(select(Tag.tag).where(Tag.contact_id == winner_id)))
    rows = session.execute(select(Tag.tag, Tag.added_at).where(Tag.contact_id == loser_id)).all()
    session.execute(delete(Tag).where(col(Tag.contact_id) == loser_id))
    new = [Tag(contact_id=winner_id, tag=tag, added_at=added_at) for tag, added_at in rows if tag not in has]
    session.add_all(new)
    session.flush()
    return sorted(row.tag for row in new)


def _merge_scores(session: Session, winner_id: str, loser_id: str, now: datetime) -> list[dict[str, Any]]:
    rows = session.execute(select(Score.score_group, Score.value).where(Score.contact_id == loser_id)).all()
    session.execute(delete(Score).where(col(Score.contact_id) == loser_id))
    changes = []
    for group, points in rows:
        row = session.get(Score, (winner_id, group)) or Score(contact_id=winner_id, score_group=group, value=0.0, changed_at=now)
        before = row.value
        row.value, row.changed_at = max(-MAX_SCORE, min(MAX_SCORE, before + points)), now
        session.add(row)
        if row.value != before:
            changes.append({"group": group, "before": before, "after": row.value})
    session.flush()
    return changes


def _merge_consents(session: Session, winner_id: str, loser_id: str, now: datetime) -> list[dict[str, Any]]:
    """Writes the stricter state per channel and purpose; the log gets a line wherever its newest would say something else."""
    newest = _newest(session, (winner_id, loser_id))
    theirs = {(row.channel, row.purpose): row for row in _states(session, loser_id)}
    ours = {(row.channel, row.purpose): row for row in _states(session, winner_id)}
    changes = []
    for key, lost in sorted(theirs.items()):
        channel, purpose = key
        kept = ours.get(key)
        state = stricter(kept.state, lost.state) if kept else lost.state
        said = [row for row in (kept, lost) if row is not None and row.state == state]
        said_at = max(row.said_at for row in said)
        if kept is None or state != kept.state:
            changes.append({"channel": channel, "purpose": purpose, "state": state})
        if newest.get(key) != state:
            session.add(verdict(winner_id, channel, purpose, state, said_at, now))
        session.delete(lost)
        put_state(session, kept, winner_id, channel, purpose, state, said_at, any(row.dated for row in said))
    for key, kept in ours.items():
        if key not in theirs and newest.get(key) != kept.state:
            session.add(verdict(winner_id, *key, kept.state, kept.said_at, now))
    session.flush()
    return changes


def verdict(contact_id: str, channel: str, purpose: str, state: str, said_at: datetime, now: datetime, source: str = "merge") -> Consent:
    """The line of the log that says what holds after a merge or its undoing, where the newest one says something else."""
    return Consent(
        contact_id=contact_id,
        channel=channel,
        purpose=purpose,
        state=state,
        source=source,
        proof={"method": "the stricter of two merged contacts" if source == "merge" else "what each had said before the merge"},
        said_at=said_at,
        recorded_at=now,
    )


def _states(session: Session, contact_id: str) -> list[ConsentState]:
    return list(session.scalars(select(ConsentState).where(ConsentState.contact_id == contact_id)))


def _newest(session: Session, contact_ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """(channel, purpose) -> state of the newest log line of any of the contacts."""
    last = select(func.max(Consent.id)).where(col(Consent.contact_id).in_(list(contact_ids))).group_by(Consent.channel, Consent.purpose)
    rows = session.execute(select(Consent.channel, Consent.purpose, Consent.state).where(col(Consent.id).in_(last)))
    return {(channel, purpose): state for channel, purpose, state in rows}


def _keep_number(session: Session, winner: Contact, loser: Contact, now: datetime) -> int | None:
    """The loser's main number as a further one of the winner, if that has another main one; the id of the new row."""
    if not loser.phone or winner.phone in (None, loser.phone):
        return None
    row = ContactPhone(contact_id=winner.id, phone=loser.phone, created_at=now)
    session.add(row)
    session.flush()
    return row.id


def _merge_touches(session: Session, winner_id: str, loser_id: str) -> tuple[Standing | None, Standing | None, Standing | None]:
    """The earliest first and the latest last touch are the winner's. Returns those of the winner, of the loser, and of both."""
    found = touches.of(session, (winner_id, loser_id))
    ours, theirs = found.get(winner_id), found.get(loser_id)
    both = touches.joined(ours, theirs)
    if theirs is not None and both is not None:
        touches.forget(session, [loser_id])
        touches.put(session, {winner_id: both})
    return ours, theirs, both


def _merge_fields(winner: Contact, loser: Contact, now: datetime) -> list[str]:
    changed = [name for name in FIELDS if getattr(winner, name) is None and getattr(loser, name) is not None]
    for name in changed:
        setattr(winner, name, getattr(loser, name))
    attributes = dict(winner.attributes)
    for name, value in loser.attributes.items():
        attributes.setdefault(name, value)
    if len(attributes) <= MAX_ATTRIBUTES and size(attributes) <= MAX_ATTRIBUTES_BYTES and not same(attributes, winner.attributes):
        changed += sorted(set(attributes) - set(winner.attributes))
        winner.attributes = attributes
    winner.created_at = min(winner.created_at, loser.created_at)
    winner.last_seen_at = max((seen for seen in (winner.last_seen_at, loser.last_seen_at) if seen), default=None)
    winner.demo = winner.demo and loser.demo
    winner.vouched = winner.vouched or loser.vouched
    winner.updated_at = loser.updated_at = now
    loser.merged_into = winner.id
    for name in FIELDS:
        setattr(loser, name, None)
    loser.attributes = {}
    return changed
