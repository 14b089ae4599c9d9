"""What keeps a foreign binary from outliving us where the kernel has no death signal."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from commands import lifeline

ROOT = Path(__file__).parents[2]
SAYS_PID_AND_WAITS = "import os, threading; print(os.getpid(), flush=True); threading.Event().wait()"


def _accompanied(code: str, descriptor: int) -> subprocess.Popen[str]:
    program = f"import sys; from commands.lifeline import accompany; sys.exit(accompany([sys.executable, '-c', {code!r}], {descriptor}))"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[descriptor],
    )


def test_the_companion_kills_the_binary_when_the_lifeline_ends() -> None:
    ours, theirs = socket.socketpair()
    with _accompanied(SAYS_PID_AND_WAITS, theirs.fileno()) as companion:
        theirs.close()
        assert companion.stdout
        assert int(companion.stdout.readline()) != companion.pid
        ours.close()
        assert companion.wait(30) == -9 & 0xFF
        assert companion.stdout.read() == ""  # the binary held this pipe open until it died


def test_the_companion_passes_signals_and_the_exit_code_on() -> None:
    ours, theirs = socket.socketpair()
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); print('up', flush=True); signal.pause()"
    with ours, theirs, _accompanied(code, theirs.fileno()) as companion:
        assert companion.stdout
        assert companion.stdout.readline() == "up\n"
        companion.terminate()
        assert companion.wait(30) == 5


def test_the_supervisor_hears_the_word_ready_and_the_end() -> None:
    line = lifeline.Lifeline()
    assert not line.is_ready()
    os.write(int(line.for_child()[lifeline.VARIABLE]), b"ready")
    line.theirs.close()
    assert line.is_ready()
    assert line.is_ready()
    line.close()


def test_without_a_supervisor_nothing_is_watched_and_nothing_said() -> None:
    code = "from commands.lifeline import announce_ready, watch_parent; watch_parent(); announce_ready(); print('lives')"
    said = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "lives\n"
