"""Journeys: documents, checks, versions, what is live, and moving contacts between versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.forecasts import Forecaster
from activities.rehearsal import rehearsal
from activities.sending.gate import limits_of
from activities.sending.template_labels import topics_of
from api.admin.forecasts import Forecast, PublishPreview, published, shown
from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Id, KeyOrId, Limit, Number, Page, page_of
from api.jobs import JobRow
from api.server import Server, TheServer
from crm.jobs import add_job
from engine.interpreter import simulate
from engine.temporal.wakeups import Wakeups
from engine.versions import listing, migrate, publish
from engine.versions.publish import get_journey, get_version
from journeys.compile import compile_journey
from journeys.diff import diff
from journeys.document import pretty
from journeys.errors import Conflict, Invalid, Issue, NotFound
from journeys.reading import read
from journeys.schema import journey_schema
from locales import translator
from models import Journey, Migration, Version
from storage import tally
from workspace.calendar import load_calendar

router = APIRouter(prefix="/api/v1", tags=["journeys"], route_class=JsonRoute)

DOCUMENT: dict[str, Any] = {
    "spec": 1,
    "key": "welcome",
    "name": "Welcome",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "pause",
    "nodes": {"pause": {"kind": "wait", "duration": "P1D"}, "done": {"kind": "exit"}},
    "edges": [{"from": "pause", "outlet": "next", "to": "done"}],
}

State = Literal["draft", "live", "paused", "stopped"]


class JourneyRow(BaseModel):
    """A journey as lists show it. `runs`: how many there are by status, and how many reached the goal."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    key: str
    name: str
    folder: str
    tags: list[str]
    state: str
    revision: int
    live_version: int | None
    created_at: datetime
    updated_at: datetime
    updated_by: str
    archived_at: datetime | None
    paused_at: datetime | None = None
    runs: dict[str, int] = {}


class JourneyDetail(JourneyRow):
    """A journey with its draft."""

    draft: dict[str, Any] = Field(examples=[DOCUMENT])


class NewJourney(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"document": DOCUMENT}})

    document: dict[str, Any] = Field(description="The journey document; its JSON Schema is at `/api/v1/journeys/schema`.")


class Draft(NewJourney):
    """A new draft. `revision` is the one you loaded."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"document": DOCUMENT, "revision": 7}})

    revision: int = Field(ge=1, le=2**31 - 1)


class Problem(BaseModel):
    """One problem of a draft, in the reader's language. `node_id` is null for the document itself."""

    code: str
    severity: Literal["error", "warning"]
    node_id: str | None
    field: str | None
    message: str


class Checked(BaseModel):
    """`publishable`: no error among the problems."""

    publishable: bool
    problems: list[Problem]


class Publish(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"note": "Second mail one day later"}})

    note: str = Field("", max_length=2_000)
    revision: int | None = Field(None, ge=1, le=2**31 - 1, description="Of the draft you looked at; 409 if it was saved since.")


class Labels(BaseModel):
    """The folder of a journey and its tags."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"folder": "Shop", "tags": ["spring", "cart"]}})

    folder: str = Field("", max_length=listing.FOLDER_CHARACTERS, description="Empty: none.")
    tags: list[Annotated[str, Field(max_length=listing.TAG_CHARACTERS)]] = Field([], max_length=listing.MOST_TAGS)


class LabelsInUse(BaseModel):
    """The folders and tags in use."""

    folders: list[str]
    tags: list[str]


class RollbackRequest(BaseModel):
    """Which version to publish once more. `unpublished`: what becomes of edits of the draft that were never published."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"version": 2, "unpublished": "copy"}})

    version: int = Field(ge=1, le=2**31 - 1)
    revision: int | None = Field(None, ge=1, le=2**31 - 1, description="Of the draft you looked at; 409 if it was saved since.")
    unpublished: publish.Unpublished = Field("refuse", description="refuse: 409; copy: into a journey of their own; drop: away with them.")


class VersionRow(BaseModel):
    """A published state. Equal digests behave equally."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    digest: str
    note: str
    published_at: datetime
    published_by: str
    open_runs: int = 0


class VersionDetail(VersionRow):
    document: dict[str, Any]
    pins: dict[str, Any]


class RollbackResult(BaseModel):
    """`copy_key`: the journey that keeps the edits of the draft."""

    version: VersionDetail
    copy_key: str | None


class Difference(BaseModel):
    """One thing that differs; `sentence` says it in the reader's language."""

    what: str
    place: str
    field: str | None
    before: Any
    after: Any
    sentence: str


class MigrationRequest(BaseModel):
    """A migration: from one version to another. `node_map`: old node -> new node; nodes of the same id and kind need no entry, one that maps to an
    empty text stays where it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"from_version": 1, "to_version": 2, "node_map": {"wait-3-days": "wait-2-days"}}}
    )

    from_version: int = Field(ge=1, le=2**31 - 1)
    to_version: int = Field(ge=1, le=2**31 - 1)
    node_map: dict[str, str] = Field({}, max_length=2_000)


class MigrationPreview(BaseModel):
    """What a migration would do, counted by node, and what would happen at once to those who are moved; nothing is written."""

    moves: list[dict[str, Any]]
    without_target: list[dict[str, Any]]
    open_runs: int
    forecast: Forecast


class MigrationRow(BaseModel):
    """`state`: running, done, rolling_back or rolled_back."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    journey_id: str
    from_version: int
    to_version: int
    node_map: dict[str, str]
    state: str
    moved: int
    skipped: int
    created_at: datetime
    created_by: str


class MigrationDetail(MigrationRow):
    """How far it got: `looked_at` of `total` runs. Of a rollback: runs `put_back`, and those that `stayed` because they had moved on since
    (`stayed_runs` names the first 200)."""

    looked_at: int
    total: int
    put_back: int
    stayed: int
    stayed_runs: list[str]


class SimulationRequest(BaseModel):
    """A simulation: a document, or a version of a stored journey (`version` 0: its draft), and a script."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"document": DOCUMENT, "script": {"contact": {"email": "ada@example.org"}, "until": "P7D"}}},
    )

    document: dict[str, Any] | None = None
    journey: str | None = Field(None, max_length=64, description="Key or id, instead of a document.")
    version: int = Field(0, ge=0, le=2**31 - 1)
    script: simulate.Script = simulate.Script()


class SimulationResult(BaseModel):
    """The way of the script's contact. `ended` null: it still waits."""

    model_config = ConfigDict(from_attributes=True)

    entered: bool
    why: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    steps: int
    ended: str | None
    ended_at: datetime | None
    waits_until: datetime | None


@router.get("/journeys", summary="List journeys", responses=ADMIN)
def list_journeys(
    server: TheServer,
    actor: Annotated[Actor, needs("journey.read")],
    state: State | None = None,
    archived: Annotated[bool, Query(description="Archived ones instead of the others.")] = False,
    text: Annotated[str, Query(max_length=120, description="Part of the name or the key.")] = "",
    folder: Annotated[str | None, Query(max_length=120, description="Empty: those in no folder.")] = None,
    tag: Annotated[str | None, Query(max_length=40)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[JourneyRow]:
    """By key, with their runs counted."""
    filter = listing.JourneyFilter(text, state, folder, tag, archived, order="key")
    with server.engine.db.read() as session:
        after = session.scalar(select(Journey.id).where(Journey.key == cursor)) if cursor else None
        found = listing.page(session, filter, after=after, limit=limit)
        counted = listing.numbers(session, [row.id for row in found.journeys])
        items = [_row(row, counted[row.id].by_status()) for row in found.journeys]
    return Page(items=items, next=items[-1].key if found.next_after else None)


@router.get("/journeys/labels", summary="Folders and tags", responses=ADMIN)
def list_labels(server: TheServer, actor: Annotated[Actor, needs("journey.read")]) -> LabelsInUse:
    """Of the journeys that are not archived, sorted."""
    with server.engine.db.read() as session:
        folders, tags = listing.labels(session)
    return LabelsInUse(folders=folders, tags=tags)


@router.post("/journeys", summary="Create a journey", status_code=201, responses=CHANGE)
def create_journey(
    new: NewJourney, server: TheServer, actor: Annotated[Actor, needs("journey.change")], response: Response
) -> JourneyDetail:
    """Stores a draft; nothing is live before it is published. A draft may have problems."""
    with server.engine.db.write() as session:
        journey = publish.create_journey(session, new.document, actor.id, server.engine.clock.now())
        return _detail(session, journey, response)


@router.get("/journeys/schema", summary="JSON Schema of the journey document", responses=ADMIN)
def schema(server: TheServer, actor: Annotated[Actor, needs("journey.read")]) -> dict[str, Any]:
    """With the node kinds of this installation, custom activities included."""
    return journey_schema(server.engine.palette)


@router.post("/journeys/check", summary="Check a document", responses=ADMIN)
def check_document(new: NewJourney, server: TheServer, actor: Annotated[Actor, needs("journey.read")]) -> Checked:
    """Lists every problem at once; stores nothing."""
    with server.engine.db.read() as session:
        return _checked(publish.check_draft(server.engine, session, new.document), actor.locale)


@router.post("/journeys/simulate", summary="Simulate a journey", responses=ONE)
def simulate_journey(body: SimulationRequest, server: TheServer, actor: Annotated[Actor, needs("journey.try")]) -> SimulationResult:
    """Walks a contact of your making through, on a virtual clock, with the interpreter that runs real contacts. The newest versions of the workspace's
    templates are filled in: a message that asks for a value the contact lacks is skipped, as a real one. Sends and stores nothing."""
    with server.engine.db.read() as session:
        document = _document_to_try(session, body)
        passed = publish.RUNS_ON if body.version else frozenset[str]()  # a version that was published is walked as it runs
        found = publish.check_draft(server.engine, session, document, passed)
        issues = [issue for issue in found if issue.severity == "error"]
        if issues:
            key = str(document.get("key", ""))[:64]
            raise Invalid(
                "The journey “{key}” has {count} problems, the first: {problem}", issues, key=key, count=len(issues), problem=issues[0]
            )
        calendar, limits = load_calendar(session, server.engine.clock.now()), limits_of(session)
        program = compile_journey(read(document), server.engine.palette)
        messaging = server.messaging
        fill = rehearsal(session, program, messaging.tracking, messaging.language, messaging.renderer)
        topics = topics_of(session, fill.compiled)
    path = simulate.simulate(program, body.script, calendar, limits, fill, topics)
    return SimulationResult(
        entered=path.entered,
        why=path.why,
        lines=[{"at": line.at, "node": line.node, "what": line.what, "outlet": line.outlet, "detail": line.detail} for line in path.lines],
        calls=path.calls,
        changes=[change.model_dump(mode="json") for change in path.changes],
        steps=path.steps,
        ended=path.ended,
        ended_at=path.ended_at,
        waits_until=path.waits_until,
    )


@router.get("/journeys/{journey_id}", summary="One journey", responses=ONE)
def get_one(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.read")], response: Response) -> JourneyDetail:
    """By id or key, with its draft. The `ETag` is the revision."""
    with server.engine.db.read() as session:
        return _detail(session, get_journey(session, journey_id), response)


@router.put("/journeys/{journey_id}/draft", summary="Save a draft", responses=CHANGE)
def save_draft(
    journey_id: KeyOrId, draft: Draft, server: TheServer, actor: Annotated[Actor, needs("journey.change")], response: Response
) -> JourneyDetail:
    """Live versions are not touched. 409 if somebody saved meanwhile."""
    with server.engine.db.write() as session:
        journey = get_journey(session, journey_id)
        journey = publish.save_draft(session, journey.id, draft.document, draft.revision, actor.id, server.engine.clock.now())
        return _detail(session, journey, response)


@router.get("/journeys/{journey_id}/check", summary="Check the draft", responses=ONE)
def check_draft(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.read")]) -> Checked:
    """Every problem of the stored draft."""
    with server.engine.db.read() as session:
        return _checked(publish.check_draft(server.engine, session, get_journey(session, journey_id).draft), actor.locale)


@router.get(
    "/journeys/{journey_id}/document",
    summary="Export the document",
    response_class=Response,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}, "example": DOCUMENT}}}, **ONE},
)
def export_document(
    journey_id: KeyOrId,
    server: TheServer,
    actor: Annotated[Actor, needs("journey.read")],
    version: Annotated[int, Query(ge=0, le=2**31 - 1, description="0: the draft.")] = 0,
) -> Response:
    """As it stands in git: stable key order, two blanks, one line end at the end."""
    with server.engine.db.read() as session:
        journey = get_journey(session, journey_id)
        document = get_version(session, journey.id, version).document if version else journey.draft
        return Response(pretty(read(document)), media_type="application/json", headers={"etag": f'"{journey.revision}"'})


@router.put("/journeys/{journey_id}/document", summary="Import a document", responses=CHANGE)
def import_document(
    journey_id: KeyOrId,
    document: dict[str, Any],
    server: TheServer,
    actor: Annotated[Actor, needs("journey.change")],
    response: Response,
    if_match: Annotated[str | None, Header(max_length=40, description="`ETag` of the draft that you want to replace.")] = None,
) -> JourneyDetail:
    """Creates the journey of this key, or replaces its draft (`pfadwerk push`)."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        journey = session.scalars(select(Journey).where((Journey.key == journey_id) | (Journey.id == journey_id))).first()
        if journey is None:
            if document.get("key") != journey_id:
                raise Invalid(
                    "Expected a document with the key {key}.",
                    [Issue(code="key", text="The key differs from the address.", field="key")],
                    key=journey_id,
                )
            return _detail(session, publish.create_journey(session, document, actor.id, now), response)
        revision = _revision(if_match, journey.revision)
        return _detail(session, publish.save_draft(session, journey.id, document, revision, actor.id, now), response)


def _revision(if_match: str | None, present: int) -> int:
    """The revision that the caller saw; the present one if none is named, which overwrites."""
    text = (if_match or "").strip('"')
    return int(text) if text.isdigit() and len(text) < 10 else present if not if_match else 0


@router.post("/journeys/{journey_id}/publish", summary="Publish the draft", responses=CHANGE)
def publish_journey(
    journey_id: KeyOrId, body: Publish, server: TheServer, actor: Annotated[Actor, needs("journey.change")]
) -> VersionDetail:
    """Freezes the draft as the next version and makes it live. Contacts inside stay on their version. 422 lists every problem."""
    with server.engine.db.write() as session:
        journey = get_journey(session, journey_id, locked=True)
        if body.revision is not None and journey.revision != body.revision:
            raise Conflict(
                "Someone else saved this journey in the meantime. Review it before you save.",
                revision=journey.revision,
                by=journey.updated_by,
            )
        version = publish.publish(server.engine, session, journey.id, actor.id, body.note, server.engine.clock.now())
        return VersionDetail.model_validate(version)


@router.post("/journeys/{journey_id}/publish/preview", summary="Preview a publication", responses=CHANGE)
async def preview_publication(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.change")]) -> PublishPreview:
    """Who stays on which version, and whom schedules and dates of the draft would let in within 24 hours: who gets which message, who not and why.
    422 lists every problem of the draft. Writes nothing. One preview at a time for each person."""
    async with server.turns.of(actor.id):
        return await run_in_threadpool(_previewed_publication, server, journey_id)


def _previewed_publication(server: Server, journey_id: str) -> PublishPreview:
    engine = server.engine
    with engine.db.read() as session:
        journey = get_journey(session, journey_id)
        found = Forecaster(engine, server.messaging).publication(session, journey.id, engine.clock.now())
        return published(found, journey.revision)


@router.post("/journeys/{journey_id}/pause", summary="Pause", responses=CHANGE)
def pause(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.pause")]) -> JourneyRow:
    """What comes due is held; exits still act; events still count."""
    return _change(server, journey_id, actor.id, publish.pause)


@router.post("/journeys/{journey_id}/resume", summary="Resume", responses=CHANGE)
def resume(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.pause")]) -> JourneyRow:
    """Lets held runs go on, in order."""
    return _change(server, journey_id, actor.id, publish.resume)


@router.post("/journeys/{journey_id}/stop", summary="Stop", responses=CHANGE)
def stop(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.change")]) -> JourneyRow:
    """Nobody enters any more, and every open run ends."""
    return _change(server, journey_id, actor.id, publish.stop)


@router.post("/journeys/{journey_id}/archive", summary="Archive", responses=CHANGE)
def archive(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.change")]) -> JourneyRow:
    """Takes a journey that is not running out of the lists."""
    return _shelve(server, journey_id, actor.id, publish.archive)


@router.post("/journeys/{journey_id}/unarchive", summary="Bring back", responses=CHANGE)
def unarchive(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.change")]) -> JourneyRow:
    """The opposite of archiving."""
    return _shelve(server, journey_id, actor.id, publish.unarchive)


@router.put("/journeys/{journey_id}/labels", summary="Folder and tags", responses=CHANGE)
def put_away(journey_id: KeyOrId, place: Labels, server: TheServer, actor: Annotated[Actor, needs("journey.change")]) -> JourneyRow:
    """Where the journey lies in lists; neither the draft nor versions are touched."""
    with server.engine.db.write() as session:
        journey = listing.put_away(session, journey_id, place.folder, place.tags, actor.id)
        return _row(journey, _numbers(session, journey.id))


@router.post("/journeys/{journey_id}/rollback", summary="Back to an earlier version", responses=CHANGE)
def go_back(
    journey_id: KeyOrId, body: RollbackRequest, server: TheServer, actor: Annotated[Actor, needs("journey.change")]
) -> RollbackResult:
    """Publishes an earlier version once more under the next number. Contacts inside stay on theirs; history stays as it is."""
    engine = server.engine
    with engine.db.write() as session:
        made = publish.roll_back(
            engine,
            session,
            journey_id,
            body.version,
            actor.id,
            engine.clock.now(),
            revision=body.revision,
            unpublished=body.unpublished,
        )
        return RollbackResult(version=VersionDetail.model_validate(made.version), copy_key=made.copy_key)


@router.get("/journeys/{journey_id}/versions", summary="List versions", responses=ONE)
def list_versions(
    journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.read")], limit: Limit = 50, cursor: Cursor = None
) -> Page[VersionRow]:
    """Newest first, with the open runs on each."""
    with server.engine.db.read() as session:
        journey = get_journey(session, journey_id)
        statement = select(Version).where(Version.journey_id == journey.id).order_by(col(Version.number).desc()).limit(limit + 1)
        if cursor:
            statement = statement.where(col(Version.number) < (int(cursor) if cursor.isdigit() and len(cursor) < 10 else 0))
        rows, following = page_of(list(session.scalars(statement)), limit, "number")
        open_runs = _open_runs(session, journey.id)
        items = [VersionRow.model_validate(row).model_copy(update={"open_runs": open_runs.get(row.number, 0)}) for row in rows]
        return Page(items=items, next=following)


@router.get("/journeys/{journey_id}/versions/{number}", summary="One version", responses=ONE)
def one_version(journey_id: KeyOrId, number: Number, server: TheServer, actor: Annotated[Actor, needs("journey.read")]) -> VersionDetail:
    """With its document and what it pins."""
    with server.engine.db.read() as session:
        journey = get_journey(session, journey_id)
        detail = VersionDetail.model_validate(get_version(session, journey.id, number))
        return detail.model_copy(update={"open_runs": _open_runs(session, journey.id).get(number, 0)})


@router.get("/journeys/{journey_id}/diff", summary="Differences", responses=ONE)
def what_differs(
    journey_id: KeyOrId,
    server: TheServer,
    actor: Annotated[Actor, needs("journey.read")],
    before: Annotated[int, Query(ge=0, le=2**31 - 1, description="Version; 0: the draft.")],
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Version; 0: the draft.")] = 0,
) -> list[Difference]:
    """Settings, nodes and edges; positions on the canvas do not count."""
    translate = translator(actor.locale)
    with server.engine.db.read() as session:
        journey = get_journey(session, journey_id)
        old, new = (read(get_version(session, journey.id, number).document if number else journey.draft) for number in (before, after))
    return [Difference(**found.model_dump(), sentence=found.say(translate)) for found in diff(old, new)]


@router.post("/journeys/{journey_id}/migrations/preview", summary="Preview a migration", responses=CHANGE)
async def preview_migration(
    journey_id: KeyOrId, body: MigrationRequest, server: TheServer, actor: Annotated[Actor, needs("journey.move")]
) -> MigrationPreview:
    """How many runs wait where, where they would go, and who has no target; who would get which message at once, and who leaves. Of more than
    1,000 runs 500 are judged, drawn at random. One preview at a time for each person."""
    async with server.turns.of(actor.id):
        return await run_in_threadpool(_previewed_move, server, journey_id, body)


def _previewed_move(server: Server, journey_id: str, body: MigrationRequest) -> MigrationPreview:
    engine = server.engine
    with engine.db.read() as session:
        journey = get_journey(session, journey_id)
        where = (journey.id, body.from_version, body.to_version, body.node_map)
        found = migrate.preview(engine, session, *where)
        ahead = Forecaster(engine, server.messaging).move(session, *where, engine.clock.now())
    return MigrationPreview(**asdict(found), forecast=shown(ahead))


@router.post("/journeys/{journey_id}/migrations", summary="Migrate open runs", status_code=202, responses=CHANGE)
def start_migration(
    journey_id: KeyOrId, body: MigrationRequest, server: TheServer, actor: Annotated[Actor, needs("journey.move")]
) -> JobRow:
    """Starts a job that moves open runs in chunks; the time they have waited is kept. Its progress is at `/api/v1/jobs/{id}`."""
    engine = server.engine
    now = engine.clock.now()
    with engine.db.write() as session:
        journey = get_journey(session, journey_id)
        found = migrate.preview(engine, session, journey.id, body.from_version, body.to_version, body.node_map)
        begun = migrate.start(engine, session, journey.id, body.from_version, body.to_version, body.node_map, actor.id, now)
        job = add_job(session, "migrate", f"journey:{journey.id}", {"migration_id": begun.id}, actor.id, now, total=found.open_runs)
        return JobRow.model_validate(job)


@router.get("/journeys/{journey_id}/migrations", summary="List migrations", responses=ONE)
def list_migrations(
    journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("journey.read")], limit: Limit = 50, cursor: Cursor = None
) -> Page[MigrationRow]:
    """Newest first."""
    with server.engine.db.read() as session:
        journey = get_journey(session, journey_id)
        statement = select(Migration).where(Migration.journey_id == journey.id).order_by(col(Migration.id).desc()).limit(limit + 1)
        rows, following = page_of(list(session.scalars(statement.where(col(Migration.id) < cursor) if cursor else statement)), limit, "id")
        return Page(items=[MigrationRow.model_validate(row) for row in rows], next=following)


@router.get("/migrations/{migration_id}", summary="One migration", responses=ONE)
def one_migration(migration_id: Id, server: TheServer, actor: Annotated[Actor, needs("journey.read")]) -> MigrationDetail:
    """How far it got, and whom a rollback could not put back."""
    with server.engine.db.read() as session:
        return _migration(session, migration_id)


@router.post("/migrations/{migration_id}/rollback", summary="Roll a migration back", status_code=202, responses=CHANGE)
def roll_back(migration_id: Id, server: TheServer, actor: Annotated[Actor, needs("journey.move")]) -> JobRow:
    """Starts a job that puts back the runs that still stand where they were moved to. `GET /api/v1/migrations/{id}` lists the others."""
    engine = server.engine
    now = engine.clock.now()
    with engine.db.write() as session:
        begun = migrate.begin_rollback(session, migration_id, actor.id)
        job = add_job(session, "migrate_back", f"journey:{begun.journey_id}", {"migration_id": begun.id}, actor.id, now, total=begun.moved)
        return JobRow.model_validate(job)


def _migration(session: Session, migration_id: str) -> MigrationDetail:
    migration = session.get(Migration, migration_id)
    if migration is None:
        raise NotFound("There is no such migration.")
    far = migrate.progress(session, migration)
    return MigrationDetail(
        **MigrationRow.model_validate(migration).model_dump(),
        looked_at=far.done,
        total=far.total,
        put_back=far.put_back,
        stayed=far.stayed,
        stayed_runs=migrate.stayed(session, migration_id) if migration.state == "rolled_back" else [],
    )


def _document_to_try(session: Session, body: SimulationRequest) -> Mapping[str, Any]:
    if body.document is not None:
        return body.document
    if body.journey is None:
        raise Invalid(
            "Expected a document or a journey.", [Issue(code="missing", text="Expected a document or a journey.", field="document")]
        )
    journey = get_journey(session, body.journey)
    return get_version(session, journey.id, body.version).document if body.version else journey.draft


def _change(server: Server, journey_id: str, by: str, act: Any) -> JourneyRow:
    engine = server.engine
    with engine.db.write() as session:
        journey = get_journey(session, journey_id)
        wakeups: Wakeups = act(engine, session, journey.id, by, engine.clock.now())
        row = _row(get_journey(session, journey.id), _numbers(session, journey.id))
    server.wake(wakeups)
    return row


def _shelve(server: Server, journey_id: str, by: str, act: Any) -> JourneyRow:
    with server.engine.db.write() as session:
        journey = act(session, get_journey(session, journey_id).id, by, server.engine.clock.now())
        return _row(journey, _numbers(session, journey.id))


def _checked(issues: list[Issue], locale: str) -> Checked:
    translate = translator(locale)
    problems = [
        Problem(code=issue.code, severity=issue.severity, node_id=issue.node_id, field=issue.field, message=issue.say(translate))
        for issue in issues
    ]
    return Checked(publishable=all(problem.severity != "error" for problem in problems), problems=problems)


def _row(journey: Journey, runs: dict[str, int]) -> JourneyRow:
    return JourneyRow.model_validate(journey).model_copy(update={"runs": runs})


def _detail(session: Session, journey: Journey, response: Response) -> JourneyDetail:
    response.headers["etag"] = f'"{journey.revision}"'
    return JourneyDetail(**_row(journey, _numbers(session, journey.id)).model_dump(), draft=journey.draft)


def _numbers(session: Session, journey_id: str) -> dict[str, int]:
    return listing.numbers(session, [journey_id])[journey_id].by_status()


def _open_runs(session: Session, journey_id: str) -> dict[int, int]:
    return {number: counts.inside for number, counts in tally.by_version(session, journey_id).items()}
