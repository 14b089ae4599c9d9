"""What a template and the values of strangers may make us do: bounded, whatever they are, and in proportion to their length.

Nothing here looks at a clock. Work is counted; and what cannot be counted runs in a process to which the kernel gives no more CPU time than
the product does, with values so long that anything worse than proportional would take hours.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.providers import mime
from activities.rendering import Marks, RenderFailed, RenderLimits, RenderPool, compile_template, link_digest, render_text, segments
from activities.rendering.budget import MAX_WORK, State, state
from activities.rendering.filters import striptags
from activities.rendering.hints import hints, links
from activities.rendering.jinja import TEXT
from activities.rendering.plain import tidy
from activities.rendering.render import fill, one_line
from activities.templates import listing

ROOT = Path(__file__).parents[3]
HEAD, TAIL = "<mjml><mj-body><mj-section><mj-column>", "</mj-column></mj-section></mj-body></mjml>"
GROWN = "{% set a = [1, 1] %}" + "{% set a = [a, a] %}" * 60
"""A list that is 2^61 long when it is written out, and 61 lists in memory."""
PAIRED = "{% set a = (1, 1) %}" + "{% set a = (a, a) %}" * 60


@pytest.fixture(scope="module")
def pool() -> Iterator[RenderPool]:
    """The product's own limits of CPU time and memory; the clock is left out."""
    pool = RenderPool(RenderLimits(processes=1, deadline_seconds=3600))
    yield pool
    pool.close()


def outcome(pool: RenderPool, source: str, **values: Any) -> str:
    """How the template ended: `done`, or the code and name of its failure."""
    try:
        pool.render_text(source, values)
    except RenderFailed as error:
        return str(error)
    return "done"


# --- what was found to run for ever ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "{{ 1|round(3000000, 'ceil') }}",
        "{{ 1|round(-3000000, 'floor') }}",
        "{{ 1.5|round(10000000) }}",
        "{% for a in range(9000) %}{{ range(9000)|sum }}{% endfor %}",
        "{% for a in range(90) %}{% for b in range(90) %}{{ range(9000)|list|length }}{% endfor %}{% endfor %}",
        GROWN + "{{ a == a }}",
        GROWN + "{% if [a] < [a] %}{% endif %}",
        GROWN + "{{ a is eq(a) }}",
        GROWN + "{{ [a, a]|unique|list|length }}",
        GROWN + "{{ [a, a]|sort|length }}",
        GROWN + "{{ a in [a] }}",
        GROWN + "{{ a|string }}",
        GROWN + "{{ a|upper }}",
        GROWN + "{{ a|urlencode }}",
        GROWN + "{{ a ~ 'x' }}",
        GROWN + "{{ [{'k': a}, {'k': a}]|groupby('k')|length }}",
        GROWN + "{{ contact.get(1, a) == a }}",
        PAIRED + "{{ {a: 1}|length }}",
        PAIRED + "{{ contact[a] }}",
        PAIRED + "{{ contact.get(a) }}",
        PAIRED + "{{ [a]|unique|list|length }}",
        "{% for a in range(9000) %}{% if contact.long == contact.long ~ 'x' %}{% endif %}{% endfor %}",
        "{% for a in range(9000) %}{{ contact.long[1:]|length }}{% endfor %}",
        "{% for a in range(9000) %}{{ contact.long.upper()|length }}{% endfor %}",
        "{{ contact.long.strip(contact.long) }}",
        "{{ contact.long|trim(contact.long) }}",
        "{{ [contact]|map(contact.dots)|list }}",
        "{{ [contact]|sort(attribute=contact.dots)|length }}",
        "{{ 'f' * 99 }}",
        "{{ contact.long|int(0, 16) + 1 }}{{ contact.hex|int(0, 16) // 3 }}",
        "{{ 2 ** 99999999 }}",
        "{{ '1e999999'|number }}",
        "{{ '1e-999999'|percent }}",
        "{{ contact.tiny|money }}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in [[]] recursive %}{{ loop([[]]) }}{{ loop([[]]) }}{% endfor %}",
        "{% set a %}x{% endset %}{{ a }}",
        "{% include 'x' %}",
    ],
)
def test_nothing_runs_for_ever(pool: RenderPool, source: str) -> None:
    contact = {"long": "x" * 150_000, "dots": "a." * 90_000, "hex": "f" * 100_000, "tiny": 1e-300, "k": 1}
    ended = outcome(pool, source, contact=contact)
    assert ended != "done" or source.startswith(("{{ contact.long|int", "{{ contact.tiny")), (
        "these two are harmless: a default, and nothing"
    )
    assert ended != "too_long: time"
    assert ended != "too_large: memory"


HOSTILE_VALUES: dict[str, Any] = {
    "blanks": " " * 100_000,
    "brackets": "<" * 100_000,
    "comments": "<!--" * 25_000,
    "entities": "&" * 100_000,
    "numbers": "9" * 100_000,
    "marks": "a" + "\u0301" * 100_000,
    "words": "a " * 50_000,
    "huge": 10**4000,
    "exponent": "1e999999",
    "infinite": float("inf"),
    "list": [[n, str(n)] for n in range(3_000)],
    "deep": {"a": [{"a": [{"a": list(range(500))}] * 5}] * 5},
    "pairs": [{"k": "x" * 300, "v": n} for n in range(300)],
}
HOSTILE_ARGUMENTS = (
    "", "(v)", "(10000000)", "(-10000000)", "(1, v)", "(v, v, v)", "('a.' * 1)", "(attribute=v)", "('k')", "('k', v)", "(10000000, 'ceil')", "(0, 36)",
    "('==', v)", "('k', 'in', v)", "(true, 'k', v)", "(default=v)", "(length=10000000, end=v)", "(v, '', 10000000)",
)  # fmt: skip


def combined() -> Iterator[tuple[str, str]]:
    """Every value alone and with itself, and every kind of argument with one of the values."""
    for what in HOSTILE_VALUES:
        yield from ((what, ""), (what, "(v)"))
    yield from zip(cycle(HOSTILE_VALUES), HOSTILE_ARGUMENTS, strict=False)


@pytest.mark.parametrize("name", sorted(name for name in TEXT.filters if not name.startswith("_")))
def test_no_filter_runs_long_whatever_it_is_given(pool: RenderPool, name: str) -> None:
    """Every filter that templates have, with every kind of hostile value and argument: some answer, some refuse, none uses its time up."""
    for what, arguments in combined():
        value = HOSTILE_VALUES[what]
        ended = outcome(pool, f"{{% set x = v|{name}{arguments} %}}{{{{ x is iterable }}}}{{{{ x|list|length }}}}", v=value)
        assert ended != "too_long: time", (what, arguments)
        assert "crash" not in ended, (what, arguments)


@pytest.mark.parametrize("name", sorted(TEXT.tests))
def test_no_test_runs_long_whatever_it_is_given(pool: RenderPool, name: str) -> None:
    """Every test that templates have; those that have no name to write are reached through `select`."""
    for what, value in HOSTILE_VALUES.items():
        for source in (f"{{{{ [v]|select('{name}')|list|length }}}}", f"{{{{ [v]|select('{name}', v)|list|length }}}}"):
            ended = outcome(pool, source, v=value)
            assert ended != "too_long: time", what
            assert "crash" not in ended, what


def pairs_of(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each with itself, and with the next one."""
    known = [*names]
    yield from zip(known, known, strict=True)
    yield from pairwise(known)


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", ">=", "in", "not in", "and", "or"])
def test_no_operator_runs_long_whatever_it_is_given(pool: RenderPool, operator: str) -> None:
    for what, other in pairs_of(HOSTILE_VALUES):
        source = f"{{% for n in range(500) %}}{{% set x = v {operator} w %}}{{% endfor %}}"
        ended = outcome(pool, source, v=HOSTILE_VALUES[what], w=HOSTILE_VALUES[other])
        assert ended != "too_long: time", what


def test_the_budget_is_enough_for_what_people_write() -> None:
    """Two hundred products with prices, links and conditions cost a tenth of it."""
    source = (
        "{% for p in trigger.products|sort(attribute='price') if p.quantity > 0 %}{{ loop.index }}. {{ p.name|title|truncate(40) }} "
        "{% if p.price >= 10 and p.sku in ['a', 'b'] %}{{ (p.price * p.quantity)|money('EUR') }}{% else %}{{ p.price|number(2) }}{% endif %} "
        "{{ p.url|link }}\n{% endfor %}{{ trigger.products|sum('price')|money }}{{ trigger.products|length }}"
    )
    products = [{"name": "Rucksack", "price": n, "quantity": 1, "sku": "a", "url": "https://e.org"} for n in range(200)]
    assert spent(lambda: render_text(source, {"trigger": {"products": products}})) < MAX_WORK / 10


def spent(job: Callable[[], Any]) -> int:
    """Units of work that a rendering spends."""
    found: list[State] = []

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        current = state.get(None)
        if current is not None and (not found or found[-1] is not current):
            found.append(current)

    sys.setprofile(watch)
    try:
        job()
    finally:
        sys.setprofile(None)
    return sum(MAX_WORK - one.work for one in found)


# --- work in proportion to length -----------------------------------------------------------------------------------

UNITS = [
    " ",
    "\n",
    "\t",
    "\xa0",
    " \n",
    "\n ",
    "<",
    ">",
    "&",
    "<!--",
    "&#",
    "{",
    "}",
    "(",
    "a",
    "a ",
    "\u0301",
    "🎉",
    "ß",
    "'",
    '"',
    "\\",
    "href=",
    "//",
    "\r",
]


def shown(value: str) -> Any:
    """A value in every place of a mail."""
    body = (
        '<mj-text color="{{ contact.v|css }}">{{ contact.v }}<a href="https://e.org/?q={{ contact.v|urlencode }}">{{ contact.v|striptags }}</a>'
        "{{ contact.v|nl2br }}</mj-text>"
    )
    variant = compile_template({"en": {"subject": "Hi {{ contact.v }}", "mjml": HEAD + body + TAIL}}, "email").variants["en"]
    return fill(variant, {"contact": {"v": value}}, "en", Marks(link_digest), "UTC")


WORKERS: dict[str, Callable[[str], Any]] = {
    "mail": shown,
    "tidy": tidy,
    "one_line": one_line,
    "striptags": striptags,
    "segments": segments,
    "links": links,
    "hints": lambda text: hints("email", "en", {"en": {"subject": text, "mjml": text, "preheader": text}}, {}),
    "mailbox": mime._parts,
    "diff": lambda text: list(listing._lines(text, text[::-1] + "x")),
}


LONG = {
    "links": "hints.links(text)",
    "hints": "hints.hints('email', 'en', {'en': {'subject': text, 'mjml': text, 'preheader': text}}, {})",
    "segments": "sms.segments(text)",
    "striptags": "filters.striptags(text)",
    "mailbox": "mime._parts(text)",
    "subject": "one_line(text)",
    "diff": "list(listing._lines(text, text[::-1] + 'x'))",
    "place": "preview._asked_at(text, 'name')",
}
IN_TIME = """
import os, resource
from activities.templates import listing, preview
from activities.providers import mime
from activities.rendering import filters, hints, sms
from activities.rendering.render import one_line
for name, job in {jobs!r}.items():
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        for unit in {units!r}:
            text = unit * (300_000 // len(unit)) + "x"
            eval(job)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""
"""The names of the jobs that do not end well, each in a process of its own: what they import is loaded once for all."""


def test_what_works_on_long_texts_is_linear_down_to_the_regular_expressions() -> None:
    """The kernel ends a process after a minute of CPU time; two kinds of text whose square is looked at would take longer."""
    code = IN_TIME.format(units=UNITS, jobs=LONG)
    ended = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout.split() == []


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_value_uses_no_time_up(pool: RenderPool, unit: str) -> None:
    """A quarter of a million characters of an event in the subject, the HTML and the text of a mail."""
    body = "<mj-text>{{ contact.v }}</mj-text>"
    compiled = compile_template({"en": {"subject": "{{ contact.v }}", "mjml": HEAD + body + TAIL}}, "email")
    value = unit * (250_000 // len(unit)) + "x"  # a run of blanks is at its worst when no line ends behind it
    try:
        assert pool.render(compiled, ["en"], {"contact": {"v": value}}).html
    except RenderFailed as error:
        assert str(error) == "too_long: output", "escaped, it is longer than a message may be"  # noqa: PT017


def calls(job: Callable[[], Any]) -> int:
    """How many functions, of Python and of C, are called."""
    count = 0

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(watch)
    try:
        job()
    finally:
        sys.setprofile(None)
    return count


@settings(max_examples=25)
@given(st.sampled_from(sorted(WORKERS)), st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_rendering_is_linear_in_the_length_of_a_value(name: str, unit: str, other: str) -> None:
    """From n to 2n to 8n, no more than twice and eight times the calls."""
    shown("")  # compiles the template once
    base, double, eightfold = (calls(lambda n=n: WORKERS[name]((unit + other) * n)) for n in (100, 200, 800))
    assert double <= 2 * base + 200
    assert eightfold <= 8 * base + 1_400
