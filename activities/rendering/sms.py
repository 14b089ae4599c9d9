"""How many parts a text message is cut into, and in which alphabet. Source: 3GPP TS 23.038 (GSM 7-bit default alphabet)."""

from __future__ import annotations

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
LIMITS = {"gsm7": (160, 153), "ucs2": (70, 67)}
"""Units of a single message, and of each part of a longer one."""


@dataclass(frozen=True, slots=True)
class Segments:
    """`units` are septets (gsm7; some characters take two) or UTF-16 units (ucs2); `foreign` are the characters that forced ucs2."""

    encoding: str
    units: int
    count: int
    foreign: str = ""


def segments(text: str) -> Segments:
    """Example: 161 plain letters -> gsm7, 161 units, 2 parts."""
    foreign = "".join(sorted({character for character in text if character not in _BASIC and character not in _EXTENDED}))
    if foreign:
        units = [2 if ord(character) > 0xFFFF else 1 for character in text]
        return Segments("ucs2", sum(units), _parts(units, *LIMITS["ucs2"]), foreign)
    units = [2 if character in _EXTENDED else 1 for character in text]
    return Segments("gsm7", sum(units), _parts(units, *LIMITS["gsm7"]))


def _parts(units: list[int], single: int, part: int) -> int:
    """A character of two units is never cut in half."""
    if sum(units) <= single:
        return 1 if units else 0
    count, room = 1, part
    for size in units:
        if size > room:
            count, room = count + 1, part
        room -= size
    return count
