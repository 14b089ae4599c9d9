from __future__ import annotations

import pytest

from activities.rendering.render import render_text
from journeys.placeholders import fill, fill_json, names, unreadable
from journeys.rules import DictFacts

FACTS = DictFacts(
    {"first_name": "Ada", "visits": 3, "vip": True, "padded": " x ", "price": 27.44, "address": {"city": "Bern"}},
    trigger={"order": {"id": "A-1"}},
)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hello {{ contact.first_name }}!", "Hello Ada!"),
        ("{{contact.visits}} visits", "3 visits"),
        ("{{ contact.vip }}", "true"),
        ("{{ contact.address.city }} {{ trigger.order.id }}", "Bern A-1"),
        ("{{ first_name }}", "Ada"),
        ("[{{ contact.nobody }}]", "[]"),
        ("{{ contact.first_name | upper }}", "ADA"),
        ("{{ contact.first_name|lower|capitalize }}", "Ada"),
        ("[{{ contact.padded|trim }}]", "[x]"),
        ("{{ contact.price|round(1) }} {{ contact.price|int }}", "27.4 27"),
        ("{{ contact.nobody|upper|default('friend') }}", "friend"),
        ("{{ contact.nobody|default(7) }} {{ contact.nobody|default(-1.5) }} {{ contact.nobody|default(true) }}", "7 -1.5 true"),
        ("{{ contact.first_name|round|default('none') }}", "none"),
        ("{{ contact.address|upper }}", "{'city': 'Bern'}"),
        ("{{ contact.first_name|shout }}", "{{ contact.first_name|shout }}"),
        ("{{ contact.first_name|upper('x') }}", "{{ contact.first_name|upper('x') }}"),
        ("{{ contact.first_name|default }}", "{{ contact.first_name|default }}"),
        ("{{ contact.price|round(99) }}", "{{ contact.price|round(99) }}"),
        ('{{ contact.nobody|default("friend") }}', "friend"),
        ("{{ contact.first_name | default('friend') }}", "Ada"),
        ("{% if x %}", "{% if x %}"),
        ("{{ }} {{}}", "{{ }} {{}}"),
    ],
)
def test_a_name_becomes_its_value(text: str, filled: str) -> None:
    assert fill(text, FACTS) == filled


def test_values_are_not_read_as_placeholders_again() -> None:
    sly = DictFacts({"first_name": "{{ contact.email }}", "email": "ada@example.com"})
    assert fill("Hello {{ contact.first_name }}", sly) == "Hello {{ contact.email }}"


def test_a_placeholder_alone_keeps_its_type() -> None:
    body = {"n": "{{ contact.visits }}", "text": "n={{ contact.visits }}", "list": ["{{ contact.vip }}", 7], "none": "{{ contact.nobody }}"}
    assert fill_json(body, FACTS) == {"n": 3, "text": "n=3", "list": [True, 7], "none": None}


def test_a_default_alone_keeps_its_type() -> None:
    given = {"n": "{{ contact.nobody|default(0) }}", "t": "{{ contact.nobody|default('0') }}", "r": "{{ contact.price|round(1) }}"}
    assert fill_json(given, FACTS) == {"n": 0, "t": "0", "r": 27.4}


WORDS = ["Ada", "x y", "", 27.45, 12]
NUMBERS = ["3.14159", "-7", " 2.5 ", 27.45, 12, 2.5]
SAME = [
    *((filter, value) for filter in ("upper", "lower", "capitalize", "trim", "default('x')", "default(3)") for value in WORDS),
    *((filter, value) for filter in ("round", "round(1)", "int") for value in NUMBERS),
]


@pytest.mark.parametrize(("filter", "value"), SAME)
def test_a_filter_gives_what_it_gives_in_templates(filter: str, value: object) -> None:
    source = f"{{{{ contact.field|{filter} }}}}"
    assert fill(source, DictFacts({"field": value})) == render_text(source, {"contact": {"field": value}}).text


def test_what_is_no_placeholder_is_found() -> None:
    given = {"a": "{{ contact.x|shout }} {{ contact.y }}", "b": ["{{ 7 }}", "{% if %}", "{{ }}"]}
    assert list(unreadable(given)) == ["{{ contact.x|shout }}", "{{ 7 }}", "{{ }}"]


def test_names_are_found_everywhere() -> None:
    assert list(names({"a": ["{{ contact.x }}", {"b": "{{ trigger.y }} {{ z }}"}], "c": 1})) == ["contact.x", "trigger.y", "z"]
