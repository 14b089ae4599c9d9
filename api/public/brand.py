"""How the public pages look: the workspace's name, logo and colour, kept readable on light and on dark paper (`workspace.colours`)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from workspace import settings
from workspace.colours import DARK, LIGHT, ink_on, readable


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
    ink = ink_on(colour)
    light, dark = readable(colour, LIGHT), readable(colour, DARK)
    return (
        f":root {{ --deed: {colour}; --deed-ink: {ink}; --link: {light}; }}"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --deed: {colour}; --deed-ink: {ink}; --link: {dark}; }} }}"
    )
