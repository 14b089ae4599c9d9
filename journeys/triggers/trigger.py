"""`Trigger`: what lets contacts into a journey, and how the rest of the product talks to it.

A trigger is one file: a subclass whose docstring is its help, whose fields (title, description, bounds, widget) are its form, its
validation and its JSON Schema, and whose methods say on what it hangs, whether it fires, and how it reads as a sentence. Nothing
else in the tree knows its name. There are two sorts: those that hang on events (`topics`, `fires`), and `ClockTrigger`.
Pure: no clock and no database; facts and instants are handed in.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from journeys.errors import Issue
from journeys.rules import Rule
from journeys.types import Part

if TYPE_CHECKING:
    from journeys.rules.facts import Facts


class Happened(Protocol):
    """An event as a trigger sees it; `type` is `system` for those that the server writes itself."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def properties(self) -> Mapping[str, Any]: ...
    @property
    def context(self) -> Mapping[str, Any]: ...


class Phrases(Protocol):
    """What sentences are made of in a reader's language."""

    def __call__(self, text: str, **values: object) -> str:
        """The translated message id, its `{placeholders}` filled."""

    def number(self, value: float) -> str: ...
    def span(self, span: timedelta) -> str: ...
    def rule(self, rule: Rule, /) -> str: ...
    def times(self, cron: str) -> str:
        """When a cron line comes due: `every Monday at 09:00`."""


class Trigger(Part):
    """One way into a journey. Subclasses give `type` a literal of their own, by which documents name them."""

    label: ClassVar[str]
    """What the form calls it, in English (a message id of the catalogues)."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Fields of a sensible one (all but `type`): for the help page."""

    type: str

    @classmethod
    def kind(cls) -> str:
        """How documents name it."""
        return str(cls.model_fields["type"].default)

    def topics(self) -> Collection[str]:
        """What it hangs on, in the words of `engine.enrolment.routing.event_topics`: `event:Order Completed`, `field:plan`. None: no event fires it."""
        return ()

    def fires(self, event: Happened, facts: Facts, as_of: datetime) -> bool:
        """Whether an event that it hangs on lets the contact in. `facts` reads nothing before it is asked."""
        return False

    def unmet(self, event: Happened, facts: Facts, as_of: datetime) -> list[dict[str, Any]]:
        """Where it does not fire: the terms of its own condition as `journeys.rules.explain` has them; none where the event is not about it."""
        return []

    @property
    def event_name(self) -> str | None:
        """The event whose properties a run knows as `trigger.…`; None where nobody knows beforehand."""
        return None

    def problems(self, path: str) -> Iterable[Issue]:
        """What pydantic cannot say about the fields; `path` is where it is in the document."""
        return ()

    def references(self) -> Iterable[tuple[str, str, str]]:
        """(dotted field path, `event` or `field`, name) of what it names in the catalogue. Other nouns are marks on fields (`journeys.names`)."""
        return ()

    def rules(self) -> Iterable[tuple[str, Rule]]:
        """(dotted field path, rule) of every rule on a contact. They are asked before there is a run."""
        return ()

    def event_rules(self) -> Iterable[tuple[str, str, Rule]]:
        """(dotted field path, event name, rule on that event's properties)."""
        return ()

    def sentence(self, t: Phrases) -> str:
        """`When a contact does *Signed Up*`."""
        raise TypeError(f"{type(self).__name__} does not say what it is")

    @classmethod
    def help(cls) -> str:
        return " ".join((inspect.getdoc(cls) or "").split())

    @classmethod
    def form(cls) -> dict[str, Any]:
        """JSON Schema of the fields, with titles, bounds and widget hints."""
        return cls.model_json_schema()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The label is the schema's title, so that forms offer it among the others."""
        schema = handler(core_schema)
        if "label" in vars(cls):
            handler.resolve_ref_schema(schema)["title"] = cls.label
        return schema


@dataclass(frozen=True, slots=True)
class Everyone:
    """All contacts for whom a rule holds at the instant that came due."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class WithDay:
    """The contacts who have one of `days` in a field (`yearly`: as an anniversary), in the zone they live in."""

    field: str
    days: frozenset[date]
    yearly: bool


Whom = Everyone | WithDay
"""Whom an instant concerns. The engine reads either in pages."""


class ClockTrigger(Trigger):
    """One that hangs on the clock. It has one clock for all contacts (the journey's zone), or one for each zone that contacts live in."""

    each_zone: ClassVar[bool] = False
    """Set on those that go by the contact's own zone; their instants of one day are one occasion."""
    coming: ClassVar[str]
    """Heads the list of those whom it concerns next; may use `{from_at}` and `{to_at}` (a message id of the catalogues)."""

    def instants(self, after: datetime, zone: tzinfo) -> Iterator[datetime]:
        """When it comes due, later than `after`, in order and without an end (aware UTC).

        Raises: ValueError if the fields name no instant.
        """
        raise TypeError(f"{type(self).__name__} does not say when it comes due")

    def whom(self, instants: Iterable[datetime], zone: tzinfo) -> Whom:
        """Whom it concerns at the given ones of its instants: one, or all of a stretch that was missed."""
        raise TypeError(f"{type(self).__name__} does not say whom it concerns")

    def properties(self, day: date) -> Mapping[str, Any]:
        """What a run knows, beside `scheduled_at`, of the day that `WithDay` found. Runs with equal ones are for the same day."""
        return {}
