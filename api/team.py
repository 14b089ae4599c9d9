"""The people who work here, and the rotations that share contacts and tasks out among them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.access import Admin, Anyone, Editor
from api.errors import ADMIN, CHANGE, ONE
from api.json_body import JsonRoute
from api.login import mint_link
from api.paging import Id
from api.server import TheServer
from crm import team
from crm.audit import record
from journeys.errors import Conflict
from models import Member

router = APIRouter(prefix="/api/v1", tags=["team"], route_class=JsonRoute)

Role = Literal["admin", "marketer", "engineer", "tester", "sales", "viewer"]


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
    role: Role | None = None
    locale: Literal["de", "en"] | None = None
    active: bool | None = None
    absent_until: AwareDatetime | None = None


class LoginLink(BaseModel):
    """A link that logs in once; valid for 15 minutes."""

    url: str


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


@router.get("/members", summary="List members", responses=ADMIN)
def list_members(
    server: TheServer, actor: Anyone, active: Annotated[bool, Query(description="Only active ones.")] = False
) -> list[MemberRow]:
    """By name."""
    with server.engine.db.read() as session:
        return [MemberRow.model_validate(member) for member in team.list_members(session, only_active=active)]


@router.post("/members", summary="Add a member", status_code=201, responses=CHANGE)
def add_member(new: NewMember, server: TheServer, actor: Admin) -> MemberRow:
    """They log in with a link: `POST /api/v1/members/{id}/login-link`."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        member = team.add_member(session, new.name, new.email, new.role, now, locale=new.locale)
        record(session, actor.id, "member.add", f"member:{member.id}", {"role": new.role}, now)
        return MemberRow.model_validate(member)


@router.patch("/members/{member_id}", summary="Change a member", responses=CHANGE)
def change_member(member_id: Id, change: MemberChange, server: TheServer, actor: Admin) -> MemberRow:
    """Role, absence, or whether they still work here. The last active admin cannot be taken away."""
    now = server.engine.clock.now()
    given = change.model_dump(exclude_unset=True)
    with server.engine.db.write() as session:
        member = team.get_member(session, member_id)
        for name, value in given.items():
            if value is not None or name == "absent_until":
                setattr(member, name, value)
        session.add(member)
        session.flush()
        _keep_an_admin(team.list_members(session, only_active=True))
        record(
            session,
            actor.id,
            "member.change",
            f"member:{member.id}",
            {k: v for k, v in change.model_dump(mode="json", exclude_unset=True).items() if k != "name"},
            now,
        )
        return MemberRow.model_validate(member)


@router.post("/members/{member_id}/login-link", summary="Mint a login link", responses=CHANGE)
def login_link(member_id: Id, server: TheServer, actor: Admin) -> LoginLink:
    """Hand it over yourself; it is shown once and works once."""
    engine = server.engine
    now = engine.clock.now()
    with engine.db.write() as session:
        member = team.get_member(session, member_id)
        if not member.active:
            raise Conflict("This member is not active.")
        record(session, actor.id, "member.login_link", f"member:{member.id}", {}, now)
    return LoginLink(url=mint_link(engine.db, now, server.settings.public_url, member_id))


@router.get("/rotations", summary="List rotations", responses=ADMIN)
def list_rotations(server: TheServer, actor: Anyone) -> list[RotationRow]:
    """By pool."""
    with server.engine.db.read() as session:
        return [RotationRow.model_validate(rotation) for rotation in team.list_rotations(session)]


@router.put("/rotations/{pool}", summary="Create or replace a rotation", responses={**ONE, **CHANGE})
def put_rotation(
    pool: Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", examples=["sales-ch"])],
    rotation: PutRotation,
    server: TheServer,
    actor: Editor,
) -> RotationRow:
    """Whose turn it is stays with the same person, if that person is still in it."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        row = team.put_rotation(session, pool, rotation.members, rotation.name)
        record(session, actor.id, "rotation.put", f"rotation:{pool}", {"members": rotation.members}, now)
        return RotationRow.model_validate(row)


def _keep_an_admin(active: list[Member]) -> None:
    if not any(member.role == "admin" for member in active):
        raise Conflict("The last active admin cannot be taken away.")
