"""What the interface takes and answers as plain objects, described: settings, a contact's export, journey documents.

They are read by models of other rooms, or written row by row; the description gives them types, so that client generators make models of them.
Each family has names of its own (`SettingSender`, `ExportEvent`, `DocumentGroup`), since two models of the house may share one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.admin.journeys import DOCUMENT
from api.tracking.schema import ref
from crm.privacy.export import MORE_PARTS, PARTS
from journeys.document import Journey
from journeys.schema import open_choices
from models import Contact
from workspace import settings

Schema = dict[str, Any]
NAME = "JourneyDocument"
CLOCK = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
"""A time of day. It has no zone, as JSON Schema's own format `time` wants one (RFC 3339)."""
SETTING = {"name": "Bergladen", "email": "hello@bergladen.example.org"}
HOLD_DOCUMENTS = ("JourneyDetail.draft", "VersionDetail.document", "NewJourney.document", "Draft.document")
"""Fields of components that hold a document."""


def describe(schema: Schema) -> None:
    """Puts types in the place of free objects, in the whole description."""
    components, paths = schema["components"]["schemas"], schema["paths"]
    new = {**_settings(), **_export(), **_documents()}
    assert not new.keys() & components.keys(), "two models share a name"
    components |= new
    for place in HOLD_DOCUMENTS:
        component, _, field = place.partition(".")
        held = components[component]["properties"]
        held[field] = {**ref(NAME), **{word: held[field][word] for word in ("description", "examples") if word in held[field]}}
    one = {"anyOf": [ref(f"Setting{shape.__name__}") for shape in settings.SETTINGS.values()]}
    _answer(paths["/api/v1/settings"]["get"], ref("WorkspaceSettings"))
    for method in ("get", "put"):
        _answer(paths["/api/v1/settings/{name}"][method], one)
    _content(paths["/api/v1/settings/{name}"]["put"]["requestBody"]).update(schema=one, example=SETTING)
    _answer(paths["/api/v1/contacts/{contact_id}/export"]["get"], ref("ContactExport"))
    _answer(paths["/api/v1/journeys/{journey_id}/document"]["get"], ref(NAME))
    _content(paths["/api/v1/journeys/{journey_id}/document"]["put"]["requestBody"])["schema"] = ref(NAME)


def _content(body: Schema) -> Schema:
    content: Schema = body["content"]["application/json"]
    return content


def _answer(operation: Schema, schema: Schema) -> None:
    _content(operation["responses"]["200"])["schema"] = schema


def _models(prefix: str, models: Sequence[type[BaseModel]], mode: Literal["validation", "serialization"]) -> dict[str, Schema]:
    """Name -> schema of the models and of what they are made of."""
    template = f"#/components/schemas/{prefix}{{model}}"
    _, made = models_json_schema([(model, mode) for model in models], by_alias=True, ref_template=template)
    return {f"{prefix}{name}": _with_clocks(open_choices(shape)) for name, shape in made["$defs"].items()}


def _with_clocks(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_clocks(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _with_clocks(value) for key, value in schema.items()}
    if inner.get("format") != "time":
        return inner
    return {"pattern": CLOCK, **{key: value for key, value in inner.items() if key != "format"}}


def _settings() -> dict[str, Schema]:
    shapes = settings.SETTINGS
    whole = _object(
        "WorkspaceSettings", "Every setting by its name.", {name: ref(f"Setting{shape.__name__}") for name, shape in shapes.items()}
    )
    return {**_models("Setting", list(shapes.values()), "validation"), "WorkspaceSettings": whole}


def _export() -> dict[str, Schema]:
    parts = {**dict(PARTS), **MORE_PARTS}
    rows = {name: {"type": "array", "items": ref(f"Export{row.__name__}")} for name, row in parts.items()}
    whole = _object("ContactExport", "Everything stored about a person.", {"contact": ref("ExportContact"), **rows})
    return {**_models("Export", [Contact, *dict.fromkeys(parts.values())], "serialization"), "ContactExport": whole}


def _documents() -> dict[str, Schema]:
    made = _models("Document", [Journey], "validation")
    document = made.pop("DocumentJourney")
    steps = document["properties"]["nodes"]
    steps.pop("patternProperties", None)
    steps |= {"additionalProperties": ref("DocumentStep")}
    step = {
        "type": "object",
        "title": "DocumentStep",
        "description": "A step; its other fields depend on its kind, see `/api/v1/journeys/schema`.",
        "required": ["kind"],
        "properties": {"kind": {"type": "string"}},
        "additionalProperties": True,
    }
    return {**made, "DocumentStep": step, NAME: {**document, "title": NAME, "example": DOCUMENT}}


def _object(title: str, description: str, properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "title": title, "description": description, "required": list(properties), "properties": dict(properties)}
