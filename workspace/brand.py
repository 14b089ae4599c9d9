"""The brand of the workspace: its name, logo, colours and fonts, kept readable, for public pages and as `brand` in templates.

Source: WCAG 2.2, relative luminance and contrast ratio (1.4.3: at least 4.5 for text).
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from sqlalchemy.orm import Session

from workspace import settings
from workspace.colours import LIGHT, ink_on, readable

BLUE, INK, GROUND = "#1f5fbf", "#1f2933", "#f3f4f6"
"""Buttons, text and the ground of mails, where the workspace has no colours of its own."""
DARK_PAPER = "#20252e"
"""What text of dark mails stands on."""
LOGO_PATH = "/m/logo"


def values(session: Session, public_url: str) -> dict[str, str]:
    """What templates read as `brand`; every name has a value, a picture or link that is not set an empty one."""
    look, sender = settings.load(session, settings.Appearance), settings.load(session, settings.Sender)
    return {**_look(look, public_url.rstrip("/")), "name": look.name or sender.name}


@lru_cache(maxsize=8)
def _look(look: settings.Appearance, public_url: str) -> dict[str, str]:
    colour = look.colour or BLUE
    font = settings.FONTS[look.font]
    return {
        "color": colour,
        "on_color": ink_on(colour),
        "link": readable(colour, LIGHT),
        "link_dark": readable(colour, DARK_PAPER),
        "text": look.text or INK,
        "background": look.background or GROUND,
        "font": font,
        "heading_font": settings.FONTS[look.heading_font] if look.heading_font else font,
        "logo": public_url + path if (path := logo_path(look.logo)) else "",
        "website": look.website,
        "imprint": look.imprint,
        "privacy": look.privacy,
    }


def logo_path(logo: str) -> str:
    """Where the logo (a data address) is given out; a changed one has another address. Empty: there is none."""
    return f"{LOGO_PATH}/{digest_of(logo)}.{_ending(logo)}" if logo else ""


def digest_of(logo: str) -> str:
    """Names a logo: 32 hexadecimal digits."""
    return sha256(logo.encode()).hexdigest()[:32]


def _ending(logo: str) -> str:
    return "png" if logo.startswith("data:image/png") else "jpg"
