"""Tables for people who open them in a spreadsheet: CSV lines that no program takes for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

START = "\ufeff"
"""The byte order mark: without it Excel reads UTF-8 as Windows-1252."""
_SIGNS = "=+@\uff1d\uff0b\uff20\uff0d-"
"""What begins a formula, also in the wide letters of East Asian spreadsheets."""
_FORMULA = re.compile(rf"[\t\r\n]|\s*[{_SIGNS}]")
_CUT = r"[;,|\t\r\n]"
_INSIDE = re.compile(rf"({_CUT}(?:['\"]*|[\s'\"]*(?=[=\uff1d])))([{_SIGNS}])")
"""A spreadsheet whose separator is another (German Excel: `;`) cuts a cell there, and what follows begins a cell of its own. Behind a blank only
"=" counts: "Street 1, +41 44 …" is how people write."""
_MARKED_INSIDE = re.compile(rf"({_CUT}(?:['\"]*|[\s'\"]*(?='[=\uff1d])))'([{_SIGNS}])")


def line_of(cells: Iterable[Any]) -> str:
    """One line. Source: RFC 4180; quoting as there, lines end in CR LF."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([cell_of(cell) for cell in cells])
    return out.getvalue()


def cell_of(value: Any) -> str:
    """A value as text. Dates are ISO 8601 in UTC; text that a spreadsheet would calculate gets an apostrophe before it, also in
    the middle of a cell after what may be a separator; numbers of ours do not.

    Source: OWASP, CSV injection.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    text = _INSIDE.sub(r"\1'\2", str(value))
    return f"'{text}" if _FORMULA.match(text) else text


def plain_of(text: str) -> str:
    """The text that `cell_of` wrote: a table that came from here can be read again."""
    plain = text[1:] if text.startswith("'") and _FORMULA.match(text, 1) else text
    return _MARKED_INSIDE.sub(r"\1\2", plain)
