"""Where a start fails the doctor says so, and the other way round: each broken start, asked of both."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from models import Contact, Database, Journey, Run, Version, new_id
from settings import Settings
from tests.forkserver import ForkServer

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


def a_home_that_is_a_file(home: Path) -> dict[str, str]:
    (home / "file").touch()
    return {"PFADWERK_HOME": str(home / "file")}


def a_key_file_that_is_empty(home: Path) -> dict[str, str]:
    (home / "secret").write_text("")
    return {}


def a_key_file_that_holds_no_key(home: Path) -> dict[str, str]:
    (home / "secret").write_text("not a key")
    return {}


def of_schema(home: Path, revision: str) -> dict[str, str]:
    db = Database(Settings(home=home).database_url)
    with db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    db.close()
    return {}


def an_older_schema(home: Path) -> dict[str, str]:
    return of_schema(home, "0001")


def a_newer_schema(home: Path) -> dict[str, str]:
    return of_schema(home, "9999")


def no_postgresql(home: Path) -> dict[str, str]:
    return {"PFADWERK_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}


def https_and_no_proxy(home: Path) -> dict[str, str]:
    return {"PFADWERK_PUBLIC_URL": "https://journeys.example.org"}


def a_host_that_there_is_not(home: Path) -> dict[str, str]:
    return {"PFADWERK_HOST": "999.1.1.1"}


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
    (a_home_that_is_a_file, "api"),
    (a_key_file_that_is_empty, "worker"),
    (a_key_file_that_holds_no_key, "api"),
    (an_older_schema, "api"),
    (a_newer_schema, "worker"),
    (no_postgresql, "worker"),
    (https_and_no_proxy, "api"),
    (a_host_that_there_is_not, "api"),
]


def test_the_doctor_sees_that_the_usual_port_is_taken(forks: ForkServer, demo: Path, run: Any, monkeypatch: Any) -> None:
    """The port that nobody has set: a web server by itself does not start there, the supervisor takes another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (demo / "ports.json").write_text(json.dumps({"web": taken.getsockname()[1]}))
        monkeypatch.setenv("PFADWERK_TEMPORAL_ADDRESS", "127.0.0.1:1")
        started = forks.run("cli", "api")
        assert started.returncode not in (0, 70), started.stderr
        said = started.stderr.splitlines()[-1].removeprefix("pfadwerk: ").strip()
        seen = run("doctor")
        assert said[:60] in seen.out + seen.err
        monkeypatch.delenv("PFADWERK_TEMPORAL_ADDRESS")
        assert "`pfadwerk dev` takes another one" in run("doctor").out


@pytest.mark.parametrize(("broken", "process"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_the_doctor_fails_where_a_start_fails_and_says_the_same(
    forks: ForkServer, demo: Path, run: Any, monkeypatch: Any, broken: Break, process: str
) -> None:
    monkeypatch.setenv("PFADWERK_TEMPORAL_ADDRESS", "127.0.0.1:1")
    for name, value in broken(demo).items():
        monkeypatch.setenv(name, value)
    started = forks.run("cli", process)
    assert started.returncode not in (0, 70), started.stderr
    said = started.stderr.splitlines()[-1].removeprefix("pfadwerk: ").strip()
    seen = run("doctor")
    assert seen.code not in (0, 70), seen.err
    assert said[:60] in seen.out + seen.err
