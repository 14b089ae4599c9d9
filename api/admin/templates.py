"""Message templates: edit, preview on a real contact, versions, and a test send to oneself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.rendering import Kind, Rendered
from activities.rendering.kinds import PARTIAL
from activities.templates import library, partials
from activities.templates.seeds import send_to_seeds
from api.admin.messages import MessageRow
from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Limit, Number, Page, page_of
from api.server import Server, TheServer
from engine.versions import publish
from journeys.channels import DEFAULT
from journeys.errors import Invalid, Issue, NotFound
from journeys.link_parameters import LinkParameters
from locales import translator
from models import Template, TemplateVersion

router = APIRouter(prefix="/api/v1", tags=["templates"], route_class=JsonRoute)

Key = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Key of the template.", examples=["welcome-1"])]

_VARIANTS: dict[str, Any] = {
    "default": {
        "subject": "Welcome, {{ contact.first_name | default('friend') }}",
        "mjml": "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>",
    }
}


class TemplateRow(BaseModel):
    """A template as lists show it. `kind`: email, sms, text or partial (a piece of mails)."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    name: str
    kind: str
    message_class: str
    topic: str
    sender: str
    reply_to: str
    link_parameters: LinkParameters
    folder: str
    tags: list[str]
    revision: int
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


class OlderPartial(BaseModel):
    """The template's newest version holds `version` of a partial, of which there is `newest`."""

    model_config = ConfigDict(from_attributes=True)

    partial: str
    version: int
    newest: int


class TemplateDetail(TemplateRow):
    """With its texts as edited last: locale (`default` included) -> the parts of its kind. `version` is the newest compiled one; the
    texts may be a draft beyond it. `partials`: key -> the version that stands in it."""

    variants: dict[str, Any]
    version: int
    partials: dict[str, int] = {}
    older_partials: list[OlderPartial] = []
    warnings: list[str] = []


class PartialUse(BaseModel):
    """A template or partial that includes a partial. `version` of the partial stands in its newest version; null: only its draft includes
    it, or it is a partial itself, which takes the newest."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    name: str
    kind: str
    archived: bool
    version: int | None


class UpdatePartials(BaseModel):
    """Which templates get the newest versions of their partials: those that hold an older one of `partial`, only `template`, or all."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"partial": "footer"}})

    partial: str | None = Field(None, max_length=64)
    template: str | None = Field(None, max_length=64)


class FailedUpdate(BaseModel):
    """A template that stays as it was, and why."""

    key: str
    problem: str


class UpdatedPartials(BaseModel):
    """`updated`: template -> its new version. `left`: how many are still to be done; ask again."""

    updated: dict[str, int]
    failed: list[FailedUpdate]
    left: int


class Save(BaseModel):
    """A template as edited. `revision` is the one you loaded; leave it out to create or to overwrite."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "Welcome 1", "kind": "email", "message_class": "transactional", "variants": _VARIANTS}},
    )

    name: str = Field(min_length=1, max_length=120)
    kind: Kind = DEFAULT
    message_class: Literal["marketing", "transactional"] = "marketing"
    variants: dict[str, Any] = Field(max_length=50)
    folder: str | None = Field(None, max_length=120, description="Left out: it stays where it is.")
    tags: list[Annotated[str, Field(min_length=1, max_length=60)]] | None = Field(None, max_length=20, description="Left out: they stay.")
    topic: str | None = Field(None, max_length=64, description="A topic of the workspace, empty: none. Left out: it stays.")
    sender: str | None = Field(
        None, max_length=64, description="A sender of the workspace, empty: the usual one. A step may choose another. Left out: it stays."
    )
    reply_to: str | None = Field(
        None, max_length=64, description="A sender who gets answers, empty: as the sender says. Left out: it stays."
    )
    link_parameters: LinkParameters | None = Field(
        None,
        description="What is added to links (`utm_…`): the workspace's, none, or patterns with {journey}, {template} … Left out: it stays.",
    )
    revision: int | None = Field(None, ge=1, le=2**31 - 1)


class Preview(BaseModel):
    """What to fill in. Without `variants` the stored template (they need the right to change templates); without `contact_id` a made-up contact."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"locale": "de", "trigger": {"total": 59.9}}})

    contact_id: str | None = Field(None, max_length=32)
    locale: str | None = Field(None, max_length=35)
    version: int | None = Field(None, ge=1, le=2**31 - 1)
    trigger: dict[str, Any] = Field({}, max_length=200)
    variants: dict[str, Any] | None = Field(None, max_length=50)


class Previewed(BaseModel):
    """The message as this contact would get it, without tracking."""

    subject: str
    html: str
    text: str
    locale: str
    headers: dict[str, str]
    parts: dict[str, str] = {}
    """Further parts of its kind, by their names."""


class TestSend(BaseModel):
    """Filled in for a contact, sent to a member: you, unless an admin key asks, which has to name one."""

    __test__ = False  # no test case, whatever its name says to pytest
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"contact_id": "019aa1b2c3d4e5f60718293a4b5c6d7e"}})

    contact_id: str = Field(min_length=1, max_length=32)
    member_id: str | None = Field(None, max_length=32)
    version: int | None = Field(None, ge=1, le=2**31 - 1)
    trigger: dict[str, Any] = Field({}, max_length=200)


class SeedSend(BaseModel):
    """Filled in for a contact, sent to each address of the seed list. What a step chooses can be named as well."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"contact_id": "019aa1b2c3d4e5f60718293a4b5c6d7e"}})

    contact_id: str = Field(min_length=1, max_length=32)
    version: int | None = Field(None, ge=1, le=2**31 - 1)
    trigger: dict[str, Any] = Field({}, max_length=200)
    sender: str = Field("", max_length=64, description="Key of a further sender; empty: as in the template, else the usual one.")
    reply_to: str = Field("", max_length=64, description="Likewise, of who gets answers.")


class SeedSent(BaseModel):
    """One message for each address, in the order of the list."""

    items: list[MessageRow]


class Correction(BaseModel):
    """Which running version of which journey is to use which version of the template."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"journey": "welcome", "version": 3, "template_version": 5}})

    journey: str = Field(min_length=1, max_length=64, description="Key or id.")
    version: int = Field(ge=1, le=2**31 - 1)
    template_version: int = Field(ge=1, le=2**31 - 1)


class TemplateVersionRow(BaseModel):
    """An immutable compiled state; journeys pin its number when they are published."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    number: int
    digest: str
    source: dict[str, Any]
    partials: dict[str, int]
    created_at: datetime


@router.get("/templates", summary="List templates", responses=ADMIN)
def list_templates(
    server: TheServer,
    actor: Annotated[Actor, needs("template.read")],
    kind: Kind | None = None,
    folder: Annotated[str, Query(max_length=120)] = "",
    archived: Annotated[bool, Query(description="Archived ones instead of the others.")] = False,
    text: Annotated[str, Query(max_length=120, description="Part of the name or the key.")] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[TemplateRow]:
    """By key."""
    statement = select(Template).order_by(col(Template.key)).limit(limit + 1)
    statement = statement.where(col(Template.archived_at).is_not(None) if archived else col(Template.archived_at).is_(None))
    if kind:
        statement = statement.where(Template.kind == kind)
    if folder:
        statement = statement.where(Template.folder == folder)
    if text:
        statement = statement.where(
            col(Template.name).icontains(text, autoescape=True) | col(Template.key).icontains(text, autoescape=True)
        )
    if cursor:
        statement = statement.where(col(Template.key) > cursor)
    with server.engine.db.read() as session:
        rows, following = page_of(list(session.scalars(statement)), limit, "key")
        return Page(items=[TemplateRow.model_validate(row) for row in rows], next=following)


@router.get("/templates/{key}", summary="One template", responses=ONE)
def one_template(key: Key, server: TheServer, actor: Annotated[Actor, needs("template.read")], response: Response) -> TemplateDetail:
    """As edited last. The `ETag` is the revision."""
    with server.engine.db.read() as session:
        template = library.get(session, key)
        response.headers["etag"] = f'"{template.revision}"'
        row = TemplateRow.model_validate(template)
        return TemplateDetail(**row.model_dump(), variants=template.variants, **_version_of(session, key))


def _version_of(session: Session, key: str) -> dict[str, Any]:
    """What stands in the newest version, as `TemplateDetail` says it."""
    number = library.latest(session, key)
    version = session.get(TemplateVersion, (key, number))
    older = [OlderPartial.model_validate(one) for one in partials.behind(session, key).get(key, [])]
    return {"version": number, "partials": version.partials if version else {}, "older_partials": older}


@router.put("/templates/{key}", summary="Save a template", responses=CHANGE)
def save_template(
    key: Key, body: Save, server: TheServer, actor: Annotated[Actor, needs("template.change")], response: Response
) -> TemplateDetail:
    """Compiles first: 422 lists every problem with its place and stores nothing. A changed text becomes the next version."""
    engine = server.engine
    saved = library.save(
        engine.db,
        key,
        body.variants,
        name=body.name,
        kind=body.kind,
        message_class=body.message_class,
        actor=actor.id,
        now=engine.clock.now(),
        revision=body.revision,
        folder=body.folder,
        tags=body.tags,
        topic=body.topic,
        sender=body.sender,
        reply_to=body.reply_to,
        link_parameters=body.link_parameters,
        renderer=server.messaging.renderer,
    )
    response.headers["etag"] = f'"{saved.template.revision}"'
    translate = translator(actor.locale)
    row = TemplateRow.model_validate(saved.template)
    warnings = [issue.say(translate) for issue in saved.warnings]
    with engine.db.read() as session:
        about = _version_of(session, key)
    return TemplateDetail(**row.model_dump(), variants=saved.template.variants, warnings=warnings, **{**about, "version": saved.number})


@router.delete("/templates/{key}", summary="Archive a template", responses=CHANGE)
def archive_template(key: Key, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> TemplateRow:
    """Journeys that pin one of its versions go on with it. Saving it brings it back."""
    with server.engine.db.write() as session:
        return TemplateRow.model_validate(library.archive(session, key, actor.id, server.engine.clock.now()))


@router.post("/templates/{key}/unarchive", summary="Bring a template back", responses=CHANGE)
def unarchive_template(key: Key, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> TemplateRow:
    """The opposite of archiving; its text stays as it was."""
    with server.engine.db.write() as session:
        return TemplateRow.model_validate(library.unarchive(session, key, actor.id, server.engine.clock.now()))


@router.get("/templates/{key}/uses", summary="Where a partial is used", responses=ONE)
def list_uses(key: Key, server: TheServer, actor: Annotated[Actor, needs("template.read")]) -> list[PartialUse]:
    """By name; also through other partials. Empty for what is no partial."""
    with server.engine.db.read() as session:
        template = library.get(session, key)
        found = partials.where_used(session, key) if template.kind == PARTIAL else []
        return [PartialUse.model_validate(one) for one in found]


@router.post("/templates/update-partials", summary="Bring templates up to the newest partials", responses=CHANGE)
def update_partials(body: UpdatePartials, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> UpdatedPartials:
    """A new version of each template, of the text that its newest version has; drafts stay drafts. What cannot be compiled stays as it was and is
    listed. Live journeys keep the versions they have. At most 100 at once."""
    engine = server.engine
    with engine.db.read() as session:
        for key in (body.partial, body.template):
            if key is not None:
                library.get(session, key)
    found = partials.update(
        engine.db,
        actor=actor.id,
        now=engine.clock.now(),
        partial=body.partial,
        template=body.template,
        renderer=server.messaging.renderer,
    )
    translate = translator(actor.locale)
    failed = [FailedUpdate(key=key, problem=issue.say(translate)) for key, issue in found.failed.items()]
    return UpdatedPartials(updated=found.done, failed=failed, left=found.left)


@router.get("/templates/{key}/versions", summary="List versions of a template", responses=ONE)
def list_versions(
    key: Key,
    server: TheServer,
    actor: Annotated[Actor, needs("template.read")],
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,9}$", description="`next` of the page before.")] = None,
) -> Page[TemplateVersionRow]:
    """Newest first."""
    statement = select(TemplateVersion).where(TemplateVersion.key == key).order_by(col(TemplateVersion.number).desc()).limit(limit + 1)
    if cursor:
        statement = statement.where(col(TemplateVersion.number) < int(cursor))
    with server.engine.db.read() as session:
        library.get(session, key)
        rows, following = page_of(list(session.scalars(statement)), limit, "number")
        return Page(items=[TemplateVersionRow.model_validate(row) for row in rows], next=following)


@router.get("/templates/{key}/versions/{number}", summary="One version of a template", responses=ONE)
def one_version(key: Key, number: Number, server: TheServer, actor: Annotated[Actor, needs("template.read")]) -> TemplateVersionRow:
    """With the source it was compiled from."""
    with server.engine.db.read() as session:
        version = session.get(TemplateVersion, (key, number))
        if version is None:
            raise NotFound("There is no such version of this template.")
        return TemplateVersionRow.model_validate(version)


@router.post("/templates/{key}/corrections", summary="Correct a running version", status_code=204, responses=CHANGE)
def correct(key: Key, body: Correction, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> Response:
    """Lets a version that is running send a corrected text, to everybody inside as well. Stands in the audit trail."""
    engine = server.engine
    with engine.db.write() as session:
        journey = publish.get_journey(session, body.journey)
        publish.update_pinned_template(session, journey.id, body.version, key, body.template_version, actor.id)
    return Response(status_code=204)


@router.post("/templates/{key}/preview", summary="Preview a template", responses=CHANGE)
async def preview_template(key: Key, body: Preview, server: TheServer, actor: Annotated[Actor, needs("template.read")]) -> Previewed:
    """Renders the stored template; or, for those who may change templates, the `variants` at hand before they are saved. One preview at a
    time for each person."""
    if body.variants is not None:
        actor.require("template.change")
    async with server.turns.of(actor.id):
        rendered = await run_in_threadpool(_previewed, server, key, body)
    return Previewed(
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        locale=rendered.locale,
        headers=dict(rendered.headers),
        parts=dict(rendered.parts),
    )


def _previewed(server: Server, key: str, body: Preview) -> Rendered:
    engine, renderer = server.engine, server.messaging.renderer
    with engine.db.read() as session:
        template = library.get(session, key)
        if body.variants is None:
            compiled = library.load(session, key, body.version)
        else:
            compiled = library.compile_draft(session, renderer, template, body.variants)
        return library.preview(
            session,
            server.messaging,
            compiled,
            engine.clock.now(),
            contact_id=body.contact_id,
            locale=body.locale,
            message_class=template.message_class,
            trigger=body.trigger,
        )


@router.post("/templates/{key}/test-send", summary="Send a test to oneself", status_code=201, responses=CHANGE)
def test_send(key: Key, body: TestSend, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> MessageRow:
    """Goes to the member's own address and to nobody else; passes no gate and counts nowhere."""
    member_id = body.member_id if actor.member is None else actor.member.id
    if member_id is None:
        raise Invalid(
            "Expected member_id.", [Issue(code="missing", text="An admin key does not belong to a member: name one.", field="member_id")]
        )
    message = library.send_test(
        server.engine.db,
        server.messaging,
        server.provider,
        key,
        member_id=member_id,
        now=server.engine.clock.now(),
        contact_id=body.contact_id,
        number=body.version,
        trigger=body.trigger,
    )
    return MessageRow.model_validate(message)


@router.post("/templates/{key}/seed-send", summary="Send one copy to each address of the seed list", status_code=201, responses=CHANGE)
def seed_send(key: Key, body: SeedSend, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> SeedSent:
    """The setting `seed_list`. Copies look like the real e-mail, pass no gate and count in no report and no rate. Audited."""
    sent = send_to_seeds(
        server.engine.db,
        server.messaging,
        server.provider,
        key,
        by=actor.id,
        now=server.engine.clock.now(),
        contact_id=body.contact_id,
        number=body.version,
        said={"sender": body.sender, "reply_to": body.reply_to},
        trigger=body.trigger,
    )
    return SeedSent(items=[MessageRow.model_validate(one) for one in sent])
