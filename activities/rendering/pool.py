"""A few processes that compile templates and fill them in, so that no text of a stranger stops the work of this one.

A job that uses up its CPU time or its memory ends alone, with its process; the caller gets `RenderFailed`. A process that dies for another
reason (a crash of native code, an operator, a kernel short of memory) is replaced and the job is done again: jobs change nothing. What once
went over a limit waits in a lane of its own from then on and leaves at least one process to everybody else, where there are several.

Processes are started when they are needed, hold no key, setting or connection, and end with this one however it ends. Signed addresses
are put in here, not there. No value of a contact is logged.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Literal

from markupsafe import escape

from activities.rendering.cards import A6, Card, Paper
from activities.rendering.child import MAX_FRAME, Parts, receive, send
from activities.rendering.compile import CompiledTemplate, Variant
from activities.rendering.faults import RenderFailed
from activities.rendering.kinds import Kind
from activities.rendering.partials import NO_PARTIALS, Library
from activities.rendering.render import UNTRACKED, Filled, Marks, Rendered, chosen, finished
from activities.rendering.renderer import RenderBusy
from journeys.errors import Invalid, Issue

log = logging.getLogger("pfadwerk.rendering")

ATTEMPTS = 3
"""Times that a job is begun, when its process dies and it is not the job's fault."""
CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE})
COMPILING = 5.0
"""A template may take so many times as long to compile as to fill in."""
START_SECONDS = 60.0
"""How long the first process may take to start; a busy machine takes long."""
SHARE = 8
"""What a job is given may take this part of the memory of its process, where it stands several times."""
KEPT = 64
"""Variants that a process keeps."""
MAX_SUSPECTS = 1_000
_ENVIRONMENT = ("PATH", "LANG", "TZ", "TZDIR", "SYSTEMROOT", "TMPDIR")
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from activities.rendering.child import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """`cpu_seconds` is for one message, `deadline_seconds` of real time too; `memory_bytes` for what a process takes on top of its start.
    `wait_seconds`: for a free process. After `renewed_after` jobs a process makes room for a new one."""

    processes: int = 2
    cpu_seconds: float = 2.0
    deadline_seconds: float = 6.0
    memory_bytes: int = 256 * 2**20
    wait_seconds: float = 4.0
    renewed_after: int = 20_000


class _Over(Exception):
    """The job used up its CPU time."""


class _Late(Exception):
    """The deadline came before that: the machine has too much to do, and the job may be innocent."""


class _Died(Exception):
    """The process ended otherwise; `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Job:
    """`kind`, what it is given, and what it is recognised by; `variant`: the template that the process has to know. `times`: its limits as
    multiples of those of one message."""

    kind: str
    given: Mapping[str, Any]
    about: int
    variant: Variant | None = None
    times: float = 1.0


class _Child:
    """One process, used by one thread at a time. `epoch`: how often its pool had been closed when it was started."""

    def __init__(self, limits: RenderLimits, epoch: int) -> None:
        self.epoch = epoch
        self._socket, theirs = socket.socketpair()
        arguments = (json.dumps([os.path.abspath(entry) for entry in sys.path]), str(theirs.fileno()), str(limits.memory_bytes))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, *arguments],
                env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name.startswith(("LC_", "LD_", "DYLD_"))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # the last words of native code could quote a value
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is the parent's business
            )
        self._limits = limits
        self._known: OrderedDict[Parts, int] = OrderedDict()
        self._numbers = 0
        self.jobs = 0
        self._socket.settimeout(START_SECONDS)
        self._answer()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, job: _Job, given: bytes) -> Any:
        """The answer. Raises: _Over, _Late, _Died; the process is of no use then."""
        self.jobs += 1
        cpu, deadline = job.times * self._limits.cpu_seconds, job.times * self._limits.deadline_seconds
        template = self._told(job.variant) if job.variant else None
        self._socket.settimeout(deadline)
        try:
            send(self._socket, pickle.dumps((job.kind, cpu, deadline, template, given), pickle.HIGHEST_PROTOCOL))
        except TimeoutError:
            raise self._late() from None
        except OSError:
            raise self._ended() from None
        return self._answer()

    def _told(self, variant: Variant) -> dict[str, Any]:
        """The number under which the process knows the template, its text if it does not, and which ones it may forget."""
        parts = (variant.subject, variant.html, variant.text, tuple(variant.parts.items()))
        number = self._known.get(parts)
        if number is not None:
            self._known.move_to_end(parts)
            return {"number": number, "parts": None, "forget": []}
        self._numbers += 1
        self._known[parts] = self._numbers
        forgotten = [self._known.popitem(last=False)[1]] if len(self._known) > KEPT else []
        return {"number": self._numbers, "parts": parts, "forget": forgotten}

    def _answer(self) -> Any:
        try:
            frame = receive(self._socket)
            if frame is not None:
                return json.loads(frame)
        except TimeoutError:
            raise self._late() from None
        except (OSError, ValueError):
            pass
        raise self._ended()

    def _late(self) -> _Late:
        self._process.kill()
        self.end()
        return _Late()

    def _ended(self) -> _Over | _Late | _Died:
        self.end()
        code = -self._process.returncode
        return _Over() if code == signal.SIGPROF else _Late() if code == signal.SIGALRM else _Died(-code)

    def end(self) -> None:
        """Kills the process unless it ends by itself; it has nothing to lose."""
        self._socket.close()
        try:
            self._process.wait(0.05)  # it may be ending already, and its code says why
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _issue(data: Mapping[str, Any]) -> Issue:
    """An issue that came as JSON; a value of it may be an issue itself (what is wrong in a partial)."""
    values = {
        name: _issue(value) if isinstance(value, dict) and {"code", "text"} <= set(value) else value
        for name, value in data["values"].items()
    }
    return Issue(**{**{name: value for name, value in data.items() if name != "message"}, "values": values})


class RenderPool:
    """A `Renderer` whose work is done by other processes. Any number of threads may use it; `close` ends the processes."""

    def __init__(self, limits: RenderLimits | None = None) -> None:
        self.limits = limits or RenderLimits()
        self._changed = threading.Condition()
        self._idle: list[_Child] = []
        self._working: set[int] = set()
        self._living = 0
        self._starting = 0
        self._epoch = 0
        self._suspects: OrderedDict[int, None] = OrderedDict()
        self._lane = threading.Semaphore(max(1, self.limits.processes - 1))

    def render(
        self,
        compiled: CompiledTemplate,
        locales: Iterable[str],
        values: Mapping[str, Any],
        *,
        marks: Marks = UNTRACKED,
        message_class: str = "marketing",
        zone: str = "UTC",
    ) -> Rendered:
        """As `render.render`. Raises: RenderFailed; RenderBusy."""
        language, variant = chosen(compiled, locales)
        mark = f"jx{token_hex(12)}" if marks.click else ""
        given = {
            "values": dict(values),
            "language": language,
            "zone": zone,
            "mark": mark,
            "pixel_url": marks.pixel_url,
            "domains": sorted(marks.domains),
            "parameters": dict(marks.parameters),
            "left_alone": sorted(marks.left_alone),
        }
        subject, html, text, links, parts, coupons = self._done(_Job("fill", given, hash(variant.sources), variant))
        filled = Filled(subject, html, text, links, parts, tuple(coupons))
        if marks.click and links:
            filled = _signed(filled, mark, marks.click)
        return finished(filled, compiled.kind, language, values, message_class, marks)

    def render_text(self, source: str, values: Mapping[str, Any], *, locale: str = "en", zone: str = "UTC") -> Rendered:
        """As `render.render_text`. Raises: RenderFailed; RenderBusy."""
        given = {"source": source, "values": dict(values), "locale": locale, "zone": zone}
        text, coupons = self._done(_Job("text", given, hash(source)))
        return Rendered("", "", text, locale, coupons=tuple(coupons))

    def compile_template(
        self, variants: Mapping[str, Any], kind: Kind, *, message_class: str = "marketing", library: Library = NO_PARTIALS
    ) -> CompiledTemplate:
        """As `compile.compile_template`; also a template that cannot be compiled in time and memory is Invalid. Raises: RenderBusy."""
        given = {"variants": dict(variants), "kind": kind, "message_class": message_class, "library": library}
        about = hash(json.dumps(given, sort_keys=True, default=str))
        try:
            found = self._done(_Job("compile", given, about, times=COMPILING))
        except RenderFailed as error:
            said = "Compiling this template takes too long or too much memory; make it smaller or simpler ({problem})."
            problem = Issue(code="compile_failed", text=said, values={"problem": error.name or error.code}, field="variants")
            raise Invalid("The template has problems, the first: {problem}", [problem], problem=problem) from None
        compiled = CompiledTemplate.from_json(kind, found["variants"])
        return CompiledTemplate(kind, compiled.variants, tuple(_issue(one) for one in found["warnings"]), found["partials"])

    def card(self, what: Literal["show", "print", "print_sides"], card: Card, paper: Paper = A6) -> list[bytes]:
        """As `renderer.drawn`. Raises: RenderFailed; RenderBusy."""
        about = hash((card.front, card.back, what))
        found = self._done(_Job("card", {"what": what, "card": card, "paper": paper}, about, times=COMPILING))
        return [b64decode(one) for one in found]

    def close(self) -> None:
        """Ends the processes, those at work when they are done with it. Whoever asks again starts new ones."""
        with self._changed:
            self._epoch += 1
            idle, self._idle = self._idle, []
            self._living -= len(idle)
        for child in idle:
            child.end()

    @property
    def pids(self) -> list[int]:
        """The processes that have nothing to do now."""
        with self._changed:
            return [child.pid for child in self._idle]

    @property
    def working(self) -> set[int]:
        """The processes that are at a job now."""
        with self._changed:
            return set(self._working)

    def _done(self, job: _Job) -> Any:
        try:
            answer = self._asked(job)
        except RecursionError:
            raise RenderFailed("template_error", "RecursionError") from None
        if "issues" in answer:
            issues = [_issue(one) for one in answer["issues"]]
            raise Invalid("The template has problems, the first: {problem}", issues, problem=issues[0])
        if "failed" in answer:
            raise RenderFailed(*answer["failed"])
        return answer["done"]

    def _asked(self, job: _Job) -> Any:
        given = pickle.dumps(job.given, pickle.HIGHEST_PROTOCOL)
        if len(given) > min(self.limits.memory_bytes // SHARE, MAX_FRAME):
            raise RenderFailed("too_large", "values")
        with self._turn(job.about):
            crashed = False
            for _ in range(ATTEMPTS):
                child = self._take()
                try:
                    answer = child.ask(job, given)
                except _Over:
                    self._lost(child, job, "its CPU time was used up")
                    self._suspect(job)
                    raise RenderFailed("too_long", "time") from None
                except _Late:
                    self._lost(child, job, "it was late")
                    self._suspect(job)
                    break
                except _Died as end:
                    self._lost(child, job, f"it ended with {end.code}")
                    if crashed and -end.code in CRASHES:
                        self._suspect(job)
                        raise RenderFailed("template_error", "crash") from None
                    crashed = -end.code in CRASHES
                except BaseException:
                    child.end()
                    self._lost(child, job, "its parent failed")
                    raise
                else:
                    self._give_back(child, job, answer)
                    return answer
        raise _busy()

    # --- processes ---

    def _take(self) -> _Child:
        """A free process, waited for. Raises: RenderBusy."""
        with self._changed:
            until = time.monotonic() + self.limits.wait_seconds
            patient = time.monotonic() + START_SECONDS
            while True:
                while self._idle:
                    child = self._idle.pop()
                    if child.is_alive():
                        self._working.add(child.pid)
                        return child
                    self._living -= 1
                    child.end()
                if self._living + self._starting < self.limits.processes:
                    self._starting += 1
                    threading.Thread(target=self._start, args=(self._epoch,), name="start of a render process", daemon=True).start()
                left = (until if self._living else patient) - time.monotonic()
                if left <= 0 or not (self._changed.wait(left) or self._living or self._starting):
                    raise _busy()

    def _start(self, epoch: int) -> None:
        child = None
        try:
            child = _Child(self.limits, epoch)
        except (_Died, _Over, _Late, OSError) as error:
            log.error("a render process could not be started (%s)", type(error).__name__)
            time.sleep(1.0)  # nothing else is tried meanwhile: whoever waits gives up in time
        with self._changed:
            self._starting -= 1
            if child is not None and epoch == self._epoch:
                self._living += 1
                self._idle.append(child)
                child = None
            self._changed.notify_all()
        if child is not None:
            child.end()

    def _give_back(self, child: _Child, job: _Job, answer: Mapping[str, Any]) -> None:
        spoilt = answer.get("failed", [""])[0] == "too_large"
        if spoilt:
            self._suspect(job)
        if spoilt or child.jobs >= self.limits.renewed_after or child.epoch != self._epoch:
            child.end()
        with self._changed:
            self._working.discard(child.pid)
            if child.is_alive():
                self._idle.append(child)
            else:
                self._living -= 1
            self._changed.notify()

    def _lost(self, child: _Child, job: _Job, why: str) -> None:
        log.warning("a render process was lost over a job (%s): %s", job.kind, why)
        with self._changed:
            self._working.discard(child.pid)
            self._living -= 1
            self._changed.notify()

    # --- the lane ---

    def _suspect(self, job: _Job) -> None:
        with self._changed:
            self._suspects[job.about] = None
            while len(self._suspects) > MAX_SUSPECTS:
                self._suspects.popitem(last=False)

    @contextlib.contextmanager
    def _turn(self, about: int) -> Iterator[None]:
        """What once went over a limit waits for its turn among its like."""
        if about not in self._suspects:
            yield
            return
        if not self._lane.acquire(timeout=self.limits.wait_seconds):
            raise _busy()
        try:
            yield
        finally:
            self._lane.release()


def _busy() -> RenderBusy:
    return RenderBusy("Messages cannot be rendered right now; try again in a moment.")


def _signed(filled: Filled, mark: str, click: Callable[[str], str]) -> Filled:
    """The parts with the addresses of their links in place of the marks; nobody could guess the mark and write it into a value."""
    addresses = {digest: click(digest) for digest in filled.links}
    escaped = {digest: str(escape(address)) for digest, address in addresses.items()}
    return Filled(
        _put_in(filled.subject, mark, addresses),
        _put_in(filled.html, mark, escaped),
        _put_in(filled.text, mark, addresses),
        filled.links,
        {name: _put_in(text, mark, addresses) for name, text in filled.parts.items()},
        filled.coupons,
    )


def _put_in(text: str, mark: str, addresses: Mapping[str, str]) -> str:
    first, *others = text.split(mark)
    return "".join((first, *(addresses.get(part[:32], mark + part[:32]) + part[32:] for part in others)))
