"""The control for a schedule: how often, when, at what time; the cron line itself for engineers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import time
from typing import Any

from babel.dates import get_month_names

from builder_ui.builder import widgets
from builder_ui.kit import labels
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.kit.times import REPEATS, Times, read


def field(form: widgets.Form, path: widgets.Path) -> Element:
    """How often, when, and at what time; the line itself for engineers."""
    line = str(form.value(path) or "")
    found, t = read(line), form.t
    own = bool(line) and found is None

    def keep(times: Times) -> None:
        form.edit(path, times.line(), True)

    def repeated(_path: Any, value: Any, _redraw: bool) -> None:
        if value in REPEATS:
            keep(replace(found or Times(value), repeat=value))

    pick = replace(form, edit=repeated)
    repeat = widgets.select(
        pick,
        path,
        list(REPEATS.items()),
        found.repeat if found else "own" if own else None,
        label=t("How often"),
    )
    return html.div(
        {"className": "pfb-list"},
        html.div(
            {"className": "pfb-row"}, repeat, *(_when(form, path, found, keep) if found else ())
        ),
        _weekdays(form, found, keep) if found and found.repeat == "week" else None,
        html.details(
            {"key": f"{form.key(path)}/line", "className": "pfb-begin", "open": own},
            html.summary({"className": "pfb-small"}, t("As a cron expression")),
            widgets.text(_line_form(form), path, label=t("Cron expression"), example="0 9 * * 1"),
            html.small(t("Minute, hour, day of the month, month, weekday, such as 0 9 * * 1.")),
        ),
    )


def _line_form(form: widgets.Form) -> widgets.Form:
    """The line in a field of its own beside the control that has the field's id."""
    return replace(
        form,
        target=f"{form.target}-line",
        edit=lambda path, value, _redraw: form.edit(path, value or "", True),
    )


def _when(
    form: widgets.Form, path: widgets.Path, found: Times, keep: Callable[[Times], None]
) -> list[Element]:
    t = form.t

    def timed(event: Mapping[str, Any]) -> None:
        said = str(event["target"].get("value") or "")
        if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", said):
            keep(replace(found, at=time.fromisoformat(said)))

    def choice(
        label: str,
        present: int | None,
        names: Mapping[int, str],
        with_number: Callable[[int | None], Times],
    ) -> Element:
        def changed(event: Mapping[str, Any]) -> None:
            said = str(event["target"].get("value") or "")
            keep(with_number(int(said) if said.isdecimal() else None))

        options = [
            html.option({"key": "", "value": ""}, "–"),
            *(html.option({"key": str(n), "value": str(n)}, name) for n, name in names.items()),
        ]
        attributes = {
            "value": str(present or ""),
            "onChange": changed,
            "aria-label": label,
            "disabled": not form.editable,
        }
        return html.select(attributes, options)

    fields = []
    if found.repeat in ("month", "year"):
        days = {n: f"{n}." if t.language == "de" else str(n) for n in range(1, 32)}
        fields.append(
            choice(t("Day of the month"), found.day, days, lambda n: replace(found, day=n))
        )
    if found.repeat == "year":
        months = get_month_names("wide", locale=t.locale)
        fields.append(choice(t("Month"), found.month, months, lambda n: replace(found, month=n)))
    clock = {
        "type": "time",
        "key": f"{form.key(path)}/at",
        "defaultValue": found.at.strftime("%H:%M"),
        "onBlur": timed,
    }
    return [
        *fields,
        html.span(t("at")),
        html.input({**clock, "aria-label": t("Time of day"), "disabled": not form.editable}),
    ]


def _weekdays(form: widgets.Form, found: Times, keep: Callable[[Times], None]) -> Element:
    def toggle(day: int) -> Callable[[Any], None]:
        return lambda _event: keep(
            replace(found, weekdays=tuple(sorted({*found.weekdays} ^ {day})))
        )

    boxes = [
        html.label(
            {"key": str(day), "className": "pfb-check"},
            html.input(
                {
                    "type": "checkbox",
                    "checked": day in found.weekdays,
                    "onChange": toggle(day),
                    "disabled": not form.editable,
                }
            ),
            form.t(name),
        )
        for day, name in enumerate(labels.WEEKDAYS)
    ]
    return html.div({"className": "pfb-days", "role": "group", "aria-label": form.t("Days")}, boxes)
