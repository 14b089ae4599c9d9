"""Partials: put in before everything else, whole in themselves, and told with their own lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from activities.rendering import INLINE, CompiledTemplate, Kind, Library, Partial, Renderer, RenderPool
from activities.rendering.partials import MAX_DEPTH, MAX_INCLUDES, MAX_SOURCE, expand, mentioned
from journeys.errors import Invalid, Issue

Sources = str | dict[str, str]


def section(text: str) -> str:
    return f"<mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section>"


def include(key: str) -> str:
    return f'<mj-include path="partial:{key}" />'


def mail(body: str, head: str = "") -> str:
    return f"<mjml><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>"


def library(own: str = "", **sources: Sources) -> Library:
    """Partials in version 3; a plain text is the one for everybody."""
    found = (Partial(key, 3, tuple({"default": said}.items() if isinstance(said, str) else said.items())) for key, said in sources.items())
    return Library(tuple(found), tuple(sources), own)


def compiled(source: str, known: Library, kind: Kind = "email", locale: str = "de", renderer: Renderer = INLINE) -> CompiledTemplate:
    parts = {"mjml": source} if kind == "partial" else {"subject": "Hallo", "mjml": source}
    return renderer.compile_template({locale: parts}, kind, library=known)


def problems(source: str, known: Library, kind: Kind = "email", locale: str = "de") -> list[Issue]:
    with pytest.raises(Invalid) as refused:
        compiled(source, known, kind, locale)
    return refused.value.issues


@pytest.fixture
def pool() -> Iterator[RenderPool]:
    found = RenderPool()
    yield found
    found.close()


def test_a_partial_stands_where_it_is_included_and_its_version_is_remembered() -> None:
    found = compiled(mail(section("Above") + include("footer") + section("Below")), library(footer=section("{{ contact.first_name }}")))
    variant = found.variants["de"]
    assert variant.text.split() == ["Above", "{{", "contact.first_name", "}}", "Below"]
    assert found.partials == {"footer": 3}
    assert "contact.first_name" in variant.fields
    whole = compiled(mail(section("Above") + section("{{ contact.first_name }}") + section("Below")), Library())
    assert variant == whole.variants["de"]


def test_the_open_form_and_blanks_are_understood() -> None:
    source = mail("<mj-include path=' partial:footer ' >\n</mj-include >")
    assert compiled(source, library(footer=section("x"))).partials == {"footer": 3}


def test_in_the_head_and_in_a_column() -> None:
    known = library(brand='<mj-attributes><mj-text color="#123456" /></mj-attributes>', card="<mj-text>Card</mj-text>")
    source = mail(f"<mj-section><mj-column>{include('card')}</mj-column></mj-section>", include("brand"))
    html = compiled(source, known).variants["de"].html
    assert "#123456" in html
    assert "Card" in html


def test_a_loop_around_a_partial_reaches_it() -> None:
    known = library(card=section("{{ product.name }}"))
    found = compiled(mail("{% for product in trigger.products %}" + include("card") + "{% endfor %}"), known)
    assert found.variants["de"].fields == ["trigger.products"]
    assert [one.code for one in problems(mail(include("card")), known)] == ["jinja_value"]


@pytest.mark.parametrize(
    ("locale", "said"), [("de", "Deutsch"), ("de-CH", "Deutsch"), ("en", "English"), ("fr", "Others"), ("default", "Others")]
)
def test_the_language_of_the_template_picks_that_of_the_partial(locale: str, said: str) -> None:
    known = library(footer={"de": section("Deutsch"), "en": section("English"), "default": section("Others")})
    assert compiled(mail(include("footer")), known, locale=locale).variants[locale].text.strip() == said


def test_a_language_that_nobody_wrote_is_a_problem() -> None:
    (problem,) = problems(mail("\n" + include("footer")), library(footer={"de": section("x")}), locale="fr")
    assert problem.code == "partial_language"
    assert (problem.values["partial"], problem.values["locale"], problem.values["line"]) == ("footer", "fr", 2)


def test_an_unknown_partial_is_told_at_its_line() -> None:
    known = library(footer=section("x"))
    near, far = problems(mail("\n" + include("foter") + "\n  " + include("prices")), known)
    assert near.message == "There is no partial “foter”. Did you mean “footer”? (line 2, column 1)"
    assert far.message == "There is no partial “prices”. Create it under New template, Partial, with this key. (line 3, column 3)"
    assert near.field == "variants.de.mjml"


def test_all_problems_are_told_at_once_and_each_in_its_place() -> None:
    known = library(footer="\n" + section("<script>1</script>"))
    found = problems(mail(include("none") + "\n" + include("footer") + "\n<mj-nothing/>"), known)
    assert [(one.code, one.values["line"]) for one in found] == [("partial_unknown", 1), ("tag_forbidden", 2), ("tag_unknown", 3)]


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ('path="./parts/My Footer.mjml"', "not_available"),
        ('path="/etc/passwd"', "not_available"),
        ('path="https://example.org/x.mjml"', "not_available"),
        ('path=""', "not_available"),
        ("path", "partial_path"),
        ("", "partial_path"),
        ('path="partial:"', "partial_path"),
        ('path="partial:../footer"', "partial_path"),
        ('path="partial:Footer"', "partial_path"),
        ('path="partial:{{ contact.plan }}"', "partial_path"),
        ('path="partial:footer" type="css"', "attribute_unknown"),
    ],
)
def test_only_partials_are_included(attributes: str, code: str) -> None:
    assert [one.code for one in problems(mail(f"<mj-include {attributes} />"), library(footer=section("x")))] == [code]


def test_a_file_is_to_become_a_partial() -> None:
    (problem,) = problems(mail('<mj-include path="./parts/My Footer.mjml"/>'), Library())
    assert problem.message.startswith("<mj-include> reads no files: make a partial of ./parts/My Footer.mjml (New template, Partial)")
    assert 'path="partial:my-footer"' in problem.message


@pytest.mark.parametrize("held", ["text", "<mj-section></mj-section>", "{{ contact.plan }}"])
def test_an_inclusion_holds_nothing(held: str) -> None:
    source = mail(f'<mj-include path="partial:footer">{held}</mj-include>')
    assert [one.code for one in problems(source, library(footer=section("x")))] == ["text_misplaced"]


@pytest.mark.parametrize("around", ["mj-text", "mj-button", "mj-table", "mj-raw"])
def test_nothing_is_included_inside_html(around: str) -> None:
    source = mail(f"<mj-section><mj-column><{around}><b>{include('footer')}</b></{around}></mj-column></mj-section>")
    assert [one.code for one in problems(source, library(footer=section("x")))] == ["tag_misplaced"]


def test_what_is_commented_out_is_not_included() -> None:
    source = mail(f"<!-- {include('gone')} -->{{# {include('gone')} #}}{section('x')}")
    assert compiled(source, Library()).partials == {}


@pytest.mark.parametrize(
    ("partial", "code", "line"),
    [
        (section("<script>alert(1)</script>"), "tag_forbidden", 1),
        ("\n\n" + section('<a onclick="x()">y</a>'), "script", 3),
        (section('\n<a href="javascript:x">y</a>'), "unsafe_link", 2),
        ("<mj-section>", "tag_unclosed", 1),
        (section("<b>"), "tag_crossed", 1),
        ("</mj-body></mjml>", "tag_unopened", 1),
        ("\n</mj-section>" + section("x") + "<mj-section>", "tag_unopened", 2),
        (section("x") + "</mj-column></mj-section><mj-section><mj-column>", "tag_unopened", 1),
        ("<!-- from here on", "comment_unclosed", 1),
        ("-->" + section("x"), "text_misplaced", 1),
        (section("{{ contact.plan"), "jinja_unclosed", 1),
        (section("{# from here on"), "jinja_unclosed", 1),
        ("{% if contact.plan %}" + section("x"), "jinja_syntax", 1),
        ("{% endif %}{% if contact.plan %}", "jinja_syntax", 1),
        ("{% else %}", "jinja_syntax", 1),
        (section("{% raw %}"), "jinja_tag", 1),
        (section("{% include 'x' %}"), "jinja_tag", 1),
        ("<mj-raw><!--[if mso]><!--></mj-raw>", "conditional_unclosed", 1),
        ("<mj-raw><!--<![endif]--></mj-raw>", "conditional_unopened", 1),
        ("{", "text_misplaced", 1),
        ("Hello", "text_misplaced", 1),
        ("<mj-text>x</mj-text>", "tag_misplaced", 1),
        (mail(section("x")), "tag_misplaced", 1),
        ("<?xml version='1.0'?>" + section("x"), "not_allowed", 1),
        ("\n" + section("*|FNAME|*"), "foreign", 2),
        (section("{{ contct.plan }}"), "jinja_value", 1),
    ],
)
def test_a_hostile_partial_breaks_out_of_nothing(partial: str, code: str, line: int) -> None:
    """The template around it would close and open what such a partial leaves open; it is refused with its own line all the same."""
    source = mail(section("a") + "\n" + include("bad") + "\n" + section("b"))
    first = problems(source, library(bad=partial))[0]
    assert (first.code, first.values["partial"], first.values["line"]) == (code, "bad", 2)
    inner = first.values["problem"]
    assert isinstance(inner, Issue)
    assert (inner.code, inner.values["line"]) == (code, line)
    assert first.message.startswith("In the partial “bad”, included in line 2: ")


@pytest.mark.parametrize(
    ("before", "partial", "after"),
    [
        ("<mj-section>", "<mj-column></mj-column></mj-section><mj-section>", "</mj-section>"),
        ("{% if contact.plan %}", "{% else %}", "{% endif %}"),
        ("<mj-raw><!--[if mso]><!--></mj-raw>", "<mj-raw><!--<![endif]--></mj-raw>", ""),
    ],
)
def test_pieces_that_would_fit_together_are_refused_as_well(before: str, partial: str, after: str) -> None:
    assert problems(mail(before + include("bad") + after), library(bad=partial))


def test_what_follows_a_partial_keeps_its_place() -> None:
    (problem,) = problems(mail(include("long") + "\n\n  <mj-nothing/>"), library(long=section("\n" * 50)))
    assert (problem.code, problem.values["line"], problem.values["column"]) == ("tag_unknown", 3, 3)


def test_a_partial_cannot_include_itself() -> None:
    (problem,) = problems(include("footer"), library("footer", footer=section("before")), "partial")
    assert problem.message.startswith("The partial “footer” would include itself: footer → footer.")
    circle = library("a", a=section("before"), b=include("c"), c=include("a"))
    (problem,) = problems("\n" + include("b"), circle, "partial")
    assert problem.code == "partial_cycle"
    assert problem.values["line"] == 2
    assert "a → b → c → a" in problem.message
    (problem,) = problems(mail(include("b")), library(b=include("c"), c=include("b")))
    assert "b → c → b" in problem.message


def chain(length: int) -> Library:
    links = {f"p{n}": include(f"p{n + 1}") for n in range(1, length)}
    return library(**links, **{f"p{length}": section("end")})


def test_partials_stand_in_each_other_five_deep() -> None:
    assert len(compiled(mail(include("p1")), chain(MAX_DEPTH)).partials) == MAX_DEPTH
    assert [one.code for one in problems(mail(include("p1")), chain(MAX_DEPTH + 1))] == ["partial_depth"]


def test_the_number_of_inclusions_is_bounded_and_told_once() -> None:
    known = library(line="<mj-section></mj-section>")
    assert compiled(mail(include("line") * MAX_INCLUDES), known).partials == {"line": 3}
    assert [one.code for one in problems(mail(include("line") * (MAX_INCLUDES + 50)), known)] == ["too_many"]


def test_what_grows_by_itself_is_stopped() -> None:
    known = library(a=include("b") * 100, b=include("c") * 100, c=include("d") * 100, d=section("x"))
    assert "too_many" in {one.code for one in problems(mail(include("a")), known)}
    assert len(expand(mail(include("a")), "de", known).text) < MAX_SOURCE


def test_the_size_counts_with_what_is_put_in() -> None:
    known = library(big=section("x" * (MAX_SOURCE // 3)))
    (problem,) = problems(mail(include("big") * 2 + "\n" + include("big")), known)
    assert (problem.code, problem.values["line"]) == ("too_large", 2)


def test_an_archived_partial_is_still_put_in_and_told() -> None:
    known = Library((Partial("footer", 1, (("default", section("x")),), archived=True),))
    found = compiled(mail("\n" + include("footer")), known)
    assert found.partials == {"footer": 1}
    (warning,) = [one for one in found.warnings if one.code == "partial_archived"]
    assert (warning.severity, warning.values["line"]) == ("warning", 2)


@pytest.mark.parametrize(
    "source",
    [
        section("x"),
        "<mj-column><mj-text>x</mj-text></mj-column>",
        "<mj-text>x</mj-text><mj-button href='https://example.org'>y</mj-button>",
        "<mj-wrapper>" + section("x") + "</mj-wrapper>",
        "<mj-social-element name='facebook' href='https://example.org'>x</mj-social-element>",
        "<mj-navbar-link href='https://example.org'>x</mj-navbar-link>",
        "<mj-accordion-title>x</mj-accordion-title><mj-accordion-text>y</mj-accordion-text>",
        "<mj-attributes><mj-text color='red' /></mj-attributes><mj-style>.x { color: red }</mj-style>",
        "{% if contact.plan %}" + section("x") + "{% endif %}",
        include("other"),
        section("x") + include("other"),
    ],
)
def test_a_partial_alone_is_looked_at_where_it_could_stand(source: str) -> None:
    found = compiled(source, library("own", other=section("other")), "partial")
    assert found.variants["de"].html.startswith("<!doctype html>")
    assert not [one for one in found.warnings if one.code in ("no_unsubscribe", "no_text")]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (mail(section("x")), "partial_whole"),
        ("<mj-body>" + section("x") + "</mj-body>", "partial_whole"),
        ("<mj-head></mj-head>", "partial_whole"),
        (section("x") + "<mj-text>y</mj-text>", "partial_mixed"),
        ("<mj-style></mj-style>" + section("x"), "partial_mixed"),
        ("Hello", "text_misplaced"),
        ("<p>Hello</p>", "tag_unknown"),
        ("\n</mj-body></mjml>", "tag_unopened"),
    ],
)
def test_what_is_no_piece_of_a_mail_is_refused_alone(source: str, code: str) -> None:
    assert [one.code for one in problems(source, library("own"), "partial")][:1] == [code]


def test_places_in_a_partial_alone_are_its_own() -> None:
    (problem,) = problems("\n" + section("\n  <script></script>"), library("own"), "partial")
    assert (problem.values["line"], problem.values["column"]) == (3, 3)


def test_a_value_that_a_partial_is_lent_is_no_mistake_alone() -> None:
    found = compiled("\n" + section("{{ product.name }}"), library("own"), "partial")
    (warning,) = [one for one in found.warnings if one.code == "partial_value"]
    assert (warning.values["name"], warning.values["line"]) == ("product", 2)


def test_a_process_of_the_pool_says_the_same(pool: RenderPool) -> None:
    known, source = library(footer=section("x"), bad=section("<script></script>")), mail(include("footer"))
    assert compiled(source, known, renderer=pool) == compiled(source, known)
    with pytest.raises(Invalid) as refused:
        compiled(mail(include("bad")), known, renderer=pool)
    assert refused.value.issues == problems(mail(include("bad")), known)


def test_keys_are_found_in_sources() -> None:
    assert mentioned([mail(include("a")), "<mj-include path='partial:b-2'/>", "partial:c", '<mj-include path="./d.mjml"/>']) == {"a", "b-2"}
