"""Saving a template: what compiles, and where the author is told what is wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.rendering import CompiledTemplate, compile_template, render
from journeys.errors import Invalid, Issue


def mjml(body: str, head: str = "") -> str:
    """`body` stands in line 4 from column 5."""
    return f"<mjml>{f'<mj-head>{head}</mj-head>' if head else ''}<mj-body>\n<mj-section>\n<mj-column>\n    {body}\n</mj-column></mj-section></mj-body></mjml>"


def saved(body: str, head: str = "", **parts: str) -> CompiledTemplate:
    return compile_template({"default": {"subject": "Hi", "mjml": mjml(body, head), **parts}}, "email")


def problems(source: str, kind: Any = "email", **parts: str) -> list[Issue]:
    with pytest.raises(Invalid) as caught:
        compile_template({"de": {"subject": "Hi", "mjml": source, **parts} if kind == "email" else parts}, kind)
    assert caught.value.issues
    return caught.value.issues


def html(body: str, head: str = "", values: dict[str, Any] | None = None) -> str:
    return render(saved(body, head), ["en"], values or {}).html


@pytest.mark.parametrize(
    ("body", "code", "column"),
    [
        ("<mj-txt>x</mj-txt>", "tag_unknown", 5),
        ("<div>x</div>", "tag_unknown", 5),
        ("<mj-section></mj-section>", "tag_misplaced", 5),
        ("loose", "text_misplaced", 5),
        ("<mj-text>a<script>x</script></mj-text>", "tag_forbidden", 15),
        ("<mj-text><iframe></iframe></mj-text>", "tag_forbidden", 14),
        ('<mj-text><b onclick="x">a</b></mj-text>', "script", 17),
        ('<mj-text><a HREF="java&#x73;cript:x">a</a></mj-text>', "unsafe_link", 17),
        ('<mj-text><a href=" jav\nascript:x">a</a></mj-text>', "unsafe_link", 17),
        ('<mj-text><a href="data:text/html,x">a</a></mj-text>', "unsafe_link", 17),
        ('<mj-button href="vbscript:x">a</mj-button>', "unsafe_link", 16),
        ('<mj-text><p style="width: expression(1)">a</p></mj-text>', "script", 17),
        ('<mj-text><a href="/relative">a</a></mj-text>', "relative_link", 17),
        ('<mj-text font-size="{{ contact.size }}">a</mj-text>', "attribute_templated", 14),
        ('<mj-text {% if contact.x %}color="red"{% endif %}>a</mj-text>', "jinja_between_attributes", 5),
        ("<mj-text><b>x</mj-text>", "tag_crossed", 18),
        ("<mj-text>a < b</mj-text>", "bare_bracket", 16),
        ("<mj-text><a href=x>a</a></mj-text>", "tag_malformed", 14),
        ('<mj-text color="red" color="blue">a</mj-text>', "attribute_twice", 26),
        ("<mj-text><![CDATA[x]]></mj-text>", "not_allowed", 14),
        ("<mj-text>{{ contact.first_name|defalt('x') }}</mj-text>", "jinja_filter", 14),
        ("<mj-text>{{ contact.x is frob }}</mj-text>", "jinja_test", 14),
        ("<mj-text>{{ contakt.first_name }}</mj-text>", "jinja_value", 14),
        ("<mj-text>{{ contact.first_name }</mj-text>", "jinja_unclosed", 14),
        ("<mj-text>{{ 1 + }}</mj-text>", "jinja_syntax", 14),
        ("<mj-text>{% if contact.x %}</mj-text>", "jinja_syntax", 14),
        ("<mj-text>{% include 'x' %}</mj-text>", "jinja_tag", 14),
        ("<mj-text>{% macro f() %}{% endmacro %}</mj-text>", "jinja_tag", 14),
        ("<mj-text>{% raw %}x{% endraw %}</mj-text>", "jinja_tag", 14),
        ("<mj-text>{{ contact.bio|safe }}</mj-text>", "jinja_filter", 14),
    ],
)
def test_mistakes_name_their_place(body: str, code: str, column: int) -> None:
    found = problems(mjml(body))
    assert [(issue.code, issue.values["line"], issue.values["column"]) for issue in found[:1]] == [(code, 4, column)]
    assert found[0].field == "variants.de.mjml"
    assert f"line 4, column {column}" in found[0].message


def test_every_mistake_is_told_at_once() -> None:
    found = problems(mjml('<mj-txt/>\n<mj-text color="{{ contact.x }}" padding="{{ contact.x }}">a</mj-text><mj-image src="/x.png"/>'))
    assert [(issue.code, issue.values["line"]) for issue in found] == [
        ("tag_unknown", 4),
        ("attribute_templated", 5),
        ("relative_link", 5),
    ]
    assert "Did you mean <mj-text>" in found[0].message


@pytest.mark.parametrize(
    ("body", "code", "column"),
    [
        ('<mj-text colour="red">x</mj-text>', "attribute_unknown", 14),
        ('<mj-text><b foo="1">x</b></mj-text>', "attribute_unknown", 17),
        ('<mj-text><a href="webcal://e.org/c.ics">x</a></mj-text>', "webcal", 17),
        ("<mj-table><mj-raw>{% if contact.x %}</mj-raw><tr><td>x</td></tr><mj-raw>{% endif %}</mj-raw></mj-table>", "raw_unneeded", 15),
    ],
)
def test_what_has_no_effect_is_a_warning_with_its_place(body: str, code: str, column: int) -> None:
    warnings = saved(body).warnings
    assert (code, 4, column) in [(one.code, one.values.get("line"), one.values.get("column")) for one in warnings]
    assert 'foo="1"' not in html(body, values={"contact": {"x": 1}})


@pytest.mark.parametrize(
    "source",
    [
        "\ufeff<mjml><mj-body></mj-body></mjml>",
        "<?xml version='1.0'?><mjml><mj-body></mj-body></mjml>",
        '<!doctype html>\n<!-- made elsewhere --><mjml version="4.15" owa="desktop"><mj-body></mj-body></mjml>\n',
        '<mjml><mj-head><mj-raw><meta name="color-scheme" content="light dark"></mj-raw></mj-head><mj-body></mj-body></mjml>',
    ],
)
def test_what_other_tools_write_around_is_passed_over(source: str) -> None:
    compiled = compile_template({"de": {"subject": "x", "mjml": source, "text": "x"}}, "email", message_class="transactional")
    assert compiled.warnings == ()


def test_places_count_after_jinja_of_several_lines() -> None:
    found = problems(mjml("{% if contact.a\n and contact.b %}{# a\n comment #}{% endif %}<mj-bad/>"))
    assert [(issue.values["line"], issue.values["column"]) for issue in found] == [(6, 23)]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", "empty"),
        ("hello", "no_mjml"),
        ("<mjml/>", "one_body"),
        ("<mjml><mj-body></mj-body>", "tag_unclosed"),
        ("<mjml><mj-body></mj-body></mjml><p/>", "stray"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><mjml><mj-body></mj-body></mjml>', "not_allowed"),
        ("<mjml><?php echo 1 ?><mj-body></mj-body></mjml>", "not_allowed"),
        ('<mjml><mj-head><mj-include path="/etc/passwd"/></mj-head><mj-body></mj-body></mjml>', "not_available"),
        ("<mjml><mj-head><mj-html-attributes></mj-html-attributes></mj-head><mj-body></mj-body></mjml>", "not_available"),
        (
            "<mjml><mj-head><mj-attributes><mj-raw>{% if contact.a %}</mj-raw></mj-attributes></mj-head><mj-body></mj-body></mjml>",
            "jinja_syntax",
        ),
        ("<mjml><mj-body><mj-raw>" + "<b>" * 30_000, "too_deep"),
        ("<mjml><mj-body><mj-raw>" + "<br>" * 30_000 + "</mj-raw></mj-body></mjml>", "too_many_tags"),
        ("x" * 300_001, "too_large"),
        ("<mjml><mj-body>" + "<mj-hero></mj-hero>" * 9_000 + "</mj-body></mjml>", "too_large"),
        ("<mjml><mj-body>{{ " + "(" * 5_000 + "</mj-body></mjml>", "jinja_unclosed"),
        ("<mjml><mj-body>{{ " + "(" * 5_000 + ")" * 5_000 + " }}</mj-body></mjml>", "too_deep"),
        ("<mjml><mj-body>{% for a in trigger.a %}" + "{% for b in trigger.a %}" * 3 + "{% endfor %}" * 4 + "</mj-body></mjml>", "too_deep"),
        ("<mjml><mj-body>\x00</mj-body></mjml>", "control_character"),
    ],
)
def test_hostile_sources_are_refused(source: str, code: str) -> None:
    assert problems(source)[0].code == code


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"<>{}%#/=\"' -ab\n&", "mj-text", "<mj-", "{{", "}}", "{%", "%}", "{#", "#}", "href=", "if", "contact"]),
        max_size=40,
    )
)
def test_whatever_is_written_either_compiles_or_is_explained(pieces: list[str]) -> None:
    text = "".join(pieces)
    for source in (text, mjml(f"<mj-text>{text}</mj-text>"), mjml(f'<mj-text color="{text}">x</mj-text>')):
        assert all(issue.message for issue in explained(source))


def explained(source: str) -> list[Issue]:
    """The problems of a source; empty if it compiles."""
    try:
        compile_template({"default": {"subject": "x", "mjml": source}}, "email")
    except Invalid as error:
        return error.issues or [Issue(code="silent", text="")]
    return []


def test_the_shape_of_a_template_is_checked() -> None:
    for variants, kind, code in [
        ({}, "email", "no_variant"),
        ({"de": {"subject": "x"}}, "email", "empty"),
        ({"de": "x"}, "email", "type"),
        ({"de": {"text": 3}}, "sms", "type"),
        ({"xx_yy_zz_9": {"text": "x"}}, "sms", "locale"),
        ({"de": {"text": "x", "mjml": "x"}}, "sms", "part"),
        ({"de": {"subject": "a\nb", "mjml": mjml("<mj-text>x</mj-text>")}}, "email", "line_break"),
        ({"de": {"text": "x"}}, "fax", "kind"),
    ]:
        with pytest.raises(Invalid) as caught:
            compile_template(variants, kind)  # type: ignore[arg-type]
        assert caught.value.issues[0].code == code


def test_a_template_survives_the_database() -> None:
    compiled = saved("<mj-text>Hi {{ contact.first_name }}</mj-text>")
    again = CompiledTemplate.from_json("email", compiled.to_json())
    assert again.variants == compiled.variants
    assert again.fields == {"contact.first_name"}


def test_fields_are_listed() -> None:
    body = (
        '<mj-text>{{ contact.first_name }} {% for p in trigger.products %}{{ p.name }}{% endfor %} {{ trigger["cart"].total }} '
        '<a href="{{ unsubscribe_url }}">x</a></mj-text>'
    )
    compiled = saved(body, preheader="{{ contact.city }}")
    assert compiled.fields == {"contact.first_name", "contact.city", "trigger.products", "trigger.cart.total", "unsubscribe_url"}
    assert compiled.offers_unsubscribe


def test_warnings_do_not_stand_in_the_way() -> None:
    codes = {issue.code for issue in saved('<mj-image src="https://e.org/x.png"/>').warnings}
    assert codes == {"no_unsubscribe", "no_alt", "no_text"}
    large = saved("<mj-text>" + "many words " * 9_000 + '<a href="{{ unsubscribe_url }}">x</a></mj-text>')
    assert [issue.code for issue in large.warnings] == ["size"]
    quiet = compile_template({"de": {"subject": "x", "mjml": mjml("<mj-text>x</mj-text>")}}, "email", message_class="transactional")
    assert quiet.warnings == ()


def test_nobody_elses_fonts_are_loaded() -> None:
    assert "googleapis" not in html("<mj-text>x</mj-text>")


def test_a_preheader_goes_in_front_and_is_padded() -> None:
    for head in ("", "<mj-title>t</mj-title>", "<mj-preview>other</mj-preview>"):
        out = render(
            saved("<mj-text>x</mj-text>", head, preheader="Nur heute: 5 < 6 & {{ contact.x }}"), ["de"], {"contact": {"x": "<b>"}}
        ).html
        assert "Nur heute: 5 &lt; 6 &amp; &lt;b&gt;&#847;&zwnj;&nbsp;" in out
        assert "other" not in out


def test_styles_are_inlined_where_asked_and_loops_in_tables_stay() -> None:
    out = html(
        '<mj-table>{% for p in trigger.p %}<tr><td class="big">{{ p }}</td></tr>{% endfor %}</mj-table>',
        '<mj-style inline="inline">.big { color: #ff0000 }</mj-style><mj-style>.later { color: #00ff00 }</mj-style>',
        {"trigger": {"p": ["a", "b", "c"]}},
    )
    assert len(re.findall(r'<td class="big" style="color: #ff0000;?">[abc]</td>', out)) == 3
    assert ".later { color: #00ff00 }" in out


def test_the_text_part_comes_from_the_same_tree() -> None:
    compiled = saved(
        "<mj-text><h1>Hallo {{ contact.first_name }}</h1><p>Zwei&nbsp;W&ouml;rter<br>neue   Zeile</p><ul><li>eins</li><li>zwei</li></ul></mj-text>"
        '<mj-button href="https://e.org/?a=1&amp;b=2">Zum Shop</mj-button><mj-divider/><mj-image src="https://e.org/x.png" alt="Ein Bild"/>'
        '<mj-text><a href="https://e.org/">https://e.org/</a> <a href="mailto:x@e.org">Schreib uns</a></mj-text>'
    )
    assert render(compiled, [], {"contact": {"first_name": "<Anna>"}}).text == (
        "Hallo <Anna>\n\nZwei Wörter\nneue Zeile\n\n- eins\n\n- zwei\n\nZum Shop: https://e.org/?a=1&b=2\n\n"
        + "-" * 40
        + "\n\nEin Bild\n\n"
        "https://e.org/ Schreib uns: mailto:x@e.org\n"
    )


class Balanced(HTMLParser):
    """Fails if tags do not close in order."""

    VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "col"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_every_component_compiles_to_balanced_html() -> None:
    out = html(
        '<mj-text>t</mj-text><mj-button href="https://e.org/">b</mj-button><mj-image src="https://e.org/x.png" alt="i"/><mj-divider/>'
        '<mj-spacer height="5px"/><mj-table><tr><td>c</td></tr></mj-table><mj-raw><p>r</p></mj-raw>'
        '<mj-social><mj-social-element name="facebook" href="https://e.org/">f</mj-social-element></mj-social>'
        '<mj-navbar><mj-navbar-link href="https://e.org/">n</mj-navbar-link></mj-navbar>'
        "<mj-accordion><mj-accordion-element><mj-accordion-title>a</mj-accordion-title><mj-accordion-text>b</mj-accordion-text>"
        "</mj-accordion-element></mj-accordion>"
        '<mj-carousel><mj-carousel-image src="https://e.org/x.png" alt="c"/></mj-carousel>',
        '<mj-attributes><mj-all font-family="Arial"/><mj-class name="red" color="#f00"/><mj-text color="#111"/></mj-attributes>'
        '<mj-breakpoint width="320px"/><mj-font name="X" href="https://e.org/f.css"/>',
    )
    parser = Balanced()
    parser.feed(out)
    assert parser.open == []


ROOT = Path(__file__).parents[3]


def sentences() -> Iterator[str]:
    """What `activities/rendering` tells authors: the sentences that faults are made with, or that wait in tables for them."""
    for path in sorted((ROOT / "activities" / "rendering").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Fault", "Remark") and len(node.args) > 2:
                yield from texts(node.args[2])
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in (
                "text",
                "_SENTENCES",
                "_WHOLE",
                "_ONLY_ATTRIBUTES",
            ):
                yield from texts(node.value)


def texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from texts(value)


def test_every_problem_is_told_in_german() -> None:
    with (ROOT / "locales" / "de" / "LC_MESSAGES" / "pfadwerk.po").open("rb") as file:
        german = {str(message.id) for message in read_po(file, locale="de") if message.id and message.string}
    placed = " (line {line}, column {column})"
    told = set(sentences())
    assert len(told) > 40
    assert [text for text in sorted(told) if text + placed not in german and text not in german and not text.startswith("http")] == []
