"""What a subject of imports has to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from crm.imports.columns import ReadColumns
from crm.imports.csv_file import Line
from crm.imports.imports import ImportReport, Options, RowError
from crm.imports.reading import Reading


class RowWriter(Protocol):
    """Reads the rows of one file and writes them inside transactions of its caller."""

    @property
    def options(self) -> Options: ...

    def read(self, line: Line, now: datetime) -> Any | RowError:
        """What a line says, or why it says nothing usable; asks no database."""

    def write(self, session: Session, rows: Sequence[tuple[Line, Any]], now: datetime, report: ImportReport) -> None:
        """Writes what can be written and counts it in `report`."""


class Subject(Protocol):
    """`key` is the file's name. `label` and `help` are message ids of the catalogues. `target_names`: target -> message id, of the targets that are
    this subject's own, without contacts' names. `needs_list`: rows go onto a list kept by hand; `may_make`: whether rows about nobody known make
    contacts is a choice."""

    key: str
    label: str
    help: str
    target_names: Mapping[str, str]
    needs_list: bool
    may_make: bool

    def guess(
        self, header: Sequence[str], samples: Mapping[str, Sequence[str]], types: Mapping[str, str], given: Mapping[str, str]
    ) -> dict[str, str]:
        """Header -> target, "" to leave the column out."""

    def columns(self, header: Sequence[str], mapping: Mapping[str, str], types: Mapping[str, str], reading: Reading) -> ReadColumns:
        """Raises:
        Invalid: the columns cannot be read as they are mapped; every problem is listed."""

    def acts(self, targets: Sequence[str], reading: Reading, options: Mapping[str, Any]) -> list[str]:
        """What somebody does who imports such a file (`workspace.roles.ACTS`). `options`: the mapping of the import's row."""

    def writer(self, session: Session, header: Sequence[str], options: Options, file_name: str) -> RowWriter:
        """Raises: as `columns`, and where what the rows go into is gone."""
