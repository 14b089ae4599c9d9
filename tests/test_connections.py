"""Who may open a connection: the one HTTP client, and those that are named here with a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = {"tests", "bench", "docs", "migrations", "node_modules"}
WAYS = (
    "aiohttp", "aiosmtplib", "asyncio.open_connection", "asyncio.open_unix_connection", "boto3", "botocore", "ftplib", "grpc", "http.client",
    "httpcore", "httpx", "imaplib", "nntplib", "opentelemetry.exporter", "paramiko", "poplib", "psycopg", "pycurl", "pywebpush", "redis", "requests",
    "slack_sdk", "smtplib", "socket", "telnetlib", "temporalio.client", "twilio", "urllib.request", "urllib3", "websocket", "websockets", "xmlrpc",
)  # fmt: skip
"""Modules by which a connection can be opened."""

ALLOWED: Mapping[str, Mapping[str, str]] = {
    "activities/http_client.py": dict.fromkeys(("socket", "httpx", "httpcore"), "the one HTTP client"),
    "activities/requests_session.py": {"requests": "the session that has no way out but the client"},
    "activities/webhooks/address_guard.py": {"socket": "asks what addresses a name has"},
    "activities/providers/smtp.py": {"smtplib": "SMTP"},
    "activities/providers/ses.py": dict.fromkeys(
        ("boto3", "botocore"), "speaks through the HTTP client: what it would send is taken from it before"
    ),
    "activities/providers/twilio.py": {"twilio": "speaks through the HTTP client that it is given, which is ours"},
    "activities/providers/webpush.py": {
        "pywebpush": "encrypts only; what it makes goes through the HTTP client",
        "httpx": "the type of the HTTP client",
    },
    "activities/providers/fcm.py": {"httpx": "the type of the HTTP client"},
    "activities/providers/slack.py": {"httpx": "the type of the HTTP client"},
    "activities/providers/imap_wire.py": dict.fromkeys(
        ("imaplib", "socket"), "IMAP, over a socket of its own: to addresses that the guard lets through, within a time and a size"
    ),
    "activities/providers/http_fake.py": {"http.client": "for tests and benchmarks: a receiver of theirs, with one connection a thread"},
    "activities/rendering/pool.py": {"socket": "a pair of sockets to each render process"},
    "activities/rendering/child.py": {"socket": "a pair of sockets to each render process"},
    "api/app.py": {"redis": "Redis"},
    "api/health.py": {"redis": "Redis"},
    "api/http/rate_limits.py": {"redis": "Redis"},
    "api/server.py": {"redis": "Redis"},
    "api/worker_port.py": dict.fromkeys(("socket", "urllib.request"), "asks the SDK's core on 127.0.0.1; listens"),
    "commands/api_main.py": {"socket": "listens"},
    "commands/dev.py": {"socket": "asks on 127.0.0.1 whether a process of ours listens"},
    "commands/doctor.py": {"socket": "asks whether a port is free", "redis": "Redis"},
    "commands/lifeline.py": {"socket": "a pair of sockets to each child"},
    "commands/replay.py": {"temporalio.client": "Temporal"},
    "commands/servers.py": dict.fromkeys(("socket", "urllib.request"), "asks Redis and Temporal of `pfadwerk dev` on 127.0.0.1"),
    "commands/setup.py": {"temporalio.client": "Temporal"},
    "engine/temporal/client.py": {"temporalio.client": "Temporal"},
    "engine/otlp.py": {"opentelemetry.exporter": "exports through the session it is given", "requests": "the type of that session"},
    "worker.py": {"socket": "the name of this machine"},
}
"""File -> module -> why it may import it. The database is SQLAlchemy's, by its address."""


def product() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT)
        if place.parts[0] not in LEFT_OUT and not place.parts[0].startswith("."):
            yield place.as_posix(), ast.parse(path.read_text("utf-8"))


def ways(tree: ast.Module) -> set[str]:
    """Which of `WAYS` the module could take."""
    return {way for name in _imported(tree) for way in WAYS if name == way or name.startswith(f"{way}.")}


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "asyncio":
            yield ast.unparse(node)


def test_nobody_else_opens_a_connection() -> None:
    found = {place: ways(tree) for place, tree in product()}
    taken = {place: names for place, names in found.items() if names}
    assert taken == {place: set(names) for place, names in ALLOWED.items()}


@pytest.mark.parametrize(
    "line",
    [
        "import socket",
        "import http.client",
        "from http import client",
        "from urllib.request import urlopen",
        "import urllib.request as web",
        "import httpx",
        "from httpx import Client",
        "def late():\n    import requests",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "from asyncio import open_connection",
        "from temporalio.client import Client",
        "import redis.asyncio",
    ],
)
def test_a_planted_way_is_seen(line: str) -> None:
    assert ways(ast.parse(line)), line


@pytest.mark.parametrize("line", ["from urllib.parse import quote", "import asyncio", "from temporalio import workflow", "import http"])
def test_what_opens_nothing_is_not(line: str) -> None:
    assert not ways(ast.parse(line)), line
