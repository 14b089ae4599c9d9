"""What goes into a template comes out of the mail, and nothing else; what would not is refused with its place."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from activities.rendering import compile_template, held, mend, render, result
from activities.rendering.conditionals import outlook_view
from activities.rendering.markup import read
from activities.rendering.mjml import mjml2html
from activities.rendering.tokens import Swapped, swap
from journeys.errors import Invalid

HEAD, TAIL = "<mjml><mj-body><mj-section><mj-column>", "</mj-column></mj-section></mj-body></mjml>"


def mail(source: str, **values: Any) -> str:
    source = source if source.startswith("<mjml") else HEAD + source + TAIL
    compiled = compile_template({"default": {"subject": "s", "mjml": source, "text": "t"}}, "email", message_class="transactional")
    return render(compiled, ["en"], values).html


def codes(source: str) -> list[tuple[str, int]]:
    """(code, column) of each problem."""
    source = source if source.startswith("<mjml") else HEAD + source + TAIL
    with pytest.raises(Invalid) as caught:
        compile_template({"default": {"subject": "s", "mjml": source}}, "email")
    return [(one.code, one.values["column"]) for one in caught.value.issues]


# What is written comes out.

PIECES = [*"ab \n\t\\\"'&<>=/;:%#(),€ß", "❤️", "\u200d", "&amp;", "\\n", "\\u{fe0f}", "-->", "{ x }"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
NAMES = st.sampled_from(["title", "alt", "class", "data-x", "style", "width", "aria-label"])
INLINE = ("b", "i", "span", "em")


@st.composite
def fragments(draw: st.DrawFn, depth: int = 0) -> tuple[str, list[Any]]:
    """(source, what a parser must find): nested inline HTML with awkward attributes and texts."""
    source, expected = "", []
    for _ in range(draw(st.integers(0, 3))):
        text = draw(TEXTS)
        source += html.escape(text, quote=False)
        expected.append(text)
        if depth < 2:
            tag, attributes = (
                draw(st.sampled_from(INLINE)),
                draw(st.dictionaries(NAMES, TEXTS, max_size=3)),
            )
            quote = draw(st.sampled_from("\"'"))
            inner, found = draw(fragments(depth + 1))
            pairs = "".join(f" {name}={quote}{html.escape(value)}{quote}" for name, value in attributes.items())
            source += f"<{tag}{pairs}>{inner}</{tag}>"
            expected += [(tag, attributes), *found]
    return source, expected


def found_in(document: str, marker: str) -> list[Any]:
    """Tags, attributes and texts below the element whose id is `marker`, in order."""
    root = LexborHTMLParser(document).css_first(f"#{marker}")
    assert root is not None
    nodes = [node for node in root.traverse(include_text=True) if node.mem_id != root.mem_id]
    return [node.text_content if node.is_text_node else (node.tag, {k: v or "" for k, v in node.attributes.items()}) for node in nodes]


@settings(max_examples=120, deadline=None)
@given(
    fragments(),
    st.sampled_from(
        [
            "<mj-text>{}</mj-text>",
            "<mj-table><tr><td>{}</td></tr></mj-table>",
            "<mj-raw><tr><td>{}</td></tr></mj-raw>",
            "<mj-button>{}</mj-button>",
        ]
    ),
)
def test_html_comes_out_as_it_went_in(fragment: tuple[str, list[Any]], holder: str) -> None:
    source, expected = fragment
    found = found_in(mail(holder.format(f'<span id="marker">{source}</span>')), "marker")
    assert joined(found) == joined(expected)


def joined(parts: list[Any]) -> list[Any]:
    """Neighbouring texts as one, empty ones gone."""
    merged: list[Any] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return [part.replace("\r", "\n") if isinstance(part, str) else part for part in merged]


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_the_words_of_a_component_come_out_as_they_went_in(words: str) -> None:
    document = LexborHTMLParser(mail(f'<mj-image src="https://e.org/a.png" alt="{html.escape(words)}" title="{html.escape(words)}"/>'))
    image = document.css_first("img")
    assert image is not None
    for name in ("alt", "title"):
        assert (image.attributes.get(name) or "").split() == words.split()


def test_an_image_without_words_has_empty_ones() -> None:
    out = mail(
        '<mj-image src="https://e.org/a.png"/><mj-text><img src="https://e.org/b.png"> <img src="https://e.org/c.png" alt="c"></mj-text>'
    )
    assert re.findall(r'<img[^>]*?alt="([^"]*)"', out) == ["", "", "c"]


# Comments and conditionals.


def test_comments_do_not_reach_the_mail_and_break_nothing() -> None:
    source = (
        "<mjml><mj-head><!-- a --><mj-attributes><!-- {{ contact.gone }} --></mj-attributes></mj-head><mj-body><mj-wrapper padding='0 20px'><!-- b -->"
        "<mj-section><!-- c --><mj-column><!-- d --><mj-text>A<!-- e {{ contact.gone }} --></mj-text></mj-column></mj-section><!-- f --></mj-wrapper></mj-body></mjml>"
    )
    out = mail(source)
    assert not re.search(r"<!-- [a-f]", out)
    for view in (out, outlook_view(out)):
        assert result.see(view).text == "A"


def test_jinja_that_reaches_out_of_a_comment_stays() -> None:
    body = "<mj-text><!-- {% if contact.x %} -->yes<!-- {% else %} -->no<!-- {% endif %} --><!-- {% for a in contact.gone %}{% endfor %} --></mj-text>"
    assert result.see(mail(body, contact={"x": 1})).text == "yes"
    assert result.see(mail(body, contact={"x": 0})).text == "no"


@pytest.mark.parametrize(
    ("body", "seen", "in_outlook"),
    [
        ("<mj-text>a<!--[if mso]>b<![endif]-->c</mj-text>", "ac", "abc"),
        ("<mj-text>a<!--[if !mso]><!-->b<!--<![endif]-->c</mj-text>", "abc", "ac"),
        ("<mj-text>a<!--[if !mso]>-->b<!--<![endif]-->c</mj-text>", "abc", "ac"),
        ("<mj-text>a<![if !mso]>b<![endif]>c</mj-text>", "abc", "ac"),
        ("<mj-text>a<!--[if gte mso 12]><p>{{ contact.x }}</p><![endif]--></mj-text>", "a", "aX"),
        ("<mj-raw><!--[if mso]><p>o</p><![endif]--><!--[if !mso]><!--><p>n</p><!--<![endif]--></mj-raw>", "n", "o"),
        ("<mj-raw><!--[if mso]><tr><td>o</td></tr><![endif]--></mj-raw>", "", "o"),
    ],
)
def test_conditionals_show_to_whom_they_are_for(body: str, seen: str, in_outlook: str) -> None:
    out = mail(body, contact={"x": "X"})
    assert result.see(out).text == seen
    assert result.see(outlook_view(out)).text == in_outlook


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<mj-text><!--[if mso]>a--></mj-text>", "conditional_unclosed"),
        ("<mj-text><!--[if mso]>a --!>b<![endif]--></mj-text>", "conditional_unclosed"),
        ("<mj-text><!--[if !mso]><!-->a</mj-text>", "conditional_unclosed"),
        ("<mj-text>a<!--<![endif]--></mj-text>", "conditional_unopened"),
        ("<mj-text><!--[if !mso]><!-->a<!--[if mso]>b<![endif]--><!--<![endif]--></mj-text>", "conditional_nested"),
        ("<mj-text><!--[if mso]><mj-text>a</mj-text><![endif]--></mj-text>", "tag_misplaced"),
        ("<mj-text><!--[if mso]><script>1</script><![endif]--></mj-text>", "tag_forbidden"),
        ('<mj-text><!--[if mso]><b onclick="x">b</b><![endif]--></mj-text>', "script"),
        ('<mj-text><!--[if mso]><a href="javascript:x">b</a><![endif]--></mj-text>', "unsafe_link"),
        ("<mj-text><!--[if mso]><style>a<![endif]--></mj-text>", "style_unclosed"),
        ("<!--[if mso]>x<![endif]--><mj-text>a</mj-text>", "conditional_misplaced"),
    ],
)
def test_broken_conditionals_are_refused(body: str, code: str) -> None:
    assert codes(body)[0][0] == code


def test_a_conditional_cannot_enclose_components() -> None:
    section = "<mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>"
    source = f"<mjml><mj-body><mj-raw><!--[if !mso]><!--></mj-raw>{section}<mj-raw><!--<![endif]--></mj-raw></mj-body></mjml>"
    assert codes(source) == [("conditional_around", source.index("<!--[if") + 1)]


# What would act or show otherwise than it is written.


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('<mj-text><style><img title="</style><script>alert(1)</script>"></style></mj-text>', "tag_misplaced"),
        ("<mj-text><style>a{background:url(java\\73 cript:x)}</style></mj-text>", "script"),
        ("<mj-text><noscript><b>x</b></noscript></mj-text>", "tag_forbidden"),
        ('<mj-text><svg><a xlink:href="javascript:x">x</a></svg></mj-text>', "tag_forbidden"),
        ("<mj-text><math><mtext>x</mtext></math></mj-text>", "tag_forbidden"),
        ("<mj-text><title>x</title></mj-text>", "tag_forbidden"),
        ("<mj-text><textarea><b>x</b></textarea></mj-text>", "tag_forbidden"),
        ("<mj-text><spam>x</spam></mj-text>", "tag_forbidden"),
        ('<mj-text><meta http-equiv="refresh" content="0;url=https://e.org"></mj-text>', "tag_forbidden"),
        ('<mj-text><b style="width:ex/**/pression(1)">x</b></mj-text>', "script"),
        ('<mj-text><v:rect v:onload="x">x</v:rect></mj-text>', "script"),
        ('<mj-text><img src="data:text/html,x"></mj-text>', "unsafe_link"),
        ('<mj-text><img srcset="https://e.org/a 1x, javascript:x 2x"></mj-text>', "unsafe_link"),
        ('<mj-text><a href="java&Tab;script&colon;x">x</a></mj-text>', "unsafe_link"),
        ("<mj-text><tr><td>x</td></tr></mj-text>", "html_misplaced"),
        ("<mj-table><tr>loose<td>x</td></tr></mj-table>", "html_moved"),
        ("<mj-table><tr>{{ contact.x }}<td>x</td></tr></mj-table>", "html_moved"),
        ("{{ contact.x }}", "text_misplaced"),
        ("<mj-carousel>{% for a in contact.x %}<mj-carousel-image src='https://e.org/a' alt=''/>{% endfor %}</mj-carousel>", "jinja_misplaced"),
        ("<mj-text>a</mj-text>{% if contact.x %}</mj-column><mj-column><mj-text>b</mj-text>{% endif %}", "jinja_across"),
    ],
)  # fmt: skip
def test_what_would_come_out_otherwise_is_refused(body: str, code: str) -> None:
    found, column = codes(body)[0]
    assert found == code
    assert column > 1


@pytest.mark.parametrize("css", ["@import 'javascript:x'", "a{behavior:url(x)}", "a{-moz-binding:url(x)}", "a{width:expression(1)}"])
def test_style_sheets_only_describe(css: str) -> None:
    assert codes(f"<mjml><mj-head><mj-style>{css}</mj-style></mj-head><mj-body></mj-body></mjml>")[0][0] == "script"


@pytest.mark.parametrize(
    "address",
    ["https://", "http://", "https:///x", "https://?a=1", "https://#a", "https://https://e.org", "https://e.org:port/", "https:e.org", "mailto:", "tel:", "tel: ", "https://[x"],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_a_problem_when_saved(address: str) -> None:
    for body in (f'<mj-button href="{address}">x</mj-button>', f'<mj-text><a href="{address}">x</a></mj-text>'):
        assert [code for code, _ in codes(body)] == ["link_without_host"]


@pytest.mark.parametrize(
    "address",
    ["https://{{ contact.h }}/x", "{{ contact.u }}", "#top", "", "mailto:{{ contact.e }}", "tel:+41315550101", "https://e.org:8443/?a#b"],
)
def test_addresses_that_may_lead_somewhere_are_taken(address: str) -> None:
    assert mail(f'<mj-text><a href="{address}">x</a></mj-text>', contact={"h": "e.org", "u": "https://e.org", "e": "a@e.org"})


def test_pictures_have_whole_addresses() -> None:
    assert codes('<mj-image src="/logo.png" alt=""/>')[0][0] == "relative_link"
    assert codes('<mj-text><img src="logo.png" alt=""></mj-text>')[0][0] == "relative_link"


def test_a_navigation_completes_its_addresses_everywhere() -> None:
    source = HEAD + '<mj-navbar base-url="https://e.org"><mj-navbar-link href="/a">A</mj-navbar-link></mj-navbar>' + TAIL
    compiled = compile_template({"default": {"subject": "s", "mjml": source}}, "email", message_class="transactional")
    rendered = render(compiled, ["en"], {})
    assert 'href="https://e.org/a"' in rendered.html
    assert "A: https://e.org/a" in rendered.text


# The check itself, against a compiler that errs.

SOURCE = swap(
    HEAD.replace("<mj-section>", "<mj-section>")
    + "<mj-text>one</mj-text>{% if contact.x %}<mj-text>two <b>bold</b></mj-text>{% endif %}"
    + TAIL
)


def skeleton() -> tuple[str, held.Skeleton]:
    made = held.skeleton(read(SOURCE.text), SOURCE)
    return mjml2html(made.source, fonts={}), made


def told(compiled: str, made: held.Skeleton, swapped: Swapped = SOURCE) -> list[str]:
    return [fault.code for fault in result.skeleton_faults(compiled, made, swapped)]


def test_a_compiler_that_errs_is_found_out() -> None:
    good, made = skeleton()
    first, start, second, end = made.order
    assert told(good, made) == []
    for bad, code in (
        (good.replace(first, ""), "content_lost"),
        (good.replace(first, first * 2), "content_lost"),
        (good.replace(first, "\0").replace(second, first).replace("\0", second), "content_lost"),
        (good.replace(first, f"<!-- {first} -->"), "content_lost"),
        (good.replace(start, ""), "jinja_lost"),
        (good.replace(first, first + "--&gt;"), "result"),
        (good.replace(first, f"<mj-text>{first}</mj-text>"), "result"),
        (good.replace("<![endif]-->", "", 1), "result"),
        (good.replace("<!--[if mso | IE]>", "<!--[if mso | IE]>shown", 1), "result"),
        (good.replace(end, "").replace("</tbody>", f"</tbody></table>{end}<table><tbody>", 1), "jinja_across"),
    ):
        assert bad != good
        assert told(bad, made)[:1] == [code], bad


def test_what_is_added_after_the_skeleton_is_found_out() -> None:
    compiled, made = skeleton()
    final = held.put_back(compiled, made, frozenset())
    assert [fault.code for fault in result.whole_faults(final, compiled, made, SOURCE)] == []
    for added, code in (
        ("more", "result"),
        ("<script>1</script>", "tag_forbidden"),
        ("<input>", "tag_forbidden"),
        ('<b onclick="x"></b>', "script"),
        ('<b style="width:expression(1)"></b>', "script"),
        ('<a href="javascript:x"></a>', "unsafe_link"),
        ("<!--[if mso]><script>1</script><![endif]-->", "tag_forbidden"),
        ("<!--[if mso]>", "conditional_unclosed"),
    ):
        bad = final.replace("</body>", added + "-->" * (added == "<!--[if mso]>") + "</body>")
        assert code in [fault.code for fault in result.whole_faults(bad, compiled, made, SOURCE)], added


def test_the_gap_of_a_wrapper_is_between_its_sections() -> None:
    section = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"
    wrapper = "<mjml><mj-body><mj-wrapper gap='15px'>{}</mj-wrapper></mj-body></mjml>"
    room = mend.gap("15px").partition("<!--[if !mso]><!-->")[2]
    assert mail(wrapper.format(section.format(1))).count(room) == 0
    assert mail(wrapper.format(section.format(1) + section.format(2) + section.format(3))).count(room) == 2
    loop = "{% for n in contact.n %}" + section.format("{{ n }}") + "{% endfor %}"
    assert mail(wrapper.format(loop), contact={"n": [1, 2, 3]}).count(room) == 2
