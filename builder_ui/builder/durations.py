"""The widget of a length of time: a number and a unit, before or after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from builder_ui.builder.widgets import Form, Path, as_number, entered, plain
from builder_ui.kit.reactpy_compat import Element, html

UNITS = (
    ("W", "weeks", 604_800),
    ("D", "days", 86_400),
    ("H", "hours", 3_600),
    ("M", "minutes", 60),
    ("S", "seconds", 1),
)
_span: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def duration(form: Form, path: Path, value: Any, signed: bool = False, label: str = "") -> Element:
    """A number and a unit; `signed` also says before or after."""
    t = form.t
    count, unit, negative = in_units(value)

    def keep(count: Any, unit: str, negative: bool) -> None:
        form.edit(path, iso(count, unit, negative), False)

    def left(event: Mapping[str, Any]) -> None:
        keep(as_number(entered(event)), unit, negative)

    def changed(event: Mapping[str, Any]) -> None:
        keep(count if count is not None else 1, entered(event), negative)

    def turned(event: Mapping[str, Any]) -> None:
        keep(count if count is not None else 1, unit, entered(event) == "before")

    named = label or t("Number")
    fields = [
        html.input({
            "key": form.key(path), "id": form.id(path), "type": "number", "min": 0, "defaultValue": "" if count is None else plain(count),
            "onBlur": left, "className": "narrow", "aria-label": named, "disabled": not form.editable,
        }),
        html.select(
            {"value": unit, "onChange": changed, "aria-label": t("Unit"), "disabled": not form.editable},
            [html.option({"key": code, "value": code}, t(name)) for code, name, _ in UNITS],
        ),
    ]  # fmt: skip
    if signed:
        sides = [html.option({"key": one, "value": one}, t(one)) for one in ("before", "after")]
        side = {
            "value": "before" if negative else "after",
            "onChange": turned,
            "aria-label": t("Before or after"),
            "disabled": not form.editable,
        }
        fields.append(html.select(side, sides))
    return html.div({"className": "pfb-row"}, *fields)


def in_units(value: Any) -> tuple[int | float | None, str, bool]:
    """An ISO 8601 duration as (number, unit, negative), in the largest unit that divides it."""
    try:
        seconds = _span.validate_python(value).total_seconds() if value not in (None, "") else None
    except ValidationError:
        seconds = None
    if seconds is None:
        return None, "D", False
    size = abs(seconds)
    code, unit = next(
        ((code, unit) for code, _, unit in UNITS if size and size % unit == 0),
        ("D", 86_400) if not size else ("S", 1),
    )
    return (int(size / unit) if size % unit == 0 else size / unit), code, seconds < 0


def iso(count: Any, unit: str, negative: bool = False) -> str | None:
    """(3, "D") -> "P3D"; None where there is no number, and what was typed where it is none."""
    if not isinstance(count, int | float):
        return count if isinstance(count, str) else None
    sizes = {code: size for code, _, size in UNITS}
    seconds = abs(count) * sizes.get(unit, 86_400)
    sign = "-" if negative else ""
    if unit in "WD" and float(count).is_integer():
        return f"{sign}P{round(seconds / 86_400)}D"
    if unit == "S" or not float(count).is_integer():
        return f"{sign}PT{seconds:g}S" if seconds < 1e6 else f"{sign}PT{round(seconds)}S"
    return f"{sign}PT{int(abs(count))}{unit}"
