"""Contacts as the admin API and the screens use them: create, find, change; erasing, exporting and the timeline are next door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.people import touches
from crm.people.identity import find, resolve
from crm.people.profile import check_fields, update_fields
from crm.rules.expression import expression
from journeys.errors import Conflict, Invalid, Issue, NotFound
from journeys.rules import parse_rule
from models import ConsentState, Contact, Event, Identity, Run, Score, SegmentMember, Tag
from storage import sampling
from storage.identifiers import Name, normalise_all
from storage.json_values import clean_text
from storage.locks import person_of

__all__ = [
    "ContactFilter",
    "ContactPage",
    "contact_filter",
    "count",
    "create",
    "equals",
    "find",
    "get",
    "ids",
    "names_of",
    "search",
    "update",
]

MAX_PAGE = 200
MAX_WORDS = 5
ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Whether two values are equal depends on no clock."""
MAX_COUNTED = 10_000
"""So far a list is counted, and so many contacts can be sorted other than by age, which alone has an index."""


@dataclass(frozen=True, slots=True, repr=False)
class ContactFilter:
    """Which contacts to list; every filter that is given must fit. It has no repr: people search for names and addresses.

    `text`: words, each the beginning of the e-mail address, the first or the last name. `tag`, `lifecycle_stage`, `owner`: equal.
    Contacts that were merged away or erased are never listed. Everything in it can be written as JSON (`kept`), for work that takes longer
    than a page is open.
    """

    text: str = ""
    tag: str | None = None
    lifecycle_stage: str | None = None
    owner: str | None = None
    field: tuple[str, str] | None = None
    """(name, value as people write it), as `equals` compares them."""
    consent: tuple[str, str] | None = None
    """(channel, state) for marketing; the state may be `unknown`."""
    score: tuple[str, float] | None = None
    """(group, at least)."""
    seen_after: datetime | None = None
    seen_before: datetime | None = None
    """Never seen counts as before."""
    created_after: datetime | None = None
    journey_id: str | None = None
    """Has an open run there."""
    ids: tuple[str, ...] = ()
    newer_than: str | None = None
    """The id of a contact: only those made after it."""
    segment_id: int | None = None
    """Is a member of it."""
    lead_source: str | None = None
    """What the first or the last touch says as source, medium or campaign, or begins its referrer with."""
    came_by: str | None = None
    """The kind of the first touch (`crm.people.touches`)."""

    def kept(self) -> dict[str, Any]:
        """As JSON; `contact_filter` reads it."""
        found: dict[str, Any] = _WANTED.dump_python(self, mode="json", exclude_defaults=True)
        return found


_WANTED: TypeAdapter[ContactFilter] = TypeAdapter(ContactFilter)


def contact_filter(kept: Mapping[str, Any]) -> ContactFilter:
    """What `Wanted.kept` wrote."""
    return _WANTED.validate_python(kept)


@dataclass(frozen=True, slots=True)
class ContactPage:
    """`next_before` goes into `before` of the next call; None when this is the last page. `sort` is the order it came in, which is the
    one asked for unless too many contacts fit."""

    contacts: list[Contact]
    next_before: str | None
    sort: str = "created"


def create(
    session: Session, names: Sequence[Name], fields: Mapping[str, object], now: datetime, source: str, region: str | None = None
) -> tuple[Contact, list[Event]]:
    """A new contact with at least one name or a phone number, and the events of its creation. Somebody else may have the same number.

    Raises:
        Invalid: a name or a field cannot be used; every problem is listed.
        Conflict: somebody is meant by the names (`crm.people.identity`); `details["contact_id"]` says who.
    """
    named = [*names, *((kind, str(fields[kind])) for kind in ("email", "phone") if fields.get(kind))]
    usable, refused = normalise_all(named, region)
    _complain({bad.kind: bad.reason for bad in refused} | dict(check_fields(fields, region).refused))
    known = find(session, *usable)
    if known is not None:
        raise Conflict("A contact with this address or id already exists.", contact_id=known)
    contact_id = resolve(session, usable, now).contact_id
    touches.record(session, contact_id, touches.made_by(source, now), now, is_new=True)
    event = update_fields(session, contact_id, fields, now, source, region=region)
    return get(session, contact_id), [event] if event else []


def get(session: Session, contact_id: str) -> Contact:
    """The contact; for one that was merged away the contact it became.

    Raises:
        NotFound: there is no such contact.
    """
    contact = session.get(Contact, person_of(session, contact_id))
    if contact is None:
        raise NotFound("There is no such contact.", contact_id=contact_id)
    return contact


def update(
    session: Session, contact_id: str, fields: Mapping[str, object], now: datetime, source: str, region: str | None = None
) -> Event | None:
    """`update_fields` for a person who wants to know what is wrong, instead of recording it.

    Raises:
        Invalid: a field cannot be stored; every problem is listed, nothing is written.
        NotFound: no such contact.
        Conflict: it was erased.
    """
    _complain(check_fields(fields, region).refused)
    contact = get(session, contact_id)
    if contact.erased_at is not None:
        raise Conflict("This contact was erased.")
    return update_fields(session, contact.id, fields, now, source, region=region)


def search(session: Session, filter: ContactFilter, *, before: str | None = None, limit: int = 50, sort: str = "created") -> ContactPage:
    """Contacts that fit, in pages: newest first, or by `name` or last `seen` where at most ten thousand fit."""
    limit = max(1, min(limit, MAX_PAGE))
    if sort not in SORTS or count(session, filter) > MAX_COUNTED:
        sort = "created"
    statement = _found(filter, select(Contact))
    key, ascending = SORTS.get(sort, (None, False))
    id = _id_of(filter)
    order = id.asc() if ascending else id.desc()
    if key is None:
        statement = statement.order_by(order)
        if before is not None:
            statement = statement.where(id < before)
    else:
        statement = statement.order_by(key.asc() if ascending else key.desc(), order)
        if before is not None:
            mark = select(key).where(Contact.id == before).scalar_subquery()
            behind = (key > mark, id > before) if ascending else (key < mark, id < before)
            statement = statement.where(or_(behind[0], and_(key == mark, behind[1])))
    found = list(session.scalars(statement.limit(limit + 1)))
    page = found[:limit]
    return ContactPage(page, page[-1].id if len(found) > limit else None, sort)


def count(session: Session, filter: ContactFilter, most: int = MAX_COUNTED) -> int:
    """How many fit; one more than `most` stands for more."""
    some = _found(filter, select(Contact.id)).limit(most + 1).subquery()
    return int(session.scalar(select(func.count()).select_from(some)) or 0)


def ids(session: Session, filter: ContactFilter, after_id: str = "", limit: int = MAX_PAGE) -> Sequence[str]:
    """Ids of the next `limit` contacts after `after_id` that fit, in the order of ids; fewer than `limit` at the end."""
    id = _id_of(filter)
    statement = _found(filter, select(Contact.id)).where(id > after_id)
    return session.scalars(statement.order_by(id).limit(limit)).all()


def some(session: Session, filter: ContactFilter, size: int, of: int) -> Sequence[str]:
    """Ids of `size` contacts that fit, drawn by lot; `of` or more are known to be there."""
    return session.scalars(sampling.drawn(_found(filter, select(Contact.id)), col(Contact.id), size, of)).all()


def equals(field: str, value: str) -> ColumnElement[bool]:
    """Whether a field says `value`, written as people write it: `3` also finds the number, `true` and `yes` the truth.

    Raises:
        Invalid: there can be no such field.
    """
    values: list[Any] = [value]
    with suppress(ValueError):
        values.append(float(value) if "." in value else int(value))
    if value.lower() in ("true", "false"):
        values.append(value.lower() == "true")
    terms = [{"field": field, "operator": "=", "value": one} for one in values]
    try:
        rule = parse_rule({"combinator": "or", "rules": terms})
    except ValueError:
        raise Invalid("This is not the name of a field.") from None
    return expression(rule, ANY_TIME)


SORTS: Mapping[str, tuple[Any, bool]] = {
    "created": (None, False),
    "seen": (func.coalesce(col(Contact.last_seen_at), col(Contact.created_at)), False),
    "name": (
        func.lower(func.coalesce(col(Contact.last_name), col(Contact.first_name), col(Contact.email), col(Contact.phone), "")),
        True,
    ),
}
"""Order -> (what it goes by, None for the id, which grows with time; whether it ascends)."""


def _id_of(filter: ContactFilter) -> Any:
    """The id to go through pages by: where a segment is asked for, that of its members, whose index has them in order."""
    return col(Contact.id) if filter.segment_id is None else col(SegmentMember.contact_id)


def _found(filter: ContactFilter, statement: Any) -> Any:
    if filter.segment_id is not None:
        inside = and_(col(SegmentMember.contact_id) == col(Contact.id), col(SegmentMember.segment_id) == filter.segment_id)
        statement = statement.join(SegmentMember, inside)
    return statement.where(col(Contact.merged_into).is_(None), col(Contact.erased_at).is_(None), *_conditions(filter))


def names_of(session: Session, contact_id: str) -> list[Name]:
    """Every name the contact is known by, sorted."""
    return sorted(
        (kind, value) for kind, value in session.execute(select(Identity.kind, Identity.value).where(Identity.contact_id == contact_id))
    )


def _conditions(filter: ContactFilter) -> list[ColumnElement[bool]]:
    conditions: list[Any] = [_starts(word) for word in clean_text(filter.text).lower().split()[:MAX_WORDS]]
    if filter.tag is not None:
        conditions.append(col(Contact.id).in_(select(Tag.contact_id).where(Tag.tag == filter.tag)))
    if filter.lifecycle_stage is not None:
        conditions.append(col(Contact.lifecycle_stage) == filter.lifecycle_stage)
    if filter.owner is not None:
        conditions.append(col(Contact.owner) == filter.owner)
    if filter.field is not None:
        conditions.append(equals(*filter.field))
    if filter.lead_source is not None or filter.came_by is not None:
        conditions.append(_came(filter.lead_source, filter.came_by))
    if filter.newer_than is not None:
        conditions.append(col(Contact.id) > filter.newer_than)
    if filter.consent is not None:
        conditions.append(_consent(*filter.consent))
    if filter.score is not None:
        group, least = filter.score
        conditions.append(col(Contact.id).in_(select(Score.contact_id).where(Score.score_group == group, col(Score.value) >= least)))
    if filter.journey_id is not None:
        inside = select(Run.contact_id).where(Run.journey_id == filter.journey_id, col(Run.ended_at).is_(None), Run.status != "held_out")
        conditions.append(col(Contact.id).in_(inside))
    if filter.ids:
        conditions.append(col(Contact.id).in_(filter.ids[:MAX_PAGE]))
    return conditions + _times(filter)


def _came(source: str | None, kind: str | None) -> ColumnElement[bool]:
    """Asked as a rule asks it, by the contact's one row."""
    asked: list[dict[str, Any]] = []
    if kind is not None:
        asked.append({"lead_source": "first", "attribute": "kind", "value": kind})
    if source is not None:
        how = {"utm_source": "=", "utm_medium": "=", "utm_campaign": "=", "referrer": "beginsWith"}
        said = [
            {"lead_source": touch, "attribute": name, "operator": operator, "value": source}
            for touch in ("first", "last")
            for name, operator in how.items()
        ]
        asked.append({"combinator": "or", "rules": said})
    return expression(parse_rule({"rules": asked}), ANY_TIME)


def _consent(channel: str, state: str) -> ColumnElement[bool]:
    said = select(ConsentState.contact_id).where(ConsentState.channel == channel, ConsentState.purpose == "marketing")
    if state == "unknown":
        return col(Contact.id).not_in(said)
    return col(Contact.id).in_(said.where(ConsentState.state == state))


def _times(filter: ContactFilter) -> list[Any]:
    seen = col(Contact.last_seen_at)
    conditions: list[Any] = []
    if filter.seen_after is not None:
        conditions.append(seen >= filter.seen_after)
    if filter.seen_before is not None:
        conditions.append(or_(seen < filter.seen_before, seen.is_(None)))
    if filter.created_after is not None:
        conditions.append(col(Contact.created_at) >= filter.created_after)
    return conditions


def _starts(word: str) -> ColumnElement[bool]:
    return or_(
        col(Contact.email).startswith(word, autoescape=True),
        func.lower(col(Contact.first_name)).startswith(word, autoescape=True),
        func.lower(col(Contact.last_name)).startswith(word, autoescape=True),
    )


def _complain(refused: Mapping[str, str]) -> None:
    if refused:
        issues = [Issue(code=reason, text=REASONS[reason], field=name) for name, reason in refused.items()]
        raise Invalid("Some fields cannot be stored.", issues=issues)


REASONS = {
    "invalid_email": "This is not an e-mail address.",
    "invalid_phone": "This is not a phone number; write it with its country code, for example +41 44 668 18 00.",
    "invalid_postal_address": "This is not a postal address, or there is no country of that name.",
    "invalid_timezone": "Expected an IANA time zone such as Europe/Zurich.",
    "invalid_locale": "Expected a locale such as de-CH.",
    "placeholder": "This is a placeholder, not an id.",
    "unknown_kind": "Expected user_id, anonymous_id, email, phone or external:<system>.",
    "wrong_type": "Expected text.",
    "too_long": "This is too long.",
    "too_many": "A contact has at most ten phone numbers.",
    "too_deep": "This is nested too deeply.",
    "no_name": "A field needs a name.",
    "read_only": "This field is maintained by the system.",
    "not_an_object": "The path to this field leads through a value that is not an object.",
    "too_much": "The contact has the maximum number of fields.",
}
"""Code of a refused field -> sentence (message id of the catalogues)."""
