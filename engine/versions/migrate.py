"""Moving open runs to another version: preview, chunks under the lock, and back again for those that still stand where they were put.

A run's row is rewritten (version, node by the map, time served is kept); its workflow only gets a wake-up. Both ways go chunk by chunk, each
with its cursor in one transaction, so that the web server's jobs and the keeper may take turns and a crash costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.engine import Engine
from engine.interpreter.advance import Note, exit_topics, wait_topics
from engine.interpreter.state import Instruction, State
from engine.runs.operations import OPEN
from engine.runs.rows import lock_run, look_again, subscription, write_trail
from engine.temporal.wakeups import Wakeups
from engine.versions.publish import get_journey, get_version
from journeys.compile import Program
from journeys.errors import Conflict, Invalid, Issue, NotFound
from models import Inbox, MigratedRun, Migration, Run, Subscription, Trail
from storage import tally
from storage.sampling import drawn
from storage.sql import table
from workspace.audit import record

runs = table(Run)
trail = table(Trail)
inbox = table(Inbox)
migrated = table(MigratedRun)
subscriptions = table(Subscription)
CHUNK = 100
STAY = ""
"""The target of a node whose runs shall stay on the old version."""
AT_WORK = ("running", "rolling_back")
LOOKED_ABOUT = ("entered", "placed", "waiting", "held", "stuck", "resumed", "merged", "parted")
"""What the wake-up after a move, or a merge of the contact, leaves in a trail without the run having gone anywhere."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a migration would do: `moves` (from node, to node, open runs), and the runs that have no target."""

    moves: list[dict[str, Any]]
    without_target: list[dict[str, Any]]
    open_runs: int


def preview(engine: Engine, session: Session, journey_id: str, from_version: int, to_version: int, node_map: Mapping[str, str]) -> Preview:
    """Counts per node; writes nothing. A node that is not in the map goes to the node of the same id and kind, one mapped to `STAY` nowhere.

    Raises: NotFound; Invalid if the map names nodes that do not exist, or both versions are the same.
    """
    targets = targets_of(engine, session, journey_id, from_version, to_version, node_map)
    rows = session.execute(
        select(runs.c.node, func.count())
        .where(runs.c.journey_id == get_journey(session, journey_id).id, runs.c.status.in_(OPEN), runs.c.version_number == from_version)
        .group_by(runs.c.node)
        .order_by(runs.c.node)
    ).all()
    moves = [{"from": node, "to": targets[node], "runs": number} for node, number in rows if node in targets]
    without = [{"from": node, "runs": number} for node, number in rows if node not in targets]
    return Preview(moves, without, sum(number for _, number in rows))


def targets_of(
    engine: Engine, session: Session, journey_id: str, from_version: int, to_version: int, node_map: Mapping[str, str]
) -> dict[str, str]:
    """Old node -> new node, as `preview` and `start` understand the map.

    Raises: as `preview`.
    """
    if from_version == to_version:
        same = Issue(code="same_version", text="Choose two different versions.", field="to_version")
        raise Invalid("{problem}", [same], problem=same)
    return _targets(*_programs(engine, session, journey_id, from_version, to_version), node_map)


def start(
    engine: Engine,
    session: Session,
    journey_id: str,
    from_version: int,
    to_version: int,
    node_map: Mapping[str, str],
    by: str,
    now: datetime,
) -> Migration:
    """Begins a migration; `move_chunk` carries it out.

    Raises: NotFound; Invalid as in `preview`; Conflict while another one of this journey is running.
    """
    journey = get_journey(session, journey_id, locked=True)
    _only_one(session, journey.id)
    targets_of(engine, session, journey.id, from_version, to_version, node_map)
    migration = Migration(
        journey_id=journey.id, from_version=from_version, to_version=to_version, node_map=dict(node_map), created_at=now, created_by=by
    )
    session.add(migration)
    session.flush()
    record(session, by, "journey.migrate", f"journey:{journey.id}", {"from": from_version, "to": to_version, "map": dict(node_map)})
    return migration


def move_chunk(engine: Engine, session: Session, migration_id: str, now: datetime, chunk: int = CHUNK) -> tuple[Wakeups, bool]:
    """Moves the next runs; True when all are done. Safe to repeat after a crash: the cursor is in the row.

    Raises: NotFound.
    """
    migration = _migration(session, migration_id)
    wakeups = Wakeups()
    if migration.state != "running":
        return wakeups, True
    old, new = _programs(engine, session, migration.journey_id, migration.from_version, migration.to_version)
    targets = _targets(old, new, migration.node_map)
    version_id = get_version(session, migration.journey_id, migration.to_version).id
    page = _page(session, migration, chunk)
    counted = Counter({"moved": 0, "skipped": 0})
    for run_id in page:
        moved = _move(engine, session, migration, lock_run(session, run_id), targets, new, version_id, now)
        counted["moved" if moved else "skipped"] += 1
        if moved:
            wakeups.wake(run_id)
    migration.moved += counted["moved"]
    migration.skipped += counted["skipped"]
    migration.after_run = page[-1] if page else migration.after_run
    migration.state = "running" if len(page) == chunk else "done"
    session.add(migration)
    session.flush()
    return wakeups, migration.state == "done"


def begin_rollback(session: Session, migration_id: str, by: str) -> Migration:
    """Begins to put back whoever still stands where the migration put them; `back_chunk` carries it out.

    Raises: NotFound; Conflict while a migration of the journey is at work, or if this one was rolled back already.
    """
    migration = _migration(session, migration_id)
    get_journey(session, migration.journey_id, locked=True)
    _only_one(session, migration.journey_id)
    if migration.state != "done":
        raise Conflict("The migration has already been rolled back.", migration=migration_id)
    migration.state, migration.after_run = "rolling_back", ""
    session.add(migration)
    session.flush()
    record(session, by, "journey.migrate_back", f"journey:{migration.journey_id}", {"migration": migration_id})
    return migration


def back_chunk(engine: Engine, session: Session, migration_id: str, now: datetime, chunk: int = CHUNK) -> tuple[Wakeups, bool]:
    """Puts the next runs back; True when all were looked at. Safe to repeat after a crash: the cursor is in the row.

    What a run was before is forgotten once it is back, so that in the end only those that have moved on since are left (`stayed`).

    Raises: NotFound.
    """
    migration = _migration(session, migration_id)
    wakeups = Wakeups()
    if migration.state != "rolling_back":
        return wakeups, True
    page = session.scalars(
        select(MigratedRun)
        .where(col(MigratedRun.migration_id) == migration_id, col(MigratedRun.run_id) > migration.after_run)
        .order_by(col(MigratedRun.run_id))
        .limit(chunk)
    ).all()
    for kept in page:
        row = lock_run(session, kept.run_id)
        if _still_there(session, migration, row, kept.step_after):
            _put_back(engine, session, row, kept.before, migration.created_at, now)
            session.execute(delete(migrated).where(migrated.c.migration_id == migration_id, migrated.c.run_id == row.id))
            wakeups.wake(row.id)
    migration.after_run = page[-1].run_id if page else migration.after_run
    migration.state = "rolling_back" if len(page) == chunk else "rolled_back"
    session.add(migration)
    session.flush()
    return wakeups, migration.state == "rolled_back"


def carry_on(engine: Engine, session: Session, migration_id: str, now: datetime) -> tuple[Wakeups, bool]:
    """The next chunk of a migration, in whichever direction it goes.

    Raises: NotFound.
    """
    turn = back_chunk if _migration(session, migration_id).state == "rolling_back" else move_chunk
    return turn(engine, session, migration_id, now)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a migration got: runs looked at, of all it has to look at; in a rollback those `put_back`, and those that `stayed`."""

    done: int
    total: int
    put_back: int = 0
    stayed: int = 0


def progress(session: Session, migration: Migration) -> Progress:
    """Counted from the rows, whoever did the work."""
    if migration.state in ("running", "done"):
        looked_at = migration.moved + migration.skipped
        return Progress(looked_at, looked_at + (_waiting(session, migration) if migration.state == "running" else 0))
    kept = func.count().filter(migrated.c.run_id <= migration.after_run)
    statement = select(kept, func.count()).where(migrated.c.migration_id == migration.id)
    stayed_, left = session.execute(statement).one()
    put_back = migration.moved - left
    return Progress(put_back + stayed_, migration.moved, put_back, stayed_)


def stayed(session: Session, migration_id: str, limit: int = 200) -> list[str]:
    """Runs that a rollback left on the new version, because they had moved on since."""
    return list(
        session.scalars(select(migrated.c.run_id).where(migrated.c.migration_id == migration_id).order_by(migrated.c.run_id).limit(limit))
    )


def _waiting(session: Session, migration: Migration) -> int:
    """Runs that the migration has not come to yet."""
    return session.execute(
        select(func.count()).select_from(runs).where(*_of_version(migration.journey_id, migration.from_version, migration.after_run))
    ).scalar_one()


def _only_one(session: Session, journey_id: str) -> None:
    """Raises: Conflict while a migration of the journey is at work."""
    busy = session.scalars(select(Migration).where(col(Migration.journey_id) == journey_id, col(Migration.state).in_(AT_WORK))).first()
    if busy is not None:
        raise Conflict("A migration of this journey is already running. Wait until it has finished.", migration=busy.id)


def _programs(engine: Engine, session: Session, journey_id: str, old: int, new: int) -> tuple[Program, Program]:
    journey = get_journey(session, journey_id)
    return (
        engine.program(session, get_version(session, journey.id, old).id),
        engine.program(session, get_version(session, journey.id, new).id),
    )


def _targets(old: Program, new: Program, node_map: Mapping[str, str]) -> dict[str, str]:
    """Old node -> new node. Waiting means something only between nodes of the same kind; others are entered afresh."""
    wrong = [*(key for key in node_map if key not in old.nodes), *(to for to in node_map.values() if to != STAY and to not in new.nodes)]
    if wrong:
        text = "There is no step “{node}” in that version."
        raise Invalid(
            "The map names steps that do not exist: {nodes}",
            [Issue(code="unknown_node", text=text, values={"node": node}, field="node_map") for node in wrong],
            nodes=wrong[:5],
        )
    same = {id: id for id, node in old.nodes.items() if id in new.nodes and new.nodes[id].kind == node.kind}
    return {node: to for node, to in {**same, **node_map}.items() if to != STAY}


def _migration(session: Session, migration_id: str) -> Migration:
    migration = session.get(Migration, migration_id, with_for_update=True)
    if migration is None:
        raise NotFound("There is no such migration.")
    return migration


def _page(session: Session, migration: Migration, chunk: int) -> list[str]:
    return open_page(session, migration.journey_id, migration.from_version, migration.after_run, chunk)


def _of_version(journey_id: str, version: int, after_run: str) -> tuple[Any, ...]:
    return (
        runs.c.journey_id == journey_id,
        runs.c.ended_at.is_(None),  # word for word, for the index
        runs.c.status.in_(OPEN),
        runs.c.version_number == version,
        runs.c.id > after_run,
    )


def _move(
    engine: Engine,
    session: Session,
    migration: Migration,
    row: Row[Any],
    targets: Mapping[str, str],
    new: Program,
    version_id: str,
    now: datetime,
) -> bool:
    """Rewrites one run. A call in flight belongs to the old version: such runs follow when their step is done, so they are skipped here."""
    target = targets.get(row.node)
    if target is None or why_it_stays(row, targets) is not None:
        return False
    instruction = look_again(row.step + 1, now)
    state = moved_state(row.state, target)
    before = {name: getattr(row, name) for name in ("version_id", "version_number", "node", "state", "status")}
    before["due_at"] = row.due_at.isoformat() if row.due_at else None
    session.execute(insert(migrated).values(migration_id=migration.id, run_id=row.id, before=before, step_after=row.step + 1))
    _rewrite(session, row, version_id, migration.to_version, target, state, instruction, now)
    _listen_for_exits(session, row, new)
    note = Note(row.node, "migrated", detail={"from": migration.from_version, "to": migration.to_version, "node": target})
    write_trail(session, row.id, version_id, row.step + 1, now, [note])
    return True


def why_it_stays(row: Row[Any], targets: Mapping[str, str]) -> str | None:
    """Why a run is not moved: it has `ended`, its step has `no_target`, or a call is `in_flight` for it; None: it is."""
    if row.ended_at is not None:
        return "ended"
    if row.node not in targets:
        return "no_target"
    return "in_flight" if (row.state.get("blocked") or {}).get("answer") == "do" else None


def moved_state(state: Mapping[str, Any], target: str) -> dict[str, Any]:
    """The state of a run that was put to another node, with `entered_at` as it was: time served is kept."""
    return {**state, "node": target, "blocked": None, "go_to": target}


def open_page(session: Session, journey_id: str, version: int, after_run: str, limit: int) -> list[str]:
    """The next open runs of a version after `after_run`, in the order of ids: as a migration comes to them."""
    return list(session.scalars(select(runs.c.id).where(*_of_version(journey_id, version, after_run)).order_by(runs.c.id).limit(limit)))


def some_open(session: Session, journey_id: str, version: int, size: int, of: int) -> list[str]:
    """`size` of the open runs of a version, drawn by lot; `of` or more are known to be there."""
    return list(session.scalars(drawn(select(runs.c.id).where(*_of_version(journey_id, version, "")), runs.c.id, size, of)))


@dataclass(frozen=True, slots=True)
class Before:
    """What a run was before a migration moved it, and whether it still stands where that put it."""

    run: Row[Any]
    state: State
    still_there: bool


def moved_page(session: Session, migration_id: str, after_run: str, limit: int) -> list[str]:
    """The next runs after `after_run` that a migration moved and nobody put back, in the order of ids: as a rollback comes to them."""
    wanted = select(migrated.c.run_id).where(migrated.c.migration_id == migration_id, migrated.c.run_id > after_run)
    return list(session.scalars(wanted.order_by(migrated.c.run_id).limit(limit)))


def some_moved(session: Session, migration_id: str, size: int, of: int) -> list[str]:
    """`size` of them, drawn by lot; `of` or more are known to be there."""
    moved = select(migrated.c.run_id).where(migrated.c.migration_id == migration_id)
    return list(session.scalars(drawn(moved, migrated.c.run_id, size, of)))


def as_before(session: Session, migration: Migration, run_ids: Sequence[str]) -> Iterator[Before]:
    """In the order of ids."""
    kept = select(migrated.c.run_id, migrated.c.before, migrated.c.step_after).where(migrated.c.migration_id == migration.id)
    rows = {row.id: row for row in session.execute(select(runs).where(runs.c.id.in_(run_ids)))}
    for one in session.execute(kept.where(migrated.c.run_id.in_(run_ids)).order_by(migrated.c.run_id)):
        row = rows[one.run_id]
        yield Before(row, State.from_json(one.before["state"]), _still_there(session, migration, row, one.step_after))


def _still_there(session: Session, migration: Migration, row: Row[Any], step_after: int) -> bool:
    """Whether a run stands where the migration put it. The wake-up made it look about there; that alone is no move."""
    blocked = (row.state.get("blocked") or {}).get("answer")
    if row.ended_at is not None or row.version_number != migration.to_version or blocked == "do" or row.state.get("performed"):
        return False
    more = select(trail.c.step).where(trail.c.run_id == row.id, trail.c.step > step_after, trail.c.what.not_in(LOOKED_ABOUT)).limit(1)
    return session.execute(more).first() is None


def _put_back(engine: Engine, session: Session, row: Row[Any], before: Mapping[str, Any], moved_at: datetime, now: datetime) -> None:
    """As it was before; what it heard meanwhile is read once more, because it was heard in another place."""
    instruction = look_again(row.step + 1, now)
    _rewrite(session, row, before["version_id"], before["version_number"], before["node"], before["state"], instruction, now)
    _listen_for_exits(session, row, engine.program(session, before["version_id"]))
    awaited = wait_topics(State.from_json(before["state"]).blocked)
    if awaited:
        session.execute(insert(subscriptions), [subscription(row.id, row.contact_id, topic, "wait") for topic in sorted(awaited)])
    session.execute(update(inbox).where(inbox.c.run_id == row.id, inbox.c.arrived_at >= moved_at).values(consumed=False))
    write_trail(
        session, row.id, before["version_id"], row.step + 1, now, [Note(row.node, "migrated_back", detail={"node": before["node"]})]
    )


def _rewrite(
    session: Session,
    row: Row[Any],
    version_id: str,
    number: int,
    node: str,
    state: Mapping[str, Any],
    instruction: Instruction,
    now: datetime,
) -> None:
    values = {
        "version_id": version_id,
        "version_number": number,
        "node": node,
        "state": dict(state),
        "instruction": instruction,
        "step": row.step + 1,
        "due_at": now,
        "updated_at": now,
    }
    session.execute(update(runs).where(runs.c.id == row.id).values(values))
    for version, place, change in ((row.version_number, row.node, -1), (number, node, 1)):
        tally.append(session, row.journey_id, version, {("", "runs", ""): change, (place, tally.WAITING, ""): change}, row.started_at)


def _listen_for_exits(session: Session, row: Row[Any], program: Program) -> None:
    session.execute(subscriptions.delete().where(subscriptions.c.run_id == row.id, subscriptions.c.why != "goal"))
    rows = [subscription(row.id, row.contact_id, topic, "exit") for topic in sorted(exit_topics(program))]
    if rows:
        session.execute(insert(subscriptions), rows)
