"""The JSON of a scoring model. Points are whole numbers, so that the history always adds up to the score, to the last digit.

What is asked in rules stays JSON here (`rule`, `where`): it is checked where there is a catalogue (`crm.scoring.models`), as the rules of segments
are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from journeys.nodes.assign_owner import AssignOwner
from journeys.nodes.create_task import CreateTask
from journeys.nodes.node import Node
from journeys.nodes.start_journey import StartJourney
from journeys.nodes.update_contact import UpdateContact
from journeys.rules import EventTerm, Rule, parse_rule, topics
from journeys.types import EventName, Key, Part

MAX_RULES = 200
MAX_THRESHOLDS = 30
MAX_ACTIONS = 10
MAX_POINTS = 1_000
"""Of one rule, for one occurrence."""
MAX_EARNED = 100_000
"""Of one rule, in all: who never stops clicking does not outweigh everything else."""
GRADE_FIELD = "grade"
GRADE_TOPIC = f"field:{GRADE_FIELD}"

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Points = Annotated[int, Field(ge=-MAX_POINTS, le=MAX_POINTS)]
Cap = Annotated[int, Field(ge=1, le=MAX_EARNED)]


class PeriodCap(Part):
    """At most so many points by what happens in one calendar day, week (from Monday) or month of the workspace's zone."""

    points: Cap = Field(title="At most")
    per: Literal["day", "week", "month"] = Field("day", title="Per")


class Decay(Part):
    """Points of an occurrence fade with the days since: evenly to nothing in `days` (linear), or to half of them every `days` (half_life), to
    nothing after ten times that. A day is one of the workspace's zone; points fade at midnight."""

    kind: Literal["linear", "half_life"] = Field("linear", title="Fades")
    days: int = Field(90, ge=1, le=3_650, title="Days")

    @property
    def ends_after(self) -> int:
        """Days after which nothing is left."""
        return self.days if self.kind == "linear" else 10 * self.days


class ScoringRule(Part):
    """Points for what somebody is (`rule`: as long as it holds) or does (`event`: for each time, with properties as in `where`)."""

    id: Id
    name: str = Field("", max_length=120)
    group: Key
    points: Points
    rule: dict[str, Any] | None = None
    event: EventName | None = None
    where: dict[str, Any] | None = None
    most: Cap | None = None
    """All occurrences together count no more, with either sign."""
    most_per: PeriodCap | None = None
    decay: Decay | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> ScoringRule:
        if (self.rule is None) is (self.event is None):
            raise ValueError("A rule gives points either as long as a condition holds, or for an event: choose one of them.")
        if self.event is None and (self.where is not None or self.most is not None or self.most_per is not None or self.decay is not None):
            raise ValueError("Conditions on the event, limits and fading are for points by events.")
        if self.points == 0:
            raise ValueError("Points cannot be 0.")
        return self

    @property
    def stands(self) -> bool:
        """Whether points stand while a rule holds."""
        return self.event is None

    @cached_property
    def asked(self) -> Rule:
        """The rule whose answer gives the points, or the event term whose occurrences do."""
        if self.rule is not None:
            return parse_rule(self.rule)
        return self.term

    @cached_property
    def term(self) -> EventTerm:
        """What is counted."""
        return EventTerm.model_validate({"event": self.event, **({} if self.where is None else {"where": self.where})})


class Notify(Node):
    """Tells the team, together with others who reach the threshold about the same time."""

    kind = "notify_of_score"
    label = "Notify team"
    group = "contact"
    icon = "megaphone"


ACTIONS: Mapping[str, type[Node]] = {one.kind: one for one in (UpdateContact, AssignOwner, CreateTask, StartJourney, Notify)}
"""What a threshold may do: steps of journeys that act at once and on our own tables, with their forms and checks."""


def _action(data: Any) -> Any:
    if isinstance(data, Node):
        return data
    if not isinstance(data, Mapping) or data.get("kind") not in ACTIONS:
        raise ValueError("There is no such action.")
    return ACTIONS[data["kind"]].model_validate({name: value for name, value in data.items() if name != "kind"})


Step = Node
"""A step of a journey that acts at once: what an action is."""
Action = Annotated[SerializeAsAny[Node], BeforeValidator(_action)]


class Threshold(Part):
    """When the score of `group` comes to `at_least`, from below, its actions are done: once for each time."""

    id: Id
    name: str = Field("", max_length=120)
    group: Key
    at_least: float = Field(gt=0, le=1_000_000, allow_inf_nan=False)
    actions: tuple[Action, ...] = Field((), max_length=MAX_ACTIONS)


Bounds = tuple[float, float, float]


class Grading(Part):
    """A letter by one score and a number by another: A at or above the first bound of `letters`, D below the last; 1 to 4 likewise."""

    fit: Key = "fit"
    engagement: Key = "engagement"
    letters: Bounds = (60, 40, 20)
    numbers: Bounds = (60, 40, 20)

    @field_validator("letters", "numbers")
    @classmethod
    def _falling(cls, bounds: Bounds) -> Bounds:
        if not bounds[0] > bounds[1] > bounds[2]:
            raise ValueError("Each bound must be lower than the one before it.")
        return bounds

    def grade(self, fit: float, engagement: float) -> str:
        """`A1` to `D4`; with the usual bounds, 45 and 70 give B1."""
        return "ABCD"[_place(self.letters, fit)] + "1234"[_place(self.numbers, engagement)]


GRADES = tuple(letter + number for letter in "ABCD" for number in "1234")


def _place(bounds: Bounds, value: float) -> int:
    return next((place for place, bound in enumerate(bounds) if value >= bound), len(bounds))


class Definition(Part):
    """All that a model says."""

    rules: tuple[ScoringRule, ...] = Field((), max_length=MAX_RULES)
    thresholds: tuple[Threshold, ...] = Field((), max_length=MAX_THRESHOLDS)
    grading: Grading | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Definition:
        for listed in (self.rules, self.thresholds):
            ids = [one.id for one in listed]
            if len(set(ids)) < len(ids):
                raise ValueError("Each id can appear only once.")
        return self

    def groups(self) -> frozenset[str]:
        """To which its rules give points."""
        return frozenset(one.group for one in self.rules)

    def topics(self) -> frozenset[str]:
        """What can change its points, thresholds and grade besides time."""
        asked = frozenset[str]().union(*(topics(one.asked) for one in self.rules))
        return asked | {f"score:{group}" for group in self.reads()}

    def reads(self) -> frozenset[str]:
        """The groups whose score its thresholds and grade look at."""
        graded = () if self.grading is None else (self.grading.fit, self.grading.engagement)
        return frozenset((*(one.group for one in self.thresholds), *graded))

    def named_groups(self) -> Iterator[tuple[str, str]]:
        """(place, group) wherever it names one."""
        yield from ((f"rules.{n}.group", one.group) for n, one in enumerate(self.rules))
        yield from ((f"thresholds.{n}.group", one.group) for n, one in enumerate(self.thresholds))
        if self.grading is not None:
            yield "grading.fit", self.grading.fit
            yield "grading.engagement", self.grading.engagement

    def as_json(self) -> dict[str, Any]:
        """As it is stored and handed out: actions with their kind."""
        data = self.model_dump(mode="json", by_alias=True, exclude={"thresholds"})
        data["rules"] = [{name: value for name, value in one.items() if value is not None} for one in data["rules"]]
        data["thresholds"] = [
            one.model_dump(mode="json", exclude={"actions"}) | {"actions": [action_json(action) for action in one.actions]}
            for one in self.thresholds
        ]
        return data


def action_json(action: Node) -> dict[str, Any]:
    return {"kind": action.kind, **action.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
