"""Fills a compiled template in for one contact: only Jinja, no database, no network.

The same inputs give the same message. What a template asks for and the values do not hold raises `RenderFailed`; the message is then
skipped with that reason, never sent half-filled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError
from markupsafe import Markup, escape

from activities.rendering import jinja, rules
from activities.rendering.allowed import has_host, scheme
from activities.rendering.budget import State, state
from activities.rendering.compile import MAX_URL, CompiledTemplate, Variant
from activities.rendering.faults import RenderFailed
from activities.rendering.imprint import imprinted
from activities.rendering.kinds import KINDS, needs_unsubscribe
from activities.rendering.languages import serving
from activities.rendering.links import hosts_in, with_parameters, with_parameters_in
from activities.rendering.plain import tidy
from activities.rendering.sandbox import generate
from journeys.channels import Part
from journeys.rules.facts import Facts
from locales import translator

MAX_SUBJECT = 900
"""Characters; RFC 5322 allows lines of 998."""
SAMPLE = "SAMPLE-CODE"
"""What `coupon()` shows where no code is reserved: in previews, in tests to oneself and in staging."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is tracked about one message. `click`: link digest -> signed address, None to leave links alone; `pixel_url` empty for none.
    `domains`: besides the hosts that the template writes out, links to these and to hosts below them are tracked (`links.is_ours`)."""

    click: Callable[[str], str] | None = None
    pixel_url: str = ""
    domains: frozenset[str] = frozenset()
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Added to the query of links (`utm_source` …), but for those to sites in `left_alone`."""
    left_alone: frozenset[str] = frozenset()


UNTRACKED = Marks()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message for one contact. `links`: digest -> target of every tracked link; they must be stored before the message goes out."""

    subject: str
    html: str
    text: str
    locale: str
    headers: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    """Part of the template -> text, of parts that have no field here."""
    coupons: tuple[str, ...] = ()
    """The pools of which it shows a code, sorted."""

    @property
    def size_bytes(self) -> int:
        return len(self.html.encode()) + len(self.text.encode())


@dataclass(frozen=True, slots=True)
class Filled:
    """The parts of one variant, filled in. `links`: digest -> target of every tracked link."""

    subject: str
    html: str
    text: str
    links: Mapping[str, str]
    parts: Mapping[str, str] = field(default_factory=dict)
    coupons: tuple[str, ...] = ()


def render(
    compiled: CompiledTemplate,
    locales: Iterable[str],
    values: Mapping[str, Any],
    *,
    marks: Marks = UNTRACKED,
    message_class: str = "marketing",
    zone: str = "UTC",
) -> Rendered:
    """The message in the first language of `locales` that the template has (`de-CH` falls back to `de`, then to `default`).

    `values` are plain (dict, list, str, numbers, dates): contact, trigger, run, sender, unsubscribe_url, preferences_url, view_url, now; `coupons`, pool ->
    code, where codes are reserved for the message: of other pools a `SAMPLE` is shown; `rules`, which rules of the text hold (`rules.answers`).
    Marketing mail gets the List-Unsubscribe headers of RFC 8058 when `unsubscribe_url` is there. `zone` is the contact's, for dates.

    Raises:
        RenderFailed: a value is missing or of the wrong kind, a link is unsafe, or the message is too long.
    """
    language, variant = chosen(compiled, locales)
    return finished(fill(variant, values, language, marks, zone), compiled.kind, language, values, message_class, marks)


def chosen(compiled: CompiledTemplate, locales: Iterable[str]) -> tuple[str, Variant]:
    """The variant that serves `locales`, and the language that its dates and numbers speak.

    Raises:
        RenderFailed: the template has no variant at all.
    """
    chain = [name for name in locales if name]
    locale, variant = choose(compiled, chain)
    return locale if locale != "default" else (chain[0] if chain else "en"), variant


def answered(compiled: CompiledTemplate, locales: Iterable[str], facts: Facts, as_of: datetime) -> dict[str, Any]:
    """What `values` hold besides, where the variant that serves `locales` asks rules: which of them hold for the contact of `facts`. Without
    rules `facts` is not read.

    Raises:
        RenderFailed: the template has no variant at all, or a rule that nobody can read.
    """
    return rules.answers(choose(compiled, locales)[1].rules, facts, as_of)


def fill(variant: Variant, values: Mapping[str, Any], language: str, marks: Marks, zone: str) -> Filled:
    """All of `render` that a template or a value can make long: this part runs in a process of the pool.

    Raises:
        RenderFailed: as `render`.
    """
    hosts = frozenset().union(*(hosts_in(source) for source in variant.sources))
    own = _own_addresses(values)
    current = State(
        language,
        zone,
        click=marks.click,
        own=own,
        hosts=hosts,
        domains=marks.domains,
        parameters=marks.parameters,
        left_alone=marks.left_alone,
    )
    asked: set[str] = set()
    values = _with_codes(values, asked)
    if rules.ANSWERS in values:
        values = {**values, rules.RULE: rules.answering(values[rules.ANSWERS])}
    with _rendering(current):
        subject = one_line(_filled(variant.subject, values, language))
        html = _html(variant, values, language, subject, marks.pixel_url)
        text = tidy(_filled(variant.text, values, language))
        if not variant.html:  # the links of a mail's text went through the filter
            text = with_parameters_in(text, marks.parameters, marks.left_alone, own)
        parts = {name: _filled(source, values, language) for name, source in variant.parts.items()}
    return Filled(subject, html, text, current.links, parts, tuple(sorted(asked)))


def _with_codes(values: Mapping[str, Any], asked: set[str]) -> Mapping[str, Any]:
    return {**values, jinja.COUPON: _handing_out(values.get("coupons") or {}, asked)}


def _handing_out(codes: Mapping[str, str], asked: set[str]) -> Callable[[str], str]:
    """`coupon` as templates call it; notes which pools were asked."""

    def coupon(pool: str) -> str:
        asked.add(pool)
        return codes.get(pool, SAMPLE)

    return coupon


def finished(filled: Filled, kind: str, language: str, values: Mapping[str, Any], message_class: str, marks: Marks = UNTRACKED) -> Rendered:
    """The message, with the headers and the imprint that its class asks for, and its parts as long as they may be.

    Raises:
        RenderFailed: an address that is none of a website, or too long.
    """
    html, text, headers = filled.html, filled.text, dict[str, str]()
    if needs_unsubscribe(kind) and message_class == "marketing":
        headers = unsubscribe_headers(values.get("unsubscribe_url"))
        html, text = imprinted(html, text, filled.links, values, language)
    text = text if KINDS[kind].is_html else _shaped(KINDS[kind].part("text"), text)
    parts = {name: _led_on(KINDS[kind].part(name), source, marks) for name, source in filled.parts.items()}
    if KINDS[kind].is_card:
        parts |= printed_words(values, language, message_class)
    subject = filled.subject or parts.get(KINDS[kind].headline, "") or (one_line(text)[:120] if KINDS[kind].is_card else "")
    return Rendered(subject, html, text, language, headers, filled.links, parts, filled.coupons)


def printed_words(values: Mapping[str, Any], language: str, message_class: str) -> dict[str, str]:
    """What a card says besides what its author wrote: whom it comes back to, and, on marketing, how to object (GDPR Art. 21).

    The words are always there and cannot be taken out; where to object is a code for this very card, and whom the workspace names as its sender.
    """
    sender = {part: ", ".join(map(one_line, str(value or "").splitlines())) for part, value in (values.get("sender") or {}).items()}
    found = {"sender": ", ".join(sender[part] for part in ("name", "address") if sender.get(part))[:200]}
    if message_class == "marketing":
        t = translator(language)
        contact = ", ".join(value for value in sender.values() if value)[:300]
        said = t("No more advertising by post? Scan the code, or write to us: {contact}").format(contact=contact)
        plain = t("No more advertising by post? Scan the code.")
        found |= {"objection": said if contact else plain, "objection_url": str(values.get("unsubscribe_url") or "")}
    return found


def _led_on(part: Part | None, text: str, marks: Marks) -> str:
    """A part as it may be; where a tap on the message leads, with its campaign parameters."""
    shaped = _shaped(part, text)
    is_link = part is not None and part.format == "url"
    return with_parameters(shaped, marks.parameters, marks.left_alone) if is_link and shaped else shaped


def _shaped(part: Part | None, text: str) -> str:
    """A part as it may be; one that the kind no longer has stays as it is."""
    if part is None:
        return text
    if part.format == "url":
        return _website(text.strip())
    if part.format == "values":
        return text
    if part.format == "picture":
        return _picture(text.strip())
    return _cut(one_line(text) if part.format == "line" else tidy(text).strip(), part.max_chars)


def _cut(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _website(address: str) -> str:
    if address in ("", "#"):
        return ""
    if len(address) > MAX_URL or scheme(address) not in ("http", "https"):
        raise RenderFailed("unsafe_link")
    return address


def _picture(address: str) -> str:
    """The address of a picture; one that is none leaves the message without it."""
    is_one = len(address) <= MAX_URL and scheme(address) == "https" and has_host(address) and not re.search(r"[\s\x00-\x1f]", address)
    return address if is_one else ""


def render_text(source: str, values: Mapping[str, Any], *, locale: str = "en", zone: str = "UTC") -> Rendered:
    """A short Jinja text that stands in a journey itself (an inline SMS), which may show codes; rules are for templates. `values`: as `render`.

    Raises:
        RenderFailed: as `render`; `template_error` too when the text is no valid Jinja.
    """
    asked: set[str] = set()
    with _rendering(State(locale, zone)):
        text = tidy(_filled(source, _with_codes(values, asked), locale)).strip()
    return Rendered("", "", text, locale, coupons=tuple(sorted(asked)))


def choose(compiled: CompiledTemplate, locales: Iterable[str]) -> tuple[str, Variant]:
    """The variant that serves `locales`, with its name."""
    name = serving(locales, compiled.variants) or next(iter(compiled.variants), None)
    if name is None:
        raise RenderFailed("no_variant")
    return name, compiled.variants[name]


def one_line(text: str) -> str:
    """A header-safe line: blanks and control characters collapsed, cut to `MAX_SUBJECT`."""
    return re.sub(r"[\s\x00-\x1f\x7f\u2028\u2029]+", " ", text).strip()[:MAX_SUBJECT]


def unsubscribe_headers(address: str | None) -> dict[str, str]:
    """Source: RFC 2369 (List-Unsubscribe) and RFC 8058 (one click by POST)."""
    if not address:
        return {}
    return {"List-Unsubscribe": f"<{address}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _own_addresses(values: Mapping[str, Any]) -> frozenset[str]:
    """Links that are nobody's interest: they are not tracked."""
    own = [values.get(name, "") for name in ("unsubscribe_url", "preferences_url", "view_url", "confirm_url")]
    return frozenset(map(str, [*own, (values.get("sender") or {}).get("imprint", "")]))


def _html(variant: Variant, values: Mapping[str, Any], language: str, subject: str, pixel_url: str) -> str:
    if not variant.html:
        return ""
    pixel = Markup(f'<img src="{escape(pixel_url)}" width="1" height="1" alt="" style="display:block;border:0">') if pixel_url else ""
    context = {**values, "lang": language, "_subject": subject, "_pixel": pixel}
    return generate(jinja.compiled(variant.html, True), context)


def _filled(source: str, values: Mapping[str, Any], language: str) -> str:
    return generate(jinja.compiled(source, False), {**values, "lang": language}) if source else ""


@contextmanager
def _rendering(current: State) -> Iterator[None]:
    """Sets the budget and turns everything a template can raise into `RenderFailed`, without values of people in it."""
    token = state.set(current)
    try:
        yield
    except UndefinedError as error:
        raise RenderFailed("missing_value", _missing_name(error)) from None
    except SecurityError:
        raise RenderFailed("template_error", "security") from None
    except RenderFailed:
        raise
    except MemoryError:
        raise RenderFailed("too_large", "memory") from None
    except Exception as error:  # noqa: BLE001 - what a hostile template makes Jinja raise is its own mistake, whatever it is
        raise RenderFailed("template_error", type(error).__name__) from None
    finally:
        state.reset(token)


def _missing_name(error: UndefinedError) -> str:
    """The name out of Jinja's sentence; a name that could be a value of the contact is left out."""
    match = re.search(r"'([A-Za-z_][A-Za-z0-9_]{0,63})'(?: is undefined)?$", str(error))
    return match[1] if match else ""
