"""What the program makes is its owner's alone, whatever the shell it was started from allows others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys
os.umask(0o022)
sys.path.insert(0, sys.argv.pop(1))
file = sys.argv.pop(1)
import cli
try:
    cli.main()
except SystemExit:
    pass
open(file, "w").close()
os.makedirs(file + ".d")
"""


def modes(tmp_path: Path, *arguments: str) -> list[int]:
    """The rights of a file and a folder made after this command line."""
    file = tmp_path / "made"
    subprocess.run([sys.executable, "-c", PROGRAM, str(ROOT), str(file), *arguments], capture_output=True, check=True)
    return [path.stat().st_mode & 0o777 for path in (file, tmp_path / "made.d")]


@pytest.mark.parametrize("arguments", [("--version",), ("dev", "--help"), ("backup", "--help"), ("--debug", "setup", "--help")])
def test_files_are_the_owners_alone(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert modes(tmp_path, *arguments) == [0o600, 0o700]


def test_documents_that_are_pulled_are_as_the_person_wants_them(tmp_path: Path) -> None:
    assert modes(tmp_path, "pull", "--help") == [0o644, 0o755]
