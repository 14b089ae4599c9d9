"""Runs: contacts on their way. Look, resume, skip, end; enrol one contact, or everyone for whom a rule holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from activities.forecasts import Forecaster
from api.admin.forecasts import Forecast, shown
from api.admin.run_timeline import RunRow, RunStory
from api.auth.access import Actor, needs
from api.http.errors import CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Id, KeyOrId, Limit, Page
from api.jobs import JobRow
from api.server import Server, TheServer
from crm.jobs import add_job
from engine.enrolment import manual
from engine.enrolment.entry import Refused
from engine.interpreter.forecast import NAMED
from engine.runs import operations
from engine.versions.publish import get_journey
from journeys.errors import Conflict
from journeys.rules import Rule
from storage.locks import person_of

router = APIRouter(prefix="/api/v1", tags=["runs"], route_class=JsonRoute)

_RULE: dict[str, Any] = {"combinator": "and", "rules": [{"field": "plan", "operator": "=", "value": "pro"}]}


class Skip(BaseModel):
    """The outlet to leave the node through."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"outlet": "next"}})

    outlet: str = Field(min_length=1, max_length=64)


class Done(BaseModel):
    """It is done; the run is woken."""

    run_id: str


class Enrol(BaseModel):
    """A contact to enrol. `data` stands for the properties of the event that otherwise starts a run."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"contact_id": "019aa1b2c3d4e5f60718293a4b5c6d7e", "data": {"cart_id": "c-7"}}}
    )

    contact_id: str = Field(min_length=1, max_length=32)
    data: dict[str, Any] = Field({}, max_length=200)


class Enrolled(BaseModel):
    """`entered` false: `reason` and `detail` say why not. `held_out`: in the control group."""

    entered: bool
    run_id: str | None = None
    held_out: bool = False
    reason: str | None = None
    detail: dict[str, Any] = {}


class Whom(BaseModel):
    """Everyone for whom `rule` holds; null: everyone."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"rule": _RULE}})

    rule: Rule | None = None


class Bulk(Whom):
    """Whom to enrol. `version`: the one that the preview spoke of."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"rule": _RULE, "version": 3}})

    version: int | None = Field(None, ge=1, le=2**31 - 1, description="409 if another version is live by now; null: whatever is live.")


class BulkPreview(BaseModel):
    """`count` contacts fit the rule, and would enter `version`. Of the `judged` so many would enter, the others are counted by reason; `forecast` says
    what would happen to them at once."""

    version: int
    count: int
    judged: int
    would_enter: int
    refused: dict[str, int]
    sample: list[dict[str, Any]]
    forecast: Forecast


@router.get("/runs", summary="List runs", responses=ONE)
def list_runs(
    server: TheServer,
    actor: Annotated[Actor, needs("run.read")],
    journey: Annotated[str | None, Query(max_length=64, description="Key or id.")] = None,
    contact_id: Annotated[str | None, Query(max_length=32)] = None,
    status: Annotated[Literal["open", "active", "held", "stuck", "quarantined", "ended", "held_out"] | None, Query()] = None,
    node: Annotated[str | None, Query(max_length=64)] = None,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RunRow]:
    """Newest first; every filter that is given must fit. `open` is everything that has not ended."""
    with server.engine.db.read() as session:
        journey_id = get_journey(session, journey).id if journey else None
        contact_id = person_of(session, contact_id) if contact_id else None
        filter = operations.RunFilter(journey_id, contact_id, status, node, version, cursor, limit)
        rows = operations.list_runs(session, filter)
        return Page(items=[RunRow.model_validate(row) for row in rows], next=rows[-1]["id"] if len(rows) == limit else None)


@router.get("/runs/{run_id}", summary="One run's timeline", responses=ONE, response_model_exclude_unset=True)
def one_run(run_id: Id, server: TheServer, actor: Annotated[Actor, needs("run.read")]) -> RunStory:
    """Answers "why did she get this, and what comes next?"."""
    with server.engine.db.read() as session:
        return RunStory.model_validate(operations.timeline(session, run_id))


@router.post("/runs/{run_id}/resume", summary="Resume a stuck run", responses=CHANGE)
def resume_run(run_id: Id, server: TheServer, actor: Annotated[Actor, needs("run.mend")]) -> Done:
    """Lets a stuck, held or quarantined run try again from where it is."""
    engine = server.engine
    with engine.db.write() as session:
        wakeups = operations.resume_stuck(engine, session, run_id, actor.id, engine.clock.now())
    server.wake(wakeups)
    return Done(run_id=run_id)


@router.post("/runs/{run_id}/skip", summary="Lead a stuck run past its node", responses=CHANGE)
def skip_run(run_id: Id, skip: Skip, server: TheServer, actor: Annotated[Actor, needs("run.mend")]) -> Done:
    """What the node would have done does not happen."""
    engine = server.engine
    with engine.db.write() as session:
        wakeups = operations.skip_stuck(engine, session, run_id, skip.outlet, actor.id, engine.clock.now())
    server.wake(wakeups)
    return Done(run_id=run_id)


@router.post("/runs/{run_id}/end", summary="End a run", responses=CHANGE)
def end_run(run_id: Id, server: TheServer, actor: Annotated[Actor, needs("run.mend")]) -> Done:
    """At once, wherever it is."""
    engine = server.engine
    with engine.db.write() as session:
        wakeups = operations.end_run(engine, session, run_id, actor.id, engine.clock.now())
    server.wake(wakeups)
    return Done(run_id=run_id)


@router.post("/journeys/{journey_id}/stuck/resume", summary="Resume all stuck runs", status_code=202, responses=CHANGE)
def resume_all(journey_id: KeyOrId, server: TheServer, actor: Annotated[Actor, needs("run.mend")]) -> JobRow:
    """After the fix: starts a job that lets every stuck run of the journey try again."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        journey = get_journey(session, journey_id)
        total = operations.counts(session, journey.id).get("stuck", 0)
        job = add_job(session, "resume_stuck", f"journey:{journey.id}", {"journey_id": journey.id}, actor.id, now, total)
        return JobRow.model_validate(job)


@router.post("/journeys/{journey_id}/enrol", summary="Enrol a contact", responses=CHANGE)
def enrol_one(journey_id: KeyOrId, body: Enrol, server: TheServer, actor: Annotated[Actor, needs("run.start")]) -> Enrolled:
    """Under the journey's entry rules; the answer says why if the contact may not enter."""
    engine = server.engine
    with engine.db.write() as session:
        journey = get_journey(session, journey_id)
        answer = manual.enrol_contact(engine, session, journey.id, body.contact_id, body.data, engine.clock.now(), actor.id)
    if isinstance(answer, Refused):
        return Enrolled(entered=False, reason=answer.reason, detail=answer.detail)
    server.wake(answer.wakeups)
    return Enrolled(entered=True, run_id=answer.run_id, held_out=answer.held_out)


@router.post("/journeys/{journey_id}/enrol/preview", summary="Preview a bulk enrolment", responses=CHANGE)
async def preview_bulk(journey_id: KeyOrId, body: Whom, server: TheServer, actor: Annotated[Actor, needs("run.start")]) -> BulkPreview:
    """How many fit the rule, how many would enter, why the others would not, who would get which message at once, and who not and why. Of more
    than 1,000 people 500 are judged, drawn at random. Writes nothing. One preview at a time for each person."""
    async with server.turns.of(actor.id):
        return await run_in_threadpool(_previewed, server, journey_id, body)


def _previewed(server: Server, journey_id: str, body: Whom) -> BulkPreview:
    engine = server.engine
    with engine.db.read() as session:
        journey = get_journey(session, journey_id)
        version = manual.published(engine, session, journey.id).version_number
        found = Forecaster(engine, server.messaging).enrolment(session, journey.id, body.rule, engine.clock.now())
    named: list[tuple[str, str | None]] = [(id, None) for id in found.named.get("begins", [])]
    named += [(id, reason) for reason in found.refused for id in found.named[f"refused:{reason}"]]
    return BulkPreview(
        version=version,
        count=found.population,
        judged=found.judged,
        would_enter=found.begins + found.held_out,
        refused=dict(found.refused),
        sample=[{"contact_id": id, "reason": reason} for id, reason in named[:NAMED]],
        forecast=shown(found),
    )


@router.post("/journeys/{journey_id}/enrol/bulk", summary="Enrol everyone for whom a rule holds", status_code=202, responses=CHANGE)
def enrol_bulk(journey_id: KeyOrId, body: Bulk, server: TheServer, actor: Annotated[Actor, needs("run.start_many")]) -> JobRow:
    """Starts a job that enrols page by page; its progress is at `/api/v1/jobs/{id}`."""
    engine = server.engine
    now = engine.clock.now()
    with engine.db.write() as session:
        journey = get_journey(session, journey_id)
        if journey.state != "live":
            raise Conflict("The journey is not live; publish it or resume it first.", state=journey.state)
        manual.published(engine, session, journey.id, body.version)
        total = manual.count_of(session, body.rule, now)
        rule = body.model_dump(mode="json", by_alias=True)["rule"]
        job = add_job(session, "bulk_enrol", f"journey:{journey.id}", {"journey_id": journey.id, "rule": rule}, actor.id, now, total)
        return JobRow.model_validate(job)
