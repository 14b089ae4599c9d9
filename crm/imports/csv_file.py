"""Reading a table of text from anywhere: how it is written is found out or told, memory stays bounded, bad lines are named.

Nothing is known here about contacts, and no cell is ever evaluated. What a table is written in (`Dialect`) is found by `examine`,
whose answers can be overruled one by one.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TextIO

from journeys.errors import Invalid
from storage.json_values import clean_text

MAX_LINE_CHARACTERS = 1_572_864
MAX_CELL_CHARACTERS = 10_000
MAX_COLUMNS = 500
MAX_FOOTER = 50
"""Records at the end that can be left out."""
SEPARATORS = ",;\t|"
ENCODINGS = (
    "utf-8", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "iso8859-15", "cp1250", "cp1251", "cp1253", "cp1254", "cp850", "mac_roman",
)  # fmt: skip
"""A closed list: Python knows codecs that are no encodings of files."""
_CHUNK_BYTES = 1_048_576
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
SHOWN = 20
"""Rows at the beginning whose cells are kept whole for a person to look at; of the others of a sample the first characters do."""
CLIPPED = 200
_HEAD = 60
"""Records from which separator and header are guessed."""
LINE_BREAK = "\u2028"
"""Stands for a line break within a cell of a table that was written out of another format: there a row is a line, and lines count as in the original."""
BROKEN = "\x00unreadable\x00"
"""A line that stands for a row which could not be read where the table was written out of another format (`crm.imports.formats`)."""
csv.field_size_limit(MAX_LINE_CHARACTERS)


class Opened(Protocol):
    """A file that can be read from its beginning as often as needed."""

    def open(self, mode: Literal["rb"]) -> BinaryIO: ...


Source = Path | bytes | Opened
"""Where a file stands: on the disk, in memory, or in pieces somewhere else."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written. `header_line` is the line (from 1) with the names of the columns, 0 when there is none; so many records
    at the end (`footer_rows`) are no rows. None: to be found out."""

    encoding: str | None = None
    separator: str | None = None
    header_line: int | None = None
    footer_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as it is read. `header` holds each name once: a second column of a name is called `Name (2)`, an unnamed column has
    no name, and without a header columns are called A, B, C. `digest` is the SHA-256 of the bytes."""

    encoding: str
    separator: str
    header: tuple[str, ...]
    header_line: int
    footer_rows: int
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Line:
    """One record. `number` is its first line in the file; `problem` says why `cells` cannot be used."""

    number: int
    cells: tuple[str, ...]
    position: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What one reading of the whole table showed. `sample`: some rows from its beginning, its middle and its end; `left_out`: what
    stands before the header and after the last row."""

    shape: Shape
    rows: int
    sample: tuple[Line, ...]
    left_out: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Bytes:
    """What a file is, whatever is written in it."""

    encoding: str
    digest: str
    size: int


def scan(source: Source) -> Bytes:
    """Encoding, digest and size; one pass, in pieces. What the byte order mark says, else UTF-16 if every second byte is zero, else
    UTF-8 if all of it is, else Windows-1252.

    Raises:
        Invalid: there is no such file.
    """
    digest, size, start = hashlib.sha256(), 0, b""
    decoder, is_utf8 = codecs.getincrementaldecoder("utf-8")(), True
    try:
        with _binary(source) as raw:
            while chunk := raw.read(_CHUNK_BYTES):
                start = start or chunk[:4_000]
                digest.update(chunk)
                size += len(chunk)
                is_utf8 = is_utf8 and _decodes(decoder, chunk)
    except OSError as error:
        raise Invalid("The file cannot be read: {reason}.", reason=error.strerror) from None
    is_utf8 = is_utf8 and _decodes(decoder, b"", final=True)
    marked = next((name for bom, name in _BOMS if start.startswith(bom)), None) or _wide(start)
    return Bytes(marked or ("utf-8" if is_utf8 else "cp1252"), digest.hexdigest(), size)


def examine(source: Source, chosen: Dialect | None = None, known: Bytes | None = None, names: Sequence[str] = ()) -> Survey:
    """Reads the table once, in pieces, and finds out what `chosen` does not say. `known`: what `scan` found; `names`: of the columns, where no
    line has them.

    Raises:
        Invalid: no file, no header, or one that cannot be a table's.
    """
    chosen, known = chosen or Dialect(), known or scan(source)
    encoding = chosen.encoding or known.encoding
    if encoding not in ENCODINGS:
        raise Invalid("Expected an encoding out of {encodings}.", encodings=list(ENCODINGS))
    separator = chosen.separator or _separator(source, encoding)
    if len(separator) != 1 or separator not in SEPARATORS:
        raise Invalid("Expected a separator out of comma, semicolon, tab and |.")
    first = (line for line in islice(_split(source, encoding, separator), 1_000) if any(line.cells))
    head = [_clipped(line) for line in islice(first, _HEAD)]
    header_line = 0 if names else _header_line(head) if chosen.header_line is None else chosen.header_line
    header = tuple(_apart(names)) if names else _header(source, encoding, separator, header_line, head)
    shape = Shape(encoding, separator, header, header_line, 0, known.digest, known.size)
    return _survey(source, shape, chosen.footer_rows, [line for line in head if line.number < header_line])


def records(source: Source, shape: Shape) -> Iterator[Line]:
    """The rows of a table: no empty ones, short ones filled up. A line that cannot be read comes with its `problem` and ends nothing.

    Problems: line_too_long, unreadable (a quotation mark that is never closed), too_many_cells.
    """
    held: deque[Line] = deque()
    for line in _body(source, shape):
        if not line.problem and not any(line.cells):
            continue
        held.append(line)
        if len(held) > shape.footer_rows:
            yield _fitted(held.popleft(), len(shape.header))


def _body(source: Source, shape: Shape) -> Iterator[Line]:
    """What follows the header, empty lines too."""
    lines = _split(source, shape.encoding, shape.separator)
    for line in lines:
        if line.number > shape.header_line and not _names_separator(line):
            yield line


def _fitted(line: Line, columns: int) -> Line:
    cells = line.cells
    if line.problem or len(cells) == columns:
        return line
    if len(cells) < columns:
        return Line(line.number, cells + ("",) * (columns - len(cells)), line.position)
    problem = "too_many_cells" if any(cell.strip() for cell in cells[columns:]) else None
    return Line(line.number, cells if problem else cells[:columns], line.position, problem)


# Splitting


def _split(source: Source, encoding: str, separator: str) -> Iterator[Line]:
    """Every record of the file, empty ones too."""
    with _opened(source, encoding) as stream:
        lines = _Lines(stream)
        for text in lines:
            number = lines.number
            if text is None:
                yield Line(number, (), stream.buffer.tell(), "line_too_long")
            elif text.startswith(BROKEN):
                yield Line(number, (), stream.buffer.tell(), "unreadable")
            elif '"' not in text:
                yield Line(number, tuple(text.rstrip("\r\n").split(separator)), stream.buffer.tell())
            else:
                cells = _quoted(text, lines, separator)
                yield Line(number, cells or (), stream.buffer.tell(), None if cells else "unreadable")


def _quoted(text: str, lines: _Lines, separator: str) -> tuple[str, ...] | None:
    """The cells of a record that has quotation marks and may go on over several lines; None if one of them is never closed.

    A record of several lines must be quoted without fault: else one stray mark would swallow the rows up to the next one. Of a
    single line is taken what can be taken (`5" pipe`).
    """
    more = _More(text, lines)
    try:
        return tuple(next(csv.reader(more, delimiter=separator, strict=True)))
    except csv.Error:
        lines.give_back(more.taken)
    if more.taken:
        return None
    try:
        return tuple(next(csv.reader(_alone(text), delimiter=separator)))
    except csv.Error:
        return None


def _alone(text: str) -> Iterator[str]:
    yield text
    raise csv.Error("unexpected end of data")


class _More:
    """A line and, as long as they are wanted, those after it."""

    def __init__(self, first: str, lines: _Lines) -> None:
        self._first: str | None = first
        self._lines = lines
        self._room = MAX_LINE_CHARACTERS - len(first)
        self.taken: list[str | None] = []

    def __iter__(self) -> _More:
        return self

    def __next__(self) -> str:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            text = next(self._lines)
        except StopIteration:
            raise csv.Error("unexpected end of data") from None
        self.taken.append(text)
        if text is None:
            raise csv.Error("the record is too long")
        self._room -= len(text)
        if self._room < 0:
            raise csv.Error("the record is too long")
        return text


class _Lines:
    """Lines of a stream, never more than `MAX_LINE_CHARACTERS` of one in memory; None stands for a longer one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._back: deque[str | None] = deque()
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str | None:
        if self._back:
            self.number += 1
            return self._back.popleft()
        line = self._stream.readline(MAX_LINE_CHARACTERS)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) < MAX_LINE_CHARACTERS or line.endswith(("\n", "\r")):
            return line
        while (rest := self._stream.readline(MAX_LINE_CHARACTERS)) and not rest.endswith(("\n", "\r")):
            pass
        return None

    def give_back(self, taken: Sequence[str | None]) -> None:
        """These lines were not needed after all."""
        self._back.extendleft(reversed(taken))
        self.number -= len(taken)


def text_lines(source: Source, encoding: str) -> Iterator[str | None]:
    """The lines of a file of text, whatever is in them; None stands for one that is too long."""
    with _opened(source, encoding) as stream:
        yield from _Lines(stream)


# Finding out


def _separator(source: Source, encoding: str) -> str:
    """The sign that cuts most of the first lines into most cells; a line `sep=;` (Excel) says it."""
    with _opened(source, encoding) as stream:
        first = [line[:5_000] for line in islice((line for line in islice(_Lines(stream), 200) if line and line.strip()), _HEAD)]
    if first and (said := _SAID.fullmatch(first[0].rstrip("\r\n"))):
        return said[1]
    return max(SEPARATORS, key=lambda sign: _cut(first, sign))


_SAID = re.compile(r"sep=([,;\t|])", re.IGNORECASE)


def _names_separator(line: Line) -> bool:
    return line.number == 1 and "".join(line.cells).strip().lower() == "sep=" and len(line.cells) == 2


def _cut(lines: Sequence[str], sign: str) -> float:
    """Share of the lines that have the usual number of cells, times that number; 0 where nothing is cut."""
    widths = Counter(len(_cells(line, sign)) for line in lines)
    widths.pop(1, None)
    if not widths:
        return 0.0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    return count / len(lines) * width


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(iter((line,)), delimiter=separator), [])
    except csv.Error:
        return []


_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_FIGURES = re.compile(r"[\s\d.,:/+-]+")


def _header_line(head: Sequence[Line]) -> int:
    """The first line with seven tenths of the filled cells that the fullest lines have, what stands above it is a preamble; 0 if that
    line already holds an address or nothing but figures."""
    rows = [line for line in head if not line.problem and not _names_separator(line)]
    widths = Counter(map(_filled, rows))
    if not widths:
        return 0
    fullest = max((width for width, count in widths.items() if count > 1), default=max(widths))  # a single line may have too many
    first = next(line for line in rows if _filled(line) >= 0.7 * fullest)
    cells = [cell.strip() for cell in first.cells if cell.strip()]
    is_data = any(_ADDRESS.fullmatch(cell) for cell in cells) or all(_FIGURES.fullmatch(cell) for cell in cells)
    return 0 if is_data else first.number


def _filled(line: Line) -> int:
    return sum(1 for cell in line.cells if cell.strip())


def _header(source: Source, encoding: str, separator: str, line: int, head: Sequence[Line]) -> tuple[str, ...]:
    if line == 0:
        widest = max((len(row.cells) for row in head if not row.problem), default=0)
        names = [_letters(number) for number in range(widest)]
    else:
        found = next((row for row in _split(source, encoding, separator) if row.number >= line), None)
        names = [clean_text(cell).strip()[:200] for cell in found.cells] if found and found.number == line else []
        while names and not names[-1]:
            names.pop()
    if not names:
        raise Invalid("The file has no header: expected the names of the columns in one line.")
    if len(names) > MAX_COLUMNS:
        raise Invalid("The file has {count} columns; at most {limit} can be read.", count=len(names), limit=MAX_COLUMNS)
    return tuple(_apart(names))


def _apart(names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        number, told = 2, name
        while told and told in seen:
            told, number = f"{name} ({number})", number + 1
        seen.add(told)
        yield told


def _letters(number: int) -> str:
    """As spreadsheets count columns: 0 -> A, 25 -> Z, 26 -> AA."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


@dataclass(slots=True)
class _Thinned:
    """At most `most` of many lines, evenly over all of them, whatever their number: each time it is full every second goes."""

    most: int
    kept: list[Line] = field(default_factory=list)
    _step: int = 1
    _seen: int = 0

    def add(self, line: Line) -> None:
        if self._seen % self._step == 0:
            self.kept.append(line)
            if len(self.kept) >= self.most:
                del self.kept[1::2]
                self._step *= 2
        self._seen += 1


def _survey(source: Source, shape: Shape, footer_rows: int | None, before: Sequence[Line]) -> Survey:
    head: list[Line] = []
    middle, tail = _Thinned(400), deque[Line](maxlen=2 * MAX_FOOTER)
    rows = 0
    for line in _body(source, shape):
        tail.append(_clipped(line))
        if not line.problem and not any(line.cells):
            continue
        rows += 1
        if len(head) < 200:
            head.append(_clipped(line, MAX_CELL_CHARACTERS + 1 if rows <= SHOWN else CLIPPED))
        else:
            middle.add(tail[-1])
    footer = _footer(tail, len(shape.header)) if footer_rows is None else min(footer_rows, MAX_FOOTER, rows)
    after = [line for line in tail if line.problem or any(line.cells)][-footer:] if footer else []
    shape = Shape(shape.encoding, shape.separator, shape.header, shape.header_line, footer, shape.digest, shape.bytes)
    out = {line.number for line in after}
    ends = [line for line in tail if any(line.cells) and line.number not in out]
    sample = {line.number: _fitted(line, len(shape.header)) for line in (*head, *middle.kept, *ends) if line.number not in out}
    return Survey(shape, rows - footer, tuple(sample[number] for number in sorted(sample)), (*before, *after))


def _clipped(line: Line, limit: int = CLIPPED) -> Line:
    """The line without the length of its cells: what is only looked at needs no memory for a cell of a megabyte."""
    if all(len(cell) <= limit for cell in line.cells):
        return line
    return Line(line.number, tuple(cell[:limit] for cell in line.cells), line.position, line.problem)


_FOOTER = re.compile(
    r"confidential|copyright|©|vertraulich|\b(grand )?totals?\b|\b(gesamt)?summen?\b|\bgesamt\b|generated|erstellt|exported|exportiert"
    r"|\b(records|rows|zeilen|datensätze|einträge)\b|\bfilter|all rights reserved",
    re.IGNORECASE,
)
_TOTAL = re.compile(r"(grand )?totals?|summen?|gesamt(summe)?|sum", re.IGNORECASE)


def _footer(tail: Sequence[Line], columns: int) -> int:
    """How many records at the end are a report's footer: sums, or single cells of prose that an empty line or their words give away."""
    if columns < 2:
        return 0
    block: list[Line] = []
    gap = False
    for line in reversed(tail):
        if not line.problem and not any(cell.strip() for cell in line.cells):
            gap = gap or bool(block)
            continue
        if len(block) >= MAX_FOOTER or not _is_aside(line):
            break
        block.append(line)
        gap = False
    told = any(_FOOTER.search(cell) for line in block for cell in line.cells)
    return len(block) if told or gap else 0


def _is_aside(line: Line) -> bool:
    filled = [cell.strip() for cell in line.cells if cell.strip()]
    if line.problem or any("@" in cell for cell in filled):
        return False
    if _TOTAL.fullmatch(filled[0].rstrip(":").split("(")[0].strip()):
        return True
    return len(filled) == 1 and (" " in filled[0] or bool(re.fullmatch(r"[-=_*]{3,}", filled[0])))


# Bytes


def _wide(start: bytes) -> str | None:
    """UTF-16 without a byte order mark: of text in Latin letters nearly every second byte is zero."""
    pairs = len(start) // 2
    if pairs < 4:
        return None
    even, odd = start[0 : 2 * pairs : 2].count(0), start[1 : 2 * pairs : 2].count(0)
    if odd > 0.7 * pairs and even < 0.1 * pairs:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 * pairs and odd < 0.1 * pairs else None


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _opened(source: Source, encoding: str) -> TextIO:
    """What cannot be decoded becomes a replacement character: Windows-1252 leaves five bytes undefined, and a damaged file must
    end in bad rows, not in an exception."""
    raw = _binary(source)
    start = raw.read(4)
    bom = next((bom for bom, _ in _BOMS if start.startswith(bom)), b"")
    plain = {"utf-16": "utf-16-be" if bom == codecs.BOM_UTF16_BE else "utf-16-le"}.get(encoding, encoding)
    raw.seek(len(bom))
    return io.TextIOWrapper(raw, encoding=plain, errors="replace", newline="")


def _binary(source: Source) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
