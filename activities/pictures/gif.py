"""GIF files block by block: what tells of their maker is left out, every frame stays as it is.

Source: GIF89a specification (CompuServe, 1990), sections 17 to 27.
"""

from __future__ import annotations

from collections.abc import Iterator

KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
"""Extensions of programs that say how often an animation repeats; others hold XMP and the like."""
_EXTENSION, _FRAME, _END = 0x21, 0x2C, 0x3B
_COMMENT, _PLAIN_TEXT, _PROGRAM = 0xFE, 0x01, 0xFF


def plain(content: bytes) -> bytes:
    """The same animation without comments, texts and data of programs, and without what follows its end.

    Raises: ValueError or IndexError where the file is broken.
    """
    return b"".join(_pieces(content))


def _pieces(content: bytes) -> Iterator[bytes]:
    at = 13 + _table(content[10])
    yield content[:at]
    while at < len(content) and content[at] != _END:  # some programs leave the end out
        if content[at] == _EXTENSION:
            end = _chain(content, at + 2)
            if not _tells(content, at):
                yield content[at:end]
        elif content[at] == _FRAME:
            end = _chain(content, at + 10 + _table(content[at + 9]) + 1)
            yield content[at:end]
        else:
            raise ValueError("not a block of a GIF")
        at = end
    yield bytes((_END,))


def _tells(content: bytes, at: int) -> bool:
    label = content[at + 1]
    return label in (_COMMENT, _PLAIN_TEXT) or (label == _PROGRAM and content[at + 3 : at + 14] not in KEPT)


def _table(flags: int) -> int:
    """Bytes of the list of colours that follows."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _chain(content: bytes, at: int) -> int:
    """Where a row of blocks ends, each of which begins with its length."""
    while content[at]:
        at += content[at] + 1
    return at + 1
