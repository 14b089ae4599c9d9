"""Text as Slack reads it: no value can mention anybody, forge a link or end in half an entity.

Source: Slack "Formatting message text": `&`, `<` and `>` are escaped, all that mentions or links begins with `<`.
"""

from __future__ import annotations

from collections.abc import Iterator

ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_TABLE = str.maketrans(ESCAPES)


def escaped(text: str) -> str:
    """The text with every character that Slack gives a meaning spelled out."""
    return text.translate(_TABLE)


def pieces(text: str, most: int) -> Iterator[str]:
    """The escaped text in pieces of at most `most` characters, none of which ends inside an entity. Joined they are `escaped(text)`."""
    piece, length = list[str](), 0
    for character in text:
        spelled = ESCAPES.get(character, character)
        if length + len(spelled) > most:
            yield "".join(piece)
            piece, length = [], 0
        piece.append(spelled)
        length += len(spelled)
    if piece:
        yield "".join(piece)


def first_piece(text: str, most: int) -> str:
    """The escaped text, cut after `most` characters."""
    return next(pieces(text, most), "")
