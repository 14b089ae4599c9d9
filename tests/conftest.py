"""Fixtures of the whole suite: an empty database on SQLite and on PostgreSQL."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import settings
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from models import Database
from tests import costs
from tests.compiled import share_compiled
from tests.forkserver import ForkServer, fork_server
from tests.plans import no_table_is_read_whole
from workspace import audit, passwords

MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30


def _is_fit(place: Path) -> bool:
    """Whether temporary files may lie there: there is room, and programs that tests write can run."""
    return place.is_dir() and shutil.disk_usage(place).free >= ROOM and not os.statvfs(place).f_flag & getattr(os, "ST_NOEXEC", 0)


if "TMPDIR" not in os.environ and _is_fit(MEMORY):
    os.environ["TMPDIR"] = str(MEMORY)  # databases that live for a second each: with a disk they took half as long again

settings.register_profile("suite", deadline=None)  # a slow machine is no mistake of ours
settings.register_profile("ci", deadline=None, derandomize=True, database=None)  # a change is refused for what it does, not by a draw
settings.load_profile("ci" if os.environ.get("CI") else "suite")


passwords.bind(PasswordHasher(time_cost=1, memory_cost=16, parallelism=1))  # tests/crm/test_passwords.py looks at the real ones


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write what the code answers now into case files and histories, to be reviewed")
    parser.addoption("--costs", action="store_true", help="measure the CPU time of each file and write tests/costs.json")
    parser.addoption(
        "--screens", metavar="FOLDER", help="write a picture of every page there while the accessibility tests walk through them"
    )


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: nearly half of the suite's time is waiting for browsers, servers and timers."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--costs"):
        config.pluginmanager.register(costs.Measuring())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays until the end: the garbage collector need not look through it, neither now nor each time it looks through all."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: at the end no process is alone with one of them while the others have nothing left to do."""
    places = costs.order()
    items.sort(key=lambda item: places.get(costs.of(item), len(places)))


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
        yield url


STRANGERS_OUT = text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'base' AND pid <> pg_backend_pid()")
TABLES = [f'"{name}"' for name in SQLModel.metadata.tables]
FILLED = text(" UNION ALL ".join(f"SELECT '{table}', pg_relation_size('{table}') WHERE EXISTS (SELECT FROM {table})" for table in TABLES))
LARGE_BYTES = 1_000_000
"""From here on a table is cut off: that makes new files for it, its indexes and all that refer to it, which costs as much as four tests. What
is deleted leaves its room behind until then."""
COUNTERS_ANEW = text("SELECT setval(seqrelid, 1, false) FROM pg_sequence")
SHAPE = text("SELECT count(*) FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public')")


@pytest.fixture(scope="session")
def postgres_base(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Answers with the URL of a database whose tables are empty. It is one and the same: a new one would take longer than most tests."""
    server = create_engine(f"{postgres_url}/postgres".replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE base"))
    server.dispose()
    base, shape = Database(f"{postgres_url}/base"), None

    def emptied() -> str:
        nonlocal shape
        with base.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(STRANGERS_OUT)
            if connection.scalar(SHAPE) != shape:  # there are no tables yet, or a test has changed them
                connection.execute(text("DROP SCHEMA public CASCADE"))
                connection.execute(text("CREATE SCHEMA public"))
                SQLModel.metadata.create_all(connection)
                shape = connection.scalar(SHAPE)
            if filled := connection.execute(FILLED).all():
                tables = [table for table, _ in filled]
                if max(size for _, size in filled) > LARGE_BYTES:
                    connection.execute(text(f"TRUNCATE {', '.join(tables)} CASCADE"))
                else:  # in any order: no row is left that could refer to another
                    deleted = "".join(f"DELETE FROM {table};" for table in tables)
                    connection.exec_driver_sql(f"SET session_replication_role = replica; {deleted} RESET session_replication_role")
            connection.execute(COUNTERS_ANEW)
        return base.url

    yield emptied
    base.close()


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


AUDIT_KEYS = (b"k" * 32,)


@pytest.fixture
def sqlite_db(sqlite_base: Path, tmp_path: Path) -> Iterator[Database]:
    """An empty database on SQLite."""
    path = tmp_path / "pfadwerk.db"
    shutil.copyfile(sqlite_base, path)
    database = share_compiled(Database(f"sqlite:///{path}"))
    audit.bind(database, AUDIT_KEYS)
    with closing(database), no_table_is_read_whole(database):
        yield database


@pytest.fixture
def postgres_db(postgres_base: Callable[[], str]) -> Iterator[Database]:
    """An empty database on PostgreSQL."""
    database = share_compiled(Database(postgres_base(), pool_size=5))
    audit.bind(database, AUDIT_KEYS)
    with closing(database), no_table_is_read_whole(database):
        yield database


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Starts processes of ours without their imports, for files that start many of them."""
    with fork_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    """An empty database; the test runs on both kinds."""
    return request.getfixturevalue(f"{request.param}_db")
