"""What people have to do: mine, nobody's, everybody's; take, finish with an outcome, hand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builder_ui import parts
from builder_ui.compat import Element, html
from builder_ui.people import contact_link, contact_names
from builder_ui.permits import SELLERS
from builder_ui.visit import Acts, Do, Page, Visit
from builder_ui.words import TASK_STATES, coded
from crm import tasks
from crm.team import list_members
from engine.router import route
from engine.wakeups import Wakeups
from models import Member, Task


@dataclass(frozen=True, slots=True)
class Data:
    page: tasks.TaskPage
    names: dict[str, str]
    members: list[Member]
    overdue: int


def load(visit: Visit) -> Data:
    query, now = visit.query, visit.house.now()
    owner = {"nobody": "", "all": None}.get(query.get("owner", ""), visit.member.id)
    only = query.get("only", "")
    with visit.engine.db.read() as session:
        page = tasks.list_tasks(
            session,
            now,
            owner=owner,
            only_open=only != "done",
            only_overdue=only == "overdue",
            state="finished" if only == "done" else None,
            after=query.get("before"),
        )
        late = tasks.list_tasks(session, now, owner=owner, only_overdue=True, limit=200).tasks
        return Data(
            page, contact_names(session, [task.contact_id for task in page.tasks]), list_members(session, only_active=True), len(late)
        )


def stamp(visit: Visit) -> object:
    data = load(visit)
    return [(task.id, task.state, task.owner) for task in data.page.tasks], data.overdue


def view(visit: Visit, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    owners = [("mine", speech("Mine"), None), ("nobody", speech("Nobody's"), None), ("all", speech("Everybody's"), None)]
    only = [("", speech("Open"), None), ("overdue", speech("Overdue"), data.overdue), ("done", speech("Done"), None)]
    return html._(
        parts.head(speech("Tasks")),
        html.div(
            {"className": "bar"}, parts.tabs(visit, "owner", owners, speech("Whose")), parts.tabs(visit, "only", only, speech("State"))
        ),
        html.div({"className": "cards wide"}, [card(visit, data, task, acts) for task in data.page.tasks])
        if data.page.tasks
        else nothing(visit),
        parts.pager(visit, data.page.next_after),
    )


def nothing(visit: Visit) -> Element:
    speech = visit.speech
    everybody = html.a({"className": "button", "href": visit.link(owner="all", only=None)}, speech("Show all"))
    if visit.query.get("owner") != "all":
        return parts.empty("check", speech("Nothing to do here."), everybody)
    text = speech("Nothing to do here. Tasks come from journeys: the step “Create task” hands a contact to a person.")
    return parts.empty("check", text, html.a({"className": "button", "href": "/ui/journeys"}, speech("To the journeys")))


def card(visit: Visit, data: Data, task: Task, acts: Acts) -> Element:
    speech = visit.speech
    owner = next((member.name for member in data.members if member.id == task.owner), speech("nobody"))
    return html.article(
        {"className": "card", "key": task.id},
        html.header(
            html.h2(task.title), html.span(high(visit, task), parts.badge(speech(TASK_STATES[task.state][0]), *TASK_STATES[task.state][1:]))
        ),
        html.p(
            contact_link(speech, task.contact_id, data.names.get(task.contact_id)),
            " · ",
            speech("with {owner}", owner=owner),
            source(visit, task),
        ),
        due(visit, task),
        html.p(task.description) if task.description else None,
        html.p(
            {"className": "quiet"},
            speech("Outcome: {outcome}", outcome=coded(speech, {}, task.outcome)),
            f" · {task.note}" if task.note else None,
        )
        if task.outcome
        else None,
        html.footer({"className": "actions"}, *choices(visit, data, task, acts)),
    )


def high(visit: Visit, task: Task) -> Element:
    return parts.badge(visit.speech("urgent"), "bad", "alert") if task.priority == "high" else None


def source(visit: Visit, task: Task) -> Element:
    return html._(" · ", html.a({"href": f"/ui/runs/{task.run_id}"}, visit.speech("from a journey"))) if task.run_id else None


def due(visit: Visit, task: Task) -> Element:
    speech = visit.speech
    if task.due_at is None or task.state not in tasks.OPEN:
        return None
    late = task.due_at < visit.house.now()
    text = speech("Overdue since") if late else speech("Due")
    return html.p(
        {"className": "due bad" if late else "due"},
        parts.icon("alert" if late else "clock"),
        text,
        " ",
        parts.relative(visit, task.due_at),
        html.span({"className": "quiet"}, " · ", parts.moment(speech, task.due_at)),
    )


def choices(visit: Visit, data: Data, task: Task, acts: Acts) -> list[Element]:
    if not visit.may(SELLERS) or task.state not in tasks.OPEN:
        return []
    speech = visit.speech
    ways = [
        (coded(speech, {}, outcome), acts.act(SELLERS, finishing(task.id, outcome, acts), "The task is done.")) for outcome in task.outcomes
    ]
    others = [
        (member.name, acts.act(SELLERS, handing(task.id, member.id), "The task was handed on."))
        for member in data.members
        if member.id != task.owner
    ]
    take = parts.button(speech("Take"), acts.act(SELLERS, taking(task.id), "The task is yours."), "hand", "main")
    return [
        take if task.state == "open" else None,
        parts.choose(speech("Finish"), speech("How did it end?"), ways, "check", note_field(visit, task, acts)),
        parts.choose(speech("Hand on"), speech("Who shall do it?"), others, "user"),
    ]


def note_field(visit: Visit, task: Task, acts: Acts) -> Element:
    """What is typed here goes to the server when the field is left, which is always before the button that is pressed next."""

    def keep(event: dict[str, Any]) -> None:
        acts.drafts[task.id] = str(event["target"].get("value", ""))[:4_000]

    label = visit.speech("Note")
    return html.textarea(
        {"placeholder": label, "aria-label": label, "rows": 2, "maxLength": 4000, "onBlur": keep, "key": f"note.{task.id}"}
    )


def taking(task_id: str) -> Do:
    return _changing(lambda session, visit: tasks.take(session, task_id, visit.member.id, visit.house.now()))


def handing(task_id: str, owner: str) -> Do:
    return _changing(lambda session, visit: tasks.reassign(session, task_id, owner, visit.by, visit.house.now()))


def finishing(task_id: str, outcome: str, acts: Acts) -> Do:
    """Finishes the task and lets the journeys hear of it."""

    def do(visit: Visit) -> Wakeups:
        now = visit.house.now()
        with visit.engine.db.write() as session:
            event = tasks.finish(session, task_id, outcome, visit.by, now, note=acts.drafts.get(task_id, ""))
            return route(visit.engine, session, [event], now)

    return do


def _changing(change: Callable[[Any, Visit], Any]) -> Do:
    def do(visit: Visit) -> None:
        with visit.engine.db.write() as session:
            change(session, visit)

    return do


PAGE = Page("/ui/tasks", "Tasks", "tasks", load, view, stamp, every_seconds=5.0)
