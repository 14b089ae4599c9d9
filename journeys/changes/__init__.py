"""What steps do to our own tables. A new change is a file in this folder, its name in this list, and a file of the same name that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from journeys.changes.add_tag import AddTag
from journeys.changes.change import Change, Overlaid
from journeys.changes.change_score import ChangeScore
from journeys.changes.create_task import CreateTask
from journeys.changes.end_journey import EndJourney
from journeys.changes.remove_tag import RemoveTag
from journeys.changes.set_fields import SetFields
from journeys.changes.set_owner import SetOwner
from journeys.changes.start_journey import StartJourney

CHANGES: tuple[type[Change], ...] = (
    SetFields,
    AddTag,
    RemoveTag,
    ChangeScore,
    SetOwner,
    CreateTask,
    StartJourney,
    EndJourney,
)

if TYPE_CHECKING:
    AnyChange = Change
else:
    AnyChange = Annotated[Union[CHANGES], Field(discriminator="change")]  # noqa: UP007 - a union of what the list holds
"""One of them, told apart by `change`: what answers of nodes hold."""

__all__ = [
    "CHANGES",
    "AddTag",
    "AnyChange",
    "Change",
    "ChangeScore",
    "CreateTask",
    "EndJourney",
    "Overlaid",
    "RemoveTag",
    "SetFields",
    "SetOwner",
    "StartJourney",
]
