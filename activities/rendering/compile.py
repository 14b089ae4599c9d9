"""Compiles a template: every language variant checked and turned into Jinja templates, or every problem with its place.

The result is JSON (`TemplateVersion.compiled`) and never changes; `render` fills it in. Stores nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from babel import Locale, UnknownLocaleError
from babel.core import parse_locale

from activities.rendering import allowed, cards, foreign, jinja
from activities.rendering.faults import Fault, Lines, Remark, issue
from activities.rendering.kinds import KINDS, PARTIAL, PARTS, Kind, further_parts, needs_unsubscribe
from activities.rendering.markup import Element
from activities.rendering.mjml import compile_mjml
from activities.rendering.partials import MAX_SOURCE, NO_PARTIALS, Expanded, Library, alone, expand
from activities.rendering.tokens import Swapped, swap
from activities.rendering.values import as_filled, lines_of, numbered_faults, values_faults
from journeys.channels import Approved, Part
from journeys.errors import Invalid, Issue

MAX_LINE = 500
"""Characters of one line as written, Jinja included."""
MAX_URL = 2_000
"""Characters of an address, as written and as filled in."""
CLIPPED_BYTES = 90_000
"""Above this, warn. Source: Gmail clips messages at about 102 kB."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One language: Jinja templates for each part, link targets as written, and the fields that are read. `parts`: those that have no field here; `rules`: key ->
    JSON text of each rule that is asked (`rules`)."""

    subject: str = ""
    html: str = ""
    text: str = ""
    links: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """Everything that is filled in."""
        return (self.subject, self.html, self.text, *self.parts.values())


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """`variants`: locale (or `default`) -> `Variant`. `warnings` are told when saving and not stored. `partials`: key -> the version
    that was put in. `key`, `name`: the template's, and `link_parameters` what it adds to its links; empty where it is no stored one."""

    kind: Kind
    variants: Mapping[str, Variant]
    warnings: tuple[Issue, ...] = ()
    partials: Mapping[str, int] = field(default_factory=dict)
    key: str = ""
    name: str = ""
    link_parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What `TemplateVersion.compiled` holds."""
        return {locale: asdict(variant) for locale, variant in self.variants.items()}

    @classmethod
    def from_json(cls, kind: Kind, data: Mapping[str, Any]) -> CompiledTemplate:
        """The inverse of `to_json`."""
        return cls(kind, {locale: Variant(**variant) for locale, variant in data.items()})

    @property
    def fields(self) -> set[str]:
        """Dotted names of every value any variant reads."""
        return {name for variant in self.variants.values() for name in variant.fields}

    @property
    def offers_unsubscribe(self) -> bool:
        """Whether every variant shows a way to unsubscribe."""
        return all({"unsubscribe_url", "preferences_url"} & set(variant.fields) for variant in self.variants.values())


def compile_template(
    variants: Mapping[str, Any], kind: Kind, *, message_class: str = "marketing", library: Library = NO_PARTIALS
) -> CompiledTemplate:
    """Compiles `variants`: locale -> {part: text}. `library` holds the partials that may be included.

    Raises:
        Invalid: `issues` holds every problem, each with line and column in its `values` and `variants.<locale>.<part>` as field.
    """
    issues = list(_shape(variants, kind))
    compiled: dict[str, Variant] = {}
    used: dict[str, int] = {}
    if not issues:
        for locale, parts in variants.items():
            compiler = _Compiler(locale, parts, kind, message_class, library)
            variant, found = compiler.compile()
            issues += found
            used |= compiler.used
            if variant is not None:
                compiled[locale] = variant
    errors = [problem for problem in issues if problem.severity == "error"]
    if errors:
        raise Invalid("The template has problems, the first: {problem}", errors, problem=errors[0])
    return CompiledTemplate(kind, compiled, tuple(issues), used)


def digest(
    variants: Mapping[str, Any], kind: str, partials: Mapping[str, int] | None = None, link_parameters: Mapping[str, Any] | None = None
) -> str:
    """Names a state of a template, with the versions of the partials in it and what is added to its links: SHA-256 of its canonical JSON."""
    state = [kind, variants, dict(partials)] if partials else [kind, variants]
    if link_parameters:
        state.append({"link_parameters": dict(link_parameters)})
    return hashlib.sha256(json.dumps(state, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _shape(variants: Mapping[str, Any], kind: str) -> Iterator[Issue]:
    if kind not in KINDS:
        values = {"kinds": ", ".join(KINDS), "kind": str(kind)[:40]}
        yield Issue(code="kind", text='Expected a kind out of {kinds}, got "{kind}".', values=values, field="kind")
        return
    if not variants:
        yield Issue(code="no_variant", text="The template needs a text in at least one language.", field="variants")
    if len(variants) > 50:
        yield Issue(code="too_many_variants", text="Expected at most {limit} languages.", values={"limit": 50}, field="variants")
        return
    for locale, parts in variants.items():
        yield from _variant_shape(str(locale), parts, kind)


def _variant_shape(locale: str, parts: Any, kind: str) -> Iterator[Issue]:
    place = f"variants.{locale}"
    if locale != "default" and not is_locale(locale):
        yield Issue(
            code="locale", text='Expected a language such as "de" or "de-CH", got "{locale}".', values={"locale": locale[:40]}, field=place
        )
    if not isinstance(parts, Mapping):
        yield Issue(code="type", text="Expected an object with the parts of the message.", field=place)
        return
    for name in parts:
        if name not in PARTS[kind] and parts[name] not in ("", None):
            yield Issue(
                code="part", text='There is no part "{part}" here.', values={"part": str(name)[:40]}, field=f"{place}.{str(name)[:40]}"
            )
    for part in KINDS[kind].parts:
        yield from _part_shape(parts.get(part.name), part, f"{place}.{part.name}")
    approved = KINDS[kind].approved
    if approved is not None:
        yield from _approved_shape(parts, approved, place)


def _approved_shape(parts: Mapping[str, Any], approved: Approved, place: str) -> Iterator[Issue]:
    """A free text, or an approved form with its id and its wording, or both."""
    has = {name for name in ("text", *approved.parts) if str(parts.get(name) or "").strip()}
    if not has:
        yield Issue(code="empty", text="Write a text, or enter an approved template.", field=f"{place}.text")
    elif has & set(approved.parts):
        for name in {approved.id, approved.wording} - has:
            yield Issue(code="empty", text="This part is empty.", field=f"{place}.{name}")


def most_characters(part: Part) -> int:
    """How long a part may be as written."""
    return {"line": MAX_LINE, "url": MAX_URL, "picture": MAX_URL}.get(part.format, MAX_SOURCE)


def _part_shape(text: Any, part: Part, place: str) -> Iterator[Issue]:
    limit = most_characters(part)
    if text is not None and not isinstance(text, str):
        yield Issue(code="type", text="Expected a text.", field=place)
    elif part.required and not (text or "").strip():
        yield Issue(code="empty", text="This part is empty.", field=place)
    elif text and len(text) > limit:
        yield Issue(
            code="too_large",
            text="Expected at most {limit} characters, got {count}.",
            values={"limit": limit, "count": len(text)},
            field=place,
        )
    elif text and part.format in ("line", "url", "picture") and re.search(r"[\r\n\x00]", text):
        yield Issue(code="line_break", text="This part is one line.", field=place)
    elif text and part.pattern and not re.fullmatch(part.pattern, text.strip()):
        said = "Expected an id such as {example}."
        yield Issue(code="pattern", text=said, values={"example": part.example}, field=place)
    elif text and re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", text):
        yield Issue(code="control_character", text="A message cannot contain control characters.", field=place)


def _part_faults(part: Part | None, swapped: Swapped) -> Iterator[Fault]:
    """What is wrong with one part beyond its Jinja: too long, or no address of a website."""
    written = swapped.word.sub("", swapped.text).strip()
    if part is not None and part.max_chars is not None and len(written) > part.max_chars:
        values = {"limit": part.max_chars, "count": len(written)}
        yield Fault(0, "too_large", "Expected at most {limit} characters, got {count}.", **values)
    if part is not None and part.format in ("url", "picture"):
        yield from _address_faults(swapped, ("https",) if part.format == "picture" else ("http", "https"))


def _address_faults(swapped: Swapped, schemes: Sequence[str]) -> Iterator[Fault]:
    start = swapped.word.split(swapped.text, maxsplit=1)[0].strip()
    is_whole = swapped.word.search(swapped.text) is None
    named = allowed.scheme(start)
    if named not in ("", *schemes):
        yield Fault(0, "unsafe_link", '"{scheme}:" addresses are not allowed; expected https.', scheme=named)
    elif start and not named:
        yield Fault(0, "relative_link", 'A link in a message needs its full address, starting with "https://".')
    elif is_whole and not allowed.has_host(start):
        text = 'This is not a website address; expected one such as "https://example.org".'
        yield Fault(0, "link_without_host", text)


def _as_link(address: str) -> str:
    """Jinja that checks the address and, where clicks are tracked, puts ours in its place."""
    return "{% filter link %}" + address + "{% endfilter %}"


def is_locale(name: str) -> bool:
    """Whether `name` is a language tag such as `de` or `de-CH`."""
    try:
        Locale(*parse_locale(name, sep="-")[:1])
    except (ValueError, UnknownLocaleError, TypeError):
        return False
    return len(name) <= 35


Result = TypeVar("Result")


class _Compiler:
    """Compiles one variant and gathers its issues."""

    def __init__(self, locale: str, parts: Mapping[str, str | None], kind: Kind, message_class: str, library: Library) -> None:
        self._place = f"variants.{locale}"
        self._parts = {name: (parts.get(name) or "").replace("\r\n", "\n") for name in PARTS[kind]}
        self._kind = kind
        self._message_class = message_class
        self._pools, self._askable = library.pools, library.askable
        self._issues: list[Issue] = []
        self._mail: Expanded | None = None
        if "mjml" in self._parts:
            self._mail = (alone if kind == PARTIAL else expand)(self._parts["mjml"], locale, library)
            self._issues += self._mail.issues(f"{self._place}.mjml")
            self._parts["mjml"] = self._mail.text
        self.used = self._mail.used if self._mail else {}

    def compile(self) -> tuple[Variant | None, list[Issue]]:
        included = len(self._issues)
        swapped = {name: self._swapped(name, text) for name, text in self._parts.items() if text.strip()}
        if any(one.severity == "error" for one in self._issues[included:]) or ("mjml" in self._parts and "mjml" not in swapped):
            return None, self._issues
        variant = self._email(swapped) if "mjml" in swapped else self._text()
        return variant, self._issues

    def _issue(self, fault: Fault, name: str, lines: Lines) -> None:
        place = f"{self._place}.{name}"
        self._issues.append(self._mail.issue(fault, place) if self._mail and name == "mjml" else issue(fault, lines, place))

    def _swapped(self, name: str, text: str) -> Swapped | None:
        lines = Lines(text)
        if strange := list(foreign.faults(text)):
            for found in strange:
                self._issue(found, name, lines)
            return None
        try:
            swapped = swap(text)
        except Fault as fault:
            self._issue(fault, name, lines)
            return None
        part = KINDS[self._kind].part(name)
        for found in self._jinja_faults(part, swapped, text, lines):
            self._issue(self._lent(found), name, lines)
        for found in _part_faults(part, swapped):
            self._issue(found, name, lines)
        for found in cards.faults(swapped.text) if part is not None and part.format == "card" else ():
            found.offset = swapped.original_offset(found.offset)
            self._issue(found, name, lines)
        return swapped

    def _jinja_faults(self, part: Part | None, swapped: Swapped, text: str, lines: Lines) -> Iterator[Fault]:
        approved = KINDS[self._kind].approved
        if part is not None and part.format == "values":
            yield from values_faults(text, self._pools, self._askable)
        elif part is not None and part.format == "numbered" and approved is not None:
            yield from numbered_faults(swapped, len(lines_of(self._parts[approved.values])))
        else:
            yield from jinja.faults(swapped, text, lines, self._pools, self._askable)

    def _lent(self, fault: Fault) -> Fault:
        """A name that a partial does not know itself may come from where it is included."""
        if self._kind != PARTIAL or fault.code != "jinja_value":
            return fault
        text = "“{name}” is not a template value; it has to be set where this partial is included, for example by a loop."
        return Remark(fault.offset, "partial_value", text, name=fault.values["name"])

    def _email(self, swapped: Mapping[str, Swapped | None]) -> Variant | None:
        mjml = swapped["mjml"]
        assert mjml is not None
        compiled, faults = compile_mjml(mjml, swapped.get("preheader"))
        lines = Lines(self._parts["mjml"])
        for fault in faults:
            fault.offset = mjml.original_offset(fault.offset)
            self._issue(fault, "mjml", lines)
        if compiled is None:
            return None
        if not self._runs(compiled.html, html=True) or not self._runs(compiled.text, html=False):
            return None
        self._warn(compiled.html, compiled.root, mjml, lines)
        text = self._parts.get("text") or compiled.text
        return Variant(self._parts.get("subject", ""), compiled.html, text, compiled.links, self._fields(), rules=self._rules())

    def _text(self) -> Variant:
        further = {part.name: (part, self._parts[part.name].strip()) for part in further_parts(self._kind)}
        links = [text for part, text in further.values() if text and part.format == "url"]
        parts = {name: _as_link(text) if text and part.format == "url" else text for name, (part, text) in further.items()}
        if (approved := KINDS[self._kind].approved) is not None:
            parts |= as_filled(parts, approved)
        front = "".join(self._parts[part.name] for part in KINDS[self._kind].parts if part.format == "card")
        return Variant(self._parts.get("subject", ""), front, self._parts.get("text", ""), links, self._fields(), parts, self._rules())

    def _runs(self, source: str, *, html: bool) -> bool:
        """Whether the Jinja is still whole after the compiler moved it; it was whole before."""
        try:
            jinja.compiled(source, html)
        except Exception as error:  # noqa: BLE001 - whatever Jinja's code generator raises, the author must hear of it
            text = "The Jinja of this template no longer fits together after compiling: {problem} (line {line}, column {column})"
            values = {"problem": str(getattr(error, "message", type(error).__name__))[:200], "line": 1, "column": 1}
            self._issues.append(Issue(code="jinja_broken", text=text, values=values, field=f"{self._place}.mjml"))
            return False
        return True

    def _fields(self) -> list[str]:
        return sorted({name for text in self._parts.values() if text for name in jinja.fields(text)})

    def _rules(self) -> dict[str, str]:
        return jinja.rules_of(text for text in self._parts.values() if text)

    def _warn(self, html: str, root: Element, mjml: Swapped, lines: Lines) -> None:
        if len(html.encode()) > CLIPPED_BYTES:
            self._warning("size", "The HTML has {size} bytes; some mail programs cut messages off at 102000.", size=len(html.encode()))
        if (
            needs_unsubscribe(self._kind)
            and self._message_class == "marketing"
            and not {"unsubscribe_url", "preferences_url"} & set(self._fields())
        ):
            self._warning("no_unsubscribe", "No link to unsubscribe: put {{{{ unsubscribe_url }}}} into a link.")
        for element in root.walk():
            if element.name in ("mj-image", "mj-carousel-image", "img") and "alt" not in element.attributes:
                fault = Remark(
                    mjml.original_offset(element.offset),
                    "no_alt",
                    "This image has no alternative text (alt) for readers who do not see it.",
                )
                self._issue(fault, "mjml", lines)
        if self._kind != PARTIAL and not re.search(r"\w", self._parts["text"] or "".join(self._visible(root))):
            self._warning("no_text", "The message has no text, only images.")

    def _visible(self, root: Element) -> Iterator[str]:
        for element in root.walk():
            if element.name != "mj-head":
                yield from (getattr(child, "text", "") for child in element.children)
                yield element.get("alt")

    def _warning(self, code: str, text: str, **values: Any) -> None:
        self._issues.append(Issue(code=code, text=text, values=values, field=self._place, severity="warning"))
