"""The web server as one ASGI app: `create_app(settings, engine)`. Puts the parts together and decides nothing itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from redis.asyncio import Redis

from activities.accounts import Accounts, LiveTimeouts, ThroughChannel
from activities.happenings import Recorded
from activities.providers import Provider, Providers, Surroundings
from activities.rendering import Renderer, RenderLimits, RenderPool
from activities.rendering.turns import Turns
from activities.sending.effect import CARRIED
from activities.sending.messages import MessageSettings
from activities.tracking import Tracking
from activities.webhooks.address_guard import Guard
from api import health
from api.admin.routers import admin_routers
from api.auth import login
from api.auth.origin import Origin
from api.callbacks import router as callback_router
from api.devices import endpoints as devices
from api.http import errors, openapi
from api.http.headers import HeadersMiddleware
from api.http.rate_limits import Limits
from api.http.request_bodies import BodyLimitMiddleware
from api.http.shared_transactions import SharedTransactions
from api.in_app import endpoints as in_app
from api.in_app.streams import Streams
from api.metrics import Metrics
from api.public import embedded_form_router, form_router, picture_router, public_router, signup_router
from api.server import Server
from api.tracking import endpoints, site
from api.tracking.write_keys import KeyRing
from api.tracking.writer import Waker, Writer
from api.wakeups import Connect, TemporalWaker
from builder_ui import routes
from engine.engine import Engine
from engine.presence import Presence
from engine.temporal.client import Temporal
from engine.temporal.wakeups import Wakeups
from journeys.errors import where
from models import Member
from settings import Settings
from storage.files import Room
from workspace import second_factor
from workspace.sessions import Purpose, require_proof

log = logging.getLogger("pfadwerk.api")

FLUSH_SECONDS = 60.0
INTAKE_SECONDS = 3.0
"""How long a refused event may take until it stands on its key's page."""
ACCOUNTS_SECONDS = 5.0
"""How long what this process plans may go by the time limits of an account that has been changed."""
REDIS_SECONDS = 0.25
"""Longer than this nobody waits for Redis."""


def create_app(
    settings: Settings,
    engine: Engine,
    *,
    connect: Connect | None = None,
    waker: Waker | None = None,
    accounts: Accounts | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """The app over an engine whose database is migrated. It listens nowhere itself: the caller binds it, to loopback by default.

    `connect` replaces the connection to Temporal that the settings name; a `waker` replaces Temporal altogether. With neither a waker
    nor an address in the settings nothing is woken, and the keeper finds what to do from the rows.
    `accounts` carry test sends and mails about members' own accounts, and are set up on the pages; the default has none, and reaches nobody.
    `stopping`: whether the server that runs the app is to end; open streams end then, because it waits for them.
    """
    metrics = Metrics()
    accounts = accounts or Accounts(engine.db, Providers.of_none(), engine.address_keys, Surroundings(engine.db, engine.clock.now))
    engine.effect_timeouts = LiveTimeouts(accounts, CARRIED, engine.effect_timeouts)
    renderer = RenderPool(RenderLimits(**settings.render_limits()))
    messaging, turns = _messaging(settings, renderer), Turns()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _server(settings, engine, metrics, _waker(settings, connect, waker), accounts, messaging, turns) as server:
            server.streams.stopping = stopping
            app.state.server = server
            yield
        await run_in_threadpool(renderer.close)
        await run_in_threadpool(accounts.close)
        await run_in_threadpool(engine.tracing.close)

    app = FastAPI(
        title="Pfadwerk",
        version="1",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page would load scripts from a foreign host
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    errors.install(app)
    app.add_middleware(Origin, public_url=settings.public_url)
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes)
    app.add_middleware(HeadersMiddleware, measure=metrics.measure, https=settings.public_url.startswith("https://"), tracing=engine.tracing)
    # The routes as they are: `include_router` would build each a second time, and a start take half a second longer.
    # Each request asks them one by one: first what is called by machines and by readers of mails, a hundred times a second.
    for router in (
        endpoints.router,
        site.router,
        callback_router,
        public_router,
        in_app.router,
        devices.router,
        picture_router,
        *admin_routers(),
        login.router,
        health.router,
        signup_router,
        form_router,
        embedded_form_router,
        _pages(app, settings, engine, accounts, messaging, turns),
    ):
        app.router.routes += router.routes
    openapi.install(app)
    return app


def _pages(app: FastAPI, settings: Settings, engine: Engine, accounts: Accounts, messaging: MessageSettings, turns: Turns) -> APIRouter:
    def member(token: str, *, used: bool = True, owing: bool = False) -> Member | None:
        found = login.member_of(engine.db, token, engine.clock.real_now(), used=used)
        if found is None or owing:
            return found
        with engine.db.read() as session:
            return None if second_factor.is_owed(session, found) else found

    def close(token: str) -> None:
        login.close_session(engine.db, token)

    def prove(token: str) -> None:
        require_proof(engine.db, token, engine.clock.real_now())

    def hand_over(answer: Response, cookie: str) -> None:
        login.set_cookie(answer, settings.public_url, cookie)

    def refused(member: Member, act: str) -> None:
        app.state.server.refusals.note(engine.db, f"member:{member.id}", f"act:{act}", engine.clock.real_now())

    def wake(wakeups: Wakeups) -> None:
        app.state.server.wake(wakeups)

    def provider() -> Provider:
        carrier: Provider = app.state.server.provider
        return carrier

    def mail_link(member: Member, purpose: Purpose, path: str) -> bool:
        return login.send_link(app.state.server, member, purpose, settings.public_url + path, engine.clock.real_now())

    def forget_keys() -> None:
        app.state.server.keys.forget()

    return routes.router(
        engine,
        routes.Login(login.cookie_name(settings.public_url), member, close, prove, hand_over, refused),
        wake,
        settings.public_url,
        settings.language,
        max_upload_bytes=settings.max_body_bytes,
        room=Room(settings.max_import_bytes, settings.max_waiting_import_bytes),
        post=routes.Post(messaging, provider, Guard.allowing(settings.webhook_allow)),
        accounts=accounts,
        mail_link=mail_link,
        forget_keys=forget_keys,
        turns=turns,
    )


def _waker(settings: Settings, connect: Connect | None, waker: Waker | None) -> Waker | None:
    if waker is not None:
        return waker
    if connect is None and settings.temporal_address:

        async def connect() -> Temporal:
            return await Temporal.connect(**settings.temporal())

    return TemporalWaker(connect) if connect is not None else None


@asynccontextmanager
async def _server(
    settings: Settings, engine: Engine, metrics: Metrics, waker: Waker | None, accounts: Accounts, messaging: MessageSettings, turns: Turns
) -> AsyncIterator[Server]:
    loop = asyncio.get_running_loop()
    redis = _redis(settings)
    writer = Writer(engine, waker, loop, settings.max_backlog)
    keys = KeyRing(engine.db, engine.clock.real_now)
    provider = ThroughChannel(accounts, "email")
    streams = Streams(engine.db)
    reports: SharedTransactions[tuple[Recorded, Wakeups]] = SharedTransactions(engine.db)
    server = Server(
        settings, engine, waker, redis, Limits(redis), keys, writer, metrics, loop, messaging, provider, accounts, streams, reports, turns
    )
    metrics.watch(engine, writer)
    presence = Presence(engine, "web")
    tasks = [
        asyncio.create_task(_regularly(FLUSH_SECONDS, keys.flush)),
        asyncio.create_task(_regularly(INTAKE_SECONDS, writer.intake.flush)),
        asyncio.create_task(_regularly(ACCOUNTS_SECONDS, accounts.look)),
        asyncio.create_task(presence.run()),
    ]
    if isinstance(waker, TemporalWaker):
        tasks.append(asyncio.create_task(waker.run()))
    writer.start()
    try:
        yield server
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await streams.close()
        await run_in_threadpool(writer.stop)
        await run_in_threadpool(_attempt, keys.flush)
        await run_in_threadpool(_attempt, writer.intake.flush)
        await run_in_threadpool(presence.leave)
        if redis is not None:
            await redis.aclose()


def _messaging(settings: Settings, renderer: Renderer) -> MessageSettings:
    keys = settings.signing_keys()
    return MessageSettings(
        tracking=Tracking(keys, settings.public_url),
        address_keys=tuple(keys.values()),
        mail_from=settings.mail_from,
        tracking_level=settings.tracking,
        language=settings.language,
        zone=settings.time_zone,
        renderer=renderer,
    )


def _redis(settings: Settings) -> Redis | None:
    if not settings.redis_url:
        return None
    return Redis.from_url(settings.redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)


async def _regularly(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        await run_in_threadpool(_attempt, work)


def _attempt(work: Callable[[], None]) -> None:
    """Housekeeping that may fail: a database that is away for a moment must neither end it for good nor keep the server from stopping."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - see above
        log.error("%s failed: %s", work.__qualname__, where(error))
