"""What the hints say, and what they keep quiet about."""

from __future__ import annotations

from typing import Any

import pytest

from activities.rendering import compile_template
from activities.rendering.hints import hints, links
from journeys.errors import Issue
from locales import translator


def said(
    kind: str = "email", locale: str = "de", message_class: str = "transactional", size: int = 0, **variants: dict[str, str]
) -> list[Issue]:
    compiled = compile_template(variants, kind, message_class=message_class)  # type: ignore[arg-type]
    return hints(
        kind,
        locale,
        variants,
        compiled.variants,
        size_bytes=size,
        is_known=lambda name: name in ("first_name", "plan"),  # type: ignore[arg-type]
    )


def mail(body: str = "Hallo", **more: str) -> dict[str, str]:
    frame = f"<mjml><mj-body><mj-section><mj-column><mj-text>\n{body}</mj-text></mj-column></mj-section></mj-body></mjml>"
    return {"subject": "Hallo", "preheader": "Kurz", "mjml": frame, **more}


def codes(found: list[Issue]) -> list[str]:
    return [issue.code for issue in found]


def test_a_plain_mail_gets_no_hint() -> None:
    assert said(de=mail('Hallo {{ contact.first_name }}, <a href="https://shop.example.org/a">hier</a>')) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<a href="http://shop.example.org">x</a>', ["not_https"]),
        ('<a href="">x</a>', ["empty_link"]),
        ("<a href='#'>x</a>", ["empty_link"]),
        ('<a href="https://localhost:8000/x">x</a>', ["local_link"]),
        ('<a href="https://192.168.1.4/x">x</a>', ["local_link"]),
        ('<a href="https://shop.test/x">x</a>', ["local_link"]),
        ('<a href="https://a.example.org">x</a> <a href="https://a.example.org">y</a>', ["double_link"]),
        ('<a href="{{ unsubscribe_url }}">x</a> <a href="{{ unsubscribe_url }}">y</a>', []),
        ('<a href="mailto:a@example.org">x</a>', []),
        ("{{ contact.frist_name }}", ["unknown_field"]),
    ],
)
def test_links_and_fields(body: str, expected: list[str]) -> None:
    assert codes(said(de=mail(body))) == expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("x" * 60, []),
        ("x" * 61, ["long_subject"]),
        ("x" * 50 + " {{ contact.first_name|default('a long way to say nothing') }}", []),
        ("JETZT ZUGREIFEN", ["shouting"]),
        ("ÖBB", []),
        ("Nur heute!", []),
        ("Nur heute!!!", ["exclamation"]),
        ("GRATIS!!!", ["shouting", "exclamation"]),
    ],
)
def test_subjects(subject: str, expected: list[str]) -> None:
    assert codes(said(de=mail(subject=subject))) == expected


def test_a_hint_on_a_link_knows_its_place() -> None:
    [issue] = said(de=mail('{{ contact.first_name }} <a href="http://shop.example.org">x</a>'))
    assert (issue.values["line"], issue.values["column"]) == (2, 35)
    assert issue.field == "variants.de.mjml"


def test_size_preheader_and_languages_that_drifted_apart() -> None:
    found = said(size=95_400, de=mail(preheader=""), en=mail("{{ contact.plan }}", text="Hello"))
    assert codes(found) == ["size", "no_preheader", "lacks_field", "lacks_part"]
    assert "95 kB" in found[0].message
    assert "contact.plan" in found[2].message


def test_a_text_for_phones_has_no_subject_to_judge() -> None:
    assert said("sms", de={"text": "Ihr Paket kommt heute."}) == []


def test_links_are_listed_as_written_and_not_from_what_cannot_be_read() -> None:
    assert [one.target for one in links('<a href="https://a.org/{{ trigger.id|default("x") }}">')] == [
        'https://a.org/{{ trigger.id|default("x") }}'
    ]
    assert links('<a href="{{ open">') == []
    assert len(links('<a href="https://a.org">' * 500)) == 200


def test_every_hint_speaks_german() -> None:
    broken: dict[str, Any] = {
        "de": mail(
            '{{ contact.x }} <a href="">a</a><a href="http://a.org">b</a><a href="https://localhost">c</a><a href="https://b.org">d</a>'
            '<a href="https://b.org">e</a>',
            subject="A" * 70 + "!!",
            preheader="",
        ),
        "en": mail("{{ contact.plan }}", text="x"),
    }
    german = translator("de")
    found = said(size=99_000, **broken)
    assert len(codes(found)) == 12
    assert [issue.code for issue in found if german(issue.text) == issue.text] == []
