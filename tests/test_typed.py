"""What an engineer's own tools see of an installed Pfadwerk: the wheel says that it is typed, and the documented activity passes mypy --strict."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from sysconfig import get_path

import pytest

ROOT = Path(__file__).parents[1]


def done(*command: str, cwd: Path = ROOT) -> str:
    finished = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target))
    [built] = target.glob("*.whl")
    return built


def test_every_package_of_the_wheel_says_that_it_is_typed(wheel: Path) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{package}/py.typed" for package in packages} <= names
    assert "py.typed" not in names


def test_the_documented_activity_passes_mypy_strict(wheel: Path, tmp_path: Path) -> None:
    """In an environment into which the wheel is unpacked, beside the libraries of this one."""
    done(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env"))
    python = tmp_path / "env" / "bin" / "python"
    site = Path(done(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    zipfile.ZipFile(wheel).extractall(site)
    libraries = [get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))]
    (site / "libraries.pth").write_text("\n".join(dict.fromkeys(libraries)))
    page = (ROOT / "docs" / "custom-activities.md").read_text("utf-8")
    (tmp_path / "documented.py").write_text("\n\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    cache = f"--cache-dir={tmp_path / 'cache'}"
    checked = done(sys.executable, "-m", "mypy", "--strict", cache, f"--python-executable={python}", "documented.py", cwd=tmp_path)
    assert "no issues found in 1 source file" in checked
