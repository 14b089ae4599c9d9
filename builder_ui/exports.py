"""Lists as CSV files: `/ui/export/{list}.csv` with the query of the page it stands on.

The file is written while it is sent, page by page, each page in a read transaction of its own; nothing of it is kept. Who may have one
says the act `list.export`; that somebody took one, and how many rows, stands in the audit trail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.app.host import Host, clean
from builder_ui.contacts.filters import read_filters
from builder_ui.kit.actor_names import contact_names, member_names
from builder_ui.kit.context import AppContext, PageContext
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES, OUTLETS, REASONS, RUN_STATES, TASK_STATES, coded
from builder_ui.kit.permissions import does, may
from builder_ui.outbox import list as outbox
from builder_ui.sales import tasks as tasks_page
from crm.companies import companies
from crm.companies.money import major
from crm.forms import forms, submissions
from crm.imports.csv_cells import START, line_of
from crm.people import contacts
from crm.privacy.export import export as export_contact
from engine.runs.operations import RunFilter, list_runs
from engine.versions.publish import get_journey
from journeys.channels import CHANNELS as CONTACTED
from journeys.channels import SENDABLE, TOPIC
from journeys.errors import NotFound, PfadwerkError
from models import Company, ConsentState, Contact, Tag
from storage.locks import person_of
from workspace.audit import record

PAGE = 200
MAX_ROWS = 1_000_000
Rows = tuple[list[Sequence[Any]], str | None]
"""The rows of a page, and the mark of the next one."""


@dataclass(frozen=True, slots=True)
class List:
    """A list that can be taken as a file. `page(session, context, mark)` reads one page; `columns` are message ids."""

    columns: tuple[str, ...]
    page: Callable[[Session, PageContext, str | None], Rows]


def _contacts(session: Session, context: PageContext, mark: str | None) -> Rows:
    query = context.query
    filter = read_filters(session, query, context.app.now(), context.t).filter
    if query.get("ids"):
        filter = replace(filter, ids=tuple(dict.fromkeys(person_of(session, id) for id in query["ids"].split(","))))
    page = contacts.search(session, filter, before=mark, limit=PAGE, sort=query.get("sort", "created"))
    ids = [contact.id for contact in page.contacts]
    tags, consents, topics = _tags(session, ids), _consents(session, ids), _topics(session, ids)
    members, t = member_names(session), context.t
    rows: list[Sequence[Any]] = [
        (
            one.id, one.first_name, one.last_name, one.email, one.phone, one.postal_address, one.lifecycle_stage, members.get(one.owner or ""), one.locale,
            one.timezone, ", ".join(tags.get(one.id, ())),
            *(coded(t, CONSENT_STATES, consents.get((one.id, channel), "unknown")) for channel in SENDABLE),
            "; ".join(f"{key}={state}" for key, state in topics.get(one.id, ())), one.created_at, one.last_seen_at, _flat(one),
        )
        for one in page.contacts
    ]  # fmt: skip
    return rows, page.next_before


def _flat(row: Contact | Company) -> str:
    """The free fields in one cell, in the order of their names."""
    return "; ".join(f"{name}={value}" for name, value in sorted(row.attributes.items()))[:10_000]


def _tags(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id, tag in session.execute(select(Tag.contact_id, Tag.tag).where(col(Tag.contact_id).in_(ids)).order_by(Tag.tag)):
        found.setdefault(id, []).append(tag)
    return found


def _consents(session: Session, ids: Sequence[str]) -> dict[tuple[str, str], str]:
    wanted = select(ConsentState.contact_id, ConsentState.channel, ConsentState.state)
    rows = session.execute(wanted.where(col(ConsentState.contact_id).in_(ids), ConsentState.purpose == "marketing"))
    return {(id, channel): state for id, channel, state in rows}


def _topics(session: Session, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Contact -> (topic, what was said about it), in the order of their keys."""
    said = select(ConsentState.contact_id, ConsentState.purpose, ConsentState.state).where(ConsentState.channel == TOPIC)
    found: dict[str, list[tuple[str, str]]] = {}
    for id, key, state in session.execute(said.where(col(ConsentState.contact_id).in_(ids)).order_by(ConsentState.purpose)):
        found.setdefault(id, []).append((key, state))
    return found


def _runs(session: Session, context: PageContext, mark: str | None) -> Rows:
    query, t = context.query, context.t
    journey = get_journey(session, query.get("journey", ""))
    filter = RunFilter(journey.id, None, query.get("status") or None, query.get("node") or None, _number(query.get("version")), mark, PAGE)
    found = list_runs(session, filter)
    names = contact_names(session, [run["contact_id"] for run in found])
    rows: list[Sequence[Any]] = [
        (
            run["id"], run["contact_id"], names.get(run["contact_id"]), run["version_number"], t(RUN_STATES[run["status"]][0]), run["node"],
            coded(t, REASONS, run["reason"]) if run["reason"] else "", run["started_at"], run["due_at"], run["ended_at"], run["goal_at"], run["goal_value"],
        )
        for run in found
    ]  # fmt: skip
    return rows, found[-1]["id"] if len(found) == PAGE else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 9 else None


def _tasks(session: Session, context: PageContext, mark: str | None) -> Rows:
    page = tasks_page.page_of(session, context, mark, PAGE)
    names, members, t = contact_names(session, [task.contact_id for task in page.tasks]), member_names(session), context.t
    rows: list[Sequence[Any]] = [
        (
            task.id, task.title, task.description, names.get(task.contact_id), task.contact_id, members.get(task.owner or ""), task.priority,
            t(TASK_STATES[task.state][0]), task.due_at, task.created_at, task.finished_at,
            coded(t, OUTLETS, task.outcome) if task.outcome else "", task.note,
        )
        for task in page.tasks
    ]  # fmt: skip
    return rows, page.next_after


def _submissions(session: Session, context: PageContext, mark: str | None) -> Rows:
    form, t = forms.get(session, context.query.get("form", "")), context.t
    found = submissions.page(session, form, mark, PAGE, context.query.get("q", ""))
    rows: list[Sequence[Any]] = [
        (
            one.id, one.submitted_at, one.contact_id, one.address, t.language_of(one.language), one.page, ", ".join(one.boxes),
            _flatly(one.values), _flatly(one.source),
        )
        for one in found
    ]  # fmt: skip
    return rows, found[-1].id if len(found) == PAGE else None


def _flatly(values: Mapping[str, Any]) -> str:
    """Names and values in one cell."""
    return "; ".join(f"{name}={value}" for name, value in values.items())[:10_000]


def _outbox(session: Session, context: PageContext, mark: str | None) -> Rows:
    found = list(session.execute(outbox.items_of(context.member, context.query, mark, PAGE)))
    t = context.t
    rows: list[Sequence[Any]] = [
        (
            one.id, one.recipient, one.subject, coded(t, CHANNELS, one.channel), one.accepted_at, one.opened_at, one.clicked_at,
            t("yes") if one.test else "",
        )
        for one in found
    ]  # fmt: skip
    return rows, str(found[-1].id) if len(found) == PAGE else None


def _companies(session: Session, context: PageContext, mark: str | None) -> Rows:
    query, t = context.query, context.t
    owner, sort = query.get("owner") or None, query.get("sort", "name")
    page = companies.search(session, text=query.get("q", ""), owner=owner, after=mark, limit=PAGE, sort=sort)
    members = member_names(session)
    rows: list[Sequence[Any]] = [
        (
            one.id, one.name, one.domain, members.get(one.owner or ""), one.members, major(one.revenue, one.currency), one.currency,
            t.number(one.score / 1000), one.last_activity_at, one.created_at, _flat(one),
        )
        for one in page.companies
    ]  # fmt: skip
    return rows, page.next


LISTS: Mapping[str, List] = {
    "companies": List(
        (
            "Company id", "Name", "Domain", "Owner", "Contacts", "Revenue", "Currency", "Score", "Last activity", "Created", "Attributes",
        ),
        _companies,
    ),
    "contacts": List(
        (
            "Contact id", "First name", "Last name", "E-mail", "Phone", "Postal address", "Stage", "Owner", "Language", "Time zone", "Tags",
            *(f"{CONTACTED[name].label} (marketing)" for name in SENDABLE), "Topics", "Created", "Last seen", "Attributes",
        ),
        _contacts,
    ),
    "runs": List(
        (
            "Run id", "Contact id", "Contact", "Version", "State", "Step", "Reason", "Started", "Due", "Ended", "Goal reached", "Goal value",
        ),
        _runs,
    ),
    "tasks": List(
        (
            "Task id", "Title", "Description", "Contact", "Contact id", "Owner", "Priority", "State", "Due", "Created", "Finished", "Outcome", "Note",
        ),
        _tasks,
    ),
    "submissions": List(
        ("Submission id", "Time", "Contact id", "E-mail", "Language", "Page", "Boxes", "Answers", "Campaign"),
        _submissions,
    ),
    "outbox": List(("Number", "To", "Subject", "Channel", "Time", "Opened", "Clicked", "Test"), _outbox),
}  # fmt: skip


def routes(app: AppContext) -> APIRouter:
    """`GET /ui/export/{list}.csv`."""
    router, host = APIRouter(include_in_schema=False), Host(app, ())

    async def export(request: Request, name: str) -> Response:
        known = await host.member(request.cookies)
        if known is None:
            return host.stranger(request)
        exported = LISTS.get(name)
        if exported is None:
            return Response(status_code=404)
        if not may(known[1], "list.export"):
            return Response(host.t(known[1], request.headers)("Your role does not allow this."), 403)
        query = {**clean(request.query_params), "ids": request.query_params.get("ids", "")[:10_000]}
        context = PageContext(app, known[1], known[0], host.t(known[1], request.headers), request.url.path, {}, query)
        try:
            first = await run_in_threadpool(_page, context, exported, None)
        except NotFound:
            return Response(status_code=404)
        headers = {
            "content-disposition": f'attachment; filename="{name}.csv"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
        return StreamingResponse(_lines(context, name, exported, first), 200, headers, "text/csv; charset=utf-8")

    async def bundle(request: Request, id: str) -> Response:
        """Everything known about a person, for a request under GDPR Art. 15 and 20."""
        known = await host.member(request.cookies)
        if known is None:
            return host.stranger(request)
        if not may(known[1], "contact.export"):
            return Response(host.t(known[1], request.headers)("Your role does not allow this."), 403)
        try:
            content = await run_in_threadpool(_bundle, app, id[:32], f"member:{known[1].id}")
        except NotFound:
            return Response(status_code=404)
        headers = {"content-disposition": f'attachment; filename="contact-{id[-6:]}.json"', "cache-control": "no-store"}
        return Response(content, 200, headers, "application/json")

    router.add_api_route("/ui/export/{name}.csv", export, methods=["GET"], **does("list.export"))
    router.add_api_route("/ui/contacts/{id}/data.json", bundle, methods=["GET"], **does("contact.export"))
    return router


def _bundle(app: AppContext, id: str, by: str) -> bytes:
    with app.engine.db.write() as session:
        content = export_contact(session, id)
        record(session, by, "contact.export", f"contact:{content['contact']['id']}", {})
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _page(context: PageContext, exported: List, mark: str | None) -> Rows:
    with context.engine.db.read() as session:
        return exported.page(session, context, mark)


def _lines(context: PageContext, name: str, exported: List, first: Rows) -> Iterator[str]:
    """The file. What was sent is counted in the audit trail however the sending ends."""
    count = 0
    try:
        yield START + line_of(context.t(column) for column in exported.columns)
        rows, mark = first
        while True:
            yield "".join(map(line_of, rows))
            count += len(rows)
            if mark is None or count >= MAX_ROWS:
                return
            rows, mark = _page(context, exported, mark)
    except PfadwerkError:
        return  # what the list stands on is gone since: the file ends here
    finally:
        with context.engine.db.write() as session:
            record(session, context.by, "export.list", f"list:{name}", {"rows": count})
