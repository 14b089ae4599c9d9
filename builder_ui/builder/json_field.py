"""The widget of a value that nobody foresaw: JSON as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builder_ui.builder.widgets import Form, Path, entered
from builder_ui.kit import components
from builder_ui.kit.reactpy_compat import Element, html


def code(form: Form, path: Path) -> Element:
    """JSON as text; what cannot be read stays in the field, with the place where reading ended."""
    value, t = form.value(path), form.t

    def left(event: Mapping[str, Any]) -> None:
        said = entered(event).strip()
        form.edit(path, _json(said) if said else None, False)

    shown = (
        value
        if isinstance(value, str)
        else ""
        if value is None
        else json.dumps(value, indent=2, ensure_ascii=False)
    )
    wrong = mistake(value) if isinstance(value, str) else None
    attributes = {
        "key": form.key(path),
        "id": form.id(path),
        "className": "code",
        "rows": 6,
        "spellCheck": False,
        "defaultValue": shown,
    }
    field = html.textarea(
        {
            **attributes,
            "onBlur": left,
            "disabled": not form.editable,
            "maxLength": 40_000,
            "aria-invalid": wrong is not None,
        }
    )
    if wrong is None:
        return field
    line, column, text = wrong
    said = t("This is not JSON: line {line}, column {column}.", line=line, column=column)
    return html.div(
        field,
        html.p(
            {"className": "pfb-wrong", "role": "alert"},
            components.icon("alert"),
            html.span(said, " ", html.code(text)),
        ),
    )


def _json(said: str) -> Any:
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return said


def mistake(said: str) -> tuple[int, int, str] | None:
    """Where a text stops being JSON: line and column from 1, and that line; None if it is JSON."""
    try:
        json.loads(said)
    except json.JSONDecodeError as error:
        lines = said.splitlines() or [""]
        line = min(error.lineno, len(lines))
        return line, error.colno, lines[line - 1].strip()[:80]
    except (ValueError, RecursionError):
        return 1, 1, said[:80]
    return None
