"""Forms as people make them: created, changed, switched on, archived and brought back, with every change audited. What comes in by them is in
`crm.forms.submissions`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.catalogue import declare_missing, learn, load_catalogue
from crm.forms.definition import USUAL, Definition, problems, read_definition
from journeys.errors import Conflict, Issue, NotFound, refuse
from journeys.keys import KEY, copy_of, key_of, key_problems, name_problems
from journeys.spelling import one_line
from models import Form, FormVersion, lock
from workspace import settings
from workspace.audit import record

MOST = 500
"""Forms of a workspace."""
SUBMITTED = "Form Submitted"
"""The event of every form."""
State = Literal["draft", "live", "archived"]


def get(session: Session, key: str) -> Form:
    """Raises:
    NotFound: there is no such form."""
    found: Form | None = session.scalar(select(Form).where(Form.key == key))
    if found is None:
        raise NotFound("There is no form “{key}”.", key=key[:64])
    return found


def id_of(form: Form) -> int:
    assert form.id is not None, "it is stored"
    return form.id


def listed(session: Session) -> list[Form]:
    """All of them, by name."""
    return list(session.scalars(select(Form).order_by(func.lower(col(Form.name)), col(Form.key))))


def offered(session: Session) -> list[tuple[str, str]]:
    """(key, name) of those that are not archived, by name, to choose from."""
    return [(one.key, one.name) for one in listed(session) if one.state != "archived"]


def keys(session: Session) -> frozenset[str]:
    """Of all forms."""
    return frozenset(session.scalars(select(Form.key)))


def shown(session: Session, key: str, version: int | None = None) -> tuple[Form, Definition, int] | None:
    """A live form with what it asks: now, or in a version that it showed before. None: there is nothing to fill in."""
    if not KEY.fullmatch(key):  # an address may hold what no database takes for a text
        return None
    form: Form | None = session.scalar(select(Form).where(Form.key == key, Form.state == "live"))
    if form is None:
        return None
    if version is None or version == form.version:
        return form, Definition.model_validate(form.definition), form.version
    row = session.get(FormVersion, (id_of(form), version))
    return None if row is None else (form, Definition.model_validate(row.definition), version)


def create(session: Session, name: str, definition: Mapping[str, Any], by: str, now: datetime, *, key: str = "") -> Form:
    """A new draft. An empty key is made of the name.

    Raises:
        Invalid: lists every problem of name, key and definition.
        Conflict: the key is taken, or there are `MOST`.
    """
    present = keys(session)
    if len(present) >= MOST:
        raise Conflict("Expected at most {limit} forms.", limit=MOST)
    if key in present:
        raise Conflict("There is a form “{key}” already.", key=key)
    key = key or key_of(name, set(present), "form", "-")
    row = Form(key=key, name=one_line(name), created_at=now, created_by=by[:120], updated_at=now)
    row.definition = _checked(session, row, definition)
    session.add(row)
    session.flush()
    record(session, by, "form.create", f"form:{key}", {"name": row.name})
    return row


def change(
    session: Session,
    key: str,
    by: str,
    now: datetime,
    *,
    name: str | None = None,
    definition: Mapping[str, Any] | None = None,
    expected: int | None = None,
) -> Form:
    """Changes what is not None; a live form asks by its new version at once. `expected`: the version that was changed.

    Raises:
        NotFound. Invalid: lists every problem. Conflict: somebody else has changed it meanwhile.
    """
    row = _locked(session, key)
    if expected is not None and expected != row.version:
        raise Conflict("Someone else has changed this form in the meantime. Reload the page to see what it is now.")
    before = row.name
    row.name = row.name if name is None else one_line(name)
    checked = _checked(session, row, row.definition if definition is None else definition)
    if checked != row.definition:
        row.definition, row.version = checked, row.version + 1
        _keep(session, row, by, now)
        if row.state == "live":
            _make_known(session, read_definition(checked), now)
    row.updated_at = now
    session.add(row)
    told = {"name": before} if before != row.name else {}
    record(session, by, "form.change", f"form:{key}", {"before": told, "version": row.version})
    return row


def duplicate(session: Session, key: str, copied: str, by: str, now: datetime) -> Form:
    """A draft that asks the same; `copied` is the word for copy in the language of whoever asks.

    Raises: as `create`."""
    row = get(session, key)
    name = copy_of(row.name, copied, {one.name for one in listed(session)})
    return create(session, name, row.definition, by, now)


def move(session: Session, key: str, to: State, by: str, now: datetime) -> Form:
    """Switches a form on or off, or archives it. Its address leads nowhere unless it is live.

    Raises:
        NotFound. Invalid: it asks for nothing yet, or for something that is not there any more.
    """
    row = _locked(session, key)
    if row.state == to:
        return row
    if to == "live":
        refuse(_lacking(session, row))
        _make_known(session, read_definition(row.definition), now)
    row.before = row.state if to == "archived" else ""
    row.state, row.updated_at = to, now
    _keep(session, row, by, now)
    session.add(row)
    record(session, by, f"form.{to}", f"form:{key}", {"version": row.version})
    return row


def restore(session: Session, key: str, by: str, now: datetime) -> Form:
    """Undoes archiving: the form is what it was.

    Raises: as `move`."""
    row = get(session, key)
    return move(session, key, "live" if row.before == "live" else "draft", by, now) if row.state == "archived" else row


def _make_known(session: Session, definition: Definition, now: datetime) -> None:
    """What it asks can be asked of contacts and events from now on, and stands where conditions are made."""
    names = [one.name for one in definition.fields if one.kind == "contact"]
    usual = [replace(USUAL[name], title="") for name in names if name in USUAL]  # it is called as everywhere, in every language
    declare_missing(session, usual, (), now)
    learn(session, {}, {SUBMITTED: {"answers": _samples(definition)}}, now)


def _samples(definition: Definition) -> dict[str, Any]:
    """An answer to each question, of the type that answers have: so that conditions offer them before anybody has answered."""
    return {one.name: _SAMPLES.get(one.input, "text") for one in definition.fields if one.kind == "question"}


_SAMPLES: Mapping[str, Any] = {"number": 1, "date": "2026-01-31", "choices": [], "checkbox": True}


def _keep(session: Session, row: Form, by: str, now: datetime) -> None:
    """What a live form asks stays readable."""
    if row.state == "live" and session.get(FormVersion, (id_of(row), row.version)) is None:
        kept = FormVersion(form_id=id_of(row), number=row.version, definition=row.definition, made_at=now, made_by=by[:120])
        session.add(kept)


def _locked(session: Session, key: str) -> Form:
    statement = lock(session, select(Form).where(Form.key == key))
    found: Form | None = session.scalar(statement, execution_options={"populate_existing": True})
    if found is None:
        raise NotFound("There is no form “{key}”.", key=key[:64])
    return found


def _checked(session: Session, row: Form, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The definition as it is stored. A draft may lack what a live form needs."""
    refuse([*key_problems(row.key), *name_problems(row.name)])
    definition = read_definition(raw)
    if row.state == "live":
        refuse(_all_problems(session, definition))
    return definition.model_dump(mode="json")


def _lacking(session: Session, row: Form) -> Iterator[Issue]:
    yield from _all_problems(session, read_definition(row.definition))


def _all_problems(session: Session, definition: Definition) -> Iterator[Issue]:
    yield from problems(definition, load_catalogue(session), settings.load(session, settings.Purposes).offers())
    if definition.field("email") is None and definition.field("phone") is None:
        yield Issue(code="form", text="Ask for an e-mail address or a phone number: otherwise nobody knows who it was.", field="fields")
