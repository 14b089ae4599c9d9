"""What people have to do: mine, nobody's, everybody's; take, finish with an outcome, hand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link, contact_names, meant_for, member_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import OUTLETS, TASK_STATES, coded
from builder_ui.kit.reactpy_compat import Element, html
from crm.people.identity import find
from crm.sales import tasks
from engine.enrolment.routing import route
from engine.temporal.wakeups import Wakeups
from journeys.changes import CreateTask
from journeys.errors import Invalid
from models import Contact, Member, Task, new_id
from storage.json_values import clean_text
from workspace.members import list_members

PRIORITIES = {"normal": "normal", "high": "high", "low": "low"}


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    page: tasks.TaskPage
    names: dict[str, str]
    members: list[Member]
    overdue: int
    gone: dict[str, str]
    """Task -> the member it was meant for, where that member is gone."""
    everybody: dict[str, str]
    """Member id -> name, of those who have left, too."""
    about: Contact | None
    """Whom a new task is about, if the address says so."""
    phones: dict[str, str]
    """Contact id -> the number to call."""
    unassigned: int


def page_of(session: Session, context: PageContext, after: str | None, limit: int = 50) -> tasks.TaskPage:
    """The tasks this address asks for: those whose time runs out first before the others, done ones in the order they came."""
    query, only = context.query, context.query.get("only", "")
    owner = {"nobody": "", "all": None}.get(query.get("owner", ""), context.member.id)
    return tasks.list_tasks(
        session,
        context.app.now(),
        owner=owner,
        only_open=only != "done",
        only_overdue=only == "overdue",
        state="finished" if only == "done" else None,
        after=after,
        limit=limit,
        by_due=only != "done",
    )


def load(context: PageContext) -> Data:
    query, now = context.query, context.app.now()
    owner = {"nobody": "", "all": None}.get(query.get("owner", ""), context.member.id)
    with context.engine.db.read() as session:
        page = page_of(session, context, query.get("before"))
        late = tasks.list_tasks(session, now, owner=owner, only_overdue=True, limit=200).tasks
        return Data(
            page,
            contact_names(session, [task.contact_id for task in page.tasks]),
            list_members(session, only_active=True),
            len(late),
            tasks.meant_for(session, [task.id for task in page.tasks]),
            member_names(session),
            session.get(Contact, query["contact"]) if query.get("contact") else None,
            _phones(session, [task.contact_id for task in page.tasks]),
            len(tasks.list_tasks(session, now, owner="", only_open=True, limit=200).tasks),
        )


def _phones(session: Session, contact_ids: list[str]) -> dict[str, str]:
    found = session.execute(select(Contact.id, Contact.phone).where(col(Contact.id).in_(set(contact_ids)), col(Contact.phone).is_not(None)))
    return dict(found.all())


def stamp(context: PageContext) -> object:
    data = load(context)
    return [(task.id, task.state, task.owner) for task in data.page.tasks], data.overdue, data.unassigned


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    owners = [("mine", t("Mine"), None), ("nobody", t("Unassigned"), data.unassigned), ("all", t("All members"), None)]
    only = [("", t("Open"), None), ("overdue", t("Overdue"), data.overdue), ("done", t("Done"), None)]
    return html._(
        components.head(t("Tasks"), actions=[components.export(context, "tasks"), new_task(context, data, acts)]),
        html.div(
            {"className": "bar"},
            components.tabs(context, "owner", owners, t("Whose")),
            components.tabs(context, "only", only, t("State")),
        ),
        html.div({"className": "cards wide"}, [card(context, data, task, acts) for task in data.page.tasks])
        if data.page.tasks
        else nothing(context),
        components.pager(context, data.page.next_after),
    )


def new_task(context: PageContext, data: Data, acts: Acts) -> Element:
    """A task that no journey made."""
    if not context.may("task.work"):
        return None
    t, about = context.t, data.about
    if about is not None:
        acts.drafts.setdefault("new.contact", about.email or about.id)
    owners = {context.member.id: context.member.name, "": t("no one"), **{member.id: member.name for member in data.members}}
    fields = [
        components.kept(acts, "new.contact", t("Contact (e-mail address or id)"), 320),
        components.kept(acts, "new.title", t("What needs to be done"), 200),
        components.kept_lines(acts, "new.description", t("Description"), 4_000),
        components.kept(acts, "new.due", t("Due"), 20, type="datetime-local"),
        components.kept_choice(acts, "new.owner", t("Owner"), owners),
        components.kept_choice(acts, "new.priority", t("Priority"), {code: t(text) for code, text in PRIORITIES.items()}),
        components.kept(acts, "new.outcomes", t("Outcomes (separated by commas; default: done)"), 600),
    ]
    made = acts.act("task.work", creating(acts), "Task created.")
    return components.form(t("New task"), "check-square", fields, t("Create task"), made, open=about is not None)


def creating(acts: Acts) -> Do:
    """A task from what was typed.

    Raises (when done): Invalid, saying which field is wrong.
    """

    def do(context: PageContext) -> None:
        typed = {
            name: clean_text(acts.drafts.get(f"new.{name}", "")).strip()
            for name in ("contact", "title", "description", "due", "owner", "priority", "outcomes")
        }
        outcomes = tuple(dict.fromkeys(part.strip()[:64] for part in typed["outcomes"].split(",") if part.strip()))[:20]
        if not typed["title"]:
            raise Invalid("Enter what needs to be done.")
        with context.engine.db.write() as session:
            contact_id = find(session, ("email", typed["contact"])) if "@" in typed["contact"] else typed["contact"][:32]
            if not contact_id or session.get(Contact, contact_id) is None:
                raise Invalid("There is no contact with this e-mail address or id.")
            task = CreateTask(
                id=new_id(),
                title=typed["title"],
                description=typed["description"],
                owner=typed["owner"] or None,
                due_at=_instant(context, typed["due"]),
                outcomes=outcomes or ("done",),
                priority=typed["priority"] if typed["priority"] in PRIORITIES else "normal",
            )
            tasks.create(session, task, contact_id=contact_id, now=context.app.now(), by=context.by)
        for name in typed:
            acts.drafts.pop(f"new.{name}", None)

    return do


def _instant(context: PageContext, text: str) -> datetime | None:
    """What a field for date and time holds, in the zone of whoever typed it."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=context.t.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("Enter a date and a time.") from None


def nothing(context: PageContext) -> Element:
    t = context.t
    everybody = html.a({"className": "button", "href": context.link(owner="all", only=None)}, t("Show all"))
    if context.query.get("owner") != "all":
        return components.empty("check", t("No tasks."), everybody)
    text = t("No tasks. Tasks come from journeys: the step “Create task” hands a contact to a member of your team.")
    return components.empty("check", text, html.a({"className": "button", "href": "/ui/journeys"}, t("View journeys")))


def card(context: PageContext, data: Data, task: Task, acts: Acts) -> Element:
    t = context.t
    owner = next((member.name for member in data.members if member.id == task.owner), t("no one"))
    return html.article(
        {"className": "card", "key": task.id},
        html.header(
            html.h2(task.title),
            html.span(high(context, task), components.badge(t(TASK_STATES[task.state][0]), *TASK_STATES[task.state][1:])),
        ),
        html.p(
            contact_link(t, task.contact_id, data.names.get(task.contact_id)),
            " · ",
            t("with {owner}", owner=owner),
            source(context, task),
        ),
        html.p({"className": "quiet"}, meant) if (meant := meant_for(t, data.everybody, data.gone.get(task.id))) else None,
        due(context, task),
        html.p(task.description) if task.description else None,
        html.p(
            {"className": "quiet"},
            t("Outcome: {outcome}", outcome=coded(t, OUTLETS, task.outcome)),
            f" · {task.note}" if task.note else None,
        )
        if task.outcome
        else None,
        html._(call(context, data, task), finish_at_once(context, task, acts)) if is_mine(context, task) else None,
        html.footer({"className": "actions"}, *choices(context, data, task, acts)),
    )


def is_mine(context: PageContext, task: Task) -> bool:
    """Whether the visitor is at work on it."""
    return task.state == "taken" and task.owner == context.member.id and context.may("task.work")


def finish_at_once(context: PageContext, task: Task, acts: Acts) -> Element:
    """The note and the outcomes of a task that one is at work on, without another tap."""
    t = context.t
    ways = [
        html.button({"type": "button", "className": "button", "key": text, "onClick": handler}, text)
        for text, handler in outcomes(context, task, acts)
    ]
    return html.fieldset(
        {"className": "finish"}, html.legend(t("Finish")), note_field(context, task, acts), html.div({"className": "actions"}, ways)
    )


def outcomes(context: PageContext, task: Task, acts: Acts) -> list[tuple[str, Callable[..., Any]]]:
    return [
        (coded(context.t, OUTLETS, outcome), acts.act("task.work", finishing(task.id, outcome, acts), "The task is done."))
        for outcome in task.outcomes
    ]


def call(context: PageContext, data: Data, task: Task) -> Element:
    """A phone calls at once; nothing where no number is known."""
    phone = data.phones.get(task.contact_id)
    if phone is None:
        return None
    tone = "main" if is_mine(context, task) else ""
    attributes = {"className": f"button {tone}", "href": f"tel:{phone}"}
    return html.a(attributes, components.icon("phone"), context.t("Call {phone}", phone=phone))


def high(context: PageContext, task: Task) -> Element:
    return components.badge(context.t("urgent"), "bad", "alert") if task.priority == "high" else None


def source(context: PageContext, task: Task) -> Element:
    return html._(" · ", html.a({"href": f"/ui/runs/{task.run_id}"}, context.t("from a journey"))) if task.run_id else None


def due(context: PageContext, task: Task) -> Element:
    t = context.t
    if task.due_at is None or task.state not in tasks.OPEN:
        return None
    late = task.due_at < context.app.now()
    relative, moment = components.relative(context, task.due_at), components.moment(t, task.due_at)
    first, second = (moment, relative) if late else (relative, moment)
    return html.p(
        {"className": "due bad" if late else "due"},
        components.icon("alert" if late else "clock"),
        html.span(t("Overdue since") if late else t("Due"), " ", first, html.span({"className": "quiet"}, " (", second, ")")),
    )


def choices(context: PageContext, data: Data, task: Task, acts: Acts) -> list[Element]:
    if not context.may("task.work") or task.state not in tasks.OPEN:
        return []
    t = context.t
    others = [
        (member.name, acts.act("task.work", handing(task.id, member.id), "The task was reassigned."))
        for member in data.members
        if member.id != task.owner
    ]
    if task.owner is not None:
        others.append((t("no one"), acts.act("task.work", handing(task.id, None), "The task was reassigned.")))
    take = components.button(t("Take"), acts.act("task.work", taking(task.id), "The task is now yours."), "hand", "main")
    return [
        take if task.state == "open" else None,
        None if is_mine(context, task) else call(context, data, task),
        None
        if is_mine(context, task)
        else components.choose(
            t("Finish"), t("What was the outcome?"), outcomes(context, task, acts), "check", note_field(context, task, acts)
        ),
        components.choose(t("Reassign"), t("Who should do it?"), others, "user"),
        components.ask(
            t("Cancel task"),
            t("The task is cancelled without an outcome. A journey that waits for it continues when its time is up."),
            t("Cancel the task"),
            acts.act("task.work", dropping(task.id), "Task cancelled."),
            "ban",
            "danger",
        ),
    ]


def note_field(context: PageContext, task: Task, acts: Acts) -> Element:
    """What is typed here goes to the server when the field is left, which is always before the button that is pressed next."""

    label = context.t("Note")
    return html.textarea(
        {
            "placeholder": label,
            "aria-label": label,
            "rows": 2,
            "maxLength": 4000,
            "onBlur": components.keep(acts, task.id, 4_000),
            "key": f"note.{task.id}",
        }
    )


def taking(task_id: str) -> Do:
    return _changing(lambda session, context: tasks.take(session, task_id, context.member.id, context.app.now()))


def dropping(task_id: str) -> Do:
    return _changing(lambda session, context: tasks.cancel(session, task_id, context.by, context.app.now()))


def handing(task_id: str, owner: str | None) -> Do:
    return _changing(lambda session, context: tasks.reassign(session, task_id, owner, context.by, context.app.now()))


def finishing(task_id: str, outcome: str, acts: Acts) -> Do:
    """Finishes the task and lets the journeys hear of it."""

    def do(context: PageContext) -> Wakeups:
        now = context.app.now()
        with context.engine.db.write() as session:
            event = tasks.finish(session, task_id, outcome, context.by, now, note=acts.drafts.get(task_id, ""))
            return route(context.engine, session, [event], now)

    return do


def _changing(change: Callable[[Any, PageContext], Any]) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            change(session, context)

    return do


PAGE = Page("/ui/tasks", "Tasks", "tasks", "task.read", load, view, stamp, every_seconds=5.0)
