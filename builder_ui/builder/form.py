"""A form out of a JSON Schema: every kind of step brings its own (`Node.form`), the journey's parts bring theirs.

Widgets follow from hints (`widget`), formats and types; a field nobody foresaw becomes a JSON field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from builder_ui.builder import fields, schedule
from builder_ui.builder.choosers import look, recipients, secret
from builder_ui.builder.durations import duration
from builder_ui.builder.journey_form import DEFINITIONS
from builder_ui.builder.json_field import code
from builder_ui.builder.pairs import headers, pairs
from builder_ui.builder.rule_editor import rule_field
from builder_ui.builder.several import weekdays, words_list
from builder_ui.builder.shares import even, share_field, total
from builder_ui.builder.suggestions import names_list, paths, properties, suggested
from builder_ui.builder.widgets import (
    Form,
    Path,
    Schema,
    alert,
    area,
    checkbox,
    entered,
    example_of,
    explained,
    number,
    picker,
    scalar,
    select,
    small,
    stored_or_default,
    text,
)
from builder_ui.kit.reactpy_compat import Element, html

PICKERS = (
    "template",
    "pool",
    "journey",
    "secret",
    "user",
    "purpose",
    "score_group",
    "cap_class",
    "sender",
    "topic",
    "segment",
)
LISTED = {"tags": "pfb-tags", "field_names": "pfb-fields"}
"""Widget of a list of names -> the suggestions for each of them."""
FILLED = ("input",)
"""Where the form of a custom activity stands in its step: every field of it takes placeholders."""


def draw_object(form: Form, schema: Schema, hidden: Sequence[str] = ()) -> Element:
    """All fields of an object, in the order of its schema."""
    form = replace(form, definitions=schema.get("$defs", {}))
    return html.div({"className": "pfb-form"}, *_fields(form, schema, (), hidden))


def draw_part(form: Form, schema: Schema, path: Path) -> Element:
    """One chapter of the journey's own form; an object's fields at once, a list as a list."""
    form = replace(form, definitions=DEFINITIONS)
    optional, inner = _inner(form, form.resolve(schema))
    if inner.get("properties"):
        return html.div({"className": "pfb-form"}, *_fields(form, inner, path))
    return html.div({"className": "pfb-form"}, labelled(form, path, inner, not optional))


def _fields(form: Form, schema: Schema, path: Path, hidden: Sequence[str] = ()) -> list[Element]:
    needed = schema.get("required", ())
    properties = schema.get("properties", {})
    around = form.value(path) or {}
    offered = [name for name in properties if name not in (*hidden, "kind")]
    shown = [name for name in offered if fields.matters((*path, name), properties[name], around)]
    shown.sort(key=lambda name: bool(properties[name].get("further")))
    return [labelled(form, (*path, name), properties[name], name in needed) for name in shown]


def labelled(form: Form, path: Path, schema: Schema, needed: bool) -> Element:
    """One field with its title, what it means, and what is wrong with it."""
    schema = form.resolve(schema)
    optional, inner = _inner(form, schema)
    t = form.t
    title = t(fields.title(path, inner))
    help_text = fields.description(inner)
    wrong = [
        alert(form, issue) for issue in form.issues.get(".".join(str(one) for one in path), ())
    ]
    key = {"key": form.key(path) + "/field", "className": "pfb-field bad" if wrong else "pfb-field"}
    if inner.get("type") == "boolean":
        return html.div(
            key,
            checkbox(form, path, bool(stored_or_default(form, path, inner)), title),
            explained(t, help_text),
            *wrong,
        )
    hint = inner.get("widget", "")
    widget = _widget(Field(form, path, inner, optional and not needed, title, hint))
    legend = html.label(
        {"htmlFor": form.id(path)}, title, html.small(" ", t("(optional)")) if optional else None
    )
    return html.div(key, legend, widget, explained(t, help_text), *wrong)


def _inner(form: Form, schema: Schema) -> tuple[bool, Schema]:
    """(whether None is allowed, the schema of the rest)."""
    choices = schema.get("anyOf")
    if not choices or not any(one.get("type") == "null" for one in choices):
        return False, schema
    rest = [form.resolve(one) for one in choices if one.get("type") != "null"]
    outer = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return True, {**rest[0], **outer} if len(rest) == 1 else {**outer, "anyOf": rest}


def _is_rule(schema: Schema) -> bool:
    options = schema.get("oneOf") or ()
    return schema.get("widget") == "rule" or any(
        str(one.get("$ref", "")).endswith("/Group") for one in options
    )


@dataclass(frozen=True, slots=True)
class Field:
    """One field that wants its widget. `hint` is the schema's `widget`; `optional`: nothing is a value, too."""

    form: Form
    path: Path
    schema: Schema
    optional: bool
    title: str
    hint: str

    @property
    def value(self) -> Any:
        return stored_or_default(self.form, self.path, self.schema)


def _picked(field: Field) -> Element:
    form, path, hint = field.form, field.path, field.hint
    chosen = picker(
        form, path, form.lookups.offered(hint, field.schema), field.optional, value=field.value
    )
    return html.div({"className": "pfb-picked"}, chosen, look(form, hint, form.value(path)))


def _node(field: Field) -> Element:
    kinds = field.form.kinds
    steps = [
        (id, field.form.names.get(id, id))
        for id, kind in kinds.items()
        if kind == field.schema.get("kind", kind)
    ]
    return picker(field.form, field.path, steps, field.optional)


def _property(field: Field) -> Element:
    """A property of the event that is chosen beside it."""
    id, listed = properties(field.form, field.path, [field.form.value((*field.path[:-1], "event"))])
    return html._(text(field.form, field.path, offered=id), listed)


def _secret(field: Field) -> Element:
    if field.form.keep_secret is None:
        return _picked(field)
    return secret(field.form, field.path, field.optional, field.form.keep_secret)


def _duration(field: Field) -> Element:
    return duration(
        field.form, field.path, field.value, signed=field.path[-1] == "offset", label=field.title
    )


def _choice(field: Field) -> Element:
    choices = [(one, fields.choice(one)) for one in field.schema["enum"]]
    return select(field.form, field.path, choices, field.value, field.optional)


def _number(field: Field) -> Element:
    return number(field.form, field.path, field.value, field.schema, typed=field.path[:1] == FILLED)


def _text(field: Field) -> Element:
    form, schema = field.form, field.schema
    kind = "time" if field.hint == "time" or fields.is_clock(schema) else "text"
    return text(
        form,
        field.path,
        kind=kind,
        most=schema.get("maxLength"),
        default=schema.get("default"),
        example=example_of(form, schema),
    )


def _object(field: Field) -> Element:
    return html.div({"className": "pfb-item"}, *_fields(field.form, field.schema, field.path))


def _area(field: Field) -> Element:
    return area(
        field.form, field.path, field.schema.get("maxLength"), example_of(field.form, field.schema)
    )


Draw = Callable[[Field], Element]
HINTED: Mapping[str, Draw] = {
    "rule": lambda field: rule_field(field.form, field.path, field.optional),
    **dict.fromkeys(PICKERS, _picked),
    "secret": _secret,
    "node": _node,
    "recipients": lambda field: recipients(field.form, field.path),
    "event": lambda field: text(field.form, field.path, offered=suggested("event")),
    "field": lambda field: text(field.form, field.path, offered=suggested("field")),
    "paths": lambda field: paths(field.form, field.path),
    "property": _property,
    **dict.fromkeys(LISTED, lambda field: names_list(field.form, field.path, LISTED[field.hint])),
    "fields": lambda field: pairs(field.form, field.path, copies=True),
    "headers": lambda field: headers(field.form, field.path),
    "cron": lambda field: schedule.field(field.form, field.path),
    "text": _area,
}
"""`widget` of a schema -> what draws it."""
SHAPED: Sequence[tuple[Callable[[Schema], bool], Draw]] = (
    (lambda schema: schema.get("format") == "duration", _duration),
    (lambda schema: "enum" in schema, _choice),
    (
        lambda schema: "discriminator" in schema,
        lambda field: variants(field.form, field.path, field.schema),
    ),
    (
        lambda schema: schema.get("type") == "array",
        lambda field: _array(field.form, field.path, field.schema),
    ),
    (lambda schema: schema.get("type") in ("integer", "number"), _number),
    (lambda schema: schema.get("type") == "string", _text),
    (lambda schema: schema.get("type") == "object" and bool(schema.get("properties")), _object),
    (lambda schema: _is_texts(schema), lambda field: pairs(field.form, field.path, copies=False)),
    (
        lambda schema: not schema.get("type") and not schema.get("anyOf"),
        lambda field: scalar(field.form, field.path),
    ),
    (lambda _schema: True, lambda field: code(field.form, field.path)),
)
"""(whether a schema without a hint is of this shape, what draws it): the first that fits."""


def _widget(field: Field) -> Element:
    if _is_rule(field.schema):
        return HINTED["rule"](field)
    return (HINTED.get(field.hint) or _by_shape(field.schema))(field)


def _by_shape(schema: Schema) -> Draw:
    return next(draw for fits, draw in SHAPED if fits(schema))


def _is_texts(schema: Schema) -> bool:
    """An object of any names whose values are texts."""
    more = schema.get("additionalProperties")
    return (
        schema.get("type") == "object"
        and isinstance(more, Mapping)
        and more.get("type") == "string"
    )


def _array(form: Form, path: Path, schema: Schema) -> Element:
    item = form.resolve(schema.get("items", {}))
    if item.get("type") == "integer" and item.get("maximum") == 6:
        return weekdays(form, path, stored_or_default(form, path, schema))
    if item.get("type") == "string":
        return words_list(form, path, stored_or_default(form, path, schema) or ())
    return items(form, path, schema, item)


def items(form: Form, path: Path, schema: Schema, item: Schema) -> Element:
    """A list of objects: branches, cases, arms, triggers."""
    t, value = form.t, form.value(path) or []
    value = value if isinstance(value, list) else []
    shares = "percent" in item.get("properties", {})

    def keep(new: list[Any]) -> None:
        form.edit(path, even(new) if shares and len(new) != len(value) else new, True)

    def remove(place: int) -> Callable[[Any], None]:
        return lambda _event: keep([*value[:place], *value[place + 1 :]])

    def up(place: int) -> Callable[[Any], None]:
        return lambda _event: keep(
            [*value[: place - 1], value[place], value[place - 1], *value[place + 1 :]]
        )

    cards = []
    for place in range(len(value)):
        buttons = [
            small(t("Up"), up(place), t("Move entry {number} up", number=place + 1))
            if place and form.editable
            else None,
            small(
                t("Remove"), remove(place), t("Remove entry {number}", number=place + 1), "danger"
            )
            if form.editable
            else None,
        ]
        top = html.div(
            {"className": "pfb-item-head"},
            html.span(f"{place + 1}."),
            html.span({"className": "pfb-row"}, *buttons),
        )
        body = _item(form, (*path, place), item, value, shares)
        cards.append(
            html.div({"key": f"{place}/{form.state(path)}", "className": "pfb-item"}, top, *body)
        )
    return html.div(
        {"className": "pfb-list", "id": form.id(path)},
        html._(cards),
        total(form, path, value) if shares else None,
        _more(form, path, schema, item, value, keep),
    )


def _more(
    form: Form,
    path: Path,
    schema: Schema,
    item: Schema,
    value: list[Any],
    keep: Callable[[list[Any]], None],
) -> Element:
    """The button that adds an entry; of a list of several types, one to choose from."""
    t = form.t
    if not form.editable or len(value) >= schema.get("maxItems", 1_000):
        return None
    types = _types(form, item)
    if not types:
        return small(
            t("Add"),
            lambda _event: keep([*value, fields.fresh(path, item, value)]),
            t("Add to “{list}”", list=t(fields.title(path, schema))),
        )

    def add(name: str) -> Callable[[Any], None]:
        return lambda _event: keep([*value, fields.fresh_of_type(name, types[name])])

    said = {name: t(str(one["title"])) for name, one in types.items()}
    buttons = [
        small(f"+ {said[name]}", add(name), t("Add: {entry}", entry=said[name])) for name in types
    ]
    return html.div({"className": "pfb-row pfb-adding"}, *buttons)


def _types(form: Form, item: Schema) -> dict[str, Schema]:
    mapping = item.get("discriminator", {}).get("mapping", {})
    return {name: form.resolve({"$ref": reference}) for name, reference in mapping.items()}


def _item(form: Form, path: Path, item: Schema, value: list[Any], shares: bool) -> list[Element]:
    types = _types(form, item)
    if types:
        return _variant(form, path, types)
    if shares:
        return [share_field(form, path, value), *_fields(form, item, path, ("percent",))]
    return _fields(form, item, path)


def variants(form: Form, path: Path, schema: Schema) -> Element:
    """One object of several types."""
    return html.div({"className": "pfb-item"}, *_variant(form, path, _types(form, schema)))


def _variant(form: Form, path: Path, types: Mapping[str, Schema]) -> list[Element]:
    t, present = form.t, form.value((*path, "type"))

    def changed(event: Mapping[str, Any]) -> None:
        if entered(event) in types:
            form.edit(path, fields.fresh_of_type(entered(event), types[entered(event)]), True)

    options = [
        html.option({"key": name, "value": name}, t(str(one["title"])))
        for name, one in types.items()
    ]
    attributes = {
        "value": present or "",
        "onChange": changed,
        "aria-label": t("Type"),
        "disabled": not form.editable,
    }
    schema = types.get(str(present))
    return [
        html.select(attributes, options),
        *(_fields(form, schema, path, ("type",)) if schema else ()),
    ]
