"""Segments: named rules with a live membership, and lists kept by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from activities.templates.segments import asking, refuse_asked
from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Id, Limit, Page
from api.server import Server, TheServer
from crm.segments import members, questions, segments
from engine.enrolment.routing import route
from engine.versions.uses import refuse_used_segment, uses_of
from models import Event, Segment
from storage.locks import person_of

router = APIRouter(prefix="/api/v1", tags=["segments"], route_class=JsonRoute)
Key = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Key of the segment.", examples=["vip"])]
DeletedId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Of the deleted segment.", examples=[7])]
Rule = Annotated[
    dict[str, Any],
    Field(description="As in journeys, asked of contacts outside a run.", examples=[{"event": "Order Completed", "within": "P90D"}]),
]

COUNT_SECONDS = 5.0
"""A rule that nobody has saved is counted for so long at most."""


class Fill(BaseModel):
    """How far everybody has been asked about the rule. `total` is not known beforehand."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Of the job.")
    state: str = Field(examples=["running"])
    counts: dict[str, int] = Field(examples=[{"asked": 4000, "entered": 210}])


class SegmentRow(BaseModel):
    """A segment. `state`: live, or filling while not everybody has been asked yet; nobody is told of its members until then."""

    model_config = ConfigDict(from_attributes=True)

    key: str = Field(examples=["vip"])
    name: str
    description: str
    kind: str = Field(description="live (the rule decides) or static (a list kept by hand).", examples=["live"])
    rule: dict[str, Any] | None
    version: int = Field(description="Grows with the rule.")
    state: str = Field(examples=["live"])
    created_at: datetime
    created_by: str
    updated_at: datetime
    members: int = Field(0, description="How many are in it now.")
    fill: Fill | None = None


class DeletedSegment(BaseModel):
    """A segment that was deleted within 30 days."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="For restoring it.", examples=[7])
    key: str = Field(validation_alias="former_key", description="As it was; others may have it now.", examples=["vip"])
    name: str
    kind: str = Field(examples=["live"])
    deleted_at: datetime


class DeletedSegments(BaseModel):
    """Newest first."""

    items: list[DeletedSegment]


class SegmentRows(BaseModel):
    """All of them, by name, without the progress of fills."""

    items: list[SegmentRow]


class NewSegment(BaseModel):
    """A segment to be made: live with a rule, a list kept by hand without one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "Bought lately", "rule": {"event": "Order Completed", "within": "P90D"}}},
    )

    name: str = Field(min_length=1, max_length=120)
    key: str = Field("", pattern=r"^([a-z0-9][a-z0-9_-]{0,63})?$", description="Made of the name if empty; it never changes.")
    description: str = Field("", max_length=500)
    rule: Rule | None = None
    announce: bool = Field(False, description="Journeys and waits hear of everybody who is in it from the start.")


class ChangeSegment(BaseModel):
    """What is left out stays. With another rule everybody is asked again in the background."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Bought this quarter"}})

    name: str | None = Field(None, min_length=1, max_length=120)
    description: str | None = Field(None, max_length=500)
    rule: Rule | None = None
    announce: bool = Field(False, description="Journeys and waits hear of everybody who enters or leaves by the new rule.")


class AskedRule(BaseModel):
    """A rule that need not be saved."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"rule": {"tag": "vip"}}})

    rule: Rule


class CountedRule(BaseModel):
    """`count` is null where counting took longer than five seconds; the sample has what was found until then."""

    count: int | None
    sample: list[str] = Field(description="Ids of the ten newest contacts for whom it holds.")


class SegmentMember(BaseModel):
    """A member of a segment."""

    contact_id: str
    since: datetime


class Contacts(BaseModel):
    """Whom to put on a list, or to take from it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"contacts": ["019aa1b2c3d4e5f60718293a4b5c6d7e"]}})

    contacts: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(min_length=1, max_length=segments.MOST_AT_ONCE)
    silent: bool = Field(False, description="No journey and no wait hears of it.")


class Membership(BaseModel):
    """A segment that a contact is in."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    name: str
    kind: str
    since: datetime


class Memberships(BaseModel):
    """By name."""

    items: list[Membership]


class WhyMember(BaseModel):
    """Why a contact is in a segment, or is not."""

    member: bool
    since: datetime | None
    terms: list[dict[str, Any]] = Field(description="Each term of the rule with what was found and whether it holds.")
    flips_at: datetime | None = Field(description="When time alone may change it.")


class SegmentDay(BaseModel):
    """A day (UTC) on which somebody entered or left; `members` at its end."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    entered: int
    left: int
    members: int


class Growth(BaseModel):
    """In order; a day on which nothing changed is missing."""

    items: list[SegmentDay]


class SegmentUse(BaseModel):
    """A place that asks for the segment."""

    kind: Literal["journey", "scoring", "segment", "template"]
    key: str
    name: str
    node: str = ""
    field: str = ""


class SegmentUses(BaseModel):
    """Other segments, scoring models that are on, templates, and journeys that run."""

    items: list[SegmentUse]


class OverlapRow(BaseModel):
    """How many are in one segment, in the other, and in both."""

    model_config = ConfigDict(from_attributes=True)

    one: int
    other: int
    both: int


def _row(session: Session, one: Segment, counts: Mapping[int, int], *, fill: bool = True) -> SegmentRow:
    row = SegmentRow.model_validate(one)
    row.members = counts.get(segments.id_of(one), 0)
    job = segments.fill_of(session, one) if fill else None
    row.fill = None if job is None else Fill.model_validate(job)
    return row


def _one(session: Session, one: Segment) -> SegmentRow:
    return _row(session, one, members.counts(session, [segments.id_of(one)]))


@router.get("/segments", summary="List segments", responses=ADMIN)
def list_segments(server: TheServer, actor: Annotated[Actor, needs("segment.read")]) -> SegmentRows:
    """With how many members each has."""
    with server.engine.db.read() as session:
        counts = members.counts(session)
        return SegmentRows(items=[_row(session, one, counts, fill=False) for one in segments.listed(session)])


@router.post("/segments", summary="Create a segment", status_code=201, responses=CHANGE)
def create_segment(body: NewSegment, server: TheServer, actor: Annotated[Actor, needs("segment.change")]) -> SegmentRow:
    """A live one fills in the background; 422 lists every problem of its rule."""
    given = body.model_dump(exclude={"name", "rule"})
    with server.engine.db.write() as session:
        return _one(session, segments.create(session, body.name, body.rule, actor.id, server.engine.clock.now(), **given))


@router.post("/segments/count", summary="Count whom a rule finds", responses=CHANGE)
def count_segment(body: AskedRule, server: TheServer, actor: Annotated[Actor, needs("segment.read")]) -> CountedRule:
    """Nothing is saved."""
    with server.engine.db.read() as session:
        rule = segments.read_rule(session, body.rule)
        found = questions.count(session, rule, server.engine.clock.now(), COUNT_SECONDS)
        return CountedRule(count=found.count, sample=list(found.sample))


@router.get("/segments/{key}", summary="Get a segment", responses=ONE)
def get_segment(key: Key, server: TheServer, actor: Annotated[Actor, needs("segment.read")]) -> SegmentRow:
    """With the progress of its fill."""
    with server.engine.db.read() as session:
        return _one(session, segments.get(session, key))


@router.patch("/segments/{key}", summary="Change a segment", responses=CHANGE)
def change_segment(key: Key, body: ChangeSegment, server: TheServer, actor: Annotated[Actor, needs("segment.change")]) -> SegmentRow:
    """The key stays, so journeys and segments that ask for it go on."""
    with server.engine.db.write() as session:
        return _one(session, segments.change(session, key, actor.id, server.engine.clock.now(), **body.model_dump(exclude_unset=True)))


@router.post("/segments/{key}/fill", summary="Fill a segment again", responses=CHANGE)
def fill_segment(key: Key, server: TheServer, actor: Annotated[Actor, needs("segment.change")]) -> SegmentRow:
    """Asks everybody again, silently: after a fill that failed."""
    with server.engine.db.write() as session:
        return _one(session, segments.refill(session, key, actor.id, server.engine.clock.now()))


@router.delete("/segments/{key}", summary="Delete a segment", status_code=204, responses=CHANGE)
def delete_segment(key: Key, server: TheServer, actor: Annotated[Actor, needs("segment.change")]) -> None:
    """409, with the list, while a journey that runs (`used_in`), a template (`templates`), another segment (`segments`) or a scoring model
    (`scoring`) asks for it. It can be restored for 30 days."""
    with server.engine.db.write() as session:
        segments.hold(session)
        segments.get(session, key)
        refuse_used_segment(server.engine, session, key)
        refuse_asked(session, key)
        segments.remove(session, key, actor.id, server.engine.clock.now())


@router.get("/deleted-segments", summary="List deleted segments", responses=ADMIN)
def list_deleted_segments(server: TheServer, actor: Annotated[Actor, needs("segment.read")]) -> DeletedSegments:
    """Those that can be restored, newest first."""
    with server.engine.db.read() as session:
        rows = segments.deleted(session, server.engine.clock.now())
        return DeletedSegments(items=[DeletedSegment.model_validate(one) for one in rows])


@router.post("/deleted-segments/{id}/restore", summary="Restore a deleted segment", responses=CHANGE)
def restore_segment(id: DeletedId, server: TheServer, actor: Annotated[Actor, needs("segment.change")]) -> SegmentRow:
    """Under its old key if that is still free. One with a rule is filled anew, silently; a list kept by hand has whom it had."""
    with server.engine.db.write() as session:
        return _one(session, segments.restore(session, id, actor.id, server.engine.clock.now()))


@router.get("/segments/{key}/members", summary="List the members of a segment", responses=ONE)
def list_segment_members(
    key: Key, server: TheServer, actor: Annotated[Actor, needs("segment.read")], limit: Limit = 50, cursor: Cursor = None
) -> Page[SegmentMember]:
    """In the order of their ids."""
    with server.engine.db.read() as session:
        rows = members.page(session, segments.id_of(segments.get(session, key)), cursor or "", limit + 1)
    kept = [SegmentMember(contact_id=id, since=since) for id, since in rows[:limit]]
    return Page(items=kept, next=kept[-1].contact_id if len(rows) > limit else None)


@router.post("/segments/{key}/members", summary="Put contacts on a list", status_code=204, responses=CHANGE)
def add_segment_members(key: Key, body: Contacts, server: TheServer, actor: Annotated[Actor, needs("segment.change")]) -> None:
    """Who is on it stays; contacts that do not exist, or no longer, are passed over. 409 where a rule decides."""
    _move(segments.put_in, key, body, server, actor)


@router.post("/segments/{key}/members/remove", summary="Take contacts from a list", status_code=204, responses=CHANGE)
def remove_segment_members(key: Key, body: Contacts, server: TheServer, actor: Annotated[Actor, needs("segment.change")]) -> None:
    """Who is not on it is passed over. 409 where a rule decides."""
    _move(segments.take_out, key, body, server, actor)


@router.get("/segments/{key}/growth", summary="How a segment grew", responses=ONE)
def segment_growth(
    key: Key,
    server: TheServer,
    actor: Annotated[Actor, needs("segment.read")],
    days: Annotated[int, Query(ge=1, le=3_660, description="How many days back.")] = 90,
) -> Growth:
    """Who entered and left, by day."""
    since = server.engine.clock.now() - timedelta(days=days - 1)
    with server.engine.db.read() as session:
        found = members.growth(session, segments.id_of(segments.get(session, key)), since.date())
    return Growth(items=[SegmentDay.model_validate(one) for one in found])


@router.get("/segments/{key}/uses", summary="Where a segment is asked for", responses=ONE)
def segment_uses(key: Key, server: TheServer, actor: Annotated[Actor, needs("segment.read")]) -> SegmentUses:
    """What keeps it from being deleted."""
    with server.engine.db.read() as session:
        segments.get(session, key)
        others = [SegmentUse(kind="segment", key=one.key, name=one.name) for one in segments.used_by(session, key)]
        scoring = [SegmentUse(kind="scoring", key=one.key, name=one.name) for one in segments.scored_by(session, key)]
        templates = [SegmentUse(kind="template", key=one.key, name=one.name) for one in asking(session).get(key, ())]
        running = uses_of(server.engine, session, [("segment", key)])
    return SegmentUses(
        items=[
            *others,
            *scoring,
            *templates,
            *(SegmentUse(kind="journey", key=one.journey, name=one.journey_name, node=one.node, field=one.field) for one in running),
        ]
    )


@router.get("/segments/{key}/overlap/{other}", summary="How many are in two segments", responses=ONE)
def segment_overlap(
    key: Key,
    other: Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Key of the other one.", examples=["new"])],
    server: TheServer,
    actor: Annotated[Actor, needs("segment.read")],
) -> OverlapRow:
    """Members of each, and of both."""
    with server.engine.db.read() as session:
        found = questions.overlap(session, segments.get(session, key), segments.get(session, other))
    return OverlapRow.model_validate(found)


@router.get("/segments/{key}/contacts/{id}", summary="Why a contact is in a segment", responses=ONE)
def why_segment_member(key: Key, id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.read")]) -> WhyMember:
    """Or why not: the rule, term by term, as it is now."""
    with server.engine.db.read() as session:
        found = questions.why(session, key, person_of(session, id), server.engine.clock.now())
    return WhyMember(member=found.member, since=found.since, terms=list(found.terms), flips_at=found.flips_at)


@router.get("/contacts/{id}/segments", summary="The segments of a contact", responses=ONE)
def list_contact_segments(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.read")]) -> Memberships:
    """By name."""
    with server.engine.db.read() as session:
        found = members.of_contact(session, person_of(session, id))
    return Memberships(items=[Membership.model_validate(one) for one in found])


def _move(move: Callable[..., list[Event]], key: str, body: Contacts, server: Server, actor: Actor) -> None:
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        ids = [person_of(session, id) for id in body.contacts]
        events = move(session, key, ids, actor.id, now, silent=body.silent)
        wakeups = route(server.engine, session, events, now, careful=True)
    server.wake(wakeups)
