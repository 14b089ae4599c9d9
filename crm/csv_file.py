"""Reading a CSV file from anywhere: encoding, delimiter and line breaks are found out, memory stays bounded, bad lines are named.

Nothing is known here about contacts, and no cell is ever evaluated.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from crm.payload import clean_text
from journeys.errors import Invalid

MAX_LINE_CHARACTERS = 262_144
MAX_CELL_CHARACTERS = 10_000
MAX_COLUMNS = 500
DELIMITERS = ",;\t|"
_CHUNK_BYTES = 1_048_576
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


Source = Path | bytes
"""Where a file stands: on the disk, or in memory after somebody sent it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What was found out about a file. `digest` is the SHA-256 of its bytes."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Line:
    """One record. `number` is its first line in the file (the header is line 1); `problem` says why `cells` cannot be used."""

    number: int
    cells: tuple[str, ...]
    position: int
    problem: str | None = None


def examine(source: Source) -> Shape:
    """Reads the file once, in pieces, and finds out how it is written.

    Encodings: what the byte order mark says, else UTF-8 if all of it is, else Windows-1252.

    Raises:
        Invalid: no file, no header, or one that cannot be a table's.
    """
    encoding, digest, size = _scan(source)
    with _opened(source, encoding) as stream:
        first = next(_BoundedLines(stream), "")
    delimiter = max(DELIMITERS, key=lambda sign: len(_cells([first], sign)))
    with _opened(source, encoding) as stream:
        header = tuple(clean_text(cell).strip() for cell in _cells(_BoundedLines(stream), delimiter))
    if not any(header):
        raise Invalid("The file has no header: expected the names of the columns in its first line.")
    if len(header) > MAX_COLUMNS:
        raise Invalid("The file has {count} columns; at most {limit} can be read.", count=len(header), limit=MAX_COLUMNS)
    return Shape(encoding, delimiter, header, digest, size)


def records(source: Source, shape: Shape) -> Iterator[Line]:
    """The records after the header, empty ones left out. A line that cannot be read comes with its `problem` and ends nothing.

    Problems: line_too_long, unreadable (an unclosed quote, for example), cell_too_long, too_many_cells, too_few_cells.
    """
    with _opened(source, shape.encoding) as stream:
        lines = _BoundedLines(stream)
        reader = csv.reader(lines, delimiter=shape.delimiter, strict=False)
        next(reader, None)
        while True:
            number = lines.count + 1
            try:
                cells = tuple(next(reader))
            except StopIteration:
                return
            except csv.Error:
                yield Line(number, (), stream.buffer.tell(), "unreadable")
                continue
            problem = "line_too_long" if lines.cut else _problem(cells, len(shape.header))
            lines.cut = False
            if problem or any(cells):
                yield Line(number, cells, stream.buffer.tell(), problem)


class _BoundedLines:
    """Lines of a stream, never more than `MAX_LINE_CHARACTERS` of one in memory; a longer one is cut off and marked."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.count = 0
        self.cut = False

    def __iter__(self) -> _BoundedLines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE_CHARACTERS)
        if not line:
            raise StopIteration
        self.count += 1
        if len(line) >= MAX_LINE_CHARACTERS and not line.endswith(("\n", "\r")):
            self.cut = True
            while (rest := self._stream.readline(MAX_LINE_CHARACTERS)) and not rest.endswith(("\n", "\r")):
                pass
            return "\n"
        return line


def _problem(cells: tuple[str, ...], columns: int) -> str | None:
    if any(len(cell) > MAX_CELL_CHARACTERS for cell in cells):
        return "cell_too_long"
    if len(cells) > columns and any(cells[columns:]):
        return "too_many_cells"
    if len(cells) < columns and any(cells):
        return "too_few_cells"
    return None


def _scan(source: Source) -> tuple[str, str, int]:
    """Encoding, digest and size; one pass over the bytes."""
    digest = hashlib.sha256()
    size = 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, start = True, b""
    try:
        with _binary(source) as raw:
            while chunk := raw.read(_CHUNK_BYTES):
                start = start or chunk[:4]
                digest.update(chunk)
                size += len(chunk)
                is_utf8 = is_utf8 and _decodes(decoder, chunk)
            is_utf8 = is_utf8 and _decodes(decoder, b"", final=True)
    except OSError as error:
        raise Invalid("The file cannot be read: {reason}.", reason=error.strerror) from None
    marked = next((name for bom, name in _BOMS if start.startswith(bom)), None)
    return marked or ("utf-8" if is_utf8 else "cp1252"), digest.hexdigest(), size


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _opened(source: Source, encoding: str) -> TextIO:
    """What cannot be decoded becomes a replacement character: Windows-1252 leaves five bytes undefined, and a damaged file must
    end in bad rows, not in an exception."""
    return io.TextIOWrapper(_binary(source), encoding=encoding, errors="replace", newline="")


def _binary(source: Source) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _cells(lines: Iterable[str], delimiter: str) -> list[str]:
    """The first record of `lines`."""
    try:
        return next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error:
        return []
