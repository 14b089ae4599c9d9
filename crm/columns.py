"""From the columns of a file to what a contact has: guessed from their names, or given.

A target is a contact field (`email`, `plan`, `address.city`), a name (`user_id`, `anonymous_id`, `external:<system>`), `tags`, or part of a consent:
`consent_<channel>_<purpose>` with `…_at`, `…_source` and `…_wording` beside it. `orders:number` reads an attribute as number; also `:boolean`,
`:date`, `:datetime`, `:text`. An empty target leaves the column out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crm.consent import CHANNELS
from crm.names import Name, normalise_all
from crm.payload import clean_text
from crm.profile import ALIASES, COLUMNS, check_fields
from crm.sheets import plain_of
from journeys.errors import Invalid, Issue
from journeys.rules.dates import normalise
from journeys.rules.fields import CONTACT_COLUMNS
from journeys.spelling import one_line

SYNONYMS: Mapping[str, str] = {
    "e_mail": "email", "mail": "email", "email_address": "email", "e_mail_address": "email", "emailadresse": "email", "e_mail_adresse": "email",
    "telefon": "phone", "telephone": "phone", "phone_number": "phone", "mobile": "phone", "mobil": "phone", "handy": "phone", "telefonnummer": "phone",
    "vorname": "first_name", "firstname": "first_name", "given_name": "first_name", "nachname": "last_name", "lastname": "last_name",
    "surname": "last_name", "family_name": "last_name", "familienname": "last_name", "sprache": "locale", "language": "locale",
    "zeitzone": "timezone", "time_zone": "timezone", "tag": "tags", "schlagworte": "tags", "userid": "user_id", "customer_id": "user_id",
    "kundennummer": "user_id", "kunden_id": "user_id", "lifecycle": "lifecycle_stage", "besitzer": "owner",
}  # fmt: skip
"""Slug of a column -> target."""

GRANTED = frozenset({"granted", "yes", "y", "true", "1", "ja", "j", "x", "opt_in", "opted_in", "subscribed", "oui", "si"})
WITHDRAWN = frozenset({"withdrawn", "no", "n", "false", "0", "nein", "opt_out", "opted_out", "unsubscribed", "non", "abgemeldet"})
PENDING = frozenset({"pending", "unconfirmed", "offen"})

TYPES = ("text", "number", "boolean", "date", "datetime")
_CONSENT = re.compile(rf"consent_({'|'.join(CHANNELS)})_([a-z][a-z0-9_.-]*?)(?:_(at|date|source|wording))?")
_NAMES = re.compile(r"user_id|anonymous_id|external:[a-z0-9_.-]{1,50}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}([.,][0-9]{1,10})?")
_GERMAN_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?: ([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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
    """What one row says."""

    names: list[Name]
    fields: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    consents: list[Said] = field(default_factory=list)


class RowProblem(Exception):
    """A row that cannot be imported: `reason` is a code, `column` its header; no content of the cell."""

    def __init__(self, reason: str, column: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.column = column


@dataclass(frozen=True, slots=True)
class _Column:
    index: int
    header: str
    target: str
    type: str | None


class Columns:
    """A mapping that was checked against a header and now reads rows."""

    def __init__(
        self,
        header: Sequence[str],
        given: Mapping[str, str] | None = None,
        *,
        types: Mapping[str, str] | None = None,
        region: str | None = None,
    ) -> None:
        """`given`: header -> target, for those columns that are not to be guessed. `types`: field -> type where the catalogue knows one.

        Raises:
            Invalid: two columns lead to one target, a target is unknown, or none of them names a contact; all problems are listed.
        """
        self.mapping = {**guess(header), **(given or {})}
        self._region = region
        self._columns = [
            _column(index, name, self.mapping[name], types or {}) for index, name in enumerate(header) if self.mapping.get(name)
        ]
        issues = [*_unknown(given or {}, header), *_problems(self._columns, header)]
        if issues:
            raise Invalid("The columns of the file cannot be read.", issues=issues)

    def read(self, cells: Sequence[str], now: datetime) -> Person:
        """The person a row describes; empty cells say nothing.

        Raises:
            RowProblem: a cell cannot be understood, or nothing in the row names a contact.
        """
        filled = [(column, text) for column in self._columns if (text := plain_of(clean_text(cells[column.index]).strip()))]
        names = self._names(filled)
        fields = self._fields(filled)
        if not names:
            raise RowProblem("no_name")
        return Person(names, fields, _tags(filled), _consents(filled, now))

    def _names(self, filled: Iterable[tuple[_Column, str]]) -> list[Name]:
        given = [(column, (column.target, text)) for column, text in filled if _is_name(column.target)]
        for column, name in given:
            if refused := normalise_all([name], self._region)[1]:
                raise RowProblem(refused[0].reason, column.header)
        return normalise_all((name for _, name in given), self._region)[0]

    def _fields(self, filled: Iterable[tuple[_Column, str]]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for column, text in filled:
            if _is_field(column.target):
                fields[column.target] = _typed(column, text)
                if refused := check_fields({column.target: fields[column.target]}, self._region).refused:
                    raise RowProblem(next(iter(refused.values())), column.header)
        return fields


def guess(header: Iterable[str]) -> dict[str, str]:
    """Header -> target: known names in German and English, consent columns, else an attribute of the same name as a slug."""
    return {name: _guessed(name) for name in header if name.strip()}


def _guessed(name: str) -> str:
    stripped = name.strip()
    if _NAMES.fullmatch(stripped.lower()):
        return stripped.lower()
    if stripped in ALIASES:
        return ALIASES[stripped]
    slug = slug_of(stripped)
    return SYNONYMS.get(slug, slug)


def slug_of(text: str) -> str:
    """Lower case, words joined by `_`, accents dropped: `Größe (cm)` -> `groesse_cm`."""
    text = text.lower().translate(_UMLAUTS)
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9.]+", "_", ascii_text).strip("_.")[:100]


_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def _column(index: int, header: str, target: str, types: Mapping[str, str]) -> _Column:
    name, _, type = target.rpartition(":") if target.rpartition(":")[2] in TYPES else (target, "", None)
    return _Column(index, header, name or target, type or types.get(name))


def _is_name(target: str) -> bool:
    return target in ("email", "phone") or _NAMES.fullmatch(target) is not None


def _is_field(target: str) -> bool:
    return target != "tags" and not _NAMES.fullmatch(target) and not _CONSENT.fullmatch(target)


def _unknown(given: Mapping[str, str], header: Sequence[str]) -> Iterable[Issue]:
    for name in given:
        if name not in header:
            yield Issue(code="unknown_column", text="The file has no column {column}.", values={"column": name[:100]}, field=name[:100])


def _problems(columns: Sequence[_Column], header: Sequence[str]) -> Iterable[Issue]:
    seen: dict[str, str] = {}
    for name in {name for name in header if name and list(header).count(name) > 1}:
        yield Issue(code="column_twice", text="The column {column} stands twice in the file.", values={"column": name}, field=name)
    for column in columns:
        if column.target in seen and column.target != "tags" and seen[column.target] != column.header:
            values = {"one": seen[column.target], "two": column.header, "target": column.target}
            yield Issue(code="target_twice", text="The columns {one} and {two} both lead to {target}.", values=values, field=column.header)
        seen[column.target] = column.header
        if column.target in CONTACT_COLUMNS and column.target not in COLUMNS:
            values = {"target": column.target}
            yield Issue(code="read_only", text="The field {target} is kept by the system.", values=values, field=column.header)
        if column.target.startswith("consent_") and not _CONSENT.fullmatch(column.target):
            values = {"target": column.target, "channels": ", ".join(CHANNELS)}
            text = "Expected consent_<channel>_<purpose> with a channel out of {channels}, got {target}."
            yield Issue(code="unknown_consent", text=text, values=values, field=column.header)
        if (
            (beside := _consent_of(column.target))
            and beside[1]
            and f"consent_{beside[0][0]}_{beside[0][1]}" not in {c.target for c in columns}
        ):
            text = "The column {column} belongs to a consent that has no column itself."
            yield Issue(code="consent_missing", text=text, values={"column": column.header}, field=column.header)
    if not any(_is_name(column.target) for column in columns):
        text = "No column names a contact: expected one that leads to email, phone, user_id or external:<system>."
        yield Issue(code="no_name", text=text)


def _consent_of(target: str) -> tuple[tuple[str, str], str | None] | None:
    found = _CONSENT.fullmatch(target)
    return ((found[1], found[2]), found[3]) if found else None


def _tags(filled: Iterable[tuple[_Column, str]]) -> list[str]:
    tags: dict[str, None] = {}
    for column, text in filled:
        if column.target == "tags":
            for tag in re.split(r"[,;|]", text):
                spelt = one_line(tag)
                if len(spelt) > 120:
                    raise RowProblem("too_long", column.header)
                if spelt:
                    tags[spelt] = None
    return list(tags)


def _consents(filled: Sequence[tuple[_Column, str]], now: datetime) -> list[Said]:
    parts: dict[tuple[str, str], dict[str | None, tuple[_Column, str]]] = {}
    for column, text in filled:
        if found := _consent_of(column.target):
            parts.setdefault(found[0], {})["at" if found[1] == "date" else found[1]] = (column, text)
    return [_said(channel, purpose, cells, now) for (channel, purpose), cells in parts.items() if None in cells]


def _said(channel: str, purpose: str, cells: Mapping[str | None, tuple[_Column, str]], now: datetime) -> Said:
    column, text = cells[None]
    word = slug_of(text)
    state = "granted" if word in GRANTED else "withdrawn" if word in WITHDRAWN else "pending" if word in PENDING else None
    if state is None:
        raise RowProblem("invalid_consent", column.header)
    said_at = None
    if "at" in cells:
        column, text = cells["at"]
        said_at = instant_of(text)
        if said_at is None:
            raise RowProblem("invalid_date", column.header)
        if said_at > now:
            raise RowProblem("date_in_future", column.header)
    return Said(
        channel, purpose, state, said_at, cells["source"][1] if "source" in cells else "", cells["wording"][1] if "wording" in cells else ""
    )


def instant_of(text: str) -> datetime | None:
    """An ISO 8601 date or date-time, or `31.12.2025 14:30`; without zone it is UTC. None for anything else."""
    if found := _GERMAN_DATE.fullmatch(text):
        day, month, year, clock = found.groups()
        text = f"{year}-{month:0>2}-{day:0>2}" + (f"T{clock:0>5}" if clock else "")
    if not _DATE.match(text):
        return None
    try:
        moment = datetime.fromisoformat(normalise(text))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _typed(column: _Column, text: str) -> Any:
    match column.type:
        case "number":
            if not _NUMBER.fullmatch(text):
                raise RowProblem("invalid_number", column.header)
            number = float(text.replace(",", "."))
            return int(number) if number.is_integer() and not re.search(r"[.,]", text) else number
        case "boolean":
            word = slug_of(text)
            if word not in GRANTED | WITHDRAWN:
                raise RowProblem("invalid_boolean", column.header)
            return word in GRANTED
        case "date" | "datetime":
            moment = instant_of(text)
            if moment is None:
                raise RowProblem("invalid_date", column.header)
            return moment.date().isoformat() if column.type == "date" or ":" not in text else normalise(moment)
        case _:
            return text
