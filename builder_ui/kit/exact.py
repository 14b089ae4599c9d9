"""The exact count of a look ahead that judged a sample: offered, under way, and kept for whoever asks the same again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlmodel import col, select

from builder_ui.app.screen import allowed
from builder_ui.kit import components, consequences
from builder_ui.kit.context import PageContext
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.reactpy_compat import Element, component, html, use_effect, use_state
from crm.jobs import add_job
from engine.interpreter import forecast
from engine.interpreter.forecast import Forecast
from journeys.errors import PfadwerkError
from models import Job

KIND = "look_ahead"
LOOK_EVERY_SECONDS = 1.0
MOST_LOOKED_AT = 20
"""Counts of a journey among which the same question is looked for."""
Tell = Callable[[Forecast], list[consequences.Line]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is counted: the `input` of the job, and by whom it may be asked (`act`). `total`: how many there are to judge, None: not known."""

    journey_id: str
    act: str
    input: Mapping[str, Any]
    total: int | None

    @property
    def key(self) -> str:
        """Names the question, and nobody whom it is about."""
        return hashlib.sha256(json.dumps(self.input, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest job for a question, if there is one."""

    job: Job | None = None
    refused: str = ""
    waits: bool = False
    """For a worker: none is running."""


def look(context: PageContext, question: Question) -> Seen:
    asked = select(Job).where(Job.subject == f"journey:{question.journey_id}", Job.kind == KIND).order_by(col(Job.id).desc())
    with context.engine.db.read() as session:
        jobs = session.scalars(asked.limit(MOST_LOOKED_AT))
        job = next((job for job in jobs if job.input.get("question") == question.key), None)
        return Seen(job, waits=waits(session, job))


def begin(context: PageContext, question: Question) -> Seen:
    """Queues the count, unless the same is being counted."""
    try:
        allowed(context, question.act)
        seen = look(context, question)
        if seen.job is None or seen.job.state != "running":
            input = {**question.input, "journey_id": question.journey_id, "question": question.key}
            with context.engine.db.write() as session:
                add_job(session, KIND, f"journey:{question.journey_id}", input, context.by, context.app.now(), question.total)
    except PfadwerkError as error:
        return Seen(refused=error.say(context.t.translate))
    return look(context, question)


@component
def Exact(context: PageContext, question: Question, tell: Tell) -> Element:
    """Offers the count, says how far it is, and what came of it."""
    seen, set_seen = use_state(cast("Seen | None", None))
    begun, set_begun = use_state(0)

    async def watch() -> None:
        while True:
            found = await asyncio.to_thread(look, context, question)
            set_seen(found)
            if found.job is None or found.job.state != "running":
                return
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def start() -> Callable[[], Any]:
        return asyncio.ensure_future(watch()).cancel

    async def ask(_event: Any) -> None:
        found = await asyncio.to_thread(begin, context, question)
        if found.refused:
            set_seen(found)
        else:
            set_begun(begun + 1)

    use_effect(start, [question.key, begun])
    return shown(context, question, seen, tell, ask) if seen else None


def shown(context: PageContext, question: Question, seen: Seen, tell: Tell, ask: Callable[[Any], Any]) -> Element:
    t, job = context.t, seen.job
    if job is not None and job.state == "running":
        return progress(context, job, seen.waits)
    done = job is not None and job.state == "done"
    return html.div(
        {"className": "exact", "role": "status"},
        html.p({"className": "notice bad", "role": "alert"}, seen.refused) if seen.refused else None,
        ended_early(t, job, "The count ended early: {reason}"),
        result(context, job, tell) if job is not None and done else html.p({"className": "quiet"}, t("These are estimates.")),
        components.button(t("Count again") if done else t("Count exactly"), ask, "search"),
    )


def progress(context: PageContext, job: Job, is_waiting: bool) -> Element:
    t, known = context.t, job.total is not None
    values = {"done": t.number(job.done), "total": t.number(job.total or 0)}
    text = t("{done} of {total} counted", **values) if known else t("{done} counted", **values)
    bar = {"max": job.total or 1, **({"value": min(job.done, job.total or 0)} if known else {}), "aria-label": t("Progress")}
    return html.div(
        {"className": "exact", "role": "status"},
        html.p({"className": "progress"}, html.progress(bar), " ", text),
        no_worker(t, is_waiting),
        html.p({"className": "quiet"}, t("Counting continues when you close this page; come back to see the result.")),
    )


def result(context: PageContext, job: Job, tell: Tell) -> Element:
    found, at = forecast.read(job.input["found"]), job.created_at
    return html.div(
        html.h4(context.t("Counted exactly, as of {at}", at=context.t.moment(at))),
        consequences.listed(context.t, tell(found), found, {}),
    )
