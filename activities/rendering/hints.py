"""What a careful colleague would say about a message before it goes out: links, subject, preheader, fields, languages that drifted apart.

Pure: nothing is fetched, nothing stands in the way of saving. What is wrong outright is found by `compile`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from activities.rendering.compile import CLIPPED_BYTES, Variant
from activities.rendering.faults import Fault, Lines
from activities.rendering.kinds import KINDS, PARTS, Kind
from activities.rendering.tokens import swap
from journeys.errors import Issue

LONG_SUBJECT = 60
"""Characters. Source: phones show 30 to 40 of a subject, mail programs on a desktop about 60."""
SHOUTING_LETTERS = 4
MAX_FOUND = 200

_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_LOCAL = re.compile(
    r"^(localhost|127\.|0\.0\.0\.0|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)|\.(local|test|internal|localhost)$", re.IGNORECASE
)
_THEIRS = ("contact.", "trigger.", "steps.")
_PLACED = " (line {line}, column {column})"

Parts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """One `href` of a source: the target as written (Jinja included) and where it stands."""

    target: str
    line: int
    column: int


def links(source: str) -> list[LinkSeen]:
    """Every link of an MJML source, in order; none of a source whose Jinja cannot be read."""
    try:
        swapped = swap(source)
    except Fault:
        return []
    lines = Lines(source)
    found = []
    for match in _HREF.finditer(swapped.text):
        group = 1 if match[1] is not None else 2
        line, column = lines.place(swapped.original_offset(match.start(group)))
        found.append(LinkSeen(swapped.restore(match[group]).strip(), line, column))
    return found[:MAX_FOUND]


def hints(
    kind: Kind,
    locale: str,
    variants: Mapping[str, Parts],
    compiled: Mapping[str, Variant],
    *,
    size_bytes: int = 0,
    is_known: Callable[[str], bool] = lambda _field: True,
) -> list[Issue]:
    """Hints on the variant `locale`. `compiled` holds the variants that could be compiled; `is_known` says of a contact field whether
    the catalogue has it; `size_bytes` is the rendered HTML. Subjects are judged as written, without their Jinja."""
    parts, has = variants.get(locale, {}), PARTS[kind]
    found = [
        *_size(locale, size_bytes),
        *(_subject(locale, parts.get("subject") or "") if "subject" in has else ()),
        *(_preheader(locale, parts.get("preheader") or "") if "preheader" in has else ()),
        *(_links(locale, parts.get("mjml") or "") if "mjml" in has else ()),
        *(
            issue
            for part in KINDS[kind].parts
            if part.format in ("url", "picture")
            for issue in _address(locale, part.name, parts.get(part.name) or "")
        ),
        *_fields(locale, compiled.get(locale), is_known),
        *_drift(locale, variants, compiled),
    ]
    return found[:MAX_FOUND]


def _hint(locale: str, part: str, code: str, text: str, **values: object) -> Issue:
    return Issue(code=code, text=text, values=values, field=f"variants.{locale}.{part}", severity="warning")


def _size(locale: str, size_bytes: int) -> Iterator[Issue]:
    if size_bytes > CLIPPED_BYTES:
        text = "The HTML has {size} kB; Gmail cuts messages off at about 102 kB."
        yield _hint(locale, "mjml", "size", text, size=round(size_bytes / 1000))


def _subject(locale: str, subject: str) -> Iterator[Issue]:
    plain = _without_jinja(subject).strip()
    if len(plain) > LONG_SUBJECT:
        text = "The subject has {count} characters; mail programs show about {limit}, phones fewer."
        yield _hint(locale, "subject", "long_subject", text, count=len(plain), limit=LONG_SUBJECT)
    letters = [character for character in plain if character.isalpha()]
    if len(letters) > SHOUTING_LETTERS and all(character.isupper() for character in letters):
        yield _hint(locale, "subject", "shouting", "The subject is all capitals, which spam filters dislike.")
    if plain.count("!") > 1:
        yield _hint(locale, "subject", "exclamation", "More than one exclamation mark in the subject looks like spam.")


def _without_jinja(text: str) -> str:
    try:
        swapped = swap(text)
    except Fault:
        return text
    return swapped.word.sub("", swapped.text)


def _preheader(locale: str, preheader: str) -> Iterator[Issue]:
    if not preheader.strip():
        text = "There is no preheader: inboxes will show the first words of the message instead."
        yield _hint(locale, "preheader", "no_preheader", text)


def _links(locale: str, source: str) -> Iterator[Issue]:
    seen: dict[str, int] = {}
    for link in links(source):
        problem = _about(link.target)
        values = {"target": link.target[:200], "line": link.line, "column": link.column}
        if problem:
            code, text = problem
            yield _hint(locale, "mjml", code, text + _PLACED, **values)
        elif link.target in seen and "{" not in link.target:
            text = "This link leads to the same address as the one in line {first}: {target}."
            yield _hint(locale, "mjml", "double_link", text + _PLACED, first=seen[link.target], **values)
        seen.setdefault(link.target, link.line)


def _address(locale: str, part: str, target: str) -> Iterator[Issue]:
    """A part that is one address; it may be left empty."""
    problem = _about(target.strip()) if target.strip() else None
    if problem:
        yield _hint(locale, part, *problem, target=target[:200])


def _about(target: str) -> tuple[str, str] | None:
    """(code, sentence) of what is wrong with a link target."""
    if target in ("", "#"):
        return "empty_link", "This link leads nowhere."
    if target.lower().startswith("http://"):
        return "not_https", "This link is not encrypted: write https instead of http."
    host = _host(target)
    if host and _LOCAL.search(host):
        return "local_link", "This link leads to a host that readers cannot reach: {target}."
    return None


def _host(target: str) -> str:
    try:
        return urlsplit(target).hostname or ""
    except ValueError:
        return ""


def _fields(locale: str, variant: Variant | None, is_known: Callable[[str], bool]) -> Iterator[Issue]:
    for name in variant.fields if variant else ():
        root, _, field = name.partition(".")
        if root == "contact" and field and not is_known(field):
            text = "“{field}” is not a known contact field; contacts without it get no message unless there is a default."
            yield _hint(locale, "mjml", "unknown_field", text, field=field)


def _drift(locale: str, variants: Mapping[str, Parts], compiled: Mapping[str, Variant]) -> Iterator[Issue]:
    """What the other languages have and this one has not."""
    mine = compiled.get(locale)
    if mine is None:
        return
    for other, variant in compiled.items():
        lacking = sorted({name for name in variant.fields if name.startswith(_THEIRS)} - set(mine.fields))
        if other != locale and lacking:
            yield _hint(
                locale,
                "mjml",
                "lacks_field",
                "“{other}” shows {fields}, this language does not.",
                other=other,
                fields=", ".join(lacking[:5]),
            )
    for part in ("preheader", "text"):
        having = [other for other, parts in variants.items() if (parts.get(part) or "").strip()]
        if having and locale not in having and part == "text":
            yield _hint(locale, part, "lacks_part", "“{other}” has its own plain text, this language does not.", other=having[0])
