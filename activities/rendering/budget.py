"""What one rendering may spend: turns of loops, work of filters and comparisons, characters printed. Spent by size, before the work is done.

A rendering that has spent its budget ends with `RenderFailed`. The numbers are counts, not seconds: the same message costs the same
on every machine. What no count can see (native code, a mistake of ours) is ended by `pool`.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from activities.rendering.faults import RenderFailed

MAX_ITERATIONS = 10_000
"""Turns of all loops of one rendering together."""
MAX_WORK = 500_000
"""Units of work of one rendering. One unit: a call, an element of a list, `CHARACTERS` of a text."""
CHARACTERS = 16
MAX_TEXT = 200_000
"""Characters of one text that a filter, an operator or a method answers with."""
MAX_OUTPUT = 1_000_000
"""Characters of one rendered part."""
MAX_PRINTED = 3 * MAX_OUTPUT
"""Characters printed by all parts together, also into blocks that never reach the message."""
MAX_BITS = 128
"""Of a whole number; longer ones make arithmetic slow."""
MAX_NAME = 200
"""Characters of an attribute's path, or of the characters to strip, given to a filter."""

_CONTAINERS = (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)


@dataclass(slots=True)
class State:
    """One rendering: whose language, what is left of the budget, what was linked to."""

    locale: str = "en"
    zone: str = "UTC"
    iterations: int = MAX_ITERATIONS
    work: int = MAX_WORK
    printed: int = MAX_PRINTED
    click: Any = None
    own: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    parameters: Mapping[str, str] = field(default_factory=dict)
    left_alone: frozenset[str] = frozenset()
    links: dict[str, str] = field(default_factory=dict)

    def spend(self, turns: int) -> None:
        """Raises RenderFailed when the loops have no turns left."""
        self.iterations -= turns
        if self.iterations < 0:
            raise RenderFailed("too_long", "loop")

    def toil(self, units: int) -> None:
        """Raises RenderFailed when no work is left."""
        self.work -= units
        if self.work < 0:
            raise RenderFailed("too_long", "work")

    def print(self, characters: int) -> None:
        """Raises RenderFailed when nothing more may be printed."""
        self.printed -= characters
        if self.printed < 0:
            raise RenderFailed("too_long", "output")


state: ContextVar[State] = ContextVar("rendering")


def weigh(value: Any) -> None:
    """Spends for all that is in `value`, as often as it is in it: comparing, hashing or printing a list that holds another one twice
    takes twice as long, so forty lists within one another would never end.

    Raises: RenderFailed.
    """
    toil = state.get().toil
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            toil(1 + len(one) // CHARACTERS)
        elif isinstance(one, Mapping):
            toil(1 + 2 * len(one))
            stack += one.keys()
            stack += one.values()
        elif isinstance(one, _CONTAINERS):
            toil(1 + len(one))
            stack += one
        elif isinstance(one, range):
            toil(1 + len(one))
        elif isinstance(one, int):
            toil(1 + one.bit_length() // CHARACTERS)
        else:
            toil(1)


def charged(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter or test that spends for what it is given and whose answer is bounded. What is read one by one is read first, and counted."""
    passed = hasattr(function, "jinja_pass_arg")  # the first argument is Jinja's own
    free = name in _FREE

    @wraps(function)
    def guarded(*args: Any, **options: Any) -> Any:
        if not free and not options and len(args) == passed + 1 and isinstance(args[-1], str):
            state.get().toil(2 + len(args[-1]) // CHARACTERS)  # what the longer way below comes to for one text: most of all calls
            return bounded(function(*args))
        state.get().toil(1)
        if free:
            return function(*args, **options)
        own, given = args[:passed], [_whole(one) for one in args[passed:]]
        for one in (*given, *options.values()):
            weigh(one)
        _short(name, given, options)
        return bounded(function(*own, *given, **options))

    return guarded


_FREE = frozenset({"default", "d", "first", "last", "length", "count", "defined", "undefined", "none", "_each", "_concat", "_weighed"})
"""They look at one thing only, however much there is, or spend themselves."""
_PATHS: Mapping[str, int] = {
    "groupby": 1, "map": 1, "sum": 1, "join": 2, "min": 2, "max": 2, "unique": 2, "sort": 3, "selectattr": 1, "rejectattr": 1, "trim": 1,
}  # fmt: skip
"""Filter -> which argument names an attribute (or the characters to strip), each step of which is taken for every element."""


def _short(name: str, given: list[Any], options: Mapping[str, Any]) -> None:
    place = _PATHS.get(name, len(given))
    for path in (*given[place : place + 1], options.get("attribute"), options.get("chars")):
        if isinstance(path, str) and len(path) > MAX_NAME:
            raise RenderFailed("too_long", name)


def _whole(value: Any) -> Any:
    return list(counted(value, state.get().toil)) if isinstance(value, Iterator) else value


def counted(items: Iterable[Any], spend: Callable[[int], None]) -> Iterator[Any]:
    """`items`, one unit each."""
    for item in items:
        spend(1)
        yield item


def bounded(value: Any) -> Any:
    """`value`, unless it is a text or a number that is too long to go on with.

    Raises: RenderFailed.
    """
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise RenderFailed("too_long", "text")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise RenderFailed("wrong_value", "number")
    return value
