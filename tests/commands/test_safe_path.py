"""Files of the folder that a command is started in are never executed, whatever they are called."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from commands.dev import CHILDREN

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("pfadwerk")
PACKED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
OURS = [*PACKED["packages"], *(name.removesuffix(".py") for name in PACKED["include"] if name.endswith(".py"))]
FOREIGN = ["typer", "pydantic", "sqlalchemy", "temporalio", "fastapi", "alembic", "json", "logging", "sitecustomize", "usercustomize"]
TRAP = "import os\nopen(os.environ['TRAP'], 'a').write(__name__ + '\\n')\nraise SystemExit(99)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder in which every name of ours, and some of others, is taken by a module and by a package."""
    place = tmp_path / "user"
    for number, name in enumerate([*OURS, *FOREIGN]):
        package = place / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(TRAP)
        if number % 2:
            (place / f"{name}.py").write_text(TRAP)
            (package / "__init__.py").unlink()
    (place / "journey.json").write_text('{"spec": 1}')
    return place


def run(folder: Path, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PFADWERK_"))}
    given = {**clean, "TRAP": str(folder.parent / "executed"), "PFADWERK_HOME": str(folder.parent / "home"), **environment}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


def executed(folder: Path) -> str:
    file = folder.parent / "executed"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--version"], 0), (["doctor", "--json"], 0), (["check", "journey.json"], 1), (["simulate", "journey.json"], 1)],
)
def test_a_command_imports_nothing_from_where_it_is_started(folder: Path, arguments: list[str], code: int) -> None:
    done = run(folder, [str(PROGRAM), *arguments])
    assert (executed(folder), done.returncode) == ("", code), done.stderr


@pytest.mark.parametrize("name", sorted(CHILDREN))
def test_what_dev_starts_imports_nothing_from_there_either(folder: Path, name: str) -> None:
    """The child gets as far as our own settings, which refuse; that sentence is ours."""
    done = run(folder, list(CHILDREN[name]), PFADWERK_PROT="8080")
    assert (executed(folder), done.returncode) == ("", 3), done.stderr
    assert "PFADWERK_PORT" in done.stderr


def test_dev_imports_nothing_from_there_to_the_end_of_its_start(folder: Path) -> None:
    """The schema is made, and the worker has loaded all of its rooms before it finds that no Temporal server answers."""
    done = run(folder, [str(PROGRAM), "dev", "--no-demo"], PFADWERK_TEMPORAL_ADDRESS="127.0.0.1:1")
    assert (executed(folder), done.returncode) == ("", 3), done.stderr
    assert "No Temporal server answers" in done.stderr


def test_the_trap_works(folder: Path) -> None:
    """Without the safe path the folder is first."""
    done = run(folder, [sys.executable, "-m", "cli", "--version"])
    assert (executed(folder), done.returncode) != ("", 0)
