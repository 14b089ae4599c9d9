"""The acts on journeys and runs that more than one page offers, with the questions asked before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.labels import OUTLETS, coded
from builder_ui.kit.reactpy_compat import Element, html
from engine.engine import Engine
from engine.runs import operations
from engine.temporal.wakeups import Wakeups
from engine.versions import publish
from models import Journey

Change = Callable[[Engine, Session, str, str, datetime], Wakeups]


def writing(change: Callable[..., Wakeups], id: str, *more: Any) -> Do:
    """An engine function `(engine, session, id, *more, by, now)` as an act in one transaction."""

    def do(context: PageContext) -> Wakeups:
        with context.engine.db.write() as session:
            return change(context.engine, session, id, *more, context.by, context.app.now())

    return do


def stuck_notice(context: PageContext, key: str, name: str, count: int) -> Element:
    """That runs of a journey wait for a person, and the way to them."""
    t = context.t
    said = t(
        "A run is stuck in “{journey}”" if count == 1 else "{count} runs are stuck in “{journey}”", journey=name, count=t.number(count)
    )
    way = html.a({"href": f"/ui/journeys/{key}?tab=stuck"}, t("What to do"))
    return html.p({"className": "notice bad", "role": "alert", "key": f"stuck.{key}"}, components.icon("alert"), said, " ", way)


def switches(context: PageContext, acts: Acts, journey: Journey) -> list[Element]:
    """Pause or resume, and stop; nothing for those who may not."""
    if not context.may("journey.pause"):
        return []
    t = context.t
    pause = components.ask(
        t("Pause"),
        t("Everything that comes due in “{name}” is held until the journey is resumed. Exit rules still apply.", name=journey.name),
        t("Pause now"),
        acts.act("journey.pause", writing(publish.pause, journey.id), "The journey is paused."),
        "pause",
    )
    resume = components.button(
        t("Resume"), acts.act("journey.pause", writing(publish.resume, journey.id), "The journey continues."), "play", "main"
    )
    stop = components.ask(
        t("Stop"),
        t("No one will enter “{name}” any more, and everyone in it leaves. This cannot be undone for them.", name=journey.name),
        t("Stop permanently"),
        acts.act("journey.change", writing(publish.stop, journey.id), "The journey is stopped."),
        "square",
        "danger",
    )
    offered = {"live": [pause, stop], "paused": [resume, stop]}.get(journey.state, [])
    return offered if context.may("journey.change") else offered[:1]


def shelve(context: PageContext, acts: Acts, journey: Journey) -> Element:
    """Archive, after stopping where that is needed; restore an archived one. Nothing for those who may not."""
    if not context.may("journey.change"):
        return None
    t, id = context.t, journey.id
    if journey.archived_at is not None:
        return components.button(
            t("Restore"), acts.act("journey.change", _shelving(publish.unarchive, id), "The journey was restored."), "history", "main"
        )
    running = journey.state in ("live", "paused")
    question = (
        t(
            "“{name}” is live. No one will enter it any more, everyone in it leaves, and it disappears from the lists.",
            name=journey.name,
        )
        if running
        else t("“{name}” disappears from the lists. Its runs and metrics are kept, and it can be restored at any time.", name=journey.name)
    )
    do = _shelving(_stop_and_archive(context.engine) if running else publish.archive, id)
    return components.ask(
        t("Archive"),
        question,
        t("Stop and archive") if running else t("Archive now"),
        acts.act("journey.change", do, "The journey is archived.", _shelving(publish.unarchive, id)),
        "archive",
    )


def _shelving(change: Callable[[Session, str, str, datetime], Any], id: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            change(session, id, context.by, context.app.now())

    return do


def _stop_and_archive(engine: Engine) -> Callable[[Session, str, str, datetime], Any]:
    def change(session: Session, id: str, by: str, now: datetime) -> None:
        publish.stop(engine, session, id, by, now)
        publish.archive(session, id, by, now)

    return change


def run_acts(context: PageContext, acts: Acts, run: dict[str, Any], outlets: tuple[str, ...], journey_state: str) -> list[Element]:
    """Resume, skip and end for one run (a row of `engine.runs.operations`); nothing for ended ones or those who may not."""
    if not context.may("run.mend") or run["ended_at"] is not None:
        return []
    t, id = context.t, run["id"]
    offered: list[Element] = []
    halted = run["status"] != "active"
    if halted and not (run["status"] == "held" and journey_state == "paused"):
        again = acts.act("run.mend", writing(operations.resume_stuck, id), "The run tries again.")
        offered.append(components.button(t("Try again"), again, "play", "main"))
    if halted and outlets:
        ways = [
            (
                coded(t, OUTLETS, outlet),
                acts.act("run.mend", writing(operations.skip_stuck, id, outlet), "The run continues after the step."),
            )
            for outlet in outlets
        ]
        offered.append(components.choose(t("Skip step"), t("The step is skipped. Continue through:"), ways, "skip"))
    offered.append(
        components.ask(
            t("End run"),
            t("The contact leaves the journey at once. This cannot be undone."),
            t("End run"),
            acts.act("run.mend", writing(operations.end_run, id), "The run has ended."),
            "square",
            "danger",
        )
    )
    return offered
