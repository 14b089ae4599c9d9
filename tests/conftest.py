"""Fixtures of the whole suite: a fresh database on SQLite and on PostgreSQL."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from models import Database
from tests.plans import no_table_is_read_whole

settings.register_profile("suite", deadline=None)  # a slow machine is no mistake of ours
settings.load_profile("suite")
_numbers = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write what the code answers now into case files and histories, to be reviewed")
    parser.addoption(
        "--screens", metavar="FOLDER", help="write a picture of every page there while the accessibility tests walk through them"
    )


def _load(name: str) -> object:
    """A helper module beside this file; the suite has no packages (importlib mode)."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"pfadwerk_tests_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


postgres = _load("postgres")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server, without a database name. Tests that need it are left out where it cannot be had, never in CI."""
    if postgres.binaries() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed; CI leaves no test out")
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        _execute(f"{url}/postgres", "CREATE DATABASE base")
        base = Database(f"{url}/base")
        SQLModel.metadata.create_all(base.engine)
        base.close()
        yield url


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database file with every table, to copy."""
    path = tmp_path_factory.mktemp("base") / "base.db"
    base = Database(f"sqlite:///{path}")
    SQLModel.metadata.create_all(base.engine)
    with base.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()
    return path


@pytest.fixture
def sqlite_db(sqlite_base: Path, tmp_path: Path) -> Iterator[Database]:
    """A fresh database on SQLite."""
    path = tmp_path / "pfadwerk.db"
    shutil.copyfile(sqlite_base, path)
    database = Database(f"sqlite:///{path}")
    with no_table_is_read_whole(database):
        yield database
    database.close()


@pytest.fixture
def postgres_db(postgres_url: str) -> Iterator[Database]:
    """A fresh database on PostgreSQL."""
    name = f"test_{next(_numbers)}"
    _execute(f"{postgres_url}/postgres", f"CREATE DATABASE {name} TEMPLATE base")
    database = Database(f"{postgres_url}/{name}", pool_size=5)
    yield database
    database.close()
    _execute(f"{postgres_url}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    """A fresh database; the test runs on both kinds."""
    return request.getfixturevalue(f"{request.param}_db")
