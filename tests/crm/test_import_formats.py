"""Workbooks and JSON lines become tables of text: values and not formulas, days and not numbers, whole ids; hostile ones end in a sentence."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.xml.constants import SHARED_STRINGS, XLSX
from sqlmodel import select

from crm.imports import uploads
from crm.imports.csv_file import records
from crm.imports.formats import xlsx
from crm.imports.uploads import Draft
from crm.privacy import erasure_rest
from crm.privacy.traces import Values
from journeys.errors import Invalid
from models import Contact, Database, Import, Job, Upload
from storage import files
from storage.files import Room
from tests.crm.test_uploads import run

KEYS = (b"k" * 32,)


def workbook(*sheets: list[list[Any]], change: Callable[[Workbook], None] | None = None) -> bytes:
    book = Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Tab {number}")
        for row in rows:
            sheet.append(row)
    if change:
        change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def sent(db: Database, name: str, content: bytes, now: datetime) -> Import:
    id = uploads.receive(db, name, content, "test", now, now, Room())
    with db.read() as session:
        return session.get_one(Import, id)


def rows_of(db: Database, row: Import) -> list[tuple[int, tuple[str, ...], str | None]]:
    source, shape = uploads._file(db, row)
    return [(line.number, line.cells, line.problem) for line in records(source, shape)]


def refused(db: Database, name: str, content: bytes, now: datetime) -> str:
    with pytest.raises(Invalid) as caught:
        sent(db, name, content, now)
    with db.read() as session:
        assert session.scalars(select(Upload.id)).all() == [], "nothing of it stays"
    return str(caught.value.details["problem"])


def test_cells_of_a_workbook_are_what_a_person_sees(db: Database, now: datetime) -> None:
    header = ["email", "id", "text id", "money", "day", "at", "yes", "formula", "lost", "note"]
    values = [
        "ida@example.org", 491512345678, "00049", 1234.5, date(2025, 12, 31), datetime.fromisoformat("2025-03-01T14:30"), True, "=1+1", 12345678901234567890, "a\nb",
    ]  # fmt: skip
    row = sent(db, "Leute.XLSX", workbook([header, values, [], ["bo@example.org"]]), now)
    [(two, ida, _), (four, bo, _)] = rows_of(db, row)
    assert (two, four) == (2, 4), "lines are counted as in the sheet"
    assert ida == (
        "ida@example.org", "491512345678", "00049", "1234.5", "2025-12-31", "2025-03-01 14:30:00", "true", "", "1.23456789012346E+19", "a\u2028b",
    )  # fmt: skip
    assert bo == ("bo@example.org", *[""] * 9)
    assert row.mapping["columns"]["money"] == "money:number"
    assert uploads.reading_of(row).decimal == "."
    assert [one.was for one in uploads.preview(db, row, now)[0].cells if one.column == "note"] == ["a\u2028b"]
    assert [one.value for one in uploads.preview(db, row, now)[0].cells if one.column == "note"] == ["a\nb"]


def test_days_from_1904_are_the_same_days(db: Database, now: datetime) -> None:
    def old_mac(book: Workbook) -> None:
        book.epoch = CALENDAR_MAC_1904

    row = sent(db, "mac.xlsx", workbook([["email", "born"], ["ida@example.org", date(1990, 5, 17)]], change=old_mac), now)
    assert rows_of(db, row)[0][1] == ("ida@example.org", "1990-05-17")


def test_a_rounded_number_names_nobody(db: Database, now: datetime) -> None:
    row = sent(db, "ids.xlsx", workbook([["user_id", "name"], [12345678901234567890, "Ida"], [42, "Bo"]]), now)
    done = run(db, row.id, now, dry=True)
    assert [(error["line"], error["reason"]) for error in done.errors] == [(2, "digits_lost")]
    assert done.rows_ok == 1


def test_a_sheet_is_chosen(db: Database, now: datetime) -> None:
    def hide(book: Workbook) -> None:
        book.worksheets[1].sheet_state = "hidden"

    book = workbook(
        [], [["email"], ["no@example.org"]], [["email"], ["a@example.org"]], [["Mail", "Ort"], ["b@example.org", "Bern"]], change=hide
    )
    row = sent(db, "three.xlsx", book, now)
    assert [one.title for one in uploads.sheets_of(row)] == ["Tab 1", "Tab 3", "Tab 4"]
    assert (uploads.sheet_of(row), row.mapping["header"]) == (1, ["email"]), "the first that is a table"
    row = uploads.decide(db, row.id, Draft({}, table=2))
    assert (uploads.sheet_of(row), row.mapping["columns"]) == (2, {"Mail": "email", "Ort": "ort"})
    run(db, row.id, now, dry=True)
    run(db, row.id, now, dry=False)
    with db.read() as session:
        assert session.scalars(select(Contact.email)).all() == ["b@example.org"]
        assert session.scalars(select(Upload.id)).all() == [], "all sheets go with the end"


def test_json_lines_become_rows(db: Database, now: datetime) -> None:
    lines = [
        '{"email": "ida@example.org", "tags": ["vip", "R&D, new"], "address": {"city": "Bern"}, "n": 1.5, "x": null}',
        "{broken",
        "",
        '{"email": "bo@example.org", "ok": true, "big": 12345678901234567890}',
        "[" * 100_000,
        '{"n": NaN}',
    ]
    row = sent(db, "people.jsonl", "\n".join(lines).encode(), now)
    assert row.mapping["header"] == ["email", "tags", "address.city", "n", "x", "ok", "big"]
    assert rows_of(db, row) == [
        (1, ("ida@example.org", 'vip, "R&D, new"', "Bern", "1.5", "", "", ""), None),
        (2, (), "unreadable"),
        (4, ("bo@example.org", "", "", "", "", "true", "12345678901234567890"), None),
        (5, (), "unreadable"),
        (6, (), "unreadable"),
    ]
    done = run(db, row.id, now, dry=True)
    assert (done.rows_ok, done.rows_failed) == (2, 3)


def packed(**parts: str) -> bytes:
    """A workbook whose parts are replaced, by their short name, or added, by their whole one."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook([["email"], ["ida@example.org"]]))) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, parts.get(name.rsplit("/", 1)[-1].partition(".")[0], old.read(name)))
        for name in (name for name in parts if "/" in name):
            new.writestr(name, parts[name])
    return out.getvalue()


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (packed(sheet1=ENTITIES + SHEET.format(rows='<row r="1"><c r="A1" t="str"><v>&b;</v></c></row>')), "workbook"),
        (packed(sheet1=SHEET.format(rows='<row r="999999999"><c r="A1"><v>1</v></c></row>')), "workbook_large"),
        (packed(sheet1=SHEET.format(rows='<row r="1"><c r="ZZZZZZZZ1"><v>1</v></c></row>')), "workbook"),
        (packed(sheet1=SHEET.format(rows='<row r="x"><c r="1A"><v>1</v></c></row>')), "workbook"),
        (packed(sheet1="<worksheet"), "workbook"),
        (packed(workbook="<nothing/>"), "no_rows"),
        (b"PK\x03\x04" + b"x" * 100, "workbook"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, "old_workbook"),
        (b"email\nida@example.org\n", "workbook"),
        (workbook([[]]), "header"),
        (workbook([["email"]]), "no_rows"),
    ],
)
def test_a_hostile_workbook_ends_in_a_sentence(sqlite_db: Database, now: datetime, content: bytes, problem: str) -> None:
    assert refused(sqlite_db, "x.xlsx", content, now) == problem
    assert problem in uploads.UNUSABLE


def test_what_unpacks_to_too_much_is_refused_unread(sqlite_db: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed(theme1="x" * 200_000_000)
    assert len(bomb) < 1_000_000
    assert refused(sqlite_db, "bomb.xlsx", bomb, now) == "workbook_large"
    monkeypatch.setattr(xlsx, "MAX_CELLS", 20)
    assert refused(sqlite_db, "wide.xlsx", workbook([["email"] * 5] * 5), now) == "workbook_large"


TYPES = f"""<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Override PartName="/xl/workbook.xml" ContentType="{XLSX}"/>
<Override PartName="/xl/worksheets/texts.xml" ContentType="{SHARED_STRINGS}"/></Types>"""


@pytest.mark.parametrize(
    ("limit", "parts"),
    [
        ("MAX_WHOLE_BYTES", {"styles": " " * 40_000}),
        ("MAX_OTHER_BYTES", {"[Content_Types]": TYPES, "xl/worksheets/texts.xml": " " * 40_000}),
        ("MAX_ROW_BYTES", {"sheet1": SHEET.format(rows='<row r="1"/>' + "<x/>" * 20_000)}),
        ("MAX_ROW_BYTES", {"sheet1": SHEET.format(rows='<row r="1"/>' * 4_000)}),
    ],
)
def test_what_a_workbook_makes_a_reader_hold_is_limited(
    sqlite_db: Database, now: datetime, monkeypatch: pytest.MonkeyPatch, limit: str, parts: dict[str, str]
) -> None:
    """Counted as it is read, whatever the part is called: texts of cells among the sheets, and what a sheet has instead of rows."""
    monkeypatch.setattr(xlsx, limit, 30_000)
    row = sent(sqlite_db, "long.xlsx", workbook([["email"]] + [["ida@example.org"]] * 2_000), now)
    assert len(rows_of(sqlite_db, row)) == 2_000, "a long sheet is not held"
    with sqlite_db.write() as session:
        uploads.discard(session, row.id, "admin", now)
    assert refused(sqlite_db, "x.xlsx", packed(**parts), now) == "workbook_large"


def test_the_links_that_excel_makes_of_addresses_are_passed_over(sqlite_db: Database, now: datetime) -> None:
    row = sent(sqlite_db, "links.xlsx", packed(**{"xl/worksheets/_rels/sheet1.xml.rels": "<unread"}), now)
    assert rows_of(sqlite_db, row) == [(2, ("ida@example.org",), None)]


def test_a_half_written_sheet_and_an_unread_workbook_count_as_unfinished(sqlite_db: Database, now: datetime) -> None:
    """Whoever erases somebody meanwhile deletes them: nobody has looked into them."""
    writing = files.Writing(sqlite_db, "people.xlsx", "test", now, Room())
    writing.write(b"x" * (files.PART_BYTES + 1))
    with sqlite_db.write() as session:
        files.store(session, "other.xlsx", b"PK\x03\x04", "test", now)
        text = files.store(session, "some.csv", b"email\n", "test", now).id
        nobody = Values(frozenset({"ida@example.org"}), frozenset())
        job_id = erasure_rest.queue(session, "c", nobody, "test", now, KEYS).id
    for _ in range(20):
        with sqlite_db.read() as session:
            job = session.get_one(Job, job_id)
        erasure_rest.prepare(sqlite_db, job, KEYS)
        with sqlite_db.write() as session:
            job = session.get_one(Job, job_id)
            done = erasure_rest.page(session, job, now, KEYS)
            job.cursor = done.cursor
        if done.finished:
            break
    with sqlite_db.read() as session:
        assert set(session.scalars(select(Upload.id))) == {text}
