"""Placeholders of other tools are named, and what is written here instead."""

from __future__ import annotations

import pytest

from activities.rendering import compile_template, foreign
from journeys.errors import Invalid


def told(text: str) -> list[tuple[str, str]]:
    return [(fault.values["language"], fault.values["instead"]) for fault in foreign.faults(text)]


@pytest.mark.parametrize(
    ("text", "language", "instead"),
    [
        ("{{#if contact.vip}}", "Handlebars", "{% if contact.vip %} … {% endif %}"),
        ("{{#unless vip}}", "Handlebars", "{% if not contact.vip %} … {% endif %}"),
        ("{{#each items}}", "Handlebars", "{% for item in trigger.items %} … {% endfor %}"),
        ("{{/each}}", "Handlebars", "{% endfor %}"),
        ("{{else}}", "Handlebars", "{% else %}"),
        ("{{{ name }}}", "Handlebars", "{{ contact.name }}"),
        ("{% assign x = 1 %}", "Liquid", "{% set name = value %}"),
        ("{% unless a %}", "Liquid", "{% if not condition %}"),
        ("{% elsif a %}", "Liquid", "{% elif condition %}"),
        ('{{ contact.first_name | default: "friend" }}', "Liquid", '{{ contact.first_name|default("friend") }}'),
        ("{{ person.first_name|default:'friend' }}", "Liquid", '{{ contact.first_name|default("friend") }}'),
        ("{% unsubscribe %}", "Klaviyo", "{{ unsubscribe_url }}"),
        ("*|FNAME|*", "Mailchimp", "{{ contact.first_name }}"),
        ("*|UNSUB|*", "Mailchimp", "{{ unsubscribe_url }}"),
        ("*|MMERGE7|*", "Mailchimp", "{{ contact.mmerge7 }}"),
        ("%recipient.city%", "Mailgun", "{{ contact.city }}"),
        ("%%=v(@name)=%%", "AMPscript", "{{ contact.first_name }}"),
        ("%%emailaddr%%", "AMPscript", "{{ contact.emailaddr }}"),
        ("${firstName}", "JavaScript", "{{ contact.first_name }}"),
        ("<%= name %>", "ERB", "{{ contact.first_name }}"),
    ],
)
def test_a_foreign_placeholder_is_named(text: str, language: str, instead: str) -> None:
    assert told(f"Hello {text}!") == [(language, instead)]


@pytest.mark.parametrize(
    "text",
    [
        "{{ contact.first_name|default('friend') }}",
        "{% if contact.x %}{{- contact.x -}}{% else %}b{% endif %}",
        "{{ elsewhere }}",
        "{# once *|FNAME|* #}",
        "<!-- once ${name} -->",
        "100 % sure, $5 {or} 6 * | * 7",
        "${{ contact.price }}",
        "{{ contact.names|join(': ') }}",
    ],
)
def test_our_own_words_are_not_taken_for_foreign(text: str) -> None:
    assert told(text) == []


def test_every_part_of_a_message_is_looked_at() -> None:
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>*|LNAME|*</mj-text></mj-column></mj-section></mj-body></mjml>"
    with pytest.raises(Invalid) as caught:
        compile_template({"de": {"subject": "*|FNAME|*", "preheader": "${x}", "mjml": mjml, "text": "{{#if x}}"}}, "email")
    assert sorted((one.code, one.field) for one in caught.value.issues) == [
        ("foreign", f"variants.de.{part}") for part in ("mjml", "preheader", "subject", "text")
    ]
    with pytest.raises(Invalid):
        compile_template({"de": {"text": "Hi %recipient.name%"}}, "sms")
