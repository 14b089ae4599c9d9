"""`Node`: what every kind of step is, and how the rest of the product talks to it.

A kind is one file: a subclass whose docstring is its palette text and help page, whose fields are its form,
its validation and its OpenAPI, whose `outlets` are its handles on the canvas, and whose `enter` and `resume`
are its behaviour. Nothing else in the tree knows its name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from journeys.errors import Issue
from journeys.placeholders import unreadable
from journeys.results import Results
from journeys.rules import Rule
from journeys.values import Answer, Context, Outcome

Group = Literal["time", "paths", "messages", "contact", "code"]


def unread_places(node_id: str, texts: Mapping[str, Any]) -> Iterable[Issue]:
    """What looks like a placeholder in `texts` (field -> what is filled in) and is none: people would read the braces."""
    for path, data in texts.items():
        for place in unreadable(data):
            text = "“{place}” cannot be filled in: use a name, optionally with default, upper, lower, capitalize, trim, round or int."
            yield Issue(code="bad_placeholder", text=text, values={"place": place[:80]}, node_id=node_id, field=path, severity="warning")


LAST_MESSAGE = "$last_message"
"""Stands in a ready step for the id of the step that sends the last message before it."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A step that is often wanted, with its question asked already; offered beside its kind. `keywords`: as those of `Node`."""

    key: str
    label: str
    help: str
    fields: Mapping[str, Any]
    keywords: str = ""


class Node(BaseModel):
    """A step of a journey."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    group: ClassVar[Group]
    label: ClassVar[str]
    """What the palette calls it, in English (a message id of the catalogues)."""
    icon: ClassVar[str] = "circle"
    example: ClassVar[Mapping[str, Any]] = {}
    """Fields of a sensible step of this kind (all but `kind`): for the help page. No step begins as its example."""
    fresh: ClassVar[Mapping[str, Any]] = {}
    """Fields of a new step: its shape where it needs one to be drawn, such as the names of its outlets, and no content."""
    keywords: ClassVar[str] = ""
    """Other words for it and for what it is good for, which people search by (a message id of the catalogues)."""
    ready: ClassVar[tuple[Ready, ...]] = ()
    behaviour: ClassVar[int] = 1
    """Raised when a released kind starts to behave differently; the old behaviour stays while open runs use it."""
    effect_channel: ClassVar[str | None] = None
    """Set on kinds whose `enter` always answers `Do` on this channel: the engine may then foretell the call after a wait."""

    leaves_wait_through: ClassVar[str | None] = None
    """Set on kinds that answer `WaitUntil` and then always leave through this outlet: what follows needs no decision."""

    name: str = Field("", max_length=120, title="Name", description="Shown on the canvas and in reports.")

    def outlets(self) -> tuple[str, ...]:
        """The ways out, in the order they are drawn."""
        return ("next",)

    def enter(self, ctx: Context) -> Answer:
        """What to do on arrival."""
        raise TypeError(f"{type(self).__name__} does not say what to do on arrival")

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        """What to do when the thing waited for has come. Kinds that never block need not define it."""
        raise TypeError(f"{type(self).__name__} never waits, got: {type(outcome).__name__}")

    def minimum_wait(self) -> timedelta:
        """The least time a contact spends here; a cycle of edges needs at least a minute in all."""
        return timedelta(0)

    def event_behind(self, outlet: str) -> str | None:
        """The event that has just happened to whoever leaves through it; None where that is not sure."""
        return None

    def minimum_wait_through(self, outlet: str) -> timedelta:
        """The least time spent here by a contact that leaves through `outlet`."""
        return self.minimum_wait()

    def minimum_return(self) -> timedelta:
        """The least time between two leavings of the same contact, for a step that lets people go at certain times."""
        return self.minimum_wait()

    def fallback(self, outlet: str) -> str | None:
        """The outlet whose edge serves `outlet` too when none is drawn from it; None: an edge must be drawn."""
        return None

    def results(self) -> Results | None:
        """What later steps may read as `steps.<node>.<field>`; None: whatever its function says."""
        return {}

    def rules(self) -> Iterable[tuple[str, Rule]]:
        """(dotted field path, rule) of every rule in the node, for checks and dependencies."""
        return ()

    def event_rules(self) -> Iterable[tuple[str, str, Rule]]:
        """(dotted field path, event name, rule on that event's properties)."""
        return ()

    def references(self) -> Iterable[tuple[str, str, str]]:
        """(dotted field path, noun, key) of everything named outside the journey: template, journey, event, field, pool, node."""
        return ()

    def problems(self, node_id: str) -> Iterable[Issue]:
        """What pydantic cannot say about the fields."""
        return ()

    def problems_among(self, node_id: str, nodes: Mapping[str, Node]) -> Iterable[Issue]:
        """What is wrong between this node and the others of the journey."""
        return ()

    @classmethod
    def help(cls) -> tuple[str, ...]:
        """The docstring paragraph by paragraph, each on one line (message ids of the catalogues); the first is the palette's text."""
        return tuple(" ".join(paragraph.split()) for paragraph in (inspect.getdoc(cls) or "").split("\n\n"))

    @classmethod
    def form(cls) -> dict[str, Any]:
        """JSON Schema of the fields, with titles, bounds and widget hints."""
        return cls.model_json_schema()
