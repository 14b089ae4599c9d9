"""Commands as a user runs them: arguments in, exit code and text out, on a folder of their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.setenv("PFADWERK_LANGUAGE", "en")  # help texts are read in the language of whoever imports the program
    import cli
from commands.demo import QUIET, prepare_demo
from commands.dev import migrate
from settings import Settings


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No settings but a home of its own, which is empty."""
    for name in [name for name in os.environ if name.startswith("PFADWERK_") and not name.startswith("PFADWERK_TEST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PFADWERK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def run(clean: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command line."""

    def run_one(*arguments: object) -> Ran:
        code = cli.run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run_one


@pytest.fixture(scope="session")
def demo_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the demo workspace, to copy: everything is there, and nothing has happened."""
    home = tmp_path_factory.mktemp("demo") / "home"
    home.mkdir()
    settings = Settings(home=home)
    migrate(settings)
    prepare_demo(settings, scale=QUIET)
    return home


@pytest.fixture
def demo(demo_base: Path, clean: Path) -> Path:
    """The home of this test, with the demo workspace in it."""
    shutil.copytree(demo_base, clean)
    return clean
