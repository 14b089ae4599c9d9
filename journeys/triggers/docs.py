"""The help page of the triggers, made from their docstrings, fields and examples."""

from __future__ import annotations

import json
import sys

from journeys.nodes.page import field_rows
from journeys.triggers import TRIGGERS, Trigger

HEAD = """# Triggers

What lets contacts into a journey: each entry of `entry.triggers` in its document is `{"type": …, fields…}`, and any one suffices. How they
work together with filter, re-entry and caps is in [journeys.md](journeys.md). This page is generated: `make docs`.
"""


def triggers_page() -> str:
    """The page as Markdown, in the order in which the builder shows them."""
    return "\n".join([HEAD, *(_section(one) for one in TRIGGERS)])


def _section(trigger: type[Trigger]) -> str:
    rows = list(field_rows(trigger.form(), hidden=("type",)))
    example = json.dumps({"type": trigger.kind(), **trigger.example}, ensure_ascii=False)
    table = ["| field | what | |", "|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"## {trigger.label}: `{trigger.kind()}`\n", f"{trigger.help()}\n", *table, "```json", example, "```", ""])


if __name__ == "__main__":
    sys.stdout.write(triggers_page())
