"""What a person wrote, without the mail that they answered and without their signature."""

from __future__ import annotations

import re

_ATTRIBUTION = re.compile(
    r"(on|am|le|il|op|el)\b.{3,300}\b(wrote|schrieb|a écrit|ha scritto|schreef|escribió)\b.{0,200}:\s*$", re.IGNORECASE | re.DOTALL
)
"""How mail programs announce the quote: "On … wrote:", "Am … schrieb …:"; over two lines where it is long."""
_DIVIDER = re.compile(
    r"\s*(-{2,}\s*(original message|original-?nachricht|urspr(ü|ue)ngliche nachricht|weitergeleitete nachricht|forwarded message"
    r"|message d.origine|message original|messaggio originale|message transféré|messaggio inoltrato)\s*-{2,}|_{10,})\s*$",
    re.IGNORECASE,
)
_FROM = re.compile(r"\s*\**(from|von|de|da|expéditeur)\s?\**\s?:", re.IGNORECASE)
_SENT = re.compile(r"\s*\**(sent|date|gesendet|datum|envoyé|inviato|data)( le)?\s?\**\s?:", re.IGNORECASE)
_SIGNATURE = re.compile(r"--\s?$")
MOST_LINES = 2_000


def written(text: str) -> str:
    """The new part of a reply. Where the quote stands first, what follows it; where nothing would be left, all of it."""
    lines = text.split("\n")[:MOST_LINES]
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if _SIGNATURE.fullmatch(line) or _DIVIDER.match(line) or _is_block(lines, at):
            break
        if announced := _announcement(lines, at):
            at += announced
            if not _is_quoted_next(lines, at):
                break
            continue
        if not line.lstrip().startswith(">"):
            kept.append(line.rstrip())
        at += 1
    found = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return found or text.strip()


def _announcement(lines: list[str], at: int) -> int:
    """How many lines from here announce a quote; 0: none."""
    for count in (1, 2, 3):
        if _ATTRIBUTION.match(" ".join(line.strip() for line in lines[at : at + count])[:600]):
            return count
    return 0


def _is_quoted_next(lines: list[str], at: int) -> bool:
    """Whether the quote is marked line by line, so that what the person wrote below it can be told from it."""
    return next((line.lstrip().startswith(">") for line in lines[at : at + 5] if line.strip()), False)


def _is_block(lines: list[str], at: int) -> bool:
    """Outlook repeats the head of the mail: From, and soon Sent."""
    return bool(_FROM.match(lines[at])) and any(_SENT.match(line) for line in lines[at + 1 : at + 4])
