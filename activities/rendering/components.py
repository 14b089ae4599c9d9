"""The MJML components: where each may stand and which attributes it knows.

The compiler in use accepts unknown tags, unknown attributes and misplaced components silently and produces wrong HTML; this
table is what says so. Source: the MJML documentation, version 4; `mj-html-attributes` is left out because
the compiler cannot do it, `mj-include` because partials are put in before (see `partials`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Component:
    """`inside` are its possible parents; `html` components hold HTML and text, the others only components."""

    inside: frozenset[str]
    attributes: frozenset[str]
    html: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PADDING = "padding padding-top padding-right padding-bottom padding-left "
_BACKGROUND = (
    "background-color background-url background-repeat background-size background-position background-position-x background-position-y "
)
_FONT = "color font-family font-size font-style font-weight letter-spacing line-height text-align text-decoration text-transform "
_BORDER = "border border-top border-right border-bottom border-left border-radius "
_CONTENT = "mj-column mj-hero"


def _component(inside: str, attributes: str = "", *, html: bool = False) -> Component:
    return Component(_words(inside), _words(attributes + " css-class mj-class"), html)


COMPONENTS: dict[str, Component] = {
    "mjml": Component(frozenset(), _words("lang dir owa version")),
    "mj-head": _component("mjml"),
    "mj-body": _component("mjml", "background-color width id lang dir title"),
    "mj-attributes": _component("mj-head"),
    "mj-breakpoint": _component("mj-head", "width"),
    "mj-font": _component("mj-head", "name href"),
    "mj-preview": _component("mj-head", html=True),
    "mj-style": _component("mj-head", "inline", html=True),
    "mj-title": _component("mj-head", html=True),
    "mj-raw": _component(
        "mj-head mj-body mj-wrapper mj-section mj-group mj-column mj-hero mj-social mj-navbar mj-accordion mj-accordion-element",
        "position",
        html=True,
    ),
    "mj-wrapper": _component("mj-body", _PADDING + _BACKGROUND + _BORDER + "direction full-width text-align gap"),
    "mj-section": _component("mj-body mj-wrapper", _PADDING + _BACKGROUND + _BORDER + "direction full-width text-align text-padding"),
    "mj-group": _component("mj-section", "background-color direction vertical-align width"),
    "mj-column": _component(
        "mj-section mj-group",
        _PADDING
        + _BORDER
        + "background-color direction inner-background-color inner-border inner-border-top inner-border-right inner-border-bottom "
        "inner-border-left inner-border-radius vertical-align width",
    ),
    "mj-hero": _component(
        "mj-body mj-wrapper",
        _PADDING
        + _BACKGROUND
        + "background-height background-width border-radius container-background-color height inner-background-color "
        "inner-padding inner-padding-top inner-padding-right inner-padding-bottom inner-padding-left mode vertical-align width",
    ),
    "mj-text": _component(_CONTENT, _PADDING + _FONT + "align container-background-color height vertical-align", html=True),
    "mj-button": _component(
        _CONTENT,
        _PADDING + _FONT + _BORDER + "align background-color container-background-color height href inner-padding name rel target title "
        "vertical-align width",
        html=True,
    ),
    "mj-image": _component(
        _CONTENT,
        _PADDING
        + _BORDER
        + "align alt container-background-color fluid-on-mobile font-size height href max-height name rel sizes src srcset "
        "target title usemap width",
    ),
    "mj-divider": _component(_CONTENT, _PADDING + "align border-color border-style border-width container-background-color width"),
    "mj-spacer": _component(_CONTENT, _PADDING + "container-background-color height width"),
    "mj-table": _component(
        _CONTENT, _PADDING + _FONT + "align border cellpadding cellspacing container-background-color role table-layout width", html=True
    ),
    "mj-social": _component(
        _CONTENT,
        _PADDING
        + _FONT
        + "align border-radius container-background-color icon-height icon-padding icon-size inner-padding mode table-layout "
        "text-padding vertical-align",
    ),
    "mj-social-element": _component(
        "mj-social",
        _PADDING
        + _FONT
        + "align alt background-color border-radius href icon-height icon-padding icon-position icon-size name rel sizes src "
        "srcset target text-padding title vertical-align",
        html=True,
    ),
    "mj-navbar": _component(
        _CONTENT,
        _PADDING
        + "align base-url hamburger ico-align ico-close ico-color ico-font-family ico-font-size ico-line-height ico-open ico-padding "
        "ico-padding-top ico-padding-right ico-padding-bottom ico-padding-left ico-text-decoration ico-text-transform",
    ),
    "mj-navbar-link": _component("mj-navbar", _PADDING + _FONT + "href name rel target", html=True),
    "mj-accordion": _component(
        _CONTENT,
        _PADDING
        + "border container-background-color font-family icon-align icon-height icon-position icon-unwrapped-alt icon-unwrapped-url "
        "icon-width icon-wrapped-alt icon-wrapped-url",
    ),
    "mj-accordion-element": _component(
        "mj-accordion",
        "background-color border font-family icon-align icon-height icon-position icon-unwrapped-alt icon-unwrapped-url icon-width "
        "icon-wrapped-alt icon-wrapped-url",
    ),
    "mj-accordion-title": _component("mj-accordion-element", _PADDING + _FONT + "background-color", html=True),
    "mj-accordion-text": _component("mj-accordion-element", _PADDING + _FONT + "background-color", html=True),
    "mj-carousel": _component(
        _CONTENT,
        _PADDING + "align border-radius container-background-color icon-width left-icon right-icon tb-border tb-border-radius "
        "tb-hover-border-color tb-selected-border-color tb-width thumbnails",
    ),
    "mj-carousel-image": _component(
        "mj-carousel", _PADDING + "alt border-radius href rel src target tb-border tb-border-radius thumbnails-src title"
    ),
}

DEFAULTS = frozenset(COMPONENTS) | {"mj-all", "mj-class"}
"""What may stand inside `mj-attributes`, to set attributes of the component of that name."""

ALL_ATTRIBUTES = frozenset().union(*(component.attributes for component in COMPONENTS.values())) | {"name"}

TEMPLATED = _words(
    "href src srcset alt title name rel target css-class background-url thumbnails-src color background-color container-background-color "
    "inner-background-color border-color ico-color tb-hover-border-color tb-selected-border-color font-family lang dir id"
)
"""Attributes that may hold Jinja. The compiler drops what it cannot read as a number from all others, without a word."""
