"""A provider for tests and benchmarks: posts every message to a small HTTP receiver that counts what it got.

Kind `lookup`: `POST /<key>` hands over, `GET /<key>` asks. One connection per thread, kept open. It stands for providers with an
HTTP interface and is not for sending to people.
"""

from __future__ import annotations

import http.client
import json
import threading
from datetime import timedelta
from typing import Self
from urllib.parse import quote

from pydantic import Field, create_model

from activities.providers.provider import (
    AddressDead,
    Answer,
    ConfiguredProvider,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    Outgoing,
    ProviderConfig,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
)
from journeys.channels import CHANNELS, TO_TEAM

CODES: dict[int, type[ProviderFailure]] = {
    400: MessageDead, 401: SenderStopped, 403: SenderStopped, 404: AddressDead, 408: RetryLater, 410: AddressDead, 413: MessageDead,
    422: MessageDead, 429: RetryLater, 500: RetryLater, 502: RetryLater, 503: RetryLater,
}  # fmt: skip


class HttpFakeConfig(ProviderConfig):
    """Where the receiver listens."""

    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    timeout_seconds: float = 5.0


class HttpFake(ConfiguredProvider):
    """Speaks to the receiver at `host:port`."""

    name = "http_fake"
    label = "HTTP fake"
    channels = frozenset({*CHANNELS, *TO_TEAM})
    delivery_check: DeliveryCheck = "lookup"
    Config = HttpFakeConfig

    def __init__(self, host: str, port: int, timeout_seconds: float = 5.0) -> None:
        self.timeout_seconds = timeout_seconds
        self._address = (host, port)
        self._local = threading.local()
        self._all: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    @classmethod
    def open(cls, config: HttpFakeConfig, around: Surroundings) -> Self:
        return cls(config.host, config.port, config.timeout_seconds)

    def send(self, message: Outgoing) -> Answer:
        body = json.dumps({"to": message.recipient, "channel": message.channel, "subject": message.subject, "text": message.text}).encode()
        path = "/" + quote(message.once_key, safe="")
        connection = self._connected()
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
        except (OSError, http.client.HTTPException):
            connection.close()
            raise RetryLater("http_connection_lost", timedelta(seconds=1)) from None
        return self._answer(connection)

    def lookup(self, once_key: str) -> Answer | None:
        connection = self._connected()
        try:
            connection.request("GET", "/" + quote(once_key, safe=""))
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise RetryLater("http_connection_lost", timedelta(seconds=1)) from None
        if response.status == 404:
            return None
        if response.status != 200:
            raise RetryLater(f"http_{response.status}", timedelta(seconds=1))
        return Answer(provider_id=text.decode("ascii", "replace")[:64])

    def verify(self) -> None:
        self._connected()

    def close(self) -> None:
        with self._lock:
            connections, self._all = self._all, []
        for connection in connections:
            connection.close()

    def _answer(self, connection: http.client.HTTPConnection) -> Answer:
        """From here on the receiver may have the message: only its answer ends the doubt."""
        try:
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise InDoubt("http_no_answer") from None
        if 200 <= response.status <= 299:
            return Answer(provider_id=text.decode("ascii", "replace")[:64], raw={"code": response.status})
        code = f"http_{response.status}"
        failure = CODES.get(response.status, InDoubt)
        raise RetryLater(code, _after(response)) if failure is RetryLater else failure(code)

    def _connected(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection(*self._address, timeout=self.timeout_seconds)
            with self._lock:
                self._all.append(connection)
        if connection.sock is None:
            try:
                connection.connect()
            except OSError:
                raise RetryLater("http_unreachable", timedelta(seconds=1)) from None
        return connection


def _after(response: http.client.HTTPResponse) -> timedelta:
    said = response.getheader("Retry-After", "")
    return timedelta(seconds=min(int(said), 3600)) if said.isdigit() else timedelta(seconds=1)


def at(port: int, timeout_seconds: float = 5.0) -> type[HttpFake]:
    """The provider for a program whose receiver listens at one port: its account needs no configuration, so that the channel alone seeds it."""
    config = create_model("HttpFakeConfigAt", __base__=HttpFakeConfig, port=(int, port), timeout_seconds=(float, timeout_seconds))
    return type("HttpFakeAt", (HttpFake,), {"Config": config})
