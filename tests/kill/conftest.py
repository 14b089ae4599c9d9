"""A database of each kind, set up as an operator does it; what a kill test draws and says."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from models.migrate import upgrade

_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'pfadwerk.db'}"
    else:
        url = f"{request.getfixturevalue('postgres_url')}/kill_{next(_numbers)}"
        _create(url)
    upgrade(url)
    return url


def _create(url: str) -> None:
    server, name = url.rsplit("/", 1)
    engine = create_engine(f"{server.replace('postgresql://', 'postgresql+psycopg://')}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()


@pytest.fixture
def seed() -> int:
    number = int(os.environ.get("PFADWERK_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"seed {number}")
    return number


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[Mapping[str, object]], None]:
    """Prints one line of JSON, also when the test passes."""

    def print_line(counts: Mapping[str, object]) -> None:
        with capsys.disabled():
            print(f"\n{json.dumps(counts)}")

    return print_line
