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


def wanted(session: Session, visit: PageContext, after: str | None, limit: int = 50) -> tasks.TaskPage:
    """The tasks this address asks for: those whose time runs out first before the others, done ones in the order they came."""
    query, only = visit.query, visit.query.get("only", "")
    owner = {"nobody": "", "all": None}.get(query.get("owner", ""), visit.member.id)
    return tasks.list_tasks(
        session,
        visit.house.now(),
        owner=owner,
        only_open=only != "done",
        only_overdue=only == "overdue",
        state="finished" if only == "done" else None,
        after=after,
        limit=limit,
        by_due=only != "done",
    )


def load(visit: PageContext) -> Data:
    query, now = visit.query, visit.house.now()
    owner = {"nobody": "", "all": None}.get(query.get("owner", ""), visit.member.id)
    with visit.engine.db.read() as session:
        page = wanted(session, visit, query.get("before"))
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


def stamp(visit: PageContext) -> object:
    data = load(visit)
    return [(task.id, task.state, task.owner) for task in data.page.tasks], data.overdue, data.unassigned


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    owners = [("mine", speech("Mine"), None), ("nobody", speech("Unassigned"), data.unassigned), ("all", speech("All members"), None)]
    only = [("", speech("Open"), None), ("overdue", speech("Overdue"), data.overdue), ("done", speech("Done"), None)]
    return html._(
        components.head(speech("Tasks"), actions=[components.export(visit, "tasks"), new_task(visit, data, acts)]),
        html.div(
            {"className": "bar"},
            components.tabs(visit, "owner", owners, speech("Whose")),
            components.tabs(visit, "only", only, speech("State")),
        ),
        html.div({"className": "cards wide"}, [card(visit, data, task, acts) for task in data.page.tasks])
        if data.page.tasks
        else nothing(visit),
        components.pager(visit, data.page.next_after),
    )


def new_task(visit: PageContext, data: Data, acts: Acts) -> Element:
    """A task that no journey made."""
    if not visit.may("task.work"):
        return None
    speech, about = visit.speech, data.about
    if about is not None:
        acts.drafts.setdefault("new.contact", about.email or about.id)
    owners = {visit.member.id: visit.member.name, "": speech("nobody"), **{member.id: member.name for member in data.members}}
    fields = [
        components.kept(acts, "new.contact", speech("Contact (e-mail address or id)"), 320),
        components.kept(acts, "new.title", speech("What needs to be done"), 200),
        components.kept_lines(acts, "new.description", speech("Description"), 4_000),
        components.kept(acts, "new.due", speech("Due"), 20, type="datetime-local"),
        components.kept_choice(acts, "new.owner", speech("Owner"), owners),
        components.kept_choice(acts, "new.priority", speech("Priority"), {code: speech(text) for code, text in PRIORITIES.items()}),
        components.kept(acts, "new.outcomes", speech("Outcomes (separated by commas; default: done)"), 600),
    ]
    made = acts.act("task.work", creating(acts), "Task created.")
    return components.form(speech("New task"), "check-square", fields, speech("Create task"), made, open=about is not None)


def creating(acts: Acts) -> Do:
    """A task from what was typed.

    Raises (when done): Invalid, saying which field is wrong.
    """

    def do(visit: PageContext) -> None:
        typed = {
            name: clean_text(acts.drafts.get(f"new.{name}", "")).strip()
            for name in ("contact", "title", "description", "due", "owner", "priority", "outcomes")
        }
        outcomes = tuple(dict.fromkeys(part.strip()[:64] for part in typed["outcomes"].split(",") if part.strip()))[:20]
        if not typed["title"]:
            raise Invalid("Enter what needs to be done.")
        with visit.engine.db.write() as session:
            contact_id = find(session, ("email", typed["contact"])) if "@" in typed["contact"] else typed["contact"][:32]
            if not contact_id or session.get(Contact, contact_id) is None:
                raise Invalid("There is no contact with this e-mail address or id.")
            task = CreateTask(
                id=new_id(),
                title=typed["title"],
                description=typed["description"],
                owner=typed["owner"] or None,
                due_at=_instant(visit, typed["due"]),
                outcomes=outcomes or ("done",),
                priority=typed["priority"] if typed["priority"] in PRIORITIES else "normal",
            )
            tasks.create(session, task, contact_id=contact_id, now=visit.house.now(), by=visit.by)
        for name in typed:
            acts.drafts.pop(f"new.{name}", None)

    return do


def _instant(visit: PageContext, text: str) -> datetime | None:
    """What a field for date and time holds, in the zone of whoever typed it."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=visit.speech.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("Expected a date and a time.") from None


def nothing(visit: PageContext) -> Element:
    speech = visit.speech
    everybody = html.a({"className": "button", "href": visit.link(owner="all", only=None)}, speech("Show all"))
    if visit.query.get("owner") != "all":
        return components.empty("check", speech("No tasks."), everybody)
    text = speech("No tasks. Tasks come from journeys: the step “Create task” hands a contact to a member of your team.")
    return components.empty("check", text, html.a({"className": "button", "href": "/ui/journeys"}, speech("View journeys")))


def card(visit: PageContext, data: Data, task: Task, acts: Acts) -> Element:
    speech = visit.speech
    owner = next((member.name for member in data.members if member.id == task.owner), speech("nobody"))
    return html.article(
        {"className": "card", "key": task.id},
        html.header(
            html.h2(task.title),
            html.span(high(visit, task), components.badge(speech(TASK_STATES[task.state][0]), *TASK_STATES[task.state][1:])),
        ),
        html.p(
            contact_link(speech, task.contact_id, data.names.get(task.contact_id)),
            " · ",
            speech("with {owner}", owner=owner),
            source(visit, task),
        ),
        html.p({"className": "quiet"}, meant) if (meant := meant_for(speech, data.everybody, data.gone.get(task.id))) else None,
        due(visit, task),
        html.p(task.description) if task.description else None,
        html.p(
            {"className": "quiet"},
            speech("Outcome: {outcome}", outcome=coded(speech, OUTLETS, task.outcome)),
            f" · {task.note}" if task.note else None,
        )
        if task.outcome
        else None,
        html._(call(visit, data, task), finish_at_once(visit, task, acts)) if is_mine(visit, task) else None,
        html.footer({"className": "actions"}, *choices(visit, data, task, acts)),
    )


def is_mine(visit: PageContext, task: Task) -> bool:
    """Whether the visitor is at work on it."""
    return task.state == "taken" and task.owner == visit.member.id and visit.may("task.work")


def finish_at_once(visit: PageContext, task: Task, acts: Acts) -> Element:
    """The note and the outcomes of a task that one is at work on, without another tap."""
    speech = visit.speech
    ways = [
        html.button({"type": "button", "className": "button", "key": text, "onClick": handler}, text)
        for text, handler in outcomes(visit, task, acts)
    ]
    return html.fieldset(
        {"className": "finish"}, html.legend(speech("Finish")), note_field(visit, task, acts), html.div({"className": "actions"}, ways)
    )


def outcomes(visit: PageContext, task: Task, acts: Acts) -> list[tuple[str, Callable[..., Any]]]:
    return [
        (coded(visit.speech, OUTLETS, outcome), acts.act("task.work", finishing(task.id, outcome, acts), "The task is done."))
        for outcome in task.outcomes
    ]


def call(visit: PageContext, data: Data, task: Task) -> Element:
    """A phone calls at once; nothing where no number is known."""
    phone = data.phones.get(task.contact_id)
    if phone is None:
        return None
    tone = "main" if is_mine(visit, task) else ""
    attributes = {"className": f"button {tone}", "href": f"tel:{phone}"}
    return html.a(attributes, components.icon("phone"), visit.speech("Call {phone}", phone=phone))


def high(visit: PageContext, task: Task) -> Element:
    return components.badge(visit.speech("urgent"), "bad", "alert") if task.priority == "high" else None


def source(visit: PageContext, task: Task) -> Element:
    return html._(" · ", html.a({"href": f"/ui/runs/{task.run_id}"}, visit.speech("from a journey"))) if task.run_id else None


def due(visit: PageContext, task: Task) -> Element:
    speech = visit.speech
    if task.due_at is None or task.state not in tasks.OPEN:
        return None
    late = task.due_at < visit.house.now()
    relative, moment = components.relative(visit, task.due_at), components.moment(speech, task.due_at)
    first, second = (moment, relative) if late else (relative, moment)
    return html.p(
        {"className": "due bad" if late else "due"},
        components.icon("alert" if late else "clock"),
        html.span(speech("Overdue since") if late else speech("Due"), " ", first, html.span({"className": "quiet"}, " (", second, ")")),
    )


def choices(visit: PageContext, data: Data, task: Task, acts: Acts) -> list[Element]:
    if not visit.may("task.work") or task.state not in tasks.OPEN:
        return []
    speech = visit.speech
    others = [
        (member.name, acts.act("task.work", handing(task.id, member.id), "The task was reassigned."))
        for member in data.members
        if member.id != task.owner
    ]
    if task.owner is not None:
        others.append((speech("nobody"), acts.act("task.work", handing(task.id, None), "The task was reassigned.")))
    take = components.button(speech("Take"), acts.act("task.work", taking(task.id), "The task is now yours."), "hand", "main")
    return [
        take if task.state == "open" else None,
        None if is_mine(visit, task) else call(visit, data, task),
        None
        if is_mine(visit, task)
        else components.choose(
            speech("Finish"), speech("What was the outcome?"), outcomes(visit, task, acts), "check", note_field(visit, task, acts)
        ),
        components.choose(speech("Reassign"), speech("Who should do it?"), others, "user"),
        components.ask(
            speech("Cancel task"),
            speech("The task is cancelled without an outcome. A journey that waits for it continues when its time is up."),
            speech("Cancel the task"),
            acts.act("task.work", dropping(task.id), "Task cancelled."),
            "ban",
            "danger",
        ),
    ]


def note_field(visit: PageContext, task: Task, acts: Acts) -> Element:
    """What is typed here goes to the server when the field is left, which is always before the button that is pressed next."""

    label = visit.speech("Note")
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
    return _changing(lambda session, visit: tasks.take(session, task_id, visit.member.id, visit.house.now()))


def dropping(task_id: str) -> Do:
    return _changing(lambda session, visit: tasks.cancel(session, task_id, visit.by, visit.house.now()))


def handing(task_id: str, owner: str | None) -> Do:
    return _changing(lambda session, visit: tasks.reassign(session, task_id, owner, visit.by, visit.house.now()))


def finishing(task_id: str, outcome: str, acts: Acts) -> Do:
    """Finishes the task and lets the journeys hear of it."""

    def do(visit: PageContext) -> Wakeups:
        now = visit.house.now()
        with visit.engine.db.write() as session:
            event = tasks.finish(session, task_id, outcome, visit.by, now, note=acts.drafts.get(task_id, ""))
            return route(visit.engine, session, [event], now)

    return do


def _changing(change: Callable[[Any, PageContext], Any]) -> Do:
    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            change(session, visit)

    return do


PAGE = Page("/ui/tasks", "Tasks", "tasks", "task.read", load, view, stamp, every_seconds=5.0)
