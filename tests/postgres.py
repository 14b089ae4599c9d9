"""A PostgreSQL server of our own for the test run: fresh cluster, loopback only, thrown away afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """The folder with initdb and postgres, or None."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


@contextmanager
def server() -> Iterator[str]:
    """Runs a server; yields its URL without a database name. As root it runs as another user, because initdb refuses root."""
    from commands.servers import free_port

    folder = binaries()
    if folder is None:
        raise FileNotFoundError("PostgreSQL's initdb was not found: install postgresql, or put its binaries on PATH")
    home = Path(tempfile.mkdtemp(prefix="pfadwerk-pg-"))
    user = _other_user()
    try:
        if user is not None:
            os.chown(home, user.pw_uid, user.pw_gid)
        run = {"user": user.pw_uid, "group": user.pw_gid, "cwd": home} if user else {"cwd": home}
        subprocess.run(
            [folder / "initdb", "-D", home / "data", "-U", "pfadwerk", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"],
            check=True,
            capture_output=True,
            **run,
        )
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": home, "fsync": "off", "synchronous_commit": "off",
            "full_page_writes": "off", "max_connections": 200, "shared_buffers": "64MB",
        }  # fmt: skip
        command = [folder / "postgres", "-D", home / "data", *(f"-c{name}={value}" for name, value in options.items())]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **run)
            try:
                _wait_until_ready(port, process, home / "log")
                yield f"postgresql://pfadwerk@127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(timeout=30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _other_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="pfadwerk", dbname="postgres", connect_timeout=1).close()
        except psycopg.OperationalError:
            process.poll()
            _pause()
        else:
            return
    raise RuntimeError(f"PostgreSQL was not ready in time: {log.read_text()[-2000:]}")


def _pause() -> None:
    """Waits for a file descriptor that never comes: a bounded wait for another process."""
    import select

    select.select([], [], [], 0.1)
