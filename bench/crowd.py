"""Many runs with their trails and their tally, as if each had walked through a live journey: what the numbers on the canvas count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import func, insert, select

from bench.scene import Workspace
from bench.simulate import somebody
from engine.interpreter.advance import Note
from engine.interpreter.simulate import Path, simulate
from engine.runs.rows import tallied
from engine.versions import publish
from journeys.compile import compile_journey
from journeys.reading import read
from models import Run, Trail, Version, new_id
from storage import tally
from storage.sql import table

SORTS = 300
"""Different contacts; every second is still on the way."""
RUNS_AT_ONCE = 2_000
CONTACTS = 1_000

runs_table = table(Run)
trail_table = table(Trail)


def seed(workspace: Workspace, key: str, runs: int, lines: int) -> dict[str, Any]:
    """So many runs of a journey's live version with about so many lines of trail; says what is there then.

    The walks are simulated, that is made by the interpreter of real runs; they are counted by the function that counts real steps, and that
    the sums are what the trail says is checked at the end.
    """
    begin = time.perf_counter()
    contacts = workspace.ids(min(CONTACTS, runs))
    with workspace.db.read() as session:
        journey = publish.get_journey(session, key)
        version = publish.get_version(session, journey.id, journey.live_version or 0)
    walks = _walks(workspace, version)
    plan = _plan(walks, runs, lines)
    taken: Counter[int] = Counter()
    while some := list(islice(plan, RUNS_AT_ONCE)):
        _store(workspace, version, contacts, [walks[place] for place in some])
        taken.update(some)
    _count(workspace, version, walks, taken)
    return _facts(workspace, version) | {"seconds": round(time.perf_counter() - begin, 1)}


def _walks(workspace: Workspace, version: Version) -> list[Path]:
    """Ways through the journey, the short ones first."""
    program = compile_journey(read(version.document), workspace.engine.palette)
    people = (somebody(number) for number in range(SORTS))
    some = (one.model_copy(update={"until": timedelta(minutes=20 * number)}) if number % 2 else one for number, one in enumerate(people))
    return sorted((simulate(program, one) for one in some), key=lambda walk: len(walk.lines))


def _plan(walks: Sequence[Path], runs: int, lines: int) -> Iterator[int]:
    """Which walk each run takes, in turn: a long one whenever there are too few lines so far."""
    first_long = max(1, sum(len(walk.lines) * runs <= lines for walk in walks))
    written, turns = 0, [0, 0]
    for number in range(runs):
        long = written * runs <= lines * number and first_long < len(walks)
        place = first_long + turns[1] % (len(walks) - first_long) if long else turns[0] % first_long
        turns[long] += 1
        written += len(walks[place].lines)
        yield place


def _store(workspace: Workspace, version: Version, contacts: Sequence[str], walks: Sequence[Path]) -> None:
    """Larger transactions than the product's own: nobody else is there."""
    now = datetime.now(UTC)
    runs = [_run(version, contacts[number % len(contacts)], walk, now) for number, walk in enumerate(walks)]
    trail = [line for run, walk in zip(runs, walks, strict=True) for line in _trail(run["id"], version.id, walk, now)]
    with workspace.db.write() as session:
        connection = session.connection()
        connection.execute(insert(runs_table), runs)
        connection.execute(insert(trail_table), trail)


def _run(version: Version, contact_id: str, walk: Path, now: datetime) -> dict[str, Any]:
    ended = walk.ended is not None
    return {
        "id": new_id(),
        "journey_id": version.journey_id,
        "version_id": version.id,
        "version_number": version.number,
        "contact_id": contact_id,
        "run_key": "",
        "trigger": {},
        "hops": 0,
        "status": "ended" if ended else "active",
        "step": walk.steps,
        "node": _place(walk),
        "node_entered_at": now,
        "state": {},
        "instruction": {"op": "end" if ended else "wait", "step": walk.steps},
        "due_at": None if ended else now + timedelta(days=1),
        "reason": walk.ended or "",
        "error": "",
        "started_at": now - timedelta(days=30),
        "ended_at": now if ended else None,
        "updated_at": now,
    }


def _trail(run_id: str, version_id: str, walk: Path, now: datetime) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(walk.lines):
        yield {
            "run_id": run_id,
            "step": number,
            "seq": 0,
            "version_id": version_id,
            "at": now,
            "node": line.node,
            "what": line.what,
            "outlet": line.outlet,
            "detail": {},
        }


def _place(walk: Path) -> str:
    """The step at which a run stands at last; an ended one keeps its last."""
    return walk.nodes()[-1] if walk.nodes() else ""


def _count(workspace: Workspace, version: Version, walks: Sequence[Path], taken: Mapping[int, int]) -> None:
    now = datetime.now(UTC)
    with workspace.db.write() as session:
        for place, count in taken.items():
            walk, ended = walks[place], walks[place].ended is not None
            notes = [Note(line.node, line.what, line.outlet) for line in walk.lines]
            changes = tallied(notes, "", "" if ended else _place(walk), ended) + Counter({("", "runs", ""): 1})
            counts = {what: times * count for what, times in changes.items()}
            tally.append(session, version.journey_id, version.number, counts, now)
        while tally.fold(session):
            pass
    with workspace.db.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _facts(workspace: Workspace, version: Version) -> dict[str, Any]:
    """How much there is. `exact`: the tally is what runs and trail say."""
    entered = select(trail_table.c.node, func.count()).where(trail_table.c.what == "entered").group_by(trail_table.c.node)
    is_open = runs_table.c.ended_at.is_(None)
    with workspace.db.read() as session:
        found = tally.read(session, version.journey_id)
        runs, ended = session.execute(select(func.count(), func.count(runs_table.c.ended_at))).one()
        waiting: dict[str, int] = dict(
            session.execute(select(runs_table.c.node, func.count()).where(is_open).group_by(runs_table.c.node)).all()
        )
        facts = {
            "runs": runs,
            "open_runs": runs - ended,
            "trail_rows": session.scalar(select(func.count()).select_from(trail_table)),
            "steps_entered": len(found.nodes),
            "exact": (found.runs, found.ended) == (runs, ended)
            and {node: at.entered for node, at in found.nodes.items()} == dict(session.execute(entered).all())
            and {node: at.waiting for node, at in found.nodes.items() if at.waiting} == waiting,
        }
    return facts | {"database_mb": round((workspace.settings.home / "pfadwerk.db").stat().st_size / 1e6)}
