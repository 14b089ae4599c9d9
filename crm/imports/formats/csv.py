"""Tables of text with any separator and encoding: kept as they are (`crm.imports.csv_file` reads them)."""

from __future__ import annotations

from collections.abc import Iterator

from crm.imports.csv_file import Opened
from crm.imports.formats.table import Table

_BINARY = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b")
"""How files begin that people take for tables: workbooks, PDFs, pictures, archives."""


class Csv:
    key = "csv"
    endings: tuple[str, ...] = (".csv", ".txt", ".tsv")
    is_text = True

    def refuse(self, start: bytes) -> str | None:
        if not start.strip():
            return "empty"
        strange = sum(start.count(code) for code in (*range(1, 9), *range(14, 27)))
        return "binary" if start.startswith(_BINARY) or strange > len(start) / 20 else None

    def tables(self, source: Opened) -> Iterator[Table]:
        return iter(())
