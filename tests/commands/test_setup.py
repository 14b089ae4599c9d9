"""The one-off step on a Temporal server that knows nothing of us."""

import json
import os
import subprocess
import sys
from pathlib import Path

from commands import servers

ROOT = Path(__file__).parents[2]

# A process of its own: the SDK's core sometimes aborts an interpreter that ends while its threads run.
PROGRAM = """
import os, sys
from commands.setup import setup
from settings import Settings
print(setup(Settings.load(), migrate=lambda url: None).model_dump_json(), flush=True)
os._exit(0)
"""


def test_makes_what_is_missing_and_nothing_the_second_time(tmp_path: Path) -> None:
    with servers.start_temporal(tmp_path, namespaces=["somebody-elses"]) as temporal:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PFADWERK_HOME": str(tmp_path / "home"),
            "PFADWERK_TEMPORAL_ADDRESS": temporal.address,
        }
        rounds = [
            subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True) for _ in range(2)
        ]
    first, second = (json.loads(done.stdout) for done in rounds)
    assert first == {"namespace_made": True, "search_attributes_made": ["PfadwerkJourney"]}
    assert second == {"namespace_made": False, "search_attributes_made": []}
