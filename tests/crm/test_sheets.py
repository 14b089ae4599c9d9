"""No cell of a file of ours is a formula, whatever the spreadsheet takes for a separator, and what went out comes in again as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.imports.csv_cells import cell_of, line_of, plain_of

FORMULAS = ("=", "+", "-", "@")


@pytest.mark.parametrize(
    "text",
    ["=1+1", "x;=1+1", "x;'=1+1", "x,@SUM(A1)", "a|+1", "a\t=1", "a\n=1", "a\r\n-1", ';"=1', "Zürich;=HYPERLINK(1);=2", "\t=1", "@x"],
)
def test_no_piece_of_a_cell_begins_a_formula(text: str) -> None:
    line = line_of(["name", text, "end"])
    for separator in ",;|\t":
        for row in csv.reader(io.StringIO(line), delimiter=separator):
            for cell in row:
                for piece in cell.splitlines() or [""]:
                    assert not piece.startswith(FORMULAS), (separator, row)
        for raw in line.replace("\n", separator).replace("\r", separator).split(separator):
            assert not raw.lstrip('"').startswith(FORMULAS), (separator, line)
    assert plain_of(cell_of(text)) == text or text.startswith("'")


@given(st.text(alphabet="ax;,|'\"=+-@\t\r\n", max_size=12))
def test_no_text_gets_through(text: str) -> None:
    cell = cell_of(text)
    pieces = [cell[place + 1 :].lstrip('"') for place, sign in enumerate(cell) if sign in ";,|\t\r\n"]
    assert not [piece for piece in (cell, *pieces) if piece.startswith(FORMULAS)]


@given(st.text(alphabet="ax ;,|=+-@1\uff1d", max_size=12))
def test_what_went_out_comes_in_as_it_was(text: str) -> None:
    assert plain_of(cell_of(text)) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        (" =1+1", "' =1+1"), ("\u00a0@x", "'\u00a0@x"), ("\uff1d1+1", "'\uff1d1+1"), ("a; =1", "a; '=1"), ("a;\uff1d1", "a;'\uff1d1"),
        ("a;\uff20x", "a;'\uff20x"), ("Street 1, +41 44 1", "Street 1, +41 44 1"), ("a; '=1", "a; ''=1"), ("a, '+1", "a, '+1"),
    ],
)  # fmt: skip
def test_blanks_and_wide_letters_hide_no_formula(text: str, cell: str) -> None:
    assert cell_of(text) == cell
    assert plain_of(cell) == text


def test_numbers_and_plain_texts_stay() -> None:
    assert [cell_of(value) for value in (-5, 1.5, True, None, "Ada-Maria", "a; b", "x = y", "C+")] == [
        "-5",
        "1.5",
        "true",
        "",
        "Ada-Maria",
        "a; b",
        "x = y",
        "C+",
    ]
