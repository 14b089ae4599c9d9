"""Runs of the reference journey, side by side with a workflow written by hand (`bench.baseline`), on one real Temporal server.

Prints one JSON object; docs/benchmarks.md says what each key means and how it is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import httpx
from sqlalchemy import select
from temporalio.client import Client

from bench import baseline, reference
from bench.measure import cpu_seconds, machine, memory_bytes, say, spread_ms
from bench.scene import Scene, Workspace, open_scene
from engine.enrolment.routing import route
from engine.temporal.client import Temporal
from engine.temporal.wakeups import Wakeups
from models import Event, Run, Trail, new_id
from storage.events import event_row, insert_events
from storage.sql import table

WAIT_SECONDS = 3
AT_ONCE = 50
"""Starts in flight, on both sides."""
WARM_UP = 30
"""Runs before the clock starts: statements are compiled, templates read, connections made."""
COLD = {"max_cached_workflows": 4}
"""So few that every wake-up replays."""
PROBE_SECONDS = 20
PARTS = ("throughput", "cold", "late", "first", "memory")

runs_table = table(Run)
trail = table(Trail)


QUICK: Mapping[str, Any] = {"runs": 60, "rounds": 1, "parts": ("throughput",)}
"""Arguments of `run` for a figure in under a minute: the same pairs, fewer rounds."""


def run(
    runs: int = 500, rounds: int = 5, cold_rounds: int = 3, seconds: int = 60, waiting: int = 1_000, parts: Sequence[str] = PARTS
) -> dict[str, Any]:
    """`runs` per round and side, `rounds` pairs; `seconds` of open loop; `waiting` runs whose memory is weighed."""
    found: dict[str, Any] = {"machine": machine(), "runs_per_round": runs}
    with open_scene() as scene:
        if "throughput" in parts:
            found |= asyncio.run(_throughput(scene, runs, rounds))
        if "cold" in parts:
            found |= asyncio.run(_cold(scene, runs, cold_rounds))
        if "late" in parts:
            found |= asyncio.run(_wake_ups(scene, seconds, found.get("runs_per_s", {}).get("pfadwerk", 15.0)))
        if "first" in parts:
            found |= asyncio.run(_first_sends(scene, seconds, found.get("capacity_runs_per_s", 15.0) / 4))
        if "memory" in parts:
            found |= asyncio.run(_memory(scene, waiting))
    return found


# --- side by side --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One of the two competitors: the name of its worker, and how runs are started (returns their workflow ids)."""

    name: str
    worker: str
    start: Callable[[Workspace, Client, Sequence[str]], Awaitable[list[str]]]


async def _start_ours(workspace: Workspace, client: Client, ids: Sequence[str]) -> list[str]:
    """An event arrives for each contact: stored, routed and enrolled, and the workflow is started."""
    temporal, started = Temporal(client), list[str]()
    for begin in range(0, len(ids), AT_ONCE):
        wakeups = await asyncio.to_thread(enter, workspace, ids[begin : begin + AT_ONCE])
        await temporal.wake(wakeups)
        started += wakeups.starts
    return started


def enter(workspace: Workspace, ids: Sequence[str]) -> Wakeups:
    """What ingestion does with one event each, in one transaction."""
    now = datetime.now(UTC)
    rows = [
        {**event_row("track", reference.EVENT, {}, received_at=now, source="bench", message_id=new_id()), "contact_id": id} for id in ids
    ]
    with workspace.db.write() as session:
        stored = zip(insert_events(session, rows), rows, strict=True)
        return route(workspace.engine, session, [Event(id=number, **row) for number, row in stored], now)


async def _start_by_hand(workspace: Workspace, client: Client, ids: Sequence[str]) -> list[str]:
    started = [new_id() for _ in ids]
    for begin in range(0, len(ids), AT_ONCE):
        pairs = list(zip(started, ids, strict=True))[begin : begin + AT_ONCE]
        await asyncio.gather(
            *(
                client.start_workflow(baseline.WORKFLOW, args=[run_id, contact_id, WAIT_SECONDS], id=run_id, task_queue=baseline.RUNS)
                for run_id, contact_id in pairs
            )
        )
    return started


OURS = Side("pfadwerk", "worker", _start_ours)
BY_HAND = Side("baseline", "baseline", _start_by_hand)


@dataclass(frozen=True)
class Trial:
    """One side of one round. CPU is in milliseconds per run; `client` is what starts the runs."""

    runs_per_s: float
    server_ms: float
    worker_ms: float
    client_ms: float
    events: int
    transitions: int


async def _throughput(scene: Scene, runs: int, rounds: int) -> dict[str, Any]:
    ours, by_hand, ratio = await _side_by_side(scene, runs, rounds)
    return {
        "throughput_ratio": ratio,
        "runs_per_s": {"pfadwerk": _median(ours, "runs_per_s"), "baseline": _median(by_hand, "runs_per_s")},
        "history_events": ours[0].events,
        "history_events_baseline": by_hand[0].events,
        "state_transitions": {"pfadwerk": ours[0].transitions, "baseline": by_hand[0].transitions},
        "cpu_ms_per_run": {"pfadwerk": _cpu(ours), "baseline": _cpu(by_hand)},
        "cpu_ratio": round(sum(_cpu(by_hand).values()) / sum(_cpu(ours).values()), 3),
        "rounds": [[trial.runs_per_s, other.runs_per_s] for trial, other in zip(ours, by_hand, strict=True)],
    }


async def _cold(scene: Scene, runs: int, rounds: int) -> dict[str, Any]:
    ours, by_hand, ratio = await _side_by_side(scene, max(runs // 2, 1), rounds, **COLD)
    return {
        "throughput_ratio_cold": ratio,
        "runs_per_s_cold": {"pfadwerk": _median(ours, "runs_per_s"), "baseline": _median(by_hand, "runs_per_s")},
        "cpu_ms_per_run_cold": {"pfadwerk": _cpu(ours), "baseline": _cpu(by_hand)},
    }


async def _side_by_side(scene: Scene, runs: int, rounds: int, **settings: Any) -> tuple[list[Trial], list[Trial], float]:
    """Pairs of trials, one after the other, and the median of the pairs' ratios."""
    pairs = [(await _trial(scene, OURS, runs, **settings), await _trial(scene, BY_HAND, runs, **settings)) for _ in range(rounds)]
    ratio = median(ours.runs_per_s / by_hand.runs_per_s for ours, by_hand in pairs)
    return [ours for ours, _ in pairs], [by_hand for _, by_hand in pairs], round(ratio, 3)


async def _trial(scene: Scene, side: Side, runs: int, **settings: Any) -> Trial:
    with scene.workspace(reference.document(f"PT{WAIT_SECONDS}S"), **settings) as workspace:
        baseline.metadata.create_all(workspace.db.engine)
        first, ids = workspace.ids(min(WARM_UP, runs)), workspace.ids(runs)
        client = await baseline.connected(workspace.settings)
        with scene.child(side.worker, workspace.settings) as worker:
            await _through(scene, side, workspace, client, first)
            before = _used(scene, worker.pid)
            begin = time.time()
            started = await _through(scene, side, workspace, client, ids)
            server, mine, driver = (after - then for after, then in zip(_used(scene, worker.pid), before, strict=True))
            arrived = scene.ask("/-/times")
            _check(arrived, started)
            about = (await client.get_workflow_handle(started[0]).describe()).raw_description.workflow_execution_info
    runs_per_s = round(runs / (max(at for at, _ in arrived.values()) - begin), 2)
    say(f"{side.name} {settings or ''} {runs_per_s} runs/s")
    server_ms, worker_ms, client_ms = (round(part / runs * 1_000, 1) for part in (server, mine, driver))
    return Trial(
        runs_per_s,
        server_ms,
        worker_ms,
        client_ms,
        events=about.history_length,
        transitions=about.state_transition_count,
    )


async def _through(scene: Scene, side: Side, workspace: Workspace, client: Client, ids: Sequence[str]) -> list[str]:
    """Starts a run for each contact and waits until all are over."""
    scene.ask("/-/clear")
    started = await side.start(workspace, client, ids)
    await _until(lambda: scene.ask("/-/count") >= reference.SENDS * len(ids))
    await asyncio.gather(*(client.get_workflow_handle(run_id).result() for run_id in (*started[:1], *started[-AT_ONCE:])))
    return started


def _check(arrived: dict[str, Any], started: Sequence[str]) -> None:
    """Every run got its mails, each once; else the numbers mean nothing."""
    assert len(arrived) == reference.SENDS * len(started), f"expected {reference.SENDS * len(started)} mails, got {len(arrived)}"
    assert all(times == 1 for _, times in arrived.values()), "a mail came twice"


def _used(scene: Scene, worker: int) -> tuple[float, float, float]:
    return cpu_seconds(scene.temporal.pid), cpu_seconds(worker), cpu_seconds(os.getpid())


async def _until(done: Callable[[], bool], patience_seconds: float = 600) -> None:
    deadline = time.monotonic() + patience_seconds
    while not await asyncio.to_thread(done):
        if time.monotonic() > deadline:
            raise TimeoutError("the runs of the benchmark do not end")
        await asyncio.sleep(0.2)


def _median(trials: Sequence[Trial], name: str) -> float:
    values: list[float] = [getattr(trial, name) for trial in trials]
    return round(median(values), 2)


def _cpu(trials: Sequence[Trial]) -> dict[str, float]:
    return {part: _median(trials, f"{part}_ms") for part in ("server", "worker", "client")}


# --- open loop: wake-ups and first sends -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Due:
    """A mail: when it was due and when it arrived (unix seconds); `wake` if a wait had to end for it."""

    at: float
    arrived: float
    wake: bool


async def _wake_ups(scene: Scene, seconds: int, guess: float) -> dict[str, Any]:
    with scene.workspace(reference.document(f"PT{WAIT_SECONDS}S")) as workspace:
        client = await baseline.connected(workspace.settings)
        with scene.child("worker", workspace.settings):
            await _through(scene, OURS, workspace, client, workspace.ids(WARM_UP))
            capacity, probes = await _capacity(scene, workspace, client, guess)
            mails = await _open_loop(scene, workspace, client, capacity * 0.8, seconds)
    return {
        "capacity_runs_per_s": capacity,
        "capacity_probes": probes,
        "wake_late_ms": spread_ms(mail.arrived - mail.at for mail in mails if mail.wake),
    }


async def _capacity(scene: Scene, workspace: Workspace, client: Client, guess: float) -> tuple[float, list[list[Any]]]:
    """The highest rate at which the backlog does not grow, to a tenth: up from a guess while it holds, else down."""
    rate, held, probes = guess, 0.0, list[list[Any]]()
    for _ in range(6):
        grew = _grew(await _open_loop(scene, workspace, client, rate, PROBE_SECONDS), rate)
        probes.append([round(rate, 1), grew])
        say(f"{rate:.1f} runs/s: the backlog {'grows' if grew else 'stands'}")
        if grew and held:
            break
        held = held if grew else rate
        rate = rate * (0.87 if grew else 1.12)
        if not grew and len(probes) > 1 and probes[-2][1]:
            break
    return round(held or rate, 1), probes


def _grew(mails: Sequence[Due], rate: float) -> bool:
    """Whether more mails are overdue in the last third of the time than in the middle one, by more than a quarter and 100 ms of mails."""
    begin, end = min(mail.at for mail in mails), min(mail.at for mail in mails) + PROBE_SECONDS
    third = (end - begin) / 3
    middle = _overdue(mails, begin + third, begin + 2 * third)
    last = _overdue(mails, begin + 2 * third, end)
    return last > 1.25 * middle + 0.1 * rate * reference.SENDS


def _overdue(mails: Sequence[Due], begin: float, end: float) -> float:
    """Mails that were due and had not arrived, on average over the time."""
    return sum(max(0.0, min(mail.arrived, end) - max(mail.at, begin)) for mail in mails) / (end - begin)


async def _open_loop(scene: Scene, workspace: Workspace, client: Client, rate: float, seconds: float) -> list[Due]:
    """Runs enter at a steady rate, whatever becomes of them; then all are waited for."""
    ids = workspace.ids(int(rate * seconds))
    temporal, waking = Temporal(client), list[asyncio.Task[int]]()
    scene.ask("/-/clear")
    begin, entered = time.time(), 0
    while entered < len(ids):
        await asyncio.sleep(0.05)
        due = min(len(ids), int((time.time() - begin) * rate))
        if due > entered:
            wakeups = await asyncio.to_thread(enter, workspace, ids[entered:due])
            waking.append(asyncio.create_task(temporal.wake(wakeups)))
            entered = due
    await asyncio.gather(*waking)
    await _until(lambda: scene.ask("/-/count") >= reference.SENDS * len(ids))
    return await asyncio.to_thread(_mails, workspace, scene.ask("/-/times"))


def _mails(workspace: Workspace, arrived: dict[str, tuple[float, int]]) -> list[Due]:
    """The mails of the runs that have arrived, with the instant each was due: the start of the run, or the end of the wait before it."""
    with workspace.db.read() as session:
        started = dict(session.execute(select(runs_table.c.id, runs_table.c.started_at)).all())
        waits = session.execute(select(trail.c.run_id, trail.c.node, trail.c.detail).where(trail.c.what == "waiting")).all()
    ends = {(row.run_id, row.node): datetime.fromisoformat(row.detail["until"]) for row in waits}
    mails = []
    for key, (at, _) in arrived.items():
        run_id, node, _ = key.split(":")
        wait = {"hello": "", "last": "two_days"}.get(node, "day")
        due = ends[run_id, wait] if wait else started[run_id]
        mails.append(Due(due.timestamp(), at, bool(wait)))
    return mails


async def _first_sends(scene: Scene, seconds: int, rate: float) -> dict[str, Any]:
    with scene.workspace(reference.document(f"PT{WAIT_SECONDS}S")) as workspace:
        with scene.child("worker", workspace.settings), scene.child("api", workspace.settings):
            await _post(scene, workspace, workspace.ids(WARM_UP if seconds > 5 else 1), 5.0)
            ids = workspace.ids(max(20, int(rate * seconds)))
            posted = await _post(scene, workspace, ids, rate)
        arrived = scene.ask("/-/times")
        with workspace.db.read() as session:
            contacts = dict(session.execute(select(runs_table.c.contact_id, runs_table.c.id)).all())
    return {
        "first_send_rate": round(rate, 1),
        "first_send_ms": spread_ms(arrived[f"{contacts[id]}:hello:1"][0] - posted[id] for id in ids),
    }


async def _post(scene: Scene, workspace: Workspace, ids: Sequence[str], rate: float) -> dict[str, float]:
    """Sends one tracking call per contact through the real door, at a steady rate; returns when each was sent."""
    scene.ask("/-/clear")
    posted: dict[str, float] = {}
    async with httpx.AsyncClient(
        base_url=workspace.settings.public_url, auth=(reference.WRITE_KEY, ""), timeout=30, trust_env=False
    ) as web:

        async def post(id: str) -> None:
            posted[id] = time.time()
            (await web.post("/v1/track", json={"userId": id, "event": reference.EVENT, "properties": {}})).raise_for_status()

        begin, calls = time.time(), list[asyncio.Task[None]]()
        for number, id in enumerate(ids):
            await asyncio.sleep(max(0.0, begin + number / rate - time.time()))
            calls.append(asyncio.create_task(post(id)))
        await asyncio.gather(*calls)
    await _until(lambda: scene.ask("/-/count") >= reference.SENDS * len(ids))
    return posted


# --- memory ------------------------------------------------------------------------------------------------------------


async def _memory(scene: Scene, waiting: int) -> dict[str, Any]:
    with scene.workspace(reference.document("P1D")) as workspace:
        client = await baseline.connected(workspace.settings)
        with scene.child("worker", workspace.settings) as worker:
            await _to_the_wait(scene, workspace, client, WARM_UP)
            before = memory_bytes(worker.pid), memory_bytes(scene.temporal.pid)
            await _to_the_wait(scene, workspace, client, waiting)
            after = memory_bytes(worker.pid), memory_bytes(scene.temporal.pid)
    worker_mb, server_mb = (round((later - then) / waiting * 1_000 / 1e6, 1) for later, then in zip(after, before, strict=True))
    return {"memory_per_1000_waiting_mb": {"worker": worker_mb, "server": server_mb}}


async def _to_the_wait(scene: Scene, workspace: Workspace, client: Client, count: int) -> None:
    scene.ask("/-/clear")
    await _start_ours(workspace, client, workspace.ids(count))
    await _until(lambda: scene.ask("/-/count") >= count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("runs", 500), ("rounds", 5), ("cold-rounds", 3), ("seconds", 60), ("waiting", 1_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    print(json.dumps(run(**{name.replace("-", "_"): value for name, value in vars(parser.parse_args()).items()})))


if __name__ == "__main__":
    main()
