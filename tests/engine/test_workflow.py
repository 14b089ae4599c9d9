"""The run workflow on a real Temporal server, with time skipping: what it costs, and that histories replay without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.temporal import effect_activity, step_activity
from commands.servers import temporal_binary
from engine.client import Temporal
from engine.workflow import RunWorkflow
from journeys.calls import RUN_QUEUE, queue_of

RECORDED = Path(__file__).with_name("histories")
SKIPPING = [
    "--dynamic-config-value",
    "frontend.WorkflowTimeSkippingEnabled=true",
    "--dynamic-config-value",
    'history.timerProcessorMaxTimeShift="10ms"',
    "--search-attribute",
    "PfadwerkJourney=Keyword",
]


@asynccontextmanager
async def running(world, *, skipping=True) -> AsyncIterator[tuple[WorkflowEnvironment, Temporal]]:
    """A server, and a worker that serves the world's runs and e-mails."""
    options = {
        "dev_server_existing_path": str(temporal_binary()),
        "dev_server_extra_args": SKIPPING,
    }
    start = WorkflowEnvironment.start_time_skipping_v2 if skipping else WorkflowEnvironment.start_local
    async with await start(**options) as env:
        temporal = Temporal(env.client)
        with ThreadPoolExecutor(10) as threads:
            runs = Worker(
                env.client,
                task_queue=RUN_QUEUE,
                workflows=[RunWorkflow],
                activities=[step_activity(world.engine, temporal)],
                activity_executor=threads,
                workflow_runner=UnsandboxedWorkflowRunner(),
            )
            mails = Worker(
                env.client,
                task_queue=queue_of("email"),
                activities=[effect_activity(world.effects, temporal, "email")],
                activity_executor=threads,
            )
            async with runs, mails:
                yield env, temporal


async def finish(env, run: str) -> tuple[str, WorkflowHistory]:
    handle = env.client.get_workflow_handle(run)
    reason = await asyncio.wait_for(handle.result(), 30)
    return reason, await handle.fetch_history()


def test_the_reference_journey_takes_34_events_and_no_later_upsert(world, reference):
    async def story():
        async with running(world) as (env, temporal):
            world.publish(reference)
            wakeups = world.happens(world.contact(), "Signed Up")
            await temporal.wake(wakeups)
            return await finish(env, world.run(wakeups))

    reason, history = asyncio.run(story())
    kinds = [EventType.Name(event.event_type) for event in history.events]
    ours = [kind for kind in kinds if "TIME_SKIPPING" not in kind]
    assert reason == "completed"
    assert len(ours) == 34, ours
    assert len(world.performer.received) == 3
    text = history.to_json()
    assert "upsert" not in text.lower()
    assert "@example.org" not in text, "no personal data in a history"
