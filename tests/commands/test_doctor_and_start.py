"""Where a start fails the doctor says so, and the other way round: each broken start, asked of both."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from commands.process import python
from models import Contact, Database, Journey, Run, Version, new_id
from settings import Settings

Break = Callable[[Path], dict[str, str]]


def an_unknown_setting(home: Path) -> dict[str, str]:
    return {"PFADWERK_PROT": "1"}


def a_value_that_does_not_fit(home: Path) -> dict[str, str]:
    return {"PFADWERK_SECRET_KEY": "k1:short"}


def another_workspace(home: Path) -> dict[str, str]:
    return {"PFADWERK_WORKSPACE": "staging"}


def another_namespace(home: Path) -> dict[str, str]:
    return {"PFADWERK_TEMPORAL_NAMESPACE": "elsewhere"}


def a_folder_that_is_not_there(home: Path) -> dict[str, str]:
    return {"PFADWERK_ACTIVITY_FOLDERS": json.dumps([str(home / "none")])}


def an_activity_that_does_not_load(home: Path) -> dict[str, str]:
    folder = home / "activities"
    folder.mkdir()
    (folder / "broken.py").write_text("1 / 0")
    return {"PFADWERK_ACTIVITY_FOLDERS": json.dumps([str(folder)])}


def a_provider_that_there_is_not(home: Path) -> dict[str, str]:
    return {"PFADWERK_CHANNELS": '{"email": {"provider": "pigeon"}}'}


def a_provider_without_its_server(home: Path) -> dict[str, str]:
    return {"PFADWERK_CHANNELS": '{"email": {"provider": "smtp"}}'}


def a_run_that_nobody_understands(home: Path) -> dict[str, str]:
    """A version that pins a step which is not installed, and somebody inside."""
    db = Database(Settings(home=home).database_url)
    with db.write() as session:
        version = session.query(Version).first()
        journey, contact = session.get_one(Journey, version.journey_id), session.query(Contact).first()
        session.execute(update(Version).where(Version.id == version.id).values(pins={**version.pins, "behaviours": ["fly_kite@1"]}))
        session.add(
            Run(
                id=new_id(), journey_id=journey.id, version_id=version.id, version_number=version.number, contact_id=contact.id,
                started_at=contact.created_at, updated_at=contact.created_at,
            )
        )  # fmt: skip
    db.close()
    return {}


def no_schema(home: Path) -> dict[str, str]:
    (home / "empty.db").touch()
    return {"PFADWERK_DATABASE_URL": f"sqlite:///{home / 'empty.db'}"}


def no_temporal(home: Path) -> dict[str, str]:
    return {}


BROKEN: list[tuple[Break, str]] = [
    (an_unknown_setting, "api"),
    (a_value_that_does_not_fit, "api"),
    (another_workspace, "api"),
    (another_namespace, "worker"),
    (a_folder_that_is_not_there, "api"),
    (an_activity_that_does_not_load, "worker"),
    (a_provider_that_there_is_not, "worker"),
    (a_provider_without_its_server, "api"),
    (a_run_that_nobody_understands, "worker"),
    (no_schema, "worker"),
    (no_temporal, "worker"),
]


@pytest.mark.parametrize(("broken", "process"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_the_doctor_fails_where_a_start_fails_and_says_the_same(
    demo: Path, run: Any, monkeypatch: Any, broken: Break, process: str
) -> None:
    monkeypatch.setenv("PFADWERK_TEMPORAL_ADDRESS", "127.0.0.1:1")
    for name, value in broken(demo).items():
        monkeypatch.setenv(name, value)
    started = subprocess.run(python("-m", "cli", process), env=dict(os.environ), capture_output=True, text=True, check=False)
    assert started.returncode not in (0, 70), started.stderr
    said = started.stderr.splitlines()[-1].removeprefix("pfadwerk: ").strip()
    seen = run("doctor")
    assert seen.code not in (0, 70), seen.err
    assert said[:60] in seen.out + seen.err
