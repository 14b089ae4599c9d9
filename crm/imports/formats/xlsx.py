"""Workbooks of Excel (.xlsx): every visible sheet with its values, never its formulas.

Read with openpyxl in its read-only mode, row by row. What a hostile file can claim is limited before: sizes of the packed parts, rows, cells; what
is held in memory is limited as it is read (`_Archive`); XML with entities is refused (defusedxml). Dates are days or instants as the workbook counts them, from 1900 or 1904. A number is written in full;
one of sixteen digits and more has lost its last ones in Excel and is written as 1.23E+16, so that no id is made of it
(`digits_lost`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import IO, Any
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
MAX_WHOLE_BYTES = 8_000_000
"""Unpacked, of the parts that are read whole: formats, names of sheets, properties. Each turns into a hundred times as much in memory; Excel
itself stops at 65,490 formats."""
MAX_ROW_BYTES = 16_000_000
"""Unpacked, of a row, and of all that stands before the first and behind the last."""
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
        with source.open("rb") as stream:
            try:
                archive = _Archive(stream)
                _measure(archive)
                book = _load(archive, stream)
            except _BROKEN:
                raise Unusable("workbook") from None
            shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            for sheet in shown[:MAX_SHEETS]:
                yield Table(str(sheet.title)[:120], _rows(sheet, archive))


class _Archive(zipfile.ZipFile):
    """Counts what is held in memory, by how a part is read: what it is called and said to be is up to whoever made the file."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.whole_left, self.pieces_left = MAX_WHOLE_BYTES, MAX_OTHER_BYTES

    def open(self, *args: Any, **options: Any) -> Any:
        return _Part(super().open(*args, **options), self)

    def count(self, *, whole: int = 0, piece: int = 0) -> None:
        """Raises:
        Unusable: that is more than may be held."""
        self.whole_left -= whole
        self.pieces_left -= piece
        if self.whole_left < 0 or self.pieces_left < 0:
            raise Unusable("workbook_large")


class _Part:
    def __init__(self, part: IO[bytes], archive: _Archive) -> None:
        self._part, self._archive = part, archive

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        self._part.close()

    def read(self, size: int = -1) -> bytes:
        if size >= 0:
            found = self._part.read(size)
            self._archive.count(piece=len(found))
            return found
        found = self._part.read(self._archive.whole_left + 1)
        self._archive.count(whole=len(found))
        return found


def _load(archive: _Archive, stream: IO[bytes]) -> Any:
    """The workbook without its rows; links of sheets, one for every address that Excel made one of, are passed over."""
    from openpyxl.reader.excel import ExcelReader  # a quarter of a second, and most processes never see a workbook

    reader = ExcelReader(stream, read_only=True, data_only=True, keep_links=False)
    reader.archive = archive
    reader.valid_files = [name for name in archive.namelist() if not name.endswith(".rels")]
    reader.read()
    return reader.wb


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


def _rows(sheet: Any, archive: _Archive) -> Iterator[Sequence[str]]:
    sheet.reset_dimensions()  # what the file says of its size may be anything
    cells, archive.pieces_left = 0, MAX_ROW_BYTES
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True)):
            cells, archive.pieces_left = cells + len(row), MAX_ROW_BYTES
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
