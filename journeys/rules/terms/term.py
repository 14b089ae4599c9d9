"""`Term`: one condition of a rule, and all that the rest of the product asks of it.

A term is one file in this folder: a subclass whose fields are its JSON, its validation and its JSON Schema, and whose methods are its
faces: the closure, what it depends on, the check, the sentence, the widgets of the rule editor. Its SQL is a file of the same name in
`crm/rules/terms/`. Nothing else in the tree knows its name. Pure: no clock and no database; facts and instants are handed in.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from journeys.errors import Issue
from journeys.labels import FieldLabel
from journeys.rules.facts import Facts, Telling
from journeys.rules.questions import Question, never
from journeys.rules.terms.shape import Shape

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.sentence import Speaker

CONFIG = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True, allow_inf_nan=False)
"""Of everything a rule consists of. Unknown keys are passed over here and told by `stray_keys`."""

Find = Callable[[Facts, datetime], Any]
"""(facts, now) -> what is there"""
Flip = Callable[[Facts, datetime], datetime | None]
"""(facts, now) -> the next instant at which time alone may change the answer"""

MAX_SHOWN_TEXT = 200
MAX_SHOWN_LIST = 20


class Term(BaseModel):
    """One condition. Subclasses take their telling key as the name of their first field."""

    model_config = CONFIG

    kind: ClassVar[str]
    """The telling key: an object that has it is such a term. Documents hold it; it never changes."""
    label: ClassVar[str]
    """What the button that adds one is called (a message id of the catalogues)."""
    asks: ClassVar[str]
    """What it asks, for the page about rules."""
    example: ClassVar[Mapping[str, Any]]
    """A sensible one as JSON."""
    fresh: ClassVar[Mapping[str, Any]]
    """What a new one begins as. Nothing is filled in: what is missing is told as a problem."""
    shape: ClassVar[Shape]
    """Its widgets in the rule editor."""
    nested: ClassVar[tuple[str, ...]] = ()
    """Where rules of its own stand: a field, or a field of each one in a list (`sequence.*.where`)."""
    parts: ClassVar[tuple[type[BaseModel], ...]] = ()
    """Models of its own that hold rules."""
    on_event: ClassVar[bool] = False
    """Whether the properties of one event can be asked, too (`where`); other terms are false there."""

    # The closure

    @abstractmethod
    def find(self) -> Find:
        """How what it asks for is read, made once."""

    @abstractmethod
    def test(self) -> Question:
        """Whether what was found fulfils it: (found, now) -> answer. Made once."""

    def question(self) -> Question:
        """(facts, now) -> answer."""
        find, test = self.find(), self.test()
        return lambda facts, as_of: test(find(facts, as_of), as_of)

    def question_on_event(self) -> Question:
        """(one event, now) -> answer."""
        return never

    # Explanations

    def as_json(self) -> dict[str, Any]:
        """Itself without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def shown(self, found: Any) -> Any:
        """What was found as bounded JSON, for timelines."""
        return short(found)

    def found_on_event(self, event: Telling) -> Any:
        """What it looks at in one event."""
        return None

    # What it depends on

    @abstractmethod
    def topics(self) -> Iterable[str]:
        """What can change its answer besides time: `event:<name>`, `field:<first key>`, `tag:<tag>`, `score:<group>`, `consent`, `lead_source`, `segment:<key>`."""

    def needs_run(self) -> bool:
        """Whether it asks about a run, so that it means nothing for a list of contacts."""
        return False

    def flip(self) -> Flip | None:
        """When time alone may change its answer; None: never. The answer may be the same then, but it never changes earlier."""
        return None

    def message_step(self) -> tuple[str, str] | None:
        """(its key, node id) of the step of this journey whose message it asks about."""
        return None

    # What is wrong with it

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        """What its types cannot say; `path` is where it is."""
        yield from ()

    @classmethod
    def contradictions(cls, together: Sequence[tuple[int, Term]]) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
        """(index, text, values) of each of its kind that cannot hold together with those before it; `together` are (index, term)."""
        yield from ()

    @classmethod
    def unfilled(cls, data: Mapping[str, Any]) -> Iterator[tuple[str, FieldLabel]]:
        """(key, what it is called) of what its JSON still lacks although it can be read."""
        yield from ()

    # For people

    @abstractmethod
    def sentence(self, speaker: Speaker) -> str:
        """`opened *Welcome 1* in the last 3 days`: what it says of the contact."""

    @classmethod
    def beginning(cls, last_message: str | None) -> dict[str, Any]:
        """A new one, behind the step that sends `last_message`."""
        return dict(cls.fresh)

    @classmethod
    def ready(cls, last_message: str) -> Mapping[str, Mapping[str, Any]]:
        """Message id with the place {name} for the step's name -> one that asks about its message, ready to be added."""
        return {}


_WHOLE = (bool, int, float)


def short(value: Any) -> Any:
    """Long texts and lists cut; of an object its keys."""
    if value is None or value.__class__ in _WHOLE:
        return value
    if isinstance(value, str):
        return value if len(value) <= MAX_SHOWN_TEXT else value[: MAX_SHOWN_TEXT - 1] + "…"
    if isinstance(value, list | tuple):
        return [short(element) for element in value[:MAX_SHOWN_LIST]]
    if isinstance(value, Mapping):
        return {"keys": [short(key) for key in list(value)[:MAX_SHOWN_LIST]]}
    return value
