"""`pfadwerk api`: one web server process, until SIGTERM or Ctrl-C; requests in flight are answered first."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from commands import lifeline, lock, memory
from commands.logs import configure, core_logging
from commands.servers import NO_ADDRESS, PortInUse, is_free
from journeys.errors import Misconfigured
from settings import Settings

if TYPE_CHECKING:
    from uvicorn import Server

    from api.wakeups import Connect

STOP_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048
MAX_SOCKET_BYTES = 262_144
"""Of one message of a page; a larger one ends its socket before it is read."""


def api_main(settings: Settings) -> int:
    """Serves on `settings.host`:`settings.port`; watches the supervisor, if there is one, from the first line on.

    Raises:
        Misconfigured: the settings or the database do not fit.
        PortInUse: somebody else listens there.
    """
    lifeline.watch_parent()
    configure(settings, "api")
    refuse_unnamed_proxy(settings)
    with lock.use(settings.home):
        _refuse_used_port(settings)
        server = build_server(settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn raises what stopped it once more at its end, which would look like a crash
        memory.settle()
        server.run()
    return 0


def refuse_unnamed_proxy(settings: Settings) -> None:
    """The web server speaks http only: behind https stands a proxy, and whom it speaks for is believed only if it is named.

    Raises:
        Misconfigured: it is not.
    """
    if urlsplit(settings.public_url).scheme == "https" and not settings.trusted_proxies:
        raise Misconfigured(
            "PFADWERK_PUBLIC_URL is https, so there is a proxy in front of this web server, but none is "
            "configured: all visitors would count as one. Set PFADWERK_TRUSTED_PROXIES to the proxy's address, "
            "such as {example}.",
            example='["127.0.0.1"]',
        )


def _refuse_used_port(settings: Settings) -> None:
    try:
        free = is_free(settings.port, settings.host)
    except socket.gaierror as error:
        raise PortInUse(NO_ADDRESS, host=settings.host, error=error.strerror) from None
    if not free:
        raise PortInUse(
            "Port {port} on {host} is in use. Stop the program that uses it, or set PFADWERK_PORT to another port.",
            port=settings.port,
            host=settings.host,
        )


def build_server(settings: Settings) -> Server:
    """The web server over a checked database, not yet listening."""
    import uvicorn

    from activities.custom.discovery import load_custom
    from api.app import create_app
    from commands.providers import accounts_of
    from commands.tracing import tracing_of
    from models import Database
    from models.migrate import check
    from worker import build_engine
    from workspace import audit

    check(settings.database_url)
    engine = build_engine(
        settings, Database(settings.database_url, limits=settings.database_limits()), load_custom(settings.activity_folders)
    )
    engine.tracing = tracing_of(settings, "api")
    with engine.db.read() as session:
        audit.Watch().look(session)
    accounts = accounts_of(settings, engine, everything=False)

    def stopping() -> bool:
        return server.should_exit

    config = uvicorn.Config(
        create_app(settings, engine, connect=_connect(settings), accounts=accounts, stopping=stopping),
        host=settings.host,
        port=settings.port,
        log_config=None,  # commands.logs has configured it
        access_log=False,  # addresses of contacts and tokens stand in paths
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=BACKLOG,
        ws_max_size=MAX_SOCKET_BYTES,
    )
    server = uvicorn.Server(config)
    return server


def _connect(settings: Settings) -> Connect | None:
    """How the server reaches Temporal, where an address is known; the SDK's own core writes its lines as we do."""
    if not settings.temporal_address:
        return None
    from temporalio.runtime import Runtime, TelemetryConfig

    from engine.temporal.client import Temporal

    runtime = Runtime(telemetry=TelemetryConfig(logging=core_logging(settings)))
    return lambda: Temporal.connect(**settings.temporal(), runtime=runtime)
