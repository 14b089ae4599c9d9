"""Nothing outlives its supervisor: children die with it, whatever way it ends.

A *lifeline* is a socket pair between supervisor and child: our own processes read the end of file on it when the supervisor is
gone, on every platform, even after SIGKILL, and end in order (a send in flight is finished and noted); it also carries the one
word "ready". Binaries that know nothing of us are started through this file: on Linux it asks the kernel for a death signal and
becomes the binary; elsewhere it stays as a small parent and kills the binary when the lifeline ends.

Standard library only, and runnable as a file: it is started once per binary and must be quick.
This module restarts nothing (`commands.dev` does).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

VARIABLE = "_PFADWERK_LIFELINE"
GRACE_SECONDS = 10.0
"""How long a Python child may take for an orderly end after its supervisor is gone."""

_PR_SET_PDEATHSIG = 1


class Lifeline:
    """The supervisor's end; while it is open the child may live."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._ready = False

    def for_child(self) -> dict[str, str]:
        """The environment entry that tells the child which descriptor to watch; pass `theirs` in `pass_fds`."""
        return {VARIABLE: str(self.theirs.fileno())}

    def is_ready(self) -> bool:
        """Whether the child has called `announce_ready`."""
        if not self._ready:
            try:
                self._ready = bool(self._ours.recv(16))
            except (BlockingIOError, ConnectionResetError):
                return False
        return self._ready

    def close(self) -> None:
        self._ours.close()
        self.theirs.close()


_descriptor: int | None = None


def watch_parent(grace_seconds: float = GRACE_SECONDS) -> None:
    """End this process when its supervisor is gone: SIGTERM to itself, and a hard end after the grace time.

    Call it once, first thing in a child's main thread. Without a supervisor (started by hand or by a container) it does nothing.
    """
    global _descriptor
    number = os.environ.pop(VARIABLE, "")
    if not number:
        return
    _descriptor = int(number)
    os.set_inheritable(_descriptor, False)
    threading.Thread(target=_end_with, args=(_descriptor, grace_seconds), name="lifeline", daemon=True).start()


def announce_ready() -> None:
    """Tell the supervisor, if there is one, that this process does its work now."""
    if _descriptor is not None:
        with contextlib.suppress(BrokenPipeError):  # the supervisor is gone; the watching thread is already ending us
            os.write(_descriptor, b"ready")


def _end_with(descriptor: int, grace_seconds: float) -> None:
    _wait_for_end(descriptor)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(grace_seconds)
    os._exit(1)


def _wait_for_end(descriptor: int) -> None:
    try:
        while os.read(descriptor, 16):
            pass
    except ConnectionResetError:
        pass  # the other end died with our word unread: also an end


def _ask_for_death_signal(number: int) -> bool:
    """Ask Linux to send us `number` when the thread that started us ends; false where that does not exist."""
    if not sys.platform.startswith("linux"):
        return False
    done: int = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    return done == 0


def wrapped(command: Sequence[str]) -> list[str]:
    """The command line that runs a foreign binary so that it cannot outlive this process."""
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), *command]


def _run(parent: int, command: list[str]) -> int:
    """Become the binary (Linux) or stay beside it and kill it in time (elsewhere)."""
    descriptor = int(os.environ.pop(VARIABLE))
    os.set_inheritable(descriptor, False)
    if _ask_for_death_signal(signal.SIGKILL):
        if os.getppid() != parent:
            return 1  # the supervisor died before we asked
        os.execv(command[0], command)
    return accompany(command, descriptor)


def accompany(command: Sequence[str], descriptor: int) -> int:
    """Run the binary beside us, pass signals on, and kill it when the lifeline ends; its exit code."""
    binary = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: binary.send_signal(received))

    def kill_at_the_end() -> None:
        _wait_for_end(descriptor)
        binary.kill()

    threading.Thread(target=kill_at_the_end, daemon=True).start()
    return binary.wait()


if __name__ == "__main__":
    sys.exit(_run(int(sys.argv[1]), sys.argv[2:]))
