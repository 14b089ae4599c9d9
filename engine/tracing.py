"""Traces from an event to the message it led to: what the engine asks of them. Nothing is recorded until a process is given `engine.otlp`.

Hours and a Temporal workflow lie between two steps of a run, so a trace goes on from our own rows (`event.trace`, `run.trace`: the W3C
`traceparent`) and never enters a history: replays are what they were, and a run that is rebuilt from its row keeps its trace. Spans hold
ids and codes only (`ATTRIBUTES`), nothing that a person is called or typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, Protocol

from sqlalchemy import bindparam, select

from models import Database, Run
from storage.sql import on, table

Kind = Literal["internal", "server", "client"]
Callers = Literal["ignore", "link", "parent"]

ATTRIBUTES: Final = {
    "account": "pfadwerk.account",
    "attempt": "pfadwerk.attempt",
    "channel": "pfadwerk.channel",
    "error": "error.type",
    "event_id": "pfadwerk.event.id",
    "events": "pfadwerk.events",
    "journey": "pfadwerk.journey.key",
    "message_id": "pfadwerk.message.id",
    "method": "http.request.method",
    "node": "pfadwerk.node",
    "op": "pfadwerk.op",
    "outcome": "pfadwerk.outcome",
    "provider": "pfadwerk.provider",
    "route": "http.route",
    "run_id": "pfadwerk.run.id",
    "status": "http.response.status_code",
    "step": "pfadwerk.step",
}
"""All that a span may say: word in the code -> name in the trace. Any other word is refused, so that nobody adds a person by accident."""

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""Source: W3C Trace Context, version 00."""


class Span(Protocol):
    """One piece of work under way."""

    def note(self, **attributes: str | int) -> None:
        """Adds what is known only now; words out of `ATTRIBUTES`."""

    def rename(self, name: str) -> None: ...


class Tracing(Protocol):
    """What a process records with."""

    on: bool

    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        links: Iterable[str] = (),
        kind: Kind = "internal",
        root: bool = False,
        **attributes: str | int,
    ) -> AbstractContextManager[Span]:
        """A span below `parent` (a traceparent), else below the present one. Without either nothing is recorded, unless it may be a `root`."""

    def apart(self, name: str) -> AbstractContextManager[Span]:
        """The root of a trace of its own that is linked with the present span; recorded if that is."""

    def request(self, traceparent: str) -> AbstractContextManager[Span]:
        """The span of a request; `traceparent` is what its sender said, or "". It counts as far as the settings let it."""

    def here(self) -> str | None:
        """The present span as text, to be kept with a row; None if nothing is recorded."""

    def close(self) -> None:
        """Exports what is left; takes seconds at most."""


class _Unrecorded:
    def note(self, **attributes: str | int) -> None:
        pass

    def rename(self, name: str) -> None:
        pass


NOTHING: Final = nullcontext(_Unrecorded())
"""The span of whoever records nothing."""


class NoTracing:
    """Records nothing, and costs nothing."""

    on = False

    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        links: Iterable[str] = (),
        kind: Kind = "internal",
        root: bool = False,
        **attributes: str | int,
    ) -> AbstractContextManager[Span]:
        return NOTHING

    def apart(self, name: str) -> AbstractContextManager[Span]:
        return NOTHING

    def request(self, traceparent: str) -> AbstractContextManager[Span]:
        return NOTHING

    def here(self) -> str | None:
        return None

    def close(self) -> None:
        pass


_of_run = select(table(Run).c.trace).where(table(Run).c.id == bindparam("run_id"))


def of_run(tracing: Tracing, db: Database, run_id: str) -> str | None:
    """Where the run's trace goes on. Asks the database only where something is recorded."""
    if not tracing.on:
        return None
    with db.read() as session:
        return on(session).execute(_of_run, {"run_id": run_id}).scalar()


def is_traceparent(text: str) -> bool:
    """Whether text from outside is a `traceparent` that can be read."""
    return _TRACEPARENT.fullmatch(text) is not None


def trace_id(traceparent: str) -> str:
    """`00-TRACE-SPAN-01` -> TRACE."""
    return traceparent.split("-")[1]
