"""The people who work here, and the rotations that share contacts and tasks out among them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.auth.login import send_link
from api.http.errors import ADMIN, CHANGE, ONE, Forbidden
from api.http.json_body import JsonRoute
from api.http.paging import Id
from api.server import TheServer
from engine.versions.uses import refuse, refuse_used_member, uses_without
from journeys.errors import Conflict
from models import LoginSession, Member
from workspace import login, sessions
from workspace import members as team
from workspace.audit import record

router = APIRouter(prefix="/api/v1", tags=["team"], route_class=JsonRoute)

Role = Literal["admin", "marketer", "engineer", "tester", "sales", "viewer"]
SessionId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="As the list of sessions names it.", examples=["0f3a2b1c4d5e6f70"])]


class MemberRow(BaseModel):
    """Somebody of the team."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    email: str
    role: str
    locale: str
    timezone: str
    active: bool
    absent_until: datetime | None
    created_at: datetime


class NewMember(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Grace Hopper", "email": "grace@example.org", "role": "marketer"}}
    )

    name: str = Field(min_length=1, max_length=120)
    email: str = Field(min_length=3, max_length=320)
    role: Role = "viewer"
    locale: Literal["de", "en"] = "en"


class MemberChange(BaseModel):
    """Only what is named changes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"role": "sales", "absent_until": "2026-12-01T07:00:00Z"}})

    name: str | None = Field(None, min_length=1, max_length=120)
    email: str | None = Field(None, min_length=3, max_length=320)
    role: Role | None = None
    locale: Literal["de", "en"] | None = None
    timezone: str | None = Field(None, max_length=64, description="IANA name.")
    active: bool | None = None
    absent_until: AwareDatetime | None = None
    anyway: bool = Field(False, description="Deactivate although journeys that run name the member; else 409 says where.")


class OwnChange(BaseModel):
    """Only what is named changes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"timezone": "Europe/Zurich"}})

    name: str | None = Field(None, min_length=1, max_length=120)
    locale: Literal["de", "en"] | None = None
    timezone: str | None = Field(None, max_length=64, description="IANA name.")


class LoginLink(BaseModel):
    """A link that logs in once; valid for 15 minutes."""

    url: str


class WantedLink(BaseModel):
    """`send`: mail the link to the member as well."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"send": True}})

    send: bool = False


class PasswordLink(BaseModel):
    """A link that leads to choosing a password, once."""

    url: str
    purpose: Literal["invitation", "reset"]
    expires_at: datetime
    sent: bool = Field(description="Whether the mail was handed over to the mail server.")


class SessionRow(BaseModel):
    """A browser that is logged in; `last_seen_at` is true to five minutes."""

    id: str
    created_at: datetime
    last_seen_at: datetime
    user_agent: str


class RotationRow(BaseModel):
    """A pool of owners taken in turn; `turn` is the index of the next one."""

    model_config = ConfigDict(from_attributes=True)

    pool: str
    name: str
    members: list[str]
    turn: int


class PutRotation(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Sales Switzerland", "members": []}})

    name: str = Field("", max_length=120)
    members: list[str] = Field(max_length=500, description="Member ids in order.")
    anyway: bool = Field(False, description="Leave nobody in it who is active although journeys that run name it; else 409 says where.")


@router.get("/me", summary="Who I am", responses=ADMIN)
def me(actor: Annotated[Actor, needs("me.read")]) -> MemberRow:
    """The logged-in member; an admin key is nobody, and gets 403."""
    return MemberRow.model_validate(_own(actor))


@router.patch("/me", summary="Change my own account", responses=CHANGE)
def change_me(change: OwnChange, server: TheServer, actor: Annotated[Actor, needs("me.change")]) -> MemberRow:
    """Name, language and time zone; address and role are the admins' business, the password has a form of its own."""
    given = {name: value for name, value in change.model_dump(exclude_unset=True).items() if value is not None}
    with server.engine.db.write() as session:
        return MemberRow.model_validate(team.change_member(session, _own(actor).id, given, actor.id))


@router.get("/members", summary="List members", responses=ADMIN)
def list_members(
    server: TheServer, actor: Annotated[Actor, needs("team.read")], active: Annotated[bool, Query(description="Only active ones.")] = False
) -> list[MemberRow]:
    """By name."""
    with server.engine.db.read() as session:
        return [MemberRow.model_validate(member) for member in team.list_members(session, only_active=active)]


@router.post("/members", summary="Add a member", status_code=201, responses=CHANGE)
def add_member(new: NewMember, server: TheServer, actor: Annotated[Actor, needs("member.manage")]) -> MemberRow:
    """They log in with a password of their own: `POST /api/v1/members/{id}/password-link` makes the link to choose it."""
    now = server.engine.clock.real_now()
    with server.engine.db.write() as session:
        member = team.add_member(session, new.name, new.email, new.role, now, locale=new.locale)
        record(session, actor.id, "member.add", f"member:{member.id}", {"role": new.role})
        return MemberRow.model_validate(member)


@router.patch("/members/{member_id}", summary="Change a member", responses=CHANGE)
def change_member(member_id: Id, change: MemberChange, server: TheServer, actor: Annotated[Actor, needs("member.manage")]) -> MemberRow:
    """Role, absence, or whether they still work here: who is deactivated is logged out at once. The last active admin cannot be taken away.

    Where journeys that run name the member, deactivating needs `anyway`; what was meant for them then goes to the contact's owner or an admin."""
    given = change.model_dump(exclude_unset=True, exclude={"anyway"})
    changes = {name: value for name, value in given.items() if value is not None or name == "absent_until"}
    with server.engine.db.write() as session:
        if changes.get("active") is False and not change.anyway:
            refuse_used_member(server.engine, session, member_id)
        return MemberRow.model_validate(team.change_member(session, member_id, changes, actor.id))


@router.post("/members/{member_id}/login-link", summary="Mint a login link", responses=CHANGE)
def login_link(member_id: Id, server: TheServer, actor: Annotated[Actor, needs("member.manage")]) -> LoginLink:
    """Hand it over yourself; it is shown once and works once."""
    engine = server.engine
    now = engine.clock.real_now()
    with engine.db.write() as session:
        member = team.get_member(session, member_id)
        if not member.active:
            raise Conflict("This member is not active.")
        record(session, actor.id, "member.login_link", f"member:{member.id}", {})
        return LoginLink(url=server.settings.public_url + sessions.mint(session, member_id, "login", now))


@router.post("/members/{member_id}/password-link", summary="Mint a link to choose a password", responses=CHANGE)
def password_link(member_id: Id, body: WantedLink, server: TheServer, actor: Annotated[Actor, needs("member.manage")]) -> PasswordLink:
    """An invitation (good for three days) for whoever has no password yet, else a reset (one hour). Works once, is shown once; with `send` it
    goes out by e-mail, too. The link before stays good until it expires or one of them was used."""
    now = server.engine.clock.real_now()
    with server.engine.db.write() as session:
        member, purpose, path = team.password_link(session, member_id, actor.id, now)
    url = server.settings.public_url + path
    sent = body.send and send_link(server, member, purpose, url, now)
    return PasswordLink(url=url, purpose=purpose, expires_at=now + sessions.LINK_LIFE[purpose], sent=sent)


@router.get("/members/{member_id}/sessions", summary="Where a member is logged in", responses=ONE)
def list_sessions(member_id: Id, server: TheServer, actor: Annotated[Actor, needs("member.manage")]) -> list[SessionRow]:
    """Browsers, the last used first."""
    with server.engine.db.read() as session:
        team.get_member(session, member_id)
        return [_session_row(row) for row in sessions.list_sessions(session, member_id, server.engine.clock.real_now())]


@router.delete("/members/{member_id}/sessions", summary="Log a member out everywhere", status_code=204, responses=CHANGE)
def end_sessions(member_id: Id, server: TheServer, actor: Annotated[Actor, needs("member.manage")]) -> Response:
    """Their password stays as it is."""
    with server.engine.db.write() as session:
        team.log_out(session, member_id, actor.id)
    return Response(status_code=204)


@router.delete("/members/{member_id}/sessions/{session_id}", summary="Log one browser of a member out", status_code=204, responses=CHANGE)
def end_session(member_id: Id, session_id: SessionId, server: TheServer, actor: Annotated[Actor, needs("member.manage")]) -> Response:
    """The others stay."""
    with server.engine.db.write() as session:
        team.log_out(session, member_id, actor.id, session_id)
    return Response(status_code=204)


@router.delete("/members/{member_id}/second-factor", summary="Reset a member's second factor", status_code=204, responses=CHANGE)
def reset_second_factor(member_id: Id, server: TheServer, actor: Annotated[Actor, needs("member.manage")]) -> Response:
    """For whoever has lost the app and the recovery codes. 409 where there is none; audited."""
    engine = server.engine
    with engine.db.write() as session:
        team.get_member(session, member_id)
        login.reset_factor(session, engine.address_keys, member_id, actor.id)
    return Response(status_code=204)


@router.get("/rotations", summary="List rotations", responses=ADMIN)
def list_rotations(server: TheServer, actor: Annotated[Actor, needs("team.read")]) -> list[RotationRow]:
    """By pool."""
    with server.engine.db.read() as session:
        return [RotationRow.model_validate(rotation) for rotation in team.list_rotations(session)]


@router.put("/rotations/{pool}", summary="Create or replace a rotation", responses={**ONE, **CHANGE})
def put_rotation(
    pool: Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", examples=["sales-ch"])],
    rotation: PutRotation,
    server: TheServer,
    actor: Annotated[Actor, needs("rotation.change")],
) -> RotationRow:
    """Whose turn it is stays with the same person, if that person is still in it.

    Where journeys that run name the rotation, leaving nobody in it who is active needs `anyway`: contacts go on without a new owner then."""
    with server.engine.db.write() as session:
        if not rotation.anyway:
            refuse(uses_without(server.engine, session, pool, rotation.members))
        row = team.put_rotation(session, pool, rotation.members, rotation.name)
        record(session, actor.id, "rotation.put", f"rotation:{pool}", {"members": rotation.members})
        return RotationRow.model_validate(row)


def _own(actor: Actor) -> Member:
    if actor.member is None:
        raise Forbidden("An admin key does not belong to a member; log in as one.")
    return actor.member


def _session_row(row: LoginSession) -> SessionRow:
    return SessionRow(id=sessions.id_of(row), created_at=row.created_at, last_seen_at=row.last_seen_at, user_agent=row.user_agent)
