"""Every marketing mail says who sends it and where they are, in HTML and in text, once."""

from __future__ import annotations

from typing import Any

import pytest

from activities.rendering import compile_template, render
from activities.rendering.imprint import imprinted
from activities.rendering.render import Marks

SENDER = {
    "name": "Shop",
    "email": "shop@example.com",
    "address": "Shop & Söhne\nMusterweg 1\n8000 Zürich",
    "imprint": "https://shop.example/legal?a=1&b=2",
}
ESCAPED = "Shop &amp; Söhne"
LINK = 'href="https://shop.example/legal?a=1&amp;b=2"'


def mail(body: str = "Hello", text: str | None = None, kind: str = "email", message_class: str = "marketing", **sender: str) -> Any:
    mjml = f'<mjml><mj-body><mj-section><mj-column><mj-text>{body} <a href="{{{{ unsubscribe_url }}}}">x</a></mj-text></mj-column></mj-section></mj-body></mjml>'
    parts = {"subject": "Hi", "mjml": mjml, **({"text": text} if text else {})} if kind == "email" else {"text": body}
    values = {"sender": {**SENDER, **sender}, "unsubscribe_url": "https://m.example/u/1"}
    marks = Marks(click=lambda digest: f"https://m.example/c/{digest}", domains=frozenset({"shop.example"}))
    compiled = compile_template({"default": parts}, kind, message_class=message_class)
    return render(compiled, ["de"], values, marks=marks, message_class=message_class)


def counts(rendered: Any) -> tuple[int, int, int, int]:
    """How often postal address and imprint stand in HTML and text."""
    imprints = [SENDER["imprint"], *(target for target in rendered.links if rendered.links[target] == SENDER["imprint"])]
    return (
        rendered.html.count("Musterweg 1"),
        rendered.text.count("Musterweg 1"),
        rendered.html.count(LINK) + sum(rendered.html.count(f"/c/{one}") for one in imprints[1:]),
        sum(rendered.text.count(one) for one in imprints),
    )


def test_a_mail_that_shows_neither_gets_both_at_its_end() -> None:
    rendered = mail()
    assert counts(rendered) == (1, 1, 1, 1)
    end = rendered.html.rpartition("Hello")[2]
    assert f"{ESCAPED}<br>Musterweg 1<br>8000 Zürich<br><a {LINK}" in end
    assert end.index("Impressum</a>") < end.index("</body>")
    assert rendered.text.endswith(f"Shop & Söhne\nMusterweg 1\n8000 Zürich\nImpressum: {SENDER['imprint']}\n")


@pytest.mark.parametrize(
    "body",
    [
        "{{ sender.address }} <a href='{{ sender.imprint }}'>Impressum</a>",
        "{{ sender.address }} <a href='https://shop.example/legal?a=1&amp;b=2'>Impressum</a>",
    ],
)
def test_what_the_template_shows_is_not_shown_twice(body: str) -> None:
    assert counts(mail(body)) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    "hidden",
    [
        "<!-- {} -->",
        "<img src='https://m.example/x.png' alt='{}' />",
        '<span title="a > b {}">x</span>',
        "<span style='display:none'>{}</span>",
        "<!-- <a href='https://shop.example/legal?a=1&amp;b=2'>x</a> -->",
    ],
)
def test_what_nobody_reads_is_not_shown(hidden: str) -> None:
    where = "<!doctype html><html><head></head><body>" + hidden.format("Shop &amp; Söhne Musterweg 1 8000 Zürich") + " Hello</body></html>"
    html, _ = imprinted(where, "", {}, {"sender": SENDER}, "de")
    end = html.partition("Hello")[2]
    assert (end.count("Musterweg 1"), end.count(LINK)) == (1, 1)


def test_words_for_all_but_outlook_are_read() -> None:
    shown = f"<!--[if !mso]><!-->Shop &amp; Söhne, Musterweg 1, 8000 Zürich <a {LINK}>x</a><!--<![endif]-->"
    where = f"<html><body>{shown}</body></html>"
    assert imprinted(where, "", {}, {"sender": SENDER}, "de")[0] == where


def test_a_part_that_does_not_show_them_gets_them_though_the_other_does() -> None:
    rendered = mail("{{ sender.address }}", text="Nur Text {{ unsubscribe_url }}")
    assert counts(rendered) == (1, 1, 1, 1)


def test_an_address_behind_a_condition_that_does_not_hold_is_none() -> None:
    assert counts(mail("{% if sender.name == 'Nobody' %}{{ sender.address }}{% endif %}")) == (1, 1, 1, 1)


def test_what_is_not_set_is_left_out_and_hostile_settings_make_no_markup() -> None:
    assert counts(mail(address="", imprint="")) == (0, 0, 0, 0)
    assert "Impressum" not in mail(address="", imprint="").text
    rendered = mail(address="<script>1</script>", imprint='https://x.example/"><script>2</script>')
    assert "<script" not in rendered.html


@pytest.mark.parametrize(("kind", "message_class"), [("email", "transactional"), ("sms", "marketing")])
def test_transactional_mails_and_other_channels_stay_as_they_are(kind: str, message_class: str) -> None:
    assert counts(mail(kind=kind, message_class=message_class))[:2] == (0, 0)
