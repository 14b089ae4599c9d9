"""Forms of a page: fields in a list, one handler when they are sent, what is wrong beside the field.

A form sends all its values at once when it is submitted, by button or by Enter, so nothing typed is ever half on its way. ReactPy's client
sets every field back to what was drawn whenever it draws, so a refused form is drawn with what was typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, datalist, html, submitted
from engine.temporal.wakeups import Wakeups
from journeys.errors import Conflict, Invalid, Issue

MOST = 10_000
FIELDS = ("INPUT", "SELECT", "TEXTAREA")
Values = Mapping[str, str]
Change = Callable[[PageContext, Values], Wakeups | None]


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind`: an input's type, or select or textarea; `value` of a checkbox is "on" or empty; `group` is a heading before it."""

    name: str
    label: str
    kind: str = "text"
    value: str = ""
    options: Sequence[tuple[str, str]] = ()
    most: int = 0
    least: float | None = None
    greatest: float | None = None
    required: bool = False
    hint: str = ""
    offered: Sequence[str] = ()
    group: str = ""


def form(
    context: PageContext, acts: Acts, name: str, fields: Sequence[Field], button: str, act: str, do: Change, done: str, generation: str = ""
) -> Element:
    """The form for whoever may send it, else its values to read. Another `generation` draws the fields anew."""
    if not context.may(act):
        return components.facts([(field.label, read_only(context, field)) for field in fields])

    async def sent(event: Mapping[str, Any]) -> None:
        values = read(event, fields)

        def carry(visitor: PageContext) -> Wakeups | None:
            open_text = [field.name for field in fields if field.kind != "password"]
            return attempt(visitor, acts, name, do, values, open_text)

        await acts.act(act, carry, done)(event)

    typed = [replace(field, value=acts.drafts.get(f"typed.{name}.{field.name}", field.value)) for field in fields]
    shown = [_shown(name, field, acts.drafts.get(f"wrong.{name}.{field.name}", "")) for field in typed]
    return html.form(
        {"className": "form", "key": f"{name}.{generation}", "onSubmit": submitted(sent)},
        *shown,
        html.div({"className": "actions"}, html.button({"className": "button main", "type": "submit"}, button)),
    )


def read_only(context: PageContext, field: Field) -> str:
    if field.kind == "checkbox":
        return context.t("yes") if field.value else context.t("no")
    return dict(field.options).get(field.value, field.value) or "–"


def read(event: Mapping[str, Any], fields: Sequence[Field]) -> Values | None:
    """The values that a browser sent, in the order of its fields; None where they are not those of the form."""
    elements = event.get("target", {}).get("elements", ()) if isinstance(event.get("target"), Mapping) else ()
    found = [one for one in elements if isinstance(one, Mapping) and one.get("tagName") in FIELDS]
    if len(found) != len(fields):
        return None
    return {field.name: _value(field, one) for field, one in zip(fields, found, strict=True)}


def _value(field: Field, element: Mapping[str, Any]) -> str:
    if field.kind == "checkbox":
        return "on" if element.get("checked") is True else ""
    return str(element.get("value") or "").replace("\0", "")[: field.most or MOST].strip()


def attempt(context: PageContext, acts: Acts, name: str, do: Change, values: Values | None, kept: Sequence[str] = ()) -> Wakeups | None:
    """Does it, and remembers for the next drawing which fields were wrong, and what stood in the `kept` ones.

    Raises:
        Invalid: some were, or what was sent does not belong to the form.
    """
    forget(acts, name)
    if values is None:
        raise Invalid("The form has changed in the meantime; reload the page.")
    acts.drafts.update({f"typed.{name}.{field}": values[field] for field in kept})
    try:
        woken = do(context, values)
        forget(acts, name)
        return woken
    except Invalid as error:
        for issue in error.issues:
            acts.drafts[f"wrong.{name}.{place(issue.field or '', values)}"] = issue.say(context.t.translate)
        if not error.issues:
            raise
        raise Invalid("Please check the highlighted fields.", error.issues) from None


def forget(acts: Acts, name: str) -> None:
    for known in [known for known in acts.drafts if known.startswith((f"wrong.{name}.", f"typed.{name}."))]:
        del acts.drafts[known]


def place(field: str, values: Values) -> str:
    """The form's field that a dotted path means: itself, else the nearest above or below it."""
    while field and field not in values:
        below = next((known for known in values if known.startswith(f"{field}.")), None)
        if below is not None:
            return below
        field = field.rpartition(".")[0]
    return field or next(iter(values))


def _shown(form_name: str, field: Field, wrong: str) -> Element:
    id = f"{form_name}-{field.name}"
    note = f"{id}-note"
    about = {"aria-describedby": note} if wrong or field.hint else {}
    control = _control(id, field, {**about, **({"aria-invalid": "true"} if wrong else {})})
    said = html.small(
        {"id": note}, html.span({"className": "wrong", "role": "alert"}, components.icon("alert"), wrong) if wrong else field.hint
    )
    label = html.label({"htmlFor": id}, field.label)
    line = (control, label) if field.kind == "checkbox" else (label, control)
    kind = "field check" if field.kind == "checkbox" else "field narrow" if field.kind in ("number", "time") else "field"
    return html._(
        html.h3({"className": "group"}, field.group) if field.group else None,
        html.div({"className": kind}, *line, said if about else None),
    )


def _control(id: str, field: Field, more: Mapping[str, str]) -> Element:
    base: dict[str, Any] = {"id": id, "name": field.name, "key": id, "required": field.required, **more}
    if field.kind == "select":
        options = [html.option({"key": value, "value": value, "selected": value == field.value}, text) for value, text in field.options]
        return html.select({**base, "defaultValue": field.value}, options)
    if field.kind == "checkbox":
        return html.input({**base, "type": "checkbox", "defaultChecked": bool(field.value)})
    if field.kind == "textarea":
        return html.textarea({**base, "rows": 5, "defaultValue": field.value, "maxLength": field.most or MOST})
    bounds = {"min": field.least, "max": field.greatest} if field.kind == "number" else {"maxLength": field.most or MOST}
    attributes = {**base, "type": field.kind, "defaultValue": field.value, "autoComplete": "off", **bounds}
    if not field.offered:
        return html.input({name: value for name, value in attributes.items() if value is not None})
    offered = [html.option({"key": one, "value": one}) for one in field.offered]
    return html._(html.input({**attributes, "list": f"{id}-offered"}), datalist({"id": f"{id}-offered"}, offered))


def once(context: PageContext, title: str, secret: str, note: str) -> Element:
    """Something that is shown once, with a button to copy it."""
    t = context.t
    field = {"type": "text", "readOnly": True, "value": secret, "aria-label": title, "id": "shown-once", "className": "code"}
    return html.section(
        {"className": "panel once", "role": "status"},
        html.h2(title),
        html.p({"className": "quiet"}, note),
        html.div(
            {"className": "form copy"},
            html.input(field),
            html.button(
                {"type": "button", "className": "button", "data-copy": "shown-once", "data-copied": t("Copied")},
                components.icon("clipboard-check"),
                html.span(t("Copy")),
            ),
        ),
    )


@contextmanager
def plainly(field: str = "") -> Iterator[None]:
    """A conflict whose own sentence says enough, shown at `field` instead of the general one."""
    try:
        yield
    except Conflict as error:
        issues = [Issue(code="conflict", text=error.text, values=error.details, field=field)] if field else []
        raise Invalid("{problem}", issues, problem=error) from None
