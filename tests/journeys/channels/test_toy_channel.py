"""A channel is one file and its place in one list: one is added to a copy of the tree in just this way, and found wherever channels are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.axes import Tree

ROOT = Path(__file__).parents[3]
TOY = Path(__file__).parent / "pigeon"
LEFT_OUT = {"tests", "docs", "bench", "node_modules"}


def tree_with_a_pigeon(place: Path) -> Path:
    """The product at `place`: everything by a link but the room with the channels, which is a copy with one file and one name more."""
    for path in ROOT.iterdir():
        if path.name not in {*LEFT_OUT, "journeys"} and not path.name.startswith("."):
            (place / path.name).symlink_to(path)
    shutil.copytree(ROOT / "journeys", place / "journeys", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOY / "pigeon.py", place / "journeys" / "channels")
    shutil.copy(TOY / "tour.py", place / "test_tour.py")
    Tree(place).add("journeys/channels/__init__.py", "BUILT_IN", "Pigeon()", "from journeys.channels.pigeon import Pigeon")
    return place


def test_a_channel_from_outside_the_tree_is_found_in_every_place(tmp_path: Path) -> None:
    place = tree_with_a_pigeon(tmp_path)
    tour = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(place), "test_tour.py"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PFADWERK_"))}
    done = subprocess.run(tour, cwd=place, env=environment | {"PYTHONPATH": str(place)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
