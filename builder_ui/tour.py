"""The tour of five steps over the real pages, and the other things the shell remembers for a person: their theme.

Where somebody is in the tour stands in their preferences (`{"tour": "3"}`, at last `"done"`), so that it goes on in another browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.app.host import THEMES, Host, back_to
from builder_ui.kit.context import AppContext
from builder_ui.kit.permissions import does
from models import Journey, Member, Run

DONE = "done"


@dataclass(frozen=True, slots=True)
class Step:
    """`page` is the path of a page; `title` and `text` are message ids."""

    page: str
    title: str
    text: str


STEPS = (
    Step(
        "/ui/journeys",
        "Welcome to Pfadwerk",
        "These are your journeys: each card shows whether it is live, how many contacts are in it and how many reached the goal.",
    ),
    Step(
        "/ui/journeys/{key}",
        "One journey",
        "Its steps in plain words, with the number of contacts at each. Above: its runs, who is stuck, who did not enter and why, and all versions.",
    ),
    Step(
        "/ui/journeys/{key}/edit",
        "The builder",
        "Draw what should happen. Everything is saved automatically; nothing goes live until you publish, and contacts already in the journey stay on their version.",
    ),
    Step("/ui/runs/{id}", "A contact's path", "Every step with its time, every decision with its values, every message with its outcome."),
    Step("/ui/outbox", "The outbox", "Messages sent while no provider is set up are captured here. No one outside has received anything."),
)


SALES = (
    Step(
        "/ui/tasks",
        "Welcome to Pfadwerk",
        "These are your tasks, most urgent first. Take one, call, write a note and choose the outcome; the journey continues by itself.",
    ),
    Step(
        "/ui/contacts",
        "People",
        "A contact's page shows consents, opens, clicks and purchases, and the notes of all finished tasks.",
    ),
)
"""The tour of those who sell."""


def steps_of(member: Member) -> tuple[Step, ...]:
    return SALES if member.role == "sales" else STEPS


def step_of(member: Member, page: str) -> int | None:
    """The number of the step to show on a page (by its path), from 1; None for nothing. Whoever was never here begins with the first."""
    state = str(member.preferences.get("tour", "1"))
    steps = steps_of(member)
    return int(state) if state.isdecimal() and 1 <= int(state) <= len(steps) and steps[int(state) - 1].page == page else None


def shown(member: Member, page: str) -> dict[str, Any] | None:
    """What the shell draws."""
    number = step_of(member, page)
    if number is None:
        return None
    steps = steps_of(member)
    step = steps[number - 1]
    return {"number": number, "total": len(steps), "title": step.title, "text": step.text, "last": number == len(steps)}


def address(session: Session, number: int, steps: tuple[Step, ...] = STEPS) -> tuple[str, str]:
    """(the state to remember, where it leads) of step `number`, or of the next one for which there is something to look at."""
    run = session.execute(select(Run.id, Run.journey_id).order_by(col(Run.id).desc()).limit(1)).first()
    present = select(Journey.key).where(col(Journey.archived_at).is_(None)).order_by(col(Journey.updated_at).desc()).limit(1)
    key = (session.scalar(present.where(Journey.id == run.journey_id)) if run else None) or session.scalar(present)
    values = {"key": key, "id": run.id if run else None}
    for n in range(number, len(steps) + 1):
        page = steps[n - 1].page
        if all(value or f"{{{name}}}" not in page for name, value in values.items()):
            return str(n), page.format(**values)
    return DONE, "/ui"


def routes(app: AppContext) -> APIRouter:
    """`/ui/tour/{step}` and `/ui/theme/{theme}`: plain forms of the shell."""
    router, host = APIRouter(include_in_schema=False), Host(app, ())

    async def tour(request: Request, step: str) -> Response:
        known = await host.member(request.cookies)
        wrong = step != DONE and step not in {str(n) for n in range(1, len(STEPS) + 1)}
        if known is None or wrong:
            return Response(status_code=403)
        led = await run_in_threadpool(_go, app, known[1], step)
        return RedirectResponse(back_to(request) if step == DONE else led, 303)

    async def theme(request: Request, theme: str) -> Response:
        known = await host.member(request.cookies)
        if known is None or theme not in THEMES:
            return Response(status_code=403)
        await run_in_threadpool(_remember, app, known[1].id, {"theme": theme})
        return RedirectResponse(back_to(request), 303)

    router.add_api_route("/ui/tour/{step}", tour, methods=["POST"], **does("me.change"))
    router.add_api_route("/ui/theme/{theme}", theme, methods=["POST"], **does("me.change"))
    return router


def _go(app: AppContext, member: Member, step: str) -> str:
    with app.engine.db.read() as session:
        state, led = (DONE, "") if step == DONE else address(session, int(step), steps_of(member))
    _remember(app, member.id, {"tour": state})
    return led


def _remember(app: AppContext, member_id: str, what: dict[str, str]) -> None:
    with app.engine.db.write() as session:
        member = session.get_one(Member, member_id)
        member.preferences = {**member.preferences, **what}
