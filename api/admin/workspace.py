"""The workspace: settings, keys, secrets for webhooks, the audit trail and long jobs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select

from api.auth.access import Actor, needs, require_more
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Id, Limit, Page, page_of
from api.jobs import JobRow
from api.server import TheServer
from crm import jobs
from engine.versions.uses import refuse, refuse_used_secret, uses_of_removed
from models import Job
from workspace import api_keys, audit, intake, listed_names, secrets, settings

router = APIRouter(prefix="/api/v1", tags=["workspace"], route_class=JsonRoute)

SettingName = Annotated[str, Path(max_length=64, description="Name of the setting.", examples=["quiet_hours"])]
SecretName = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", examples=["crm-webhook"])]


class KeyRow(BaseModel):
    """A key; the key itself is shown once, when it is made."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: str
    role: str
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class ShownKey(KeyRow):
    """A new key. Keep `key` now: only its hash is stored."""

    key: str


class NewKey(BaseModel):
    """`browser` and `server` keys send events and nothing else. A browser key may be seen by anybody: what it sends overwrites nothing, merges
    nobody and loosens no consent. A server key is secret. `admin` keys open the admin interface."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"kind": "server", "name": "Shop"}})

    kind: api_keys.Kind
    name: str = Field(min_length=1, max_length=64, description="Stands as `source` at the events it sends.")
    role: api_keys.Role = Field("admin", description="What an admin key may do, as for members; without meaning for the other kinds.")


class Rotate(BaseModel):
    """How long the old key stays valid."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"grace": "P7D"}})

    grace: timedelta = api_keys.GRACE


class ProblemRow(BaseModel):
    """A kind of problem, and how often it came."""

    what: Literal["refused", "left_out", "kept"] = Field(
        description="`refused`: the event; `left_out`: the field; `kept`: the value stands as it came, although another type is expected."
    )
    event: str = Field(description="Name of the event, or type of the call; shortened.", examples=["Order Completed"])
    field: str = Field(description="Place inside the event; empty for the whole.", examples=["total"])
    reason: str = Field(description="Stable word for programs.", examples=["number"])
    message: str
    count: int
    first_at: datetime
    last_at: datetime


class AuditRow(BaseModel):
    """Who did what. `digest` is the seal: it covers the row and the seal before it; of a reason that a person typed (`detail.why`, empty after an
    erasure) it covers a digest. `key_id` names its key; rows from before have none."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    digest: str
    key_id: str


class AuditState(BaseModel):
    """`broken_at` null: the chain holds."""

    broken_at: int | None = Field(description="The first line that does not hold.")
    problem: audit.Problem = Field(
        description="`changed`: the line, or what stood before it, is not what was written. `not_keyed`: a line without a seal after sealed ones. "
        "`unknown_key`: sealed with a key that this server does not have (`key_id`). `cut`: lines are missing at the end. "
        "`other_head`: the line of the logged head has another seal."
    )
    key_id: str = Field(description="Of a line with an unknown key.")
    keyed_from: int | None = Field(description="The first sealed line; null: no line is sealed.")
    head: str = Field(description="The end of the chain, `NUMBER:SEAL`. The log has earlier ones.")


class SecretValue(BaseModel):
    """A secret that webhooks are signed with or send in a header; stored encrypted and never shown again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"value": "a long random text"}})

    value: str = Field(min_length=1, max_length=4_000)


@router.get("/settings", summary="All workspace settings", responses=ADMIN)
def all_settings(server: TheServer, actor: Annotated[Actor, needs("setting.read")]) -> dict[str, Any]:
    """What people change while the server runs; what an operator sets once is in the environment."""
    with server.engine.db.read() as session:
        return {name: settings.get(session, name).model_dump(mode="json") for name in settings.SETTINGS}


@router.get("/settings/{name}", summary="One workspace setting", responses=ONE)
def one_setting(name: SettingName, server: TheServer, actor: Annotated[Actor, needs("setting.read")]) -> dict[str, Any]:
    """With its defaults filled in."""
    with server.engine.db.read() as session:
        return settings.get(session, name).model_dump(mode="json")


@router.put("/settings/{name}", summary="Change a workspace setting", responses=CHANGE)
def put_setting(
    name: SettingName,
    value: dict[str, Any],
    request: Request,
    server: TheServer,
    actor: Annotated[Actor, needs("setting.change")],
    anyway: Annotated[bool, Query(description="Take names away although journeys that run use them; else 409 says where.")] = False,
) -> dict[str, Any]:
    """Replaces it; 422 lists every problem. Audited with the old and the new value.

    Purposes, score groups and classes of caps that journeys which run name are taken away with `anyway` only (409 says where, `used_in`).
    `access` asks a logged-in member for a fresh proof."""
    if name == "access":
        actor.require("access.change")
        require_more(server, request, actor, "access.change")
    with server.engine.db.write() as session:
        before = settings.get(session, name)
        after = settings.put(session, name, value, actor.id, server.engine.clock.now())
        if not anyway:
            refuse(uses_of_removed(server.engine, session, before, after))
        return after.model_dump(mode="json")


@router.get("/settings/{name}/unlisted", summary="Names that are used and not listed", responses=ONE)
def unlisted_names(name: SettingName, server: TheServer, actor: Annotated[Actor, needs("setting.read")]) -> list[str]:
    """Purposes of stored consents (`purposes`) or groups of stored scores (`score_groups`) that are not in the list: what contacts and
    programs say is kept, but a journey can only use what is listed. At most 100."""
    with server.engine.db.read() as session:
        settings.get(session, name)
        return listed_names.unlisted(session, name)


@router.get("/keys", summary="List keys", responses=ADMIN)
def list_keys(server: TheServer, actor: Annotated[Actor, needs("key.manage")], limit: Limit = 50, cursor: Cursor = None) -> Page[KeyRow]:
    """Newest first; revoked ones too."""
    with server.engine.db.read() as session:
        rows, following = page_of(api_keys.list_keys(session, before=cursor, limit=limit + 1), limit, "id")
        return Page(items=[KeyRow.model_validate(row) for row in rows], next=following)


@router.post("/keys", summary="Make a key", status_code=201, responses=CHANGE)
def add_key(new: NewKey, server: TheServer, actor: Annotated[Actor, needs("key.manage")]) -> ShownKey:
    """The answer is the only place where the key is ever shown."""
    now = server.engine.clock.real_now()
    with server.engine.db.write() as session:
        row, key = api_keys.add_key(session, new.kind, new.name, now, role=new.role)
        audit.record(session, actor.id, "key.add", f"key:{row.id}", {"kind": row.kind, "role": row.role})
        return ShownKey(**KeyRow.model_validate(row).model_dump(), key=key)


@router.post("/keys/{key_id}/rotate", summary="Rotate a key", status_code=201, responses=CHANGE)
def rotate_key(key_id: Id, rotate: Rotate, server: TheServer, actor: Annotated[Actor, needs("key.manage")]) -> ShownKey:
    """A new key of the same kind, role and name; the old one stays valid for `grace`."""
    now = server.engine.clock.real_now()
    with server.engine.db.write() as session:
        row, key = api_keys.rotate_key(session, key_id, now, rotate.grace)
        audit.record(session, actor.id, "key.rotate", f"key:{key_id}", {"new": row.id})
        shown = ShownKey(**KeyRow.model_validate(row).model_dump(), key=key)
    server.keys.forget()
    return shown


@router.delete("/keys/{key_id}", summary="Revoke a key", responses=CHANGE)
def revoke_key(key_id: Id, server: TheServer, actor: Annotated[Actor, needs("key.manage")]) -> KeyRow:
    """At once in this process, within seconds in others."""
    now = server.engine.clock.real_now()
    with server.engine.db.write() as session:
        row = KeyRow.model_validate(api_keys.revoke_key(session, key_id, now))
        audit.record(session, actor.id, "key.revoke", f"key:{key_id}", {})
    server.keys.forget()
    return row


@router.get("/keys/{key_id}/problems", summary="What a key's events were refused for", responses=ONE)
def key_problems(key_id: Id, server: TheServer, actor: Annotated[Actor, needs("key.manage")]) -> list[ProblemRow]:
    """Newest first, at most 100 kinds; what came within the last seconds, too. Names of events and fields, never values."""
    server.writer.intake.flush()
    with server.engine.db.read() as session:
        key = api_keys.get_key(session, key_id)
        return [
            ProblemRow(**one.model_dump(include=set(ProblemRow.model_fields)), message=intake.REASONS[one.reason])
            for one in intake.problems_of(session, key.id)
        ]


@router.get("/secrets", summary="Names of the secrets", responses=ADMIN)
def list_secrets(server: TheServer, actor: Annotated[Actor, needs("secret.list")]) -> list[str]:
    """Names only: nobody can read a secret back."""
    with server.engine.db.read() as session:
        return secrets.names(session)


@router.put("/secrets/{name}", summary="Save secret", status_code=204, responses=CHANGE)
def put_secret(name: SecretName, secret: SecretValue, server: TheServer, actor: Annotated[Actor, needs("secret.change")]) -> Response:
    """Replaces what was stored under the name."""
    engine = server.engine
    with engine.db.write() as session:
        secrets.put(session, engine.address_keys, name, secret.value, actor.id, engine.clock.now())
    return Response(status_code=204)


@router.delete("/secrets/{name}", summary="Remove a secret", status_code=204, responses=CHANGE)
def remove_secret(
    name: SecretName,
    server: TheServer,
    actor: Annotated[Actor, needs("secret.change")],
    anyway: Annotated[bool, Query(description="Remove it although journeys that run name it; else 409 says where.")] = False,
) -> Response:
    """Steps that name it fail from now on. Where journeys that run name it, this needs `anyway` (409 says where, `used_in`)."""
    with server.engine.db.write() as session:
        if not anyway:
            refuse_used_secret(server.engine, session, name)
        secrets.remove(session, name, actor.id)
    return Response(status_code=204)


@router.get("/audit", summary="The audit trail", responses=ADMIN)
def list_audit(
    server: TheServer,
    actor: Annotated[Actor, needs("audit.read")],
    subject: Annotated[str | None, Query(max_length=160, description="Only about this: `journey:<id>`.")] = None,
    who: Annotated[str | None, Query(alias="actor", max_length=120, description="Only by this one: `member:<id>` or `key:<id>`.")] = None,
    action: Annotated[str | None, Query(max_length=64, description="Only this: `journey.publish`.")] = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$", description="`next` of the page before.")] = None,
) -> Page[AuditRow]:
    """Newest first."""
    with server.engine.db.read() as session:
        rows = audit.list_lines(session, subject=subject, actor=who, action=action, before=int(cursor) if cursor else None, limit=limit)
        told = audit.details(session, rows)
        items = [AuditRow.model_validate(row).model_copy(update={"detail": told[row.id or 0]}) for row in rows]
        return Page(items=items, next=str(rows[-1].id) if len(rows) == limit else None)


@router.get("/audit/verify", summary="Does the audit trail hold?", responses=ADMIN)
def verify_audit(
    server: TheServer,
    actor: Annotated[Actor, needs("audit.read")],
    head: Annotated[
        str | None,
        Query(
            max_length=300, description="A head from the log of a worker or web server, `NUMBER:SEAL`: shows lines that were cut off since."
        ),
    ] = None,
) -> AuditState:
    """Computes every seal anew. Whoever can write to the database has no key, but can cut lines off at the end: give a logged `head`."""
    with server.engine.db.read() as session:
        found = audit.check(session, audit.Head.read(head) if head else None)
    return AuditState(
        broken_at=found.broken_at, problem=found.problem, key_id=found.key_id, keyed_from=found.keyed_from, head=str(found.head)
    )


@router.get("/jobs", summary="List long jobs", responses=ADMIN)
def list_jobs(
    server: TheServer,
    actor: Annotated[Actor, needs("work.read")],
    state: Literal["running", "done", "failed", "cancelled"] | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[JobRow]:
    """Newest first."""
    statement = select(Job).order_by(col(Job.id).desc()).limit(limit + 1)
    if state:
        statement = statement.where(Job.state == state)
    with server.engine.db.read() as session:
        rows, following = page_of(list(session.scalars(statement.where(col(Job.id) < cursor) if cursor else statement)), limit, "id")
        return Page(items=[JobRow.model_validate(row) for row in rows], next=following)


@router.get("/jobs/{job_id}", summary="Progress of a job", responses=ONE)
def one_job(job_id: Id, server: TheServer, actor: Annotated[Actor, needs("work.read")]) -> JobRow:
    """How far it is, and what it counted."""
    with server.engine.db.read() as session:
        return JobRow.model_validate(jobs.get_job(session, job_id))


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job", responses=CHANGE)
def cancel_job(job_id: Id, server: TheServer, actor: Annotated[Actor, needs("work.cancel")]) -> JobRow:
    """Ends after the page it is on; what is done stays done."""
    with server.engine.db.write() as session:
        return JobRow.model_validate(jobs.cancel_job(session, job_id, actor.id, server.engine.clock.now()))
