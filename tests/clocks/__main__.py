"""`python tests/clocks [SEED]`: a random third of the suite, dealt out to machines of other days and zones. Fails if a test there does.

No test may know which day, night or zone it is. The same seed deals the same files to the same clocks.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
MONDAY = datetime(2027, 3, 1, 8, 30, tzinfo=UTC)
CLOCKS = {
    **{f"{MONDAY + timedelta(days=n):%A}": (MONDAY + timedelta(days=n), "UTC") for n in range(7)},
    "29 February": (datetime(2028, 2, 29, 22, 50, tzinfo=UTC), "Pacific/Auckland"),
    "a night of 23 hours": (datetime(2027, 3, 28, 1, 59, tzinfo=ZoneInfo("Europe/Zurich")), "Europe/Zurich"),
    "a night of 25 hours": (datetime(2027, 11, 7, 1, 59, tzinfo=ZoneInfo("America/New_York")), "America/New_York"),
}
"""What it is called -> (the instant at which it begins, the zone of the machine)."""

OWN_CLOCKS = {
    "Temporal's server is a static program, which keeps the machine's clock; a worker of another day and it do not understand each other": [
        "kill/test_kill.py",
        "bench/test_benchmarks.py",
        "engine/test_workflow.py",
        "engine/test_versions_of_customs.py",
        "commands/test_cli_processes.py",
        "commands/test_dev.py",
        "commands/test_private_files.py",
        "commands/test_safe_path.py",
        "commands/test_servers.py",
        "commands/test_setup.py",
    ],
    "browsers have sandboxes and processes of their own": [
        "activities/rendering/test_corpus.py",
        "builder_ui/test_a_day.py",
        "builder_ui/test_accessibility.py",
        "builder_ui/test_canvas.py",
        "builder_ui/test_firefox.py",
        "builder_ui/test_gallery_chosen.py",
        "builder_ui/test_two_servers.py",
        "builder_ui/test_browser.py",
        "builder_ui/*_browser.py",
    ],
}
"""Why some files keep the machine's clock -> their names."""


def main(seed: str) -> int:
    print(f"A third of the suite on other days; again with: make clocks SEED={seed}", flush=True)
    dice = random.Random(seed)
    kept = {path for names in OWN_CLOCKS.values() for name in names for path in (ROOT / "tests").glob(name)}
    files = sorted(set((ROOT / "tests").rglob("test_*.py")) - kept)
    drawn = dice.sample(files, len(files) // 3)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "shift.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("shift.c")], check=True)
        for place, (name, (begins, zone)) in enumerate(CLOCKS.items()):
            print(f"\n{name}, {begins.isoformat()} in {zone}", flush=True)
            if run(drawn[place :: len(CLOCKS)], library, begins, zone):
                failed.append(name)
    print(f"\nfailed: {', '.join(failed)} (make clocks SEED={seed})" if failed else "\nEvery clock is as good as any other.")
    return bool(failed)


def run(files: list[Path], library: Path, begins: datetime, zone: str) -> int:
    """Runs the files on a machine on which it is that time in that zone; 0 if all pass."""
    shifted = {"LD_PRELOAD": str(library), "SHIFT_SECONDS": str(int(begins.timestamp() - time.time())), "TZ": zone}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not soak", "-p", "no:cacheprovider", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **shifted}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] else str(random.randrange(10**6))))
