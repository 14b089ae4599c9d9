"""`pfadwerk dev`: everything on one machine, under one supervisor.

Starts Temporal and Redis, brings the database up to date, starts the worker and the web server, starts again what crashes,
and stops all of it in order, whatever way it ends itself (`commands.lifeline`). All state lies in the folder `home`.
It is for trying, developing and testing; in production each process is started on its own (`docker-compose.yml`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from commands import lock, servers
from commands.api_main import refuse_unnamed_proxy
from commands.console import Console
from commands.process import STOP_SECONDS, Process, Program, died_of, last_lines, python
from commands.servers import NO_ADDRESS, PortInUse
from settings import Settings, read_ports

CHILDREN: Mapping[str, Sequence[str]] = {"worker": python("-m", "cli", "worker"), "web": python("-m", "cli", "api")}
READY_SECONDS = 60.0

DEFAULT_PORTS = {"web": 8080, "temporal": 7233, "redis": 6390}
_PORT_WAIT_SECONDS = 3.0
"""A port of our own last start may still be closing."""

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 20.0
"""A child that lived this long has recovered: its next crash is its first."""

_LOOK_SECONDS = 0.2


def migrate(settings: Settings) -> None:
    """Bring the database to the schema of this version."""
    from models.migrate import upgrade

    upgrade(settings.database_url)


def dev(
    settings: Settings,
    on_ready: Callable[[Settings], str],
    *,
    prepare: Callable[[Settings], None] = migrate,
    children: Mapping[str, Sequence[str]] = CHILDREN,
    out: TextIO = sys.stdout,
    translate: Callable[[str], str] = str,
) -> int:
    """Run until Ctrl-C or SIGTERM; the exit code.

    `prepare` runs once the folder is ours, before the children start; `on_ready` gives the link that is printed. Both get the settings
    with the ports that were chosen. `children` are the command lines of `worker` and `web`; the worker calls `announce_ready`.
    `translate` is a gettext function for what is said on the terminal.

    Raises:
        Misconfigured: a proxy stands before the web server, and none is named.
        InUse: another supervisor runs on the folder.
        PortInUse: a port that was set is taken.
        MissingBinary: there is no Temporal or no Redis for this platform.
        ServerFailed: something did not start; the message holds the end of its log.
    """
    refuse_unnamed_proxy(settings)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock.supervise(settings.home):
        return _Supervisor(settings, children, Console(out, translate)).run(prepare, on_ready)


class _Stop(BaseException):
    """A signal asked for the end; raised in the main thread, wherever it is."""


@dataclass
class _Charge:
    """A child under supervision. `due` is the monotonic time of its next start while it is down."""

    program: Program
    process: Process
    started: float
    crashes: int = 0
    due: float | None = None


class _Supervisor:
    def __init__(self, settings: Settings, children: Mapping[str, Sequence[str]], console: Console) -> None:
        self._children = children
        self._console = console
        self._charges: dict[str, _Charge] = {}
        self._hurry = threading.Event()
        self._began = time.monotonic()
        self._home = settings.home
        (self._home / "logs").mkdir(exist_ok=True)
        self._settings = _with_ports(settings)

    def run(self, prepare: Callable[[Settings], None], on_ready: Callable[[Settings], str]) -> int:
        try:
            with _signals(self._on_signal):
                self._start_all(prepare)
                self._greet(on_ready(self._settings))
                self._watch()
        except _Stop:
            return 0
        finally:
            with _signals(self._on_second_signal):
                self._stop_all()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        raise _Stop

    def _on_second_signal(self, number: int, frame: FrameType | None) -> None:
        self._hurry.set()

    # --- Starting ---

    def _start_all(self, prepare: Callable[[Settings], None]) -> None:
        foreign = list(self._foreign_programs())
        for program in foreign:
            self._start(program)
        prepare(self._settings)
        self._await([program.name for program in foreign])
        for program in self._own_programs():
            self._start(program)
        self._await(list(self._children))

    def _foreign_programs(self) -> Iterator[Program]:
        ports, settings = read_ports(self._home), self._settings
        if not settings.was_set("redis_url"):
            (self._home / "redis").mkdir(exist_ok=True)
            yield servers.redis_program(self._home / "redis", ports["redis"], binary=servers.redis_binary())
        if not settings.was_set("temporal_address"):
            binary = servers.temporal_binary(self._home / "bin")
            yield servers.temporal_program(self._home, ports["temporal"], namespaces=[settings.temporal_namespace], binary=binary)

    def _own_programs(self) -> Iterator[Program]:
        settings = self._settings
        environment = {**settings.environment(), "PFADWERK_PORT": str(settings.port), "PYTHONUNBUFFERED": "1"}
        for name, command in self._children.items():
            probe = (lambda: _listens(settings.host, settings.port)) if name == "web" else None
            address = f"{settings.host}:{settings.port}" if name == "web" else ""
            yield Program(name, command, address, environment, is_ready=probe)

    def _start(self, program: Program) -> None:
        echo = partial(self._console.line_of, program.name) if program.name in self._children else None
        process = Process(program, self._log(program.name), echo)
        before = self._charges.get(program.name)
        self._charges[program.name] = _Charge(program, process, time.monotonic(), before.crashes if before else 0)
        self._note_processes()

    def _await(self, names: Sequence[str]) -> None:
        for name in names:
            charge = self._charges[name]
            charge.process.wait_ready(READY_SECONDS)
            self._console.good(f"{name} {charge.process.address}".rstrip())

    def _greet(self, link: str) -> None:
        took = f"{time.monotonic() - self._began:.1f}"
        self._console.say()
        self._console.say("  Pfadwerk is ready ({seconds} s). Open this link; it works once:", seconds=took)
        self._console.raw(f"\n  {link}\n")
        self._console.say("Ctrl-C stops everything. All data is in {folder}", folder=self._home)
        self._console.say()

    # --- Watching ---

    def _watch(self) -> NoReturn:
        while True:
            for charge in list(self._charges.values()):
                self._look_after(charge)
            time.sleep(_LOOK_SECONDS)

    def _look_after(self, charge: _Charge) -> None:
        now = time.monotonic()
        if charge.due is not None:
            if now >= charge.due:
                self._start(charge.program)
        elif not charge.process.is_alive():
            charge.crashes = 1 if now - charge.started > _STEADY_SECONDS else charge.crashes + 1
            pause = min(_FIRST_PAUSE_SECONDS * 4 ** (charge.crashes - 1), _LONGEST_PAUSE_SECONDS)
            charge.due = now + pause
            self._tell_of_crash(charge, pause)

    def _tell_of_crash(self, charge: _Charge, pause: float) -> None:
        name, cause = charge.program.name, died_of(charge.process.kill())
        text = "{name} ended ({cause}); starting it again in {seconds} s. Log: {log}"
        self._console.bad(text, name=name, cause=cause, seconds=f"{pause:.1f}", log=self._log(name))
        if name not in self._children:
            self._console.raw(last_lines(self._log(name), 5))

    # --- Stopping ---

    def _stop_all(self) -> None:
        """Our own children first, so that their last words still reach Temporal and Redis; then those."""
        own = [charge.process for name, charge in self._charges.items() if name in self._children]
        foreign = [charge.process for name, charge in self._charges.items() if name not in self._children]
        if own or foreign:
            self._console.say("Stopping …")
        self._stop(own, self._settings.graceful_shutdown.total_seconds() + STOP_SECONDS)
        self._stop(foreign, STOP_SECONDS)
        (self._home / "pids.json").unlink(missing_ok=True)

    def _stop(self, processes: Sequence[Process], seconds: float) -> None:
        for process in processes:
            process.ask_to_stop()
        deadline = time.monotonic() + seconds
        while any(process.is_alive() for process in processes) and time.monotonic() < deadline and not self._hurry.is_set():
            time.sleep(0.02)
        for process in processes:
            process.kill()

    # --- Logs and notes ---

    def _log(self, name: str) -> Path:
        return self._home / "logs" / f"{name}.log"

    def _note_processes(self) -> None:
        """`home/pids.json`: who is who, for `pfadwerk doctor` and for those who test what a crash does."""
        pids = {"supervisor": os.getpid()} | {name: charge.process.pid for name, charge in self._charges.items()}
        _write_json(self._home / "pids.json", pids)


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _with_ports(settings: Settings) -> Settings:
    """Choose the ports, remember them in `home/ports.json`, and give the settings that follow from them."""
    remembered = read_ports(settings.home)
    deadline = time.monotonic() + _PORT_WAIT_SECONDS
    chosen = {"web": _web_port(settings, remembered.get("web"), deadline)}
    for name, setting in (("temporal", "temporal_address"), ("redis", "redis_url")):
        if not settings.was_set(setting):
            chosen[name] = _some_port(servers.LOOPBACK, remembered.get(name), DEFAULT_PORTS[name], chosen.values(), deadline)
    _write_json(settings.home / "ports.json", chosen)
    return Settings.load(**{name: getattr(settings, name) for name in settings.model_fields_set})


def _web_port(settings: Settings, remembered: int | None, deadline: float) -> int:
    try:
        if settings.was_set("port"):
            return _exactly(settings.host, settings.port, deadline)
        return _some_port(settings.host, remembered, DEFAULT_PORTS["web"], (), deadline)
    except socket.gaierror as error:
        raise PortInUse(NO_ADDRESS, host=settings.host, error=error.strerror) from None


def _exactly(host: str, port: int, deadline: float) -> int:
    if not _becomes_free(port, host, deadline):
        raise PortInUse(
            "Port {port} on {host} is in use. Stop the program that uses it, or set PFADWERK_PORT to another port.", port=port, host=host
        )
    return port


def _some_port(host: str, remembered: int | None, default: int, taken: Collection[int], deadline: float) -> int:
    """The port of the last start if it can be had (links in sent messages name it), else the usual one, else any free one."""
    if remembered and remembered not in taken and _becomes_free(remembered, host, deadline):
        return remembered
    if default != remembered and default not in taken and servers.is_free(default, host):
        return default
    while (port := servers.free_port()) in taken:
        pass
    return port


def _becomes_free(port: int, host: str, deadline: float) -> bool:
    while not servers.is_free(port, host):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _listens(host: str, port: int) -> bool:
    """Whether somebody answers there; uvicorn listens only after the application has started."""
    reachable = {"0.0.0.0": servers.LOOPBACK, "::": "::1"}.get(host, host)
    try:
        with socket.create_connection((reachable, port), timeout=1):
            return True
    except OSError:
        return False


def _write_json(file: Path, value: object) -> None:
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps(value, indent=2) + "\n")
    draft.replace(file)
