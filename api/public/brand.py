"""How the public pages look: the workspace's name, logo and colour, kept readable on light and on dark paper.

Source: WCAG 2.2, relative luminance and contrast ratio (1.4.3: at least 4.5 for text).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from workspace import settings

LEAST_CONTRAST = 4.5
LIGHT, DARK = "#ffffff", "#16181b"
"""The paper of `style.css`, by colour scheme."""
STEPS = 20

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Brand:
    """What a page says of its sender. `colours` is a style sheet, empty for ours."""

    name: str = ""
    address: str = ""
    logo: str = ""
    website: str = ""
    imprint: str = ""
    privacy: str = ""
    colours: str = ""


def brand(session: Session) -> Brand:
    """As the workspace has it now."""
    look, sender = settings.load(session, settings.Appearance), settings.load(session, settings.Sender)
    name = look.name or sender.name
    return Brand(name, sender.postal_address, look.logo, look.website, look.imprint, look.privacy, colours(look.colour))


def colours(colour: str) -> str:
    """The style sheet for one colour: buttons in it, their text black or white, links in it as far as it can be read."""
    if not colour:
        return ""
    ink = LIGHT if contrast(colour, LIGHT) >= contrast(colour, "#000000") else "#000000"
    light, dark = readable(colour, LIGHT), readable(colour, DARK)
    return (
        f":root {{ --deed: {colour}; --deed-ink: {ink}; --link: {light}; }}"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --deed: {colour}; --deed-ink: {ink}; --link: {dark}; }} }}"
    )


def readable(colour: str, paper: str) -> str:
    """The colour, moved towards black or white until text in it can be read on the paper."""
    goal = "#000000" if paper == LIGHT else LIGHT
    mixed = (_mixed(colour, goal, step / STEPS) for step in range(STEPS + 1))
    return next(one for one in mixed if contrast(one, paper) >= LEAST_CONTRAST)


def contrast(one: str, other: str) -> float:
    """1 (the same) to 21 (black on white), e.g. `contrast("#777777", "#ffffff")` is 4.48."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(colour: str, goal: str, share: float) -> str:
    parts = (a + (b - a) * share for a, b in zip(_rgb(colour), _rgb(goal), strict=True))
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)


def _rgb(colour: str) -> Rgb:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
