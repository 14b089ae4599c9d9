"""One process of the render pool: takes jobs from its parent, one at a time, and answers. It has no database, no key and no setting.

Its limits are the kernel's, so that they hold in the middle of native code: a timer of CPU time for each job, a timer of real time in
case the parent is gone, and the size of its memory. Its default answer to both timers is to end. It ends too when its parent does.
"""

from __future__ import annotations

import gc
import json
import pickle
import resource
import signal
import socket
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from struct import Struct
from typing import Any

from activities.rendering.compile import Variant, compile_template
from activities.rendering.faults import RenderFailed
from activities.rendering.render import Marks, fill, render_text
from activities.rendering.renderer import drawn
from journeys.channels import DEFAULT
from journeys.errors import Invalid

LENGTH = Struct("!I")
MAX_FRAME = 64_000_000
"""Bytes of one job or answer."""
Parts = tuple[str, str, str, tuple[tuple[str, str], ...]]
"""Subject, HTML, text, and the further parts of a template by their names."""


def main(descriptor: int, memory_bytes: int) -> None:
    """Serves until the parent closes the other end of the socket `descriptor`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent finishes what it has begun, and needs us for it
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    _warm()
    _limit(memory_bytes)
    connection = socket.socket(fileno=descriptor)
    send(connection, b"{}")
    work = Work()
    while (job := receive(connection)) is not None:
        send(connection, work.answer(job))


def _warm() -> None:
    """Loads what the first job would load, so that no job pays for it."""
    compile_template({"en": {"subject": "x", "mjml": "<mjml><mj-body></mj-body></mjml>"}}, DEFAULT)
    render_text("{{ 1|money }} {{ '2026-01-01'|date }}", {})
    gc.freeze()


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory_bytes, used + memory_bytes))
    except (OSError, ValueError):
        pass  # macOS has no such limit; what a rendering may print and work bounds it there


class Work:
    """What one process does. Templates are kept by the number that the parent gave them, until it says that they are forgotten."""

    def __init__(self) -> None:
        self._variants: dict[int, Variant] = {}
        self._variant = Variant()
        self._kinds: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "fill": self._fill,
            "text": self._text,
            "compile": self._compile,
            "card": self._card,
        }

    def answer(self, job: bytes) -> bytes:
        """The answer as JSON: `done`, `issues` or `failed`. No text of an error leaves, for it may quote a value."""
        try:
            kind, cpu_seconds, deadline_seconds, template, given = pickle.loads(job)
            if template:
                self._learn(**template)
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            signal.setitimer(signal.ITIMER_REAL, deadline_seconds)
            return json.dumps({"done": self._kinds[kind](pickle.loads(given))}).encode()
        except Invalid as error:
            return json.dumps({"issues": [issue.model_dump(exclude={"message"}) for issue in error.issues]}).encode()
        except RenderFailed as error:
            return json.dumps({"failed": [error.code, error.name]}).encode()
        except MemoryError:
            return json.dumps({"failed": ["too_large", "memory"]}).encode()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this job's; the parent hears of it
            return json.dumps({"failed": ["template_error", type(error).__name__]}).encode()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _learn(self, number: int, parts: Parts | None, forget: list[int]) -> None:
        for other in forget:
            del self._variants[other]
        if parts is not None:
            subject, html, text, further = parts
            self._variants[number] = Variant(subject, html, text, parts=dict(further))
        self._variant = self._variants[number]

    def _fill(self, given: Mapping[str, Any]) -> list[Any]:
        mark = given["mark"]
        click = (lambda digest: mark + digest) if mark else None
        marks = Marks(click, given["pixel_url"], frozenset(given["domains"]), given["parameters"], frozenset(given["left_alone"]))
        filled = fill(self._variant, given["values"], given["language"], marks, given["zone"])
        return [filled.subject, filled.html, filled.text, dict(filled.links), dict(filled.parts), list(filled.coupons)]

    def _text(self, given: Mapping[str, Any]) -> list[Any]:
        made = render_text(given["source"], given["values"], locale=given["locale"], zone=given["zone"])
        return [made.text, list(made.coupons)]

    def _card(self, given: Mapping[str, Any]) -> list[str]:
        return [b64encode(one).decode() for one in drawn(given["what"], given["card"], given["paper"])]

    def _compile(self, given: Mapping[str, Any]) -> Any:
        compiled = compile_template(given["variants"], given["kind"], message_class=given["message_class"], library=given["library"])
        return {
            "partials": dict(compiled.partials),
            "variants": compiled.to_json(),
            "warnings": [issue.model_dump(exclude={"message"}) for issue in compiled.warnings],
        }


def send(connection: socket.socket, frame: bytes) -> None:
    """One frame: its length, then its bytes."""
    connection.sendall(LENGTH.pack(len(frame)) + frame)


def receive(connection: socket.socket) -> bytes | None:
    """One frame; None when the other end is closed, or says what is no frame."""
    head = _exactly(connection, LENGTH.size)
    if head is None or (size := LENGTH.unpack(head)[0]) > MAX_FRAME:
        return None
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    frame = bytearray(size)
    view, at = memoryview(frame), 0
    while at < size:
        count = connection.recv_into(view[at:])
        if count == 0:
            return None
        at += count
    return bytes(frame)
