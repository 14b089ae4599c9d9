"""The run workflow on a real Temporal server, with time skipping: what it costs, and that histories replay without a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

import engine.temporal.workflow
from activities.sending.gate import Hold
from activities.sending.temporal_activities import effect_activity, step_activity
from commands.servers import temporal_binary
from engine.interpreter.state import Instruction
from engine.temporal.client import Temporal
from engine.temporal.failures import BARE
from engine.temporal.workflow import RunWorkflow
from journeys.calls import RUN_QUEUE, activity_of, queue_of

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
async def running(world) -> AsyncIterator[tuple[WorkflowEnvironment, Temporal]]:
    """A server, and a worker that serves the world's runs and e-mails."""
    start = WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(temporal_binary()), dev_server_extra_args=SKIPPING, dev_server_log_level="error", data_converter=BARE
    )
    async with await start as env:
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
                activities=[on_its_way(world, effect_activity(world.effects, temporal, "email"))],
                activity_executor=threads,
            )
            async with runs, mails:
                yield env, temporal


async def finish(env: WorkflowEnvironment, run: str) -> tuple[str, WorkflowHistory]:
    handle = env.client.get_workflow_handle(run)
    reason = await asyncio.wait_for(handle.result(), 30)
    return reason, await handle.fetch_history()


def kinds(history: WorkflowHistory) -> list[str]:
    """What stands in the history, without the marks of time skipping, which a production server does not write."""
    names = [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events]
    return [name for name in names if "TIME_SKIPPING" not in name]


async def goes_through(world, reference, env, temporal) -> tuple[str, WorkflowHistory]:
    """The reference journey, undisturbed."""
    world.publish(reference)
    wakeups = world.happens(world.contact(), "Signed Up")
    await temporal.wake(wakeups)
    return await finish(env, world.run(wakeups))


async def exits_in_a_wait(world, reference, env, temporal) -> tuple[str, WorkflowHistory]:
    """An exit event in the middle of a wait, and wake-ups that come early and twice."""
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    with env.with_time_skipping_disabled():
        wakeups = world.happens(contact, "Signed Up")
        await temporal.wake(wakeups)
        run = world.run(wakeups)
        await waits(world, run, "day")
        await temporal.signal(run)
        found = world.happens(contact, "Order Completed")
        await temporal.wake(found)
        await temporal.signal(run)
        return await finish(env, run)


async def is_answered_late(world, reference, env, temporal) -> tuple[str, WorkflowHistory]:
    """The effect's answer is stored and on its way to the workflow when the exit's wake-up comes."""
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact, world.answers_late = world.contact(), threading.Event()
    with env.with_time_skipping_disabled():
        wakeups = world.happens(contact, "Signed Up")
        run = world.run(wakeups)
        await temporal.wake(wakeups)
        await waits(world, run, "day")
        await temporal.wake(world.happens(contact, "Order Completed"))
        await until(lambda: world.row(run).status == "ended")
        world.answers_late.set()
        return await finish(env, run)


def on_its_way(world, effect: Callable[..., Instruction]) -> Callable[..., Instruction]:
    """The effect's activity, whose answer takes its time where a story says so."""

    @activity.defn(name=activity_of("email"), no_thread_cancel_exception=True)
    def answered(run_id: str, number: int) -> Instruction:
        instruction = effect(run_id, number)
        if late := getattr(world, "answers_late", None):
            late.wait(20)
        return instruction

    return answered


async def is_held(world, reference, env, temporal) -> tuple[str, WorkflowHistory]:
    """The first message is held for nine hours; the retry costs no event."""
    world.publish(reference)
    wakeups = world.happens(world.contact(), "Signed Up")
    world.performer.verdicts = [Hold(world.engine.clock.now() + timedelta(seconds=1), "quiet_hours")]
    await temporal.wake(wakeups)
    return await finish(env, world.run(wakeups))


async def exits_while_held(world, reference, env, temporal) -> tuple[str, WorkflowHistory]:
    """A wake-up beside a pending activity: the run ends at once, the activity finds it ended."""
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    with env.with_time_skipping_disabled():
        wakeups = world.happens(contact, "Signed Up")
        run = world.run(wakeups)
        # Held anew at every attempt, so that the wake-up comes first on the slowest machine.
        world.performer.ask = lambda *_: Hold(world.engine.clock.now() + timedelta(seconds=1), "quiet_hours")
        await temporal.wake(wakeups)
        await until(lambda: [m.status for m in world.messages(run)] == ["held"])
        await temporal.wake(world.happens(contact, "Order Completed"))
        await until(lambda: world.row(run).status == "ended")
        assert world.performer.received == []
        return await finish(env, run)


async def stands_in_line(world, reference, env, temporal) -> tuple[str, WorkflowHistory]:
    """A message that lets another go first for hours: a wake-up has it asked for again at once, however early it comes."""
    world.publish(reference, exit_when=[{"event": "Order Completed"}])
    contact = world.contact()
    with env.with_time_skipping_disabled():
        wakeups = world.happens(contact, "Signed Up")
        run = world.run(wakeups)
        world.performer.verdicts = [Hold(world.engine.clock.now() + timedelta(hours=20), "frequency_cap", ("another",))]
        await temporal.wake(wakeups)
        await until(lambda: [m.status for m in world.messages(run)] == ["held"])
        await temporal.signal(run)
        await waits(world, run, "day")
        await temporal.wake(world.happens(contact, "Order Completed"))
        return await finish(env, run)


async def goes_last(world, reference, env, temporal) -> tuple[str, WorkflowHistory]:
    """No wake-up comes: the call is made at its instant."""
    world.publish(reference)
    wakeups = world.happens(world.contact(), "Signed Up")
    world.performer.verdicts = [Hold(world.engine.clock.now() + timedelta(seconds=1), "frequency_cap", ("another",))]
    await temporal.wake(wakeups)
    return await finish(env, world.run(wakeups))


async def waits(world, run: str, node: str) -> None:
    await until(lambda: world.row(run).node == node)


async def until(holds: Callable[[], bool]) -> None:
    """Looks every 20 ms, for ten seconds at most."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about in time")


Story = Callable[..., Awaitable[tuple[str, WorkflowHistory]]]
STORIES: dict[str, tuple[Story, str]] = {
    "goes_through": (goes_through, "completed"),
    "exits_in_a_wait": (exits_in_a_wait, "exit"),
    "is_answered_late": (is_answered_late, "exit"),
    "is_held": (is_held, "completed"),
    "exits_while_held": (exits_while_held, "exit"),
    "stands_in_line": (stands_in_line, "exit"),
    "goes_last": (goes_last, "completed"),
}


def tell(world, reference, story: Story) -> tuple[str, WorkflowHistory]:
    async def told() -> tuple[str, WorkflowHistory]:
        async with running(world) as (env, temporal):
            return await story(world, reference, env, temporal)

    return asyncio.run(told())


@pytest.mark.parametrize("name", STORIES)
def test_a_story_on_a_real_server_ends_as_it_should(world, reference, name, request):
    story, reason = STORIES[name]
    ended, history = tell(world, reference, story)
    assert ended == reason
    assert "@example.org" not in history.to_json(), "no personal data in a history"
    if request.config.getoption("--update"):
        (RECORDED / f"{name}.json").write_text(history.to_json())


def test_the_reference_journey_takes_34_events_and_no_upsert(sqlite_world, reference):
    _, history = tell(sqlite_world, reference, goes_through)
    names = kinds(history)
    assert len(names) == 34, names
    assert not [name for name in names if "UPSERT" in name]
    assert len(sqlite_world.performer.received) == 3


def test_an_error_leaves_neither_text_nor_traceback_in_the_history(sqlite_world, reference):
    async def breaks(world, reference, env, temporal):
        world.performer.failures = [RuntimeError("the address ada@example.org is wrong")]
        return await goes_through(world, reference, env, temporal)

    _, history = tell(sqlite_world, reference, breaks)
    text = history.to_json()
    assert "lastFailure" in text
    assert "ada@example.org" not in text
    assert "stackTrace" not in text


def test_holding_a_message_costs_no_event(sqlite_world, reference):
    _, history = tell(sqlite_world, reference, is_held)
    assert len(kinds(history)) == 34


def test_standing_in_line_costs_a_timer_and_another_attempt(sqlite_world, reference):
    _, history = tell(sqlite_world, reference, goes_last)
    assert len(kinds(history)) == 34 + 11, "a timer, a second attempt, and the workflow tasks between"


def test_a_long_history_goes_on_in_a_fresh_one(sqlite_world, reference, monkeypatch):
    monkeypatch.setattr(engine.temporal.workflow, "LONG_HISTORY", 15)
    reason, history = tell(sqlite_world, reference, goes_through)
    assert reason == "completed"
    assert len(kinds(history)) < 34
    assert len(sqlite_world.performer.received) == 3


@pytest.mark.parametrize("file", sorted(RECORDED.glob("*.json")), ids=lambda file: file.stem)
def test_recorded_histories_replay_without_a_server(file):
    history = WorkflowHistory.from_json(file.stem, file.read_text())
    replayer = Replayer(workflows=[RunWorkflow], workflow_runner=UnsandboxedWorkflowRunner())
    asyncio.run(replayer.replay_workflow(history))


def test_a_changed_workflow_would_not_replay():
    """The net has no hole: leaving out one command is noticed."""
    text = (RECORDED / "goes_through.json").read_text().replace('"effect:email"', '"effect:sms"', 1)
    replayer = Replayer(workflows=[RunWorkflow], workflow_runner=UnsandboxedWorkflowRunner())
    with pytest.raises(Exception, match=r"TMPRL1100|[Nn]ondeterminism"):
        asyncio.run(replayer.replay_workflow(WorkflowHistory.from_json("changed", text)))
