"""Widgets of several short values: weekdays, texts with commas between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builder_ui.builder.widgets import Form, Path, entered
from builder_ui.kit import labels
from builder_ui.kit.reactpy_compat import Element, html


def weekdays(form: Form, path: Path, value: Any) -> Element:
    chosen = set(value or ())

    def toggle(day: int) -> Callable[[Any], None]:
        return lambda _event: form.edit(path, sorted(chosen ^ {day}), False)

    boxes = [
        html.label(
            {"key": str(day), "className": "pfb-check"},
            html.input(
                {
                    "type": "checkbox",
                    "checked": day in chosen,
                    "onChange": toggle(day),
                    "disabled": not form.editable,
                }
            ),
            form.t(name),
        )
        for day, name in enumerate(labels.WEEKDAYS)
    ]
    return html.div({"className": "pfb-days", "role": "group", "id": form.id(path)}, boxes)


def words_list(form: Form, path: Path, value: Any) -> Element:
    """Short texts, with commas between them."""

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, [one.strip() for one in entered(event).split(",") if one.strip()], False)

    shown = ", ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
    attributes = {
        "key": form.key(path),
        "id": form.id(path),
        "type": "text",
        "defaultValue": shown,
        "onBlur": left,
        "maxLength": 4_000,
    }
    return html.div(
        {"className": "pfb-field"},
        html.input({**attributes, "disabled": not form.editable}),
        html.small(form.t("Separate several with commas.")),
    )
