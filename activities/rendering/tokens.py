"""Jinja in, opaque words out, and back again.

The MJML compiler trips over `{% if a < 3 %}`, `{# <b> #}` and quotes inside quotes. So every `{{…}}`, `{%…%}` and `{#…#}` becomes
a word (`jx0001xj`) before MJML is parsed, and returns afterwards. Knows nothing of HTML or of what the Jinja means.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from activities.rendering.faults import Fault

_STRINGS = r""""(?:\\.|[^"\\])*+"|'(?:\\.|[^'\\])*+'"""
_TOKEN = re.compile(
    rf"""(?P<comment>\{{\#.*?\#\}})
      |(?P<expression>\{{\{{(?:[^"'}}]|{_STRINGS}|\}}(?!\}}))*+\}}\}})
      |(?P<block>\{{%(?:[^"'%]|{_STRINGS}|%(?!\}}))*+%\}})
      |(?P<open>\{{[{{%\#])""",
    re.DOTALL | re.VERBOSE,
)
_CLOSING = {"{{": "}}", "{%": "%}", "{#": "#}"}


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of Jinja: `source` as written, `offset` and `end` in the original text, `word` in the swapped one."""

    word: str
    source: str
    kind: Literal["comment", "expression", "block"]
    offset: int
    end: int

    @property
    def inner(self) -> str:
        """Without the braces and their whitespace marks."""
        return self.source[2:-2].strip("-+").strip()


class Swapped:
    """A text whose Jinja stands aside. `text` holds words; `tokens` maps word -> token in the order of the text."""

    def __init__(self, text: str, tokens: dict[str, Token], prefix: str, shifts: list[tuple[int, int]]) -> None:
        self.text = text
        self.tokens = tokens
        self.prefix = prefix
        self.word = re.compile(rf"{prefix}\d{{4,}}xj")
        self._shifts = shifts

    def add(self, source: str) -> str:
        """The word for a piece of Jinja that is not in the original: it is written wherever the word stands."""
        word = f"{self.prefix}{len(self.tokens):04d}xj"
        self.tokens[word] = Token(word, source, "block" if source.startswith("{%") else "expression", 0, 0)
        return word

    def original_offset(self, offset: int) -> int:
        """Where an offset of `text` lies in the original."""
        shift = 0
        for start, by in self._shifts:
            if start > offset:
                break
            shift = by
        return offset + shift

    def restore(self, text: str, write: Callable[[Token], str] | None = None) -> str:
        """`text` with its words turned back into Jinja; comments vanish. `write` may spell a token differently."""
        return self.word.sub(lambda match: self._written(match.group(), write), text)

    def _written(self, word: str, write: Callable[[Token], str] | None) -> str:
        token = self.tokens.get(word)
        if token is None:
            return word
        if token.kind == "comment":
            return ""
        return write(token) if write else token.source

    def words_in(self, text: str) -> list[Token]:
        """The tokens that stand in `text`, in order."""
        return [self.tokens[word] for word in self.word.findall(text) if word in self.tokens]


def swap(source: str) -> Swapped:
    """Sets the Jinja of `source` aside.

    Raises:
        Fault: a brace that is opened and never closed, or a `raw` block (its content could not be told from markup).
    """
    prefix = free_prefix("jx", source)
    tokens: dict[str, Token] = {}
    parts: list[str] = []
    shifts: list[tuple[int, int]] = []
    at = length = 0
    for match in _TOKEN.finditer(source):
        word = f"{prefix}{len(tokens):04d}xj"
        tokens[word] = _token(match, word)
        parts += (source[at : match.start()], word)
        length += match.start() - at + len(word)
        at = match.end()
        shifts += [(length - len(word), match.start() - (length - len(word))), (length, at - length)]
    parts.append(source[at:])
    return Swapped("".join(parts), tokens, prefix, shifts)


def _token(match: re.Match[str], word: str) -> Token:
    kind, text = match.lastgroup, match.group()
    if kind == "open":
        raise Fault(match.start(), "jinja_unclosed", 'Expected "{closing}" after "{opening}".', opening=text, closing=_CLOSING[text])
    token = Token(word, text, kind, match.start(), match.end())  # type: ignore[arg-type]
    if kind == "block" and token.inner.split(None, 1)[:1] == ["raw"]:
        raise Fault(match.start(), "jinja_tag", '"{tag}" is not available in templates.', tag="raw")
    return token


def free_prefix(prefix: str, source: str) -> str:
    """`prefix`, made longer until it does not occur in `source`."""
    while prefix in source:
        prefix += "q"
    return prefix
