"""The values of an approved template: one a line, each Jinja of its own, and the wording in which {{1}}, {{2}} … stand for them.

A value is one line that is not empty, since providers refuse the whole message over one that is not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from activities.rendering import jinja
from activities.rendering.faults import Fault, Lines
from activities.rendering.tokens import Swapped, swap
from journeys.channels import Approved
from journeys.contact_rules import Askable

MOST_VALUES = 50
_NUMBER = re.compile(r"[1-9][0-9]?")
_PLACE = re.compile(r"\{\{\s*([1-9][0-9]?)\s*\}\}")


def lines_of(values: str) -> list[str]:
    """The values as written, in order; line breaks at the end make no further one."""
    return [line.strip() for line in values.rstrip().split("\n")] if values.strip() else []


def values_faults(text: str, pools: Collection[str] | None = None, askable: Askable | None = None) -> Iterator[Fault]:
    """What is wrong with the values: each line must be whole by itself. `pools`, `askable`: as `jinja.faults`."""
    given, starts = lines_of(text), Lines(text)
    if len(given) > MOST_VALUES:
        yield Fault(0, "too_many", "Expected at most {limit} values.", limit=MOST_VALUES)
        return
    for number, line in enumerate(given, 1):
        at = starts.start(number)
        if not line:
            yield Fault(
                at, "empty_value", "Value {number} is empty; an approved template needs a text for every placeholder.", number=number
            )
        else:
            yield from _line_faults(line, at, pools, askable)


def _line_faults(line: str, at: int, pools: Collection[str] | None, askable: Askable | None) -> Iterator[Fault]:
    try:
        swapped = swap(line)
    except Fault as fault:
        fault.offset = at
        yield fault
        return
    for found in jinja.faults(swapped, line, Lines(line), pools, askable):
        found.offset = at
        yield found


def numbered_faults(swapped: Swapped, count: int) -> Iterator[Fault]:
    """What is wrong with the wording: it has no Jinja but numbers, and as many of them as there are values."""
    used: set[int] = set()
    for token in swapped.tokens.values():
        if token.kind != "expression" or not _NUMBER.fullmatch(token.inner):
            text = "Here only {{{{1}}}}, {{{{2}}}} … may stand, as in the approved wording; write what they stand for into the values."
            yield Fault(token.offset, "numbered", text)
        elif int(token.inner) > count:
            text = "There is no value {number}: the values have {count} lines."
            yield Fault(token.offset, "no_such_value", text, number=int(token.inner), count=count)
        else:
            used.add(int(token.inner))
    if unused := sorted(set(range(1, count + 1)) - used):
        text = "Value {number} has no placeholder in the approved wording."
        yield Fault(0, "unused_value", text, number=unused[0])


def as_filled(parts: Mapping[str, str], approved: Approved) -> dict[str, str]:
    """Wording and values as Jinja: each value made one line, or the message refused if it is empty."""
    values = [
        f"{{% filter one_value({number}) %}}{line}{{% endfilter %}}" for number, line in enumerate(lines_of(parts[approved.values]), 1)
    ]
    wording = _PLACE.sub(lambda match: _value(values, match), parts[approved.wording])
    return {approved.values: "\n".join(values), approved.wording: wording}


def _value(values: list[str], match: re.Match[str]) -> str:
    """What stands for a placeholder; one without a value, which is a fault, stays as it is."""
    number = int(match[1])
    return values[number - 1] if number <= len(values) else match[0]
