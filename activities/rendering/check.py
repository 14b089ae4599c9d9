"""Reads an MJML tree critically: unknown and misplaced components, unknown attributes, Jinja where it would be lost, unsafe HTML.

Collects every fault instead of stopping at the first. Places are offsets of the swapped text (see `tokens`).
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from activities.rendering import allowed, conditionals
from activities.rendering.components import ALL_ATTRIBUTES, COMPONENTS, DEFAULTS, TEMPLATED
from activities.rendering.faults import Fault, Remark
from activities.rendering.markup import Attribute, Element, Text, fragment
from activities.rendering.tokens import Swapped

FORBIDDEN = allowed.words(
    """script iframe object embed applet frame frameset noframes base link form input button textarea select option svg math template
    noscript title head body html dialog slot param portal canvas xmp plaintext listing isindex keygen marquee"""
)
"""HTML that mail clients drop, that could act for the reader, or that turns what follows into something else. Only for the sentence:
what is allowed is in `allowed`."""
_SENTENCES = {
    "mj-html-attributes": "<mj-html-attributes> is not available; write the attributes into the tags.",
    "link": "<link> is not allowed in messages; <mj-font> names fonts, <mj-style> holds CSS.",
}


def faults(root: Element, swapped: Swapped) -> Iterator[Fault]:
    """Every fault of the tree."""
    bodies = [child for child in root.elements() if child.name == "mj-body"]
    if len(bodies) != 1:
        yield Fault(root.offset, "one_body", "Expected exactly one <mj-body>, got {count}.", count=len(bodies))
    yield from _component(root, None, swapped)
    yield from _conditionals(root, swapped)


def _conditionals(root: Element, swapped: Swapped) -> Iterator[Fault]:
    """Outlook conditionals are closed, hold HTML that may stand in a message, and enclose no components."""
    comments = sorted((comment for element in root.walk() for comment in element.comments), key=lambda comment: comment.offset)
    components = [element.offset for element in root.walk() if element.name in COMPONENTS and element.name != "mj-raw"]
    started = 0
    try:
        for mark in conditionals.paired(conditionals.mark(comment.source, comment.offset) for comment in comments):
            if mark.kind == "start":
                started = mark.offset
            elif mark.kind == "end" and bisect(components, started) != bisect(components, mark.offset):
                text = "An Outlook conditional that others read cannot enclose components: they hold conditionals of their own."
                yield Fault(started, "conditional_around", text)
            elif mark.kind == "hidden":
                yield from _hidden(mark, swapped)
    except Fault as fault:
        yield fault


def _hidden(mark: conditionals.Mark, swapped: Swapped) -> Iterator[Fault]:
    for element in fragment(mark.content, mark.inner):
        yield from _html_element(element, swapped)
    if re.search(r"</?style\b", re.sub(r"<style\b[^<>]*>[^<]*</style\s*>", "", mark.content, flags=re.IGNORECASE), re.IGNORECASE):
        yield Fault(mark.offset, "style_unclosed", "A style sheet in an Outlook conditional begins and ends there.")


def _component(element: Element, parent: Element | None, swapped: Swapped) -> Iterator[Fault]:
    component = COMPONENTS.get(element.name)
    if component is None:
        yield _unknown(element)
        return
    if parent is not None and parent.name not in component.inside:
        yield Fault(
            element.offset, "tag_misplaced", "<{tag}> is not allowed in <{parent}>; it belongs in {places}.", tag=element.name, parent=parent.name,
            places=_listed(component.inside),
        )  # fmt: skip
    based = element.name == "mj-navbar-link" and parent is not None and bool(parent.get("base-url"))
    yield from (one for one in _attributes(element, component.attributes, swapped) if not (based and one.code == "relative_link"))
    if component.html:
        yield from _html(element, swapped)
    elif element.name == "mj-attributes":
        yield from _defaults(element, swapped)
    else:
        yield from _strays(element, swapped)
        yield from _loose_conditionals(element)
        if element.name == "mj-carousel":
            yield from _fixed_number(element, swapped)
        for child in element.elements():
            yield from _component(child, element, swapped)


def _fixed_number(element: Element, swapped: Swapped) -> Iterator[Fault]:
    for child in element.children:
        if isinstance(child, Text) and any(token.kind != "comment" for token in swapped.words_in(child.text)):
            text = "Jinja cannot stand between the pictures of <mj-carousel>: their number is fixed when the template is saved."
            yield Fault(child.offset, "jinja_misplaced", text)


def _loose_conditionals(element: Element) -> Iterator[Fault]:
    for comment in element.comments:
        if re.match(r"<!(?:--\s*|--\s*<!)?\[", comment.source):
            text = "An Outlook conditional between components stands in <mj-raw>."
            yield Fault(comment.offset, "conditional_misplaced", text)


def _unknown(element: Element) -> Fault:
    if element.name in _SENTENCES:
        return Fault(element.offset, "not_available", _SENTENCES[element.name])
    near = get_close_matches(element.name, COMPONENTS, n=1)
    if near:
        return Fault(element.offset, "tag_unknown", "Unknown tag <{tag}>. Did you mean <{near}>?", tag=element.name, near=near[0])
    text = "<{tag}> is unknown here. HTML belongs in <mj-text>, <mj-table> or <mj-raw>."
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
    text = '<{tag}> has no attribute "{attribute}"; it has no effect.' + (' Did you mean "{near}"?' if near else "")
    return Remark(attribute.offset, "attribute_unknown", text, tag=element.name, attribute=attribute.name, near="".join(near))


def _value(attribute: Attribute, swapped: Swapped) -> Iterator[Fault]:
    value = attribute.value or ""
    if swapped.word.search(value) and attribute.name not in TEMPLATED:
        text = 'The value of "{attribute}" is read when the template is saved; it cannot contain Jinja.'
        yield Fault(attribute.offset, "attribute_templated", text, attribute=attribute.name)
    yield from _address(attribute, swapped)


def jinja_between(offset: int) -> Fault:
    return Fault(offset, "jinja_between_attributes", "Jinja cannot be used between attributes; put it inside a value or around the tag.")


_ONLY_ATTRIBUTES = "Only attributes have a place in <{tag}> here; conditions can stand in the values of colours."


def _defaults(element: Element, swapped: Swapped) -> Iterator[Fault]:
    """`mj-attributes`: children named after components carry the defaults of their attributes."""
    yield from (
        Fault(child.offset, "text_misplaced", _ONLY_ATTRIBUTES, tag=element.name)
        for child in element.children
        if isinstance(child, Text) and child.text.strip()
    )
    for child in element.elements():
        if child.name not in DEFAULTS:
            yield _unknown(child)
            continue
        component = COMPONENTS.get(child.name)
        if any(isinstance(inner, Text) and inner.text.strip() for inner in child.children):
            yield Fault(child.offset, "text_misplaced", _ONLY_ATTRIBUTES, tag=child.name)
        yield from _attributes(child, component.attributes if component else ALL_ATTRIBUTES, swapped)
        if child.name == "mj-class":
            yield from (_unknown(inner) for inner in child.elements() if inner.name not in DEFAULTS)


def _strays(element: Element, swapped: Swapped) -> Iterator[Fault]:
    for child in element.children:
        if isinstance(child, Text) and _prints(child.text, swapped):
            offset = child.offset + len(child.text) - len(child.text.lstrip())
            yield Fault(offset, "text_misplaced", "Text is not allowed directly in <{tag}>; put it into <mj-text>.", tag=element.name)


def _prints(text: str, swapped: Swapped) -> bool:
    return bool(swapped.word.sub("", text).strip()) or any(token.kind == "expression" for token in swapped.words_in(text))


def _html(element: Element, swapped: Swapped) -> Iterator[Fault]:
    if element.name in ("mj-style", "mj-title", "mj-preview"):
        yield from _only_text(element, swapped)
        return
    for inner in element.elements():
        yield from _html_element(inner, swapped)


def _only_text(element: Element, swapped: Swapped) -> Iterator[Fault]:
    """A style sheet or a title: a tag in it would end it in a mail program, or show."""
    for inner in element.elements():
        yield Fault(
            inner.offset, "tag_misplaced", "<{tag}> cannot stand in <{parent}>, which holds only text.", tag=inner.name, parent=element.name
        )
    text = "".join(child.text for child in element.children if isinstance(child, Text))
    if element.name in ("mj-style", "style") and not allowed.css(text):
        yield Fault(element.offset, "script", "This style sheet runs a script; messages cannot.")


def _html_element(element: Element, swapped: Swapped) -> Iterator[Fault]:
    name = element.name.lower()
    if swapped.word.search(element.name):
        yield Fault(element.offset, "jinja_tag_name", "Jinja cannot name a tag.")
    elif name == "mj-raw":
        yield Remark(element.offset, "raw_unneeded", "<mj-raw> has no effect inside HTML, where Jinja can stand by itself.")
    elif name.startswith("mj-") or name == "mjml":
        yield Fault(element.offset, "tag_misplaced", "<{tag}> is not allowed inside HTML.", tag=element.name)
    elif not allowed.tag(name):
        yield _forbidden(element)
    for attribute in element.attributes.values():
        yield from _html_attribute(element, attribute, swapped)
    if name == "style":
        yield from _only_text(element, swapped)
        return
    for child in element.elements():
        yield from _html_element(child, swapped)


def _forbidden(element: Element) -> Fault:
    name = element.name.lower()
    if name in _SENTENCES:
        return Fault(element.offset, "tag_forbidden", _SENTENCES[name])
    near = [] if name in FORBIDDEN else get_close_matches(name, allowed.TAGS, n=1)
    text = "<{tag}> is not allowed in messages." + (" Did you mean <{near}>?" if near else "")
    return Fault(element.offset, "tag_forbidden", text, tag=element.name, near="".join(near))


def _html_attribute(element: Element, attribute: Attribute, swapped: Swapped) -> Iterator[Fault]:
    name = attribute.name.lower()
    value = attribute.value or ""
    if swapped.word.search(name):
        yield jinja_between(attribute.offset)
    elif allowed.runs_script(name) or (name == "style" and not allowed.css(value)):
        yield Fault(attribute.offset, "script", 'The attribute "{attribute}" runs a script; messages cannot.', attribute=attribute.name)
    elif name == "http-equiv" and value.lower() not in allowed.META:
        yield Fault(attribute.offset, "tag_forbidden", "<{tag}> is not allowed in messages.", tag=f"{element.name} http-equiv")
    elif not allowed.attribute(element.name, name):
        text = 'The attribute "{attribute}" has no effect in messages; it is left out.'
        yield Remark(attribute.offset, "attribute_unknown", text, attribute=attribute.name)
    else:
        yield from _address(attribute, swapped)


def _address(attribute: Attribute, swapped: Swapped) -> Iterator[Fault]:
    if attribute.name.lower() == "srcset":
        for candidate in (attribute.value or "").split(", "):
            yield from _one_address(attribute, candidate.strip().split(" ")[0], swapped)
    elif attribute.name.lower() in allowed.URL_ATTRIBUTES:
        yield from _one_address(attribute, attribute.value or "", swapped)


def _one_address(attribute: Attribute, value: str, swapped: Swapped) -> Iterator[Fault]:
    start = swapped.word.split(value, maxsplit=1)[0].lstrip()
    named, whole, linked = allowed.scheme(start), swapped.word.search(value) is None, attribute.name.lower() in ("href", "base-url")
    if not allowed.safe(start, picture=not linked):
        text = '"{scheme}:" addresses are not allowed; expected https, mailto or tel.'
        yield Fault(attribute.offset, "unsafe_link", text, scheme=named)
    elif not named and start and not (linked and start.startswith("#")):
        yield Fault(attribute.offset, "relative_link", _WHOLE[linked])
    elif named in ("http", "https") and not allowed.has_host(value):
        yield Fault(attribute.offset, "link_without_host", 'This is not a website address; expected one such as "https://example.org".')
    elif whole and named in ("mailto", "tel", "sms", "webcal") and allowed.says_nothing(value):
        yield Fault(attribute.offset, "link_without_host", 'There is nothing after "{scheme}:" in this address.', scheme=named)
    elif named == "webcal":
        yield Remark(attribute.offset, "webcal", 'Not every mail program opens "webcal:" addresses; offer an https address, too.')


_WHOLE = {
    True: 'A link in a message needs its full address, starting with "https://".',
    False: 'A picture in a message needs its whole address, starting with "https://".',
}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"<{name}>" for name in sorted(names)) or "nothing"
