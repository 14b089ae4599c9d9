"""The other side of the kill test: a mail server and HTTP receivers that write down every message they get, and are never killed.

    python receivers.py smtp|http|apis PORT FILE SEED [WEB_PORT]

One line a message in FILE: `got KEY` as soon as the message is complete, before it is answered; `silent KEY` when the connection was
then (or instead) closed without an answer; `person ADDRESS NODE` beside each mail that was got. `apis` speaks as Amazon SES, Twilio, a push service,
Firebase and Lob do, each under its own name in the path, as far as a message needs it; Twilio reports every message it has to the web server at
WEB_PORT. Standard library only; knows nothing of Pfadwerk but the form of a key.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import re
import sys
from contextlib import suppress
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

SILENT = 0.02
"""Share of messages whose sender gets no answer; half of them were taken nevertheless."""
SLOWEST_SECONDS = 0.5
TWILIO_TOKEN = "t" * 32
AGAIN_SECONDS = 0.5
MOST_REPORTS = 1_000


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


async def apis(book: Book, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`/NAME/…` is the interface of the provider NAME."""
    while line := await reader.readline():
        method, path, _ = line.decode("ascii").split()
        headers: dict[str, str] = {}
        while header := (await reader.readline()).decode("latin-1").strip():
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if (ready := ready_made(method, path)) is not None:
            _say(writer, ready)
            continue
        key = key_of(path, headers, body)
        is_printed = path.startswith("/postal_http/") and key in book.known
        if not is_printed and not await book.take(key):
            report_of(book, key, path, body)
            return
        report_of(book, key, path, body)
        number = hashlib.md5(key.encode()).hexdigest()
        _say(
            writer,
            {"MessageId": number, "sid": f"SM{number}", "status": "queued", "id": f"psc_{number}", "name": f"projects/p/messages/{number}"},
        )
        await writer.drain()


def ready_made(method: str, path: str) -> object:
    """What is answered to calls that bring no message; None: this one does."""
    if path == "/fcm/token":
        return {"access_token": "a", "expires_in": 3_600}
    return {"SendingEnabled": True, "SendQuota": {"MaxSendRate": 1_000.0}} if method == "GET" else None


def key_of(path: str, headers: dict[str, str], body: bytes) -> str:
    """`NAME:message`, and with whose device it is for push messages: `NAME:message:device`."""
    name = path.split("/")[1]
    if name == "ses":
        return "ses:" + next(tag["Value"] for tag in json.loads(body)["EmailTags"] if tag["Name"] == "message_id")
    if name == "twilio":
        return "twilio:" + parse_qs(urlsplit(parse_qs(body.decode())["StatusCallback"][0]).query)["message"][0]
    if name == "webpush":
        return f"webpush:{headers['topic']}:{path.rpartition('/')[2]}"
    if name == "fcm":
        message = json.loads(body)["message"]
        return f"fcm:{message['android']['notification']['tag']}:{message['token']}"
    found = re.search(rb'name="metadata\[message\]"\r\n\r\n(\w+)', body)
    assert found is not None
    assert headers["idempotency-key"]
    return f"postal_http:{found[1].decode()}"


reports: set[asyncio.Task[None]] = set()


def report_of(book: Book, key: str, path: str, body: bytes) -> None:
    """Twilio says of what it has that it arrived, whether or not its answer to the call did."""
    if path.startswith("/twilio/") and key in book.known:
        url = parse_qs(body.decode())["StatusCallback"][0]
        reports.add(asyncio.create_task(report(url, f"SM{hashlib.md5(key.encode()).hexdigest()}", int(sys.argv[5]))))


async def report(url: str, sid: str, web_port: int) -> None:
    """Again and again until somebody answers: the web server dies, too."""
    fields = {"MessageSid": sid, "MessageStatus": "delivered"}
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.new(TWILIO_TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    parts, body = urlsplit(url), urlencode(fields)
    call = (
        f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-Twilio-Signature: {signature}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    for _ in range(MOST_REPORTS):
        if await _is_answered(call.encode(), web_port):
            return
        await asyncio.sleep(AGAIN_SECONDS)


async def _is_answered(call: bytes, port: int) -> bool:
    with suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(call)
        line = await reader.readline()
        writer.close()
        return b" 200 " in line
    return False


def _say(writer: asyncio.StreamWriter, told: object) -> None:
    body = json.dumps(told).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


async def serve(kind: str, port: int, book: Book) -> None:
    speak = {"smtp": smtp, "http": http, "apis": apis}[kind]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # the sender was killed in the middle
            await speak(book, reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=500)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Book(sys.argv[3], sys.argv[4])))
