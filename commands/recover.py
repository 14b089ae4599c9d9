"""`pfadwerk recover`: gives every open run its workflow back from its row, after Temporal's data was lost or a backup restored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TextIO

from sqlalchemy import func, select
from sqlmodel import col

from commands.progress import progress
from commands.workspace import engine
from engine.engine import Engine
from models import Run
from settings import Settings


def recover(settings: Settings, *, out: TextIO, translate: Callable[[str], str], as_json: bool = False) -> int:
    """Looks at every open run and starts what has no workflow; safe to repeat, also while workers run.

    Raises:
        Misconfigured: the database cannot be used.
        NoTemporal: no server answers.
    """
    with engine(settings) as live:
        looked, started = asyncio.run(_recover(settings, live, translate))
    if as_json:
        out.write(json.dumps({"open_runs": looked, "started": started}) + "\n")
    else:
        text = translate("Open runs: {looked}; of them {started} had no workflow and were started again.")
        out.write(text.format(looked=looked, started=started) + "\n")
    return 0


async def _recover(settings: Settings, live: Engine, translate: Callable[[str], str]) -> tuple[int, int]:
    from commands.setup import connect
    from engine import keeper
    from engine.temporal.client import Temporal

    temporal = Temporal(await connect(settings))
    looked = started = 0
    with progress(translate("Open runs"), _open(live)) as show:
        async for counted in keeper.recover(live, temporal):
            looked, started = counted
            show(looked)
    return looked, started


def _open(live: Engine) -> int:
    with live.db.read() as session:
        return session.execute(select(func.count()).select_from(Run).where(col(Run.ended_at).is_(None))).scalar_one()
