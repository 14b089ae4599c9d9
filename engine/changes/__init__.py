"""Does what steps have decided about runs: a file for each change of `journeys.changes` that starts or ends some, by the same name."""

from __future__ import annotations

from collections.abc import Mapping

from engine.changes import end_journey, start_journey
from engine.changes.change import Apply

_FILES = (start_journey, end_journey)

APPLY: Mapping[str, Apply] = {file.__name__.rpartition(".")[2]: file.apply for file in _FILES}
"""The kind of a change -> what does it."""
