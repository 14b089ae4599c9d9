"""Companies: find, make, change, who belongs to them, merge and delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Id, Limit, Page
from api.server import Server, TheServer
from crm.companies import companies, members
from crm.companies.money import major
from crm.companies.names import read
from engine.enrolment.routing import route
from journeys.errors import Invalid
from models import Company, Event
from storage.locks import lock_contact, person_of

router = APIRouter(prefix="/api/v1", tags=["companies"], route_class=JsonRoute)

_EXAMPLE: dict[str, Any] = {"name": "Acme AG", "external_id": "acme", "domains": ["acme.example"], "fields": {"industry": "Tools"}}
Fields = Annotated[dict[str, Any], Field(description="Every other field by name; a dot descends, null clears.", examples=[{"seats": 12}])]
Domains = Annotated[
    list[Annotated[str, Field(max_length=1_000)]],
    Field(max_length=50, description="The first is the main one.", examples=[["acme.example"]]),
]
ExternalId = Annotated[str, Field(max_length=320, description="What another system calls it: `groupId` of a group call.")]


class CompanyRow(BaseModel):
    """A company. What its members add up to follows within a second of what they do."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["019aa1b2c3d4e5f60718293a4b5c6d7e"])
    name: str = Field(examples=["Acme AG"])
    domain: str | None = Field(description="The main one.", examples=["acme.example"])
    owner: str | None = Field(description="Id of a member of the team.")
    fields: dict[str, Any] = Field(validation_alias="attributes", examples=[{"industry": "Tools"}])
    members: int = Field(examples=[12])
    revenue: float = Field(description="Net of refunds, in `currency`.", examples=[1234.5])
    currency: str = Field(description="The workspace's; empty until it is worked out for the first time.", examples=["CHF"])
    revenues: dict[str, float] = Field(description="Currency (empty: none was said) -> net revenue.", examples=[{"CHF": 1234.5}])
    score: float = Field(description="All scores of all members.", examples=[42.0])
    last_activity_at: datetime | None
    version: int = Field(description="Grows with every change; send it along to refuse if somebody was faster.")
    created_at: datetime
    updated_at: datetime
    external_ids: list[str] = Field([], description="What other systems call it. Only of a single company.")
    domains: list[str] = Field([], description="All of them. Only of a single company.")


class NewCompany(BaseModel):
    """A company to be made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    name: str = Field(min_length=1, max_length=200)
    external_id: ExternalId | None = None
    domains: Domains = []
    owner: str | None = Field(None, max_length=32)
    fields: Fields = {}


class ChangeCompany(BaseModel):
    """What is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"owner": "m1", "version": 3}})

    name: str | None = Field(None, min_length=1, max_length=200)
    external_id: ExternalId | None = None
    domains: Domains | None = None
    owner: str | None = Field(None, max_length=32)
    fields: Fields = {}
    version: int | None = Field(None, description="The one that was looked at: 409 if it is another by now.")


class SaidCompany(BaseModel):
    """A company by any of what it is known by: found by its id, else a domain, else its name, and made if there is none."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"external_id": "acme", "name": "Acme AG", "fields": {"plan": "pro"}}}
    )

    external_id: ExternalId | None = None
    domain: str | None = Field(None, max_length=1_000)
    name: str | None = Field(None, max_length=200)
    fields: Fields = {}


class UpsertedCompany(BaseModel):
    """What became of it."""

    company: CompanyRow
    created: bool
    refused: dict[str, str] = Field(description="Field -> why it was left out.", examples=[{"members": "read_only"}])


class OtherCompany(BaseModel):
    """Which company becomes part of this one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"other": "019aa1b2c3d4e5f60718293a4b5c6d7f"}})

    other: str = Field(min_length=1, max_length=64)


class CompanyMember(BaseModel):
    """A contact of a company. `source`: who said so (domain, group, import, api or hand)."""

    model_config = ConfigDict(from_attributes=True)

    contact_id: str
    since: datetime
    source: str = Field(examples=["group"])


class CompanyContacts(BaseModel):
    """Whom to bring to a company, or to take from it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"contacts": ["019aa1b2c3d4e5f60718293a4b5c6d7e"]}})

    contacts: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(min_length=1, max_length=1_000)


class CompanyOfContact(BaseModel):
    """The company of a contact; null where it has none."""

    company: CompanyRow | None
    since: datetime | None = None
    source: str | None = None


class ChooseCompany(BaseModel):
    """Where a contact belongs; null: nowhere."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"company_id": "019aa1b2c3d4e5f60718293a4b5c6d7e"}})

    company_id: str | None = Field(max_length=64)


def _row(company: Company) -> CompanyRow:
    plain = {name: getattr(company, name) for name in Company.model_fields}
    plain |= {
        "revenue": major(company.revenue, company.currency),
        "revenues": {currency: major(amount, currency) for currency, amount in company.revenues.items()},
        "score": company.score / 1000,
    }
    return CompanyRow.model_validate(plain)


def _whole(session: Session, company: Company) -> CompanyRow:
    row, known = _row(company), companies.names_of(session, company.id)
    row.external_ids, row.domains = known["id"], known["domain"]
    return row


@router.get("/companies", summary="List companies", responses=ADMIN)
def list_companies(
    server: TheServer,
    actor: Annotated[Actor, needs("company.read")],
    q: Annotated[str, Query(max_length=200, description="The beginning of the name or of a domain.")] = "",
    owner: Annotated[str | None, Query(max_length=32, description="Id of a member of the team.")] = None,
    sort: Annotated[Literal["name", "created", "members", "revenue", "active"], Query(description="Order.")] = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CompanyRow]:
    """Those that are there; merged and deleted ones are left out."""
    with server.engine.db.read() as session:
        page = companies.search(session, text=q, owner=owner, after=cursor, limit=limit, sort=sort)
        return Page(items=[_row(one) for one in page.companies], next=page.next)


@router.post("/companies", summary="Create a company", status_code=201, responses=CHANGE)
def create_company(body: NewCompany, server: TheServer, actor: Annotated[Actor, needs("company.change")]) -> CompanyRow:
    """409, with `company_id`, where another has the id or a domain already; 422 lists every problem of its fields."""
    given = body.model_dump(exclude={"name"})
    with server.engine.db.write() as session:
        return _whole(session, companies.create(session, body.name, actor.id, server.engine.clock.now(), **given))


@router.post("/companies/upsert", summary="Find or create a company", responses=CHANGE)
def upsert_company(body: SaidCompany, server: TheServer, actor: Annotated[Actor, needs("company.change")]) -> UpsertedCompany:
    """Sent twice, or by two at once, it makes one company. What cannot be stored is left out and told."""
    said = read(body.external_id, body.domain, body.name)
    if said is None:
        raise Invalid("Expected an id, a domain or a name of a company.")
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        done = companies.upsert_company(session, said, body.fields, now, actor.id)
        return UpsertedCompany(
            company=_whole(session, companies.get(session, done.company_id)), created=done.created, refused=dict(done.refused)
        )


@router.get("/companies/{id}", summary="Get a company", responses=ONE)
def get_company(id: Id, server: TheServer, actor: Annotated[Actor, needs("company.read")]) -> CompanyRow:
    """With all that it is known by. Of one that was merged, the company it has become."""
    with server.engine.db.read() as session:
        return _whole(session, companies.get(session, id))


@router.patch("/companies/{id}", summary="Change a company", responses=CHANGE)
def change_company(id: Id, body: ChangeCompany, server: TheServer, actor: Annotated[Actor, needs("company.change")]) -> CompanyRow:
    """Its members' segments and journeys hear of it in the background."""
    given = body.model_dump(include={"name", "owner"}, exclude_unset=True) | body.fields
    if body.name is None:
        given.pop("name", None)
    names = body.model_dump(include={"external_id", "domains", "version"}, exclude_unset=True)
    with server.engine.db.write() as session:
        return _whole(session, companies.change(session, id, actor.id, server.engine.clock.now(), fields=given, **names))


@router.delete("/companies/{id}", summary="Delete a company", status_code=204, responses=CHANGE)
def delete_company(id: Id, server: TheServer, actor: Annotated[Actor, needs("company.remove")]) -> None:
    """For good. Its contacts stay, without a company."""
    with server.engine.db.write() as session:
        companies.remove(session, id, actor.id, server.engine.clock.now())


@router.post("/companies/{id}/merge", summary="Merge a company into this one", responses=CHANGE)
def merge_company(id: Id, body: OtherCompany, server: TheServer, actor: Annotated[Actor, needs("company.remove")]) -> CompanyRow:
    """The other one's names lead here at once, its contacts come in the background. There is no undo."""
    with server.engine.db.write() as session:
        return _whole(session, companies.merge(session, id, body.other, actor.id, server.engine.clock.now()))


@router.get("/companies/{id}/members", summary="List the contacts of a company", responses=ONE)
def list_company_members(
    id: Id, server: TheServer, actor: Annotated[Actor, needs("company.read")], limit: Limit = 50, cursor: Cursor = None
) -> Page[CompanyMember]:
    """In the order of their ids."""
    with server.engine.db.read() as session:
        rows = members.page(session, companies.get(session, id).id, cursor or "", limit + 1)
    kept = [CompanyMember.model_validate(one) for one in rows[:limit]]
    return Page(items=kept, next=kept[-1].contact_id if len(rows) > limit else None)


@router.post("/companies/{id}/members", summary="Bring contacts to a company", status_code=204, responses=CHANGE)
def add_company_members(id: Id, body: CompanyContacts, server: TheServer, actor: Annotated[Actor, needs("company.change")]) -> None:
    """From another company, too: a contact has one. Contacts that do not exist, or no longer, are passed over."""
    _move(server, actor, body, lambda session: companies.get(session, id).id, only_from=None)


@router.post("/companies/{id}/members/remove", summary="Take contacts from a company", status_code=204, responses=CHANGE)
def remove_company_members(id: Id, body: CompanyContacts, server: TheServer, actor: Annotated[Actor, needs("company.change")]) -> None:
    """Who does not belong to it is passed over."""
    _move(server, actor, body, lambda session: None, only_from=id)


@router.get("/contacts/{id}/company", summary="The company of a contact", responses=ONE)
def get_contact_company(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.read")]) -> CompanyOfContact:
    """Null where it has none."""
    with server.engine.db.read() as session:
        return _of_contact(session, person_of(session, id))


@router.put("/contacts/{id}/company", summary="Choose the company of a contact", responses=CHANGE)
def put_contact_company(
    id: Id, body: ChooseCompany, server: TheServer, actor: Annotated[Actor, needs("company.change")]
) -> CompanyOfContact:
    """Group calls no longer move the contact to another company; one that has none is brought to theirs by the next."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        contact = lock_contact(session, id)
        events = companies.assign(session, contact.id, body.company_id, actor.id, now, source="api")
        wakeups = route(server.engine, session, events, now, careful=True)
        found = _of_contact(session, contact.id)
    server.wake(wakeups)
    return found


def _of_contact(session: Session, contact_id: str) -> CompanyOfContact:
    found = members.of_contact(session, contact_id)
    known: Mapping[str, Company] = companies.named(session, [found.company_id] if found else [])
    if found is None or found.company_id not in known:
        return CompanyOfContact(company=None)
    return CompanyOfContact(company=_row(known[found.company_id]), since=found.since, source=found.source)


def _move(server: Server, actor: Actor, body: CompanyContacts, to: Callable[[Session], str | None], only_from: str | None) -> None:
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        ids = [person_of(session, id) for id in body.contacts]
        events: list[Event] = companies.assign_many(session, ids, to(session), actor.id, now, only_from=only_from)
        wakeups = route(server.engine, session, events, now, careful=True)
    server.wake(wakeups)
