"""The other side of the kill test: a mail server and an HTTP receiver that write down every message they get, and are never killed.

    python receivers.py smtp|http PORT FILE SEED

One line a message in FILE: `got KEY` as soon as the message is complete, before it is answered; `silent KEY` when the connection was
then (or instead) closed without an answer; `person ADDRESS NODE` beside each mail that was got. Standard library only; knows nothing of Pfadwerk
but the form of a key.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
from contextlib import suppress
from urllib.parse import unquote

SILENT = 0.02
"""Share of messages whose sender gets no answer; half of them were taken nevertheless."""
SLOWEST_SECONDS = 0.5


class Book:
    """What was received."""

    def __init__(self, file: str, seed: str) -> None:
        self.known: set[str] = set()
        self.random = random.Random(seed)
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def take(self, key: str, person: str = "") -> bool:
        """Whether the sender is to be answered."""
        silent = self.random.random() < SILENT
        if not silent or self.random.random() < 0.5:
            self._write("got", key)
            if person:
                self._write("person", f"{person} {key.split('.')[1]}")
            self.known.add(key)
        if silent:
            self._write("silent", key)
            return False
        await asyncio.sleep(self.random.random() * SLOWEST_SECONDS)
        return True

    def _write(self, what: str, key: str) -> None:
        os.write(self._file, f"{what} {key}\n".encode())


async def smtp(book: Book, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Just enough of RFC 5321."""
    writer.write(b"220 receiver\r\n")
    person = ""
    while line := await reader.readline():
        verb = line[:4].upper().strip()
        if verb == b"RCPT":
            person = line.decode("ascii").partition("<")[2].partition(">")[0]
        if verb == b"DATA":
            writer.write(b"354 go on\r\n")
            mail = (await reader.readuntil(b"\r\n.\r\n")).decode("ascii", "replace")
            found = re.search(r"^Message-ID: <([^@>]+)@", mail, re.MULTILINE | re.IGNORECASE)
            assert found is not None
            if not await book.take(found[1], person):
                return
        writer.write({b"QUIT": b"221 bye\r\n", b"EHLO": b"250-receiver\r\n250 8BITMIME\r\n"}.get(verb, b"250 fine\r\n"))
        await writer.drain()
        if verb == b"QUIT":
            return


async def http(book: Book, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`POST /KEY` hands a message over, `GET /KEY` asks for it."""
    while line := await reader.readline():
        method, path, _ = line.decode("ascii").split()
        key, length = unquote(path[1:]), 0
        while (header := await reader.readline()).strip():
            if header.lower().startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        await reader.readexactly(length)
        if method == "POST" and not await book.take(key):
            return
        status = b"200 OK" if method == "POST" or key in book.known else b"404 Not Found"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()


async def serve(kind: str, port: int, book: Book) -> None:
    speak = {"smtp": smtp, "http": http}[kind]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # the sender was killed in the middle
            await speak(book, reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=500)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Book(sys.argv[3], sys.argv[4])))
