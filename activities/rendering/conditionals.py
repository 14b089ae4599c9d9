"""Outlook's conditional comments: found, balanced, and the two mails they make of one.

Source: Microsoft, "About conditional comments". Three forms: `<!--[if mso]>…<![endif]-->` hides its content from everybody else;
`<!--[if !mso]><!-->…<!--<![endif]-->` (also `<!--[if !mso]>-->`) and `<![if !mso]>…<![endif]>` show it to everybody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from activities.rendering.faults import Fault

_COMMENT = re.compile(r"<!--.*?-->|<!\[(?:if\s[^\[\]<>]*+|endif)\s*+\]>", re.DOTALL)
_HIDDEN = re.compile(r"\s*\[if\s(?P<when>[^\[\]]*+)\]>(?P<content>.*)<!\[endif\]\s*", re.DOTALL | re.IGNORECASE)
_REVEALED = re.compile(r"\s*\[if\s(?P<when>[^\[\]]*+)\]>(?:\s*<!--\s*|\s*<!\s*)?", re.DOTALL | re.IGNORECASE)
_END = re.compile(r"\s*<!\[endif\]\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mark:
    """One comment. A `hidden` one holds its `content` (from `inner` of the text); the content of a `start` stands behind it."""

    kind: Literal["hidden", "start", "end", "plain"]
    offset: int
    end: int
    when: str = ""
    content: str = ""
    inner: int = 0


def marks(text: str) -> Iterator[Mark]:
    """Every comment of a text, in order; see `paired`."""
    return paired(mark(match.group(), match.start()) for match in _COMMENT.finditer(text))


def paired(found: Iterable[Mark]) -> Iterator[Mark]:
    """The marks of one text, in order.

    Raises:
        Fault: a conditional that is never closed, closes nothing, or stands in another one.
    """
    open_at: Mark | None = None
    for mark in found:
        if mark.kind == "end" and open_at is None:
            raise Fault(mark.offset, "conditional_unopened", "This ends an Outlook conditional that was never begun.")
        if mark.kind in ("start", "hidden") and open_at is not None:
            raise Fault(mark.offset, "conditional_nested", "An Outlook conditional cannot stand in another one.")
        open_at = mark if mark.kind == "start" else None if mark.kind == "end" else open_at
        yield mark
    if open_at is not None:
        raise _unclosed(open_at.offset)


def mark(source: str, offset: int) -> Mark:
    """What a comment (`<!--…-->` or `<![…]>`) at `offset` is.

    Raises:
        Fault: a conditional comment that is not closed in itself.
    """
    end = offset + len(source)
    if not source.startswith("<!--"):
        when = source[len("<![") : -len("]>")].strip()
        return Mark("end", offset, end) if when.lower() == "endif" else Mark("start", offset, end, when[2:].strip())
    body = source[len("<!--") : -len("-->")]
    if "--!>" in body:  # ends a comment as well
        raise _unclosed(offset)
    if hidden := _HIDDEN.fullmatch(body):
        return Mark("hidden", offset, end, hidden["when"].strip(), hidden["content"], offset + len("<!--") + hidden.start("content"))
    if revealed := _REVEALED.fullmatch(body):
        return Mark("start", offset, end, revealed["when"].strip())
    if _END.fullmatch(body):
        return Mark("end", offset, end)
    if re.match(r"\s*\[if\s", body, re.IGNORECASE):
        raise _unclosed(offset)
    return Mark("plain", offset, end)


def _unclosed(offset: int) -> Fault:
    return Fault(offset, "conditional_unclosed", "This Outlook conditional is never closed; expected {closing}.", closing="<![endif]-->")


def written(mark: Mark) -> str:
    """The mark in the form that every HTML parser leaves alone."""
    if mark.kind == "hidden":
        return f"<!--[if {mark.when}]>{mark.content}<![endif]-->"
    return f"<!--[if {mark.when}]><!-->" if mark.kind == "start" else "<!--<![endif]-->"


def for_outlook(when: str) -> bool:
    """Whether a condition holds in Outlook on Windows; one that names versions counts as yes."""
    return not re.match(r"!\s*\(?\s*(?:mso|vml)|!\s*\(", when.strip(), re.IGNORECASE)


def outlook_view(text: str) -> str:
    """A mail as Outlook on Windows reads it: what is hidden from others shows, what is for others is gone."""
    parts: list[str] = []
    at, shown = 0, True
    for mark in marks(text):
        if shown:
            parts.append(text[at : mark.offset])
        if mark.kind == "start":
            shown = for_outlook(mark.when)
        elif mark.kind == "end":
            shown = True
        elif shown:
            parts.append(_opened(mark, text))
        at = mark.end
    return "".join((*parts, text[at:]))


def _opened(mark: Mark, text: str) -> str:
    if mark.kind == "plain":
        return text[mark.offset : mark.end]
    return mark.content if for_outlook(mark.when) else ""
