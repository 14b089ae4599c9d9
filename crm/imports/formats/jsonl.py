"""One JSON object a line (JSON Lines, NDJSON): its keys are the columns, in the order in which they first come up.

Objects within objects become columns with a point (`address.city`), lists of plain values one cell with commas. A line that is no object is
a row that cannot be read; it ends nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crm.imports.csv_file import MAX_COLUMNS, Opened, scan, text_lines
from crm.imports.formats.table import Table, Unusable
from journeys.errors import Invalid
from storage.json_values import clean_text

MAX_DEPTH = 5
"""Objects further within stay JSON text in one cell."""


class Jsonl:
    key = "jsonl"
    endings: tuple[str, ...] = (".jsonl", ".ndjson")
    is_text = False

    def refuse(self, start: bytes) -> str | None:
        if not start.strip():
            return "empty"
        return None if b"{" in start else "json"

    def tables(self, source: Opened) -> Iterator[Table]:
        encoding = scan(source).encoding
        names: dict[str, None] = {}
        for line in text_lines(source, encoding):
            names |= dict.fromkeys(_flat(line) or ())
            if len(names) > MAX_COLUMNS:
                raise Invalid("The file has {count} columns; at most {limit} can be read.", count=len(names), limit=MAX_COLUMNS)
        if not names:
            raise Unusable("json")
        yield Table("", _rows(source, encoding, tuple(names)), tuple(names))


def _rows(source: Opened, encoding: str, names: Sequence[str]) -> Iterator[Sequence[str] | None]:
    for line in text_lines(source, encoding):
        if line is not None and not line.strip():
            yield ()
            continue
        found = _flat(line)
        yield None if found is None else [found.get(name, "") for name in names]


def _flat(line: str | None) -> dict[str, str] | None:
    """Column -> cell; None if the line is no object."""
    if line is None:
        return None
    try:
        value = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, Mapping):
        return None
    found: dict[str, str] = {}
    _gather(value, "", 1, found)
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")  # source: RFC 8259, section 6


def _gather(value: Mapping[str, Any], before: str, depth: int, found: dict[str, str]) -> None:
    for key, one in value.items():
        name = (before + clean_text(key).strip())[:200]
        if isinstance(one, Mapping) and one and depth < MAX_DEPTH:
            _gather(one, f"{name}.", depth + 1, found)
        elif name:
            found[name] = _cell(one)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return repr(value)
        case list() if not any(isinstance(one, list | dict) for one in value):
            return ", ".join(_quoted(_cell(one)) for one in value)
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    """As `crm.imports.cells.tags` reads lists."""
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',;|"') else text
