"""What is to be done for the contact: the open tasks, the most pressing first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components
from builder_ui.kit.actor_names import member_names
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.sales import tasks
from models import Contact, Task

MOST = 5


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    open: list[Task]
    members: dict[str, str]
    now: datetime


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data:
    now = context.app.now()
    found = tasks.list_tasks(session, now, contact_id=contact.id, only_open=True, limit=MOST, by_due=True).tasks
    return Data(found, member_names(session) if found else {}, now)


def aside(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    return html.ul([line(context, data, one) for one in data.open]) if data.open else None


def line(context: PageContext, data: Data, task: Task) -> Element:
    t = context.t
    late = task.due_at is not None and task.due_at < data.now
    return html.li(
        {"key": task.id},
        html.a({"href": "/ui/tasks?owner=all"}, task.title),
        " ",
        components.badge(t("Overdue"), "bad", "alert") if late else None,
        html.span({"className": "quiet"}, " ", components.relative(context, task.due_at)) if task.due_at else None,
        html.span({"className": "quiet"}, " · ", data.members.get(task.owner or "", t("no one"))),
    )


def action(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    if not context.may("task.work") or contact.erased_at is not None:
        return None
    address = f"/ui/tasks?owner=all&contact={contact.id}"
    return html.a({"className": "button", "href": address}, components.icon("check-square"), context.t("New task"))


def stamp(session: Session, contact: Contact) -> object:
    found = tasks.list_tasks(session, contact.created_at, contact_id=contact.id, only_open=True, limit=MOST, by_due=True).tasks
    return [(one.id, one.state, one.owner, one.due_at) for one in found]


PANEL = Panel("tasks", "Tasks", load, aside=aside, action=action, stamp=stamp)
