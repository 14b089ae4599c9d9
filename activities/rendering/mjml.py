"""From one MJML source to the HTML template of one language: everything that is done once per version, not per mail.

The order is: set Jinja aside, read and check, set the contents aside, MJML compiler, contents back in, CSS inlining where asked for, a
look at the result as mail programs read it, then one pass over the HTML that puts the Jinja back, each piece escaped for the place where
it stands, and wraps links. Nothing is fetched: fonts
of third parties are loaded by readers only where the author names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import css_inline
from markupsafe import escape
from mjml import mjml2html

from activities.rendering import allowed, check, held, mend, result
from activities.rendering.budget import MAX_OUTPUT
from activities.rendering.faults import Fault, Remark
from activities.rendering.markup import Element, read
from activities.rendering.places import between_tags, over
from activities.rendering.plain import plain
from activities.rendering.tokens import Swapped, Token

PADDING = "&#847;&zwnj;&nbsp;" * 60
"""After a preheader, so that mail clients do not go on with the first words of the body."""

_LINK_TAGS = frozenset({"a", "area", "v:roundrect", "v:rect"})


@dataclass(frozen=True, slots=True)
class Compiled:
    """`html` and `text` are Jinja templates; `links` are the link targets as written, in order, each once."""

    html: str
    text: str
    links: list[str]
    root: Element


def compile_mjml(swapped: Swapped, preheader: Swapped | None) -> tuple[Compiled | None, list[Fault]]:
    """The compiled template, or None; and the faults (offsets of the swapped text), of which only remarks do not prevent it."""
    try:
        root = read(swapped.text)
    except Fault as fault:
        return None, [_explained(fault, swapped)]
    faults = list(check.faults(root, swapped))
    if any(not isinstance(fault, Remark) for fault in faults):
        return None, faults
    _complete_addresses(root)
    try:
        html, links = _html(root, swapped, preheader)
    except Fault as fault:
        return None, [*faults, fault]
    return Compiled(html, plain(root, swapped), links, root), faults


def _complete_addresses(root: Element) -> None:
    """Writes `base-url` of a navigation into its links, so that every face of the message has whole addresses."""
    for navigation in root.walk():
        base = navigation.get("base-url") if navigation.name == "mj-navbar" else ""
        for link in navigation.elements() if base else ():
            if href := link.attributes.get("href"):
                link.attributes["href"] = replace(href, value=f"{base}{href.value or ''}")
        if base:
            del navigation.attributes["base-url"]


def _explained(fault: Fault, swapped: Swapped) -> Fault:
    """A tag that cannot be read because of the Jinja between its attributes says so."""
    tag = swapped.text[fault.offset :].partition(">")[0]
    if fault.code == "tag_malformed" and swapped.word.search(tag):
        return check.jinja_between(fault.offset)
    return fault


def _html(root: Element, swapped: Swapped, preheader: Swapped | None) -> tuple[str, list[str]]:
    made = held.skeleton(root, swapped, _preview(root, swapped, preheader))
    try:
        compiled = mjml2html(made.source, fonts={})
    except ValueError as error:
        raise _refused(error, made, root) from None
    _not_too_long(compiled)
    compiled = mend.compiled(compiled, re.compile(f"{made.word.pattern}|{swapped.word.pattern}"), made.heroes, made.buttons)
    compiled = compiled.replace("<title></title>", f"<title>{swapped.add('{{ _subject }}')}</title>", 1)
    _all_kept(swapped, compiled, made)
    html = held.put_back(compiled, made, _checked(compiled, made, swapped))
    _not_too_long(html)
    if styles := _inline_styles(root, swapped):
        html = _inlined(html, styles, swapped)
    _raise_first(result.whole_faults(html, compiled, made, swapped))
    rewriter = _Rewriter(swapped)
    return _with_pixel(rewriter.rewritten(html)), rewriter.links


def _not_too_long(html: str) -> None:
    """What no message may be long enough for is not looked at closer."""
    if len(html) > MAX_OUTPUT:
        text = "Compiled, the message has {count} characters; expected at most {limit}."
        raise Fault(0, "too_large", text, count=len(html), limit=MAX_OUTPUT)


def _refused(error: ValueError, made: held.Skeleton, root: Element) -> Fault:
    """The compiler's own words are about its source; the component in which it stopped is what an author can see."""
    place = re.search(r"position (\d+)", str(error))
    begun = made.source[: int(place[1]) + 1].count("<mj") if place else 0
    element = made.elements[begun - 1] if 0 < begun <= len(made.elements) else root
    return Fault(element.offset, "mjml", "The MJML compiler cannot read what stands in this <{tag}>.", tag=element.name)


def _preview(root: Element, swapped: Swapped, preheader: Swapped | None) -> str:
    """The words under which the preheader and what pads it wait; the author's own preview is padded, too."""
    if preheader is not None and preheader.text.strip():
        spoken = preheader.restore(str(escape(preheader.text.strip())))
        return swapped.add(spoken) + swapped.add(PADDING)
    own = [one for head in root.elements() if head.name == "mj-head" for one in head.elements() if one.name == "mj-preview"]
    text = held.inner_html(own[-1], swapped).strip() if own else ""
    return swapped.add(swapped.restore(text)) + swapped.add(PADDING) if text else ""


def _checked(compiled: str, made: held.Skeleton, swapped: Swapped) -> frozenset[str]:
    """Raises the first thing that is wrong with skeleton or pieces; answers with the pieces that need a table row of their own."""
    _raise_first(result.skeleton_faults(compiled, made, swapped))
    contexts = result.contexts(compiled, made, swapped)
    rows = frozenset(word for word, tag in contexts.items() if tag == "tbody" and held.needs_row(made.pieces[word], swapped))
    for word, tag in contexts.items():
        if made.pieces[word].kind == "html":
            _raise_first(result.piece_faults(made.pieces[word], "td" if word in rows else tag, made, swapped))
    return rows


def _raise_first(faults: Iterator[Fault]) -> None:
    for fault in faults:
        raise fault


def _inline_styles(root: Element, swapped: Swapped) -> str:
    heads = (one for one in root.elements() if one.name == "mj-head")
    return "\n".join(held.inner_html(one, swapped) for head in heads for one in head.elements() if held.is_inline(one))


def _inlined(html: str, styles: str, swapped: Swapped) -> str:
    """Applies `mj-style inline`. The inliner reads HTML5 and would move loose words out of tables; comments stay where they are."""
    shielded = between_tags(html, lambda text: swapped.word.sub(lambda m: f"<!--{m.group()}-->", text))
    inliner = css_inline.CSSInliner(
        inline_style_tags=False, keep_style_tags=True, keep_link_tags=True, load_remote_stylesheets=False, extra_css=styles
    )
    return re.sub(rf"<!--({swapped.word.pattern})-->", r"\1", inliner.inline(shielded))


def _all_kept(swapped: Swapped, compiled: str, made: held.Skeleton) -> None:
    """What the compiler dropped stood at a place that produces no HTML: the author must hear of it."""
    kept = {*swapped.word.findall(compiled), *made.word.findall(compiled)}
    lost = set(swapped.word.findall(made.source)) - kept
    for word in set(made.word.findall(made.source)) - kept:
        lost |= set(swapped.word.findall(made.pieces[word].text))
    for word, token in swapped.tokens.items():
        if word in lost and token.kind != "comment" and word in swapped.text:
            raise Fault(swapped.text.index(word), "jinja_lost", "Jinja in this place never reaches the message.")


def _with_pixel(html: str) -> str:
    head, body, tail = html.rpartition("</body>")
    return f"{head}{{{{ _pixel }}}}{body}{tail}"


class _Rewriter:
    """Puts Jinja back into compiled HTML, place by place."""

    def __init__(self, swapped: Swapped) -> None:
        self._swapped = swapped
        self.links: list[str] = []

    def rewritten(self, html: str) -> str:
        if re.search(r"\{[{%#]", html):
            raise Fault(
                0, "brace", 'The compiled HTML holds "{{{{", "{{%" or "{{#" that is no Jinja; put a space between the braces of your CSS.'
            )
        return over(html, self._swapped.restore, self._value, lambda css: self._swapped.restore(css, _in_css))

    def _value(self, tag: str, name: str, value: str) -> str:
        if name == "style":
            return self._swapped.restore(value, _in_css)
        restored = self._swapped.restore(value)
        if name == "href" and tag in _LINK_TAGS:
            return self._link(value, restored)
        if name in allowed.URL_ATTRIBUTES and restored != value:
            return "{% filter address %}" + restored + "{% endfilter %}"
        return restored

    def _link(self, value: str, restored: str) -> str:
        if value.startswith("#") or (restored == value and allowed.scheme(value) not in ("http", "https")):
            return restored
        if restored not in self.links:
            self.links.append(restored)
        return "{% filter link %}" + restored + "{% endfilter %}"


def _in_css(token: Token) -> str:
    return "{{ (" + token.inner + ")|css }}" if token.kind == "expression" else token.source
