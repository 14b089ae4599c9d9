"""What the MJML compiler in use gets wrong beside the contents, and how it is put right: before it works, in attributes; after, in its HTML.

Each rule names what the reference implementation (mjml 5.4.1) does. A value that the compiler only copies into a style carries what it
forgets: `border="0"` becomes `border="0;border-left:3px solid red"`. `corpus` and `test_mend` compare the results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from activities.rendering import conditionals
from activities.rendering.faults import Fault
from activities.rendering.places import between_tags

SIDES = ("top", "right", "bottom", "left")
_ZERO = re.compile(r"(?<![\w.%#-])0(?![\w.%])")
_HERO_INSIDE = re.compile(
    r'width="(?P<width>\d+)" style="width:\d+px;">(?P<between><tr><td(?: style="[^"]*")?><!\[endif\]--><div class="mj-hero-content)'
)
_BUTTON = re.compile(r'(<(?:a|p)\b[^<>]* style="display:inline-block;width:)(\d+)px')
_SOCIAL_CELL = (
    r"<!--\[if mso \| IE\]><td><!\[endif\]--><table [^<>]*><tbody><!--(WORD)--></tbody></table>"
    r"<!--\[if mso \| IE\]></td><!\[endif\]-->"
)
"""What the compiler puts around a comment between social networks."""
_FLUID = re.compile(r"(mso-padding-bottom-alt:0;padding-bottom:)(\d+(?:\.\d+)?)(;width:0\.01%)")

Resolve = Callable[[str], str]
"""The value an attribute has after classes and defaults, empty for none."""


def attributes(tag: str, own: Mapping[str, str], resolve: Resolve) -> dict[str, str]:
    """The attributes as the compiler understands them."""
    values = {name: with_units(name, value) for name, value in own.items()}
    values.update(_CARRIERS[tag](resolve) if tag in _CARRIERS else {})
    if values.get("mode") == "fluid-height":
        values["mode"] = "fluid"  # the name that the compiler knows
    return values


def with_units(name: str, value: str) -> str:
    """`padding="0 20px"`: a zero without a unit makes the compiler forget the padding when it works out widths."""
    return _ZERO.sub("0px", value) if "padding" in name else value


def _image(resolve: Resolve) -> dict[str, str]:
    """Borders of single sides."""
    sides = _declared(resolve, "border")
    return {"border": (resolve("border") or "0") + sides} if sides else {}


def _table(resolve: Resolve) -> dict[str, str]:
    """Cells keep their distance."""
    apart = resolve("cellspacing") not in ("", "0", "0px")
    return {"border": (resolve("border") or "none") + ";border-collapse:separate"} if apart else {}


def _accordion_part(resolve: Resolve) -> dict[str, str]:
    """Paddings of single sides after the one of all; the weight of a title."""
    carried = _declared(resolve, "padding")
    if weight := resolve("font-weight"):
        carried += f";font-weight:{weight}"
    return {"padding": (resolve("padding") or "16px") + carried} if carried else {}


def _hero(resolve: Resolve) -> dict[str, str]:
    """Inner padding and round corners."""
    values = {}
    inner = (f";padding:{padding}" if (padding := resolve("inner-padding")) else "") + _declared(resolve, "inner-padding", "padding")
    if inner:
        values["inner-background-color"] = (resolve("inner-background-color") or "transparent") + inner
    if radius := resolve("border-radius"):
        values["vertical-align"] = f"{resolve('vertical-align') or 'top'};border-radius:{radius}"
    return values


def _declared(resolve: Resolve, name: str, written: str = "") -> str:
    return "".join(f";{written or name}-{side}:{value}" for side in SIDES if (value := resolve(f"{name}-{side}")))


_CARRIERS: Mapping[str, Callable[[Resolve], dict[str, str]]] = {
    "mj-image": _image,
    "mj-table": _table,
    "mj-accordion-title": _accordion_part,
    "mj-accordion-text": _accordion_part,
    "mj-hero": _hero,
}


def beside(resolve: Resolve) -> int:
    """Points of padding left and right of what stands in a component."""
    shorthand = resolve("padding").split()
    right = shorthand[1] if len(shorthand) > 1 else shorthand[0] if shorthand else ""
    left = shorthand[3] if len(shorthand) == 4 else right
    return _points(resolve("padding-right") or right) + _points(resolve("padding-left") or left)


def _points(length: str) -> int:
    match = re.fullmatch(r"(\d{1,4})(?:px)?", length.strip())
    return int(match[1]) if match else 0


def gap(size: str) -> str:
    """What stands between two sections of a wrapper; the compiler knows no gaps."""
    room = f"height:{size};line-height:{size};font-size:0"
    return (
        f'<!--[if mso | IE]><tr><td style="{room}">&nbsp;</td></tr><![endif]-->'
        f'<!--[if !mso]><!--><div style="{room}"></div><!--<![endif]-->'
    )


def borders(resolve: Resolve) -> int:
    """Points of border left and right of a component."""
    both = _points(resolve("border").partition(" ")[0])
    sides = (_points(resolve(f"border-{side}").partition(" ")[0]) if resolve(f"border-{side}") else both for side in ("left", "right"))
    return sum(sides)


def compiled(html: str, words: re.Pattern[str], heroes: list[int], buttons: list[int]) -> str:
    """The compiler's HTML put right. `words` stand for contents; `heroes`: points of padding beside the inside of each `mj-hero`;
    `buttons`: points of border beside each `mj-button` with a width."""
    html = re.sub(_SOCIAL_CELL.replace("WORD", words.pattern), r"\1", html)
    html = re.sub(rf"<!--({words.pattern})-->", r"\1", html)
    html = html.replace("@media screen, yahoo {", "@media screen yahoo {")  # it is to match nowhere but there
    html = _FLUID.sub(lambda match: f"{match[1]}{round(float(match[2]))}%{match[3]}", html)
    html = _heroes(html, heroes)
    html = _buttons(html, buttons)
    try:
        return _words_out(html, words)
    except Fault:
        return html  # `result` will tell


def _buttons(html: str, buttons: list[int]) -> str:
    """The width of a button is that of its border box."""
    beside_each = iter(buttons)
    return _BUTTON.sub(lambda match: f"{match[1]}{max(0, int(match[2]) - next(beside_each, 0))}px", html)


def _heroes(html: str, heroes: list[int]) -> str:
    """In Outlook what stands in a hero is as wide as the hero less its padding."""
    paddings = iter(heroes)

    def narrowed(match: re.Match[str]) -> str:
        width = int(match["width"]) - next(paddings, 0)
        return f'width="{width}" style="width:{width}px;">{match["between"]}'

    return _HERO_INSIDE.sub(narrowed, html)


def _words_out(html: str, words: re.Pattern[str]) -> str:
    """Between sections of a wrapper and between columns the compiler writes contents into the conditional for Outlook: they come out of it."""
    parts: list[str] = []
    at = 0
    for mark in conditionals.marks(html):
        if mark.kind == "hidden" and words.search(mark.content):
            opening = f"<!--[if {mark.when}]>"
            around = rf"<![endif]-->\g<0>{opening}"
            split = between_tags(mark.content, partial(words.sub, around))
            parts += (html[at : mark.offset], f"{opening}{split}<![endif]-->".replace(f"{opening}<![endif]-->", ""))
            at = mark.end
    return "".join((*parts, html[at:]))
