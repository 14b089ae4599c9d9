"""Addresses that get nothing any more: lists of bounces, complaints and unsubscribes of other programs. A row is an address; no contact is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

import crm.imports.cells as read_cell
from crm.consent import suppression
from crm.imports.cells import CellProblem, slug_of
from crm.imports.columns import SYNONYMS, Cell, RowProblem
from crm.imports.csv_file import Line
from crm.imports.imports import ImportReport, Options, RowError, count_errors
from crm.imports.reading import Reading
from crm.imports.record_columns import plain
from journeys.channels import ADDRESSED
from journeys.errors import Invalid, Issue
from storage.identifiers import Refused, normalise

REASON = "reason"
_REASONS: Mapping[str, str] = {
    **dict.fromkeys(("hard_bounce", "hard", "bounced", "bounce", "hardbounce", "cleaned", "invalid", "dropped"), "hard_bounce"),
    **dict.fromkeys(("complaint", "spam", "spam_complaint", "abuse", "marked_as_spam", "spamreport"), "complaint"),
    **dict.fromkeys(("unsubscribe", "unsubscribed", "abgemeldet", "opt_out", "user_suppressed", "manual_unsubscribe"), "unsubscribe"),
}
"""What programs write -> reason; anything else is `import`."""
_OF_KIND = {kind: channel for channel, kind in ADDRESSED.items()}
"""Kind of a name -> the channel whose address it is."""
_REASON_HEADERS = frozenset({"reason", "grund", "type", "typ", "status", "event", "suppression_reason", "bounce_type"})


class Suppressions:
    key = "suppressions"
    label = "Suppressed addresses"
    help = "Each row is an address that gets no messages any more, with a reason if the file has one. No contacts are made; undoing does not lift them."
    target_names: Mapping[str, str] = {REASON: "Reason (bounce, complaint, unsubscribe)"}
    needs_list = may_make = False

    def guess(
        self, header: Sequence[str], samples: Mapping[str, Sequence[str]], types: Mapping[str, str], given: Mapping[str, str]
    ) -> dict[str, str]:
        taken, found = set(given.values()), dict[str, str]()
        for name in header:
            if name.strip() and name not in given:
                slug = slug_of(name.strip())
                target = REASON if slug in _REASON_HEADERS else SYNONYMS.get(slug, slug)
                found[name] = target if (target in _OF_KIND or target == REASON) and target not in taken else ""
                taken.add(found[name])
        return found

    def columns(self, header: Sequence[str], mapping: Mapping[str, str], types: Mapping[str, str], reading: Reading) -> SuppressedColumns:
        return SuppressedColumns(header, mapping, reading)

    def acts(self, targets: Sequence[str], reading: Reading, options: Mapping[str, Any]) -> list[str]:
        return ["contact.import", "suppression.add"]

    def writer(self, session: Session, header: Sequence[str], options: Options, file_name: str) -> _Writer:
        return _Writer(SuppressedColumns(header, options.mapping, options.reading), options, file_name)


class SuppressedColumns:
    """Columns of addresses, and perhaps one of reasons."""

    def __init__(self, header: Sequence[str], mapping: Mapping[str, str], reading: Reading) -> None:
        """Raises:
        Invalid: every problem is listed."""
        self.mapping, self._region = dict(mapping), reading.region
        self._columns = [(index, name, mapping[name]) for index, name in enumerate(header) if name and mapping.get(name)]
        issues = list(self._problems())
        if issues:
            raise Invalid("The columns of the file cannot be read.", issues=issues)

    def _problems(self) -> Iterator[Issue]:
        for _, name, target in self._columns:
            if target not in _OF_KIND and target != REASON:
                values = {"column": name, "target": target}
                yield Issue(code="unknown_target", text="The column {column} cannot become {target} here.", values=values, field=name)
        if not any(target in _OF_KIND for _, _, target in self._columns):
            yield Issue(code="no_name", text="No column has addresses: expected one mapped to email or phone.")

    def read(self, cells: Sequence[str], now: datetime) -> list[tuple[str, str, str]]:
        """(channel, address, reason) of a row.

        Raises:
            RowProblem: it has no address, or one that is none.
        """
        said = {target: plain(cells[index]) for index, _, target in self._columns}
        reason = _REASONS.get(slug_of(said.get(REASON, "")), "import")
        found = []
        for _, name, kind in self._columns:
            if kind in _OF_KIND and said[kind]:
                try:
                    found.append((_OF_KIND[kind], self._address(kind, said[kind]), reason))
                except CellProblem as problem:
                    raise RowProblem(problem.reason, name) from None
        if not found:
            raise RowProblem("no_name")
        return found

    def _address(self, kind: str, said: str) -> str:
        said = read_cell.check_phone(said) if kind == "phone" else read_cell.address(said)[0]
        found = normalise(kind, said, self._region)
        if isinstance(found, Refused):
            raise CellProblem(found.reason)
        return found

    def shown(self, cells: Sequence[str], now: datetime) -> list[Cell]:
        told = []
        for index, name, target in self._columns:
            said, problem = plain(cells[index]), ""
            value: str | None = _REASONS.get(slug_of(said), "import") if target == REASON else None
            try:
                value = self._address(target, said) if target in _OF_KIND and said else value
            except CellProblem as refused:
                problem = refused.reason
            told.append(Cell(name, target, cells[index], value, problem))
        return told


class _Writer:
    def __init__(self, columns: SuppressedColumns, options: Options, file_name: str) -> None:
        self._columns, self.options, self._file_name = columns, options, file_name

    def read(self, line: Line, now: datetime) -> list[tuple[str, str, str]] | RowError:
        if line.problem:
            return RowError(line=line.number, reason=line.problem)
        try:
            return self._columns.read(line.cells, now)
        except RowProblem as problem:
            return RowError(line=line.number, reason=problem.reason, column=problem.column)

    def write(self, session: Session, rows: Sequence[tuple[Line, Any]], now: datetime, report: ImportReport) -> None:
        report.rows += len(rows)
        count_errors(report, [row for _, row in rows if isinstance(row, RowError)])
        for _, row in rows:
            if not isinstance(row, RowError):
                report.ok += 1
                new = [self._suppress(session, one, now) for one in row]
                report.changed += any(new)

    def _suppress(self, session: Session, said: tuple[str, str, str], now: datetime) -> bool:
        """Whether it was not suppressed before."""
        channel, address, reason = said
        if suppression.find(session, self.options.keys, channel, address) is not None:
            return False
        source = self.options.source or f"import:{self._file_name}"
        suppression.suppress(session, self.options.keys, channel, address, reason, now, source)
        return True
