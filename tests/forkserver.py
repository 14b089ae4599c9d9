"""Processes that start without importing anything: a process that has loaded worker, web server and commands forks them.

`python -m cli api` spends seconds of CPU time on imports before its first line. Tests that start and kill such processes by the dozen ask
this one: `ForkServer.spawn` and `run` do what `subprocess.Popen` and `run` do with `python -m MODULE …`. What it forks is a process like any
other, with its own group, environment, folder and descriptors, and dies of SIGKILL as one. That the commands start from nothing, as a
container starts them, is seen by `tests/commands/test_cli_processes.py`.
"""

from __future__ import annotations

import json
import os
import random
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from commands.lifeline import VARIABLE, Lifeline
from commands.process import Process, Program

ROOT = Path(__file__).parents[1]
LOADED = (
    "cli",
    "api.app",
    "commands.api_main",
    "commands.worker_main",
    "commands.recover",
    "commands.backup",
    "tests.kill.lookup_worker",
    "tests.kill.channels_worker",
)
POLL_SECONDS = 0.01
LARGEST_BYTES = 200_000
"""Of a request: the environment of a process."""


class Child:
    """A forked process, with what `commands.process.Process` asks of a `Popen`."""

    stdout = None

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server = server
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.ask({"ended": self.pid})
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(15)

    def kill(self) -> None:
        self.send_signal(9)

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout or 600)
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 600)
            time.sleep(POLL_SECONDS)
        return code


class ForkServer:
    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-P", "-u", __file__, str(theirs.fileno())]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, cwd=ROOT)
        self._turn = threading.Lock()

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> Any:
        with self._turn:
            socket.send_fds(self._ours, [json.dumps(request).encode()], list(descriptors))
            return json.loads(self._ours.recv(100))

    def spawn(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        out: IO[Any],
        error: IO[Any],
        lifeline: socket.socket | None = None,
    ) -> Child:
        """`python -m MODULE …` with this environment, and with `lifeline` as the descriptor that its environment names."""
        descriptors = [out.fileno(), error.fileno(), *([lifeline.fileno()] if lifeline else [])]
        return Child(self, self.ask({"module": module, "arguments": arguments, "environment": dict(environment)}, descriptors))

    def run(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
            child = self.spawn(module, *arguments, environment=environment or os.environ, out=out, error=error)
            code = child.wait()
            out.seek(0)
            error.seek(0)
            return subprocess.CompletedProcess([module, *arguments], code, out.read(), error.read())

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    try:
        yield server
    finally:
        server.close()


class Forked(Process):
    """A program of ours (`python -m MODULE …`) whose process is forked."""

    def __init__(self, server: ForkServer, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self._lifeline = Lifeline()
        self._pump = threading.Thread()
        module, *arguments = program.command
        environment = {**os.environ, **program.environment}
        with log.open("ab") as file:
            self.popen = server.spawn(  # type: ignore[assignment]
                module, *arguments, environment=environment, out=file, error=file, lifeline=self._lifeline.theirs
            )
        self._lifeline.theirs.close()


# In the process that forks


def serve(asking: socket.socket) -> None:
    for module in LOADED:
        __import__(module)
    assert threading.active_count() == 1, "a fork has only the thread that forks"
    while True:
        said, descriptors, _, _ = socket.recv_fds(asking, LARGEST_BYTES, 3)
        if not said:
            return
        request = json.loads(said)
        answer = ended(request["ended"]) if "ended" in request else fork(asking, request, descriptors)
        asking.send(json.dumps(answer).encode())


def ended(pid: int) -> int | None:
    """The exit code, minus the signal's number for one that was killed; None while it lives."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def fork(asking: socket.socket, request: Mapping[str, Any], descriptors: Sequence[int]) -> int:
    pid = os.fork()
    if pid == 0:
        asking.close()
        become(request, descriptors)
    for number in descriptors:
        os.close(number)
    return pid


def become(request: Mapping[str, Any], descriptors: Sequence[int]) -> NoReturn:
    code = 70
    try:
        os.setpgid(0, 0)
        out, error, *lifeline = descriptors
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(error, 2)
        os.environ.clear()
        os.environ.update(request["environment"])
        if lifeline:
            os.environ[VARIABLE] = str(lifeline[0])
        time.tzset()
        random.seed()  # what is forked twice must not draw the same
        sys.argv = [request["module"], *request["arguments"]]
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
