"""What worker and web server write: one line a record, to standard error; supervisors and containers keep it. Floods are cut off
(`commands.log_limit`).

`PFADWERK_LOG_FORMAT=json` makes each line one JSON object, whoever wrote it: our code, uvicorn, the Temporal SDK and its core, alembic, Python's
warnings, an exception nobody caught. Names of fields are a promise to whoever collects them.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from commands.log_limit import MAX_CHARACTERS, LimitedHandler
from engine.log_fields import FIELDS, present
from settings import Settings

if TYPE_CHECKING:
    from temporalio.runtime import LoggingConfig

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("httpx", "httpcore", "alembic", "temporalio", "uvicorn", "websockets", "opentelemetry")
"""Foreign loggers that would fill the log or write addresses of people into it; only their warnings are kept."""

ALWAYS = "pfadwerk.audit"
"""Heads of the audit trail are written at every level: whoever looks for lines that were cut off needs them."""


def configure(settings: Settings, process: str) -> None:
    """Sets up logging for this process at the level of the settings. `process` names it on its lines: worker, api."""
    handler = LimitedHandler(sys.stderr)
    is_json = settings.log_format == "json"
    handler.setFormatter(JsonLines(process) if is_json else logging.Formatter(FORMAT))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger(ALWAYS).setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    if is_json:
        _log_what_nobody_catches()


class JsonLines(logging.Formatter):
    """A record as one line of JSON: `ts`, `level`, `logger`, `message`, `process`, those of `FIELDS` that are known, and `exception`.

    Of an exception its kind and places are written, never its text: that may hold what a contact typed.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """At most `MAX_CHARACTERS`, and whole: half an object is none."""
        for most in (8_000, 2_000):
            text = self._line(record, most)
            if len(text) <= MAX_CHARACTERS:
                return text
        return self._line(record, 500)

    def _line(self, record: logging.LogRecord, most: int) -> str:
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _shortened(record.getMessage(), most),
            "process": self.process,
        }
        known = present()
        line |= {name: str(value) for name in FIELDS if (value := getattr(record, name, None) or known.get(name))}
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            line["exception"] = {"type": kind.__name__, "traceback": _shortened("".join(traceback.format_tb(trace)), most)}
        return orjson.dumps(line).decode()


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text)} characters)"


def sentence(text: str, process: str) -> str:
    """What ends a process before or after its logging, as a line like the others."""
    record = logging.LogRecord("pfadwerk", logging.ERROR, __file__, 0, text, None, None)
    return JsonLines(process).format(record)


def core_logging(settings: Settings) -> LoggingConfig:
    """Where the core of the Temporal SDK writes: by itself, or as records of Python's logging, so that its lines are JSON, too."""
    from temporalio.runtime import LogForwardingConfig, LoggingConfig, TelemetryFilter

    if settings.log_format == "text":
        return LoggingConfig.default
    return LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )


def _log_what_nobody_catches() -> None:
    log = logging.getLogger("pfadwerk")

    def caught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.critical("an exception that nobody caught", exc_info=(kind, error, trace))

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            caught(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    sys.excepthook = caught
    threading.excepthook = in_thread
