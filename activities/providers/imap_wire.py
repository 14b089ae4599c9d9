"""A mailbox over IMAP, by the standard library's client, within bounds: of time for everything, of bytes for each answer and each mail.

It knows the protocol and what its answers mean for the account; which mails are read, and what becomes of them, others decide
(`activities.inbound.mailboxes`). Sources: RFC 3501 (IMAP4rev1; 5.1.3 names of folders), RFC 4315 and 6851 (UID MOVE), RFC 5530 (response codes).
"""

from __future__ import annotations

import base64
import heapq
import imaplib
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

from activities.providers.provider import MessageDead, ProviderFailure, SenderStopped, Unreachable
from activities.webhooks.address_guard import Guard, Refused

ANSWER_SECONDS = 15.0
"""For one answer, and no drop longer."""
MOST_ANSWER_BYTES = 2_000_000
MOST_SEARCH_BYTES = 16_000_000
"""Of the answer that lists what is there: two million mails."""
MORE_BYTES = 4_096
"""What an answer with a mail may have beside it."""
LATER = timedelta(seconds=30)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UID = re.compile(rb"\bUID (\d{1,10})\b")
_BODY = re.compile(rb"\bBODY\[\](?:<0>)? ", re.IGNORECASE)
_QUOTED = re.compile(rb'\bBODY\[\](?:<0>)? "((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_NUMBER = re.compile(rb"\d{1,10}")
_WORD = re.compile(rb"(?<!\S)\d{1,10}(?!\S)")


@dataclass(frozen=True, slots=True)
class ImapServer:
    """Where and how. Without encryption nobody logs in. `guard` says which addresses may be called."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: Literal["tls", "starttls"] = "tls"
    guard: Guard = field(default_factory=Guard)
    context: ssl.SSLContext | None = None
    """None: the system's certificates."""
    answer_seconds: float = ANSWER_SECONDS


class _Client(imaplib.IMAP4):
    """The standard library's client over a socket of our own. It never reads more, nor waits longer, than `patience` allows."""

    def __init__(self, server: ImapServer, until: float, monotonic: Callable[[], float]) -> None:
        self._server = server
        self._until = until
        self._monotonic = monotonic
        self._left = MOST_ANSWER_BYTES
        self._is_tls = self._encrypted_late = False
        self._ahead = bytearray()
        super().__init__(server.host, server.port, server.answer_seconds)

    def open(self, host: str = "", port: int = 993, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self.sock = socket.create_connection((self._server.guard.pick(host, port), port), timeout)
        if self._server.tls == "tls":
            try:
                self._limit()
                self.sock = _context(self._server).wrap_socket(self.sock, server_hostname=host)
            except BaseException:
                self.sock.close()
                raise
            self._is_tls = True

    def encrypt(self) -> None:
        """Raises when the server would go on without."""
        if not self._is_tls:
            self.starttls(_context(self._server))
            self._is_tls = self._encrypted_late = True

    def allow(self, most_bytes: int) -> None:
        """How much the answer to the next command may be."""
        self._left = most_bytes
        self.untagged_responses: dict[str, list[Any]] = {}

    def read(self, size: int) -> bytes:
        if size - len(self._ahead) > self._left:
            raise TooLarge
        while len(self._ahead) < size:
            self._receive()
        taken = bytes(self._ahead[:size])
        del self._ahead[:size]
        return taken

    def readline(self) -> bytes:
        seen = 0
        while (end := self._ahead.find(b"\n", seen)) < 0:
            seen = len(self._ahead)
            self._receive()
        taken = bytes(self._ahead[: end + 1])
        del self._ahead[: end + 1]
        return taken

    def send(self, data: bytes) -> None:  # type: ignore[override]
        self._limit()
        self.sock.sendall(data)

    def shutdown(self) -> None:
        if self._encrypted_late:  # then the library has opened a file, too, which nobody reads
            self.file.close()
        self.sock.close()

    def _receive(self) -> None:
        """Before there is encryption one byte at a time: what a stranger adds to the answer to STARTTLS must not pass for the server's word."""
        self._limit()
        received = self.sock.recv(65_536 if self._is_tls else 1)
        if not received:
            raise self.abort("closed")
        self._left -= len(received)
        if self._left < 0:
            raise TooLarge
        self._ahead += received

    def _limit(self) -> None:
        left = min(self._until - self._monotonic(), self._server.answer_seconds)
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)


class TooLarge(Exception):
    """An answer is longer than any good one."""


def _context(server: ImapServer) -> ssl.SSLContext:
    return server.context or ssl.create_default_context()


@dataclass(slots=True)
class Folder:
    """An open folder. `validity` and UIDs together name a mail for good; `next_uid` is the one that the next mail will get, 0 where nobody says."""

    client: _Client
    validity: int
    next_uid: int

    def uids(self, after: int, since: date, most: int) -> list[int]:
        """The mails that came since that day, beyond the UID `after`; the first `most` of them."""
        asked = f"UID {after + 1}:* SINCE {since.day}-{MONTHS[since.month - 1]}-{since.year}"
        found = _asked(self.client, lambda: self.client.uid("SEARCH", asked), "imap_search_refused", MOST_SEARCH_BYTES)
        numbers = (int(word[0]) for line in found if isinstance(line, bytes) for word in _WORD.finditer(line))
        beyond = (number for number in numbers if number > after)  # "9:*" finds the last mail, whatever its UID is
        return sorted(set(heapq.nsmallest(most, beyond)))

    def fetch(self, uid: int, most_bytes: int) -> bytes | None:
        """The first bytes of a mail, which stays as it is; None: it is gone."""
        asked = f"(UID BODY.PEEK[]<0.{most_bytes}>)"
        found = _asked(self.client, lambda: self.client.uid("FETCH", str(uid), asked), "imap_fetch_refused", most_bytes + MORE_BYTES)
        return next(_bodies(found, uid), None)

    def mark_read(self, uids: Iterable[int]) -> None:
        self._change("imap_mark_refused", "STORE", uids, "+FLAGS.SILENT", r"(\Seen)")

    def move(self, uids: Iterable[int], folder: str) -> None:
        self._change("imap_move_refused", "MOVE", uids, quoted(folder))

    def _change(self, code: str, command: str, uids: Iterable[int], *more: str) -> None:
        _asked(self.client, lambda: self.client.uid(command, ",".join(map(str, uids)), *more), code)


@contextmanager
def opened(
    server: ImapServer,
    folder: str,
    *,
    seconds: float,
    read_only: bool,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Folder]:
    """The folder, for at most so long. The connection is closed at the end.

    Raises: ProviderFailure.
    """
    with _sorted():
        client = _Client(server, monotonic() + seconds, monotonic)
    try:
        with _sorted():
            client.encrypt()
        _log_in(client, server)
        yield _selected(client, folder, read_only)
    except BaseException:  # there may be the rest of an answer on the line
        client.shutdown()
        raise
    _leave(client)


def must_have(folder: Folder, name: str) -> None:
    """Raises: SenderStopped: mails cannot be moved into a folder of that name."""
    if "MOVE" not in folder.client.capabilities:
        raise SenderStopped("imap_no_move")
    _asked(folder.client, lambda: folder.client.status(quoted(name), "(UIDVALIDITY)"), "imap_no_target")


# Names of folders


def quoted(name: str) -> str:
    """A folder's name as it is sent. Source: RFC 3501 5.1.3 (modified UTF-7)."""
    return _string(encoded(name))


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encoded(name: str) -> str:
    return re.sub(r"&|[^ -~]+", lambda found: "&-" if found[0] == "&" else f"&{_base64(found[0])}-", name)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-be", "replace")).decode().rstrip("=").replace("/", ",")


# Answers


def _log_in(client: _Client, server: ImapServer) -> None:
    with _sorted(refused="imap_login_refused"):
        if "AUTH=PLAIN" in client.capabilities:
            client.authenticate("PLAIN", lambda _: f"\0{server.user}\0{server.password}".encode())
        elif "LOGINDISABLED" in client.capabilities:
            raise SenderStopped("imap_no_login")
        else:
            client.login(_string(server.user), server.password)  # the library quotes the second one only


def _selected(client: _Client, name: str, read_only: bool) -> Folder:
    _asked(client, lambda: client.select(quoted(name), readonly=read_only), "imap_no_folder")
    validity = _number(client, "UIDVALIDITY")
    if not validity:
        raise SenderStopped("imap_no_uids")
    return Folder(client, validity, _number(client, "UIDNEXT"))


def _number(client: _Client, name: str) -> int:
    """What the server says beside its answer; 0: nothing, or nothing good."""
    said = client.response(name)[1]
    last = said[-1] if said else None
    return int(last) if isinstance(last, bytes) and _NUMBER.fullmatch(last) else 0


def _asked(client: _Client, ask: Callable[[], tuple[str, Sequence[Any]]], code: str, most_bytes: int = MOST_ANSWER_BYTES) -> Sequence[Any]:
    """What the server answers to a command. Raises: SenderStopped with `code`: it refuses."""
    client.allow(most_bytes)
    with _sorted(refused=code):
        said, found = ask()
    if said != "OK":
        raise SenderStopped(code)
    return found


def _bodies(found: Sequence[Any], uid: int) -> Iterator[bytes]:
    """A server may tell of other mails in between, and may quote what is short."""
    for one, after in zip(found, [*found[1:], b""], strict=True):
        head, body = one if isinstance(one, tuple) else (one, None)
        named = _UID.search(head or b"") or _UID.search(after if isinstance(after, bytes) else b"")
        if not isinstance(head, bytes) or (named and int(named[1]) != uid):
            continue
        if body is not None and _BODY.search(head):
            yield body
        elif body is None and (short := _QUOTED.search(head)):
            yield re.sub(rb"\\(.)", rb"\1", short[1])


@contextmanager
def _sorted(refused: str = "imap_refused") -> Iterator[None]:
    """What goes wrong, as a failure; no text from outside is kept. `refused`: the code where the server says no."""
    try:
        yield
    except ProviderFailure:
        raise
    except Refused:
        raise SenderStopped("imap_address_refused") from None
    except TooLarge:
        raise MessageDead("imap_too_large") from None
    except ssl.SSLCertVerificationError:
        raise SenderStopped("imap_certificate") from None
    except imaplib.IMAP4.readonly:
        raise SenderStopped("imap_read_only") from None
    except imaplib.IMAP4.abort:
        raise Unreachable("imap_connection_lost", LATER) from None
    except imaplib.IMAP4.error as error:
        raise _refusal(refused, str(error)) from None
    except TimeoutError:
        raise Unreachable("imap_too_slow", LATER) from None
    except OSError:
        raise Unreachable("imap_unreachable", LATER) from None
    except UnicodeError:
        raise SenderStopped("imap_not_ascii") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # imaplib, over an answer that nobody foresaw
        raise Unreachable("imap_unreadable", LATER) from None


def _refusal(code: str, text: str) -> ProviderFailure:
    """A server that is not well may say no to the right password, too. Source: RFC 5530, 3."""
    if re.search(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|CONTACTADMIN)\]", text, re.IGNORECASE):
        return Unreachable("imap_unavailable", LATER)
    return SenderStopped(code)


def _leave(client: _Client) -> None:
    try:
        client.allow(MOST_ANSWER_BYTES)
        client.logout()
    except (OSError, imaplib.IMAP4.error, TooLarge, ValueError):
        client.shutdown()
