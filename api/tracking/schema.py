"""What the tracking door takes, as JSON Schema: one schema a call, in all the spellings that are read. `api.tracking.calls` reads by hand, for speed.

A call outside a batch may leave `type` out, because its address says it; inside one it is needed.
"""

from __future__ import annotations

from typing import Any

from api.tracking.calls import CONSENT_STATES, KINDS, MAX_HINT, MAX_ID, MAX_MESSAGE_ID, MAX_NAME

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(*schemas: Schema, **more: Any) -> Schema:
    return {"anyOf": [*schemas, {"type": "null"}], **more}


def _id(description: str = "") -> Schema:
    """Ids come as text or as a whole number."""
    found = _or_null({"type": "string", "maxLength": MAX_ID}, {"type": "integer"})
    return {**found, "description": description} if description else found


_MOMENT = _or_null({"type": "string", "description": "ISO 8601; without an offset it is UTC. Empty: none."})
_FREE: Schema = {"type": "object", "additionalProperties": True}
_LABEL = _or_null({"type": "string"})

_COMMON: Schema = {
    "userId": _id("`userId` or `anonymousId` is required, or a name in `context.externalIds`."),
    "anonymousId": _id(),
    "messageId": _or_null(
        {"type": "string", "maxLength": MAX_MESSAGE_ID}, {"type": "integer"}, description="Makes a repeated call harmless."
    ),
    "timestamp": {**_MOMENT, "description": "When it happened, by the sender's clock."},
    "originalTimestamp": {**_MOMENT, "description": "The same, and it wins."},
    "sentAt": {**_MOMENT, "description": "The sender's clock when it sent; corrects the stamp."},
    "context": _or_null(ref("TrackingContext")),
    "writeKey": {"type": "string", "description": "Instead of Basic authentication."},
}
_OWN: dict[str, tuple[str, Schema, tuple[str, ...]]] = {
    "track": (
        "Something happened.",
        {
            "event": {"type": "string", "maxLength": MAX_NAME, "description": "Its name; not one that the server writes itself."},
            "properties": _or_null(_FREE),
        },
        ("event",),
    ),
    "identify": ("What is known of a contact.", {"traits": _or_null(ref("Traits"))}, ()),
    "page": ("A page was seen.", {"name": _LABEL, "category": _LABEL, "properties": _or_null(_FREE)}, ()),
    "screen": ("A screen of an app was seen.", {"name": _LABEL, "category": _LABEL, "properties": _or_null(_FREE)}, ()),
    "group": (
        "A contact belongs to a group.",
        {"groupId": {"anyOf": [{"type": "string", "maxLength": MAX_ID}, {"type": "integer"}]}, "traits": _or_null(_FREE)},
        ("groupId",),
    ),
    "alias": (
        "Two ids are one contact.",
        {"previousId": {"anyOf": [{"type": "string", "maxLength": MAX_ID}, {"type": "integer"}]}},
        ("previousId", "userId"),
    ),
}
"""Call -> (what it says, its own properties, those it needs)."""


def call_name(kind: str, *, batched: bool = False) -> str:
    return f"{'Batched' if batched else ''}{kind.capitalize()}Call"


def _call(kind: str, batched: bool) -> Schema:
    text, own, needed = _OWN[kind]
    properties = {"type": {"type": "string", "const": kind}, **own, **_COMMON}
    required = [*(["type"] if batched else []), *needed]
    found: Schema = {"type": "object", "title": call_name(kind, batched=batched), "description": text, "properties": properties}
    return {**found, **({"required": required} if required else {}), "additionalProperties": True}


_STATEMENT: Schema = {
    "type": "object",
    "title": "ConsentStatement",
    "description": "What somebody said about being written to. A `granted` without an instant takes back no withdrawal.",
    "required": ["channel", "state"],
    "properties": {
        "channel": {"type": "string", "minLength": 1, "maxLength": 32},
        "purpose": {"type": "string", "minLength": 1, "maxLength": 64, "default": "marketing"},
        "state": {"type": "string", "enum": list(CONSENT_STATES)},
        "wording": {"type": "string", "maxLength": 4_000},
        "source": {"type": "string", "maxLength": 200},
        "said_at": _MOMENT,
        "saidAt": {**_MOMENT, "description": "The same, and it wins."},
    },
    "additionalProperties": True,
}
_CONSENTS: Schema = _or_null(
    {"type": "array", "maxItems": 50, "items": ref("ConsentStatement")},
    {
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]},
    },
    description='Statements, or `{"email": {"marketing": "granted"}}`, or `{"email": "granted"}` for marketing.',
)
_EXTERNAL: Schema = {
    "type": "object",
    "title": "ExternalId",
    "description": "What another system calls the contact.",
    "required": ["type", "id"],
    "properties": {"type": {"type": "string"}, "id": {"anyOf": [{"type": "string", "maxLength": MAX_ID}, {"type": "integer"}]}},
    "additionalProperties": True,
}
_CONTEXT: Schema = {
    "type": "object",
    "title": "TrackingContext",
    "description": "`traits` count in an `identify` call like its own, which win. Other names are kept with the event.",
    "properties": {
        "traits": _or_null(ref("Traits")),
        "consents": _CONSENTS,
        "externalIds": {"type": "array", "maxItems": 20, "items": ref("ExternalId")},
        "timezone": _or_null({"type": "string", "maxLength": MAX_HINT}),
        "locale": _or_null({"type": "string", "maxLength": MAX_HINT}),
        "device": _or_null(
            {
                "type": "object",
                "description": "`type` (android, ios) and `token` of the app, with a server key: push messages reach it from then on. "
                "The token is not kept with the event.",
                "additionalProperties": True,
            }
        ),
    },
    "additionalProperties": True,
}
_TRAITS: Schema = {
    "type": "object",
    "title": "Traits",
    "description": "Fields of the contact in the spelling of the catalogue or in Segment's (`firstName`); unknown ones are kept.",
    "properties": {
        "email": _or_null({"type": "string"}),
        "phone": _or_null({"type": "string"}, {"type": "integer"}),
        "consents": _CONSENTS,
    },
    "additionalProperties": True,
}
_BATCH: Schema = {
    "type": "object",
    "title": "CallBatch",
    "description": "Calls in their order, each with `type`.",
    "required": ["batch"],
    "properties": {
        "batch": {
            "type": "array",
            "items": {
                "oneOf": [ref(call_name(kind, batched=True)) for kind in KINDS],
                "discriminator": {
                    "propertyName": "type",
                    "mapping": {kind: ref(call_name(kind, batched=True))["$ref"] for kind in KINDS},
                },
            },
        },
        "sentAt": {**_MOMENT, "description": "The sender's clock; corrects the stamps of the events."},
        "writeKey": {"type": "string", "description": "Instead of Basic authentication."},
        "context": _or_null(ref("TrackingContext"), description="Holds for every call; what a call says in its own `context` wins."),
    },
    "additionalProperties": True,
}
_STORED: Schema = {
    "type": "object",
    "title": "Stored",
    "description": "The calls are stored.",
    "required": ["success"],
    "properties": {"success": {"type": "boolean"}},
}

SCHEMAS: dict[str, Schema] = {
    **{call_name(kind): _call(kind, batched=False) for kind in KINDS},
    **{call_name(kind, batched=True): _call(kind, batched=True) for kind in KINDS},
    "CallBatch": _BATCH,
    "ConsentStatement": _STATEMENT,
    "ExternalId": _EXTERNAL,
    "TrackingContext": _CONTEXT,
    "Traits": _TRAITS,
    "Stored": _STORED,
}
"""Name among the components -> schema."""
