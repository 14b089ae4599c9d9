"""What worker and web server write: one line a record, to standard error; supervisors and containers keep it. Floods are cut off
(`commands.log_limit`)."""

from __future__ import annotations

import logging
import sys

from commands.log_limit import LimitedHandler
from settings import Settings

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("httpx", "httpcore", "alembic", "temporalio", "uvicorn", "websockets")
"""Foreign loggers that would fill the log or write addresses of people into it; only their warnings are kept."""

ALWAYS = "pfadwerk.audit"
"""Heads of the audit trail are written at every level: whoever looks for lines that were cut off needs them."""


def configure(settings: Settings) -> None:
    """Sets up logging for this process at the level of the settings."""
    logging.basicConfig(level=settings.log_level.upper(), format=FORMAT, handlers=[LimitedHandler(sys.stderr)], force=True)
    logging.captureWarnings(True)
    logging.getLogger(ALWAYS).setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
