"""What a command loads before it answers: `check`, `simulate` and `doctor` take what they need and no more.

A list and no clock: a module that comes in by the way is a failure here, on any machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JOURNEY = "journeys/templates/cart_abandonment/journey.json"
PROGRAM = """
import json, sys
import cli
code = cli.run(sys.argv[1:])
sys.stdout.flush()
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""
ALWAYS_DEAR = {
    "temporalio",
    "alembic",
    "fastapi",
    "uvicorn",
    "jinja2",
    "mako",
    "babel",
    "redis",
    "httpx",
    "reactpy",
    "opentelemetry",
    "google",
    "worker",
}
"""None of these answers a question about a file or a database."""
DATABASE = {"sqlalchemy", "sqlmodel", "cryptography"}


def loaded(home: Path, *arguments: str) -> set[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PFADWERK_")}
    environment |= {"PFADWERK_HOME": str(home), "PFADWERK_LANGUAGE": "en"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, 1), done.stderr
    return set(modules)


@pytest.mark.parametrize("arguments", [("check", JOURNEY), ("simulate", JOURNEY), ("doctor",)], ids=lambda given: given[0])
def test_without_a_database_none_is_loaded(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert loaded(tmp_path / "home", *arguments) & (ALWAYS_DEAR | DATABASE) == set()


@pytest.mark.parametrize("arguments", [("check", JOURNEY), ("simulate", "cart_abandonment"), ("doctor",)], ids=lambda given: given[0])
def test_with_a_database_nothing_else_is_loaded(demo: Path, arguments: tuple[str, ...]) -> None:
    assert loaded(demo, *arguments) & ALWAYS_DEAR == set()
