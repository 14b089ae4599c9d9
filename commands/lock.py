"""Who may use the folder that holds all state: one supervisor, any number of workers and web servers, or one restore.

The locks are the kernel's (`flock`), so they end with the process that holds them, however it ends; nothing goes stale.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from journeys.errors import PfadwerkError


class InUse(PfadwerkError):
    """Another process uses the folder in a way that excludes ours."""

    code = "in_use"
    status = 409


@contextmanager
def supervise(home: Path) -> Iterator[None]:
    """Be the only supervisor on this folder.

    Raises:
        InUse: another one runs.
    """
    with _locked(home / "dev.lock", fcntl.LOCK_EX) as other:
        if other is not None:
            raise InUse(
                "Pfadwerk already runs on {folder} (process {process}). Use that one, stop it with Ctrl-C, or set PFADWERK_HOME to another folder.",
                folder=str(home),
                process=other,
            )
        yield


@contextmanager
def use(home: Path) -> Iterator[None]:
    """Work with the data in this folder, beside others; a worker or web server does so for its whole life.

    Raises:
        InUse: a restore is under way.
    """
    with _locked(home / "use.lock", fcntl.LOCK_SH) as other:
        if other is not None:
            raise InUse(
                "A backup is being restored into {folder} (process {process}). Start again when it is done.",
                folder=str(home),
                process=other,
            )
        yield


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Have the folder to oneself, to replace what is in it.

    Raises:
        InUse: a supervisor, worker or web server runs on it.
    """
    with _locked(home / "dev.lock", fcntl.LOCK_EX) as supervisor, _locked(home / "use.lock", fcntl.LOCK_EX) as user:
        if supervisor is not None or user is not None:
            raise InUse(
                "Pfadwerk runs on {folder} (process {process}). Stop it first, then restore.", folder=str(home), process=supervisor or user
            )
        yield


@contextmanager
def _locked(file: Path, kind: int) -> Iterator[str | None]:
    """Hold `file`; gives None, or the process id of one who holds it (`unknown` where it did not say)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as stream:
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _holder(stream)
            return
        _sign(stream)
        yield None


def _sign(stream: IO[str]) -> None:
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()


def _holder(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read().strip() or "unknown"
