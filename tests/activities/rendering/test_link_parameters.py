"""Campaign parameters on links: added where they belong, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from activities.rendering import Marks, compile_template, link_digest, render
from activities.rendering.links import with_parameters, with_parameters_in
from activities.rendering.pool import RenderPool

UTM = {"utm_source": "news & co", "utm_campaign": "frühling/1"}
QUERY = "utm_source=news%20%26%20co&utm_campaign=fr%C3%BChling%2F1"
LEFT_ALONE = frozenset({"instagram.com"})
MARKS = Marks(parameters=UTM, left_alone=LEFT_ALONE)
OWN = {f"{name}_url": f"https://us.example/{name}" for name in ("unsubscribe", "preferences", "view")}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://shop.example/a", f"https://shop.example/a?{QUERY}"),
        ("https://shop.example/a?", f"https://shop.example/a?{QUERY}"),
        ("https://shop.example/a?q=a%20b+c&z", f"https://shop.example/a?q=a%20b+c&z&{QUERY}"),
        ("https://shop.example/a?x=1&#top", f"https://shop.example/a?x=1&{QUERY}#top"),
        ("http://shop.example#a?utm_source=x", f"http://shop.example?{QUERY}#a?utm_source=x"),
        ("https://shop.example/a?b=1&UTM_source=own", "https://shop.example/a?b=1&UTM_source=own"),
        ("https://shop.example/a?not_utm_source=x", f"https://shop.example/a?not_utm_source=x&{QUERY}"),
        ("https://www.instagram.com/us", "https://www.instagram.com/us"),
        ("https://notinstagram.com/us", f"https://notinstagram.com/us?{QUERY}"),
        ("mailto:a@shop.example", "mailto:a@shop.example"),
        ("https://shop.example\\@evil.example/", "https://shop.example\\@evil.example/"),
        (f"https://shop.example/{'a' * 1_990}", f"https://shop.example/{'a' * 1_990}"),
        ("https://[shop.example/a", "https://[shop.example/a"),
        ("https://s3.example/a?X-Amz-Date=1&X-Amz-Signature=f00d", "https://s3.example/a?X-Amz-Date=1&X-Amz-Signature=f00d"),
        ("https://cdn.example/a?Expires=1&Signature=x~&Key-Pair-Id=k", "https://cdn.example/a?Expires=1&Signature=x~&Key-Pair-Id=k"),
        ("https://shop.example/a?design=x", f"https://shop.example/a?design=x&{QUERY}"),
    ],
)
def test_where_they_are_added(address: str, expected: str) -> None:
    assert with_parameters(address, UTM, LEFT_ALONE) == expected
    assert with_parameters(expected, UTM, LEFT_ALONE) == expected
    assert with_parameters(address, {}, LEFT_ALONE) == address


def test_addresses_in_plain_text() -> None:
    text = "See https://shop.example/a (or https://shop.example/b?x=1). Stop: https://us.example/unsubscribe!"
    shown = with_parameters_in(text, UTM, LEFT_ALONE, frozenset({"https://us.example/unsubscribe"}))
    assert shown == f"See https://shop.example/a?{QUERY} (or https://shop.example/b?x=1&{QUERY}). Stop: https://us.example/unsubscribe!"


def test_a_bracket_belongs_to_an_address_in_which_it_was_opened() -> None:
    text = "See https://wiki.example/Tal_(Bern) (also https://wiki.example/Tal_(Bern)), http://[x and https://wiki.example/a)."
    shown = with_parameters_in(text, UTM, LEFT_ALONE, frozenset())
    own = f"https://wiki.example/Tal_(Bern)?{QUERY}"
    assert shown == f"See {own} (also {own}), http://[x and https://wiki.example/a?{QUERY})."


MAIL = (
    '<mjml><mj-body><mj-section><mj-column><mj-button href="https://shop.example/a?x=1&amp;y={{ contact.v }}">Buy</mj-button>'
    '<mj-text><a href="{{ unsubscribe_url }}">Stop</a></mj-text></mj-column></mj-section></mj-body></mjml>'
)


def test_in_both_parts_of_a_mail_and_under_the_signature() -> None:
    compiled = compile_template({"default": {"subject": "Hi", "mjml": MAIL}}, "email")
    values = {"contact": {"v": "ü&1"}, **OWN}
    target = f"https://shop.example/a?x=1&y=ü&1&{QUERY}"
    shown = render(compiled, ["en"], values, marks=MARKS, message_class="transactional")
    assert target.replace("&", "&amp;") in shown.html
    assert target in shown.text
    assert f"{OWN['unsubscribe_url']}?" not in shown.html + shown.text
    tracked = replace(MARKS, click=lambda digest: f"https://m.example/c/{digest}")
    pool = RenderPool()
    try:
        for renders in (render, pool.render):
            found = renders(compiled, ["en"], values, marks=tracked, message_class="transactional")
            assert found.links == {link_digest(target): target}
            assert f"https://m.example/c/{link_digest(target)}" in found.html
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("kind", "parts", "part"),
    [
        ("sms", {"text": "New: https://shop.example/a"}, "text"),
        ("push", {"title": "New", "text": "Look", "url": "https://shop.example/a"}, "url"),
    ],
)
def test_on_other_channels(kind: str, parts: dict[str, str], part: str) -> None:
    found = render(compile_template({"default": parts}, kind), ["en"], OWN, marks=MARKS)
    assert f"https://shop.example/a?{QUERY}" in (found.text if part == "text" else found.parts[part])
