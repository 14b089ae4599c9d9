"""What journeys and rules may name: contact fields, events, node kinds with their forms, and the gallery of journeys to begin with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.server import TheServer
from crm import catalogue
from journeys.catalogue import EventSpec, FieldSpec, Type
from journeys.errors import NotFound
from journeys.nodes.node import Node
from journeys.rules import Rule, sentence
from journeys.templates import TemplateEntry, gallery
from locales import translator

router = APIRouter(prefix="/api/v1", tags=["catalogue"], route_class=JsonRoute)

FieldName = Annotated[str, Path(min_length=1, max_length=120, description="Name of the field.", examples=["plan"])]
EventName = Annotated[str, Path(min_length=1, max_length=200, description="Name of the event.", examples=["Trial Started"])]


class FieldRow(BaseModel):
    """A contact field. `origin`: built_in, declared or learned from traffic; `values`: known values, for forms."""

    name: str
    type: str
    title: str
    origin: str
    values: list[Any]


class EventRow(BaseModel):
    """An event; `properties` maps a dotted path to its type."""

    name: str
    title: str
    origin: str
    properties: dict[str, str]


class DeclareField(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"type": "string", "title": "Plan", "values": ["free", "pro"]}})

    type: Type = "any"
    title: str = Field("", max_length=120)
    values: list[str | int | float | bool] = Field([], max_length=200)


class DeclareEvent(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"title": "Trial started", "properties": {"plan": "string"}}})

    title: str = Field("", max_length=200)
    properties: dict[str, Type] = Field({}, max_length=200)


class Kind(BaseModel):
    """A kind of step: its texts, its handles and the JSON Schema of its form."""

    kind: str
    group: str
    icon: str
    behaviour: int
    title: str
    description: str
    form: dict[str, Any]


class Entry(BaseModel):
    """A journey of the gallery. Its document can be stored as it is, after its message templates and after what it asks for beyond the
    built-in catalogue (`fields`, `events`) was declared. `aim`: a word for what it is for."""

    key: str
    name: str
    description: str
    aim: str = Field(examples=["win"])
    document: dict[str, Any]
    templates: list[dict[str, Any]]
    scenarios: list[str]
    fields: list[FieldRow]
    events: list[EventRow]


class Ask(BaseModel):
    """A rule to be said in words."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"rule": {"field": "plan", "operator": "=", "value": "pro"}, "language": "de"}}
    )

    rule: Rule
    language: Literal["de", "en"] | None = None


class Sentence(BaseModel):
    text: str


@router.get("/catalogue/fields", summary="Known contact fields", responses=ADMIN)
def list_fields(
    server: TheServer,
    actor: Annotated[Actor, needs("catalogue.read")],
    text: Annotated[str, Query(max_length=120, description="Part of the name.")] = "",
) -> list[FieldRow]:
    """Built in, declared and learned, by name."""
    with server.engine.db.read() as session:
        known = catalogue.load_catalogue(session).fields
    return [_field(spec) for _, spec in sorted(known.items()) if text in spec.name]


@router.put("/catalogue/fields/{name}", summary="Declare a contact field", responses=CHANGE)
def declare_field(name: FieldName, field: DeclareField, server: TheServer, actor: Annotated[Actor, needs("catalogue.change")]) -> FieldRow:
    """Makes a field known before any traffic shows it, or changes what is known about it."""
    with server.engine.db.write() as session:
        f = catalogue.declare_field(session, name, field.type, server.engine.clock.now(), title=field.title, values=tuple(field.values))
    return _field(f)


@router.delete("/catalogue/fields/{name}", summary="Forget a contact field", status_code=204, responses=CHANGE)
def forget_field(name: FieldName, server: TheServer, actor: Annotated[Actor, needs("catalogue.change")]) -> Response:
    """Contacts keep their values; traffic may teach the field again."""
    with server.engine.db.write() as session:
        catalogue.forget_field(session, name)
    return Response(status_code=204)


@router.get("/catalogue/events", summary="Known events", responses=ADMIN)
def list_events(
    server: TheServer,
    actor: Annotated[Actor, needs("catalogue.read")],
    text: Annotated[str, Query(max_length=200, description="Part of the name.")] = "",
) -> list[EventRow]:
    """Built in, declared and learned, by name, with their properties."""
    with server.engine.db.read() as session:
        known = catalogue.load_catalogue(session).events
    return [_event(e) for _, e in sorted(known.items()) if text.lower() in e.name.lower()]


@router.put("/catalogue/events/{name}", summary="Declare an event", responses=CHANGE)
def declare_event(name: EventName, event: DeclareEvent, server: TheServer, actor: Annotated[Actor, needs("catalogue.change")]) -> EventRow:
    """Makes an event known before any traffic shows it, or adds properties."""
    with server.engine.db.write() as session:
        e = catalogue.declare_event(session, name, dict(event.properties), server.engine.clock.now(), title=event.title)
    return _event(e)


@router.delete("/catalogue/events/{name}", summary="Forget an event", status_code=204, responses=CHANGE)
def forget_event(name: EventName, server: TheServer, actor: Annotated[Actor, needs("catalogue.change")]) -> Response:
    """What was stored stays; traffic may teach the event again."""
    with server.engine.db.write() as session:
        catalogue.forget_event(session, name)
    return Response(status_code=204)


@router.get("/catalogue/kinds", summary="Node kinds", responses=ADMIN)
def list_kinds(server: TheServer, actor: Annotated[Actor, needs("catalogue.read")]) -> list[Kind]:
    """The palette of this installation, custom activities included, with a form for each."""
    translate = translator(actor.locale)
    return [_kind(kind, translate) for kind in server.engine.palette]


@router.post("/catalogue/sentence", summary="Say a rule in words", responses=ADMIN)
def say(ask: Ask, server: TheServer, actor: Annotated[Actor, needs("catalogue.read")]) -> Sentence:
    """In German or English, as the builder shows it."""
    return Sentence(text=sentence(ask.rule, translator(ask.language or actor.locale)))


@router.get("/gallery", summary="Journeys to begin with", responses=ADMIN)
def list_gallery(server: TheServer, actor: Annotated[Actor, needs("catalogue.read")]) -> list[Entry]:
    """Complete journeys with their message templates and the scenarios that show what they do."""
    return [_entry(entry, actor.locale) for entry in gallery()]


@router.get("/gallery/{key}", summary="One journey of the gallery", responses=ONE)
def one_of_gallery(
    key: Annotated[str, Path(max_length=64, examples=["welcome"])], server: TheServer, actor: Annotated[Actor, needs("catalogue.read")]
) -> Entry:
    """With its document and its message templates."""
    for entry in gallery():
        if entry.key == key:
            return _entry(entry, actor.locale)
    raise NotFound("There is no such journey in the gallery.")


def _kind(kind: type[Node], translate: Any) -> Kind:
    text = (kind.__doc__ or "").strip()
    form = kind.form()
    return Kind(
        kind=kind.kind,
        group=kind.group,
        icon=kind.icon,
        behaviour=kind.behaviour,
        title=translate(str(form.get("title") or kind.__name__)),
        description=translate(text),
        form=form,
    )


def _entry(entry: TemplateEntry, locale: str) -> Entry:
    translate = translator(locale)
    mails = [{"key": m.key, "name": m.name, "kind": m.kind, "message_class": m.message_class, "variants": m.variants} for m in entry.mails]
    return Entry(
        key=entry.key,
        name=translate(entry.name),
        description=translate(entry.description),
        aim=entry.aim.key,
        document=dict(entry.document),
        templates=mails,
        scenarios=[scenario.name for scenario in entry.scenarios],
        fields=[_field(spec) for spec in entry.fields],
        events=[_event(spec) for spec in entry.events],
    )


def _field(spec: FieldSpec) -> FieldRow:
    return FieldRow(name=spec.name, type=spec.type, title=spec.title, origin=spec.origin, values=list(spec.values))


def _event(spec: EventSpec) -> EventRow:
    return EventRow(name=spec.name, title=spec.title, origin=spec.origin, properties=dict(spec.properties))
