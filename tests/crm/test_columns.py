from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.columns import Columns, Person, RowProblem, Said, guess, instant_of, slug_of
from journeys.errors import Invalid

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def read(row: dict[str, str], mapping: dict[str, str] | None = None, **options: Any) -> Person:
    return Columns(list(row), mapping, **options).read(list(row.values()), NOW)


def test_headers_are_guessed_in_two_languages() -> None:
    assert guess(
        ["E-Mail", "Vorname", "Last Name", "Kundennummer", "Größe (cm)", "external:shop", "firstName", "", "consent_email_marketing"]
    ) == {
        "E-Mail": "email",
        "Vorname": "first_name",
        "Last Name": "last_name",
        "Kundennummer": "user_id",
        "Größe (cm)": "groesse_cm",
        "external:shop": "external:shop",
        "firstName": "first_name",
        "consent_email_marketing": "consent_email_marketing",
    }


def test_a_row_is_a_person() -> None:
    person = read(
        {
            "email": " Anna@Example.org ",
            "First name": "Anna",
            "plan": "",
            "Orders": "5",
            "VIP": "ja",
            "since": "1.3.2026",
            "Tags": "a, b;a",
            "skip me": "x",
            "consent_email_marketing": "Yes",
            "consent_email_marketing_at": "2026-01-01T10:00:00+01:00",
            "consent_email_marketing_source": "fair",
            "consent_in_app_product_news": "no",
        },
        {"Orders": "orders:number", "VIP": "vip:boolean", "skip me": ""},
        types={"since": "date"},
    )
    assert person == Person(
        names=[("email", "anna@example.org")],
        fields={"email": "Anna@Example.org", "first_name": "Anna", "orders": 5, "vip": True, "since": "2026-03-01"},
        tags=["a", "b"],
        consents=[
            Said("email", "marketing", "granted", datetime(2026, 1, 1, 9, tzinfo=UTC), "fair", ""),
            Said("in_app", "product_news", "withdrawn", None, "", ""),
        ],
    )


def test_formulas_are_text() -> None:
    person = read({"email": "a@example.org", "first_name": "=cmd|' /C calc'!A0", "note": "@SUM(1+1)"})
    assert person.fields["first_name"] == "=cmd|' /C calc'!A0"
    assert person.fields["note"] == "@SUM(1+1)"


@pytest.mark.parametrize(
    ("row", "reason", "column"),
    [
        ({"email": ""}, "no_name", ""),
        ({"email": "nonsense"}, "invalid_email", "email"),
        ({"user_id": "null"}, "placeholder", "user_id"),
        ({"email": "a@example.org", "phone": "12"}, "invalid_phone", "phone"),
        ({"email": "a@example.org", "timezone": "Mars"}, "invalid_timezone", "timezone"),
        ({"email": "a@example.org", "first_name": "x" * 300}, "too_long", "first_name"),
        ({"email": "a@example.org", "tags": "x" * 200}, "too_long", "tags"),
        ({"email": "a@example.org", "age": "old"}, "invalid_number", "age"),
        ({"email": "a@example.org", "born": "yesterday"}, "invalid_date", "born"),
        ({"email": "a@example.org", "vip": "perhaps"}, "invalid_boolean", "vip"),
        ({"email": "a@example.org", "consent_email_marketing": "perhaps"}, "invalid_consent", "consent_email_marketing"),
        ({"email": "a@example.org", "consent_email_x": "yes", "consent_email_x_at": "soon"}, "invalid_date", "consent_email_x_at"),
        ({"email": "a@example.org", "consent_email_x": "yes", "consent_email_x_at": "2030-01-01"}, "date_in_future", "consent_email_x_at"),
    ],
)
def test_a_bad_row_says_where_and_why_without_repeating_it(row: dict[str, str], reason: str, column: str) -> None:
    with pytest.raises(RowProblem) as raised:
        read(row, types={"age": "number", "born": "datetime", "vip": "boolean"})
    assert (raised.value.reason, raised.value.column) == (reason, column)
    assert str(raised.value) == reason


@pytest.mark.parametrize(
    ("header", "mapping", "codes"),
    [
        (["first_name"], {}, ["no_name"]),
        (["email", "E-Mail"], {}, ["target_twice"]),
        (["email", "email"], {}, ["column_twice"]),
        (["email", "x"], {"y": "plan"}, ["unknown_column"]),
        (["email", "created_at"], {}, ["read_only"]),
        (["email", "consent_fax_marketing"], {}, ["unknown_consent"]),
        (["email", "consent_email_marketing_at"], {}, ["consent_missing"]),
        (["plan", "created_at"], {"z": "x"}, ["no_name", "read_only", "unknown_column"]),
    ],
)
def test_bad_columns_are_told_at_once(header: list[str], mapping: dict[str, str], codes: list[str]) -> None:
    with pytest.raises(Invalid) as raised:
        Columns(header, mapping)
    assert sorted(issue.code for issue in raised.value.issues) == codes
    assert all(issue.message for issue in raised.value.issues)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01 10:30", datetime(2026, 3, 1, 10, 30, tzinfo=UTC)),
        ("2026-03-01T10:30:00+01:00", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("31.12.2025", datetime(2025, 12, 31, tzinfo=UTC)),
        ("1.2.2026 9:05", datetime(2026, 2, 1, 9, 5, tzinfo=UTC)),
        ("31.02.2026", None),
        ("03/04/2026", None),
        ("20260301", None),
        ("x" * 50, None),
    ],
)
def test_dates(text: str, instant: datetime | None) -> None:
    assert instant_of(text) == instant


@given(st.text(max_size=60))
def test_any_header_has_a_slug_and_any_text_is_a_date_or_none(text: str) -> None:
    assert slug_of(text) == slug_of(slug_of(text))
    moment = instant_of(text)
    assert moment is None or moment.utcoffset() == timedelta(0)


@given(st.lists(st.text(max_size=30), min_size=5, max_size=5))
def test_any_row_is_read_or_refused(cells: list[str]) -> None:
    columns = Columns(["email", "user_id", "n", "consent_email_marketing", "tags"], {"n": "n:number"})
    try:
        person = columns.read(cells, NOW)
    except RowProblem:
        return
    assert person.names
