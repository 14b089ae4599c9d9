"""Colours that can be read: contrast, and shades moved until there is enough of it. Pure.

Source: WCAG 2.2, relative luminance and contrast ratio (1.4.3: at least 4.5 for text).
"""

from __future__ import annotations

LEAST_CONTRAST = 4.5
LIGHT, DARK = "#ffffff", "#16181b"
"""The paper of the public pages (`style.css`), by colour scheme."""
STEPS = 20

Rgb = tuple[float, float, float]


def ink_on(colour: str) -> str:
    """White or black, whichever is read better on the colour."""
    return LIGHT if contrast(colour, LIGHT) >= contrast(colour, "#000000") else "#000000"


def readable(colour: str, paper: str) -> str:
    """The colour, moved towards black or white until text in it can be read on the paper."""
    goal = "#000000" if contrast(paper, "#000000") > contrast(paper, LIGHT) else LIGHT
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
