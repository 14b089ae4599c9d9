"""`PFADWERK_LOG_FORMAT=json`: every line that worker and web server write is one JSON object, whoever wrote it."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from commands.logs import JsonLines, sentence
from commands.process import Process, Program, python
from commands.servers import free_port, start_temporal
from engine.log_fields import log_fields
from tests.forkserver import Forked, ForkServer

ROOT = Path(__file__).parents[2]
JSON = {"PFADWERK_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT)}
ALWAYS = {"ts", "level", "logger", "message", "process"}


def lines(path: Path) -> list[dict[str, Any]]:
    """Each line of a log, read as JSON."""
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert all(set(line) >= ALWAYS for line in found)
    return found


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_what_the_web_server_writes_is_json(forks: ForkServer, demo: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "web.log"
    environment = {**JSON, "PFADWERK_PORT": str(port), "PFADWERK_LOG_LEVEL": "debug", "PFADWERK_TEMPORAL_ADDRESS": "127.0.0.1:1"}
    program = Program("web", ["cli", "api"], environment=environment, is_ready=lambda: is_open(port))
    with Forked(forks, program, log) as web:
        web.wait_ready(60)
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(b"this is no request\r\n\r\n")  # uvicorn warns of it
            assert line.recv(200).startswith(b"HTTP/1.1 400")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/ready", timeout=30) as answer:
            assert answer.status == 200
        assert web.stop() == 0
    written = lines(log)
    assert {line["process"] for line in written} == {"api"}
    assert "uvicorn.error" in {line["logger"] for line in written}


def test_what_the_worker_writes_is_json_and_so_is_what_the_core_of_the_sdk_says(demo: Path, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with start_temporal(tmp_path / "temporal") as temporal:
        environment = {**JSON, "PFADWERK_TEMPORAL_ADDRESS": temporal.address, "PFADWERK_LOG_LEVEL": "debug"}
        core_spoke = threading.Event()
        program = Program("worker", python("-m", "cli", "worker"), environment=environment)
        with Process(program, log, lambda line: core_spoke.set() if "temporalio.core" in line else None) as worker:
            worker.wait_ready(60)
            temporal.stop()
            assert core_spoke.wait(60), "the core warns of calls that are made again"
            worker.kill()
    assert {line["process"] for line in lines(log)} == {"worker"}


@pytest.mark.parametrize("name", ["worker", "api"])
def test_a_start_that_fails_says_so_in_one_line(forks: ForkServer, clean: Path, name: str) -> None:
    environment = {**os.environ, **JSON, "PFADWERK_TEMPORAL_ADDRESS": "127.0.0.1:1", "PFADWERK_PORT": str(free_port())}
    done = forks.run("cli", name, environment=environment)
    [line] = [json.loads(one) for one in done.stderr.splitlines()]
    assert (done.returncode, line["level"], line["process"]) == (3, "error", name)
    assert "pfadwerk setup" in line["message"]


def formatted(message: str, *arguments: object, **more: Any) -> dict[str, Any]:
    record = logging.LogRecord("engine.runs.step", logging.WARNING, "step.py", 7, message, arguments, more.pop("exc_info", None))
    record.__dict__.update(more)
    text = JsonLines("worker").format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_a_line_says_what_it_is_about() -> None:
    with log_fields(run_id="r1"):
        line = formatted("run %s is stuck\nat %s", "r1", "hello", node="hello", journey="calm", other="not a field")
    assert line["message"] == "run r1 is stuck\nat hello"
    assert {name: line[name] for name in ("level", "logger", "run_id", "node", "journey")} == {
        "level": "warning", "logger": "engine.runs.step", "run_id": "r1", "node": "hello", "journey": "calm",
    }  # fmt: skip
    assert set(line) == ALWAYS | {"run_id", "node", "journey"}
    assert line["ts"].endswith("Z")


def test_an_exception_is_a_field_without_its_text() -> None:
    address = "ada@" + "example.org"  # the line of the source is part of a traceback, what it holds is not
    try:
        raise ValueError(address)
    except ValueError:
        line = formatted("it failed", exc_info=sys.exc_info())
    assert line["exception"]["type"] == "ValueError"
    assert "test_json_logs.py" in line["exception"]["traceback"]
    assert address not in json.dumps(line)


def test_a_line_that_is_too_long_stays_an_object() -> None:
    assert formatted("\x01" * 100_000)["message"].endswith("(100000 characters)")


def test_what_nobody_catches_is_a_line_too(tmp_path: Path) -> None:
    program = (
        "import threading\nfrom commands.logs import configure\nfrom settings import Settings\n"
        "configure(Settings(log_format='json'), 'worker')\nimport warnings\nwarnings.warn('old')\n"
        "one = threading.Thread(target=lambda: 1 / 0)\none.start()\none.join()\nraise KeyError('ada@' + 'example.org')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    written = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["logger"] for line in written] == ["py.warnings", "pfadwerk", "pfadwerk"]
    assert [line["exception"]["type"] for line in written[1:]] == ["ZeroDivisionError", "KeyError"]
    assert "ada@example.org" not in done.stderr


def test_a_sentence_is_a_line_of_the_same_kind() -> None:
    line = json.loads(sentence("Nothing answers.", "api"))
    assert set(line) == ALWAYS
