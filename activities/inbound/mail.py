"""Reads a mail that came in: what it is, which message of ours it speaks of, and what a person wrote in it.

Pure. Nothing is proven here: an address that may hold a token, and Message-IDs, are handed on to whoever can look them up
(`activities.inbound.take`). Sources: RFC 3464 (DSN), RFC 5965 (ARF), RFC 3834 (automatic responses).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from itertools import islice
from typing import Literal

from activities.inbound import signs
from activities.inbound.mime import Part, blocks, read_headers, split, words
from activities.inbound.quotes import written

Kind = Literal["bounce", "delayed", "complaint", "automatic", "unsubscribe", "reply", "other"]
"""`delayed`: somebody still tries; `automatic`: a program answered; `unsubscribe`: by the address that our mails offer for it; `other`: of no interest."""

MOST_BYTES = 524_288
"""Of a mail; the rest is not read. What bounces has our whole mail behind the report."""
MOST_IDS = 30
_ID = re.compile(r"<([^<>\s@\x00-\x1f\x7f]{1,200})@([^<>\s@\x00-\x1f\x7f]{1,255})>")
"""Without control characters: PostgreSQL refuses to look for a NUL, and the mail would come again and again."""
_TOKEN = re.compile(r"[^\s<>@\"(),:;]{1,24}\+[A-Za-z2-7]{44}@[^\s<>@\"(),:;]{1,255}")
_MESSAGE_ID_LINE = re.compile(r"^[ >\t]*message-id:\s*(<[^<>\s]{3,400}>)", re.IGNORECASE | re.MULTILINE)
TO = ("delivered-to", "x-original-to", "x-delivered-to", "envelope-to", "x-envelope-to", "to", "cc")
"""Where the address stands that a mail was sent to."""
WISH = "unsubscribe"
"""The subject of mails by which people's programs unsubscribe them; `List-Unsubscribe` names it."""


@dataclass(frozen=True, slots=True)
class InboundMail:
    """A mail as far as it matters. `digest` names it for good, by whichever way it came. `addresses` may hold tokens, `ids` are Message-IDs as
    (local part, domain), the surest first. `fate` is that of a bounce; `code` is a code. `subject` has no "Re:" unless it `is_answer`."""

    digest: str
    kind: Kind
    addresses: Sequence[str] = field(default=(), repr=False)
    ids: Sequence[tuple[str, str]] = field(default=(), repr=False)
    fate: signs.Fate | None = None
    code: str = ""
    sender: str = field(default="", repr=False)
    subject: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    is_answer: bool = False


def read(raw: bytes, envelope_to: str = "") -> InboundMail:
    """`envelope_to`: whom the mail server took it for, where that is known."""
    raw = raw[:MOST_BYTES]
    mail = split(raw)
    name = digest_of(mail)
    addresses = list(_tokens([envelope_to, *(value for header in TO for value in mail.headers.get(header, ()))]))
    report = _report(mail, name, addresses)
    return report or _written(mail, name, addresses)


def digest_of(mail: Part) -> str:
    """The same for the same mail, whatever its way has added to it."""
    body = hashlib.sha256(mail.body[:65_536]).hexdigest()
    named = [mail.header(header) for header in ("message-id", "from", "date", "subject")]
    return hashlib.sha256("\x00".join([*named, body]).encode("utf-8", "replace")).hexdigest()


def _tokens(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from islice((found[0] for found in _TOKEN.finditer(text)), MOST_IDS)


def _ids(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        yield from islice(((found[1], found[2]) for found in _ID.finditer(text)), MOST_IDS)


# Reports


def _report(mail: Part, name: str, addresses: list[str]) -> InboundMail | None:
    parts = list(mail.walk())
    status = next((part for part in parts if part.kind == "message/delivery-status"), None)
    feedback = next((part for part in parts if part.kind == "message/feedback-report"), None)
    if feedback is not None:
        return _complaint(mail, feedback, parts, name, addresses)
    if status is not None:
        return _notification(mail, status, parts, name, addresses)
    sender, subject = parseaddr(mail.header("from"))[1], words(mail.header("subject"))
    return _returned(mail, parts, subject, name, addresses) if signs.looks_returned(mail, sender, subject) else None


def _original(parts: Sequence[Part]) -> dict[str, list[str]]:
    """The head of our mail, where the report has it."""
    for part in parts:
        if part.kind in ("message/rfc822", "text/rfc822-headers", "text/rfc822", "message/global", "message/global-headers"):
            return read_headers(re.split(rb"\r?\n\r?\n", part.content().lstrip(b"\r\n"), maxsplit=1)[0])
    return {}


def _spoken_of(mail: Part, original: dict[str, list[str]], more: Iterable[str] = ()) -> list[tuple[str, str]]:
    """By its own name where the report has it. What it answered is another mail: servers write the whole thread into their reports, so a bounce of
    somebody's answer would count against ours."""
    named = list(_ids([*original.get("message-id", ()), *more]))
    return named or list(_ids([mail.header("in-reply-to"), mail.header("references")]))


def _complaint(mail: Part, feedback: Part, parts: Sequence[Part], name: str, addresses: list[str]) -> InboundMail:
    fields = next(iter(blocks(feedback.content())), {})
    original = _original(parts)
    kind = next(iter(fields.get("feedback-type", ())), "").strip().lower()
    hints = [*fields.get("original-mail-from", ()), *original.get("return-path", ())]
    ids = _spoken_of(mail, original)
    if kind not in ("abuse", "fraud", "virus"):  # "not-spam", and reports about signatures
        return InboundMail(name, "other")
    return InboundMail(name, "complaint", [*_tokens(hints), *addresses], ids, code=f"arf_{kind}")


def _notification(mail: Part, status: Part, parts: Sequence[Part], name: str, addresses: list[str]) -> InboundMail:
    original = _original(parts)
    addresses = [*addresses, *_tokens(original.get("return-path", ()))]
    ids = _spoken_of(mail, original)
    recipients = [one for one in blocks(status.content()) if "action" in one]
    by_action = {_first(one, "action").lower().split(" ")[0]: one for one in reversed(recipients)}
    if (failed := by_action.get("failed")) is not None:
        fate, code = signs.fate_of(_first(failed, "status"), _first(failed, "diagnostic-code"))
        return InboundMail(name, "bounce", addresses, ids, fate, code)
    return InboundMail(name, "delayed" if "delayed" in by_action else "other", addresses, ids)


def _first(fields: dict[str, list[str]], name: str) -> str:
    return next(iter(fields.get(name, ())), "").strip()


def _returned(mail: Part, parts: Sequence[Part], subject: str, name: str, addresses: list[str]) -> InboundMail:
    """A bounce in words only: what the server said stands somewhere in its text."""
    text = _text(parts)
    original = _original(parts)
    quoted = [found[1] for found in islice(_MESSAGE_ID_LINE.finditer(text), MOST_IDS)]
    ids = _spoken_of(mail, original, quoted)
    addresses = [*addresses, *_tokens([*original.get("return-path", ()), *re.findall(r"(?im)^return-path:.{0,400}$", text)[:MOST_IDS]])]
    if signs.DELAYED.search(subject):
        return InboundMail(name, "delayed", addresses, ids)
    fate, code = signs.fate_of("", text[:8_000])
    return InboundMail(name, "bounce", addresses, ids, fate, code)


# What somebody wrote


def _written(mail: Part, name: str, addresses: list[str]) -> InboundMail:
    sender = parseaddr(mail.header("from"))[1][:320]
    said = words(mail.header("subject")).strip()
    subject = signs.REPLY_PREFIX.sub("", said).strip()
    ids = list(_ids([mail.header("in-reply-to"), *reversed(mail.header("references").split())]))
    if said.lower() == WISH and addresses:  # asked first: programs that unsubscribe people may well say that they are programs
        return InboundMail(name, "unsubscribe", addresses, ids, sender=sender, subject=said)
    text = written(_text(list(mail.walk())))
    if signs.is_automatic(mail, sender, said):
        return InboundMail(name, "automatic", addresses, ids, sender=sender, subject=subject, text=text)
    return InboundMail(name, "reply", addresses, ids, sender=sender, subject=subject, text=text, is_answer=subject != said)


def _text(parts: Sequence[Part]) -> str:
    """The first text for people, the plain one where there are both."""
    texts = [part for part in parts if part.kind in ("text/plain", "text/html") and not part.is_attached]
    plain = next((part.text() for part in texts if part.kind == "text/plain" and part.body.strip()), "")
    return plain or next((part.text() for part in texts if part.kind == "text/html"), "")
