"""Web addresses that people write into settings. Whether one may be called is asked elsewhere (`activities.webhooks.address_guard`)."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit


def web_address(text: str, *, schemes: Collection[str]) -> str:
    """The address itself; empty stays empty. `schemes` are `https`, or `https` and `http`.

    Raises:
        ValueError: it is none, or one that programs read in different ways: says what to change.
    """
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        begins = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # `http://[`, a port that is no number
        begins = False
    if not begins:
        raise ValueError(_EXPECTED["http" in schemes])
    if not (text.isascii() and text.isprintable()) or set(text) & {" ", "\\"} or "@" in parts.netloc:
        raise ValueError("A web address has no blanks, no letters such as ü, no backslash, and no user name or password.")
    return text


_EXPECTED = {
    False: "Enter an address that begins with https://.",
    True: "Enter an address that begins with https:// or http://.",
}
