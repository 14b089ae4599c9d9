"""From the columns of a file to what a contact has: guessed from their names and values, or given.

A target is a contact field (`email`, `plan`, `address.city`), a name (`user_id`, `anonymous_id`, `external:<system>`), `tags`, or part of a consent:
`consent_<channel>_<purpose>` with `…_at`, `…_source` and `…_wording` beside it. `optout_<channel>_<purpose>` is a column in which yes means
withdrawn and no means nothing; `suppress_<channel>` one that, filled, stops every message to the row's address. `orders:number` reads an attribute
as number; also `:boolean`, `:date`, `:datetime`, `:list`, `:text`. An empty target leaves the column out.

A cell that cannot be read costs its field and is reported; only a row that names nobody is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import crm.imports.cells as read_cell
from crm.imports.cells import NO, YES, CellProblem, slug_of
from crm.imports.csv_cells import plain_of
from crm.imports.csv_file import LINE_BREAK, MAX_CELL_CHARACTERS
from crm.imports.reading import Reading, type_of
from crm.people.profile import ALIASES, COLUMNS, check_fields
from journeys import postal
from journeys.channels import CHANNELS, CONSENTS
from journeys.errors import Invalid, Issue
from journeys.rules.fields import CONTACT_COLUMNS
from storage.identifiers import Name, Refused, normalise, strength
from storage.json_values import clean_text

SYNONYMS: Mapping[str, str] = {
    "e_mail": "email", "mail": "email", "email_address": "email", "e_mail_address": "email", "emailadresse": "email", "e_mail_adresse": "email",
    "telefon": "phone", "telephone": "phone", "phone_number": "phone", "mobile": "phone", "mobil": "phone", "handy": "phone", "telefonnummer": "phone",
    "mobile_phone": "phone", "mobilnummer": "phone", "vorname": "first_name", "firstname": "first_name", "given_name": "first_name",
    "nachname": "last_name", "lastname": "last_name", "surname": "last_name", "family_name": "last_name", "familienname": "last_name",
    "sprache": "locale", "language": "locale", "zeitzone": "timezone", "time_zone": "timezone", "tag": "tags", "schlagworte": "tags",
    "userid": "user_id", "customer_id": "user_id", "kundennummer": "user_id", "kunden_id": "user_id", "lifecycle": "lifecycle_stage",
    "besitzer": "owner",
    **dict.fromkeys(
        ("strasse", "strasse_nr", "street", "street_address", "adresse_1", "address_1", "address1", "address_line_1", "line1"),
        "postal_address.line1",
    ),
}  # fmt: skip
"""Slug of a column -> target."""
_STREET = f"{postal.FIELD}.line1"
_BESIDE_A_STREET: Mapping[str, str] = {
    **dict.fromkeys(("ort", "stadt", "city", "town", "wohnort", "ville"), "postal_address.city"),
    **dict.fromkeys(("land", "country", "country_code", "landescode", "pays"), "postal_address.country"),
    **dict.fromkeys(("state", "province", "kanton", "bundesland", "region"), "postal_address.region"),
    **dict.fromkeys(("adresszusatz", "adresse_2", "address_2", "address2", "address_line_2", "line2"), "postal_address.line2"),
    **dict.fromkeys(("plz", "postleitzahl", "postal_code", "postcode", "zip_code", "zip"), "postal_address.postal_code"),
}
"""Slug -> target, where a column of the same file is a street; alone they say where somebody is, not where the post finds them."""

GRANTED = YES | {"granted", "opt_in", "opted_in", "subscribed", "angemeldet", "abonniert", "eingewilligt", "zugestimmt"}
WITHDRAWN = NO | {
    "withdrawn", "opt_out", "opted_out", "unsubscribed", "cleaned", "abgemeldet", "widerrufen", "abgelehnt", "widersprochen",
}  # fmt: skip
PENDING = frozenset({"pending", "unconfirmed", "offen", "unbestaetigt"})
SILENT = frozenset({"never_subscribed", "not_set", "unknown", "nonsubscribed", "not_specified", "none", "null", "n_a", "unbekannt"})
"""What programs write where nobody was asked: no statement."""

TYPES = ("text", "number", "boolean", "date", "datetime", "list")
_CONSENT = re.compile(rf"consent_({'|'.join(CONSENTS)})_([a-z][a-z0-9_.-]*?)(?:_(at|date|source|wording))?")
_OPTOUT = re.compile(rf"optout_({'|'.join(CONSENTS)})_([a-z][a-z0-9_.-]*)")
_SUPPRESS = re.compile(rf"suppress_({'|'.join(CHANNELS)})")
_NAMES = re.compile(r"user_id|anonymous_id|external:[a-z0-9_.-]{1,50}")
_MARKED = re.compile(r"'(?=\+?[0-9][0-9 ]*$)")
"""An apostrophe that says "text, not a number" to spreadsheets."""


@dataclass(frozen=True, slots=True)
class Said:
    """A consent cell with what stands beside it; `said_at` is None where the file names no date."""

    channel: str
    purpose: str
    state: str
    said_at: datetime | None
    source: str
    wording: str


@dataclass(frozen=True, slots=True)
class Person:
    """What one row says. `suppress`: channels on which its address gets nothing any more. `problems`: (column, reason) of cells that were
    left out; a column `""` is the whole row."""

    names: list[Name]
    fields: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    consents: list[Said] = field(default_factory=list)
    suppress: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def is_consent(target: str) -> bool:
    """Whether a column with this target says something about consent."""
    return target.startswith(("consent_", "optout_"))


class ReadColumns(Protocol):
    """A mapping that was checked against a header."""

    @property
    def mapping(self) -> Mapping[str, str]:
        """Header -> target."""

    def read(self, cells: Sequence[str], now: datetime) -> Any:
        """What a row says. Raises: RowProblem."""

    def shown(self, cells: Sequence[str], now: datetime) -> list[Cell]:
        """What every mapped cell becomes."""


class RowProblem(Exception):
    """A row that cannot be imported: `reason` is a code, `column` its header; no content of the cell."""

    def __init__(self, reason: str, column: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.column = column


@dataclass(frozen=True, slots=True)
class Cell:
    """What one cell becomes. `value` None: nothing. `problem`: a code, "" if there is none."""

    column: str
    target: str
    was: str
    value: Any
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Column:
    index: int
    header: str
    target: str
    type: str | None
    consent: tuple[str, str, str] | None = None
    """(channel, purpose, part), part `` for the statement itself."""


class Columns:
    """A mapping that was checked against a header and now reads rows."""

    def __init__(
        self,
        header: Sequence[str],
        given: Mapping[str, str] | None = None,
        *,
        types: Mapping[str, str] | None = None,
        reading: Reading | None = None,
    ) -> None:
        """`given`: header -> target, for those columns that are not to be guessed. `types`: field -> type where the catalogue knows one.

        Raises:
            Invalid: two columns lead to one target, a target is unknown, or none of them names a contact; all problems are listed.
        """
        self.mapping = {**guess(header, given=given), **(given or {})}
        self.reading = reading or Reading()
        self._columns = [
            _column(index, name, self.mapping[name], types or {}) for index, name in enumerate(header) if self.mapping.get(name)
        ]
        self._names = [column for column in self._columns if _is_name(column.target)]
        issues = [*_unknown(given or {}, header), *_problems(self._columns, self.reading)]
        if issues:
            raise Invalid("The columns of the file cannot be read.", issues=issues)

    def header_of(self, target: str) -> str:
        """The column that leads to a target; empty if none does."""
        return next((column.header for column in self._columns if column.target == target), "")

    def read(self, cells: Sequence[str], now: datetime) -> Person:
        """The person a row describes; empty cells say nothing, or clear their field where the reading says so.

        Raises:
            RowProblem: nothing in the row names a contact; if a name could not be read, the reason is that.
        """
        values, problems = self._values(cells, now)
        names = sorted({name for column in self._names if (name := self._name(column, values))}, key=strength)
        if not names:
            refused = next(((reason, name) for name, reason in problems if name in {column.header for column in self._names}), None)
            raise RowProblem(*refused) if refused else RowProblem("no_name")
        person = Person(names, problems=problems)
        for column in self._columns:
            if column.index in values:
                self._put(person, column, values[column.index])
            elif self.reading.empty == "clear" and _can_clear(column) and not self._text(cells, column):
                person.fields[column.target] = None
        self._consents(person, values)
        return person

    def shown(self, cells: Sequence[str], now: datetime) -> list[Cell]:
        """What every mapped cell of a row becomes, for a person to look at."""
        values, problems = self._values(cells, now)
        told = dict(problems)
        return [
            Cell(column.header, column.target, cells[column.index], self._becomes(column, cells, values), told.get(column.header, ""))
            for column in self._columns
        ]

    def _becomes(self, column: _Column, cells: Sequence[str], values: Mapping[int, Any]) -> Any:
        """The value in its stored spelling; an empty text where an empty cell clears the field."""
        if name := self._name(column, values) if _is_name(column.target) else None:
            return name[1]
        if column.index not in values and self.reading.empty == "clear" and _can_clear(column) and not self._text(cells, column):
            return ""
        return values.get(column.index)

    def _text(self, cells: Sequence[str], column: _Column) -> str:
        text = clean_text(cells[column.index]).replace(LINE_BREAK, "\n").strip()
        return _MARKED.sub("", plain_of(text)) if text.startswith("'") else text

    def _values(self, cells: Sequence[str], now: datetime) -> tuple[dict[int, Any], list[tuple[str, str]]]:
        """Index -> what the cell says, for those that say something; and what is wrong with the others."""
        values: dict[int, Any] = {}
        problems: list[tuple[str, str]] = []
        for column in self._columns:
            text = self._text(cells, column)
            if not text:
                continue
            try:
                value = self._value(column, text, now)
            except CellProblem as problem:
                problems.append((column.header, problem.reason))
                continue
            if value is not None:
                values[column.index] = value
            if column.target == "email" and read_cell.address(text)[1]:
                problems.append((column.header, "several_addresses"))
        return values, problems

    def _value(self, column: _Column, text: str, now: datetime) -> Any:
        if len(text) > MAX_CELL_CHARACTERS:
            raise CellProblem("cell_too_long")
        if column.consent:
            return self._statement(column, text, now)
        if column.target == "tags":
            return read_cell.tags(text)
        if _SUPPRESS.fullmatch(column.target):
            return None if slug_of(text) in NO | SILENT or text == "[]" else True
        if column.target == "email":
            text = read_cell.address(text)[0]
        if column.target == "phone":
            text = read_cell.check_phone(text)
        if column.target == "external:salesforce":
            text = read_cell.salesforce_id(text)
        if _is_name(column.target):
            text = read_cell.check_id(text)
            found = normalise(column.target, text, self.reading.region)
            if isinstance(found, Refused):
                raise CellProblem(found.reason)
            return text
        value = self._typed(column, text)
        if refused := check_fields({column.target: value}, self.reading.region).refused:
            raise CellProblem(next(iter(refused.values())))
        return value

    def _typed(self, column: _Column, text: str) -> Any:
        if column.type == "list":
            return read_cell.tags(text)
        return read_cell.typed(column.type, text, self.reading.decimal, self.reading.date_order, self.reading.zone)

    def _statement(self, column: _Column, text: str, now: datetime) -> Any:
        assert column.consent is not None  # asked by the caller
        match column.consent[2]:
            case "at":
                return self._moment(text, now)
            case "source" | "wording":
                return text
            case "optout":
                return "withdrawn" if read_cell.truth(text) else None
        word = slug_of(text)
        if word in SILENT:
            return None
        state = "granted" if word in GRANTED else "withdrawn" if word in WITHDRAWN else "pending" if word in PENDING else None
        if state is None:
            raise CellProblem("invalid_consent")
        return state

    def _moment(self, text: str, now: datetime) -> datetime:
        day = read_cell.day_or_moment(text, self.reading.date_order, self.reading.zone)
        moment = day if isinstance(day, datetime) else datetime.combine(day, time(), ZoneInfo(self.reading.zone)).astimezone(UTC)
        if moment > now:
            raise CellProblem("date_in_future")
        return moment

    def _name(self, column: _Column, values: Mapping[int, Any]) -> Name | None:
        if column.index not in values:
            return None
        found = normalise(column.target, str(values[column.index]), self.reading.region)
        return None if isinstance(found, Refused) else (column.target, found)

    def _put(self, person: Person, column: _Column, value: Any) -> None:
        if column.consent:
            return
        if column.target == "tags":
            person.tags.extend(tag for tag in value if tag not in person.tags)
        elif found := _SUPPRESS.fullmatch(column.target):
            person.suppress.append(found[1])
        elif not _NAMES.fullmatch(column.target):
            person.fields[column.target] = value

    def _consents(self, person: Person, values: Mapping[int, Any]) -> None:
        """Statements of the row; where it makes none, what everybody in the file said."""
        parts: dict[tuple[str, str], dict[str, Any]] = {}
        unread = {name for name, _ in person.problems}
        lost: set[tuple[str, str]] = set()
        for column in self._columns:
            if column.consent is None:
                continue
            channel, purpose, part = column.consent
            if column.header in unread and part in ("", "at", "optout"):
                lost.add((channel, purpose))
            if column.index in values:
                _gather(parts.setdefault((channel, purpose), {}), part, values[column.index])
        said = {key: cells for key, cells in parts.items() if "" in cells}
        for one in self.reading.everybody:
            key = (one.channel, one.purpose)
            if key not in said:
                beside = parts.get(key, {})
                said[key] = {"": one.state, "at": one.moment, "source": one.source, "wording": one.wording, **beside}
        for (channel, purpose), cells in said.items():
            if (channel, purpose) in lost and cells[""] != "withdrawn":
                continue  # what cannot be read cannot allow anything
            person.consents.append(
                Said(channel, purpose, cells[""], cells.get("at"), cells.get("source") or "", cells.get("wording") or "")
            )


def _gather(cells: dict[str, Any], part: str, value: Any) -> None:
    """Of several columns for one statement a withdrawal wins; of several dates the last counts (a sign-up, then its confirmation)."""
    if part == "at":
        cells["at"] = max(cells.get("at", value), value)
    elif part in ("", "optout"):
        cells[""] = "withdrawn" if "withdrawn" in (value, cells.get("")) else value
    else:
        cells[part] = value


def guess(
    header: Iterable[str],
    samples: Mapping[str, Sequence[str]] | None = None,
    types: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Header -> target: known names in German and English, consent columns, else an attribute of the same name as a slug.

    `samples`: header -> some of its values; where they leave no doubt, an attribute gets its type (unless `types`, the catalogue, has one). The
    second column for one target becomes an attribute of its own name; columns that only the system may write are left out. No target that
    `given` uses is guessed.
    """
    given = given or {}
    taken = {target.partition(":")[0] if target.rpartition(":")[2] in TYPES else target for target in given.values()}
    found: dict[str, str] = {}
    header = list(header)
    has_street = any(_guessed(name) == _STREET for name in header) or _STREET in taken
    for name in header:
        if not name.strip() or name in given:
            continue
        target = (_BESIDE_A_STREET.get(slug_of(name.strip())) if has_street else None) or _guessed(name)
        if target in taken and not may_be_shared(target):
            target = slug_of(name)
            if target in taken or target in COLUMNS or _NAMES.fullmatch(target):
                target = ""
        if target in CONTACT_COLUMNS and target not in COLUMNS:
            target = ""
        taken.add(target)
        found[name] = _with_type(target, samples.get(name, ()) if samples else (), types or {})
    return found


def _with_type(target: str, values: Sequence[str], types: Mapping[str, str]) -> str:
    if (
        not target
        or not _is_field(target)
        or target in COLUMNS
        or target.startswith(f"{postal.FIELD}.")
        or types.get(target, "any") != "any"
    ):
        return target
    type = type_of(target, values)
    return f"{target}:{type}" if type else target


def _guessed(name: str) -> str:
    stripped = name.strip()
    if _NAMES.fullmatch(stripped.lower()):
        return stripped.lower()
    if stripped in ALIASES:
        return ALIASES[stripped]
    slug = slug_of(stripped)
    return SYNONYMS.get(slug, slug)


def column_types(header: Sequence[str], mapping: Mapping[str, str], types: Mapping[str, str]) -> dict[int, str]:
    """Index of a mapped column -> the type its cells are read as."""
    columns = [_column(index, name, mapping[name], types) for index, name in enumerate(header) if mapping.get(name)]
    return {column.index: "datetime" if column.consent and column.consent[2] == "at" else column.type or "text" for column in columns}


def split_type(target: str) -> tuple[str, str | None]:
    """`orders:number` -> (`orders`, `number`); without a type None."""
    name, _, type = target.rpartition(":")
    return (name, type) if name and type in TYPES else (target, None)


def _column(index: int, header: str, target: str, types: Mapping[str, str]) -> _Column:
    name, type = split_type(target)
    return _Column(index, header, name, type or types.get(name), _consent_of(name))


def _is_name(target: str) -> bool:
    return target in ("email", "phone") or _NAMES.fullmatch(target) is not None


def _is_field(target: str) -> bool:
    others = (_NAMES, _CONSENT, _OPTOUT, _SUPPRESS)
    return target != "tags" and not any(pattern.fullmatch(target) for pattern in others)


def _can_clear(column: _Column) -> bool:
    """Names stay: an empty cell is no reason to forget who somebody is."""
    return _is_field(column.target) and column.target not in ("email", "phone")


def _unknown(given: Mapping[str, str], header: Sequence[str]) -> Iterable[Issue]:
    for name in given:
        if name not in header:
            yield Issue(code="unknown_column", text="The file has no column {column}.", values={"column": name[:100]}, field=name[:100])


def _problems(columns: Sequence[_Column], reading: Reading) -> Iterable[Issue]:
    seen: dict[str, str] = {}
    everybody = {(one.channel, one.purpose) for one in reading.everybody}
    stated = {column.consent[:2] for column in columns if column.consent and column.consent[2] in ("", "optout")} | everybody
    for column in columns:
        if column.target in seen and not may_be_shared(column.target):
            values = {"one": seen[column.target], "two": column.header, "target": column.target}
            yield Issue(
                code="target_twice", text="The columns {one} and {two} are both mapped to {target}.", values=values, field=column.header
            )
        seen[column.target] = column.header
        if column.target in CONTACT_COLUMNS and column.target not in COLUMNS:
            values = {"target": column.target}
            yield Issue(code="read_only", text="The field {target} is maintained by the system.", values=values, field=column.header)
        if column.target.startswith(("consent_", "optout_")) and not column.consent:
            values = {"target": column.target, "channels": ", ".join(CONSENTS)}
            text = "Expected consent_<channel>_<purpose> with a channel out of {channels}, got {target}."
            yield Issue(code="unknown_consent", text=text, values=values, field=column.header)
        if column.consent and column.consent[:2] not in stated:
            text = "The column {column} belongs to a consent that has no column itself."
            yield Issue(code="consent_missing", text=text, values={"column": column.header}, field=column.header)
    if not any(_is_name(column.target) for column in columns):
        text = "No column identifies a contact: expected one mapped to email, phone, user_id or external:<system>."
        yield Issue(code="no_name", text=text)


def may_be_shared(target: str) -> bool:
    """Whether several columns may lead there: tags add up, of dates of a consent the last counts, of opt-outs any."""
    consent = _consent_of(target)
    return target in ("", "tags") or (consent is not None and consent[2] in ("at", "optout"))


def _consent_of(target: str) -> tuple[str, str, str] | None:
    if found := _OPTOUT.fullmatch(target):
        return found[1], found[2], "optout"
    if found := _CONSENT.fullmatch(target):
        return found[1], found[2], {"date": "at", None: ""}.get(found[3], found[3])
    return None
