"""A look ahead at everybody as a background job: page by page, and nothing is locked while people are judged.

What was found so far is in the job's row, without anybody's name; the row stays when it is done, so that whoever asks the same can see it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from activities.forecasts import Forecaster, SoFar
from activities.rendering import RenderBusy
from activities.sending.messages import MessageSettings
from crm.jobs import WANTED
from crm.people.contacts import contact_filter
from engine.engine import Engine
from engine.interpreter import forecast
from engine.jobs.kinds import Kind, Page
from engine.temporal.wakeups import Wakeups
from models import Job

KIND = "look_ahead"


@dataclass(slots=True)
class LookAhead:
    """One for a process. What it judged of a job waits here for the transaction that moves the job on."""

    messaging: MessageSettings
    _judged: dict[str, tuple[str, SoFar, str | None]] = field(default_factory=dict)
    """Job -> the cursor at which it stood, what is found by now, where to go on."""

    @property
    def kind(self) -> Kind:
        return Kind(self.page, self.before)

    def before(self, engine: Engine, job: Job, now: datetime) -> None:
        """Judges the next page. As of the instant at which the job was asked for, whenever a page is done."""
        so_far = SoFar(forecast.read(job.input.get("found", {})), set(job.input.get("mailboxes", ())))
        self._judged.pop(job.id, None)
        try:
            with engine.db.read() as session:
                after = self._judge(Forecaster(engine, self.messaging), session, job, so_far)
        except RenderBusy:  # asked once more
            return
        so_far.found.population = so_far.found.judged
        self._judged[job.id] = (job.cursor, so_far, after)

    def _judge(self, forecaster: Forecaster, session: Session, job: Job, so_far: SoFar) -> str | None:
        asked, at = job.input, job.created_at
        if WANTED in asked:
            whom = contact_filter(asked[WANTED])
            return forecaster.enrolment_page(session, asked["journey_id"], asked["version"], whom, at, job.cursor, so_far)
        versions = (asked["from"], asked["to"], asked["map"])
        return forecaster.move_page(session, asked["journey_id"], *versions, at, job.cursor, so_far)

    def page(self, engine: Engine, session: Session, job: Job, now: datetime) -> Page:
        """Puts into the row what was judged, unless somebody else was faster."""
        cursor, so_far, after = self._judged.pop(job.id, ("", None, None))
        if so_far is None or cursor != job.cursor:
            return Page(Wakeups(), job.cursor, {}, finished=False)
        found: dict[str, Any] = {"found": forecast.kept(so_far.found), "mailboxes": sorted(so_far.mailboxes) if after else []}
        job.input = {**job.input, **found}
        return Page(Wakeups(), after or job.cursor, {"judged": so_far.found.judged - job.done}, finished=after is None)
