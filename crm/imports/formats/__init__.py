"""What a file of rows may be: one file here each. Adding a format is a class with a name, endings and a reader, and its name in `FORMATS`.

A table of text (`csv`) stays as it was sent. Anything else is written out as such a table when it arrives, a sheet each: what is kept is text, so that
an erasure finds whom it looks for, reading goes on after a crash at any row, and nothing behind this folder knows formats. The original is
deleted at once.
"""

from __future__ import annotations

from crm.imports.formats.csv import Csv
from crm.imports.formats.jsonl import Jsonl
from crm.imports.formats.table import Format
from crm.imports.formats.xlsx import Xlsx

FORMATS: tuple[Format, ...] = (Csv(), Xlsx(), Jsonl())


def find(file_name: str) -> Format | None:
    """By the ending of the name; None if nothing reads such files."""
    name = file_name.lower()
    return next((one for one in FORMATS if name.endswith(one.endings)), None)


def endings() -> tuple[str, ...]:
    """Of all files that can be read."""
    return tuple(ending for one in FORMATS for ending in one.endings)


def is_text(file_name: str) -> bool:
    """Whether such a file is kept as it was sent, so that it can be searched."""
    found = find(file_name)
    return found is None or found.is_text
