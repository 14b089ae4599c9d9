"""Composition root of the worker: steps, effects and the keeper in one process. Run as many as the load needs."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import look_ahead, reports
from activities.accounts import ATTEMPT_MARGIN_SECONDS, Accounts, LivePerformers, LiveTimeouts
from activities.custom.discovery import load_custom
from activities.custom.handler import CustomActivityHandler
from activities.happenings import Streak
from activities.look_ahead import LookAhead
from activities.measures import Measures
from activities.providers import ConfiguredProvider, Outbox, Provider, Surroundings
from activities.providers.registry import kept_here
from activities.rendering import INLINE, Renderer, RenderLimits, RenderPool
from activities.sending import confirmations, coupon_codes, personal_sending, resend
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, Sharing, alone
from activities.sending.handler import Carried, ChannelHandler
from activities.sending.messages import MessageHandler, MessageSettings
from activities.sending.rates import watch_rates
from activities.sending.reconcile import settle
from activities.sending.temporal_activities import UNMEASURED, effect_activity, step_activity
from activities.sending.watch import watch
from activities.team.handler import TeamHandler
from activities.team.notices import Notifier, tell
from activities.team.task_notices import Desk, TaskTeller
from activities.team.task_notices import tell as tell_of_tasks
from activities.tracking import Tracking
from activities.webhooks.fake import pretend_post
from commands.logs import core_logging
from commands.mail import inbound_of
from commands.providers import accounts_of, legacy_queues
from commands.servers import NO_ADDRESS, PortInUse, free_port
from commands.tracing import tracing_of
from engine import stamp
from engine.companies.roller import Roller
from engine.engine import Engine, NewJourney
from engine.enrolment.routing import routed
from engine.jobs.kinds import KINDS
from engine.jobs.worker import JobWorker
from engine.keeper import Keeper
from engine.presence import Presence
from engine.segments.evaluator import Evaluator
from engine.takeover import Takeover
from engine.temporal.client import Temporal
from engine.temporal.wakeups import Wakeups
from engine.temporal.workflow import RunWorkflow
from engine.versions.behaviours import refuse_unknown_behaviours
from journeys.calls import RUN_QUEUE, queue_of, unversioned
from journeys.channels import SENDABLE
from journeys.custom import CustomActivity
from journeys.errors import Misconfigured
from journeys.nodes import Palette
from journeys.secret import Reveal
from locales import translator
from models import Database
from settings import Settings
from workspace import audit, secrets

if TYPE_CHECKING:
    from api.worker_port import WorkerPort

log = logging.getLogger(__name__)

OTHER_CALLS_SECONDS = 20.0
"""The limit of a call about which the process that plans it knows nothing better."""
WAKE_SECONDS = 30.0
"""Longer than this no page of a job waits for Temporal; the keeper starts what is missing."""


async def run(settings: Settings, ready: Callable[[], None], stop: asyncio.Event, kinds: Sequence[type[ConfiguredProvider]] = ()) -> None:
    """Works until `stop` is set, then lets sends in flight finish. `ready` is called once tasks are taken.

    `kinds` are further providers that the live workspace may have accounts of.

    Raises: Misconfigured when the settings, the database or the versions of open runs do not fit this code; PortInUse.
    """
    connections = settings.step_concurrency + settings.send_concurrency + settings.job_concurrency
    db = Database(settings.database_url, pool_size=connections, limits=settings.database_limits())
    customs = load_custom(settings.activity_folders)
    engine = build_engine(settings, db, customs)
    refuse_unknown_behaviours(engine)
    renderer = RenderPool(RenderLimits(**settings.render_limits()))
    engine.tracing = tracing_of(settings, "worker")
    accounts = accounts_of(settings, engine, kinds)
    performers = build_performers(settings, engine, customs, accounts, renderer)
    effects = Effects(engine, performers, Breakers(engine.db), accounts.find, build_sharing(performers))
    engine.effect_timeouts = build_timeouts(accounts, effects.performers)
    core_port = free_port() if settings.metrics_port else 0
    temporal = await Temporal.connect(**settings.temporal(), runtime=_runtime(settings, core_port))
    streak = Streak(settings.soft_bounces, timedelta(days=settings.soft_bounce_days))
    duties = [
        partial(settle, effects),
        partial(confirmations.settle, effects),
        partial(reports.settle, engine, partial(routed, engine), streak, settings.tracking),
        partial(watch_rates, effects),
        partial(watch, effects),
        partial(coupon_codes.settle, engine),
        partial(tell, build_notifier(settings, effects)),
        partial(tell_of_tasks, build_task_teller(settings, effects, accounts)),
    ]
    keeper = Keeper(engine, temporal, every_seconds=settings.keeper_interval.total_seconds(), duties=duties)
    async with AsyncExitStack() as lasting:
        port = await _own_port(settings, engine, temporal, core_port, lasting) if settings.metrics_port else None
        async with AsyncExitStack() as stack:
            for worker in build_workers(settings, temporal, effects, stack, port.metrics if port else UNMEASURED):
                await stack.enter_async_context(worker)
            presence = Presence(engine, "worker")
            tasks = [
                asyncio.create_task(keeper.run()),
                asyncio.create_task(Evaluator(engine, temporal).run()),
                asyncio.create_task(Roller(engine, temporal).run()),
                asyncio.create_task(presence.run()),
                asyncio.create_task(Takeover(engine, temporal).run()),
            ]
            resending = asyncio.gather(
                resend.run(effects, stop),
                confirmations.run(effects, stop),
                personal_sending.run(effects, stop),
                *_reading(settings, engine, temporal, accounts, stop),
            )
            jobs = build_job_worker(settings, engine, temporal, renderer)
            jobs.start()
            ready()
            if port:
                port.working = True
            await stop.wait()
            if port:
                port.working = False
            # beside what else ends: all of it together has one time of grace
            leaving = asyncio.create_task(asyncio.to_thread(jobs.stop, settings.graceful_shutdown.total_seconds()))
            await resending
            for task in tasks:
                task.cancel()
        await leaving
    presence.leave()
    renderer.close()
    accounts.close()
    engine.tracing.close()
    db.close()


def _reading(
    settings: Settings, engine: Engine, temporal: Temporal, accounts: Accounts, stop: asyncio.Event
) -> list[Coroutine[Any, Any, None]]:
    """Mailboxes are read where accounts can be set up; staging has none."""
    if not accounts.providers.kinds:
        return []
    from activities.inbound.mailboxes import Mailboxes

    mailboxes = Mailboxes(accounts, inbound_of(settings, engine, accounts.providers), engine.clock.real_now)
    return [mailboxes.run(temporal.wake, stop)]


def build_job_worker(settings: Settings, engine: Engine, temporal: Temporal, renderer: Renderer) -> JobWorker:
    """Call it where the event loop runs: what a page of a job brings is told to Temporal from there."""
    loop = asyncio.get_running_loop()

    def wake(wakeups: Wakeups) -> None:
        if wakeups:
            asyncio.run_coroutine_threadsafe(temporal.wake(wakeups), loop).result(WAKE_SECONDS)

    kinds = {**KINDS, look_ahead.KIND: LookAhead(build_messaging(settings, renderer)).kind}
    return JobWorker(engine, wake, kinds, threads=settings.job_concurrency)


async def _own_port(settings: Settings, engine: Engine, temporal: Temporal, core_port: int, stack: AsyncExitStack) -> WorkerPort:
    """The port for probes and Prometheus. It is opened first and closed last, so that it answers while sends in flight finish.

    Raises: PortInUse.
    """
    from api.worker_port import WorkerMetrics, WorkerPort, served  # only where it is wanted: it loads a web server

    port = WorkerPort(engine, WorkerMetrics(engine), temporal.is_up, settings.metrics_token.get_secret_value(), core_port)
    await stack.enter_async_context(served(port, _listening(settings.host, settings.metrics_port)))
    return port


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise Misconfigured(NO_ADDRESS, host=host, error=error.strerror) from None
    except OSError:
        raise PortInUse(
            "Port {port} on {host} is in use. Stop the program that uses it, or set PFADWERK_METRICS_PORT to another port.",
            port=port,
            host=host,
        ) from None


def build_engine(settings: Settings, db: Database, customs: list[CustomActivity]) -> Engine:
    """The engine of these settings; stamps a fresh database, and seals an audit trail that has no key yet."""
    with db.write() as session:
        clock = stamp.claim(session, settings.workspace, settings.temporal_namespace)
    palette = Palette.built_in().with_kinds(*(custom.node for custom in customs))
    accounts = {channel: account.account for channel, account in settings.channels.items()}
    engine = Engine(
        db,
        clock,
        palette,
        tuple(settings.signing_keys().values()),
        effect_timeout_seconds=OTHER_CALLS_SECONDS + ATTEMPT_MARGIN_SECONDS,
        effect_timeouts={custom.channel: custom.timeout.total_seconds() + ATTEMPT_MARGIN_SECONDS for custom in customs},
        accounts=accounts,
        catch_up=settings.catch_up,
        new_journey=NewJourney(settings.time_zone, settings.hold_at_most),
    )
    with db.write() as session:
        audit.take_over(session)
    return engine


def build_timeouts(accounts: Accounts, performers: Mapping[str, ChannelHandler]) -> LiveTimeouts:
    """How long one attempt may take: as the account of its channel says now, or the performer."""
    fixed = {name: one.timeout_seconds + ATTEMPT_MARGIN_SECONDS for name, one in performers.items() if not isinstance(one, Carried)}
    return LiveTimeouts(accounts, [name for name in performers if name not in fixed], fixed)


Composition = Callable[[MessageSettings, Settings, Engine, list[CustomActivity], Accounts], Mapping[str, ChannelHandler]]


def build_sharing(performers: Mapping[str, ChannelHandler]) -> Sharing:
    """Who shares a channel; nobody in staging, which has no accounts."""
    return performers.sharing if isinstance(performers, LivePerformers) else alone


def build_performers(
    settings: Settings, engine: Engine, customs: list[CustomActivity], accounts: Accounts, renderer: Renderer = INLINE
) -> Mapping[str, ChannelHandler]:
    """Who performs which channel. The workspace decides which composition is made; staging loads no provider and holds no credential."""
    compositions: Mapping[str, Composition] = {"live": _live_performers, "staging": _staging_performers}
    return compositions[settings.workspace](build_messaging(settings, renderer), settings, engine, customs, accounts)


def _live_performers(
    messaging: MessageSettings, settings: Settings, engine: Engine, customs: list[CustomActivity], accounts: Accounts
) -> Mapping[str, ChannelHandler]:
    from activities.team.slack import by_slack
    from activities.webhooks.address_guard import Guard
    from activities.webhooks.handler import WebhookHandler

    guard = Guard.allowing(settings.webhook_allow)
    nobody = accounts.nobody
    carried: dict[str, Carried] = {channel: MessageHandler(messaging, nobody, channel) for channel in SENDABLE}
    carried["team"] = TeamHandler(messaging, nobody, partial(by_slack, guard), partial(_chat_of, accounts))
    others = custom_performers(customs, reveal=partial(_reveal, engine))
    return LivePerformers(accounts, carried, {"webhook": WebhookHandler(messaging, guard), **others})


def _chat_of(accounts: Accounts) -> tuple[str, Provider]:
    """Who carries the team chat now."""
    carrier = accounts.of_channel("chat")
    return carrier.account, carrier.provider


def _staging_performers(
    messaging: MessageSettings, settings: Settings, engine: Engine, customs: list[CustomActivity], accounts: Accounts
) -> Mapping[str, ChannelHandler]:
    return (
        pretending_performers(messaging, Outbox(engine.db, engine.clock.now))
        | _kept_here(messaging, engine)
        | custom_performers(customs, fake=True)
    )


def _kept_here(messaging: MessageSettings, engine: Engine) -> dict[str, ChannelHandler]:
    """Channels whose messages lie in our own database: staging's inbox is as real as live's, and in another database."""
    around = Surroundings(engine.db, engine.clock.now)
    opened = [kind.open(kind.Config(), around) for kind in kept_here()]
    return {channel: MessageHandler(messaging, provider, channel) for provider in opened for channel in provider.channels}


def pretending_performers(messaging: MessageSettings, outbox: Outbox) -> dict[str, ChannelHandler]:
    """Who performs every channel without reaching anybody: no provider is loaded and no credential is held."""
    from activities.webhooks.fake import PretendWebhook, pretend_slack

    performers: dict[str, ChannelHandler] = {channel: MessageHandler(messaging, outbox, channel) for channel in SENDABLE}
    performers["team"] = TeamHandler(messaging, outbox, pretend_slack, lambda: ("", outbox), remembers=outbox.remembers)
    performers["webhook"] = PretendWebhook()
    return performers


def build_notifier(settings: Settings, effects: Effects) -> Notifier:
    """Who tells the team. In staging the webhook is not called, and mails go where all go."""
    if settings.workspace == "staging":
        return Notifier(effects, pretend_post, translator)
    from activities.team.webhook import by_webhook
    from activities.webhooks.address_guard import Guard

    return Notifier(effects, partial(by_webhook, Guard.allowing(settings.webhook_allow)), translator)


def build_task_teller(settings: Settings, effects: Effects, accounts: Accounts) -> TaskTeller:
    """Who tells members of their tasks; in staging the team chat is the outbox."""
    engine = effects.engine
    desk = Desk(engine.db, effects.breakers.now, translator, settings.public_url)
    return TaskTeller(desk, effects.breakers, partial(accounts.of_channel, "chat"))


def custom_performers(customs: Iterable[CustomActivity], fake: bool = False, reveal: Reveal | None = None) -> dict[str, ChannelHandler]:
    """Every version under its own channel. The newest also under the bare name, by which calls planned before channels had versions come in:
    `Effects` hands each of them to the version that its run is pinned to."""
    by_version: dict[str, ChannelHandler] = {
        custom.channel: CustomActivityHandler(custom, fake, reveal) for custom in sorted(customs, key=_version)
    }
    return {unversioned(channel): performer for channel, performer in by_version.items()} | by_version


def _reveal(engine: Engine, name: str) -> str:
    """Raises: NotFound."""
    with engine.db.read() as session:
        return secrets.reveal(session, engine.address_keys, name)


def _version(custom: CustomActivity) -> int:
    return custom.version


def build_messaging(settings: Settings, renderer: Renderer) -> MessageSettings:
    """What all messages of this installation have in common."""
    keys = settings.signing_keys()
    return MessageSettings(
        tracking=Tracking(keys, settings.public_url),
        address_keys=tuple(keys.values()),
        mail_from=settings.mail_from,
        tracking_level=settings.tracking,
        language=settings.language,
        zone=settings.time_zone,
        renderer=renderer,
        hands_out_coupons=settings.workspace == "live",
    )


def build_workers(
    settings: Settings, temporal: Temporal, effects: Effects, stack: AsyncExitStack, measures: Measures = UNMEASURED
) -> list[Worker]:
    """One worker for runs, one per queue of effects; each with threads of its own, so that slow sends never hold up a step."""
    workers = [_run_worker(settings, temporal, effects.engine, stack, measures)]
    queues: dict[str, list[str]] = {}
    for channel in effects.performers:
        queues.setdefault(queue_of(channel, effects.engine.accounts.get(channel, "default")), []).append(channel)
    for channel, queue in legacy_queues(effects.engine, list(effects.performers)):
        if channel not in queues.setdefault(queue, []):
            queues[queue].append(channel)
    return workers + [_effect_worker(settings, temporal, effects, queue, channels, stack, measures) for queue, channels in queues.items()]


def _run_worker(settings: Settings, temporal: Temporal, engine: Engine, stack: AsyncExitStack, measures: Measures) -> Worker:
    threads = stack.enter_context(ThreadPoolExecutor(settings.step_concurrency, thread_name_prefix="step"))
    return Worker(
        temporal.client,
        task_queue=RUN_QUEUE,
        workflows=[RunWorkflow],
        activities=[step_activity(engine, temporal, measures)],
        activity_executor=threads,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=settings.max_cached_workflows,
        max_concurrent_workflow_tasks=settings.max_concurrent_workflow_tasks,
        max_concurrent_local_activities=settings.step_concurrency,
        max_concurrent_activities=1,
        no_remote_activities=True,
        graceful_shutdown_timeout=settings.graceful_shutdown,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=5),
    )


def _effect_worker(
    settings: Settings, temporal: Temporal, effects: Effects, queue: str, channels: list[str], stack: AsyncExitStack, measures: Measures
) -> Worker:
    threads = stack.enter_context(ThreadPoolExecutor(settings.send_concurrency, thread_name_prefix=queue))
    return Worker(
        temporal.client,
        task_queue=queue,
        activities=[effect_activity(effects, temporal, channel, measures) for channel in channels],
        activity_executor=threads,
        max_concurrent_activities=settings.send_concurrency,
        graceful_shutdown_timeout=settings.graceful_shutdown,
    )


def _runtime(settings: Settings, core_port: int) -> Runtime:
    """`core_port`: where the SDK's core tells its numbers, on this machine for the worker's own port alone; 0: nowhere."""
    metrics = PrometheusConfig(bind_address=f"127.0.0.1:{core_port}") if core_port else None
    return Runtime(telemetry=TelemetryConfig(logging=core_logging(settings), metrics=metrics))
