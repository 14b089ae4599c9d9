"""The one way out by HTTP: httpx, with the address guard as its transport. Nobody else of ours opens a connection to a server by HTTP
(`tests/test_connections.py` knows the exceptions).

A name is resolved once for each connection, its addresses are judged, and the connection goes to one that was judged; the name serves for
`Host` and for TLS only. No redirect is followed, no proxy of the environment is used, nothing is unpacked. `exchange` bounds a whole exchange
in time and size; `client` is for whoever talks to one server for long and keeps its connections.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, Literal
from urllib.parse import urlsplit

import httpcore
import httpx

from activities.webhooks.address_guard import Guard, Refused

Code = Literal["bad_address", "address_refused", "unknown_host", "certificate", "bad_request", "timeout", "connection_lost"]
AGENT = "Pfadwerk"
CONNECTIONS = 20
"""The most that one client has at a time."""
LONGEST_PAUSE = timedelta(hours=1)
"""A Retry-After beyond it counts as this: whoever says it may be anybody."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the other side said. `body` ends at the limit of the one who asked; `is_whole`: it is all there was."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_whole: bool = True

    def retry_after(self, otherwise: timedelta) -> timedelta:
        """The pause that its Retry-After asks for, from a second to `LONGEST_PAUSE`; a date counts as none. Source: RFC 9110, 10.2.3."""
        said = next((value for name, value in self.headers.items() if name.lower() == "retry-after"), "")
        return min(timedelta(seconds=max(int(said), 1)), LONGEST_PAUSE) if re.fullmatch("[0-9]{1,6}", said) else otherwise


class HttpFailure(Exception):
    """There is no answer. `code` is short and ours; `arrived`: the other side may have the request all the same."""

    def __init__(self, code: Code, *, arrived: bool = False) -> None:
        super().__init__(code)
        self.code: Code = code
        self.arrived = arrived


class UnknownHost(Exception):
    """The name has no address now."""


def client(guard: Guard, *, timeout_seconds: float, context: ssl.SSLContext | None = None, kept: int = CONNECTIONS) -> httpx.Client:
    """A client that reaches what `guard` allows and nothing else; to be closed. It may be used by several threads at once.

    `timeout_seconds` bounds each wait for the other side; inside `deadline` that one bounds all of them together. `kept`: so many connections
    stay open between two requests. `context` None: the system's certificates.
    """
    return httpx.Client(
        transport=_Guarded(guard, context or _system_certificates(), kept),
        headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
        timeout=timeout_seconds,
        follow_redirects=False,
        trust_env=False,
    )


def exchange(
    guard: Guard,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    timeout_seconds: float,
    most_bytes: int,
    context: ssl.SSLContext | None = None,
) -> HttpAnswer:
    """One request on a connection of its own. `timeout_seconds` bounds all of it, however slowly the other side drips; of the answer's body
    at most `most_bytes` are read.

    Raises:
        HttpFailure: there is no answer.
    """
    with client(guard, timeout_seconds=timeout_seconds, context=context, kept=0) as one:
        return ask(one, method, url, headers=headers, body=body, timeout_seconds=timeout_seconds, most_bytes=most_bytes)


def ask(
    client: httpx.Client, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_seconds: float, most_bytes: int
) -> HttpAnswer:
    """As `exchange`, by a client that is there already."""
    with failures(), deadline(timeout_seconds):
        request = client.build_request(method, _address(url), headers=_latin(headers), content=body or None)
        response = client.send(request, stream=True)
        try:
            text = _read(response.iter_raw(), most_bytes)
        finally:
            response.close()
    return HttpAnswer(response.status_code, response.headers, text, len(text) < most_bytes)


@contextmanager
def failures() -> Iterator[None]:
    """Whatever httpx and the guard raise is an `HttpFailure`."""
    try:
        yield
    except Refused:
        raise HttpFailure("address_refused") from None
    except UnknownHost:
        raise HttpFailure("unknown_host") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise HttpFailure("bad_address") from None
    except (ValueError, UnicodeError, httpx.LocalProtocolError):
        raise HttpFailure("bad_request") from None
    except httpx.TimeoutException as error:
        raise HttpFailure("timeout", arrived=not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)) from None
    except httpx.TransportError as error:
        if _is_certificate(error):
            raise HttpFailure("certificate") from None
        raise HttpFailure("connection_lost", arrived=not isinstance(error, httpx.ConnectError)) from None


_running = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """All that this thread waits for in the block together takes no longer than `seconds`."""
    before = getattr(_running, "until", None)
    until = time.monotonic() + seconds
    _running.until = until if before is None else min(before, until)
    try:
        yield
    finally:
        _running.until = before


def _left(timeout: float | None) -> float | None:
    """What is left of a wait. Raises: TimeoutError."""
    until = getattr(_running, "until", None)
    if until is None:
        return timeout
    left = float(until - time.monotonic())
    if left <= 0:
        raise TimeoutError
    return left if timeout is None else min(left, timeout)


@cache
def _system_certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


def _address(url: str) -> str:
    """Raises: HttpFailure: it is no address of the web, or holds a name and a password."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.port == 0:
            raise HttpFailure("bad_address")
    except ValueError:
        raise HttpFailure("bad_address") from None
    return url


def _latin(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """As HTTP/1.1 spells them. Raises: UnicodeError."""
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def _read(parts: Iterable[bytes], most: int) -> bytes:
    """At most so many bytes; the rest is never read."""
    text = b""
    for part in parts:
        text += part
        if len(text) >= most:
            break
    return text[:most]


def _is_certificate(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, ssl.SSLCertVerificationError) or _is_certificate(error.__cause__))


class _Guarded(httpx.HTTPTransport):
    """httpx over connections that the guard has judged."""

    def __init__(self, guard: Guard, context: ssl.SSLContext, kept: int) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, max_connections=CONNECTIONS, max_keepalive_connections=kept, network_backend=_Network(guard)
        )


class _Network(httpcore.NetworkBackend):
    """Opens the connections."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            connection = socket.create_connection((self._pick(host, port), port), _left(timeout))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _Stream(connection)

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise Refused

    def _pick(self, host: str, port: int) -> str:
        try:
            return self._guard.pick(host, port)
        except (OSError, UnicodeError):
            raise UnknownHost from None


class _Stream(httpcore.NetworkStream):
    """A connection each wait of which ends at the deadline. Python's own waits are bounded as a whole, httpcore's byte by byte."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError):
            self._socket.settimeout(_left(timeout))
            return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError):
            while rest:
                self._socket.settimeout(_left(timeout))
                rest = rest[self._socket.send(rest) :]

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                self._socket.settimeout(_left(timeout))
                return _Stream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
            except BaseException:
                self.close()
                raise

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        if info == "is_readable":
            return _has_news(self._socket)
        return {"socket": self._socket, "server_addr": None, "client_addr": None}.get(info)


@contextmanager
def _mapped(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """What a socket raises, as httpcore says it."""
    try:
        yield
    except TimeoutError as error:
        raise late() from error
    except OSError as error:
        raise broken() from error


def _has_news(connection: socket.socket) -> bool:
    """Whether something came on an idle connection, which means that the other side closed it."""
    if connection.fileno() < 0:
        return True
    watched = select.poll()
    watched.register(connection, select.POLLIN)
    return bool(watched.poll(0))
