"""What spam filters and wary readers would say about a mail as it arrives: shouting, only pictures, links that hide where they lead, addresses
nobody filled in.

Pure: nothing is fetched. Reads the filled-in HTML; places are those of the source, as far as what is found is written there.

Sources: Google, "Email sender guidelines" (hidden and misleading links, shorteners); SpamAssassin rules HTML_IMAGE_ONLY, SUBJ_ALL_CAPS, PLING_PLING.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from activities.rendering.faults import Lines
from journeys.errors import Issue

SHORTENERS = frozenset(
    [
        "bit.ly",
        "buff.ly",
        "cutt.ly",
        "goo.gl",
        "is.gd",
        "lnkd.in",
        "ow.ly",
        "rb.gy",
        "rebrand.ly",
        "s.id",
        "short.io",
        "shorturl.at",
        "t.co",
        "t.ly",
        "tiny.cc",
        "tinyurl.com",
        "v.gd",
    ]
)
"""Hosts that lead on to anywhere: mailbox providers judge mails by the worst that ever used them."""
EXAMPLES = re.compile(r"(^|\.)example\.(com|org|net)$")
LEAST_LETTERS = 60
"""A mail with pictures and fewer letters is one that filters cannot read."""
SHOUTED_WORDS, SHOUTED_SHARE = 6, 0.2
MOST_EXCLAMATIONS = 5
MOST_FOUND = 60
_LEFT_OVER = re.compile(r"\{\{|\}\}|\{%|%7b%7b|\[\[|\*\||\$\{|<%|%%[a-z_]+%%", re.IGNORECASE)
_SHOWN_HOST = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,24})(?:[/:?#].*)?", re.IGNORECASE)
_PLACED = " (line {line}, column {column})"


@dataclass(frozen=True, slots=True)
class Address:
    """A link (`kind` a) or picture (img) of a mail. `text`: the words of a link."""

    kind: str
    target: str
    text: str = ""


def addresses(html: str) -> list[Address]:
    """Every link and picture of a filled-in mail, in order."""
    found = []
    for node in LexborHTMLParser(html).css("a[href], img[src]"):
        name = "href" if node.tag == "a" else "src"
        found.append(Address(str(node.tag), (node.attributes.get(name) or "").strip(), node.text().strip()))
    return found


def concerns(locale: str, html: str, source: str) -> list[Issue]:
    """Hints on a mail in one language. `source`: its MJML."""
    found = addresses(html)
    issues = [*_links(found), *_pictures(found), *_words(_text(html), sum(one.kind == "img" for one in found))]
    return [placed(issue, locale, source) for issue in issues[:MOST_FOUND]]


def hint(code: str, text: str, **values: object) -> Issue:
    return Issue(code=code, text=text, values=values, field="", severity="warning")


def placed(issue: Issue, locale: str, source: str) -> Issue:
    """The hint with the line and column at which the source writes its target."""
    target = str(issue.values.get("target", ""))
    at = source.find(target) if target else -1
    if at < 0:
        at = source.find(target.replace("&", "&amp;")) if target else -1
    field = f"variants.{locale}.mjml"
    if at < 0:
        return issue.model_copy(update={"field": field})
    line, column = Lines(source).place(at)
    return issue.model_copy(
        update={"text": issue.text + _PLACED, "values": {**issue.values, "line": line, "column": column}, "field": field}
    )


def host_of(target: str) -> str:
    try:
        return (urlsplit(target).hostname or "").lower()
    except ValueError:
        return ""


def _links(found: list[Address]) -> Iterator[Issue]:
    for one in dict.fromkeys(found):
        if one.kind != "a":
            continue
        host, target = host_of(one.target), one.target[:200]
        if _LEFT_OVER.search(one.target):
            yield hint("left_over", "This link holds a placeholder that nothing fills in: {target}.", target=target)
        elif EXAMPLES.search(host):
            yield hint("example_link", "This link leads to an example address: {target}.", target=target)
        elif host in SHORTENERS:
            yield hint("short_link", "This link goes through a shortener, which spam filters distrust: {target}.", target=target)
        shown = _SHOWN_HOST.fullmatch(one.text)
        if shown and host and not _same_site(shown[1].lower(), host):
            text = "This link shows {shown} and leads to {host}, as phishing does: {target}."
            yield hint("other_domain", text, shown=shown[1][:80], host=host[:80], target=target)


def _same_site(one: str, other: str) -> bool:
    """Whether one host is the other, or below it."""
    one, other = one.removeprefix("www."), other.removeprefix("www.")
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _pictures(found: list[Address]) -> Iterator[Issue]:
    for target in dict.fromkeys(one.target for one in found if one.kind == "img"):
        if target.startswith("http://"):
            yield hint(
                "picture_not_https", "This picture is not encrypted, and many mail programs do not show it: {target}.", target=target[:200]
            )
        elif target.startswith("data:"):
            yield hint(
                "picture_inside", "A picture is written into the mail itself; Gmail does not show it. Put it into the picture library."
            )


def _text(html: str) -> str:
    body = LexborHTMLParser(html).body
    for node in body.css("style, script, title") if body else ():
        node.decompose()
    return body.text(separator=" ") if body else ""


def _words(text: str, pictures: int) -> Iterator[Issue]:
    if pictures and sum(character.isalpha() for character in text) < LEAST_LETTERS:
        yield hint("only_pictures", "The mail is nearly all picture: spam filters and readers without pictures see next to nothing.")
    words = re.findall(r"[^\W\d_]{4,}", text)
    loud = [word for word in words if word.isupper()]
    if len(loud) >= SHOUTED_WORDS and len(loud) > SHOUTED_SHARE * len(words):
        yield hint("shouting_text", "Many words are in capitals, which reads as shouting to people and filters.")
    if text.count("!") > MOST_EXCLAMATIONS:
        yield hint(
            "exclamations",
            "The text has {count} exclamation marks; more than {limit} look like spam.",
            count=text.count("!"),
            limit=MOST_EXCLAMATIONS,
        )
