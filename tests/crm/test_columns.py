from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.imports.cells import slug_of
from crm.imports.columns import Columns, Person, RowProblem, Said, guess
from crm.imports.reading import Everybody, Reading
from journeys.errors import Invalid

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def read(row: dict[str, str], mapping: dict[str, str] | None = None, **options: Any) -> Person:
    return Columns(list(row), mapping, **options).read(list(row.values()), NOW)


def test_headers_are_guessed_in_two_languages() -> None:
    assert guess(["E-Mail", "Vorname", "Kundennummer", "Größe (cm)", "external:shop", "lastName", "", "consent_email_marketing"]) == {
        "E-Mail": "email",
        "Vorname": "first_name",
        "Kundennummer": "user_id",
        "Größe (cm)": "groesse_cm",
        "external:shop": "external:shop",
        "lastName": "last_name",
        "consent_email_marketing": "consent_email_marketing",
    }


def test_what_stands_beside_a_street_is_a_postal_address() -> None:
    assert guess(["email", "Strasse", "PLZ", "Ort", "Land"]) == {
        "email": "email", "Strasse": "postal_address.line1", "PLZ": "postal_address.postal_code", "Ort": "postal_address.city",
        "Land": "postal_address.country",
    }  # fmt: skip
    assert guess(["email", "zip", "city"]) == {"email": "email", "zip": "zip", "city": "city"}
    samples = {"street": ["Weg 1"], "plz": ["01067", "8001"]}
    assert guess(["email", *samples], samples)["plz"] == "postal_address.postal_code", "no number: it may begin with a zero"
    row = {"email": "a@example.org", "street": "Weg 1", "plz": "01067", "city": "Dresden", "country": "Deutschland"}
    assert read(row).fields["postal_address.postal_code"] == "01067"
    assert read({**row, "country": "Narnia"}).problems == [("country", "invalid_postal_address")]


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
        ({"phone": "12", "plan": "pro"}, "invalid_phone", "phone"),
    ],
)
def test_only_a_row_that_names_nobody_is_refused(row: dict[str, str], reason: str, column: str) -> None:
    with pytest.raises(RowProblem) as raised:
        read(row)
    assert (raised.value.reason, raised.value.column) == (reason, column)
    assert str(raised.value) == reason


TYPES = {"age": "number", "born": "datetime", "vip": "boolean"}


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("user_id", "null", "placeholder"),
        ("phone", "12", "invalid_phone"),
        ("phone", "4,91512E+12", "digits_lost"),
        ("timezone", "Mars", "invalid_timezone"),
        ("first_name", "x" * 300, "too_long"),
        ("note", "x" * 10_001, "cell_too_long"),
        ("tags", "x" * 200, "too_long"),
        ("age", "old", "invalid_number"),
        ("age", "1,234", "ambiguous_number"),
        ("born", "yesterday", "invalid_date"),
        ("born", "03/04/2025", "ambiguous_date"),
        ("vip", "perhaps", "invalid_boolean"),
    ],
)
def test_a_cell_that_cannot_be_read_costs_its_field_only(column: str, cell: str, reason: str) -> None:
    person = read({"email": "a@example.org", column: cell, "plan": "pro"}, types=TYPES)
    assert person.fields == {"email": "a@example.org", "plan": "pro"}
    assert (person.names, person.tags, person.problems) == ([("email", "a@example.org")], [], [(column, reason)])


def test_a_bad_address_costs_the_address_where_something_else_names_the_person() -> None:
    person = read({"user_id": "u1", "email": "nonsense"})
    assert (person.names, person.fields, person.problems) == ([("user_id", "u1")], {}, [("email", "invalid_email")])


CONSENT = "consent_email_marketing"


@pytest.mark.parametrize(
    ("row", "states", "problems"),
    [
        ({CONSENT: "perhaps"}, [], [(CONSENT, "invalid_consent")]),
        ({CONSENT: "NEVER_SUBSCRIBED"}, [], []),
        ({CONSENT: "Widerrufen"}, ["withdrawn"], []),
        ({CONSENT: "yes", f"{CONSENT}_at": "soon"}, [], [(f"{CONSENT}_at", "invalid_date")]),
        ({CONSENT: "yes", f"{CONSENT}_at": "2030-01-01"}, [], [(f"{CONSENT}_at", "date_in_future")]),
        ({CONSENT: "no", f"{CONSENT}_at": "soon"}, ["withdrawn"], [(f"{CONSENT}_at", "invalid_date")]),
        ({"optout_email_marketing": "1"}, ["withdrawn"], []),
        ({"optout_email_marketing": "0"}, [], []),
        ({CONSENT: "yes", "optout_email_marketing": "yes"}, ["withdrawn"], []),
        ({CONSENT: "yes", "optout_email_marketing": "eh"}, [], [("optout_email_marketing", "invalid_boolean")]),
    ],
)
def test_what_cannot_be_read_allows_nothing_and_a_no_is_never_lost(
    row: dict[str, str], states: list[str], problems: list[tuple[str, str]]
) -> None:
    person = read({"email": "a@example.org", **row})
    assert ([said.state for said in person.consents], person.problems) == (states, problems)


AGREED = Everybody(said_at=date(2025, 3, 1), source="fair", wording="Yes, write to me.")


def test_what_everybody_agreed_to_holds_where_a_row_says_nothing_else() -> None:
    reading = Reading(everybody=(AGREED,))
    whole = read({"email": "a@example.org"}, reading=reading)
    assert whole.consents == [Said("email", "marketing", "granted", datetime(2025, 3, 1, tzinfo=UTC), "fair", "Yes, write to me.")]
    own = read({"email": "a@example.org", f"{CONSENT}_at": "2026-01-02"}, reading=reading)
    assert own.consents[0].said_at == datetime(2026, 1, 2, tzinfo=UTC)
    for column, cell in ((CONSENT, "no"), ("optout_email_marketing", "yes")):
        assert [said.state for said in read({"email": "a@example.org", column: cell}, reading=reading).consents] == ["withdrawn"]
    assert read({"email": "a@example.org", f"{CONSENT}_at": "soon"}, reading=reading).consents == []


def test_of_two_dates_of_a_consent_the_last_counts() -> None:
    mapping = {"signed up": f"{CONSENT}_at", "confirmed": f"{CONSENT}_at"}
    person = read(
        {"email": "a@example.org", "signed up": "2026-01-01", "confirmed": "2026-01-03"}, mapping, reading=Reading(everybody=(AGREED,))
    )
    assert person.consents[0].said_at == datetime(2026, 1, 3, tzinfo=UTC)


def test_an_empty_cell_leaves_its_field_or_clears_it_but_never_a_name() -> None:
    row = {"user_id": "u1", "email": "", "phone": "", "first_name": "", "plan": " ", "tags": ""}
    assert read(row).fields == {}
    assert read(row, reading=Reading(empty="clear")).fields == {"first_name": None, "plan": None}
    kept = read({"user_id": "u1", "n": "old"}, {"n": "n:number"}, reading=Reading(empty="clear"))
    assert kept.fields == {}, "what cannot be read is not empty"


def test_an_address_is_found_in_what_people_write() -> None:
    for cell in ("Ada <ada@example.org>", "mailto:ada@example.org", '"Lovelace, Ada" <ADA@example.org>'):
        assert read({"email": cell}).names == [("email", "ada@example.org")]
    several = read({"email": "ada@example.org ::: bea@example.org"})
    assert (several.names, several.problems) == ([("email", "ada@example.org")], [("email", "several_addresses")])


def test_suppressed_cells_are_filled_ones() -> None:
    found = [read({"email": "a@example.org", "suppress_email": cell}).suppress for cell in ('["USER"]', "2025-01-01", "[]", "no", "")]
    assert found == [["email"], ["email"], [], [], []]


def test_the_second_column_for_a_target_becomes_an_attribute_and_types_follow_the_values() -> None:
    samples = {
        "Born": ["1.2.1990", "32874"],
        "Sum": ["1.234,50"],
        "Zip": ["01067", "10115"],
        "Orders": ["3"],
        "Fan": ["WAHR", "nein"],
        "Mix": ["1,5", "x"],
    }
    assert guess(["email", "E-Mail", "Phone", "Mobil", "Mobile", "created_at", *samples], samples) == {
        "email": "email", "E-Mail": "e_mail", "Phone": "phone", "Mobil": "mobil", "Mobile": "mobile", "created_at": "",
        "Born": "born:date", "Sum": "sum:number", "Zip": "zip", "Orders": "orders:number", "Fan": "fan:boolean", "Mix": "mix",
    }  # fmt: skip
    assert guess(["Sum"], samples, {"sum": "string"}) == {"Sum": "sum"}, "the catalogue knows better"


@pytest.mark.parametrize(
    ("header", "mapping", "codes"),
    [
        (["first_name"], {}, ["no_name"]),
        (["email", "E-Mail"], {"E-Mail": "email", "email": "email"}, ["target_twice"]),
        (["email", "x"], {"y": "plan"}, ["unknown_column"]),
        (["email", "x"], {"x": "created_at"}, ["read_only"]),
        (["email", "consent_fax_marketing"], {}, ["unknown_consent"]),
        (["email", "consent_email_marketing_at"], {}, ["consent_missing"]),
        (["plan", "at"], {"z": "x", "at": "created_at"}, ["no_name", "read_only", "unknown_column"]),
    ],
)
def test_bad_columns_are_told_at_once(header: list[str], mapping: dict[str, str], codes: list[str]) -> None:
    with pytest.raises(Invalid) as raised:
        Columns(header, mapping)
    assert sorted(issue.code for issue in raised.value.issues) == codes
    assert all(issue.message for issue in raised.value.issues)


@given(st.text(max_size=60))
def test_any_header_has_a_slug(text: str) -> None:
    assert slug_of(text) == slug_of(slug_of(text))


@given(st.lists(st.text(max_size=30), min_size=5, max_size=5))
def test_any_row_is_read_or_refused(cells: list[str]) -> None:
    columns = Columns(["email", "user_id", "n", "consent_email_marketing", "tags"], {"n": "n:number"})
    try:
        person = columns.read(cells, NOW)
    except RowProblem:
        return
    assert person.names
