"""Reads an MJML tree critically: unknown and misplaced components, unknown attributes, Jinja where it would be lost, unsafe HTML.

Collects every fault instead of stopping at the first. Places are offsets of the swapped text (see `tokens`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from activities.rendering.components import ALL_ATTRIBUTES, COMPONENTS, DEFAULTS, TEMPLATED
from activities.rendering.faults import Fault
from activities.rendering.markup import Attribute, Element, Text
from activities.rendering.tokens import Swapped

FORBIDDEN = frozenset(
    {"script", "iframe", "object", "embed", "applet", "frame", "frameset", "base", "link", "form", "input", "button", "textarea", "select"}
)
"""HTML that mail clients drop or that could act for the reader."""
URL_ATTRIBUTES = frozenset(
    {
        "href",
        "src",
        "background",
        "background-url",
        "thumbnails-src",
        "action",
        "formaction",
        "poster",
        "xlink:href",
        "data",
        "cite",
        "longdesc",
    }
)
SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028\u2029\ufeff]+")


def faults(root: Element, swapped: Swapped) -> Iterator[Fault]:
    """Every fault of the tree."""
    bodies = [child for child in root.elements() if child.name == "mj-body"]
    if len(bodies) != 1:
        yield Fault(root.offset, "one_body", "Expected exactly one <mj-body>, got {count}.", count=len(bodies))
    yield from _component(root, None, swapped)


def _component(element: Element, parent: Element | None, swapped: Swapped) -> Iterator[Fault]:
    component = COMPONENTS.get(element.name)
    if component is None:
        yield _unknown(element)
        return
    if parent is not None and parent.name not in component.inside:
        yield Fault(
            element.offset, "tag_misplaced", "<{tag}> cannot stand in <{parent}>; it belongs in {places}.", tag=element.name, parent=parent.name,
            places=_listed(component.inside),
        )  # fmt: skip
    yield from _attributes(element, component.attributes, swapped)
    if component.html:
        yield from _html(element, swapped)
    elif element.name == "mj-attributes":
        yield from _defaults(element, swapped)
    else:
        yield from _strays(element, swapped)
        for child in element.elements():
            yield from _component(child, element, swapped)


def _unknown(element: Element) -> Fault:
    near = get_close_matches(element.name, COMPONENTS, n=1)
    if near:
        return Fault(element.offset, "tag_unknown", "<{tag}> is not known. Did you mean <{near}>?", tag=element.name, near=near[0])
    text = "<{tag}> is not known here. HTML belongs in <mj-text>, <mj-table> or <mj-raw>."
    return Fault(element.offset, "tag_unknown", text, tag=element.name)


def _attributes(element: Element, known: Iterable[str], swapped: Swapped) -> Iterator[Fault]:
    for name, attribute in element.attributes.items():
        if swapped.word.search(name):
            yield jinja_between(attribute.offset)
        elif name not in known:
            yield _unknown_attribute(element, attribute, known)
        elif attribute.value is None:
            yield Fault(attribute.offset, "attribute_empty", 'The attribute "{attribute}" has no value.', attribute=name)
        else:
            yield from _value(attribute, swapped)


def _unknown_attribute(element: Element, attribute: Attribute, known: Iterable[str]) -> Fault:
    near = get_close_matches(attribute.name, list(known), n=1)
    text = '<{tag}> has no attribute "{attribute}".' + (' Did you mean "{near}"?' if near else "")
    return Fault(attribute.offset, "attribute_unknown", text, tag=element.name, attribute=attribute.name, near="".join(near))


def _value(attribute: Attribute, swapped: Swapped) -> Iterator[Fault]:
    value = attribute.value or ""
    if swapped.word.search(value) and attribute.name not in TEMPLATED:
        text = 'The value of "{attribute}" is read when the template is saved; Jinja cannot stand in it.'
        yield Fault(attribute.offset, "attribute_templated", text, attribute=attribute.name)
    yield from _address(attribute, swapped)


def jinja_between(offset: int) -> Fault:
    return Fault(offset, "jinja_between_attributes", "Jinja cannot stand between attributes; put it inside a value or around the tag.")


def _defaults(element: Element, swapped: Swapped) -> Iterator[Fault]:
    """`mj-attributes`: children named after components carry the defaults of their attributes."""
    for child in element.elements():
        if child.name not in DEFAULTS:
            yield _unknown(child)
            continue
        component = COMPONENTS.get(child.name)
        yield from _attributes(child, component.attributes if component else ALL_ATTRIBUTES, swapped)
        if child.name == "mj-class":
            yield from (_unknown(inner) for inner in child.elements() if inner.name not in DEFAULTS)


def _strays(element: Element, swapped: Swapped) -> Iterator[Fault]:
    for child in element.children:
        if isinstance(child, Text) and swapped.word.sub("", child.text).strip():
            offset = child.offset + len(child.text) - len(child.text.lstrip())
            yield Fault(offset, "text_misplaced", "Text cannot stand directly in <{tag}>; put it into <mj-text>.", tag=element.name)


def _html(element: Element, swapped: Swapped) -> Iterator[Fault]:
    for inner in element.elements():
        yield from _html_element(inner, swapped)


def _html_element(element: Element, swapped: Swapped) -> Iterator[Fault]:
    name = element.name.lower()
    if swapped.word.search(element.name):
        yield Fault(element.offset, "jinja_tag_name", "Jinja cannot name a tag.")
    elif name.startswith("mj-") or name == "mjml":
        yield Fault(element.offset, "tag_misplaced", "<{tag}> cannot stand inside HTML.", tag=element.name)
    elif name in FORBIDDEN:
        yield Fault(element.offset, "tag_forbidden", "<{tag}> is not allowed in messages.", tag=element.name)
    for attribute in element.attributes.values():
        yield from _html_attribute(element, attribute, swapped)
    for child in element.elements():
        yield from _html_element(child, swapped)


def _html_attribute(element: Element, attribute: Attribute, swapped: Swapped) -> Iterator[Fault]:
    name = attribute.name.lower()
    if swapped.word.search(name):
        yield jinja_between(attribute.offset)
    elif name.startswith("on"):
        yield Fault(attribute.offset, "script", 'The attribute "{attribute}" runs a script; messages cannot.', attribute=attribute.name)
    elif name == "http-equiv":
        yield Fault(attribute.offset, "tag_forbidden", "<{tag}> is not allowed in messages.", tag=f"{element.name} http-equiv")
    elif name == "style" and re.search(
        r"expression\s*\(|javascript:|-moz-binding|behavior\s*:", html.unescape(attribute.value or ""), re.IGNORECASE
    ):
        yield Fault(attribute.offset, "script", 'The attribute "{attribute}" runs a script; messages cannot.', attribute=attribute.name)
    else:
        yield from _address(attribute, swapped)


def _address(attribute: Attribute, swapped: Swapped) -> Iterator[Fault]:
    if attribute.name.lower() not in URL_ATTRIBUTES or not attribute.value:
        return
    start = swapped.word.split(attribute.value, maxsplit=1)[0]
    named = scheme(start)
    if named and named not in SCHEMES and not (attribute.name == "src" and start.lower().startswith(("data:image/", "cid:"))):
        text = '"{scheme}:" addresses are not allowed; expected https, mailto or tel.'
        yield Fault(attribute.offset, "unsafe_link", text, scheme=named)
    elif attribute.name == "href" and not named and start == attribute.value and not start.startswith("#"):
        yield Fault(attribute.offset, "relative_link", 'A link in a message needs its whole address, starting with "https://".')


def scheme(address: str) -> str:
    """The scheme of an address as a browser would read it (blanks and entities do not hide it); empty if there is none."""
    match = _SCHEME.match(_BLANKS.sub("", html.unescape(address)))
    return match[1].lower() if match else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"<{name}>" for name in sorted(names)) or "nothing"
