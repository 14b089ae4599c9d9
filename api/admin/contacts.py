"""People: find, make, change, what they allowed, their story, their data, and forgetting them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.orm import Session
from sqlmodel import col, select

from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Id, Limit, Page
from api.jobs import JobRow
from api.server import TheServer
from crm.consent import consent, mailbox, suppression
from crm.jobs import add_job
from crm.people import contacts, phones, profile, scores, touches
from crm.people.timeline import KINDS, Wanted, timeline
from crm.privacy.erasure import erase_person
from crm.privacy.export import export
from crm.rules import expression as rules
from engine.enrolment.manual import EVERYONE
from engine.enrolment.routing import routed
from engine.runs.operations import remove_contact
from engine.temporal.wakeups import Wakeups
from engine.versions.publish import get_journey
from journeys import postal
from journeys.channels import ChannelName, ConsentSubject
from journeys.errors import Conflict
from journeys.rules import Rule
from models import ConsentState, Contact, Event, Score
from workspace.audit import record

router = APIRouter(prefix="/api/v1", tags=["contacts"], route_class=JsonRoute)


def _postal(stored: Any) -> Any:
    return postal.parse(stored).parts if isinstance(stored, str) and stored else stored


_EXAMPLE: dict[str, Any] = {
    "id": "019aa1b2c3d4e5f60718293a4b5c6d7e",
    "email": "ada@example.org",
    "phone": None,
    "postal_address": {
        "name": "",
        "line1": "Bahnhofstrasse 1",
        "line2": "",
        "postal_code": "8001",
        "city": "Zürich",
        "region": "",
        "country": "CH",
    },
    "first_name": "Ada",
    "last_name": "Lovelace",
    "locale": "de-CH",
    "timezone": "Europe/Zurich",
    "lifecycle_stage": "lead",
    "owner": None,
    "attributes": {"plan": "pro"},
    "created_at": "2026-11-22T10:00:00Z",
    "updated_at": "2026-11-22T10:00:00Z",
    "last_seen_at": "2026-11-22T10:00:00Z",
    "erased_at": None,
}


class Postal(BaseModel):
    """A postal address; empty parts are unknown, and without a name the contact's own stands on it. `country` is an ISO 3166-1 code."""

    name: str
    line1: str
    line2: str
    postal_code: str
    city: str
    region: str
    country: str


class ContactRow(BaseModel):
    """A contact as lists show it."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": _EXAMPLE})

    id: str
    email: str | None
    phone: str | None
    postal_address: Annotated[Postal | None, BeforeValidator(_postal)] = None
    first_name: str | None
    last_name: str | None
    locale: str | None
    timezone: str | None
    lifecycle_stage: str | None
    owner: str | None
    attributes: dict[str, Any] = Field(description="Every other field, by name.")
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime | None
    erased_at: datetime | None


class Identifier(BaseModel):
    """What the contact is known by."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(
        min_length=1, max_length=64, examples=["user_id"], description="`user_id`, `anonymous_id`, `email`, `phone` or `external:<system>`."
    )
    value: str = Field(min_length=1, max_length=320, examples=["u1"])


class ConsentStatus(BaseModel):
    """What holds now for a channel and purpose."""

    model_config = ConfigDict(from_attributes=True)

    channel: str
    purpose: str
    state: str
    said_at: datetime


class TouchDetail(BaseModel):
    """One time that the contact came: how, when, and what is known of it. Pages are host and path."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    at: datetime
    source_id: str | None = Field(description="The form, import, key or member it came with, by its stable id.")
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_term: str | None
    utm_content: str | None
    referrer: str | None
    landing_page: str | None


class LeadSourceDetail(BaseModel):
    """How the contact came, first and last."""

    first: TouchDetail
    last: TouchDetail


class ContactDetail(ContactRow):
    """A contact with everything that belongs to it."""

    identifiers: list[Identifier]
    phones: list[str] = Field(description="All phone numbers, the main one (`phone`) first.")
    tags: list[str]
    scores: dict[str, float]
    consents: list[ConsentStatus]
    lead_source: LeadSourceDetail | None = Field(description="Null: nothing is known.")


class NewContact(BaseModel):
    """At least one identifier, or an e-mail address or phone number among the fields."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"identifiers": [{"kind": "user_id", "value": "u1"}], "fields": {"email": "ada@example.org", "plan": "pro"}}
        },
    )

    identifiers: list[Identifier] = Field([], max_length=20)
    fields: dict[str, Any] = Field({}, max_length=200)


class ContactChange(BaseModel):
    """Fields to write (null clears; `phones` states all phone numbers at once), tags to add and to take away, points to add to score groups."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"fields": {"plan": "pro"}, "add_tags": ["vip"]}})

    fields: dict[str, Any] = Field({}, max_length=200)
    add_tags: list[str] = Field([], max_length=50)
    remove_tags: list[str] = Field([], max_length=50)
    add_points: dict[str, float] = Field({}, max_length=20)


class BulkTag(BaseModel):
    """A tag for everyone for whom `rule` holds; null: for everyone. `added` false takes it away."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"tag": "vip", "rule": {"combinator": "and", "rules": [{"field": "plan", "operator": "=", "value": "pro"}]}}
        },
    )

    tag: str = Field(min_length=1, max_length=120)
    added: bool = True
    rule: Rule | None = None


class NewConsentRecord(BaseModel):
    """Something the contact said about consent. `said_at` empty: now; sent by a program, a `granted` without it is a repetition that takes
    back no withdrawal."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "channel": "email",
                "purpose": "marketing",
                "state": "granted",
                "source": "shop checkout",
                "wording": "Yes, send me offers.",
            }
        },
    )

    channel: ConsentSubject
    purpose: str = Field("marketing", pattern=r"^[a-z][a-z0-9_.:-]{0,63}$")
    state: Literal["granted", "withdrawn", "pending"]
    source: str = Field("api", min_length=1, max_length=200)
    wording: str = Field("", max_length=4_000)
    proof: dict[str, Any] = Field({}, max_length=50)
    said_at: AwareDatetime | None = None


class ConsentRecord(BaseModel):
    """One statement of the log."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    channel: str
    purpose: str
    state: str
    source: str
    wording: str
    proof: dict[str, Any]
    said_at: datetime
    recorded_at: datetime


class TimelineItem(BaseModel):
    """One thing that happened to the contact. `kind`: event, message, run, consent, refusal, task, score, note, call or merge."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    kind: str
    data: dict[str, Any]


class Erased(BaseModel):
    """The contact is forgotten; its open runs have ended. `job_id`: the job that looks through files and notes; null if it was erased before."""

    id: str
    runs_ended: int
    job_id: str | None = None


class Removed(BaseModel):
    """How many open runs were ended."""

    runs_ended: int


class Address(BaseModel):
    """An address on a channel. It stands in the body so that it never stands in a log."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"channel": "email", "address": "ada@example.org"}})

    channel: ChannelName
    address: str = Field(min_length=1, max_length=320)


class Suppress(Address):
    """An address that shall get nothing."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"channel": "email", "address": "ada@example.org", "reason": "manual"}}
    )

    reason: Literal["manual", "import", "complaint", "hard_bounce", "objection"] = "manual"


class Unsuppress(Address):
    """Lets an address receive again; `why` is the evidence and stands in the audit trail."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"channel": "email", "address": "ada@example.org", "why": "new opt-in by letter of 2026-11-20"}},
    )

    why: str = Field(min_length=3, max_length=500)


class Suppressed(BaseModel):
    """Whether an address gets nothing, and why."""

    suppressed: bool
    reason: str | None = None


@router.get("/contacts", summary="List contacts", responses=ADMIN)
def list_contacts(
    server: TheServer,
    actor: Annotated[Actor, needs("contact.read")],
    text: Annotated[str, Query(max_length=200, description="Words; each begins the e-mail address, the first or the last name.")] = "",
    tag: Annotated[str | None, Query(max_length=120)] = None,
    lifecycle_stage: Annotated[str | None, Query(max_length=64)] = None,
    owner: Annotated[str | None, Query(max_length=32, description="Id of a member.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ContactRow]:
    """Newest first; every filter that is given must fit."""
    with server.engine.db.read() as session:
        filter = contacts.ContactFilter(text, tag, lifecycle_stage, owner)
        page = contacts.search(session, filter, before=cursor, limit=limit)
        return Page(items=[ContactRow.model_validate(contact) for contact in page.contacts], next=page.next_before)


@router.post("/contacts", summary="Create a contact", status_code=201, responses=CHANGE)
def create_contact(new: NewContact, server: TheServer, actor: Annotated[Actor, needs("contact.change")]) -> ContactDetail:
    """Answers 409 with the id of the contact that is known by one of the names."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        names = [(name.kind, name.value) for name in new.identifiers]
        contact, events = contacts.create(session, names, new.fields, now, source=actor.id)
        wakeups = routed(server.engine, session, events, now)
        record(session, actor.id, "contact.create", f"contact:{contact.id}", {})
        detail = _detail(session, contact)
    server.wake(wakeups)
    return detail


@router.post("/contacts/tags/bulk", summary="Tag everyone for whom a rule holds", status_code=202, responses=CHANGE)
def tag_bulk(body: BulkTag, server: TheServer, actor: Annotated[Actor, needs("contact.tag_many")]) -> JobRow:
    """Starts a job that adds the tag, or takes it away, page by page; its progress is at `/api/v1/jobs/{id}`."""
    now = server.engine.clock.now()
    input = {**body.model_dump(mode="json", by_alias=True), "tag": profile.read_tag(body.tag)}
    with server.engine.db.write() as session:
        total = rules.count(session, body.rule or EVERYONE, now)
        return JobRow.model_validate(add_job(session, "bulk_tag", "contacts", input, actor.id, now, total))


@router.get("/contacts/{contact_id}", summary="One contact", responses=ONE)
def get_contact(contact_id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.read")], response: Response) -> ContactDetail:
    """For a contact that was merged away: the contact it became. The `ETag` goes into `If-Match` of a change."""
    with server.engine.db.read() as session:
        contact = contacts.get(session, contact_id)
        response.headers["etag"] = _etag(contact)
        return _detail(session, contact)


@router.patch("/contacts/{contact_id}", summary="Change a contact", responses=CHANGE)
def change_contact(
    contact_id: Id,
    change: ContactChange,
    server: TheServer,
    actor: Annotated[Actor, needs("contact.change")],
    response: Response,
    if_match: Annotated[str | None, Header(max_length=100, description="`ETag` of what you saw; 409 if it changed since.")] = None,
) -> ContactDetail:
    """Writes only what is named. Journeys that listen for the change are woken."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        contact = contacts.get(session, contact_id)
        if if_match is not None and if_match != _etag(contact):
            raise Conflict("Someone else changed this contact in the meantime; reload it and try again.")
        wakeups = routed(server.engine, session, _apply(session, contact.id, change, now, actor.id), now)
        contact = contacts.get(session, contact.id)
        response.headers["etag"] = _etag(contact)
        detail = _detail(session, contact)
    server.wake(wakeups)
    return detail


def _apply(session: Session, contact_id: str, change: ContactChange, now: datetime, by: str) -> list[Event | None]:
    events = [contacts.update(session, contact_id, change.fields, now, by)] if change.fields else []
    events += [profile.add_tag(session, contact_id, tag, now, by) for tag in change.add_tags]
    events += [profile.remove_tag(session, contact_id, tag, now, by) for tag in change.remove_tags]
    events += [
        scores.change_score(session, contact_id, group, points, False, "by hand", now, source=by)
        for group, points in change.add_points.items()
    ]
    return events


@router.delete("/contacts/{contact_id}", summary="Erase a contact", responses=CHANGE)
def erase_contact(contact_id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.erase")]) -> Erased:
    """Forgets the person for good (GDPR Art. 17): profile, names, what was sent; open runs end. What was withdrawn stays withdrawn.

    Files that wait to be imported, and what else names the person, are looked through by a job: its progress is at `/api/v1/jobs/{job_id}`."""
    engine = server.engine
    done = erase_person(engine.db, contact_id, engine.clock.now(), by=actor.id, keys=engine.address_keys)
    server.wake(Wakeups(runs=set(done.to_wake)))
    return Erased(id=done.contact_id, runs_ended=len(done.to_wake), job_id=done.job_id)


@router.get("/contacts/{contact_id}/export", summary="Everything known about a contact", responses=ONE)
def export_contact(contact_id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.export")]) -> dict[str, Any]:
    """One bundle with every row that belongs to the person (GDPR Art. 15 and 20)."""
    with server.engine.db.write() as session:
        bundle = export(session, contact_id)
        record(session, actor.id, "contact.export", f"contact:{bundle['contact']['id']}", {})
    return bundle


@router.get("/contacts/{contact_id}/timeline", summary="A contact's story", responses=ONE)
def contact_timeline(
    contact_id: Id,
    server: TheServer,
    actor: Annotated[Actor, needs("contact.read")],
    kind: Annotated[
        list[Literal["event", "message", "run", "consent", "refusal", "task", "score", "note", "call", "merge"]] | None,
        Query(description="Only these kinds."),
    ] = None,
    q: Annotated[str, Query(max_length=100, description="What must stand in a name, subject, title, note or reason.")] = "",
    since: Annotated[AwareDatetime | None, Query(description="Nothing before this instant.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Nothing from this instant on.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[TimelineItem]:
    """Events, messages, decisions of runs, consents, refused entries, tasks, scores, notes, calls and merges, newest first."""
    with server.engine.db.read() as session:
        contact = contacts.get(session, contact_id)
        page = timeline(session, contact.id, before=cursor, limit=limit, wanted=Wanted(kind or KINDS, q, since, until))
        return Page(items=[TimelineItem.model_validate(item) for item in page.items], next=page.next_before)


@router.get("/contacts/{contact_id}/consents", summary="What a contact said about consent", responses=ONE)
def list_consents(contact_id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.read")]) -> list[ConsentRecord]:
    """The whole log, oldest first; the newest statement per channel and purpose counts."""
    with server.engine.db.read() as session:
        contact = contacts.get(session, contact_id)
        return [ConsentRecord.model_validate(row) for row in consent.history(session, contact.id)]


@router.post("/contacts/{contact_id}/consents", summary="Record consent", status_code=201, responses=CHANGE)
def say_consent(
    contact_id: Id, said: NewConsentRecord, server: TheServer, actor: Annotated[Actor, needs("consent.record")]
) -> list[ConsentStatus]:
    """Appends a statement with its source and wording; answers what holds now."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        contact = contacts.get(session, contact_id)
        event = consent.record_consent(
            session,
            contact.id,
            said.channel,
            said.purpose,
            said.state,
            now,
            evidence=consent.Evidence.DATED if said.said_at or actor.member else consent.Evidence.UNDATED,
            source=said.source,
            said_at=said.said_at,
            wording=said.wording,
            proof={**said.proof, "by": actor.id},
        )
        wakeups = routed(server.engine, session, [event], now)
        states = _consents(session, contact.id)
    server.wake(wakeups)
    return states


@router.delete("/contacts/{contact_id}/journeys/{journey_id}", summary="Take a contact out of a journey", responses=CHANGE)
def leave_journey(contact_id: Id, journey_id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.leave_journey")]) -> Removed:
    """Ends every open run of the contact in the journey at once."""
    engine = server.engine
    with engine.db.write() as session:
        contact = contacts.get(session, contact_id)
        wakeups = remove_contact(engine, session, get_journey(session, journey_id).id, contact.id, actor.id, engine.clock.now())
    server.wake(wakeups)
    return Removed(runs_ended=len(wakeups.runs))


@router.post("/suppressions/lookup", summary="Is an address suppressed?", responses=ADMIN)
def look_up(address: Address, server: TheServer, actor: Annotated[Actor, needs("suppression.read")]) -> Suppressed:
    """Addresses are stored as keyed hashes only: there is no list to read. `unsubscribe`: somebody who has the address said no to marketing,
    which stops marketing to everybody who has it."""
    with server.engine.db.read() as session:
        reason = mailbox.refusal(session, server.engine.address_keys, address.channel, address.address)
    return Suppressed(suppressed=reason is not None, reason=reason)


@router.post("/suppressions", summary="Suppress an address", status_code=201, responses=ADMIN)
def suppress(entry: Suppress, server: TheServer, actor: Annotated[Actor, needs("suppression.add")]) -> Suppressed:
    """Nothing is sent to the address from now on, whoever it belongs to."""
    engine = server.engine
    now = engine.clock.now()
    with engine.db.write() as session:
        row = suppression.suppress(session, engine.address_keys, entry.channel, entry.address, entry.reason, now, source=actor.id)
        record(
            session,
            actor.id,
            "suppression.add",
            f"suppression:{row.address_hash[:16]}",
            {"channel": entry.channel, "reason": row.reason},
        )
        return Suppressed(suppressed=True, reason=row.reason)


@router.post("/suppressions/unsuppress", summary="Let an address receive again", responses=ADMIN)
def lift(entry: Unsuppress, server: TheServer, actor: Annotated[Actor, needs("suppression.lift")]) -> Suppressed:
    """An audited act with its reason: takes away what the look-up names. A no of the mailbox behind another reason stays, and is named in the
    answer. Whoever said no stays unsubscribed; the others who have the address get their messages again."""
    engine = server.engine
    with engine.db.write() as session:
        mailbox.lift(session, engine.address_keys, entry.channel, entry.address, actor.id, entry.why, engine.clock.now())
        reason = mailbox.refusal(session, engine.address_keys, entry.channel, entry.address)
    return Suppressed(suppressed=reason is not None, reason=reason)


def _etag(contact: Contact) -> str:
    return f'"{contact.updated_at.isoformat()}"'


def _consents(session: Session, contact_id: str) -> list[ConsentStatus]:
    rows = select(ConsentState).where(ConsentState.contact_id == contact_id).order_by(col(ConsentState.channel), col(ConsentState.purpose))
    return [ConsentStatus.model_validate(row) for row in session.scalars(rows)]


def _detail(session: Session, contact: Contact) -> ContactDetail:
    points = session.execute(select(Score.score_group, Score.value).where(Score.contact_id == contact.id)).all()
    return ContactDetail(
        **ContactRow.model_validate(contact).model_dump(),
        identifiers=[Identifier(kind=kind, value=value) for kind, value in contacts.names_of(session, contact.id)],
        phones=phones.of(session, contact),
        tags=profile.tags(session, contact.id),
        scores=dict(sorted(points)),
        consents=_consents(session, contact.id),
        lead_source=_lead_source(session, contact.id),
    )


def _lead_source(session: Session, contact_id: str) -> LeadSourceDetail | None:
    known = touches.of(session, [contact_id]).get(contact_id)
    if known is None:
        return None
    return LeadSourceDetail(first=TouchDetail.model_validate(known.first), last=TouchDetail.model_validate(known.last))
