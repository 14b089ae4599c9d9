"""Builds the bytes of a mail: headers, a text part and an HTML part, both base64.

By hand, because the standard library's `EmailMessage` manages 300 mails a second and this 20 times that; what comes out is what
`email` reads back equal (a test says so). No attachments. Sources: RFC 5322 (headers), RFC 2045-2047 (MIME, encoded words).
"""

from __future__ import annotations

import re
from base64 import encodebytes
from collections.abc import Iterator
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr
from hashlib import sha256

from activities.providers.provider import MessageDead, Outgoing

_PLAIN = re.compile(r"[\x20-\x7e\t]*")
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@[^\s@<>\"(),:;\[\]\\]{1,255}")
RESERVED = frozenset(
    {"from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding", "reply-to"}
)
"""Headers that `Outgoing.headers` cannot set: they have fields of their own, or describe the body."""


def build(message: Outgoing, now: datetime) -> bytes:
    """The whole mail with CRLF line ends.

    Raises:
        MessageDead: an address that is none (`bad_address`), or a reserved header.
    """
    head = "".join(f"{name}: {_header(name, value)}\r\n" for name, value in _headers(message, now))
    return head.encode("ascii") + _body(message)


def message_id(once_key: str, sender: str) -> str:
    """The Message-ID of a message: its once key, readable, at the sender's domain; the same for every attempt."""
    return f"<{re.sub(r'[^A-Za-z0-9_-]+', '.', once_key).strip('.') or 'message'}@{address_of(sender).rpartition('@')[2]}>"


def address_of(mailbox: str) -> str:
    """The bare address of `Name <address>`, its domain as ASCII (IDNA).

    Raises:
        MessageDead: `bad_address`.
    """
    address = _parts(mailbox)[1]
    if not _ADDRESS.fullmatch(address):
        raise MessageDead("bad_address")
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        raise MessageDead("bad_address") from None


def _parts(mailbox: str) -> tuple[str, str]:
    """Display name and address; a mailbox without angle brackets is the address."""
    text = mailbox.strip()
    before, bracket, address = text.rpartition("<")
    name, address, closing = before.strip(), address[:-1], address[-1:]
    if not bracket or closing != ">" or ">" in address or "\n" in name:
        return "", text
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, address.strip()


def _headers(message: Outgoing, now: datetime) -> Iterator[tuple[str, str]]:
    yield "From", mailbox_header(message.sender)
    yield "To", mailbox_header(message.recipient)
    if message.reply_to:
        yield "Reply-To", mailbox_header(message.reply_to)
    yield "Subject", message.subject
    yield "Date", format_datetime(now)
    yield "Message-ID", message_id(message.once_key, message.sender)
    yield "MIME-Version", "1.0"
    for name, value in message.headers.items():
        if name.lower() in RESERVED:
            raise MessageDead("bad_header")
        yield name, value


def mailbox_header(mailbox: str) -> str:
    """`Name <address>` as a header spells it, in ASCII. Raises: MessageDead: `bad_address`."""
    name, address = _parts(mailbox)[0], address_of(mailbox)
    if not address.isascii():
        raise MessageDead("bad_address")  # a local part outside ASCII needs SMTPUTF8, which few receivers speak
    return formataddr((name, address), "utf-8") if name else address


def _header(name: str, value: str) -> str:
    """`value` ready for the wire, folded where long."""
    if len(name) + len(value) < 76 and _PLAIN.fullmatch(value):
        return value
    if name in ("From", "To", "Reply-To", "Message-ID") or name.lower().startswith("list-"):
        return value  # encoded already, or addresses whose every character counts
    return Header(value, None if _PLAIN.fullmatch(value) else "utf-8", header_name=name).encode(linesep="\r\n")


def _body(message: Outgoing) -> bytes:
    if not message.html:
        return _part("plain", message.text)
    if not message.text:
        return _part("html", message.html)
    boundary = "=_" + sha256(message.once_key.encode()).hexdigest()[:32]  # "_" is in no base64 text
    return (
        f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'.encode()
        + _part("plain", message.text)
        + f"--{boundary}\r\n".encode()
        + _part("html", message.html)
        + f"--{boundary}--\r\n".encode()
    )


def _part(kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    lines = "\r\n".join(text.splitlines()) + ("\r\n" if text.endswith(("\n", "\r")) else "")
    return head.encode() + encodebytes(lines.encode("utf-8", "replace")).replace(b"\n", b"\r\n")
