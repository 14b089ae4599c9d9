"""Forms: what they ask, where they stand, and what came in by them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from sqlmodel import col, select

from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Id, Limit, Page
from api.server import Server, TheServer
from crm.forms import forms, submissions
from crm.forms.definition import Definition
from models import Form, FormSubmission, FormVersion

router = APIRouter(prefix="/api/v1", tags=["forms"], route_class=JsonRoute)
Key = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Key of the form.", examples=["contact"])]

_EXAMPLE: dict[str, Any] = {
    "title": {"en": "Newsletter"},
    "fields": [
        {"kind": "contact", "name": "email", "input": "email", "required": True},
        {"kind": "question", "name": "size", "label": {"en": "Your size"}, "input": "choice", "choices": [{"value": "S"}, {"value": "M"}]},
    ],
    "boxes": [{"key": "agree", "channel": "email", "purpose": "marketing", "wording": {"en": "Yes, send me news."}, "required": True}],
    "hosts": ["www.example.com"],
}


class FormRow(BaseModel):
    """A form. `state`: draft, live or archived; only a live one can be filled in."""

    model_config = ConfigDict(from_attributes=True)

    key: str = Field(examples=["contact"])
    name: str
    state: str = Field(examples=["live"])
    version: int = Field(description="Grows with every change of what it asks.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    address: str = Field("", description="Where its page is.")
    submitted: int = Field(0, description="How often it was filled in.")
    spam: int = Field(0, description="What only programs fill in; nothing else is kept of it.")


class FormDetail(FormRow):
    """With what it asks."""

    definition: Definition


class FormRows(BaseModel):
    """All of them, by name."""

    items: list[FormRow]


class NewForm(BaseModel):
    """A form to be made; it begins as a draft."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Newsletter", "definition": _EXAMPLE}})

    name: str = Field(min_length=1, max_length=120)
    key: str = Field("", pattern=r"^([a-z0-9][a-z0-9_-]{0,63})?$", description="Made of the name if empty; it never changes.")
    definition: dict[str, Any] = Field(default_factory=dict, description="As `FormDetail` has it; what is left out has its default.")


class ChangeForm(BaseModel):
    """What is left out stays; a definition is written as a whole. A live form asks by it at once."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Newsletter, footer"}})

    name: str | None = Field(None, min_length=1, max_length=120)
    definition: dict[str, Any] | None = Field(None, examples=[_EXAMPLE])
    version: int | None = Field(None, ge=1, description="The version that was changed; 409 if there is a newer one.")


class FormVersionRow(BaseModel):
    """What a form asked at a time at which it was live."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    definition: dict[str, Any]
    made_at: datetime
    made_by: str


class FormVersions(BaseModel):
    """Newest first."""

    items: list[FormVersionRow]


class Submission(BaseModel):
    """What somebody filled in. `state`: arrived, or waiting for the mailbox, because somebody else is known by the address."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    form: str = Field(examples=["contact"])
    contact_id: str
    state: Literal["arrived", "waiting"]
    version: int
    language: str
    address: str
    values: dict[str, Any] = Field(description="Name of each field -> answer.")
    boxes: list[str] = Field(description="Keys of the boxes that were ticked.")
    page: str
    source: dict[str, str] = Field(description="utm_source and its like, referrer, landing_page.")
    submitted_at: datetime


class FormDayRow(BaseModel):
    """A day (UTC) on which something came in."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    submitted: int
    spam: int


class FormDays(BaseModel):
    """In order; a day of nothing is missing."""

    items: list[FormDayRow]


class Submissions(BaseModel):
    """The newest of a contact."""

    items: list[Submission]


def _row(server: Server, form: Form, totals: dict[int, tuple[int, int]]) -> dict[str, Any]:
    row = FormRow.model_validate(form).model_dump()
    submitted, spam = totals.get(forms.id_of(form), (0, 0))
    return {**row, "address": f"{server.settings.public_url}/f/{form.key}", "submitted": submitted, "spam": spam}


def _one(server: Server, session: Session, form: Form) -> FormDetail:
    return FormDetail(**_row(server, form, submissions.totals(session)), definition=Definition.model_validate(form.definition))


def _submission(row: FormSubmission, form: Form) -> Submission:
    return Submission.model_validate({**row.model_dump(), "form": form.key})


@router.get("/forms", summary="List forms", responses=ADMIN)
def list_forms(server: TheServer, actor: Annotated[Actor, needs("form.read")]) -> FormRows:
    """With how much came in."""
    with server.engine.db.read() as session:
        totals = submissions.totals(session)
        return FormRows(items=[FormRow(**_row(server, one, totals)) for one in forms.listed(session)])


@router.post("/forms", summary="Create a form", status_code=201, responses=CHANGE)
def create_form(body: NewForm, server: TheServer, actor: Annotated[Actor, needs("form.change")]) -> FormDetail:
    """422 lists every problem of its definition, with its place."""
    with server.engine.db.write() as session:
        made = forms.create(session, body.name, body.definition, actor.id, server.engine.clock.now(), key=body.key)
        return _one(server, session, made)


@router.get("/forms/{key}", summary="Get a form", responses=ONE)
def get_form(key: Key, server: TheServer, actor: Annotated[Actor, needs("form.read")]) -> FormDetail:
    """With what it asks."""
    with server.engine.db.read() as session:
        return _one(server, session, forms.get(session, key))


@router.patch("/forms/{key}", summary="Change a form", responses=CHANGE)
def change_form(key: Key, body: ChangeForm, server: TheServer, actor: Annotated[Actor, needs("form.change")]) -> FormDetail:
    """Pages that are open go on by the version that they showed."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        changed = forms.change(session, key, actor.id, now, name=body.name, definition=body.definition, expected=body.version)
        return _one(server, session, changed)


@router.post("/forms/{key}/publish", summary="Switch a form on", responses=CHANGE)
def publish_form(key: Key, server: TheServer, actor: Annotated[Actor, needs("form.change")]) -> FormDetail:
    """422 lists what it lacks."""
    return _moved(server, key, "live", actor)


@router.post("/forms/{key}/withdraw", summary="Switch a form off", responses=CHANGE)
def withdraw_form(key: Key, server: TheServer, actor: Annotated[Actor, needs("form.change")]) -> FormDetail:
    """It is a draft again, and its address leads nowhere."""
    return _moved(server, key, "draft", actor)


@router.post("/forms/{key}/archive", summary="Archive a form", responses=CHANGE)
def archive_form(key: Key, server: TheServer, actor: Annotated[Actor, needs("form.change")]) -> FormDetail:
    """Its address leads nowhere; what came in stays."""
    return _moved(server, key, "archived", actor)


@router.post("/forms/{key}/restore", summary="Bring back an archived form", responses=CHANGE)
def restore_form(key: Key, server: TheServer, actor: Annotated[Actor, needs("form.change")]) -> FormDetail:
    """It is what it was before, live or a draft."""
    with server.engine.db.write() as session:
        return _one(server, session, forms.restore(session, key, actor.id, server.engine.clock.now()))


@router.post("/forms/{key}/duplicate", summary="Duplicate a form", status_code=201, responses=CHANGE)
def duplicate_form(key: Key, server: TheServer, actor: Annotated[Actor, needs("form.change")]) -> FormDetail:
    """A draft that asks the same."""
    with server.engine.db.write() as session:
        return _one(server, session, forms.duplicate(session, key, "copy", actor.id, server.engine.clock.now()))


@router.get("/forms/{key}/versions", summary="List the versions of a form", responses=ONE)
def list_form_versions(key: Key, server: TheServer, actor: Annotated[Actor, needs("form.read")]) -> FormVersions:
    """Every wording that was ever shown, the hundred newest."""
    with server.engine.db.read() as session:
        mine = select(FormVersion).where(FormVersion.form_id == forms.id_of(forms.get(session, key)))
        found = session.scalars(mine.order_by(col(FormVersion.number).desc()).limit(100))
        return FormVersions(items=[FormVersionRow.model_validate(one) for one in found])


@router.get("/forms/{key}/submissions", summary="List what came in by a form", responses=ONE)
def list_form_submissions(
    key: Key,
    server: TheServer,
    actor: Annotated[Actor, needs("form.read_submissions")],
    limit: Limit = 50,
    cursor: Cursor = None,
    address: Annotated[str, Query(max_length=320, description="How the e-mail address begins.")] = "",
) -> Page[Submission]:
    """Newest first."""
    with server.engine.db.read() as session:
        form = forms.get(session, key)
        rows = submissions.page(session, form, cursor, limit + 1, address)
        items = [_submission(row, form) for row in rows[:limit]]
    return Page(items=items, next=items[-1].id if len(rows) > limit else None)


@router.get("/forms/{key}/days", summary="How much came in by day", responses=ONE)
def form_days(
    key: Key,
    server: TheServer,
    actor: Annotated[Actor, needs("form.read")],
    days: Annotated[int, Query(ge=1, le=3_660, description="How many days back.")] = 90,
) -> FormDays:
    """Also what only programs filled in."""
    since = server.engine.clock.now() - timedelta(days=days - 1)
    with server.engine.db.read() as session:
        found = submissions.days(session, forms.get(session, key), since)
        return FormDays(items=[FormDayRow.model_validate(one) for one in found])


@router.get("/contacts/{id}/forms", summary="What a contact filled in", responses=ONE)
def list_contact_forms(id: Id, server: TheServer, actor: Annotated[Actor, needs("form.read_submissions")]) -> Submissions:
    """The twenty newest."""
    with server.engine.db.read() as session:
        return Submissions(items=[_submission(row, form) for row, form in submissions.of_contact(session, id)])


def _moved(server: Server, key: str, to: forms.State, actor: Actor) -> FormDetail:
    with server.engine.db.write() as session:
        return _one(server, session, forms.move(session, key, to, actor.id, server.engine.clock.now()))
