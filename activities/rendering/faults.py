"""What can be wrong with a template: faults with a place while it is saved, one exception while it is rendered.

No sentence here repeats a contact's data: a fault speaks about the author's text, `RenderFailed` carries a code and names.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from journeys.errors import Issue


class Fault(Exception):
    """One mistake at `offset` (characters) of the text being read; `text` is the English sentence with placeholders."""

    def __init__(self, offset: int, code: str, text: str, **values: Any) -> None:
        super().__init__(code)
        self.offset = offset
        self.code = code
        self.text = text
        self.values = values


class Remark(Fault):
    """Something that was put right or has no effect: told as a warning, in nobody's way."""


class RenderFailed(Exception):
    """A template cannot be rendered for this contact; `code` is stable, `name` is what the template asked for.

    Codes: missing_value, wrong_value, unsafe_link, too_long (a budget or the time is used up), too_large (memory), no_variant,
    empty_value (of an approved template), template_error.
    """

    def __init__(self, code: str, name: str = "") -> None:
        super().__init__(f"{code}: {name}" if name else code)
        self.code = code
        self.name = name


class Lines:
    """Turns a character offset of a text into line and column, both from 1."""

    def __init__(self, text: str) -> None:
        self._starts = [0] + [i + 1 for i, character in enumerate(text) if character == "\n"]

    def place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def start(self, line: int) -> int:
        """Offset at which `line` begins; a line past the end counts as the last."""
        return self._starts[min(line, len(self._starts)) - 1]


def issue(fault: Fault, lines: Lines, field: str) -> Issue:
    """The fault as an author reads it: the sentence, then line and column."""
    severity: Any = "warning" if isinstance(fault, Remark) else "error"
    line, column = lines.place(fault.offset)
    values = {**fault.values, "line": line, "column": column}
    text = fault.text + " (line {line}, column {column})"
    return Issue(code=fault.code, text=text, values=values, field=field, severity=severity)
