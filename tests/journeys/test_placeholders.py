from __future__ import annotations

import pytest

from journeys.placeholders import fill, fill_json, names
from journeys.rules import DictFacts

FACTS = DictFacts({"first_name": "Ada", "visits": 3, "vip": True, "address": {"city": "Bern"}}, trigger={"order": {"id": "A-1"}})


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hello {{ contact.first_name }}!", "Hello Ada!"),
        ("{{contact.visits}} visits", "3 visits"),
        ("{{ contact.vip }}", "true"),
        ("{{ contact.address.city }} {{ trigger.order.id }}", "Bern A-1"),
        ("{{ first_name }}", "Ada"),
        ("[{{ contact.nobody }}]", "[]"),
        ("{{ contact.first_name | upper }}", "{{ contact.first_name | upper }}"),
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


def test_names_are_found_everywhere() -> None:
    assert list(names({"a": ["{{ contact.x }}", {"b": "{{ trigger.y }} {{ z }}"}], "c": 1})) == ["contact.x", "trigger.y", "z"]
