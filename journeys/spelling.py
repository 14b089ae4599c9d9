"""One spelling for what people and programs type on one line: names of events, tags, ids.

Whoever checks such a text checks what these functions return, never what came in: a blank, a zero-width character or a decomposed accent
must not make a second name that looks like the first, nor slip past a check. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters that show nothing: Unicode's Default_Ignorable_Code_Point without the joiners, and the blank of Braille.
Source: Unicode Character Database, DerivedCoreProperties.txt."""
_UNSEEN = re.compile(rf"[{_IGNORABLE}]")
_JOINING = "\u200c\u200d\ufe00-\ufe0f"
_IDLE = re.compile(rf"(?<![^\x00-\x7f])[{_JOINING}]+|[\u200c\u200d]+(?![^\x00-\x7f])")
"""Joiners and variation selectors with nothing to join; they stay in emoji, in Persian and in Indian scripts."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNPAIRED = re.compile(r"[\ud800-\udfff]")
_EDGE = rf"[\s\x00-\x1f\x7f-\x9f{_JOINING}{_IGNORABLE}]+"
_START, _END = re.compile(_EDGE), re.compile(rf"(?<=[^\s\x00-\x1f\x7f-\x9f{_JOINING}{_IGNORABLE}]){_EDGE}\Z")


@lru_cache(maxsize=8_192)
def one_line(text: str) -> str:
    """A name as it is stored and compared: composed (NFC), without characters that show nothing, inner blanks single, none at the ends.

    Doing it twice changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text if "  " not in text and text == text.strip() else " ".join(text.split())
    text = _UNSEEN.sub("", _CONTROL.sub(" ", _UNPAIRED.sub("\ufffd", text)))
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    return " ".join(_IDLE.sub("", text).split())


def identifier(text: str) -> str:
    """An id as it is stored and compared: composed, nothing unseen at its ends; what stands inside belongs to it, but for NUL."""
    if text.isascii() and text.isprintable():
        return text.strip()
    text = _UNPAIRED.sub("\ufffd", text.replace("\x00", ""))
    return _trimmed(unicodedata.normalize("NFC", text))


def _trimmed(text: str) -> str:
    if found := _START.match(text):
        text = text[found.end() :]
    found = _END.search(text)
    return text[: found.start()] if found else text
