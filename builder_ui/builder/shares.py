"""Shares in percent of the arms of a split: each in a field, and whether they add up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder_ui.builder.widgets import (
    Form,
    Path,
    as_number,
    entered,
    plain,
    small,
)
from builder_ui.kit import components
from builder_ui.kit.reactpy_compat import Element, html


def share_field(form: Form, path: Path, value: list[Any]) -> Element:
    """The share of an arm; of two arms the other one takes the rest."""
    place = int(path[-1])
    present = value[place].get("percent") if isinstance(value[place], dict) else None

    def left(event: Mapping[str, Any]) -> None:
        said = as_number(entered(event))
        new = [dict(one) for one in value]
        new[place]["percent"] = said
        if len(new) == 2 and isinstance(said, int | float) and 0 <= said <= 100:
            new[1 - place]["percent"] = round(100 - said, 3)
        form.edit(path[:-1], new, False)

    attributes = {
        "key": f"{form.key(path)}/{present}", "id": form.id((*path, "percent")), "type": "number", "min": 0, "max": 100, "step": "any",
        "defaultValue": "" if present is None else plain(present), "onBlur": left, "disabled": not form.editable,
    }  # fmt: skip
    title = form.t("Share in percent")
    return html.div(
        {"className": "pfb-field"},
        html.label({"htmlFor": form.id((*path, "percent"))}, title),
        html.input(attributes),
    )


def total(form: Form, path: Path, value: list[Any]) -> Element:
    """Whether shares add up, and the way to make them."""
    t = form.t
    whole = sum(
        share
        for one in value
        if isinstance(one, dict) and isinstance(share := one.get("percent"), int | float)
    )
    good = abs(whole - 100) <= 0.01 * max(1, len(value))
    said = t("Together {total} %", total=t.number(round(whole, 2)))
    return html.div(
        {"className": "pfb-row"},
        html.span(
            {"className": "pfb-total" if good else "pfb-wrong"},
            components.icon("check" if good else "alert"),
            " ",
            said,
        ),
        small(t("Share evenly"), lambda _event: form.edit(path, even(value), True))
        if form.editable and value
        else None,
    )


def even(value: list[Any]) -> list[Any]:
    """Equal shares that add up to exactly 100; the first takes what rounding leaves."""
    if not value:
        return value
    each = round(100 / len(value), 2)
    first = round(100 - each * (len(value) - 1), 2)
    return [{**one, "percent": first if place == 0 else each} for place, one in enumerate(value)]
