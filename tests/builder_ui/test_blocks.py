"""The tree of the block editor, by its own code in Chromium: it keeps every byte, and an edit of one block changes nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, Route

from activities.rendering import jinja, rules
from activities.rendering.partials import MAX_SOURCE
from activities.templates.layouts import layouts
from builder_ui.templates import blocks
from builder_ui.templates.protocol import KeepBlock, parse

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "builder_ui" / "frontend" / "src" / "blocks"
CORPUS = sorted((ROOT / "tests" / "activities" / "rendering" / "corpus").glob("*.mjml"))
HOST = "http://blocks.test"
BEGIN = """async () => {
  const tree = await import("/tree.js");
  const edit = await import("/edit.js");
  const rich = await import("/rich.js");
  const { Store, solid } = await import("/store.js");
  const kinds = await import("/kinds.js");
  const elements = (root) => [...tree.walk(root)].filter(({ type }) => type === "element");
  Object.assign(globalThis, { tree, edit, rich, Store, solid, kinds, elements });
  globalThis.store = (source) => new Store(source, { undo: [], redo: [], what: "", when: 0 }, () => {});
  globalThis.named = (source, name, n = 0) => elements(tree.parse(source)).filter((one) => one.name === name)[n];
}"""


@pytest.fixture(scope="module")
def sources(chrome: Browser) -> Iterator[Page]:
    """A page that holds nothing but the sources of the block editor."""
    context = chrome.new_context()

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(HOST).strip("/")
        kind = "text/javascript" if name else "text/html"
        route.fulfill(body=(SOURCES / name).read_text() if name else "<!doctype html>", content_type=f"{kind}; charset=utf-8")

    context.route(f"{HOST}/**", answer)
    page = context.new_page()
    page.goto(HOST)
    page.evaluate(BEGIN)
    yield page
    context.close()


def documents() -> list[str]:
    written = [file.read_text("utf-8") for file in CORPUS]
    written += [parts["mjml"] for layout in layouts() for parts in layout.variants.values() if "mjml" in parts]
    return [*written, *(text.replace("\n", "\r\n") for text in written[:5])]


def test_the_whole_corpus_is_printed_as_it_was_read(sources: Page) -> None:
    given_ = documents()
    assert len(given_) > 35
    assert sources.evaluate("(all) => all.map((one) => tree.print(tree.parse(one), one))", given_) == given_


JINJA = st.sampled_from(
    ['{{ contact.first_name|default("<b>\'") }}', "{# <mj-text> {% if #}", "{{ '}}' }}", '{{ "%}" }}', "{%- set x = 1 -%}", "{{ a.b }}"]
)
LOOSE = st.text(st.characters(codec="utf-8", exclude_characters="<{}\x00\r"), max_size=12)
COMMENT = st.sampled_from(["<!-- a > b -->", "<!--[if mso]><p><![endif]-->", "<!-- {% if x %} -->"])
VALUE = st.one_of(st.text(st.characters(codec="utf-8", exclude_characters='"<{}\x00\r'), max_size=8), JINJA)


@st.composite
def element(draw: st.DrawFn, depth: int = 3) -> str:
    """An element with what it holds, right or wrong as MJML."""
    name = draw(st.sampled_from(["mj-section", "mj-column", "mj-text", "mj-raw", "p", "B", "mj-unknown"]))
    attributes = draw(
        st.lists(st.tuples(st.sampled_from(["padding", "data-x", "href", "ALT"]), VALUE), max_size=3, unique_by=lambda one: one[0])
    )
    blank = draw(st.sampled_from([" ", "\n   ", "  "]))
    open_ = f"<{name}" + "".join(f'{blank}{key}="{value}"' for key, value in attributes) + draw(st.sampled_from(["", " ", "\n"]))
    if draw(st.booleans()) and depth < 3:
        return f"{open_}/>"
    parts: list[st.SearchStrategy[str]] = [LOOSE, JINJA, COMMENT]
    if depth:
        parts += [element(depth - 1), conditional(depth - 1)]
    inside = "".join(draw(st.lists(st.one_of(*parts), max_size=3)))
    return f"{open_}>{inside}</{name}>"


@st.composite
def conditional(draw: st.DrawFn, depth: int) -> str:
    inside = "".join(draw(st.lists(element(depth), min_size=1, max_size=2)))
    return draw(
        st.sampled_from(
            ["{{% if a < 3 %}}{}{{% endif %}}", "{{% for x in y %}}\n{}\n{{% endfor %}}", "{{% if a %}}{}{{% else %}}…{{% endif %}}"]
        )
    ).format(inside)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(made=st.lists(element(), min_size=5, max_size=20))
def test_whatever_is_read_is_printed_as_it_was(sources: Page, made: list[str]) -> None:
    told = sources.evaluate(
        "(all) => all.map((one) => { try { return tree.print(tree.parse(one), one); } catch (error) { return `unreadable ${error.at}`; } })",
        made,
    )
    assert told == made


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(made=st.lists(element(), min_size=3, max_size=8), value=VALUE, pick=st.integers(0, 10_000))
def test_an_edit_of_one_block_leaves_every_byte_outside_of_it(sources: Page, made: list[str], value: str, pick: int) -> None:
    found = sources.evaluate(
        """([made, value, pick]) => made.map((source) => {
          const all = elements(tree.parse(source));
          const node = all[pick % all.length];
          const before = source.slice(0, node.start), after = source.slice(node.end);
          const whole = (next) => next.startsWith(before) && next.endsWith(after) && next.length >= before.length + after.length;
          const set = edit.setAttribute(source, node, "padding", value || "1px");
          const read = tree.attribute(tree.wayTo(tree.parse(set.source), set.at).at(-1), "padding", set.source);
          const gone = edit.setAttribute(set.source, tree.wayTo(tree.parse(set.source), set.at).at(-1), "padding", "");
          const filled = edit.setInner(source, node, "x");
          const copied = edit.duplicate(source, node);
          return [whole(set.source), read === tree.unescaped(value || "1px") || read, tree.attribute(tree.wayTo(tree.parse(gone.source), gone.at).at(-1), "padding", gone.source),
            whole(filled.source), whole(copied.source), copied.source.includes(source.slice(node.start, node.end).repeat(1))];
        })""",
        [made, value, pick],
    )
    assert found == [[True, True, "", True, True, True]] * len(made)


SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(-1e9, 1e9, allow_nan=False), st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(["%}", "{% endif %}", "{{ x }}", "#}", "</mj-text>", "<b a='1'>", "\\", '\\"', "'", "jx0001xj", "\u2028\x00\r\n"]),
)  # fmt: skip
LEAF = st.fixed_dictionaries(
    {
        "field": st.text(min_size=1, max_size=8),
        "operator": st.sampled_from(["=", "in"]),
        "value": st.one_of(SCALAR, st.lists(SCALAR, max_size=3)),
    }
)
ASKED = st.recursive(
    st.one_of(LEAF, st.fixed_dictionaries({"tag": st.text(max_size=8)})),
    lambda inner: st.fixed_dictionaries(
        {"combinator": st.sampled_from(["and", "or"]), "not": st.booleans(), "rules": st.lists(inner, max_size=3)}
    ),
    max_leaves=6,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(made=st.lists(st.tuples(ASKED, ASKED), min_size=5, max_size=15))
def test_a_block_keeps_its_rule_from_the_editor_to_the_source_and_back(sources: Page, made: list[tuple[Any, Any]]) -> None:
    """Whatever a rule says: put around a block, read from the source, changed for another, taken away again."""
    told = sources.evaluate(
        """([source, made]) => made.map(([first, second]) => {
          const group = (text) => [...tree.walk(tree.parse(text))].find((one) => one.type === "group" && one.condition.startsWith("rule("));
          const wrapped = edit.wrap(source, named(source, "mj-button"), `{% if ${first} %}`, "{% endif %}").source;
          const changed = edit.setCondition(wrapped, group(wrapped), second).source;
          return {
            read: group(wrapped).condition, again: group(changed).condition, changed, printed: tree.print(tree.parse(changed), changed),
            back: edit.unwrap(changed, group(changed)).source,
          };
        })""",
        [MAIL, [[rules.written(first), rules.written(second)] for first, second in made]],
    )
    for (first, second), one in zip(made, told, strict=True):
        assert rules.text_of(jinja.rule_in(one["read"])) == rules.text_of(first)
        assert rules.text_of(jinja.rule_in(one["again"])) == rules.text_of(second)
        assert one["printed"] == one["changed"]
        assert one["back"] == MAIL
        assert jinja.rules_of([one["changed"]]) == {rules.key_of(rules.text_of(second)): rules.text_of(second)}


def test_a_condition_that_would_end_early_is_not_put_in(sources: Page) -> None:
    told = sources.evaluate(
        """(source) => {
          const group = [...tree.walk(tree.parse(source))].find((one) => one.type === "group");
          return ["a %}b", "{% x %}", "'", "{{ x }}", 'a == "%}"'].map((condition) => edit.setCondition(source, group, condition)?.source.includes(`{% if ${condition} %}`) ?? null);
        }""",
        MAIL,
    )
    assert told == [None, None, None, True, True]


MAIL = """<mjml>
  <!-- kept -->
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text  data-mine = 'yes'>One &amp; all</mj-text>
        {# a note #}
        <mj-button href="https://example.org/?a=1&amp;b=2">Go</mj-button>
      </mj-column>
    </mj-section>
    {% if contact.plan %}
    <mj-section><mj-column></mj-column></mj-section>
    {% endif %}
  </mj-body>
</mjml>
"""


def tight(source: str) -> str:
    """Without blanks."""
    return re.sub(r"\s+", "", source)


def test_moved_to_another_column_and_back_the_mail_is_what_it_was(sources: Page) -> None:
    there, back, undone = sources.evaluate(
        """(source) => {
          const one = store(source);
          const column = (n) => elements(one.tree).filter(({ name }) => name === "mj-column")[n];
          one.select(named(source, "mj-button").start);
          one.moveTo(one.node(), column(1), 0, "");
          const there = one.source;
          one.moveTo(one.node(), column(0), 2, "");
          const back = one.source;
          one.undo(); one.undo();
          return [there, back, one.source];
        }""",
        MAIL,
    )
    button = '<mj-button href="https://example.org/?a=1&amp;b=2">Go</mj-button>'
    assert tight(there.replace(button, "")) == tight(MAIL.replace(button, ""))
    assert there.index("{% if") < there.index(button) < there.index("{% endif")
    assert re.sub(r"<mj-column>\s*</mj-column>", "<mj-column></mj-column>", back) == MAIL
    assert undone == MAIL


def test_a_block_goes_up_and_down_over_a_note_and_out_into_the_next_row(sources: Page) -> None:
    steps = sources.evaluate(
        """(source) => {
          const one = store(source);
          one.select(named(source, "mj-text").start);
          const found = [];
          for (let n = 0; n < 3; n += 1) { one.shift(1, ""); found.push(one.source); }
          for (let n = 0; n < 3; n += 1) one.shift(-1, "");
          return [...found, one.source, one.node().name];
        }""",
        MAIL,
    )
    assert steps[1].index("<mj-button") < steps[1].index("<mj-text") < steps[1].index("{% if")
    assert steps[2].index("{% if") < steps[2].index("<mj-text") < steps[2].index("{% endif")
    assert tight(steps[3]) == tight(MAIL)
    assert steps[4] == "mj-text"


def test_a_block_dropped_between_rows_gets_a_row_of_its_own(sources: Page) -> None:
    found = sources.evaluate(
        """(source) => {
          const one = store(source);
          one.select(named(source, "mj-button").start);
          one.moveTo(one.node(), one.body(), solid(one.body()).length, "");
          return [one.source, one.node().name, one.way().map(({ name }) => name).join(" ")];
        }""",
        MAIL,
    )
    assert tight(found[0]).count("<mj-section>") == 3
    assert found[1:] == ["mj-button", "mjml mj-body mj-section mj-column mj-button"]
    assert found[0].index("{% endif") < found[0].index("<mj-button")


def test_what_is_typed_into_a_setting_stays_in_it(sources: Page) -> None:
    typed = """x" onclick='y' <b> & {{ contact.url|default("<") }}"""
    told = sources.evaluate(
        """([source, typed]) => ["mj-button", "mj-text"].map((name) => {
          const attribute = name === "mj-button" ? "href" : "data-mine";
          const set = edit.setAttribute(source, named(source, name), attribute, typed);
          const node = named(set.source, name);
          return [[...node.attributes.keys()], tree.attribute(node, attribute, set.source), elements(tree.parse(set.source)).length];
        })""",
        [MAIL, typed],
    )
    count = len(re.findall(r"<[a-z]", MAIL))
    assert told == [[["href"], typed, count], [["data-mine"], typed, count]]


def test_quotes_hide_the_end_of_a_value(sources: Page) -> None:
    source = r"""<p a="{{ "\"}}<b>" }}">{{ '\'}}' }}</p>"""
    assert sources.evaluate("(one) => elements(tree.parse(one)).length", source) == 1


def test_every_new_block_lands_where_it_may_stand(sources: Page) -> None:
    """By keyboard, from nothing: a block gets a row of its own, then joins the column; rows stand in the body."""
    own = {word: word for word in blocks.OWN}
    made = sources.evaluate(
        """([blank, own]) => kinds.PALETTE.map(([key, , , level, write]) => {
          const one = store(blank);
          one.add(write({ own }), level, ...one.placeFor(level), "");
          one.add("<mj-text>after</mj-text>", "block", ...one.placeFor("block"), "");
          return [key, one.source];
        })""",
        ["<mjml>\n  <mj-body>\n  </mj-body>\n</mjml>\n", own],
    )
    from activities.rendering import compile_template

    assert len(made) == 15
    for key, source in made:
        compiled = compile_template({"en": {"subject": "S", "mjml": source}}, "email")
        assert compiled.variants, key


@pytest.mark.parametrize(
    "inner",
    [
        "Plain &amp; simple, 20&nbsp;% and 5&#160;kg",
        '<p style="margin:0">A <b class="x">b</b> {{ contact.first_name|default("friend") }}<br>c</p>',
        "{% if a < 3 %}yes{% else %}no{% endif %} <!-- note --> <custom-tag a='1'>x</custom-tag>",
        '<ul><li>one</li><li><a href="{{ unsubscribe_url }}" target="_blank">two</a></li></ul>',
    ],
)
def test_a_text_that_was_only_looked_at_reads_as_it_was(sources: Page, inner: str) -> None:
    told = sources.evaluate(
        """(inner) => { const host = document.createElement("div"); rich.fill(host, inner, ({ inner: text }) => text); return [rich.isRich(inner), rich.read(host), host.innerHTML]; }""",
        inner,
    )
    assert told[:2] == [True, inner]
    assert " href=" not in told[2]
    assert "style=" not in told[2].replace('style="margin: 0px;"', "")


def test_a_text_runs_nothing_and_loads_nothing(sources: Page) -> None:
    hostile = '<img src="https://x.example/a.png" onerror="evil()"><svg onload="evil()"><a href="javascript:evil()">a</a></svg><a href="javascript:evil()" onclick="evil()">b</a><i style="background:url(https://x.example/b.png)">c</i>'
    html = sources.evaluate(
        """(inner) => { const host = document.createElement("div"); rich.fill(host, inner, () => ""); return host.innerHTML.replace(/title="[^"]*"|data-href="[^"]*"/g, ""); }""",
        hostile,
    )
    assert not re.search(r"<img|<svg|onerror|onclick|javascript:|url\(", html)


def test_what_people_type_is_text_and_values_stay_values(sources: Page) -> None:
    told = sources.evaluate(
        """() => {
          const host = document.createElement("div");
          rich.fill(host, "<b>a</b>", () => "");
          host.append("1\u00a0< 2 & {{ contact.plan|default(\\"<\\") }} </mj-text>");
          host.append(rich.chip(document, '{{ contact.x|default("") }}', "X"));
          const link = document.createElement("a");
          link.dataset.href = 'https://e.org/?a=1&b="';
          link.append("go");
          host.append(link, document.createElement("br"));
          return rich.read(host);
        }"""
    )
    assert (
        told
        == '<b>a</b>1 &lt; 2 &amp; {{ contact.plan|default("<") }} &lt;/mj-text&gt;{{ contact.x|default("") }}<a href="https://e.org/?a=1&amp;b=&quot;">go</a><br />'
    )


def test_what_does_not_fit_together_is_no_tree(sources: Page) -> None:
    broken = [
        "<mjml><mj-body>",
        "<mjml></mj-body></mjml>",
        "{{ a",
        "<a <b>",
        "<!-- never",
        "<p>" * 101,
        "{% if" + "x" * 50_000,
        '<a b="' + "c" * 50_000,
    ]
    found = sources.evaluate(
        "(all) => all.map((one) => { try { tree.parse(one); return -1; } catch (error) { return error.at; } })", broken
    )
    assert all(at >= 0 for at in found), found


def test_a_value_on_the_way_to_its_end_does_not_take_the_mail_away(sources: Page) -> None:
    """What is typed letter by letter is taken where it is whole; what is left half written stays as text."""
    told = sources.evaluate(
        """(source) => {
          const one = store(source);
          const typed = '{{ contact.plan|default("a") }}';
          const taken = [];
          for (let n = 1; n <= typed.length; n += 1) {
            const node = named(one.source, "mj-button");
            if (one.edit(edit.setAttribute(one.source, node, "href", typed.slice(0, n)))) taken.push(typed.slice(0, n));
            if (!one.tree) return "lost";
          }
          const host = document.createElement("div");
          rich.fill(host, "<b>a</b>", () => "");
          host.append("Dear {{ contact.first_name} {% if");
          const half = rich.isRich(rich.read(host));
          rich.apart(host);
          return [taken, half, rich.read(host)];
        }""",
        MAIL,
    )
    assert told == [["{", '{{ contact.plan|default("a") }}'], False, "<b>a</b>Dear { { contact.first_name} { % if"]


def test_everything_the_editor_says_can_be_translated() -> None:
    """What stands in `t("…")` and in the tables of kinds is in `WORDS`; what new blocks say is in `OWN`."""
    text = "".join(file.read_text() for file in sorted(SOURCES.glob("*.js*")))
    said = set(re.findall(r'\bt\("([^"]+)"', text))
    said |= {one for pair in re.findall(r'\bt\([^()]*?\? "([^"]+)" : "([^"]+)"\)', text) for one in pair}
    tables = (SOURCES / "kinds.js").read_text()
    said |= set(re.findall(r'^  \["\w+", "([^"]+)", "M', tables, re.MULTILINE)) | set(re.findall(r'"mj-[\w-]+": "([A-Z][^"]*)"', tables))
    said |= {title for _, title in re.findall(r'\["([a-z-]+)", "([A-Z][^"]+)", "(?:colour|px|size|url|text|choice|padding|align)"', tables)}
    assert said - set(blocks.WORDS) == set()
    assert {one or other for one, other in re.findall(r'\$\{own(?:\.(\w+)|\["([^"]+)"\])', text)} == set(blocks.OWN)


def test_a_block_to_be_kept_has_a_name_and_a_length() -> None:
    assert isinstance(parse('{"type": "block", "name": "Footer", "text": "<mj-text>a</mj-text>"}'), KeepBlock)
    for wrong in (
        '{"type": "block", "name": "", "text": ""}',
        '{"type": "block", "name": "' + "x" * 101 + '", "text": ""}',
        '{"type": "block", "name": "a"}',
    ):
        with pytest.raises(ValueError):
            parse(wrong)
    with pytest.raises(ValueError):
        parse('{"type": "block", "name": "a", "text": "' + "x" * (MAX_SOURCE + 2_000) + '"}')


def test_a_saved_block_stands_where_its_first_component_may() -> None:
    rows = ["<mj-section></mj-section>", "\n<!-- a --> {% if x %}<mj-hero></mj-hero>{% endif %}", "<mj-wrapper/>"]
    assert [blocks.level(text) for text in rows] == ["row"] * 3
    long = ("{# a #}<!-- b -->" * 2_000) + "<mj-text></mj-text>"  # would not end while each comment more doubled the time
    assert [blocks.level(text) for text in ("<mj-text></mj-text>", "", "<mj-sectional/>", long)] == ["block"] * 4
