"""`pfadwerk replay`: recorded histories of runs, replayed against the workflow of this version.

A history that does not replay would be stuck after an upgrade: try this before one. Files need no server; without a file the histories of
recent runs are fetched from it (and kept with `--save`, for a test suite).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from commands.progress import progress
from commands.setup import NoTemporal, connect
from commands.workspace import database
from engine.temporal.workflow import RunWorkflow
from engine.versions.publish import get_journey
from journeys.calls import JOURNEY_ATTRIBUTE, RUN_WORKFLOW
from journeys.errors import Invalid
from settings import Settings


@dataclass(frozen=True, slots=True)
class Replayed:
    """One history; `failure` is empty if it replays."""

    name: str
    events: int
    failure: str = ""


def replay(
    settings: Settings,
    files: Sequence[Path],
    *,
    out: TextIO,
    translate: Callable[[str], str],
    journey: str | None = None,
    last: int = 20,
    save: Path | None = None,
    as_json: bool = False,
) -> int:
    """Replays `files`, or the `last` runs (of one journey, if a key is given) of the server; 1 if one fails.

    Raises:
        Invalid: a file is no history.
        NotFound: there is no such journey; a check that passes because of a typing mistake would be worth nothing.
        NoTemporal: no server answers (without files).
    """
    if journey is not None:
        _must_exist(settings, journey)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
    replayed = asyncio.run(_files(files, translate) if files else _recent(settings, journey, last, save, translate))
    failed = [one for one in replayed if one.failure]
    if as_json:
        runs = [{"name": one.name, "events": one.events, "replays": not one.failure, "failure": one.failure or None} for one in replayed]
        out.write(json.dumps({"replayed": len(replayed), "failed": len(failed), "histories": runs}, indent=2) + "\n")
    else:
        out.writelines(f"✗ {one.name}: {one.failure}\n" for one in failed)
        text = translate("Histories: {count}; {failed} do not replay.")
        out.write(text.format(count=len(replayed), failed=len(failed)) + "\n")
    return 1 if failed else 0


def _must_exist(settings: Settings, journey: str) -> None:
    with database(settings) as db, db.read() as session:
        get_journey(session, journey)


async def _files(files: Sequence[Path], translate: Callable[[str], str]) -> list[Replayed]:
    histories = [_read(file) for file in files]
    with progress(translate("Replaying"), len(histories)) as show:
        replayed = []
        for number, (file, history) in enumerate(zip(files, histories, strict=True), start=1):
            replayed.append(await _replay(str(file), history))
            show(number)
    return replayed


def _read(file: Path) -> WorkflowHistory:
    try:
        return WorkflowHistory.from_json(file.stem, file.read_text("utf-8"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # whatever protobuf's reader makes of a foreign file
        problem = str(error).partition("\n")[0][:200]
        raise Invalid("{file} is not the history of a run ({problem}).", file=str(file), problem=problem) from None


async def _recent(settings: Settings, journey: str | None, last: int, save: Path | None, translate: Callable[[str], str]) -> list[Replayed]:
    client = await connect(settings)
    replayed: list[Replayed] = []
    try:
        with progress(translate("Replaying"), last) as show:
            async for history in _fetched(client, journey, last):
                _keep(history, save)
                replayed.append(await _replay(history.workflow_id, history))
                show(len(replayed))
    except RPCError as error:
        raise NoTemporal(
            "The Temporal server refuses ({error}). Check its log.", error=error.status.name.lower().replace("_", " ")
        ) from None
    return replayed


async def _fetched(client: Client, journey: str | None, last: int) -> AsyncIterator[WorkflowHistory]:
    query = f'WorkflowType = "{RUN_WORKFLOW}"'
    if journey is not None:
        query += f" AND {JOURNEY_ATTRIBUTE} = {json.dumps(journey)}"
    async for execution in client.list_workflows(query, limit=last):
        yield await client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()


def _keep(history: WorkflowHistory, folder: Path | None) -> None:
    if folder is not None:
        (folder / f"{history.workflow_id}.json").write_text(history.to_json() + "\n", "utf-8")


async def _replay(name: str, history: WorkflowHistory) -> Replayed:
    replayer = Replayer(workflows=[RunWorkflow], workflow_runner=UnsandboxedWorkflowRunner())
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = result.replay_failure
    return Replayed(name, len(history.events), "" if failure is None else f"{type(failure).__name__}: {str(failure)[:500]}")
