"""Two contacts that became one are two again: what a merge moved goes back, and what cannot be split is said.

Only the newest merge of a contact can be undone, so that what later ones put on top is taken off first. What happened after the merge stays with
the contact that stayed; where the two allowed different things and somebody has spoken since, the stricter holds for both. Runs that
the merge ended stay ended. Who was parted is remembered as different (`crm.people.duplicates`): no call merges them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.companies import members as company_members
from crm.consent import mailbox
from crm.consent.consent import put_state, stricter
from crm.people import devices, duplicates, touches
from crm.people.addresses import claim, settle_shared
from crm.people.merge import FIELDS, MOVED, verdict
from crm.people.scores import MAX_SCORE
from crm.people.touches import Change
from crm.scoring import booked
from crm.segments import members
from journeys.errors import Conflict, NotFound
from journeys.topics import LEAD_SOURCE_CHANGED
from models import (
    Body,
    ConsentState,
    Contact,
    ContactPhone,
    Event,
    Identity,
    Merge,
    MergeMoved,
    Message,
    Run,
    Score,
    Subscription,
    Tag,
)
from storage import segment_marks
from storage.events import append_event
from storage.json_values import same
from storage.locks import lock_contacts
from storage.run_trail import note_beside
from storage.sql import table
from workspace.audit import record

LEFT = (
    "runs_ended",  # by the merge: they cannot go on where they were
    "names",  # that somebody has taken meanwhile
    "fields",  # that were changed since
    "scores",  # that had reached their bounds
    "later",  # what happened after the merge
)
"""What an undo may have to leave with the contact that stayed."""


@dataclass(slots=True)
class Parted:
    """`left`: which of `LEFT` could not be split. `events`: what changed for either, not yet routed. `to_wake`: runs that changed hands."""

    winner_id: str
    loser_id: str
    left: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    to_wake: list[str] = field(default_factory=list)


def newest(session: Session, contact_id: str) -> Merge | None:
    """The merge that can be undone now: the newest into this contact that was not undone, if it kept what it moved."""
    merges = select(Merge).where(Merge.winner_id == contact_id, col(Merge.undone_at).is_(None)).order_by(col(Merge.id).desc()).limit(1)
    found: Merge | None = session.scalar(merges)
    return found if found is not None and "moved" in found.kept else None


def unmerge(session: Session, merge_id: int, by: str, now: datetime) -> Parted:
    """Undoes a merge, audited.

    Raises:
        NotFound: no such merge.
        Conflict: it was undone, a later one must be undone first, the contact was erased, or the merge is older than this function.
    """
    found = session.get(Merge, merge_id)
    if found is None:
        raise NotFound("There is no such merge.")
    contacts = lock_contacts(session, [found.winner_id, found.loser_id])
    session.refresh(found)
    winner, loser = contacts[found.winner_id], contacts[found.loser_id]
    _refuse(session, found, winner, loser)
    done = Parted(winner.id, loser.id)
    session.flush()
    kept = found.kept
    moved = _moved(session, merge_id)
    _move_back(session, found, moved, now, done)
    _number_back(session, winner.id, kept)
    changed = _fields_back(winner, loser, kept, now, done)
    tags = _tags_back(session, winner.id, loser.id, kept)
    _scores_back(session, winner.id, loser.id, kept, now, done)
    consents = _consents_back(session, winner.id, loser.id, kept, now)
    _mailboxes_back(session, loser.id, kept)
    came = _touches_back(session, winner.id, loser.id, kept)
    loser.merged_into = None
    session.execute(update(Contact).where(col(Contact.id).in_(kept["absorbed"])).values(merged_into=loser.id))
    found.undone_at, found.undone_by = now, by[:120]
    session.add_all((winner, loser, found))
    session.flush()
    for contact in (winner, loser):
        mailbox.carry(session, contact)
        claim(session, {contact.id: {kind: value for kind in duplicates.SUGGESTS if (value := getattr(contact, kind))}}, now)
        settle_shared(session, contact.id)
    devices.settle(session, (winner, loser), now)
    members.hand_back(session, winner.id, loser.id, kept.get("lists", {}), now)
    done.events += company_members.hand_back(session, winner.id, loser.id, kept.get("company", {}), now)
    done.events += booked.hand_back(session, winner.id, loser.id, kept, now)
    segment_marks.mark_for_all(session, (winner.id, loser.id), now)
    duplicates.keep_apart(session, winner.id, loser.id, by, now)
    record(session, by, "contact.unmerge", f"contact:{winner.id}", {"merge": merge_id, "other": loser.id, "left": done.left})
    done.events += _events(session, winner.id, loser.id, changed, tags, consents, now)
    for contact_id, change in came.items():
        done.events.append(append_event(session, contact_id, "system", LEAD_SOURCE_CHANGED, touches.told(change), now, source="unmerge"))
    return done


def _refuse(session: Session, found: Merge, winner: Contact, loser: Contact) -> None:
    if found.undone_at is not None:
        raise Conflict("This merge was undone already.")
    if winner.erased_at is not None or loser.erased_at is not None:
        raise Conflict("A contact that was erased cannot be unmerged.")
    if winner.merged_into is not None or newest(session, winner.id) not in (None, found):
        raise Conflict("Later merges of this contact must be undone first.")
    if "moved" not in found.kept:
        raise Conflict("This merge is older than the history that an undo needs.")


def _moved(session: Session, merge_id: int) -> dict[str, list[Any]]:
    """Table -> keys of the rows that changed hands."""
    moved: dict[str, list[Any]] = {}
    rows = select(MergeMoved).where(MergeMoved.merge_id == merge_id).order_by(col(MergeMoved.kind), col(MergeMoved.part))
    for row in session.scalars(rows):
        moved.setdefault(row.kind, []).extend(row.keys)
    return moved


PAGE = 500


def _pages(keys: list[Any]) -> Iterable[list[Any]]:
    return (keys[start : start + PAGE] for start in range(0, len(keys), PAGE))


def _move_back(session: Session, found: Merge, moved: Mapping[str, list[Any]], now: datetime, done: Parted) -> None:
    """Rows go back by their keys; what the loser's runs and messages have brought since goes with them."""
    winner_id, loser_id = found.winner_id, found.loser_id
    back = {"contact_id": loser_id}
    for model in MOVED:
        rows = table(model)
        if model in (Identity, Subscription):
            continue
        for keys in _pages(moved.get(rows.name, [])):
            session.execute(update(rows).where(rows.c.id.in_(keys), rows.c.contact_id == winner_id).values(back))
    names = table(Identity)
    for kind, value in moved.get("identity", []):
        given = session.execute(
            update(names).where(names.c.kind == kind, names.c.value == value, names.c.contact_id == winner_id).values(back)
        )
        if not given.rowcount and "names" not in done.left:  # type: ignore[attr-defined]
            done.left.append("names")
    for keys in _pages(moved.get("run", [])):
        for model in (Subscription, Message):
            rows = table(model)
            session.execute(update(rows).where(rows.c.run_id.in_(keys), rows.c.contact_id == winner_id).values(back))
        sent = sql_select(table(Message).c.body_id).where(table(Message).c.run_id.in_(keys), table(Message).c.body_id.is_not(None))
        session.execute(update(table(Body)).where(table(Body).c.id.in_(sent)).values(back))
        for run in session.scalars(select(Run).where(col(Run.id).in_(keys), Run.contact_id == loser_id, col(Run.ended_at).is_(None))):
            note_beside(session, run, "parted", now, {"contact": winner_id})
            done.to_wake.append(run.id)
    if found.kept["ended"]:
        done.left.append("runs_ended")
    later = select(Event.id).where(Event.contact_id == winner_id, col(Event.received_at) > found.merged_at, Event.type != "system").limit(1)
    if session.scalar(later) is not None:
        done.left.append("later")


def _number_back(session: Session, winner_id: str, kept: Mapping[str, Any]) -> None:
    """The loser's main number is no further one of the winner any more."""
    numbers, row = table(ContactPhone), kept["given"].get("phone_row")
    session.execute(delete(numbers).where(numbers.c.id == row, numbers.c.contact_id == winner_id))


def _fields_back(winner: Contact, loser: Contact, kept: Mapping[str, Any], now: datetime, done: Parted) -> dict[str, list[str]]:
    """The loser is what it was; the winner gives back what it had only from the loser, unless that was changed since."""
    was, given = Contact.model_validate(kept["contact"]), kept["given"]
    changed: dict[str, list[str]] = {winner.id: [], loser.id: []}
    for name in FIELDS:
        setattr(loser, name, getattr(was, name))
        if getattr(was, name) is not None:
            changed[loser.id].append(name)
    loser.attributes = was.attributes
    changed[loser.id] += sorted(was.attributes)
    for name in given["fields"]:
        if getattr(winner, name) == getattr(was, name):
            setattr(winner, name, None)
            changed[winner.id].append(name)
        elif "fields" not in done.left:
            done.left.append("fields")
    attributes = dict(winner.attributes)
    for name in given["attributes"]:
        if name in attributes and same(attributes[name], was.attributes.get(name)):
            del attributes[name]
            changed[winner.id].append(name)
        elif name in attributes and "fields" not in done.left:
            done.left.append("fields")
    winner.attributes = attributes
    winner.created_at = datetime.fromisoformat(given["created_at"])
    winner.demo = given["demo"]
    loser.last_seen_at, loser.created_at = was.last_seen_at, was.created_at
    winner.updated_at = loser.updated_at = now
    return changed


def _tags_back(session: Session, winner_id: str, loser_id: str, kept: Mapping[str, Any]) -> dict[str, list[str]]:
    """contact id -> tags that it has now (loser) or lost (winner)."""
    tags = table(Tag)
    gone = sorted(kept["given"]["tags"])
    taken = session.scalars(sql_select(tags.c.tag).where(tags.c.contact_id == winner_id, tags.c.tag.in_(gone))).all()
    session.execute(delete(tags).where(tags.c.contact_id == winner_id, tags.c.tag.in_(gone)))
    added = kept["tag_rows"]
    if added:
        session.execute(insert(tags), [{"contact_id": loser_id, "tag": tag, "added_at": datetime.fromisoformat(at)} for tag, at in added])
    return {winner_id: list(taken), loser_id: sorted(tag for tag, _ in added)}


def _scores_back(session: Session, winner_id: str, loser_id: str, kept: Mapping[str, Any], now: datetime, done: Parted) -> None:
    """The loser has its points again and the winner so many less."""
    for group, points in sorted(kept["scores"].items()):
        session.merge(Score(contact_id=loser_id, score_group=group, value=points, changed_at=now))
        row = session.get(Score, (winner_id, group))
        if row is None:
            continue
        added = kept["given"]["scores"].get(group, 0.0)
        if abs(row.value) == MAX_SCORE or added != points:
            done.left += ["scores"] if "scores" not in done.left else []
        if group in kept["given"]["new_scores"] and row.value == added:
            session.delete(row)
        else:
            row.value, row.changed_at = max(-MAX_SCORE, min(MAX_SCORE, row.value - added)), now
            session.add(row)


Key = tuple[str, str]
Said = tuple[str, datetime, bool]


def _read(rows: Iterable[Any]) -> dict[Key, Said]:
    return {(channel, purpose): (state, datetime.fromisoformat(at), bool(dated)) for channel, purpose, state, at, dated in rows}


def _consents_back(
    session: Session, winner_id: str, loser_id: str, kept: Mapping[str, Any], now: datetime
) -> list[tuple[str, str, str, str]]:
    """Both have what they had said; where somebody has spoken since, what holds now stays, and the stricter for the loser.

    Returns (contact id, channel, purpose, state) where something else holds now.
    """
    theirs, ours, merged = _read(kept["states"]), _read(kept["winner_states"]), _read(kept["merged_states"])
    present = {(row.channel, row.purpose): row for row in session.scalars(select(ConsentState).where(ConsentState.contact_id == winner_id))}
    changes = []
    for key in sorted({*theirs, *merged, *present}):
        channel, purpose = key
        row = present.get(key)
        untouched = row is not None and key in merged and (row.state, row.said_at) == merged[key][:2]
        if key not in theirs and (untouched or row is None or row.state != "withdrawn"):
            continue  # the loser never spoke of it, and nobody said no for both
        for_loser = _of_loser(theirs.get(key), None if untouched or row is None else (row.state, row.said_at, row.dated))
        put_state(session, None, loser_id, channel, purpose, *for_loser)
        session.add(verdict(loser_id, channel, purpose, for_loser[0], for_loser[1], now, "unmerge"))
        changes.append((loser_id, channel, purpose, for_loser[0]))
        if not untouched or row is None:
            continue
        before = ours.get(key)
        if before is None:
            session.delete(row)
        elif before[0] != row.state:
            put_state(session, row, winner_id, channel, purpose, *before)
            session.add(verdict(winner_id, channel, purpose, before[0], before[1], now, "unmerge"))
            changes.append((winner_id, channel, purpose, before[0]))
    session.flush()
    return changes


def _of_loser(was: Said | None, since: Said | None) -> Said:
    """What holds for the loser: what it had said, or the stricter of that and what was said since."""
    if was is None or since is None:
        found = was or since
        assert found is not None  # one of them spoke, or nobody asks
        return found
    return was if stricter(was[0], since[0]) == was[0] else since


def _touches_back(session: Session, winner_id: str, loser_id: str, kept: Mapping[str, Any]) -> dict[str, Change]:
    """Both have the touches that they had; those that came since stay with the winner. Returns what changed."""
    was, theirs, merged = (touches.from_json(one) for one in kept.get("touches", (None, None, None)))
    if theirs is None:
        return {}
    now = touches.of(session, [winner_id]).get(winner_id)
    after = {winner_id: touches.undone(now, merged, was), loser_id: theirs}
    touches.forget(session, [one for one, standing in after.items() if standing is None])
    touches.put(session, {one: standing for one, standing in after.items() if standing is not None})
    changes = {winner_id: touches.changed(now, after[winner_id]), loser_id: touches.changed(None, theirs)}
    return {one: change for one, change in changes.items() if change is not None}


def _mailboxes_back(session: Session, loser_id: str, kept: Mapping[str, Any]) -> None:
    """The loser's words about addresses are its own again; the winner keeps them as well, since a no is not split."""
    rows = [
        mailbox.Word(channel, address, purpose, loser_id, state, datetime.fromisoformat(at), proven)
        for channel, address, purpose, state, at, proven in kept["mailboxes"]
    ]
    mailbox.write(session, rows)


def _events(
    session: Session,
    winner_id: str,
    loser_id: str,
    changed: Mapping[str, list[str]],
    tags: Mapping[str, list[str]],
    consents: list[tuple[str, str, str, str]],
    now: datetime,
) -> Iterable[Event]:
    said = {
        winner_id: {"fields": changed[winner_id][:200], "tags_removed": tags[winner_id]},
        loser_id: {"fields": changed[loser_id][:200], "tags_added": tags[loser_id]},
    }
    for contact_id, properties in said.items():
        if any(properties.values()):
            yield append_event(session, contact_id, "system", "Contact Changed", properties, now, source="unmerge")
    for contact_id, channel, purpose, state in consents:
        holds = {"channel": channel, "purpose": purpose, "state": state}
        yield append_event(session, contact_id, "system", "Consent Changed", holds, now, source="unmerge")


__all__ = ["LEFT", "Parted", "newest", "unmerge"]
