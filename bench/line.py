"""A TCP line between a browser and web servers of this machine: slow if asked, to several servers in turn if there are several, and it can be cut.

What the network is between people and production: distance, a load balancer that knows nothing of sessions, and breakdowns.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle

LOOPBACK = "127.0.0.1"
PIECE_BYTES = 65_536
SOCKET = b"/_reactpy/stream"
"""How requests for a websocket are told from others, so that each sort takes turns for itself."""


@dataclass
class Line:
    """`servers` are ports; every piece of data arrives `delay_seconds` after it was sent, in both directions."""

    servers: Sequence[int]
    delay_seconds: float = 0.0
    port: int = 0
    sockets: list[int] = field(default_factory=list)
    """The server (its place in `servers`) of each websocket so far, in order."""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _open: dict[asyncio.Task[None], bool] = field(default_factory=dict)
    """Each connection, and whether it is a websocket."""

    def __post_init__(self) -> None:
        self._turns = {True: cycle(range(len(self.servers))), False: cycle(range(len(self.servers)))}

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def cut(self) -> None:
        """Breaks every websocket, as when somebody walks into a tunnel."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for task, is_socket in list(self._open.items()):
            if is_socket:
                task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = False
        try:
            first = await reader.read(PIECE_BYTES)
            if first:
                await self._join(task, first, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one end is gone; so is the other, below
        finally:
            del self._open[task]
            writer.transport.abort()

    async def _join(self, task: asyncio.Task[None], first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_socket = SOCKET in first.partition(b"\r\n")[0]
        self._open[task] = is_socket
        place = next(self._turns[is_socket])
        if is_socket:
            self.sockets.append(place)
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.servers[place])
        there = asyncio.create_task(self._carry(reader, far_writer, first))
        back = asyncio.create_task(self._carry(far_reader, writer))
        try:
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(there, back), 1 + self.delay_seconds)
        finally:
            there.cancel()
            back.cancel()
            far_writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b"") -> None:
        """Everything from one end to the other, late but in order."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivery = asyncio.create_task(self._deliver(pieces, writer))
        piece = first or await reader.read(PIECE_BYTES)
        try:
            while piece:
                pieces.put_nowait((self._loop.time() + self.delay_seconds, piece))
                piece = await reader.read(PIECE_BYTES)
            pieces.put_nowait((self._loop.time() + self.delay_seconds, b""))
            await delivery
        finally:
            delivery.cancel()

    async def _deliver(self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, piece = await pieces.get()
            if (wait := due - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            if not piece:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connected, LOOPBACK, self.port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def open_line(servers: Sequence[int], delay_seconds: float = 0.0) -> Iterator[Line]:
    """A line in a thread of its own, at a port of its own."""
    line = Line(servers, delay_seconds)
    loop = line._loop
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(line._listen(), loop).result(10)
    try:
        yield line
    finally:
        asyncio.run_coroutine_threadsafe(line._end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
