"""What tracking clients send, checked by hand: one JSON object in, one `TrackingCall` out, or an `InvalidEvent` that names the field.

The shape is the Segment tracking API (Source: Segment "HTTP Tracking API" and "Common Fields"). Pure: no database, no clock.
Written without pydantic because this is the hottest path of the server: a model per event cost more than storing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from crm.people import touches, visits
from crm.people.profile import ALIASES, check_fields
from journeys.catalogue import is_reserved
from journeys.errors import Invalid, PfadwerkError, TooLarge
from journeys.spelling import identifier, one_line
from models import new_id
from storage.events import Row, event_row
from storage.identifiers import Name, normalise_all
from storage.json_values import clean_object, clean_text

KINDS = ("track", "identify", "page", "screen", "group", "alias")
SHORT = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}

NAMES = {"page": "Page Viewed", "screen": "Screen Viewed", "identify": "Identified", "group": "Group Joined", "alias": "Aliased"}
"""Event names of the calls that carry none of their own."""

MAX_ID = 320
MAX_MESSAGE_ID = 100
MAX_NAME = 200
MAX_HINT = 64
MAX_DEVICE_TOKEN = 2_048
APPS = ("android", "ios")

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidEvent(PfadwerkError):
    """One event cannot be taken; `field` is its place inside the event."""

    code = "invalid_event"
    status = 400

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(slots=True)
class TrackingCall:
    """One accepted call: whom it is about (`names`, surest first), what it says about them (`traits`, `consents`), and its event row, all
    but the contact. An alias has a `previous_id`; `zone` and `locale` are hints from the sender's machine."""

    type: str
    names: list[Name]
    previous_id: str | None
    traits: dict[str, Any]
    consents: list[dict[str, Any]]
    row: Row
    zone: str | None = None
    locale: str | None = None
    trusted: bool = True
    """Whether an authenticated sender said it (`api.tracking.trust`)."""
    key_id: str = ""
    """The key it came with; "" for none."""
    device: tuple[str, str] | None = None
    """(android or ios, token) of the app that it came from."""
    touch: touches.Touch | None = None
    """How its sender came, if it says so."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What holds for all events of one request. `sent_at` is the sender's clock when it sent, for correcting its stamps."""

    received_at: datetime
    source: str
    sent_at: datetime | None = None
    backfill: bool = False
    max_event_bytes: int = 32_768
    trusted: bool = True
    key_id: str = ""
    hops: int = 0
    """How many times what comes back here has left as a webhook already (`storage.origin`)."""


def read_event(raw: Any, kind: str | None, envelope: Envelope) -> TrackingCall:
    """Check one event. `kind` is given by the path, None inside a batch.

    Raises:
        Bad: names the field and says what was expected.
    """
    if type(raw) is not dict:
        raise InvalidEvent("", f"expected an object, got {_shown(raw)}")
    _check_size(raw, envelope)
    kind = kind or raw.get("type")
    if type(kind) is not str or kind not in KINDS:
        raise InvalidEvent("type", f"expected one of {', '.join(KINDS)}, got {_shown(kind)}")
    context = _object(raw, "context")
    given = _traits(raw, kind, context)
    consents = _consents(given, context) if kind == "identify" else []
    traits = _cleaned(given, "traits", envelope) if given and kind in ("identify", "group") else {}
    previous_id = _id(raw, "previousId", MAX_ID) if kind == "alias" else None
    event = TrackingCall(kind, _names(raw, kind, traits, context), previous_id, traits, consents, {}, *_hints(context))
    if kind == "alias" and (previous_id is None or event.names[0][0] != "user_id"):
        raise InvalidEvent("previousId" if previous_id is None else "userId", "expected previousId and userId")
    event.trusted, event.key_id = envelope.trusted, envelope.key_id
    event.device = None if envelope.backfill else _device(context)
    if not event.trusted and not any(name in ("user_id", "anonymous_id") for name, _ in event.names):
        raise InvalidEvent("userId", "expected userId or anonymousId: with a browser key an address or another system's id finds nobody")
    event.row = _row(raw, event, context, envelope)
    event.touch = _came(event)
    return event


def _check_size(raw: dict[str, Any], envelope: Envelope) -> None:
    """Writes the event once more, which fails on whatever no database can store: what is too deep, lone surrogates, `Unreadable` values."""
    try:
        length = len(orjson.dumps(raw))
    except orjson.JSONEncodeError:
        raise InvalidEvent(
            "", "expected JSON that is not nested too deeply, with text in UTF-8 and numbers that fit into 64 bits"
        ) from None
    if length > envelope.max_event_bytes:
        raise InvalidEvent("", f"expected at most {envelope.max_event_bytes} bytes for one event")


def _traits(raw: dict[str, Any], kind: str, context: dict[str, Any]) -> dict[str, Any]:
    """What a call says about its person (or, for a group call, about the group).

    RudderStack's clients, and whoever follows Segment's "Common Fields", write an identify call's traits into `context.traits`; what
    stands in `traits` wins. In every other call `context.traits` repeats a former identify call, and changes nobody's profile.
    """
    own = _object(raw, "traits")
    hinted = _object(context, "traits", "context.traits") if "traits" in context else None
    if not hinted or kind != "identify":
        return own
    said = {ALIASES.get(name, name) for name in own}
    return {name: value for name, value in hinted.items() if ALIASES.get(name, name) not in said} | own


def _names(raw: dict[str, Any], kind: str, traits: dict[str, Any], context: dict[str, Any]) -> list[Name]:
    """What the person is called, surest name first; only an identify call's traits are about that person."""
    names: list[Name] = []
    for field, name_kind in (("userId", "user_id"), ("anonymousId", "anonymous_id")):
        if value := _id(raw, field, MAX_ID):
            names.append((name_kind, value))
    if "externalIds" in context:
        names += _external_ids(context["externalIds"])
    if kind == "identify":
        names += [(name, str(traits[name])) for name in ("email", "phone") if type(traits.get(name)) in (str, int)]
    usable, _ = normalise_all(names)
    if not usable:
        raise InvalidEvent("userId", "expected userId or anonymousId, and not a placeholder such as null, 0 or guest")
    return usable


def _hints(context: dict[str, Any]) -> tuple[str | None, str | None]:
    """Zone and locale in the spelling that is stored. They come from the sender's machine and are never a reason to refuse an event."""
    return _hint("timezone", context.get("timezone")), _hint("locale", context.get("locale"))


def _device(context: dict[str, Any]) -> tuple[str, str] | None:
    """`context.device.type` and `.token`, as mobile libraries send them; what is none is never a reason to refuse an event.

    Source: Segment "Common Fields", context.
    """
    said = context.get("device")
    if type(said) is not dict:
        return None
    kind, token = said.get("type"), said.get("token")
    if type(kind) is not str or type(token) is not str or kind.lower() not in APPS or not 0 < len(token) <= MAX_DEVICE_TOKEN:
        return None
    return kind.lower(), token


def _came(event: TrackingCall) -> touches.Touch | None:
    row = event.row
    properties = row["properties"] if event.type == "page" else {}
    return touches.of_visit(visits.read(row["context"], properties), row["occurred_at"])


def _hint(field: str, value: Any) -> str | None:
    return _read_hint(field, value) if type(value) is str and len(value) <= MAX_HINT else None


@lru_cache(maxsize=2_048)
def _read_hint(field: str, text: str) -> str | None:
    found: str | None = check_fields({field: text}).values.get(field)
    return found


def _row(raw: dict[str, Any], event: TrackingCall, context: dict[str, Any], envelope: Envelope) -> Row:
    try:
        return event_row(
            event.type,
            _name(raw, event.type),
            _properties(raw, event),
            received_at=envelope.received_at,
            source=envelope.source,
            message_id=_id(raw, "messageId", MAX_MESSAGE_ID) or f"pfw-{new_id()}",
            occurred_at=_occurred_at(raw, envelope),
            context=_without_traits(context),
            hops=envelope.hops,
            backfill=envelope.backfill,
        )
    except (Invalid, TooLarge) as error:
        raise InvalidEvent("properties", str(error)) from None


def _cleaned(traits: dict[str, Any], place: str, envelope: Envelope) -> dict[str, Any]:
    try:
        return clean_object(traits, envelope.max_event_bytes)
    except TooLarge as error:
        raise InvalidEvent(place, str(error)) from None


def read_time(value: Any, place: str) -> datetime | None:
    """ISO 8601 text -> aware UTC; None and "" stay None; text without an offset is UTC.

    Raises:
        Bad: for anything else, and for years before 1970.
    """
    if value is None or value == "":
        return None
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise InvalidEvent(place, f"expected an ISO 8601 instant such as 2026-11-22T10:00:00Z, got {_shown(value)}") from None
    if at < EARLIEST:
        raise InvalidEvent(place, "expected an instant after 1970")
    return at


def _occurred_at(raw: dict[str, Any], envelope: Envelope) -> datetime:
    """The sender's stamp moved by the error of its clock: received - (sent - stamped); never in the future.

    Source: Segment "Common Fields", timestamps. Example: stamped 10:00, sent 10:02, received 10:05 by our clock: occurred 10:03.
    """
    received = envelope.received_at
    stamped = read_time(raw.get("originalTimestamp"), "originalTimestamp") or read_time(raw.get("timestamp"), "timestamp")
    if stamped is None:
        return received
    sent = read_time(raw.get("sentAt"), "sentAt") or envelope.sent_at
    if sent is not None and not envelope.backfill:
        age = min(max(sent - stamped, timedelta(0)), received - EARLIEST)  # clocks may be thousands of years off
        return received - age
    return min(stamped, received)


def _name(raw: dict[str, Any], kind: str) -> str:
    if kind != "track":
        return NAMES[kind]
    given = raw.get("event")
    name = one_line(given) if type(given) is str else ""
    if not name:
        raise InvalidEvent("event", f"expected the name of the event, got {_shown(given)}")
    if len(name) > MAX_NAME:
        raise InvalidEvent("event", f"expected at most {MAX_NAME} characters, got {len(name)}")
    if is_reserved(name):
        raise InvalidEvent("event", "this name is kept for events that the server writes itself; choose another one")
    return name


def _properties(raw: dict[str, Any], event: TrackingCall) -> dict[str, Any]:
    """Properties as stored: pages keep their name and category, groups their id and traits; what an identify call says is in the profile."""
    if event.type == "identify":
        return {}
    if event.type == "group":
        return {"group_id": _id(raw, "groupId", MAX_ID, needed=True), "traits": event.traits}
    if event.type == "alias":
        return {"previous_id": event.previous_id}
    properties = _object(raw, "properties")
    if event.type == "track":
        return properties
    return _labels(raw) | properties


def _labels(raw: dict[str, Any]) -> dict[str, Any]:
    """Name and category of a page or screen."""
    found: dict[str, Any] = {}
    for field in ("name", "category"):
        value = raw.get(field)
        if value is None:
            continue
        if type(value) is not str:
            raise InvalidEvent(field, f"expected a text, got {_shown(value)}")
        found[field] = value
    return found


def _id(raw: dict[str, Any], field: str, longest: int, *, needed: bool = False) -> str | None:
    given = raw.get(field)
    if type(given) is int:
        given = str(given)
    if given is None:
        given = ""
    if type(given) is not str:
        raise InvalidEvent(field, f"expected a text, got {_shown(given)}")
    value = identifier(given)
    if len(value) > longest:
        raise InvalidEvent(field, f"expected at most {longest} characters, got {len(value)}")
    if needed and not value:
        raise InvalidEvent(field, "expected a text")
    return value or None


def _object(raw: dict[str, Any], field: str, place: str = "") -> dict[str, Any]:
    value = raw.get(field)
    if value is None:
        return {}
    if type(value) is not dict:
        raise InvalidEvent(place or field, f"expected an object, got {_shown(value)}")
    return value


def _without_traits(context: dict[str, Any]) -> dict[str, Any]:
    """Nor a device's token, which is kept in one place only."""
    kept = {key: value for key, value in context.items() if key != "traits"} if "traits" in context else context
    device = kept.get("device")
    if type(device) is dict and "token" in device:
        return {**kept, "device": {key: value for key, value in device.items() if key != "token"}}
    return kept


def _external_ids(given: Any) -> list[Name]:
    """`context.externalIds`, Segment's list of `{id, type}`."""
    if type(given) is not list or len(given) > 20:
        raise InvalidEvent("context.externalIds", "expected a list of at most 20 objects")
    names: list[Name] = []
    for index, entry in enumerate(given):
        if type(entry) is not dict or type(entry.get("type")) is not str:
            raise InvalidEvent(f"context.externalIds[{index}]", 'expected {"type": "…", "id": "…"}')
        if value := _id(entry, "id", MAX_ID):
            names.append((f"external:{identifier(entry['type']).lower()}", value))
    return names


CONSENT_STATES = ("granted", "withdrawn", "pending")


def _consents(traits: dict[str, Any], context: dict[str, Any]) -> list[dict[str, Any]]:
    """Statements from `traits.consents` or `context.consents`: `[{channel, purpose, state, wording?, source?, said_at?}]`, or
    `{"email": {"marketing": "granted"}}`. Taken out of the traits, because consent is a log and not a field."""
    place, given = ("traits.consents", traits.pop("consents")) if "consents" in traits else ("context.consents", context.get("consents"))
    if given is None:
        return []
    if type(given) is dict:
        given = [
            {"channel": channel, "purpose": purpose, "state": state}
            for channel, purposes in given.items()
            for purpose, state in (purposes.items() if type(purposes) is dict else [("marketing", purposes)])
        ]
    if type(given) is not list or len(given) > 50:
        raise InvalidEvent(place, "expected a list of at most 50 statements")
    return [_consent(entry, f"{place}[{index}]") for index, entry in enumerate(given)]


def _consent(entry: Any, place: str) -> dict[str, Any]:
    if type(entry) is not dict:
        raise InvalidEvent(place, f"expected an object, got {_shown(entry)}")
    statement = {"purpose": "marketing", "wording": "", "source": "api", **entry}
    for name, longest in (("channel", 32), ("purpose", 64), ("wording", 4_000), ("source", 200)):
        given = statement.get(name)
        value = _spelt(name, given) if type(given) is str else None
        if value is None or len(value) > longest or (not value and name in ("channel", "purpose")):
            raise InvalidEvent(f"{place}.{name}", f"expected a text of at most {longest} characters, got {_shown(given)}")
        statement[name] = value
    if statement.get("state") not in CONSENT_STATES:
        raise InvalidEvent(f"{place}.state", f"expected one of {', '.join(CONSENT_STATES)}, got {_shown(statement.get('state'))}")
    kept = {name: statement[name] for name in ("channel", "purpose", "state", "wording", "source")}
    return {**kept, "said_at": _said_at(entry, place)}


def _said_at(entry: dict[str, Any], place: str) -> datetime | None:
    """When the person said so, if the sender tells; else the statement counts from its event and takes back no withdrawal."""
    name = "saidAt" if "saidAt" in entry else "said_at"
    return read_time(entry.get(name), f"{place}.{name}")


def _spelt(name: str, text: str) -> str:
    """A wording keeps its lines; it is a proof."""
    return clean_text(text) if name == "wording" else one_line(text)


def _shown(value: Any) -> str:
    """A value's type for an error message: never the value itself, which may be personal."""
    if value is None:
        return "nothing"
    return {str: "a text", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}.get(
        type(value), "something else"
    )
