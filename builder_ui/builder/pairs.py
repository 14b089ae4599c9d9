"""Widgets of names with values: fields of a contact, headers of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder_ui.builder.choosers import secret
from builder_ui.builder.widgets import Form, Path, alert, as_scalar, entered, picker, small
from builder_ui.kit.reactpy_compat import Element, html


def pairs(form: Form, path: Path, copies: bool) -> Element:
    """Names with values; with `copies` a value may come from another field."""
    t, value = form.t, form.value(path)
    value = value if isinstance(value, dict) else {}
    rows = [_pair(form, path, value, name, copies, place) for place, name in enumerate(value)]

    def add(_event: Any) -> None:
        fresh = next(
            name
            for n in range(1, 1_000)
            if (name := f"field_{n}" if copies else f"X-Header-{n}") not in value
        )
        form.edit(path, {**value, fresh: ""}, True)

    return html.div(
        {"className": "pfb-list", "id": form.id(path)},
        html._(rows),
        small(t("Add"), add) if form.editable else None,
    )


def headers(form: Form, path: Path) -> Element:
    """Headers of a request: each is a text, or a secret by its name with what stands before it."""
    t, value = form.t, form.value(path)
    value = value if isinstance(value, dict) else {}
    rows = [_header(form, path, value, name, place) for place, name in enumerate(value)]

    def add(_event: Any) -> None:
        fresh = next(name for n in range(1, 1_000) if (name := f"X-Header-{n}") not in value)
        form.edit(path, {**value, fresh: ""}, True)

    return html.div(
        {"className": "pfb-list", "id": form.id(path)},
        html._(rows),
        small(t("Add"), add) if form.editable else None,
    )


def _header(form: Form, path: Path, value: Mapping[str, Any], name: str, place: int) -> Element:
    t, named = form.t, isinstance(value[name], dict)

    def rename(event: Mapping[str, Any]) -> None:
        said = entered(event).strip()
        if said and said not in value:
            form.edit(
                path, {said if one == name else one: kept for one, kept in value.items()}, True
            )

    def turn(event: Mapping[str, Any]) -> None:
        named = {"secret": "", "prefix": "Bearer " if name.lower() == "authorization" else ""}
        form.edit(path, {**value, name: named if entered(event) == "secret" else ""}, True)

    def remove(_event: Any) -> None:
        form.edit(path, {one: kept for one, kept in value.items() if one != name} or None, True)

    key, disabled = f"{place}/{form.key((*path, name))}", {"disabled": not form.editable}
    ways = [
        html.option({"key": "text", "value": "text"}, t("Text")),
        html.option({"key": "secret", "value": "secret"}, t("Secret")),
    ]
    called = {
        "key": key + "/n",
        "id": form.id((*path, place, "name")),
        "type": "text",
        "defaultValue": name,
        "onBlur": rename,
    }
    return html.div(
        {"key": key, "className": "pfb-row"},
        html.input({**called, "aria-label": t("Header"), "maxLength": 64, **disabled}),
        html.select(
            {
                "value": "secret" if named else "text",
                "onChange": turn,
                "aria-label": t("Text or secret"),
                **disabled,
            },
            ways,
        ),
        *(
            _named_header(form, (*path, name))
            if named
            else [_header_text(form, (*path, name), "Value")]
        ),
        small("×", remove, t("Remove “{name}”", name=name), "danger") if form.editable else None,
        *(
            alert(form, issue)
            for one in ((), ("secret",), ("prefix",))
            for issue in form.issues.get(_dotted(*path, name, *one), ())
        ),
    )


def _dotted(*path: str | int) -> str:
    return ".".join(str(one) for one in path)


def _named_header(form: Form, path: Path) -> list[Element]:
    chosen = (*path, "secret")
    offered = form.lookups.offered("secret", {})
    keep = form.keep_secret
    return [
        _header_text(form, (*path, "prefix"), "Prefix"),
        secret(form, chosen, False, keep)
        if keep
        else picker(form, chosen, offered, False, label=form.t("Secret")),
    ]


def _header_text(form: Form, path: Path, label: str) -> Element:
    """A text that is kept as it was typed, blanks at its end too: `Bearer ` needs its own."""

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, entered(event), False)

    attributes = {
        "key": form.key(path) + "/v",
        "id": form.id(path),
        "type": "text",
        "defaultValue": form.value(path) or "",
        "onBlur": left,
    }
    return html.input(
        {
            **attributes,
            "aria-label": form.t(label),
            "maxLength": 500,
            "autoComplete": "off",
            "disabled": not form.editable,
        }
    )


def _pair(
    form: Form, path: Path, value: Mapping[str, Any], name: str, copies: bool, place: int
) -> Element:
    t, present = form.t, value[name]
    copied = isinstance(present, dict)

    def rename(event: Mapping[str, Any]) -> None:
        said = entered(event).strip()
        fits = bool(said) and (said == name or said not in value)
        form.edit(
            path, {said if fits and one == name else one: kept for one, kept in value.items()}, True
        )

    def keep(event: Mapping[str, Any]) -> None:
        said = entered(event).strip()
        form.edit(
            path,
            {**value, name: {"from": said} if copied else as_scalar(said) if copies else said},
            False,
        )

    def turn(event: Mapping[str, Any]) -> None:
        form.edit(path, {**value, name: {"from": ""} if entered(event) == "copy" else ""}, True)

    def remove(_event: Any) -> None:
        form.edit(path, {one: kept for one, kept in value.items() if one != name} or None, True)

    key = form.key((*path, name))
    shown = (
        present.get("from", "")
        if copied
        else ""
        if present is None
        else str(present).lower()
        if isinstance(present, bool)
        else str(present)
    )
    disabled = {"disabled": not form.editable}
    ways = [
        html.option({"key": "is", "value": "is"}, t("set to")),
        html.option({"key": "copy", "value": "copy"}, t("copy from")),
    ]
    return html.div(
        {"key": f"{place}/{key}", "className": "pfb-row"},
        html.input({"key": key + "/n", "id": form.id((*path, place, "name")), "type": "text", "defaultValue": name, "onBlur": rename, "aria-label": t("Field"), "list": "pfb-fields" if copies else "", "maxLength": 120, **disabled}),
        html.select({"value": "copy" if copied else "is", "onChange": turn, "aria-label": t("Set or copy"), **disabled}, ways) if copies else None,
        html.input({"key": key + "/v", "id": form.id((*path, place, "value")), "type": "text", "defaultValue": shown, "onBlur": keep, "aria-label": t("Value"), "list": "pfb-fields" if copied else "", "maxLength": 2_000, **disabled}),
        small("×", remove, t("Remove “{name}”", name=name), "danger") if form.editable else None,
    )  # fmt: skip
