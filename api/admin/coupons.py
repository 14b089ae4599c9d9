"""Pools of coupon codes, each of which a message gets for itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from activities.templates import coupons
from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Limit, Page
from api.server import TheServer
from crm.coupons import pools, reservations
from crm.coupons.pools import Counted
from journeys.errors import Invalid, Issue
from models import CouponPool

router = APIRouter(prefix="/api/v1/coupon-pools", tags=["templates"], route_class=JsonRoute)
Key = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Key of the pool.", examples=["spring"])]
Code = Annotated[str, Field(pattern=f"^{pools.CODE.pattern}$")]


class CouponPoolRow(BaseModel):
    """A pool. `free`, `reserved` (the message is being sent) and `sent` are numbers of codes; `low`: fewer than `low_at` are free."""

    key: str = Field(examples=["spring"])
    name: str
    per_contact: bool
    fallback: str
    low_at: int
    expires_at: datetime | None
    created_at: datetime
    free: int
    reserved: int
    sent: int
    low: bool


class CouponPoolRows(BaseModel):
    """All of them, by name."""

    items: list[CouponPoolRow]


class PutPool(BaseModel):
    """A pool as it shall be."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Spring", "low_at": 200, "expires_at": "2026-06-01T00:00:00Z"}}
    )

    name: str = Field(min_length=1, max_length=120)
    per_contact: bool = Field(False, description="A contact gets the same code in every message, and keeps it.")
    fallback: str = Field("", max_length=120, description="Shown where no code is left; empty: the message is skipped.")
    low_at: int = Field(100, ge=0, le=pools.MOST_CODES, description="The team is told when fewer codes are free; 0: never.")
    expires_at: AwareDatetime | None = Field(None, description="No code is handed out from then on.")


class AddCodes(BaseModel):
    """Either `codes`, or how many to `generate`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"codes": ["SPRING-7KQM", "SPRING-X4RT"]}})

    codes: list[Code] = Field([], max_length=10_000)
    generate: int | None = Field(None, ge=1, le=pools.MOST_AT_ONCE)
    prefix: str = Field("", max_length=20, description="Of generated codes.")
    length: int = Field(8, ge=4, le=40, description="Characters of generated codes behind the prefix.")


class AddedCodes(BaseModel):
    """`known`: codes that were there already, in this pool or in another."""

    added: int
    known: int


class CouponRow(BaseModel):
    """A code. `state`: free, reserved or sent."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    state: str
    contact_id: str | None
    message_id: str | None
    reserved_at: datetime | None


def _rows(session: Session, found: Iterable[CouponPool]) -> list[CouponPoolRow]:
    counts = pools.counts(session)
    return [_row(session, one, counts.get(one.key, Counted())) for one in found]


def _row(session: Session, one: CouponPool, counted: Counted) -> CouponPoolRow:
    return CouponPoolRow(
        key=one.key, name=one.name, per_contact=one.per_contact, fallback=one.fallback, low_at=one.low_at, expires_at=one.expires_at,
        created_at=one.created_at, free=counted.free, reserved=counted.reserved, sent=counted.sent, low=reservations.is_low(session, one),
    )  # fmt: skip


@router.get("", summary="List coupon pools", responses=ADMIN)
def list_coupon_pools(server: TheServer, actor: Annotated[Actor, needs("coupon.read")]) -> CouponPoolRows:
    """With how many codes each has left."""
    with server.engine.db.read() as session:
        return CouponPoolRows(items=_rows(session, pools.listed(session)))


@router.put("/{key}", summary="Save a coupon pool", responses=CHANGE)
def put_coupon_pool(key: Key, body: PutPool, server: TheServer, actor: Annotated[Actor, needs("coupon.change")]) -> CouponPoolRow:
    """Makes it, or changes it; its codes stay."""
    with server.engine.db.write() as session:
        row = pools.put(session, key, actor.id, server.engine.clock.now(), **body.model_dump())
        return _row(session, row, pools.counts(session, key).get(key, Counted()))


@router.post("/{key}/codes", summary="Add codes to a pool", responses=CHANGE)
def add_coupon_codes(key: Key, body: AddCodes, server: TheServer, actor: Annotated[Actor, needs("coupon.change")]) -> AddedCodes:
    """Codes that are there already are left out, so that a request can be repeated; generated ones are new each time."""
    if bool(body.codes) == (body.generate is not None):
        issue = Issue(code="codes", text="Expected either codes or how many to generate.", field="codes")
        raise Invalid("{problem}", [issue], problem=issue)
    db = server.engine.db
    if body.generate is not None:
        done = pools.generate(db, key, body.generate, actor.id, prefix=body.prefix, length=body.length)
    else:
        done = pools.add_codes(db, key, list(dict.fromkeys(body.codes)), actor.id)
    return AddedCodes(added=done.added, known=done.known)


@router.get("/{key}/codes", summary="List codes of a pool", responses=ONE)
def list_coupon_codes(
    key: Key,
    server: TheServer,
    actor: Annotated[Actor, needs("list.export")],
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$", description="`next` of the page before.")] = None,
) -> Page[CouponRow]:
    """In the order in which they came, with who got which."""
    after = int(cursor) if cursor else 0
    with server.engine.db.read() as session:
        pools.get(session, key)
        rows = pools.exported(session, key, after, limit + 1)
        following = str(rows[limit - 1].id) if len(rows) > limit else None
        return Page(items=[CouponRow.model_validate(row) for row in rows[:limit]], next=following)


@router.delete("/{key}", summary="Delete a coupon pool", status_code=204, responses=CHANGE)
def delete_coupon_pool(key: Key, server: TheServer, actor: Annotated[Actor, needs("coupon.change")]) -> None:
    """409 while a template takes codes from it, or once somebody has one: let it expire then."""
    with server.engine.db.write() as session:
        coupons.remove(server.engine, session, key, actor.id)
