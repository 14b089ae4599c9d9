"""A staging database whose sessions were stamped by its own clock: they end; those of a workspace on the world's time stay."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from models import Database, Upload, migrate

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


@pytest.mark.parametrize(("clock", "moved"), [({}, timedelta(0)), (CLOCK, timedelta(days=400))])
def test_the_age_of_a_file_becomes_the_instant_that_its_stamp_stood_for(tmp_path: Path, clock: dict[str, object], moved: timedelta) -> None:
    """Two hours of the workspace are two minutes of the world."""
    url = f"sqlite:///{tmp_path}/old.db"
    migrate.upgrade(url, "0037")
    stamped = NOW + moved + timedelta(hours=2)
    with closing(Database(url)) as database, database.write() as session:
        session.execute(
            text("INSERT INTO stamp (id, workspace, namespace, clock, created_at) VALUES (1, 'staging', 'n', :clock, :at)"),
            {"clock": json.dumps(clock), "at": written(NOW)},
        )
        values = {"id": "u", "at": written(stamped)}
        columns = "id, file_name, bytes, part_bytes, parts, created_at, created_by"
        session.execute(text(f"INSERT INTO upload ({columns}) VALUES (:id, 'a.csv', 1, 1, 0, :at, '')"), values)
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.read() as session:
        assert session.scalars(select(Upload.created_at)).one() == NOW + (timedelta(minutes=2) if clock else timedelta(hours=2))


def written(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")
