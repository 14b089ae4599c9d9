"""A staging database whose sessions were stamped by its own clock: they end; those of a workspace on the world's time stay."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from models import Database, migrate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CLOCK = {"factor": 60.0, "real_anchor": NOW.isoformat(), "virtual_anchor": (NOW + timedelta(days=400)).isoformat()}


@pytest.mark.parametrize(("clock", "left"), [({}, 1), (CLOCK, 0)])
def test_only_what_another_clock_stamped_ends(tmp_path: Path, clock: dict[str, object], left: int) -> None:
    url, at = f"sqlite:///{tmp_path}/old.db", NOW.strftime("%Y-%m-%d %H:%M:%S.%f")
    migrate.upgrade(url, "0021")
    with closing(Database(url)) as database, database.write() as session:
        session.execute(
            text("INSERT INTO stamp (id, workspace, namespace, clock, created_at) VALUES (1, 'staging', 'n', :clock, :at)"),
            {"clock": json.dumps(clock), "at": at},
        )
        session.execute(text("INSERT INTO known_network (who, last_at) VALUES ('w', :at)"), {"at": at})
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.read() as session:
        assert session.execute(text("SELECT count(*) FROM known_network")).scalar() == left
