"""Columns of rows that say something *about* somebody: who it is, values of the subject's own, and perhaps free properties.

A target is a name of a contact (`email`, `user_id`, `anonymous_id`, `external:<system>`, `contact_id`), a target of the subject, or
`properties.<name>` where the subject has any, with its type behind it (`properties.total:number`). Unlike a contact's row (`crm.imports.columns`),
a cell of the subject's own that cannot be read refuses the row; only a property may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import crm.imports.cells as read_cell
from crm.imports.cells import CellProblem, slug_of
from crm.imports.columns import SYNONYMS, Cell, RowProblem, split_type
from crm.imports.csv_cells import plain_of
from crm.imports.csv_file import LINE_BREAK, MAX_CELL_CHARACTERS
from crm.imports.reading import Reading, type_of
from journeys.errors import Invalid, Issue
from storage.identifiers import Name, Refused, normalise, strength
from storage.json_values import clean_text

CONTACT_ID = "contact_id"
PROPERTY = "properties."
MOST_PROPERTIES = 200
_NAME = re.compile(r"email|user_id|anonymous_id|external:[a-z0-9_.-]{1,50}")
_OF_US = frozenset({"contact_id", "kontakt_id", "pfadwerk_id"})


@dataclass(frozen=True, slots=True)
class Target:
    """A value of a subject's own. `read` makes the value of a cell, or raises `CellProblem`; `slugs` of headers that mean it; a row without a
    `required` one is refused."""

    read: Callable[[str, Reading], Any]
    slugs: frozenset[str] = frozenset()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What one row says. `problems`: (column, reason) of cells that were left out."""

    names: list[Name]
    contact_id: str
    values: Mapping[str, Any]
    properties: Mapping[str, Any]
    problems: list[tuple[str, str]] = field(default_factory=list)


def text(most: int) -> Callable[[str, Reading], str]:
    def read(cell: str, reading: Reading) -> str:
        if len(cell) > most:
            raise CellProblem("cell_too_long")
        return cell

    return read


def moment(cell: str, reading: Reading) -> datetime:
    """An instant in UTC; a day is its beginning in the zone of the reading."""
    found = read_cell.day_or_moment(cell, reading.date_order, reading.zone)
    if isinstance(found, datetime):
        return found
    return datetime.combine(found, time(), ZoneInfo(reading.zone)).astimezone(UTC)


def number(cell: str, reading: Reading) -> int | float:
    return read_cell.number(cell, reading.decimal)


def guess_record(
    header: Iterable[str],
    samples: Mapping[str, Sequence[str]],
    given: Mapping[str, str],
    targets: Mapping[str, Target],
    *,
    free: bool,
) -> dict[str, str]:
    """Header -> target: names of contacts, what the subject knows, else a property of the same name where it has such (`free`)."""
    taken, found = set(given.values()), dict[str, str]()
    for name in header:
        if not name.strip() or name in given:
            continue
        target = _guessed(slug_of(name.strip()), name.strip(), targets)
        if (target in taken or not target) and free:
            target = _property(name, samples.get(name, ()))
        found[name] = "" if target in taken else target
        taken.add(found[name])
    return found


def _guessed(slug: str, name: str, targets: Mapping[str, Target]) -> str:
    own = next((target for target, one in targets.items() if slug == target or slug in one.slugs), "")
    if own:
        return own
    if slug in _OF_US:
        return CONTACT_ID
    known = name.lower() if _NAME.fullmatch(name.lower()) else SYNONYMS.get(slug, slug)
    return known if _NAME.fullmatch(known) else ""


def _property(name: str, samples: Sequence[str]) -> str:
    slug = slug_of(name.removeprefix(PROPERTY))
    if not slug:
        return ""
    type = type_of(slug, samples)
    return f"{PROPERTY}{slug}:{type}" if type else f"{PROPERTY}{slug}"


@dataclass(frozen=True, slots=True)
class _Column:
    index: int
    header: str
    target: str
    type: str | None


class RecordColumns:
    """A mapping that was checked against a header and now reads rows."""

    def __init__(
        self, header: Sequence[str], mapping: Mapping[str, str], targets: Mapping[str, Target], reading: Reading, *, free: bool = False
    ) -> None:
        """Raises:
        Invalid: every problem is listed."""
        self.mapping, self.reading, self._targets = dict(mapping), reading, targets
        self._columns = [
            _Column(index, name, *split_type(mapping[name])) for index, name in enumerate(header) if name and mapping.get(name)
        ]
        self._names = [column for column in self._columns if _NAME.fullmatch(column.target)]
        issues = list(_problems(self._columns, targets, self.mapping.keys() - set(header), free))
        if issues:
            raise Invalid("The columns of the file cannot be read.", issues=issues)

    def read(self, cells: Sequence[str], now: datetime) -> Record:
        """What a row says; empty cells say nothing.

        Raises:
            RowProblem: it names nobody, or lacks what is needed.
        """
        values, problems = self._values(cells)
        told = dict(problems)
        for column in self._columns:
            target = self._targets.get(column.target)
            if target is not None and column.header in told:
                raise RowProblem(told[column.header], column.header)  # half a statement could mean another
            if target is not None and target.required and column.index not in values:
                raise RowProblem("missing_value", column.header)
        names = sorted({(c.target, values[c.index]) for c in self._names if c.index in values}, key=strength)
        contact_id = next((values[c.index] for c in self._columns if c.target == CONTACT_ID and c.index in values), "")
        if not names and not contact_id:
            headers = {column.header for column in self._columns if column in self._names or column.target == CONTACT_ID}
            refused = next(((reason, name) for name, reason in problems if name in headers), ("no_name", ""))
            raise RowProblem(*refused)
        own = {c.target: values[c.index] for c in self._columns if c.target in self._targets and c.index in values}
        free = {c.target.removeprefix(PROPERTY): values[c.index] for c in self._columns if _is_free(c) and c.index in values}
        return Record(names, contact_id, own, free, problems)

    def shown(self, cells: Sequence[str], now: datetime) -> list[Cell]:
        """What every mapped cell of a row becomes."""
        values, problems = self._values(cells)
        told = dict(problems)
        return [Cell(c.header, c.target, cells[c.index], values.get(c.index), told.get(c.header, "")) for c in self._columns]

    def header_of(self, target: str) -> str:
        return next((column.header for column in self._columns if column.target == target), "")

    def _values(self, cells: Sequence[str]) -> tuple[dict[int, Any], list[tuple[str, str]]]:
        values: dict[int, Any] = {}
        problems: list[tuple[str, str]] = []
        for column in self._columns:
            said = plain(cells[column.index])
            if not said:
                continue
            try:
                values[column.index] = self._value(column, said)
            except CellProblem as problem:
                problems.append((column.header, problem.reason))
        return values, problems

    def _value(self, column: _Column, said: str) -> Any:
        if len(said) > MAX_CELL_CHARACTERS:
            raise CellProblem("cell_too_long")
        if column.target in self._targets:
            return self._targets[column.target].read(said, self.reading)
        if column.target == CONTACT_ID:
            return said[:64]
        if column in self._names:
            return _name(column.target, said, self.reading.region)
        if column.type == "list":
            return read_cell.tags(said)
        return read_cell.typed(column.type, said, self.reading.decimal, self.reading.date_order, self.reading.zone)


def _name(kind: str, said: str, region: str | None) -> str:
    said = read_cell.address(said)[0] if kind == "email" else read_cell.check_id(said)
    if kind == "external:salesforce":
        said = read_cell.salesforce_id(said)
    found = normalise(kind, said, region)
    if isinstance(found, Refused):
        raise CellProblem(found.reason)
    return found


def plain(cell: str) -> str:
    """What a cell says, without the marks that spreadsheets and our own exports put around it."""
    found = clean_text(cell).replace(LINE_BREAK, "\n").strip()
    return plain_of(found) if found.startswith("'") else found


def _is_free(column: _Column) -> bool:
    return column.target.startswith(PROPERTY)


def _problems(columns: Sequence[_Column], targets: Mapping[str, Target], unknown: Collection[str], free: bool) -> Iterator[Issue]:
    for name in sorted(unknown):
        yield Issue(code="unknown_column", text="The file has no column {column}.", values={"column": name[:100]}, field=name[:100])
    seen: dict[str, str] = {}
    for column in columns:
        if column.target in seen:
            values = {"one": seen[column.target], "two": column.header, "target": column.target}
            text = "The columns {one} and {two} are both mapped to {target}."
            yield Issue(code="target_twice", text=text, values=values, field=column.header)
        seen[column.target] = column.header
        is_known = column.target in targets or column.target == CONTACT_ID or _NAME.fullmatch(column.target)
        if not is_known and not (free and _is_free(column) and len(column.target) > len(PROPERTY)):
            values = {"column": column.header, "target": column.target}
            text = "The column {column} cannot become {target} here."
            yield Issue(code="unknown_target", text=text, values=values, field=column.header)
    if not any(column.target == CONTACT_ID or _NAME.fullmatch(column.target) for column in columns):
        yield Issue(
            code="no_name", text="No column identifies a contact: expected one mapped to email, user_id, external:<system> or contact_id."
        )
    missing = [target for target, one in targets.items() if one.required and target not in seen]
    for target in missing:
        yield Issue(code="missing_target", text="A column for {target} is needed.", values={"target": target})
    if sum(map(_is_free, columns)) > MOST_PROPERTIES:
        yield Issue(code="too_many", text="At most {limit} columns can become properties.", values={"limit": MOST_PROPERTIES})
