"""What happens to a run between two of its steps: it is held or stuck, a person lets it go on or skips the step, a call does not get through.

Lines of the trail beside those that steps write, under the number the run stands at. They are few whatever happens: what repeats counts up,
and a run has room for `MOST` of them at one number. Kinds and codes only, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.orm import Session

from models import Trail
from storage.sql import on, table

trail = table(Trail)

FIRST = 1_000
"""The lowest `seq` of these lines; a step writes far fewer."""
MOST = 50

_lines = (
    select(trail.c.seq, trail.c.what, trail.c.outlet, trail.c.detail)
    .where(trail.c.run_id == bindparam("of_run"), trail.c.step == bindparam("of_step"), trail.c.seq >= FIRST)
    .order_by(trail.c.seq)
)
_of_line = update(trail).where(
    trail.c.run_id == bindparam("of_run"), trail.c.step == bindparam("of_step"), trail.c.seq == bindparam("of_seq")
)


class RunRow(Protocol):
    """A run's row, read by whatever means."""

    @property
    def id(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def version_id(self) -> str: ...
    @property
    def node(self) -> str: ...


def note_beside(session: Session, row: RunRow | Row[Any], what: str, at: datetime, detail: Mapping[str, Any], outlet: str = "") -> None:
    """Writes that `what` happened, under the run's lock. The same as the line before, or for `attempt` as any since the last other one,
    counts that up: `count`, and `last` beside the line's own time."""
    lines = on(session).execute(_lines, {"of_run": row.id, "of_step": row.step}).all()
    same = next((line for line in _recent(lines, what) if line.outlet == outlet and _plain(line.detail) == dict(detail)), None)
    if same is not None:
        again = {**detail, "count": same.detail.get("count", 1) + 1, "last": at.isoformat()}
        _rewrite(session, row, same.seq, {"detail": again})
    elif len(lines) < MOST:
        line = {"run_id": row.id, "step": row.step, "seq": FIRST + len(lines), "version_id": row.version_id, "node": row.node}
        on(session).execute(insert(trail), {**line, "at": at, "what": what, "outlet": outlet, "detail": dict(detail)})
    else:
        _rewrite(session, row, lines[-1].seq, {"at": at, "what": what, "outlet": outlet, "detail": dict(detail)})


def _recent(lines: Any, what: str) -> Any:
    """The lines that may be counted up, newest first."""
    for line in reversed(lines):
        if line.what != what:
            return
        yield line
        if what != "attempt":
            return


def _plain(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name not in ("count", "last")}


def _rewrite(session: Session, row: RunRow | Row[Any], seq: int, values: Mapping[str, Any]) -> None:
    on(session).execute(_of_line.values(**values), {"of_run": row.id, "of_step": row.step, "of_seq": seq})
