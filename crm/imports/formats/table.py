"""What a format hands out, and how a table is written out of it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crm.imports.csv_file import BROKEN, LINE_BREAK, Opened
from storage.json_values import clean_text

ENCODING, SEPARATOR = "utf-8", ","
"""What is written out here is written in this."""

UNUSABLE: Mapping[str, str] = {
    "workbook": "This workbook cannot be read. Save it as .xlsx or as CSV, without a password.",
    "workbook_large": "This workbook is too large: at most 5,000,000 cells. Save the sheet as CSV.",
    "json": "No line of this file is a JSON object. Expected one object per line.",
    "old_workbook": "This is an old Excel file, or one with a password. Save it as .xlsx without a password, or as CSV.",
}
"""Why a file is refused: code -> sentence."""


class Unusable(Exception):
    """The file cannot be read: `problem` is a code."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one sheet in their order, empty ones too; None stands for one that cannot be read. `names`: of the columns, if no row has them."""

    title: str
    rows: Iterator[Sequence[str] | None]
    names: tuple[str, ...] = ()


class Format(Protocol):
    """`endings` of names of files, with their point. `is_text`: the file is a table already and is kept as it is."""

    key: str
    endings: tuple[str, ...]
    is_text: bool

    def refuse(self, start: bytes) -> str | None:
        """A code if no file of this format begins so."""

    def tables(self, source: Opened) -> Iterator[Table]:
        """Every sheet; the rows of one are read before the next is asked for.

        Raises:
            Unusable, also while rows are read.
        """


def lines_of(table: Table) -> Iterator[str]:
    """The rows of a table as lines of CSV; empty ones after the last filled one are left out. Raises: as the rows."""
    empty = 0
    for row in table.rows:
        if row is None:
            yield "\n" * empty + BROKEN + "\n"
            empty = 0
            continue
        filled = _trimmed(row)
        if not filled:
            empty += 1
            continue
        yield "\n" * empty + _line(filled)
        empty = 0


def _trimmed(row: Sequence[str]) -> Sequence[str]:
    end = len(row)
    while end and not row[end - 1]:
        end -= 1
    return row[:end]


class _Line:
    """What a `csv.writer` writes to: it hands the line back."""

    def write(self, text: str) -> str:
        return text


_write = csv.writer(_Line(), delimiter=SEPARATOR, lineterminator="\n").writerow


def _line(row: Iterable[str]) -> str:
    line: str = _write([_one_line(cell) for cell in row])
    return line


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", LINE_BREAK)
    return clean_text(text)
