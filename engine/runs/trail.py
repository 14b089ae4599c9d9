"""What can happen to a run: the kinds of lines in its trail. Whatever writes a line names one of these, and pages and API know each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS: Final[Mapping[str, str]] = {
    "entered": "It came to a step.",
    "placed": "A move to another version left it at the step where it stood.",
    "waiting": "The step waits: for an instant, or for something to happen.",
    "heard": "Something it waited for happened.",
    "calling": "The step calls a provider, a webhook or an activity.",
    "performed": "The call was answered.",
    "left": "It left the step through an outlet.",
    "exited": "An exit rule or event took it out.",
    "ended": "It ended.",
    "attempt": "A call did not get through and is made again; what repeats counts up.",
    "held": "It is due, and its journey is paused.",
    "stuck": "Something went wrong at the step; a person decides.",
    "quarantined": "The database is behind its workflow (it was restored); a person decides.",
    "resumed": "It goes on after it was held, stuck or quarantined.",
    "skipped": "A person led it past the step.",
    "taken_out": "A person ended it.",
    "migrated": "It was moved to another version.",
    "migrated_back": "The move to another version was undone.",
    "merged": "Its contact became one with another, and it goes on there.",
    "parted": "The merge of its contact was undone, and it went back.",
}
"""Kind -> what happened."""
