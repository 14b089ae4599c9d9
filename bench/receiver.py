"""The receiver that `HttpFake` sends to: counts what arrives and remembers when. One process, one loop, no framework.

`POST /<key>` takes a message, `GET /<key>` says whether it came; `GET /-/count`, `GET /-/times` ({key: [unix seconds, times]}) and
`POST /-/clear` are for the benchmark.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from urllib.parse import unquote


class Receiver:
    """What arrived: once key -> [when it came first (unix seconds), how often]."""

    def __init__(self) -> None:
        self.arrived: dict[str, list[float]] = {}

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        if path == "/-/count":
            return 200, str(sum(int(times) for _, times in self.arrived.values())).encode()
        if path == "/-/times":
            return 200, json.dumps(self.arrived).encode()
        if path == "/-/clear":
            self.arrived = {}
            return 200, b""
        key = unquote(path[1:])
        if method == "GET":
            return (200, key.encode()) if key in self.arrived else (404, b"")
        self.arrived.setdefault(key, [time.time(), 0])[1] += 1
        return 200, key[:64].encode()


class Connection(asyncio.Protocol):
    """Just enough HTTP/1.1: requests one after the other, with Content-Length, kept alive."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            method, path, _ = head.split(" ", 2)
            status, body = self._receiver.answer(method, path)
            self._transport.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


async def serve(port: int, ready: Callable[[], None]) -> None:
    """Listens on 127.0.0.1:`port` until cancelled."""
    receiver = Receiver()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(receiver), "127.0.0.1", port)
    ready()
    async with server:
        await server.serve_forever()
