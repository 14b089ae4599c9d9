"""One child process: started so that it cannot outlive us, asked whether it is ready, stopped in order.

Knows nothing of Temporal, Redis or the supervisor's rules.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from commands.lifeline import Lifeline, wrapped
from journeys.errors import PfadwerkError

STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
_LOG_MAX_BYTES = 20_000_000
_LAST_WORDS_SECONDS = 2.0


class ServerFailed(PfadwerkError):
    """A program that we started ended at once or did not become ready in time."""

    code = "server_failed"
    status = 503


@dataclass(frozen=True)
class Program:
    """What to start.

    `foreign` programs know nothing of the lifeline and are wrapped; our own call `watch_parent` and may `announce_ready`.
    `is_ready` is asked often and must be quick; None means the program announces it itself.
    """

    name: str
    command: Sequence[str]
    address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = False
    is_ready: Callable[[], bool] | None = None


class Process:
    """A running program, its output in the file `log`; `echo` also gets each line (without it the program writes there directly).

    Start it from a thread that lives on: on Linux a foreign program dies with the *thread* that started it.
    """

    def __init__(self, program: Program, log: Path, echo: Callable[[str], None] | None = None) -> None:
        self.program = program
        self.log = log
        self._lifeline = Lifeline()
        _rotate(log)
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                wrapped(program.command) if program.foreign else list(program.command),
                env={**os.environ, **program.environment, **self._lifeline.for_child()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if echo else file,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lifeline.theirs.fileno()],
                process_group=0,  # Ctrl-C reaches the supervisor alone, which then stops its children in order
            )
        self._lifeline.theirs.close()
        self._pump = threading.Thread(target=self._copy, args=(echo,), name=f"log of {program.name}", daemon=True)
        if echo:
            self._pump.start()

    def _copy(self, echo: Callable[[str], None]) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            _append(self.log, line)
            echo(line.decode(errors="replace").rstrip())

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def address(self) -> str:
        """`HOST:PORT` where the program listens; empty for one that does not listen."""
        return self.program.address

    @property
    def pid(self) -> int:
        return self.popen.pid

    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def is_ready(self) -> bool:
        return self.program.is_ready() if self.program.is_ready else self._lifeline.is_ready()

    def wait_ready(self, timeout_seconds: float) -> None:
        """Return as soon as the program does its work.

        Raises:
            ServerFailed: it ended or took too long; the message holds the last lines of its log. It is stopped then.
        """
        deadline = time.monotonic() + timeout_seconds
        while self.is_alive() and time.monotonic() < deadline:
            if self.is_ready():
                return
            time.sleep(_POLL_SECONDS)
        was_alive = self.is_alive()
        self.kill()
        story = {"program": self.name, "log": str(self.log), "last_words": last_lines(self.log)}
        if was_alive:
            raise ServerFailed(
                "{program} did not become ready within {seconds} s. Its last words, from {log}:\n{last_words}",
                seconds=round(timeout_seconds),
                **story,
            )
        raise ServerFailed(
            "{program} ended with code {exit_code}. Its last words, from {log}:\n{last_words}", exit_code=self.popen.returncode, **story
        )

    def ask_to_stop(self) -> None:
        if self.is_alive():
            self.popen.terminate()

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> int:
        """SIGTERM, SIGKILL for what is left after the time-out; the exit code. Does nothing the second time."""
        self.ask_to_stop()
        try:
            self.popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
        return self._ended()

    def kill(self) -> int:
        """SIGKILL at once, as a crash would; the exit code."""
        if self.is_alive():
            self.popen.kill()
        return self._ended()

    def _ended(self) -> int:
        code = self.popen.wait()
        self._lifeline.close()
        if self._pump.is_alive():
            self._pump.join(_LAST_WORDS_SECONDS)  # a grandchild may hold the pipe open
        if self.popen.stdout is not None and not self._pump.is_alive():
            self.popen.stdout.close()
        return code

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _append(log: Path, line: bytes) -> None:
    with log.open("ab") as file:
        file.write(line)
        full = file.tell() > _LOG_MAX_BYTES
    if full:
        _rotate(log)


def _rotate(log: Path) -> None:
    """Keep a log file and the one before it, at most 20 MB each (a program that writes directly is looked at when it starts)."""
    if log.exists() and log.stat().st_size > _LOG_MAX_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log file, indented; empty if there is none."""
    try:
        lines = log.read_bytes()[-20_000:].decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(f"  {line}" for line in lines[-count:])


def died_of(code: int) -> str:
    """An exit code for people: `code 1`, or `SIGKILL` for a process that was killed."""
    return signal.Signals(-code).name if code < 0 else f"code {code}"


def python(*arguments: str) -> list[str]:
    """A command line that runs this Python, unbuffered, without needing an activated environment.

    `-P`: nothing is imported from the folder it is started in, where a user's `settings.py` may lie.
    """
    return [sys.executable, "-P", "-u", *arguments]
