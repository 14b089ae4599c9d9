"""What one cell says: numbers, dates, truth, tags and addresses, by choice and without one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.imports.cells import (
    CellProblem,
    address,
    check_phone,
    date_orders,
    day_or_moment,
    decimal_signs,
    number,
    region_of,
    salesforce_id,
    tags,
    truth,
    typed,
)


def said(work: Any, *arguments: Any) -> Any:
    """What a function answers, or the reason why it does not."""
    try:
        return work(*arguments)
    except CellProblem as problem:
        return problem.reason


@pytest.mark.parametrize(
    ("text", "open", "point", "comma"),
    [
        ("7", 7, 7, 7),
        ("1,234", "ambiguous_number", 1234, 1.234),
        ("1.234", "ambiguous_number", 1.234, 1234),
        ("-12,345", "ambiguous_number", -12345, -12.345),
        ("0,123", 0.123, "invalid_number", 0.123),
        ("1.234,56", 1234.56, "invalid_number", 1234.56),
        ("1,234.56", 1234.56, 1234.56, "invalid_number"),
        ("1,234,567", 1234567, 1234567, "invalid_number"),
        ("12,5", 12.5, "invalid_number", 12.5),
        ("CHF 1'234.50", 1234.5, 1234.5, "invalid_number"),
        ("1 234,50 €", 1234.5, "invalid_number", 1234.5),
        ("$12.50", 12.5, 12.5, "invalid_number"),
        ("Fr. 12.-", 12, 12, 12),
        ("(1,234.50)", -1234.5, -1234.5, "invalid_number"),
        ("12-", -12, -12, -12),
        ("−3", -3, -3, -3),
        ("12 %", 12, 12, 12),
        ("1.5E+03", 1500, 1500, 1500),
        ("12,34,567", "invalid_number", "invalid_number", "invalid_number"),
        ("1.2.3", "invalid_number", "invalid_number", "invalid_number"),
        ("--5", "invalid_number", "invalid_number", "invalid_number"),
        ("1234567890123456", "invalid_number", "invalid_number", "invalid_number"),
        ("9e999", "invalid_number", "invalid_number", "invalid_number"),
        ("٣", "invalid_number", "invalid_number", "invalid_number"),
        ("five", "invalid_number", "invalid_number", "invalid_number"),
    ],
)
def test_numbers(text: str, open: Any, point: Any, comma: Any) -> None:
    assert [said(number, text, sign) for sign in (None, ".", ",")] == [open, point, comma]


@pytest.mark.parametrize(
    ("text", "open", "day_first", "month_first"),
    [
        ("2026-03-01", date(2026, 3, 1), date(2026, 3, 1), date(2026, 3, 1)),
        ("2026/3/1", date(2026, 3, 1), date(2026, 3, 1), date(2026, 3, 1)),
        ("20260301", date(2026, 3, 1), date(2026, 3, 1), date(2026, 3, 1)),
        ("1.2.90", date(1990, 2, 1), date(1990, 2, 1), date(1990, 1, 2)),
        ("03/04/2025", "ambiguous_date", date(2025, 4, 3), date(2025, 3, 4)),
        ("05/05/25", date(2025, 5, 5), date(2025, 5, 5), date(2025, 5, 5)),
        ("12/31/1990", date(1990, 12, 31), "invalid_date", date(1990, 12, 31)),
        ("31-12-1990", date(1990, 12, 31), date(1990, 12, 31), "invalid_date"),
        ("1.1.29", date(2029, 1, 1), date(2029, 1, 1), date(2029, 1, 1)),
        ("1.1.30", date(1930, 1, 1), date(1930, 1, 1), date(1930, 1, 1)),
        ("32874", date(1990, 1, 1), date(1990, 1, 1), date(1990, 1, 1)),
        ("3. März 2025", date(2025, 3, 3), date(2025, 3, 3), date(2025, 3, 3)),
        ("Oct 7, 2025", date(2025, 10, 7), date(2025, 10, 7), date(2025, 10, 7)),
        ("04/17", date(1604, 4, 17), "invalid_date", date(1604, 4, 17)),
        ("--02-29", date(1604, 2, 29), date(1604, 2, 29), date(1604, 2, 29)),
        ("29.2.2025", "invalid_date", "invalid_date", "invalid_date"),
        ("1990", "invalid_date", "invalid_date", "invalid_date"),
        ("tomorrow", "invalid_date", "invalid_date", "invalid_date"),
        ("x" * 100, "invalid_date", "invalid_date", "invalid_date"),
    ],
)
def test_days(text: str, open: Any, day_first: Any, month_first: Any) -> None:
    assert [said(day_or_moment, text, order) for order in (None, "dmy", "mdy")] == [open, day_first, month_first]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01 10:30", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("1.7.2026 9:05 Uhr", datetime(2026, 7, 1, 7, 5, tzinfo=UTC)),
        ("2026-03-01T10:30:00Z", datetime(2026, 3, 1, 10, 30, tzinfo=UTC)),
        ("2026-03-01T10:30:15.5-0500", datetime(2026, 3, 1, 15, 30, 15, tzinfo=UTC)),
        ("12/31/2025 12:15 am", datetime(2025, 12, 30, 23, 15, tzinfo=UTC)),
        ("45352.5", datetime(2024, 3, 1, 11, tzinfo=UTC)),
        ("2026-03-01 25:00", "invalid_date"),
        ("2026-03-01 13:00 PM", "invalid_date"),
    ],
)
def test_times_without_a_zone_are_in_the_one_that_is_chosen(text: str, moment: Any) -> None:
    assert said(day_or_moment, text, None, "Europe/Zurich") == moment


def test_what_is_stored_is_what_triggers_compare() -> None:
    assert typed("date", "31.12.2025 23:30", None, None, "Europe/Zurich") == "2025-12-31", "the day it was there"
    assert typed("datetime", "31.12.2025 23:30", None, None, "Europe/Zurich") == "2025-12-31T22:30:00.000000Z"
    assert typed("boolean", "WAHR", None, None, "UTC") is True
    assert typed("text", "1,234", None, None, "UTC") == "1,234"


def test_guesses_look_at_what_can_be_nothing_else() -> None:
    assert [date_orders(text) for text in ("31.12.2025", "1/2/2025", "12/13/2025", "2025-01-02", "12.5", "10115", "1.2.3", "-")] == [
        {"dmy"}, {"dmy", "mdy"}, {"mdy"}, {"dmy", "mdy", "ymd"}, None, None, None, None,
    ]  # fmt: skip
    assert [decimal_signs(text) for text in ("12.5", "12,5", "1,234", "1.234.567", "7", "1.2.3", "")] == [
        {"."}, {","}, {".", ","}, {","}, None, None, None,
    ]  # fmt: skip


def test_truth_in_two_languages() -> None:
    assert [said(truth, text) for text in ("ja", "X", "1", "WAHR", "No", "nein", "0", "Falsch", "maybe", "2")] == [
        True, True, True, True, False, False, False, False, "invalid_boolean", "invalid_boolean",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a, b;a|c", ["a", "b", "c"]),
        ('"VIP","R&D; new"', ["VIP", "R&D; new"]),
        ('plain;"a ""b"""', ["plain", 'a "b"']),
        ('["x","y"]', ["x", "y"]),
        ('"never closed', ['"never closed']),
        (" ; ,", []),
    ],
)
def test_tags(text: str, found: list[str]) -> None:
    assert tags(text) == found


def test_addresses_numbers_and_ids_as_people_write_them() -> None:
    assert address("Ada <ada@example.org>") == ("ada@example.org", False)
    assert address("a@example.org; b@example.org") == ("a@example.org", True)
    assert (check_phone("0041 44 668 18 00"), said(check_phone, "4,91512E+12")) == ("+41 44 668 18 00", "digits_lost")
    assert salesforce_id("0017F00002AbCdE") == "0017F00002AbCdEQAV"
    assert (salesforce_id("0017F00002AbCdEQAV"), salesforce_id("x")) == ("0017F00002AbCdEQAV", "x")


def test_a_country_is_only_proposed_where_all_numbers_agree() -> None:
    assert region_of(["+41 44 668 18 00", "044 668 18 01"]) == "CH"
    assert region_of(["+41 44 668 18 00", "+49 30 901820", "044 668 18 01"]) is None
    assert region_of(["044 668 18 01"]) is None
    assert region_of(["+41 44 668 18 00", "(312) 345-6789"]) is None


@given(st.text("0123456789.,-+()'% EeCHF€", max_size=14), st.sampled_from([None, ".", ","]))
def test_a_choice_never_changes_a_number_that_was_clear(text: str, sign: Any) -> None:
    clear = said(number, text, None)
    chosen = said(number, text, sign)
    assert chosen in (clear, "invalid_number") or clear == "ambiguous_number"


@given(st.text(max_size=60), st.sampled_from([None, "dmy", "mdy", "ymd"]))
def test_any_text_is_read_or_refused(text: str, order: Any) -> None:
    for work, arguments in ((day_or_moment, (text, order)), (number, (text, None)), (truth, (text,)), (tags, (text,)), (address, (text,))):
        said(work, *arguments)
