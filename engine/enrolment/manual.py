"""What a person or the API asks for by hand: enrolling one contact, or everyone who fits, page by page; and tags for many.

Who fits is said by a rule or by the filters of a list. The journey's own entry rules decide in any case; nothing here lets anybody in who
may not enter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from crm.people import contacts, profile
from crm.people.contacts import ContactFilter
from crm.rules import expression as rules
from engine.engine import Engine, LiveJourney
from engine.enrolment.entry import Refused
from engine.enrolment.routing import Entered, enter, routed
from engine.temporal.wakeups import Wakeups
from journeys.errors import Conflict, TooLarge
from journeys.rules import Group, Rule
from models import Contact
from storage.locks import lock_contact, lock_contacts
from workspace.audit import record

PAGE = 25
"""Contacts of one transaction: each costs some milliseconds, and nobody else can write to SQLite meanwhile."""
EVERYONE = Group()
Whom = Rule | ContactFilter | None
"""Those for whom a rule holds, those whom filters find, or everybody."""


def enrol_contact(
    engine: Engine,
    session: Session,
    journey_id: str,
    contact_id: str,
    data: Mapping[str, Any],
    now: datetime,
    by: str,
    occasion: str = "",
) -> Entered | Refused:
    """Enrols one contact; `data` stands for the properties of an event. A refusal is an answer and is stored like any other.
    `occasion`: what it is one of (see `enrol.enrol`).

    Raises: NotFound for the contact; Conflict if the journey was never published.
    """
    live = published(engine, session, journey_id)
    contact_id = lock_contact(session, contact_id).id
    answer = enter(engine, session, live, contact_id, now, data=dict(data), occasion=occasion)
    record(session, by, "journey.enrol", f"journey:{live.id}", {"contact": contact_id, "entered": isinstance(answer, Entered)})
    return answer


def enrol_page(
    engine: Engine,
    session: Session,
    journey_id: str,
    whom: Whom,
    after_id: str,
    now: datetime,
    occasion: str = "",
    asked_at: datetime | None = None,
) -> tuple[Wakeups, str | None, dict[str, int]]:
    """Enrols the next contacts after `after_id` who fit now. `occasion` names the whole of it, `asked_at` is when it was asked for (see
    `enrol`).

    Returns what to wake, the id to go on after (None: this was the last page), and counts: `entered`, `held_out`, and one per refusal.

    Raises: Conflict if the journey was never published.
    """
    live = published(engine, session, journey_id)
    page = fitting(session, whom, now, after_id, PAGE)
    lock_contacts(session, page)
    wakeups, counts = Wakeups(), Counter[str]()
    for contact_id in page:
        answer = enter(engine, session, live, contact_id, now, occasion=occasion, caused_at=asked_at)
        counts[_outcome(answer)] += 1
        if isinstance(answer, Entered):
            wakeups.add(answer.wakeups)
    return wakeups, page[-1] if len(page) == PAGE else None, dict(counts)


def tag_some(
    engine: Engine, session: Session, who: Sequence[str | Contact], tag: str, added: bool, now: datetime, by: str
) -> tuple[Wakeups, list[str]]:
    """Adds a tag, or takes it away; returns what to wake and the ids of those for whom that changed something. `who` are ids in their order,
    or contacts that are locked already.

    Raises: Invalid, TooLarge or NotFound, as `profile.add_tag`.
    """
    change = profile.add_tag if added else profile.remove_tag
    made = [event for one in who if (event := change(session, one, tag, now, by)) is not None]
    return routed(engine, session, made, now), [str(event.contact_id) for event in made]


def tag_page(
    engine: Engine, session: Session, whom: Whom, tag: str, added: bool, after_id: str, now: datetime, by: str
) -> tuple[Wakeups, str | None, dict[str, int]]:
    """The same for the next contacts after `after_id` who fit now; counts `changed`, `unchanged`, and `full` for those without room for a tag.

    Returns as `enrol_page` does.
    """
    page = fitting(session, whom, now, after_id, PAGE)
    wakeups, counts = Wakeups(), Counter[str]()
    for contact in lock_contacts(session, page).values():
        if contact.merged_into is not None or contact.erased_at is not None:
            continue  # between being found and being locked
        try:
            woken, changed = tag_some(engine, session, [contact], tag, added, now, by)
        except TooLarge:
            counts["full"] += 1
            continue
        wakeups.add(woken)
        counts["changed" if changed else "unchanged"] += 1
    return wakeups, page[-1] if len(page) == PAGE else None, dict(counts)


def fitting(session: Session, whom: Whom, now: datetime, after_id: str, limit: int) -> Sequence[str]:
    """The next `limit` contacts after `after_id` who are meant, in the order of ids; fewer at the end."""
    if isinstance(whom, ContactFilter):
        return contacts.ids(session, whom, after_id, limit)
    return rules.page(session, whom or EVERYONE, now, after_id, limit)


def some_of(session: Session, whom: Whom, now: datetime, size: int, of: int) -> Sequence[str]:
    """`size` of those who are meant, drawn by lot; `of` or more are known to be there."""
    if isinstance(whom, ContactFilter):
        return contacts.some(session, whom, size, of)
    return rules.some(session, whom or EVERYONE, now, size, of)


def count_of(session: Session, whom: Whom, now: datetime, most: int = contacts.MAX_COUNTED) -> int:
    """How many are meant; what filters find is counted up to `most` and one more."""
    return contacts.count(session, whom, most) if isinstance(whom, ContactFilter) else rules.count(session, whom or EVERYONE, now)


def published(engine: Engine, session: Session, journey_id: str, looked_at: int | None = None) -> LiveJourney:
    """What contacts enter now. `looked_at`: the version that somebody looked ahead in.

    Raises: Conflict if the journey was never published, or another version is live than was looked at.
    """
    live = engine.index(session).get(journey_id)
    if live is None:
        raise Conflict("Contacts cannot enter a journey that was never published: publish it first.")
    if looked_at is not None and live.version_number != looked_at:
        raise Conflict(
            "Version {version} was published in the meantime: preview again, then enrol.", version=live.version_number, looked_at=looked_at
        )
    return live


def _outcome(answer: Entered | Refused) -> str:
    if isinstance(answer, Refused):
        return answer.reason
    return "held_out" if answer.held_out else "entered"
