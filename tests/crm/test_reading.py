"""A table written in any dialect becomes the same people, if it is read as it was written; and what leaves no doubt is guessed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crm.imports.columns import Columns, Person
from crm.imports.csv_file import records
from crm.imports.imports import Options, make_plan
from crm.imports.reading import Reading

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEADER = ("E-Mail", "Vorname", "Umsatz", "Geburtstag", "Tags")
MAPPING = {"E-Mail": "email", "Vorname": "first_name", "Umsatz": "revenue:number", "Geburtstag": "birthday:date", "Tags": "tags"}
TEXTS = {"dmy": "{d:02}/{m:02}/{y:04}", "mdy": "{m:02}/{d:02}/{y:04}", "ymd": "{y:04}/{m:02}/{d:02}"}
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be")

row = st.tuples(
    st.sampled_from(["Zoë", "Jürg; Öz", "A, B", 'said "so"', "", "line\nbreak"]),
    st.integers(-99_999_999, 99_999_999),
    st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    st.lists(st.sampled_from(["vip", "R&D", "neu in Zürich"]), unique=True, max_size=2),
)


def written(rows: Sequence[Any], dialect: dict[str, Any]) -> bytes:
    text = io.StringIO()
    out = csv.writer(text, delimiter=dialect["separator"], quoting=dialect["quoting"], lineterminator=dialect["end"])
    out.writerow(HEADER)
    for number, (name, cents, day, tags) in enumerate(rows):
        whole, part = divmod(abs(cents), 100)
        sign, group = dialect["decimal"], "," if dialect["decimal"] == "." else "."
        figure = f"{whole:,}".replace(",", group if dialect["grouped"] else "")
        money = f"{'-' if cents < 0 else ''}{figure}{sign}{part:02}"
        out.writerow(
            (f"p{number}@example.org", name, money, TEXTS[dialect["order"]].format(d=day.day, m=day.month, y=day.year), "|".join(tags))
        )
    return text.getvalue().encode(dialect["encoding"])


def people(content: bytes, reading: Reading) -> list[Person]:
    plan = make_plan(content, Options(MAPPING, reading), {})
    columns = Columns(plan.survey.shape.header, plan.mapping, reading=plan.reading)
    return [columns.read(line.cells, NOW) for line in records(content, plan.survey.shape)]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(row, min_size=1, max_size=5),
    dialect=st.fixed_dictionaries(
        {
            "separator": st.sampled_from(",;\t|"),
            "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
            "end": st.sampled_from(["\r\n", "\n", "\r"]),
            "decimal": st.sampled_from(".,"),
            "grouped": st.booleans(),
            "order": st.sampled_from(["dmy", "mdy", "ymd"]),
            "encoding": st.sampled_from(ENCODINGS),
        }
    ),
)
def test_the_same_people_in_every_dialect(rows: list[Any], dialect: dict[str, Any]) -> None:
    assume(dialect["end"] != "\r" or dialect["quoting"] != csv.QUOTE_MINIMAL)  # Python's writer leaves a line feed bare there
    content = written(rows, dialect)
    reading = Reading(separator=dialect["separator"], decimal=dialect["decimal"], date_order=dialect["order"], header_line=1, footer_rows=0)
    for person, (name, cents, day, tags) in zip(people(content, reading), rows, strict=True):
        assert person.problems == []
        assert person.fields.get("first_name", "") == name
        assert (person.fields["revenue"], person.fields["birthday"], person.tags) == (cents / 100, day.isoformat(), tags)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(row, min_size=2, max_size=5), decimal=st.sampled_from(".,"), order=st.sampled_from(["dmy", "mdy"]))
def test_what_leaves_no_doubt_is_guessed(rows: list[Any], decimal: str, order: str) -> None:
    assume(any(day.day > 12 for _, _, day, _ in rows))
    dialect = {
        "separator": ";",
        "quoting": csv.QUOTE_MINIMAL,
        "end": "\r\n",
        "decimal": decimal,
        "grouped": True,
        "order": order,
        "encoding": "cp1252",
    }
    plan = make_plan(written(rows, dialect), Options(MAPPING), {})
    assert (plan.reading.separator, plan.reading.decimal, plan.reading.date_order) == (";", decimal, order)
    assert (plan.reading.header_line, plan.reading.footer_rows) == (1, 0)


@pytest.mark.parametrize(
    ("cells", "order", "decimal"),
    [
        (("03/04/2025", "1,234"), None, None),
        (("13/04/2025", "1.234"), "dmy", None),
        (("03/13/2025", "0,5"), "mdy", ","),
        (("13/04/2025;04/13/2025", "1,5;2.5"), None, None),
        (("2025-01-02", "7"), None, None),
    ],
)
def test_what_leaves_a_doubt_is_asked(cells: tuple[str, str], order: str | None, decimal: str | None) -> None:
    days, figures = (cell.split(";") for cell in cells)
    lines = [f'{number}@example.org,,"{figure}",{day},' for number, (day, figure) in enumerate(zip(days, figures, strict=True))]
    plan = make_plan("\n".join([",".join(HEADER), *lines]).encode(), Options(MAPPING), {})
    assert (plan.reading.date_order, plan.reading.decimal) == (order, decimal)
    assert all(plan.why[name].message for name in ("date_order", "decimal"))
