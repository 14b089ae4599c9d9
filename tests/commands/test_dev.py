"""The supervisor with real servers and idle children: it starts, restarts, refuses and leaves nothing behind."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands import servers

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("dev_program.py")
NAMES = {"supervisor", "temporal", "redis", "worker", "web"}
PATIENCE_SECONDS = 60


class Dev:
    """A `pfadwerk dev` that runs in its own process, as a user would start it."""

    def __init__(self, home: Path, *arguments: str, **environment: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-u", PROGRAM, "supervisor", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PFADWERK_HOME": str(home), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.said = ""

    def read_until(self, text: str) -> str:
        """What it has printed so far, as soon as `text` is in it."""
        assert self.process.stdout
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.said:
            assert select.select([self.process.stdout], [], [], deadline - time.monotonic())[0], f"no {text!r} in: {self.said}"
            piece = os.read(self.process.stdout.fileno(), 65_536).decode()
            assert piece, f"ended without {text!r}: {self.said}"
            self.said += piece
        return self.said

    def rest(self) -> str:
        """Everything it printed, after it has ended."""
        assert self.process.stdout
        self.said += self.process.stdout.read().decode()
        self.process.wait(PATIENCE_SECONDS)
        return self.said

    def processes(self) -> dict[str, int]:
        return json.loads((self.home / "pids.json").read_text())

    def ports(self) -> dict[str, int]:
        return json.loads((self.home / "ports.json").read_text())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    started: list[Dev] = []

    def start_one(*arguments: str, **environment: str) -> Dev:
        started.append(Dev(tmp_path / "home", *arguments, **environment))
        return started[-1]

    yield start_one
    for dev in started:
        dev.process.kill()
        dev.process.wait()
        assert dev.process.stdout
        dev.process.stdout.close()


def wait_until(condition: Callable[[], bool]) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True


def runs(pid: int) -> bool:
    """Whether the process exists; a zombie that nobody has fetched does not count."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):  # it may end between the opening and the reading
            return False
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(status) and not status.startswith("Z")


def all_gone(processes: dict[str, int]) -> bool:
    return wait_until(lambda: not any(runs(pid) for pid in processes.values()))


def test_starts_everything_and_stops_in_order_on_ctrl_c(start: Callable[..., Dev]) -> None:
    dev = start()
    said = dev.read_until("/login")
    processes = dev.processes()
    assert set(processes) == NAMES
    assert f"http://127.0.0.1:{dev.ports()['web']}/login" in said
    dev.process.send_signal(signal.SIGINT)
    assert "worker ended in order" in dev.rest()
    assert dev.process.returncode == 0
    assert all_gone(processes)
    assert not (dev.home / "pids.json").exists()
    assert "worker works" in (dev.home / "logs" / "worker.log").read_text()


def test_nothing_stays_after_sigkill_and_the_next_start_has_the_same_ports(start: Callable[..., Dev]) -> None:
    dev = start()
    dev.read_until("/login")
    processes, ports = dev.processes(), dev.ports()
    dev.process.kill()
    dev.process.wait()
    assert all_gone(processes)
    assert (dev.home / "worker-ended-in-order").exists()
    again = start()
    again.read_until("/login")
    assert again.ports() == ports


def test_a_child_that_is_deaf_goes_too(start: Callable[..., Dev]) -> None:
    dev = start("deaf")
    dev.read_until("/login")
    processes = dev.processes()
    dev.process.kill()
    dev.process.wait()
    assert all_gone(processes)


def test_a_killed_child_is_started_again(start: Callable[..., Dev]) -> None:
    dev = start()
    dev.read_until("/login")
    for victim in ("worker", "web", "temporal", "redis"):
        before = dev.processes()
        os.kill(before[victim], signal.SIGKILL)
        assert "SIGKILL" in dev.read_until(f"{victim} ended")
        assert wait_until(lambda victim=victim, before=before: dev.processes()[victim] != before[victim])
        after = dev.processes()
        assert runs(after.pop(victim))
        assert after == {name: pid for name, pid in before.items() if name != victim}


def test_the_second_one_on_a_folder_says_so_in_one_sentence(start: Callable[..., Dev]) -> None:
    dev = start()
    dev.read_until("/login")
    second = start()
    said = second.rest()
    assert second.process.returncode == 3
    assert said.startswith("InUse: Pfadwerk already runs on")
    assert str(dev.process.pid) in said
    assert dev.process.poll() is None


def test_a_set_port_in_use_is_a_sentence_and_a_default_gives_way(start: Callable[..., Dev]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = start(PFADWERK_PORT=str(port)).rest()
        assert (
            said == f"PortInUse: Port {port} on 127.0.0.1 is in use. Stop the program that uses it, or set PFADWERK_PORT to another port.\n"
        )


def test_a_remembered_port_that_is_taken_is_replaced(start: Callable[..., Dev], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "ports.json").write_text(json.dumps({"web": port, "temporal": port, "redis": port}))
        dev = start()
        dev.read_until("/login")
        assert port not in dev.ports().values()
        assert len(set(dev.ports().values())) == 3


def test_a_child_that_cannot_start_ends_the_start_with_its_last_words(start: Callable[..., Dev]) -> None:
    dev = start("broken")
    said = dev.rest()
    assert dev.process.returncode == 3
    assert "ServerFailed: worker ended with code 7" in said
    assert "\n  no such template" in said


def test_servers_that_are_set_are_not_started(start: Callable[..., Dev], tmp_path: Path) -> None:
    with servers.start_redis(tmp_path / "redis") as redis:
        dev = start(PFADWERK_REDIS_URL=f"redis://{redis.address}/0")
        dev.read_until("/login")
        assert set(dev.processes()) == NAMES - {"redis"}
