"""Filling a template in: whose values may do what, and what a template may ask for."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.rendering import Marks, RenderFailed, compile_template, link_digest, render, render_text, segments
from activities.rendering.links import hosts_in, is_ours

HEAD, TAIL = "<mjml><mj-body><mj-section><mj-column>", "</mj-column></mj-section></mj-body></mjml>"
MARKS = Marks(lambda digest: f"https://m.example/c/{digest}", "https://m.example/o/1")


def mail(body: str, values: dict[str, Any], subject: str = "Hi", marks: Marks = Marks(), **options: Any) -> Any:
    compiled = compile_template({"default": {"subject": subject, "mjml": HEAD + body + TAIL}}, "email")
    return render(compiled, options.pop("locales", ["en"]), values, marks=marks, **options)


def text(source: str, locale: str = "en", zone: str = "UTC", **values: Any) -> str:
    return render_text(source, values, locale=locale, zone=zone).text


# --- What a contact's values can do ---------------------------------------------------------------------------------


def shape(html: str) -> list[str]:
    """The tags and attributes of a document, in order."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend([tag, *(name for name, _ in attrs)])

    Reader().feed(html)
    return found


def declarations(html: str) -> list[str]:
    """Every CSS declaration in a style attribute."""
    return [part for style in re.findall(r'style="([^"]*)"', html) for part in unescape(style).split(";")]


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_value_never_becomes_markup(value: str) -> None:
    body = '<mj-text color="{{ contact.v }}">{{ contact.v }}<p title="{{ contact.v }}" style="color:{{ contact.v }}">x</p></mj-text>'
    plain = mail(body, {"contact": {"v": "x"}}).html
    out = mail(body, {"contact": {"v": value}}).html
    assert [shape(out), len(declarations(out))] == [shape(plain), len(declarations(plain))]


@given(st.text(max_size=60))
def test_a_subject_is_one_line(value: str) -> None:
    subject = mail("<mj-text>x</mj-text>", {"contact": {"v": value}}, subject="Hi {{ contact.v }}").subject
    assert not re.search(r"[\r\n\x00-\x1f\u2028\u2029]", subject)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " java\tscript:x",
        "JAVASCRIPT:x",
        "data:text/html,x",
        "//evil.example",
        "https://",
        "https://a\r\nb",
        "file:///x",
        "/x",
    ],
)
def test_an_unsafe_address_stops_the_message(url: str) -> None:
    for body in (
        '<mj-button href="{{ contact.u }}">x</mj-button>',
        '<mj-image src="{{ contact.u }}" alt="x"/>',
        '<mj-text><a href="{{ contact.u }}">x</a></mj-text>',
    ):
        with pytest.raises(RenderFailed) as caught:
            mail(body, {"contact": {"u": url}})
        assert caught.value.code == "unsafe_link"


# --- Links and tracking ---------------------------------------------------------------------------------------------


def test_links_are_replaced_and_their_targets_handed_over() -> None:
    body = (
        '<mj-button href="https://e.org/p/{{ trigger.id|urlencode }}?a=1&amp;b={{ contact.n|urlencode }}">Buy</mj-button>'
        '<mj-text><a href="{{ unsubscribe_url }}">u</a> <a href="mailto:a@e.org">m</a> <a href="#top">t</a></mj-text>'
    )
    values = {"trigger": {"id": "ä b"}, "contact": {"n": "a&b"}, "unsubscribe_url": "https://m.example/u/1"}
    out = mail(body, values, marks=MARKS)
    target = "https://e.org/p/%C3%A4%20b?a=1&b=a%26b"
    assert out.links == {link_digest(target): target}
    assert f'href="https://m.example/c/{link_digest(target)}"' in out.html
    assert f"Buy: https://m.example/c/{link_digest(target)}" in out.text
    for untouched in ('href="https://m.example/u/1"', 'href="mailto:a@e.org"', 'href="#top"'):
        assert untouched in out.html
    assert out.html.count("https://m.example/o/1") == 1
    assert out.html.index("https://m.example/o/1") > out.html.index("Buy")


def test_the_way_out_is_no_tracked_link_even_at_a_host_of_ours() -> None:
    out = mail(
        '<mj-text><a href="{{ unsubscribe_url }}">x</a></mj-text>',
        {"unsubscribe_url": "https://m.brand.example/u/1"},
        marks=replace(MARKS, domains=frozenset({"brand.example"})),
    )
    assert out.links == {}
    assert "https://m.brand.example/u/1" in out.html


def test_a_host_counts_that_is_written_out_whole() -> None:
    assert hosts_in('<a href="https://Shop.example/a?b">x</a> http://b.example:8080 (https://c.example)') == {
        "shop.example",
        "b.example",
        "c.example",
    }
    assert hosts_in("https://shop{{ x }} https://shop.example@{{ x }} https://{{ x }} https://shop.example.") == {"shop.example."}


@pytest.mark.parametrize("address", ["ftp://shop.example/", "//shop.example/", "mailto:a@shop.example", "shop.example"])
def test_what_is_no_web_address_is_none_of_ours(address: str) -> None:
    assert not is_ours(address, frozenset({"shop.example", ""}), frozenset({"shop.example"}))


BODY = '<mj-text><a href="{{ trigger.url|default("https://shop.example/cart") }}">x</a></mj-text>'


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/c/1",
        "https://SHOP.example/c/1",
        "http://shop.example:8080/?a=1",
        "https://shop.example?x",
        "https://www.brand.example/a",
        "https://brand.example/",
    ],
)
def test_a_link_to_a_host_of_ours_is_tracked_wherever_its_address_comes_from(url: str) -> None:
    out = mail(BODY, {"trigger": {"url": url}}, marks=replace(MARKS, domains=frozenset({"brand.example"})))
    assert list(out.links.values()) == [url]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://shop.example.evil.example/",
        "https://notbrand.example/",
        "https://shop.example@evil.example/",
        "https://evil.example\\@shop.example/",
        "https://evil.example/?https://shop.example/",
        "https://evil.example#@shop.example/",
        "https://xn--shop-example.example/",
    ],
)
def test_nobody_has_us_sign_a_way_to_a_host_of_theirs(url: str) -> None:
    """CWE-601: a browser's key may write events and fields, and a mail to oneself shows what they led to."""
    out = mail(BODY, {"trigger": {"url": url}}, marks=replace(MARKS, domains=frozenset({"brand.example"})))
    assert out.links == {}
    assert "m.example/c/" not in out.html + out.text


@pytest.mark.parametrize(
    "body", ["https://shop.example{{ trigger.x }}", "https://{{ trigger.x }}", "https://{{ trigger.x }}.shop.example/"]
)
def test_a_host_that_is_half_written_is_none_of_ours(body: str) -> None:
    out = mail(
        f'<mj-text><a href="{body}">x</a></mj-text>',
        {"trigger": {"x": ".evil.example" if "example{" in body else "evil.example"}},
        marks=MARKS,
    )
    assert out.links == {}


def test_without_marks_links_are_themselves_and_there_is_no_pixel() -> None:
    out = mail('<mj-button href="https://e.org/?a=1&amp;b=2">Buy</mj-button>', {})
    assert 'href="https://e.org/?a=1&amp;b=2"' in out.html
    assert out.links == {}
    assert "<img" not in out.html


def test_links_in_a_loop_are_each_their_own() -> None:
    body = '<mj-text>{% for p in trigger.p %}<a href="https://e.org/{{ p }}">{{ p }}</a>{% endfor %}</mj-text>'
    assert sorted(mail(body, {"trigger": {"p": [1, 2, 3]}}, marks=MARKS).links.values()) == [f"https://e.org/{n}" for n in (1, 2, 3)]


def test_marketing_mail_can_be_unsubscribed_by_one_click() -> None:
    values = {"unsubscribe_url": "https://m.example/u/1"}
    assert mail("<mj-text>x</mj-text>", values).headers == {
        "List-Unsubscribe": "<https://m.example/u/1>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert mail("<mj-text>x</mj-text>", values, message_class="transactional").headers == {}


# --- Languages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locales", "expected"),
    [(["de-CH"], "Grüezi"), (["de_AT"], "Hallo"), (["fr", "de"], "Hallo"), (["fr"], "Hello"), ([], "Hello"), (["DE-ch"], "Grüezi")],
)
def test_the_language_falls_back_step_by_step(locales: list[str], expected: str) -> None:
    compiled = compile_template({"de-CH": {"text": "Grüezi"}, "de": {"text": "Hallo"}, "default": {"text": "Hello"}}, "sms")
    assert render(compiled, locales, {}).text == expected


def test_html_says_its_language() -> None:
    assert '<html lang="de-CH"' in mail("<mj-text>x</mj-text>", {}, locales=["de-CH"]).html


def test_numbers_and_dates_speak_the_language() -> None:
    assert text("{{ 1499.5|money('EUR') }}", "de") == "1.499,50\xa0€"
    assert text("{{ '1499.5'|money('USD') }}", "en") == "$1,499.50"
    assert text("{{ 1234.5|number(2) }} {{ 0.25|percent }}", "de") == "1.234,50 25\xa0%"
    now = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert text("{{ now|time }} {{ now|date('long') }}", "de", "Europe/Berlin", now=now) == "01:30 29. März 2026"
    assert text("{{ '2026-12-24'|date('long') }}", "de", "America/New_York") == "24. Dezember 2026"
    assert text("{{ '2026-07-01T22:00:00Z'|date }}", "de", "Europe/Berlin") == "02.07.2026"
    assert text("{{ 1|money }}", "zz-broken") == "€1.00"


# --- What is missing ------------------------------------------------------------------------------------------------


def test_missing_values_can_be_asked_for_but_not_printed() -> None:
    contact = {"plan": None, "name": ""}
    assert text("{{ contact.first_name|default('friend') }}", contact=contact) == "friend"
    assert text("{{ contact.plan|default('free') }}{{ contact.name|d('!') }}", contact=contact) == "free!"
    assert text("{{ contact.a.b.c|default('deep') }}", contact=contact) == "deep"
    assert text("{% if contact.vip %}yes{% elif contact.plan == 'gold' %}gold{% else %}no{% endif %}", contact=contact) == "no"
    assert text("[{{ contact.plan }}]", contact=contact) == "[]"
    for source, name in [
        ("{{ contact.first_name }}", "first_name"),
        ("{{ contact.first_name|upper }}", "first_name"),
        ("{% for a in trigger.items2 %}{% endfor %}", "items2"),
    ]:
        with pytest.raises(RenderFailed) as caught:
            text(source, contact=contact, trigger={})
        assert (caught.value.code, caught.value.name) == ("missing_value", name)


def test_keys_win_over_methods() -> None:
    cart = {"items": ["a", "b"], "keys": 1, "count": 2}
    assert (
        text("{% for i in trigger.cart.items %}{{ i }}{% endfor %}{{ trigger.cart.keys }}{{ trigger.cart.count }}", trigger={"cart": cart})
        == "ab12"
    )
    assert text("{% for k, v in trigger.items() %}{{ k }}{{ v }}{% endfor %}", trigger={"a": 1}) == "a1"


# --- What a template cannot do --------------------------------------------------------------------------------------


class Account:
    """Something that must never be handed to a template; if it is, nothing of it can be used."""

    secret = "s3cret"

    def delete(self) -> str:
        return "deleted"


@pytest.mark.parametrize(
    "source",
    [
        "{{ contact.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ contact['__class__'] }}", "{{ trigger.o.delete() }}", "{{ trigger.o.secret }}",
        "{{ trigger.o }}", "{{ contact.items.__self__ }}", "{{ '{0.__class__}'.format(1) }}", "{{ ''.join }}", "{{ trigger.l }}",
        "{{ trigger.l.append(1) }}", "{{ contact.update({'a': 1}) }}", "{{ contact.pop('a') }}", "{{ range.__globals__ }}", "{{ (1).real }}",
        "{{ '%s' % 'x' }}", "{{ 'x' * 10 }}", "{{ 2 ** 9 }}", "{{ [1] + [2] }}", "{{ 10000000000 * 10000000000 }}", "{{ now.strftime('%Y') }}",
        "{{ lipsum() }}", "{{ cycler('a') }}", "{{ namespace() }}", "{{ dict() }}", "{{ contact|attr('x') }}", "{{ 'x'|center(100) }}",
        "{{ trigger.l|tojson }}", "{{ self }}", "{{ trigger.l|map('upper')|list }}", "{% for a in trigger.o %}{% endfor %}", "{{ trigger.l ~ 'x' }}",
    ],
)  # fmt: skip
def test_templates_cannot_reach_out(source: str) -> None:
    values = {"contact": {"a": 1}, "trigger": {"o": Account(), "l": [1]}, "now": datetime(2026, 1, 1, tzinfo=UTC)}
    with pytest.raises(RenderFailed) as caught:
        text(source, **values)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% endfor %}",
        "{{ range(10000000)|list }}",
        "{% for a in trigger.big %}{% for b in trigger.big %}{% endfor %}{% endfor %}",
        "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
        "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a|replace('x', 'xxxxxxxxxx') %}" * 40 + "{{ a }}",
        "{% set a = 'xxxxxxxxxx' %}" + "{% set a = [a, a]|join %}" * 40 + "{{ a }}",
        "{% for a in range(9999) %}{{ trigger.long }}{% endfor %}",
    ],
)
def test_templates_cannot_grow_or_run_without_end(source: str) -> None:
    with pytest.raises(RenderFailed) as caught:
        text(source, trigger={"big": list(range(5_000)), "long": "x" * 1_000})
    assert caught.value.code == "too_long"


def test_a_failure_says_nothing_about_the_contact() -> None:
    for source in (
        "{{ contact.name|money }}",
        "{{ contact.name|date }}",
        "{{ contact.name + 1 }}",
        "{{ contact[contact.name] }}",
        "{{ contact.name|round }}",
    ):
        with pytest.raises(RenderFailed) as caught:
            text(source, contact={"name": "Anna Muster"})
        assert "Muster" not in f"{caught.value!r}{caught.value.__cause__}"


def test_one_rendering_does_not_use_up_the_next_ones_budget() -> None:
    for _ in range(3):
        assert len(text("{% for a in range(9000) %}x{% endfor %}")) == 9_000


# --- Text messages --------------------------------------------------------------------------------------------------


def test_a_text_message_is_plain_text() -> None:
    compiled = compile_template({"de": {"text": "Hi {{ contact.n }}\n"}}, "sms")
    out = render(compiled, ["de"], {"contact": {"n": "<A&B>"}, "unsubscribe_url": "https://e.org"})
    assert (out.text, out.html, out.headers) == ("Hi <A&B>", "", {})


@pytest.mark.parametrize(
    ("message", "encoding", "units", "count"),
    [
        ("", "gsm7", 0, 0),
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("a" * 306, "gsm7", 306, 2),
        ("a" * 307, "gsm7", 307, 3),
        ("€" * 80, "gsm7", 160, 1),
        ("a" * 152 + "€" + "a" * 20, "gsm7", 174, 2),
        ("Grüße ÄÖÜ", "gsm7", 9, 1),
        ("„" + "a" * 69, "ucs2", 70, 1),
        ("„" + "a" * 70, "ucs2", 71, 2),
        ("🎉" * 35, "ucs2", 70, 1),
        ("🎉" * 67, "ucs2", 134, 3),
    ],
)
def test_segments(message: str, encoding: str, units: int, count: int) -> None:
    found = segments(message)
    assert (found.encoding, found.units, found.count) == (encoding, units, count)
