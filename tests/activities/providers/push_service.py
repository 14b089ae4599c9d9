"""What stands on the other side of push messages: a browser that can read them, and a server on this machine that takes them."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece  # type: ignore[import-untyped]
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from crm.people import devices
from models import Contact, Database

NOW = datetime.now(UTC).replace(microsecond=0)
"""Signatures are judged by the machine's clock, as push services do."""


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """Keys of a subscription, and reading what was encrypted to them."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)

    @property
    def p256dh(self) -> str:
        point = self.key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        return b64(point)

    def subscription(self, endpoint: str) -> dict[str, Any]:
        return {"endpoint": endpoint, "keys": {"p256dh": self.p256dh, "auth": b64(self.auth)}}

    def read(self, body: bytes) -> Any:
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"))


@dataclass(frozen=True)
class Taken:
    path: str
    headers: dict[str, str]
    body: bytes


Reply = tuple[int, dict[str, str], bytes]


@dataclass
class PushService:
    """`replies`: how the next requests are answered, in turn; None: the connection breaks off after the request was taken."""

    answer: Callable[[Taken], Reply] = lambda _taken: (201, {}, b"")
    replies: list[Reply | None] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    """Every request that was not refused."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                reply = service.reply(Taken(self.path, dict(self.headers), body))
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, content = reply
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def reply(self, taken: Taken) -> Reply | None:
        with self.lock:
            planned = self.replies.pop(0) if self.replies else ()
            if planned is None or planned == () or planned[0] < 300:
                self.taken.append(taken)
        return self.answer(taken) if planned == () else planned

    @property
    def port(self) -> int:
        return int(self.server.server_port)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def person(db: Database, contact_id: str) -> None:
    with db.write() as session:
        if session.get(Contact, contact_id) is None:
            session.add(Contact(id=contact_id, created_at=NOW, updated_at=NOW))


def with_device(db: Database, contact_id: str, device: devices.Registration, at: datetime = NOW) -> None:
    person(db, contact_id)
    with db.write() as session:
        devices.register(session, contact_id, device, at)


def addresses(db: Database, contact_id: str) -> list[str]:
    with db.read() as session:
        return [one.address for one in devices.of_contact(session, contact_id)]
