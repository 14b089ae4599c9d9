"""Postal addresses: one stored text, what its country asks for, and when two spellings are one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from journeys import postal
from journeys.channels import CHANNELS
from journeys.postal import PostalAddress, overlaid, parse
from storage import postal_addresses

CARD = CHANNELS["postcard"]
ADA = {"name": "Ada Lovelace", "line1": "Bahnhofstrasse 1", "postal_code": "8001", "city": "Zürich", "country": "CH"}


def stored(**changes: str) -> str:
    text = postal_addresses.read({**ADA, **changes})
    assert text is not None
    return text


def test_an_address_is_one_text_and_comes_back() -> None:
    assert stored() == "Ada Lovelace | Bahnhofstrasse 1 | | 8001 | Zürich | | CH"
    assert parse(stored()).parts == {**dict.fromkeys(postal.PARTS, ""), **ADA}
    assert postal_addresses.read(stored()) == stored()
    assert parse("no address") == PostalAddress()
    assert postal_addresses.read({}) is None
    assert postal_addresses.read("") is None


def test_all_parts_at_their_longest_fit_into_a_mailbox() -> None:
    longest = {part: "x" * most for part, most in postal.PARTS.items()}
    assert len(overlaid(None, {**longest, "country": "CH"}) or "") <= 320


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"street": "Weg 1", "city": "Bern", "postalCode": 3000, "country": "Schweiz"}, "| Weg 1 | | 3000 | Bern | | CH"),
        ({"street": "1 Way", "city": "Reno", "state": "NV", "zip": "89501", "country": "USA"}, "| 1 Way | | 89501 | Reno | NV | US"),
        ({"line1": "A | B", "country": "Österreich", "postal_code": "A-1010"}, "| A / B | | 1010 | | | AT"),
        ({"line1": " 10  Downing\tSt ", "postcode": "sw1a2aa", "country": "uk"}, "| 10 Downing St | | SW1A 2AA | | | GB"),
        ({"line1": "x", "postal_code": "1234ab", "country": "Netherlands"}, "| x | | 1234 AB | | | NL"),
        ({"line1": "x", "postal_code": "D-01067", "country": "Deutschland"}, "| x | | 01067 | | | DE"),
        ({"line1": "x\u200b\x00", "country": "fr"}, "| x | | | | | FR"),
    ],
)
def test_whatever_programs_call_the_parts_is_read(given: dict[str, object], expected: str) -> None:
    assert postal_addresses.read(given) == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"line1": ["x"]}, "wrong_type"), ({"line1": {"a": 1}}, "wrong_type"), ({"line1": True}, "wrong_type"), (3, "wrong_type"), ([], "wrong_type"),
        ({"line1": "x" * 61}, "too_long"), ({"line1": "x" * 10_000_000}, "too_long"), ({"country": "Narnia"}, "invalid_postal_address"),
        ("Bahnhofstrasse 1, 8001 Zürich", "invalid_postal_address"), ("||||||", "invalid_postal_address"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_a_reason(given: object, reason: str) -> None:
    with pytest.raises(postal.Unreadable) as caught:
        postal_addresses.read(given)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None), ({"name": ""}, "name"), ({"line1": ""}, "line1"), ({"city": ""}, "city"), ({"country": ""}, "country"),
        ({"postal_code": ""}, "postal_code"), ({"postal_code": "80011"}, "postal_code"),
        ({"country": "DE"}, "postal_code"), ({"country": "DE", "postal_code": "80331"}, None),
        ({"country": "AT", "postal_code": "1010"}, None), ({"country": "AT", "postal_code": "101"}, "postal_code"),
        ({"country": "FR", "postal_code": "75001"}, None), ({"country": "IT", "postal_code": "0018"}, "postal_code"),
        ({"country": "GB", "postal_code": "SW1A 1AA"}, None), ({"country": "GB", "postal_code": "8001"}, "postal_code"),
        ({"country": "US", "postal_code": "89501", "region": ""}, "region"), ({"country": "US", "postal_code": "89501-1234", "region": "NV"}, None),
        ({"country": "NL", "postal_code": "1012 AB"}, None), ({"country": "NL", "postal_code": "0012 AB"}, "postal_code"),
        ({"country": "IE", "postal_code": ""}, None), ({"country": "LI", "postal_code": "9490"}, None), ({"country": "LI", "postal_code": "8001"}, "postal_code"),
        ({"country": "AE", "postal_code": ""}, None),
    ],
)  # fmt: skip
def test_each_country_says_what_it_needs(changes: dict[str, str], problem: str | None) -> None:
    assert parse(stored(**changes)).problem() == problem
    assert CARD.problem(stored(**changes)) == (problem and f"address_incomplete_{problem}")


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({}, ["8001 Zürich"]),
        ({"country": "GB", "city": "London", "postal_code": "SW1A 1AA"}, ["London", "SW1A 1AA"]),
        ({"country": "US", "city": "Reno", "region": "NV", "postal_code": "89501"}, ["Reno, NV 89501"]),
        ({"country": "US", "city": "Reno", "postal_code": ""}, ["Reno"]),
    ],
)
def test_the_place_stands_as_its_country_writes_it(changes: dict[str, str], last: list[str]) -> None:
    assert parse(stored(**changes)).lines() == ["Ada Lovelace", "Bahnhofstrasse 1", *last]


def test_a_part_is_written_anew_and_the_others_stay() -> None:
    assert overlaid(stored(), {"city": "Basel", "postal_code": "4001"}) == stored(city="Basel", postal_code="4001")
    assert overlaid(stored(), dict.fromkeys(postal.PARTS, "")) is None


def test_two_spellings_are_one_address_and_two_people_at_one_number_are_two() -> None:
    one, two = stored(), stored(name="ADA  LOVELACE", line1="bahnhof-strasse 1.", postal_code="CH-8001")
    assert CARD.compared(one) == CARD.compared(two)
    assert CARD.compared(CARD.compared(one) or "") == CARD.compared(one)
    assert CARD.compared(stored(name="Charles Babbage")) != CARD.compared(one)
    assert CARD.compared("what somebody typed") is None


def test_the_name_on_a_card_is_the_contacts_unless_the_address_has_its_own() -> None:
    contact = SimpleNamespace(postal_address=stored(name=""), first_name="Ada", last_name="Byron")
    assert parse(CARD.address_of(contact)).name == "Ada Byron"
    contact.postal_address = stored()
    assert parse(CARD.address_of(contact)).name == "Ada Lovelace"
    contact.postal_address = None
    assert CARD.address_of(contact) is None
