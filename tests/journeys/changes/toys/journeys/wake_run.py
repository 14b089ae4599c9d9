"""One that concerns a run and not a contact alone."""

from __future__ import annotations

from typing import Literal

from journeys.changes.change import Change


class WakeRun(Change):
    """The run is woken."""

    change: Literal["wake_run"] = "wake_run"
