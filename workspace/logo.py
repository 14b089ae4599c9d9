"""The logo of the pages that contacts come to, kept as a data address: nothing but a picture, and a small one."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

MOST_BYTES = 65_536
KINDS: tuple[tuple[bytes, str], ...] = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
"""How a file of each kind begins. No SVG: it is a document that can hold scripts."""


def address(content: bytes) -> str:
    """A logo as a data address, whose kind is that of its first bytes.

    Raises:
        ValueError: too large, or of another kind.
    """
    if len(content) > MOST_BYTES:
        raise ValueError("The logo is too large: at most 64 KB.")
    kind = next((kind for start, kind in KINDS if content.startswith(start)), None)
    if kind is None:
        raise ValueError("The logo must be a PNG or a JPEG file.")
    return f"data:{kind};base64,{b64encode(content).decode()}"


def checked(text: str) -> str:
    """As `address` makes it; what somebody else wrote is taken apart and made anew. Empty: no logo.

    Raises: ValueError.
    """
    try:
        return address(b64decode(text.partition(";base64,")[2], validate=True)) if text else ""
    except binascii.Error:
        raise ValueError("The logo must be a PNG or a JPEG file.") from None
