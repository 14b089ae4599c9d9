from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.csv_file import MAX_CELL_CHARACTERS, MAX_LINE_CHARACTERS, Line, examine, records
from journeys.errors import Invalid


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "contacts.csv"
    path.write_bytes(content)
    return path


def lines(path: Path) -> list[Line]:
    return list(records(path, examine(path)))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("email;name\na@example.org;Zoë\n".encode(), "utf-8"),
        ("email;name\na@example.org;Zoë\n".encode("utf-8-sig"), "utf-8-sig"),
        ("email;name\na@example.org;Zoë\n".encode("cp1252"), "cp1252"),
        ("email;name\na@example.org;Zoë\n".encode("utf-16"), "utf-16"),
        ("email;name\r\na@example.org;Zoë\r\n".encode(), "utf-8"),
        ("email;name\ra@example.org;Zoë".encode(), "utf-8"),
        ("email\tname\na@example.org\tZoë\n".encode(), "utf-8"),
        ('"email","name"\n"a@example.org","Zoë"\n'.encode(), "utf-8"),
    ],
)
def test_what_office_programs_write_is_read(tmp_path: Path, content: bytes, encoding: str) -> None:
    path = write(tmp_path, content)
    shape = examine(path)
    assert (shape.encoding, shape.header, shape.bytes) == (encoding, ("email", "name"), len(content))
    assert [line.cells for line in lines(path)] == [("a@example.org", "Zoë")]


def test_lines_keep_their_numbers_over_breaks_inside_cells_and_empty_lines(tmp_path: Path) -> None:
    path = write(tmp_path, b'a,b\n1,"two\nlines"\n\n,\n3,4\n')
    assert [(line.number, line.cells) for line in lines(path)] == [(2, ("1", "two\nlines")), (6, ("3", "4"))]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"1,2,3", "too_many_cells"),
        (b"1", "too_few_cells"),
        (b"1," + b"x" * (MAX_CELL_CHARACTERS + 1), "cell_too_long"),
        (b"1," + b"x" * 140_000, "unreadable"),
        (b"1," + b"x" * (MAX_LINE_CHARACTERS * 3), "line_too_long"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_read(tmp_path: Path, row: bytes, problem: str) -> None:
    path = write(tmp_path, b"a,b\n1,2\n" + row + b"\n5,6\n")
    assert [(line.number, line.problem) for line in lines(path)] == [(2, None), (3, problem), (4, None)]


def test_an_unclosed_quote_is_one_problem_not_an_exception(tmp_path: Path) -> None:
    path = write(tmp_path, b'a,b\n1,2\n"3,4\n' + b"5,6\n" * 50_000)
    found = lines(path)
    assert found[0].cells == ("1", "2")
    assert found[1].problem == "unreadable"
    assert found[1].number == 3
    assert found[-1].cells == ("5", "6")


def test_trailing_empty_cells_do_no_harm(tmp_path: Path) -> None:
    assert [line.problem for line in lines(write(tmp_path, b"a,b\n1,2,,\n"))] == [None]


@pytest.mark.parametrize("content", [b"", b"\n\n", b",,\n1,2,3\n", b",".join(b"c%d" % n for n in range(501)) + b"\n"])
def test_a_file_without_a_usable_header_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Invalid):
        examine(write(tmp_path, content))


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
    assert [line.cells for line in lines(path)] == [row for row in rows if any(row)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    try:
        shape = examine(path)
    except Invalid:
        return
    for line in records(path, shape):
        assert line.problem or len(line.cells) >= len(shape.header)
