"""The reference journey as somebody would write it by hand for Temporal: one workflow, no graph, no rules, no engine, no CRM.

It keeps what any such program must keep: a mail is rendered for its contact from a compiled template (with the addresses that tell
opens and clicks, since it asks for opens), a ledger row is committed before the provider is called and another one after it, and
whether the mail was opened is read in a local activity. Same database settings, same provider, same template, same worker options as
the product, so that `bench.engine` compares nothing but what the product adds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Column, DateTime, MetaData, String, Table, insert, select
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.service import GrpcCompression
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.providers.http_fake import HttpFake
from activities.providers.provider import Outgoing
from activities.rendering import CompiledTemplate, render
from activities.tracking import Tracking
from bench.reference import compiled_mail
from models import Contact, Database
from settings import Settings
from storage.sql import table

WORKFLOW, RUNS, MAILS = "Baseline", "baseline-runs", "baseline-mails"
RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))

metadata = MetaData()
ledger = Table(
    "bench_ledger",
    metadata,
    Column("key", String, primary_key=True),
    Column("state", String, primary_key=True),
    Column("at", DateTime(timezone=True)),
    Column("data", JSON),
)
opens = Table("bench_open", metadata, Column("key", String, primary_key=True))
contacts = table(Contact)


@workflow.defn(name=WORKFLOW)
class Baseline:
    @workflow.run
    async def run(self, run_id: str, contact_id: str, wait_seconds: float) -> None:
        await self.send(run_id, contact_id, "hello")
        await asyncio.sleep(wait_seconds)
        opened = await workflow.execute_local_activity("opened", args=[run_id], start_to_close_timeout=timedelta(seconds=5))
        await self.send(run_id, contact_id, "thanks" if opened else "nudge")
        await asyncio.sleep(wait_seconds)
        await self.send(run_id, contact_id, "last")

    async def send(self, run_id: str, contact_id: str, mail: str) -> None:
        await workflow.execute_activity(
            "send",
            args=[run_id, contact_id, mail],
            task_queue=MAILS,
            start_to_close_timeout=timedelta(seconds=15),
            retry_policy=RETRY,
        )


@dataclass
class Mailer:
    db: Database
    provider: HttpFake
    template: CompiledTemplate
    tracking: Tracking

    @activity.defn(name="opened", no_thread_cancel_exception=True)
    def opened(self, run_id: str) -> bool:
        with self.db.read() as session:
            return session.execute(select(opens.c.key).where(opens.c.key == f"{run_id}:hello")).first() is not None

    @activity.defn(name="send", no_thread_cancel_exception=True)
    def send(self, run_id: str, contact_id: str, mail: str) -> None:
        key = f"{run_id}:{mail}:1"
        message = self.rendered(contact_id, run_id, key)
        self.note(key, "claimed", {"to": message.recipient, "subject": message.subject})
        answer = self.provider.send(message)
        self.note(key, "sent", {"provider_id": answer.provider_id})

    def rendered(self, contact_id: str, run_id: str, key: str) -> Outgoing:
        with self.db.read() as session:
            contact = session.execute(select(contacts).where(contacts.c.id == contact_id)).one()._asdict()
        values = {
            "contact": {**contact["attributes"], **contact},
            "trigger": {},
            "sender": {"name": "Bench", "email": "bench@example.org", "address": "Weg 1, Bern"},
            "now": datetime.now(UTC),
            **self.tracking.urls(run_id),
        }
        mail = render(self.template, [contact["locale"], "en"], values, marks=self.tracking.marks(run_id, "full"), zone=contact["timezone"])
        return Outgoing(
            once_key=key,
            message_id=run_id,
            channel="email",
            recipient=contact["email"],
            sender="Bench <bench@example.org>",
            subject=mail.subject,
            html=mail.html,
            text=mail.text,
            headers=mail.headers,
        )

    def note(self, key: str, state: str, data: dict[str, Any]) -> None:
        with self.db.write() as session:
            session.execute(insert(ledger).values(key=key, state=state, at=datetime.now(UTC), data=data))


async def work(settings: Settings, receiver_port: int, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """The worker process: as `worker.run`, with the same options."""
    db = Database(settings.database_url, pool_size=settings.step_concurrency + settings.send_concurrency)
    tracking = Tracking(settings.signing_keys(), settings.public_url)
    mailer = Mailer(db, HttpFake("127.0.0.1", receiver_port), compiled_mail(db), tracking)
    client = await connected(settings)
    async with AsyncExitStack() as stack:
        steps = stack.enter_context(ThreadPoolExecutor(settings.step_concurrency))
        sends = stack.enter_context(ThreadPoolExecutor(settings.send_concurrency))
        runs = Worker(
            client,
            task_queue=RUNS,
            workflows=[Baseline],
            activities=[mailer.opened],
            activity_executor=steps,
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=settings.max_cached_workflows,
            max_concurrent_workflow_tasks=settings.max_concurrent_workflow_tasks,
            max_concurrent_local_activities=settings.step_concurrency,
            max_concurrent_activities=1,
            no_remote_activities=True,
            graceful_shutdown_timeout=settings.graceful_shutdown,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=5),
        )
        mails = Worker(
            client,
            task_queue=MAILS,
            activities=[mailer.send],
            activity_executor=sends,
            max_concurrent_activities=settings.send_concurrency,
            graceful_shutdown_timeout=settings.graceful_shutdown,
        )
        await stack.enter_async_context(runs)
        await stack.enter_async_context(mails)
        ready()
        await stop.wait()
    db.close()


async def connected(settings: Settings) -> Client:
    return await Client.connect(settings.temporal_address, namespace=settings.temporal_namespace, grpc_compression=GrpcCompression.NONE)
