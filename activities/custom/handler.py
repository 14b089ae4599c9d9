"""Performs custom activities: the engineer's own function, with its own time limit and number of attempts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy.orm import Session

from activities.providers.provider import Answer, DeliveryCheck, MessageDead, RetryLater
from activities.redaction import tells, texts_in
from activities.sending.gate import Pass, Refuse, Verdict
from activities.sending.handler import AddressReason, CannotPrepare, Draft, Job, Person
from activities.sending.messages import contact_values
from journeys.custom import ActivityContext, Answered, Answering, CustomActivity, GiveUp, Result
from journeys.errors import NotFound, TooLarge, where
from journeys.secret import NoSecret, Reveal
from models import Contact
from storage.json_values import clean_answer

log = logging.getLogger(__name__)
MAX_DATA_BYTES = 64_000
"""Of the JSON of one answer's data: it stays with the run for as long as that lives."""


@dataclass(slots=True)
class CustomActivityHandler:
    """One custom activity. `fake` answers as the author's `fake` does and calls nothing: that is how staging runs it.

    A crash in the middle repeats the call with the same `once_key`; the function hands it to the other system.
    """

    activity: CustomActivity
    fake: bool = False
    reveal: Reveal | None = None
    """Fetches the value of a secret by its name, at the call and for the function alone; staging has none."""
    delivery_check: DeliveryCheck = "idempotent"
    outlets: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.activity.channel

    @property
    def remembers(self) -> timedelta:
        return timedelta.max if self.fake else self.activity.remembers

    @property
    def timeout_seconds(self) -> float:
        return self.activity.timeout.total_seconds()

    def prepare(self, session: Session, job: Job) -> Draft:
        contact = session.get(Contact, job.row.contact_id)
        if contact is None or contact.erased_at is not None:
            raise CannotPrepare("no_contact")
        return Draft({"input": job.call.input.get("input", {}), "contact": contact_values(contact)})

    def ask(self, session: Session, contact: Person | None, job: Job, draft: Draft) -> Verdict:
        gone = contact is None or contact.erased_at is not None or contact.merged_into is not None
        return Refuse("no_contact") if gone else Pass("")

    def record(self, session: Session, job: Job, draft: Draft, address: str) -> Mapping[str, Any]:
        return {}

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        if attempt > self.activity.retries + 1:  # the attempts before ran into the time limit, or died with their worker
            raise MessageDead("no_answer")
        told: list[str] = []
        try:
            return _answer(self._result(job, draft, attempt, told), told)
        except GiveUp as error:
            code = str(error.code)
            raise MessageDead("secret_in_answer" if tells(code, told) else code) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an engineer's function may raise anything; its text stays out of histories
            place = where(error, self.activity.file)
            log.warning(
                "the custom activity %s raised in attempt %d at node %s of run %s: %s",
                self.activity.name,
                attempt,
                job.state.node,
                job.row.id,
                place,
            )
            if self.activity.retry.is_over(attempt, error):
                raise MessageDead(type(error).__name__) from None
            raise RetryLater(type(error).__name__, self.activity.retry.pause(attempt)) from None

    def _result(self, job: Job, draft: Draft, attempt: int, told: list[str]) -> Result:
        if self.fake:
            return self.activity.pretend(draft.payload["input"])
        context = ActivityContext(
            run_id=job.row.id,
            contact_id=job.row.contact_id,
            journey=job.program.key,
            node_id=job.state.node,
            idempotency_key=job.once_key,
            attempt=attempt,
            contact=draft.payload["contact"],
            trigger=job.row.trigger,
        )
        return self.activity.perform(context, draft.payload["input"], partial(self._tell, told), self._finish)

    def _finish(self, answering: Answering) -> Answered:
        """Runs an async function in a loop of its own, and cancels it at its time limit."""

        async def in_time() -> Answered:
            return await asyncio.wait_for(answering, self.timeout_seconds)

        return asyncio.run(in_time())

    def _tell(self, told: list[str], name: str) -> str:
        if self.reveal is None:
            raise NoSecret(name)
        try:
            value = self.reveal(name)
        except NotFound:
            raise NoSecret(name) from None
        told.append(value)
        return value

    def lookup(self, once_key: str) -> Answer | None:
        return None

    def address_refused(self, session: Session, job: Job, address: str, reason: AddressReason) -> None:
        """Custom activities have no addresses."""


def _answer(result: Result, told: list[str]) -> Answer:
    """What the run remembers of it. Raises: GiveUp, if its data is no small JSON or tells a secret; trying again would call the function for
    nothing."""
    try:
        data = clean_answer(to_jsonable_python(dict(result.data)), MAX_DATA_BYTES)
    except (TypeError, ValueError, RecursionError, TooLarge) as error:
        raise GiveUp("bad_data") from error
    if any(tells(text, told) for text in texts_in(data)):
        raise GiveUp("secret_in_answer")
    return Answer(raw={"outlet": result.outlet, "data": data})
