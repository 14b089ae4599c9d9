from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.imports.csv_file import MAX_LINE_CHARACTERS, Dialect, Line, examine, records
from journeys.errors import Invalid


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "contacts.csv"
    path.write_bytes(content)
    return path


def lines(path: Path) -> list[Line]:
    return list(records(path, examine(path).shape))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("email;name\na@example.org;Zoë\n".encode(), "utf-8"),
        ("email;name\na@example.org;Zoë\n".encode("utf-8-sig"), "utf-8"),
        ("email;name\na@example.org;Zoë\n".encode("cp1252"), "cp1252"),
        ("email;name\na@example.org;Zoë\n".encode("utf-16"), "utf-16-le"),
        ("email;name\na@example.org;Zoë\n".encode("utf-16-be"), "utf-16-be"),
        ("email;name\na@example.org;Zoë\n".encode("utf-16-le"), "utf-16-le"),
        ("email;name\r\na@example.org;Zoë\r\n".encode(), "utf-8"),
        ("email;name\ra@example.org;Zoë".encode(), "utf-8"),
        ("email\tname\na@example.org\tZoë\n".encode(), "utf-8"),
        ('"email","name"\n"a@example.org","Zoë"\n'.encode(), "utf-8"),
    ],
)
def test_what_office_programs_write_is_read(tmp_path: Path, content: bytes, encoding: str) -> None:
    path = write(tmp_path, content)
    shape = examine(path).shape
    assert (shape.encoding, shape.header, shape.bytes) == (encoding, ("email", "name"), len(content))
    assert [line.cells for line in lines(path)] == [("a@example.org", "Zoë")]


def test_lines_keep_their_numbers_over_breaks_inside_cells_and_empty_lines(tmp_path: Path) -> None:
    path = write(tmp_path, b'a,b\n1,"two\nlines"\n\n,\n3,4\n')
    assert [(line.number, line.cells) for line in lines(path)] == [(2, ("1", "two\nlines")), (6, ("3", "4"))]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"1,2,3", "too_many_cells"),
        (b'1,"' + b"x" * 10 + b"\n", "unreadable"),
        (b"1," + b"x" * (MAX_LINE_CHARACTERS * 3), "line_too_long"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_read(tmp_path: Path, row: bytes, problem: str) -> None:
    path = write(tmp_path, b"a,b\n1,2\n" + row.rstrip(b"\n") + b"\n5,6\n")
    assert [(line.number, line.problem) for line in lines(path)] == [(2, None), (3, problem), (4, None)]


def test_short_rows_are_filled_up_and_empty_cells_after_the_last_column_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b,\n1,2,\n3\n4,5,,\n1," + b"x" * 1_000_000 + b"\n")
    found = lines(path)
    assert examine(path).shape.header == ("a", "b")
    assert [line.cells for line in found[:3]] == [("1", "2"), ("3", ""), ("4", "5")]
    assert len(found[3].cells[1]) == 1_000_000


@pytest.mark.parametrize("rest", [b"5,6\n", b'5,"six"\n', b'"five",6\n'])
def test_a_quote_that_is_never_closed_costs_its_own_row_only(tmp_path: Path, rest: bytes) -> None:
    path = write(tmp_path, b'a,b\n1,2\n"3,4\n' + rest * 1_000)
    found = lines(path)
    assert [(line.number, line.problem) for line in found[:3]] == [(2, None), (3, "unreadable"), (4, None)]
    assert len(found) == 1_002
    assert found[-1].cells[0].strip('"') in ("5", "five")


def test_quotes_inside_a_line_are_read_as_far_as_they_can_be(tmp_path: Path) -> None:
    path = write(tmp_path, b'a,b\n5" pipe,x\n"said ""yes""",y\n')
    assert [line.cells for line in lines(path)] == [('5" pipe', "x"), ('said "yes"', "y")]


def test_a_doubled_header_is_told_apart_and_an_unnamed_column_has_no_name(tmp_path: Path) -> None:
    assert examine(write(tmp_path, b"email,tag,,tag,tag (2),tag\na@example.org,1,2,3,4,5\n")).shape.header == (
        "email", "tag", "", "tag (2)", "tag (2) (2)", "tag (3)",
    )  # fmt: skip


def test_what_stands_before_the_header_and_after_the_rows_is_left_out(tmp_path: Path) -> None:
    report = "\nContacts of the north\nas of;1.3.2026\n\nE-Mail;Name;Stadt\nan@example.org;An;Bern\nbo@example.org;Bo\n\nTotal;2\nConfidential - do not pass on\n"
    path = write(tmp_path, report.encode())
    survey = examine(path)
    assert (survey.shape.header_line, survey.shape.footer_rows, survey.rows) == (5, 2, 2)
    assert [line.number for line in survey.left_out] == [2, 3, 9, 10]
    assert [line.cells[1] for line in records(path, survey.shape)] == ["An", "Bo"]
    kept = examine(path, Dialect(footer_rows=0))
    assert [line.number for line in records(path, kept.shape)] == [6, 7, 9, 10], "the person decides"


@pytest.mark.parametrize("last", ["cy@example.org\n", "c 12;;\n", "Cy Twombly;;\n", ";;Bern im Mai\n"])
def test_a_short_last_row_is_no_footer(tmp_path: Path, last: str) -> None:
    path = write(tmp_path, ("email;name;city\nan@example.org;An;Bern\n" + last).encode())
    assert examine(path).shape.footer_rows == 0


def test_a_file_says_its_separator_or_has_no_header_at_all(tmp_path: Path) -> None:
    said = write(tmp_path, b"sep=|\nemail|name, first\na@example.org|A, B\n")
    assert (examine(said).shape.separator, examine(said).shape.header) == ("|", ("email", "name, first"))
    bare = write(tmp_path, b"a@example.org,An\nb@example.org,Bo\n")
    shape = examine(bare).shape
    assert (shape.header, shape.header_line, len(lines(bare))) == (("A", "B"), 0, 2)
    assert examine(bare, Dialect(header_line=1)).shape.header == ("a@example.org", "An")


def test_commas_in_cells_do_not_outvote_the_separator(tmp_path: Path) -> None:
    assert examine(write(tmp_path, b"mail;sum;note\na@example.org;1,5;x, y, z\nb@example.org;2,5\n")).shape.separator == ";"


@pytest.mark.parametrize("content", [b"", b"\n\n", b",,\n", b",".join(b"c%d" % n for n in range(501)) + b"\n"])
def test_a_file_without_a_usable_header_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Invalid):
        examine(write(tmp_path, content))


@pytest.mark.parametrize("encoding", ["unicode_escape", "idna", "zlib_codec", "nonsense"])
def test_only_encodings_of_files_can_be_chosen(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(Invalid, match="encoding"):
        examine(write(tmp_path, b"email\na@example.org\n"), Dialect(encoding=encoding))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        examine(tmp_path / "nothing.csv")


cell = st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cell, cell), max_size=5), delimiter=st.sampled_from(",;\t|"))
def test_what_python_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, str]], delimiter: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([("first", "second"), *rows])
    path = write(tmp_path, text.getvalue().encode())
    shape = examine(path, Dialect(separator=delimiter, header_line=1, footer_rows=0)).shape
    assert [line.cells for line in records(path, shape)] == [row for row in rows if any(row)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=300), st.text('ab",;\n\r\x00@. ', max_size=200).map(str.encode)))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    try:
        survey = examine(path)
    except Invalid:
        return
    found = list(records(path, survey.shape))
    assert len(found) == survey.rows
    assert all(line.problem or len(line.cells) == len(survey.shape.header) for line in found)
    assert [line.number for line in found] == sorted({line.number for line in found})
