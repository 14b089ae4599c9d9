"""What a contact's row says: fields, tags, owner. Every real change appends one `Contact Changed`; no change appends nothing.

A value that cannot be stored (no e-mail address, no time zone, too much) leaves the field as it was and is named in the event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent import mailbox
from crm.people import phones
from crm.people.addresses import claim
from crm.people.coercion import fit_fields
from journeys import postal
from journeys.errors import Invalid, TooLarge
from journeys.rules.fields import COMPANY, CONTACT_COLUMNS, path_of
from journeys.spelling import identifier, one_line
from journeys.topics import MOST_FIELDS
from models import Contact, Event, Tag
from storage import identifiers, postal_addresses
from storage.events import append_event
from storage.json_values import MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, clean, same, size
from storage.locks import lock_contact
from workspace.members import advance_rotation, next_owner
from workspace.time_zones import is_zone

__all__ = [
    "CheckedFields",
    "add_tag",
    "advance_rotation",
    "check_fields",
    "is_read_only",
    "next_owner",
    "read_fields",
    "remove_tag",
    "set_owner",
    "tags",
    "update_fields",
]

MAX_KEY_CHARACTERS = 120
MAX_TAG_CHARACTERS = 120
MAX_TAGS = 500
MAX_TOLD, MAX_TOLD_CHARACTERS = 30, 200
"""Of how many fields an event says from what to what, and how long a value may be for it."""

ALIASES = {"firstName": "first_name", "lastName": "last_name", "timeZone": "timezone", "lifecycleStage": "lifecycle_stage"}
"""Spellings of the tracking API's reserved traits."""


@dataclass(frozen=True, slots=True)
class CheckedFields:
    """`values`: field -> storable value (None clears; of a postal address perhaps some parts only). `refused`: field -> why it cannot be stored. `unfit`: field -> the type that was expected
    of it; its value is stored as it came."""

    values: Mapping[str, Any]
    refused: Mapping[str, str]
    unfit: Mapping[str, str] = field(default_factory=dict)
    phones: Sequence[str] | None = None
    """All numbers of the contact, where somebody stated them (`crm.people.phones`)."""


def check_fields(fields: Mapping[str, object], region: str | None = None) -> CheckedFields:
    """Sorts fields into storable and refused, without a database.

    `region` (ISO country) reads phone numbers that are not international. Reasons: invalid_email, invalid_phone,
    invalid_postal_address, invalid_timezone, invalid_locale, wrong_type, too_long, too_deep, too_many, no_name, read_only.
    """
    values: dict[str, Any] = {}
    refused: dict[str, str] = {}
    numbers: list[str] | None = None
    for given, value in _with_postal_address(fields).items():
        name = one_line(str(given))
        name = ALIASES.get(name, name)
        if name == phones.FIELD:
            read = phones.read(value, region)
            if isinstance(read, identifiers.Refused):
                refused[name] = read.reason
            else:
                numbers = read
            continue
        try:
            values[name] = _storable(name, value, region)
        except _Refused as refusal:
            refused[name[:MAX_KEY_CHARACTERS]] = refusal.reason
    return CheckedFields(values, refused, phones=numbers)


def read_fields(session: Session, fields: Mapping[str, object], region: str | None = None) -> CheckedFields:
    """`check_fields`, and then every value in the type that the catalogue declares for it (`crm.people.coercion`)."""
    checked = check_fields(fields, region)
    fitted = fit_fields(session, checked.values)
    return CheckedFields(fitted.values, checked.refused, fitted.unfit, checked.phones)


def update_fields(
    session: Session,
    contact: str | Contact,
    fields: Mapping[str, object],
    now: datetime,
    source: str,
    hops: int = 0,
    region: str | None = None,
    told: dict[str, str] | None = None,
) -> Event | None:
    """Writes contact fields: the known columns, and everything else as attributes (a dot in a name descends). None clears a field.

    `contact`: its id, or the row itself if the caller has locked it (so in every function of this room).
    A new e-mail address also becomes a name of the contact, unless another contact is known by it; whoever has the same address or number is
    suggested as a duplicate (`crm.people.addresses`).

    Into `told` goes field -> why it was left out, or which type was expected of it.

    Returns the event `Contact Changed` {fields: [paths, see `changed_paths`], changes?: {path: [before, after]} of short values, refused?:
    {name: reason}}, None if nothing changed.

    Raises:
        NotFound: no such contact.
    """
    checked = read_fields(session, fields, region)
    if told is not None:
        told |= {**checked.unfit, **checked.refused}
    contact = lock_contact(session, contact)
    change = write_with_phones(session, contact, checked, now)
    if change is None:
        return None
    _touch(session, contact, now)
    if change.claims:
        contact.vouched = True
        session.flush()
        mailbox.carry(session, contact)
        claim(session, {contact.id: dict(change.claims)}, now)
    return append_event(session, contact.id, "system", "Contact Changed", change.properties, now, source=source, hops=hops)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What writing fields changed: `properties` of the event, and the addresses that become `claims` to a name."""

    properties: dict[str, Any]
    claims: list[tuple[str, str]]


def write_with_phones(session: Session, contact: Contact, checked: CheckedFields, now: datetime) -> FieldChange | None:
    """`write_fields`, and the contact's further numbers: those that are stated, or the former main one where a further one takes its place. The first
    of the stated becomes the main one of a contact that has none."""
    main, stated = contact.phone, checked.phones
    if stated and main is None and checked.values.get("phone") is None:
        checked = replace(checked, values={**checked.values, "phone": stated[0]})
    change = write_fields(contact, checked)
    if stated is None:
        if contact.phone is not None and contact.phone != main:
            phones.swap(session, contact, main, now)
        return change
    if not phones.put(session, contact, stated, now):
        return change
    if change is None:
        return FieldChange({"fields": [phones.FIELD]}, [])
    return FieldChange({**change.properties, "fields": [*change.properties["fields"], phones.FIELD]}, change.claims)


def write_fields(contact: Contact, checked: CheckedFields) -> FieldChange | None:
    """Sets the fields on the row itself, in memory; None if that changes nothing. Whoever calls it stores, claims and tells."""
    columns = {name: _whole(contact, name, value) for name, value in checked.values.items() if name in COLUMNS}
    free = {name: value for name, value in checked.values.items() if name not in COLUMNS}
    attributes, too_much = written(contact.attributes, free)
    changed = [name for name, value in columns.items() if getattr(contact, name) != value]
    paths = changed_paths(contact.attributes, attributes)
    if not changed and not paths:
        return None
    changes = {name: [getattr(contact, name), columns[name]] for name in changed}
    changes |= {path: [at(contact.attributes, path), at(attributes, path)] for path in paths}
    for name in changed:
        setattr(contact, name, columns[name])
    if paths:
        contact.attributes = attributes
    properties: dict[str, Any] = {"fields": changed + paths}
    if told := {name: pair for name, pair in list(changes.items())[:MAX_TOLD] if all(map(_is_short, pair))}:
        properties["changes"] = told
    if refused := {**checked.refused, **too_much}:
        properties["refused"] = dict(list(refused.items())[:20])
    return FieldChange(properties, [(kind, columns[kind]) for kind in ADDRESSES if kind in changed and columns[kind] is not None])


def add_tag(session: Session, contact: str | Contact, tag: str, now: datetime, source: str = "system", hops: int = 0) -> Event | None:
    """Tags the contact; returns `Contact Changed` {fields: [], tags_added}, None if it had the tag.

    Raises:
        Invalid: the tag is empty or longer than 120 characters.
        TooLarge: the contact has 500 tags.
        NotFound: no such contact.
    """
    tag = read_tag(tag)
    contact = lock_contact(session, contact)
    present = tags(session, contact.id)
    if tag in present:
        return None
    if len(present) >= MAX_TAGS:
        raise TooLarge("A contact has at most {limit} tags.", limit=MAX_TAGS)
    session.add(Tag(contact_id=contact.id, tag=tag, added_at=now))
    return _tags_changed(session, contact, {"tags_added": [tag]}, now, source, hops)


def remove_tag(session: Session, contact: str | Contact, tag: str, now: datetime, source: str = "system", hops: int = 0) -> Event | None:
    """Takes a tag away; returns `Contact Changed` {fields: [], tags_removed}, None if the contact did not have it."""
    asked, tag = tag, read_tag(tag)
    contact = lock_contact(session, contact)
    row = session.get(Tag, (contact.id, tag)) or session.get(Tag, (contact.id, asked))  # older ones are spelt as they came
    if row is None:
        return None
    session.delete(row)
    return _tags_changed(session, contact, {"tags_removed": [row.tag]}, now, source, hops)


def tags(session: Session, contact_id: str) -> list[str]:
    """The contact's tags in alphabetical order."""
    return sorted(session.scalars(select(Tag.tag).where(Tag.contact_id == contact_id)))


def set_owner(
    session: Session, contact: str | Contact, owner: str | None, now: datetime, source: str = "system", hops: int = 0
) -> Event | None:
    """Gives the contact to a member of the team (None: to nobody); returns `Contact Changed` {fields: ["owner"]}."""
    return update_fields(session, contact, {"owner": owner}, now, source, hops)


def _tags_changed(session: Session, contact: Contact, change: dict[str, list[str]], now: datetime, source: str, hops: int) -> Event:
    _touch(session, contact, now)
    return append_event(session, contact.id, "system", "Contact Changed", {"fields": [], **change}, now, source=source, hops=hops)


class _Refused(Exception):
    def __init__(self, reason: str) -> None:
        self.reason = reason


def _text(limit: int) -> Callable[[object, str | None], str | None]:
    def read(value: object, _region: str | None) -> str | None:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise _Refused("wrong_type")
        text = identifier(str(value))
        if len(text) > limit:
            raise _Refused("too_long")
        return text or None

    return read


def _email(value: object, _region: str | None) -> str | None:
    return _named("email", value, None)


def _phone(value: object, region: str | None) -> str | None:
    return _named("phone", value, region)


def _named(kind: str, value: object, region: str | None) -> str | None:
    text = _text(320)(value, region)
    if text is None:
        return None
    found = identifiers.normalise(kind, text, region)
    if isinstance(found, identifiers.Refused):
        raise _Refused(found.reason)
    return found


def _postal_address(value: object, region: str | None) -> Any:
    """The stored text; where some parts are written anew, those."""
    try:
        return postal_addresses.read_parts(value.parts) if isinstance(value, _Parts) else postal_addresses.read(value, region)
    except postal.Unreadable as error:
        raise _Refused(error.reason) from None


@dataclass(frozen=True, slots=True)
class _Parts:
    """Some parts of a postal address; the others stay as they are."""

    parts: Mapping[str, object]


def _with_postal_address(fields: Mapping[str, object]) -> Mapping[str, object]:
    """`postal_address.city` and the like gathered into one field; an `address` with a street, as tracking calls send it, is a postal address, too.

    `address` stays an attribute as it came: what rules and templates read of it goes on.
    """
    parts = {name.removeprefix(_INSIDE): value for name, value in fields.items() if str(name).startswith(_INSIDE)}
    if parts:
        others = {name: value for name, value in fields.items() if not str(name).startswith(_INSIDE)}
        return {**others, postal.FIELD: others.get(postal.FIELD) or _Parts(parts)}
    said = fields.get("address")
    if isinstance(said, Mapping) and postal.FIELD not in fields and _has_street(said):
        return {**fields, postal.FIELD: said}
    return fields


def _has_street(said: Mapping[str, object]) -> bool:
    """Whether an address says more than where somebody is: city and country come from whoever guesses by an IP address."""
    try:
        return bool(postal.cleaned(said).get("line1"))
    except postal.Unreadable:
        return False


def _whole(contact: Contact, name: str, value: Any) -> Any:
    return postal.overlaid(getattr(contact, name), value) if isinstance(value, Mapping) else value


_INSIDE = f"{postal.FIELD}."
ADDRESSES = ("email", "phone", postal.FIELD)
"""Columns by which channels reach a contact: what was said of a channel stands for a new one, too."""


def _timezone(value: object, region: str | None) -> str | None:
    zone = _text(64)(value, region)
    if zone is not None and not is_zone(zone):
        raise _Refused("invalid_timezone")
    return zone


_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


def _locale(value: object, region: str | None) -> str | None:
    text = _text(64)(value, region)
    if text is None:
        return None
    tag = text.split(".")[0].replace("_", "-")  # POSIX spells de_CH.UTF-8
    if not _LOCALE.fullmatch(tag):
        raise _Refused("invalid_locale")
    language, *rest = tag.split("-")
    return "-".join([language.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])


COLUMNS: dict[str, Callable[[Any, str | None], Any]] = {
    "email": _email,
    "phone": _phone,
    postal.FIELD: _postal_address,
    "first_name": _text(200),
    "last_name": _text(200),
    "locale": _locale,
    "timezone": _timezone,
    "lifecycle_stage": _text(64),
    "owner": _text(32),
}
"""The fields that have a column of their own, and how each is read."""


def is_read_only(name: str) -> bool:
    """Whether only the server writes a field: nobody can say it of a contact."""
    return name not in COLUMNS and (name in CONTACT_COLUMNS or name.startswith(COMPANY))


def _storable(name: str, value: object, region: str | None) -> Any:
    if not name:
        raise _Refused("no_name")
    if len(name) > MAX_KEY_CHARACTERS:
        raise _Refused("too_long")
    if not all(path_of(name)):
        raise _Refused("no_name")
    if value is None:
        return None
    if name in COLUMNS:
        return COLUMNS[name](value, region)
    if is_read_only(name):
        raise _Refused("read_only")
    try:
        return clean(value)
    except TooLarge:
        raise _Refused("too_deep") from None


def written(present: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The attributes after writing `new` (dotted path -> value, None removes), and the paths that do not fit with the reason.

    Reasons: not_an_object (the way leads through a value), too_much (more than 500 attributes or 64 kB).
    """
    attributes = dict(present)
    refused: dict[str, str] = {}
    for name, value in sorted(new.items(), key=lambda item: item[1] is not None):  # removals make room
        try:
            after = _put(attributes, path_of(name), value)
        except _Refused as refusal:
            refused[name] = refusal.reason
            continue
        if value is not None and _over(after):
            refused[name] = "too_much"
        else:
            attributes = after
    return attributes, refused


def _put(data: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of `data` with `value` at `path`; only the objects on the way are copied."""
    key, *rest = path
    copy = dict(data)
    if rest:
        inner = data.get(key, {})
        if not isinstance(inner, Mapping):
            raise _Refused("not_an_object")
        value = _put(inner, tuple(rest), value) or None
    if value is None:
        copy.pop(key, None)
    else:
        copy[key] = value
    return copy


def _over(attributes: dict[str, Any]) -> bool:
    return len(attributes) > MAX_ATTRIBUTES or size(attributes) > MAX_ATTRIBUTES_BYTES


def changed_paths(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted paths whose value differs, with the objects around them; at most `MOST_FIELDS`, the shallow ones first, because of their first keys runs and
    segments hear. `address` and `address.city`, for example."""
    paths: list[str] = []
    for key in sorted({*before, *after}):
        one, two = before.get(key), after.get(key)
        if same(one, two):
            continue
        paths.append(prefix + key)
        if isinstance(one, Mapping) or isinstance(two, Mapping):
            paths += changed_paths(one if isinstance(one, Mapping) else {}, two if isinstance(two, Mapping) else {}, f"{prefix}{key}.")
    return sorted(paths, key=lambda path: path.count("."))[:MOST_FIELDS] if len(paths) > MOST_FIELDS else paths


def at(data: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for key in path.split("."):
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _is_short(value: Any) -> bool:
    """Whether a value is told along with the change; objects, lists and long texts are only named."""
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= MAX_TOLD_CHARACTERS)


def _touch(session: Session, contact: Contact, now: datetime) -> None:
    contact.updated_at = now
    session.add(contact)


def read_tag(tag: str) -> str:
    """The tag as it is stored.

    Raises:
        Invalid: it is empty or longer than 120 characters.
    """
    cleaned = one_line(tag)
    if not 0 < len(cleaned) <= MAX_TAG_CHARACTERS:
        raise Invalid("Expected a tag with 1 to {limit} characters.", limit=MAX_TAG_CHARACTERS)
    return cleaned
