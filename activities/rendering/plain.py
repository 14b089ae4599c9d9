"""The plain-text part of a mail, made from the same MJML tree as its HTML, so that nothing is converted per mail.

The result is a Jinja text template. Works on the swapped tree; links are wrapped so that clicks in the text part count too.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from activities.rendering.markup import Element, Text
from activities.rendering.tokens import Swapped

BLOCKS = frozenset(
    ["p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "tr", "blockquote", "pre", "section", "article", "center"]
)
RULE = "-" * 40


def plain(root: Element, swapped: Swapped) -> str:
    """The text template of a whole document."""
    body = next(child for child in root.elements() if child.name == "mj-body")
    return tidy(swapped.restore(_component(body, swapped)))


def tidy(text: str) -> str:
    """No blanks at line ends, at most one empty line in a row, one line break at the end. Looks at every character once."""
    lines = (line.rstrip(" \t\xa0").lstrip(" \t") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _component(element: Element, swapped: Swapped) -> str:
    name = element.name
    if name in ("mj-text", "mj-table", "mj-raw", "mj-accordion-title", "mj-accordion-text"):
        return f"\n\n{_html(element.children, swapped)}\n\n"
    if name in ("mj-button", "mj-navbar-link", "mj-social-element"):
        return f"\n\n{_labelled(_line(element, swapped) or _plain(element.get('alt')), element.get('href'))}\n\n"
    if name in ("mj-image", "mj-carousel-image"):
        return f"\n\n{_labelled(_plain(element.get('alt')), element.get('href'))}\n\n"
    if name == "mj-divider":
        return f"\n\n{RULE}\n\n"
    return "".join(_component(child, swapped) if isinstance(child, Element) else child.text.strip() for child in element.children)


def _html(children: Iterable[Element | Text], swapped: Swapped) -> str:
    return "".join(_words(child) if isinstance(child, Text) else _tag(child, swapped) for child in children)


def _words(text: Text) -> str:
    return re.sub(r"\s+", " ", html.unescape(text.text).replace("\u00ad", ""))


def _tag(element: Element, swapped: Swapped) -> str:
    name = element.name.lower()
    if name == "br":
        return "\n"
    if name == "hr":
        return f"\n\n{RULE}\n\n"
    if name == "img":
        return _plain(element.get("alt"))
    inner = "" if name in ("style", "title") else _html(element.children, swapped)
    if name == "a":
        return _labelled(" ".join(inner.split()), element.get("href"))
    if name == "li":
        return f"\n- {inner.strip()}\n"
    if name in ("td", "th"):
        return f"{inner.strip()} "
    return f"\n\n{inner}\n\n" if name in BLOCKS else inner


def _line(element: Element, swapped: Swapped) -> str:
    return " ".join(_html(element.children, swapped).split())


def _plain(attribute: str) -> str:
    return html.unescape(attribute).strip()


def _labelled(label: str, address: str) -> str:
    """`Label: address`; one of them where the other is missing or says the same."""
    target = html.unescape(address).strip()
    if not target or target.startswith("#"):
        return label
    shown = "{% filter link %}" + target + "{% endfilter %}"
    return f"{label}: {shown}" if label and label != target else shown
