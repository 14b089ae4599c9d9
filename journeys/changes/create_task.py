from __future__ import annotations

from datetime import datetime
from typing import Literal

from journeys.changes.change import Change


class CreateTask(Change):
    """`id` is `run:node:visit`, so a task is created once whatever happens. `due_at` is aware UTC."""

    change: Literal["create_task"] = "create_task"
    id: str
    title: str
    description: str = ""
    owner: str | None = None
    due_at: datetime | None = None
    outcomes: tuple[str, ...] = ("done",)
    priority: Literal["low", "normal", "high"] = "normal"
    escalate_to: str | None = None
