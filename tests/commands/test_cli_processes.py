"""`pfadwerk worker` and `pfadwerk api` as processes of their own, as a container starts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from commands.process import Process, Program, python
from commands.servers import free_port

ROOT = Path(__file__).parents[2]
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ended(name: str, **environment: str) -> tuple[int, str]:
    """Exit code and last line of a process that cannot start."""
    done = subprocess.run(
        python("-m", "cli", name), cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_a_worker_without_temporal_says_so(demo):
    with socket.socket() as deaf:  # the port is ours and nobody listens on it
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        code, said = ended("worker", PFADWERK_TEMPORAL_ADDRESS=address)
    assert code == 3
    assert f"No Temporal server answers at {address}" in said


@pytest.mark.parametrize("name", ["worker", "api"])
def test_without_a_schema_they_say_what_to_do(clean, name):
    code, said = ended(name, PFADWERK_TEMPORAL_ADDRESS="127.0.0.1:1", PFADWERK_PORT=str(free_port()))
    assert code == 3
    assert "pfadwerk setup" in said


def test_a_port_in_use_is_a_sentence(demo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = ended("api", PFADWERK_PORT=str(port))
    assert code == 3
    assert f"Port {port} on 127.0.0.1 is in use" in said


def test_the_web_server_takes_an_event_and_ends_in_order(demo, tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    program = Program(
        "web", python("-m", "cli", "api"), environment={"PFADWERK_PORT": str(port), "PYTHONPATH": str(ROOT)}, is_ready=answers
    )
    with Process(program, tmp_path / "web.log") as web:
        web.wait_ready(60)
        key = (demo / "write_key").read_text().strip()
        body = {"writeKey": key, "userId": "zoe", "event": "Signed Up"}
        request = urllib.request.Request(f"{url}/v1/track", json.dumps(body).encode())
        with NO_PROXY.open(request, timeout=30) as answer:
            assert json.load(answer) == {"success": True}
        with NO_PROXY.open(f"{url}/ready", timeout=30) as answer:
            assert json.load(answer)["database"] == "up"
        assert web.stop() == 0, (tmp_path / "web.log").read_text()
