"""What the files here are told beside the change itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from engine.engine import Engine
from engine.temporal.wakeups import Wakeups

Apply = Callable[[Engine, Session, Row[Any], Any, datetime], Wakeups]
"""(engine, the step's transaction, the row of the run whose step it is, the change, now) -> whom to wake and to start after it commits."""
