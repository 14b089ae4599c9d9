"""Workbooks of Excel (.xlsx): every visible sheet with its values, never its formulas.

Read with openpyxl in its read-only mode, row by row. What a hostile file can claim is limited before: sizes of the packed parts, rows, cells; XML
with entities is refused (defusedxml). Dates are days or instants as the workbook counts them, from 1900 or 1904. A number is written in full;
one of sixteen digits and more has lost its last ones in Excel and is written as 1.23E+16, so that no id is made of it
(`digits_lost`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from xml.etree.ElementTree import ParseError

from crm.imports.csv_file import MAX_COLUMNS, Opened
from crm.imports.formats.table import Table, Unusable

MAX_ROWS = 1_048_576
"""As many as a sheet of Excel has."""
MAX_CELLS = 5_000_000
"""Of a sheet: half a million rows of ten columns take about a minute."""
MAX_PARTS = 5_000
MAX_SHEETS = 50
MAX_SHEET_BYTES = 1_500_000_000
"""Unpacked XML of all sheets; it is read as a stream."""
MAX_OTHER_BYTES = 150_000_000
"""Unpacked, of all other parts; texts of cells, which are held in memory, among them."""
_OLD = b"\xd0\xcf\x11\xe0"
"""How the binary format of before 2007 begins, and any encrypted workbook."""
_BROKEN = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, NotImplementedError, OSError, ParseError, RecursionError, RuntimeError,
    TypeError, ValueError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What openpyxl raises at workbooks that are none; refused entities and too deep XML among them."""


class Xlsx:
    key = "xlsx"
    endings: tuple[str, ...] = (".xlsx", ".xlsm")
    is_text = False

    def refuse(self, start: bytes) -> str | None:
        if start.startswith(b"PK\x03\x04"):
            return None
        return "old_workbook" if start.startswith(_OLD) else "workbook" if start else "empty"

    def tables(self, source: Opened) -> Iterator[Table]:
        from openpyxl import load_workbook  # a quarter of a second, and most processes never see a workbook

        with source.open("rb") as stream:
            try:
                _measure(zipfile.ZipFile(stream))
                stream.seek(0)
                book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            except _BROKEN:
                raise Unusable("workbook") from None
            shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            for sheet in shown[:MAX_SHEETS]:
                yield Table(str(sheet.title)[:120], _rows(sheet))


def _measure(archive: zipfile.ZipFile) -> None:
    """`zipfile` reads no more of a part than it claims to hold, so the claims can be added up.

    Raises:
        Unusable: it would not fit.
    """
    parts = archive.infolist()
    sheets = sum(part.file_size for part in parts if "/worksheets/" in f"/{part.filename}")
    others = sum(part.file_size for part in parts) - sheets
    if len(parts) > MAX_PARTS or sheets > MAX_SHEET_BYTES or others > MAX_OTHER_BYTES:
        raise Unusable("workbook_large")


def _rows(sheet: Any) -> Iterator[Sequence[str]]:
    sheet.reset_dimensions()  # what the file says of its size may be anything
    cells = 0
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True)):
            cells += len(row)
            if number >= MAX_ROWS or cells > MAX_CELLS:
                raise Unusable("workbook_large")
            yield [_cell(value) for value in row[: MAX_COLUMNS + 1]]
    except _BROKEN:
        raise Unusable("workbook") from None


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return "" if value in _ERRORS else value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if abs(value) < 10**15 else f"{value:.14E}"
        case float():
            return _number(value)
        case datetime():
            moment = value.replace(microsecond=0) if value.microsecond < 500_000 else value.replace(microsecond=0) + timedelta(seconds=1)
            return moment.date().isoformat() if moment.time() == time() else moment.isoformat(" ")
        case date() | time():
            return value.isoformat()
    return str(value)


_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"})
"""What a formula that failed left behind: nothing."""


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return ""
    if value.is_integer():
        return _cell(int(value))
    return repr(value) if 1e-4 <= abs(value) < 1e15 else f"{value:.14E}"
