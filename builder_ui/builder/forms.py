"""A form out of a JSON Schema: every kind of step brings its own (`Node.form`), the journey's parts bring theirs.

Widgets follow from hints (`widget`), formats and types; a field nobody foresaw becomes a JSON field. Text is committed when its field is
left: a field that follows every keystroke over a network loses some.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from builder_ui.builder import fields
from builder_ui.builder.draft import at
from builder_ui.builder.journey_form import DEFINITIONS
from builder_ui.builder.knowledge import Choice, Knowledge
from builder_ui.kit import components, labels
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, datalist, html
from journeys.errors import Issue
from journeys.rules import dates
from journeys.rules.terms import TERMS
from journeys.runkeys import paths_of

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]
UNITS = (("W", "weeks", 604_800), ("D", "days", 86_400), ("H", "hours", 3_600), ("M", "minutes", 60), ("S", "seconds", 1))
PICKERS = ("template", "pool", "journey", "secret", "user", "purpose", "score_group", "cap_class")
MOST_OFFERED = 400
LISTED = {"tags": "pfb-tags", "field_names": "pfb-fields"}
"""Widget of a list of names -> the suggestions for each of them."""
MAKER_WORDS = {"pool": "View rotations", "purpose": "View purposes", "score_group": "View scores"}

_span: TypeAdapter[timedelta] = TypeAdapter(timedelta)


@dataclass(frozen=True)
class Form:
    """What every widget needs. `raw` is the whole object, `edit(path, value, fields moved)` changes it; `generation` names the fields' state."""

    t: Translator
    knowledge: Knowledge
    target: str
    raw: Any
    edit: Callable[[Path, Any, bool], None]
    generation: int
    editable: bool = True
    definitions: Schema = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Node id -> kind."""
    issues: Mapping[str, Sequence[Issue]] = field(default_factory=dict)
    """Dotted path -> what is wrong there."""
    keep_secret: Callable[[str, str], None] | None = None
    """Stores a new secret under a name; None for those who may not."""
    last_message: str | None = None
    """The step that sends the last message before this one."""
    fresh: Mapping[Path, int] = field(default_factory=dict)
    """How often somebody else changed a field."""

    def value(self, path: Path) -> Any:
        return at(self.raw, path)

    def id(self, path: Path) -> str:
        return f"pfb-{self.target.strip('$')}-{'-'.join(str(one) for one in path)}"

    def key(self, path: Path) -> str:
        """A field of another key is drawn anew, with the value that is given."""
        return f"{self.target}/{'.'.join(str(one) for one in path)}/{self.state(path)}"

    def state(self, path: Path) -> str:
        """Another one once the value of a field came from elsewhere."""
        return f"{self.generation}.{self.times(path)}"

    def times(self, path: Path) -> int:
        return sum(count for place, count in self.fresh.items() if path[: len(place)] == place)

    def resolve(self, schema: Schema) -> Schema:
        """Follows a reference; what stands beside it (title, hint) stays."""
        if "$ref" in schema:
            found = self.definitions.get(schema["$ref"].rpartition("/")[2], {})
            return {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
        return schema


def form(form: Form, schema: Schema, hidden: Sequence[str] = ()) -> Element:
    """All fields of an object, in the order of its schema."""
    form = replace(form, definitions=schema.get("$defs", {}))
    return html.div({"className": "pfb-form"}, *_fields(form, schema, (), hidden))


def part(form: Form, schema: Schema, path: Path) -> Element:
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
    shown = [name for name in offered if fields.matters(form.target, (*path, name), properties[name], around)]
    return [labelled(form, (*path, name), properties[name], name in needed) for name in shown]


def labelled(form: Form, path: Path, schema: Schema, needed: bool) -> Element:
    """One field with its title, what it means, and what is wrong with it."""
    schema = form.resolve(schema)
    optional, inner = _inner(form, schema)
    t = form.t
    title = t(fields.title(form.target, path, inner))
    help_text = fields.description(form.target, path, inner)
    wrong = [_wrong(form, issue) for issue in form.issues.get(".".join(str(one) for one in path), ())]
    key = {"key": form.key(path) + "/field", "className": "pfb-field bad" if wrong else "pfb-field"}
    if inner.get("type") == "boolean":
        return html.div(key, checkbox(form, path, bool(_present(form, path, inner)), title), _small(t, help_text), *wrong)
    widget = _widget(form, path, inner, optional and not needed, title)
    legend = html.label({"htmlFor": form.id(path)}, title, html.small(" ", t("(optional)")) if optional else None)
    return html.div(key, legend, widget, _small(t, help_text), *wrong)


def _small(t: Translator, text: str) -> Element:
    return html.small(*components.marked(t(text))) if text else None


def _wrong(form: Form, issue: Issue) -> Element:
    tone = "pfb-wrong" if issue.severity == "error" else "pfb-wrong warning"
    return html.p({"className": tone, "role": "alert"}, components.icon("alert"), issue.say(form.t.translate))


def _inner(form: Form, schema: Schema) -> tuple[bool, Schema]:
    """(whether None is allowed, the schema of the rest)."""
    choices = schema.get("anyOf")
    if not choices or not any(one.get("type") == "null" for one in choices):
        return False, schema
    rest = [form.resolve(one) for one in choices if one.get("type") != "null"]
    outer = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return True, {**rest[0], **outer} if len(rest) == 1 else {**outer, "anyOf": rest}


def _present(form: Form, path: Path, schema: Schema) -> Any:
    """The value, else the default; but what is left open on purpose has none."""
    value, around = form.value(path), form.value(path[:-1])
    left_open = isinstance(around, Mapping) and path[-1] in around
    return schema.get("default") if value is None and not left_open else value


def _is_rule(schema: Schema) -> bool:
    options = schema.get("oneOf") or ()
    return schema.get("widget") == "rule" or any(str(one.get("$ref", "")).endswith("/Group") for one in options)


def _widget(form: Form, path: Path, schema: Schema, optional: bool, title: str) -> Element:
    from builder_ui.builder import schedule
    from builder_ui.builder.rulebook import rule_field

    hint = schema.get("widget") or fields.widget(form.target, path)
    kind = schema.get("type")
    if hint == "rule" or _is_rule(schema):
        return rule_field(form, path, optional)
    if hint == "secret" and form.keep_secret is not None:
        return secret(form, path, optional, form.keep_secret)
    if hint in PICKERS:
        chosen = picker(form, path, form.knowledge.offered(hint, schema), optional, value=_present(form, path, schema))
        return html.div({"className": "pfb-picked"}, chosen, look(form, hint, form.value(path)))
    if hint == "node":
        steps = [(id, form.names.get(id, id)) for id, one in form.kinds.items() if one == schema.get("kind", one)]
        return picker(form, path, steps, optional)
    if hint == "recipients":
        return recipients(form, path)
    if hint == "event":
        return text(form, path, offered=suggested("event"))
    if hint == "field":
        return text(form, path, offered=suggested("field"))
    if hint == "paths":
        return paths(form, path)
    if hint == "property":
        id, listed = properties(form, path, [form.value((*path[:-1], "event"))])
        return html._(text(form, path, offered=id), listed)
    if hint in LISTED:
        return names_list(form, path, LISTED[hint])
    if hint == "fields":
        return pairs(form, path, copies=True)
    if hint == "headers":
        return headers(form, path)
    if hint == "cron":
        return schedule.field(form, path)
    if hint == "text":
        return area(form, path, schema.get("maxLength"), _example(form, schema))
    if schema.get("format") == "duration":
        return duration(form, path, _present(form, path, schema), signed=path[-1] == "offset", label=title)
    if "enum" in schema:
        return select(form, path, [(one, fields.choice(one)) for one in schema["enum"]], _present(form, path, schema), optional)
    if "discriminator" in schema:
        return variants(form, path, schema)
    if kind == "array":
        return _array(form, path, schema)
    if kind in ("integer", "number"):
        return number(form, path, _present(form, path, schema), schema, typed=path[:1] == FILLED)
    if kind == "string":
        return text(
            form,
            path,
            kind="time" if hint == "time" or fields.is_clock(schema) else "text",
            most=schema.get("maxLength"),
            default=schema.get("default"),
            example=_example(form, schema),
        )
    if kind == "object" and schema.get("properties"):
        return html.div({"className": "pfb-item"}, *_fields(form, schema, path))
    if (
        kind == "object"
        and isinstance(schema.get("additionalProperties"), Mapping)
        and schema["additionalProperties"].get("type") == "string"
    ):
        return pairs(form, path, copies=False)
    if not kind and not schema.get("anyOf"):
        return scalar(form, path)
    return code(form, path)


# Plain widgets


def _said(event: Mapping[str, Any]) -> str:
    return str(event.get("target", {}).get("value") or "")


def text(
    form: Form,
    path: Path,
    *,
    kind: str = "text",
    offered: str = "",
    most: int | None = None,
    label: str = "",
    default: Any = None,
    example: str = "",
) -> Element:
    """One line of text, committed when it is left; `offered` names a list of suggestions."""
    value = form.value(path)
    if value is None and kind == "time":
        value = default

    def left(event: Mapping[str, Any]) -> None:
        said = _said(event).strip() if kind == "text" else _said(event)
        form.edit(path, said or (None if value is None else "" if path[-1] in ("name", "description", "salt", "subject") else None), False)

    attributes = {
        "key": form.key(path), "id": form.id(path), "type": kind, "defaultValue": "" if value is None else str(value), "onBlur": left,
        "disabled": not form.editable, "maxLength": most or 2_000, "autoComplete": "off",
        "placeholder": str(default or example),
    }  # fmt: skip
    return html.input({**attributes, **({"list": offered} if offered else {}), **({"aria-label": label} if label else {})})


def _example(form: Form, schema: Schema) -> str:
    """What may be written there, for an empty field to show."""
    examples = schema.get("examples") or ()
    return form.t("for example: {example}", example=form.t(examples[0])) if examples else ""


def area(form: Form, path: Path, most: int | None = None, example: str = "") -> Element:
    value = form.value(path)

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, _said(event) or None, False)

    attributes = {"key": form.key(path), "id": form.id(path), "defaultValue": value or "", "rows": 4, "onBlur": left}
    return html.textarea({**attributes, "disabled": not form.editable, "maxLength": most or 20_000, "placeholder": example})


def instant(form: Form, path: Path, label: str) -> Element:
    """A day or an instant as its reader writes them; what is neither, such as a length of time, stays as it was typed."""
    t, value = form.t, form.value(path)
    at = dates.read(value) if isinstance(value, str) else None
    shown = t.typed(at) if at is not None else "" if value is None else str(value)

    def left(event: Mapping[str, Any]) -> None:
        said = _said(event).strip()
        found = t.read(said)
        if said != shown:
            form.edit(path, dates.normalise(found) if found else said or None, False)

    example = t.typed(date(2026, 12, 24))
    attributes = {"key": form.key(path), "id": form.id(path), "type": "text", "defaultValue": shown, "onBlur": left, "maxLength": 200}
    return html.input({**attributes, "aria-label": label, "placeholder": example, "autoComplete": "off", "disabled": not form.editable})


def paths(form: Form, path: Path) -> Element:
    """A property, or several in order, separated by commas; what lets in and what ends has them."""
    triggers = form.value(("entry", "triggers"))
    events = [one.get("event") for one in triggers if isinstance(one, Mapping)] if isinstance(triggers, list | tuple) else []
    id, listed = properties(form, path, [*events, form.value((*path[:-1], "event"))])
    shown = ", ".join(paths_of(form.value(path)))

    def left(event: Mapping[str, Any]) -> None:
        if _said(event).strip() != shown:
            form.edit(path, read_paths(_said(event)), False)

    attributes = {"key": form.key(path), "id": form.id(path), "type": "text", "defaultValue": shown, "onBlur": left, "maxLength": 1_000}
    return html._(html.input({**attributes, "list": id, "autoComplete": "off", "spellCheck": False, "disabled": not form.editable}), listed)


def properties(form: Form, path: Path, events: Sequence[Any]) -> tuple[str, Element]:
    """The suggestions for properties of some events, those that are known: (id of the list, the list)."""
    known = [form.knowledge.catalogue.event(name) for name in events if isinstance(name, str)]
    names = list(dict.fromkeys(name for event in known if event for name in event.properties))[:MOST_OFFERED]
    id = f"{form.id(path)}-properties"
    return id, datalist({"id": id}, [html.option({"key": name, "value": name}) for name in names])


def names_list(form: Form, path: Path, offered: str) -> Element:
    """Names, each in a field of its own with suggestions, and an empty one that adds another; emptied, one goes."""
    t, value = form.t, form.value(path)
    present = [str(one) for one in value] if isinstance(value, list | tuple) else []

    def keep(place: int) -> Callable[[Any], None]:
        def left(event: Mapping[str, Any]) -> None:
            said = _said(event).strip()
            if said != (present[place] if place < len(present) else ""):
                form.edit(path, list(dict.fromkeys([*present[:place], *([said] if said else []), *present[place + 1 :]])), True)

        return left

    def field(place: int, name: str) -> Element:
        attributes = {"key": f"{form.key(path)}/{place}/{name}", "id": form.id((*path, place)) if name else form.id(path), "type": "text"}
        label = t("Entry {number}", number=place + 1) if name else t("Add another") if present else t("Add")
        return html.input({
            **attributes, "defaultValue": name, "list": offered, "onBlur": keep(place), "aria-label": None if not present else label,
            "placeholder": "" if name else t("Add another") if present else "", "maxLength": 120, "autoComplete": "off",
            "disabled": not form.editable,
        })  # fmt: skip

    fields = [field(place, name) for place, name in enumerate(present)]
    return html.div({"className": "pfb-item pfb-names"}, *fields, field(len(present), "") if form.editable or not present else None)


def read_paths(typed: str) -> str | list[str] | None:
    """What stands in a document for properties separated by commas: one alone as text, several as a list."""
    named = [name for one in typed.split(",") if (name := one.strip())]
    return named[0] if len(named) == 1 else named or None


def number(form: Form, path: Path, value: Any, schema: Schema, key: str = "", label: str = "", typed: bool = False) -> Element:
    """`typed`: a placeholder may stand there instead, which a number field of the browser does not take."""

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, as_number(_said(event)), False)

    attributes = {
        "key": key or form.key(path), "id": form.id(path), "type": "text" if typed else "number",
        "inputMode": "decimal", "defaultValue": "" if value is None else plain(value), "onBlur": left,
        "step": "1" if schema.get("type") == "integer" else "any", "disabled": not form.editable, "className": "narrow",
    }  # fmt: skip
    bounds = {name: schema[other] for name, other in (("min", "minimum"), ("max", "maximum")) if other in schema}
    return html.input({**attributes, **bounds, **({"aria-label": label} if label else {})})


FILLED = ("input",)
"""Where the form of a custom activity stands in its step: every field of it takes placeholders."""


def as_number(said: str) -> float | int | str | None:
    """What was typed as a number; something else stays what it is, and the check says so."""
    written = said.strip()
    if not written:
        return None
    if "{{" in written:
        return written[:300]
    try:
        found = float(written.replace(",", "."))
    except ValueError:
        return written[:40]
    return int(found) if found.is_integer() and abs(found) < 2**53 else found if abs(found) < 2**53 else written[:40]


def plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def checkbox(form: Form, path: Path, value: bool, title: str) -> Element:
    def changed(event: Mapping[str, Any]) -> None:
        form.edit(path, bool(event.get("target", {}).get("checked")), False)

    box = html.input({"type": "checkbox", "id": form.id(path), "checked": value, "onChange": changed, "disabled": not form.editable})
    return html.label({"className": "pfb-check", "htmlFor": form.id(path)}, box, title)


def select(
    form: Form, path: Path, choices: Sequence[tuple[Any, str]], value: Any, optional: bool = False, label: str = "", own: bool = False
) -> Element:
    """One of a few; `own`: the names are people's own, which nobody translates. A value that is none of them is shown as it is, so that
    opening a form changes nothing."""
    t = form.t
    shown = [(str(stored), said if own else t(said), stored) for stored, said in choices]
    if optional:
        shown.insert(0, ("", "–", None))
    present = "" if value is None else str(value)
    if not any(key == present for key, *_ in shown):
        shown.insert(0, (present, present or t("Please choose"), value))

    def changed(event: Mapping[str, Any]) -> None:
        said = _said(event)
        form.edit(path, next((stored for key, _, stored in shown if key == said), None), False)

    attributes = {"id": form.id(path), "value": present, "onChange": changed, "disabled": not form.editable}
    options = [html.option({"key": key, "value": key}, words_) for key, words_, _ in shown]
    return html.select({**attributes, **({"aria-label": label} if label else {})}, options)


def picker(form: Form, path: Path, choices: Sequence[tuple[str, str]], optional: bool, *, value: Any = None, label: str = "") -> Element:
    """One of what the workspace has; `value`: what holds where nothing is chosen."""
    named = [(key, name if name == key or not name else f"{name} ({key})") for key, name in choices]
    present = form.value(path)
    return select(form, path, named, value if present is None else present, optional, label, own=True)


def recipients(form: Form, path: Path) -> Element:
    """Who is told: the contact's owner, members by their names, and addresses. One choice each and an empty one that adds somebody."""
    t, value = form.t, form.value(path)
    present = [str(one) for one in value] if isinstance(value, list | tuple) else []
    people = [("owner", t("the contact's owner")), *form.knowledge.choices.get("user", [])]

    def keep(place: int) -> Callable[[Any], None]:
        def changed(event: Mapping[str, Any]) -> None:
            said = _said(event).strip()
            kept = [*present[:place], *([said] if said else []), *present[place + 1 :]]
            form.edit(path, list(dict.fromkeys(kept)), True)

        return changed

    rows = [html.div({"key": f"{place}.{one}"}, _person(form, path, place, one, people, keep(place))) for place, one in enumerate(present)]
    if not form.editable:
        return html.div({"className": "pfb-item"}, rows)
    others = [one for one in people if one[0] not in present]
    address = {"type": "email", "key": form.key(path) + "/new", "onBlur": keep(len(present)), "maxLength": 320, "autoComplete": "off"}
    return html.div(
        {"className": "pfb-item"},
        rows,
        _person(form, path, len(present), "", others, keep(len(present))),
        html.input({**address, "placeholder": t("or an e-mail address"), "aria-label": t("E-mail address")}),
    )


def _person(form: Form, path: Path, place: int, present: str, people: Sequence[Choice], changed: Callable[[Any], None]) -> Element:
    """One recipient, with what is wrong about them; the empty choice takes them out."""
    t = form.t
    shown = [("", "–" if present else t("Add a member")), *people]
    if present not in {key for key, _ in shown}:
        shown.append((present, present))
    key = f"{form.key(path)}/{place}/{present}"
    attributes = {"id": form.id((*path, place)), "value": present, "onChange": changed, "disabled": not form.editable, "key": key}
    options = [html.option({"key": id, "value": id}, name) for id, name in shown]
    wrong = [_wrong(form, issue) for issue in form.issues.get(".".join(str(one) for one in (*path, place)), ())] if present else []
    return html._(html.select({**attributes, "aria-label": t("Recipient {number}", number=place + 1)}, options), *wrong)


def look(form: Form, hint: str, value: Any) -> Element:
    """How a chosen thing looks, with the ways to its own page and to a new one; nothing where the hint has none of these."""
    t, found = form.t, form.knowledge.looks.get(hint, {}).get(str(value))
    maker = form.knowledge.makers.get(hint) if form.editable else None
    if found is None and maker is None:
        return None
    new = {"target": "_blank", "rel": "noopener"}
    return html.div(
        {"className": "pfb-look"},
        html.span({"className": "tpl-thumb", "key": found.picture}, components.picture(found.picture)) if found and found.picture else None,
        html.div(
            html.p(found.text(t.language)) if found else None,
            html.a({"href": found.address, **new}, t("Edit the template")) if found else None,
            html.a({"href": maker, **new}, t(MAKER_WORDS.get(hint, "New template"))) if maker else None,
        ),
    )


def duration(form: Form, path: Path, value: Any, signed: bool = False, label: str = "") -> Element:
    """A number and a unit; `signed` also says before or after."""
    t = form.t
    count, unit, negative = in_units(value)

    def keep(count: Any, unit: str, negative: bool) -> None:
        form.edit(path, iso(count, unit, negative), False)

    def left(event: Mapping[str, Any]) -> None:
        keep(as_number(_said(event)), unit, negative)

    def changed(event: Mapping[str, Any]) -> None:
        keep(count if count is not None else 1, _said(event), negative)

    def turned(event: Mapping[str, Any]) -> None:
        keep(count if count is not None else 1, unit, _said(event) == "before")

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
    code, unit = next(((code, unit) for code, _, unit in UNITS if size and size % unit == 0), ("D", 86_400) if not size else ("S", 1))
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


def secret(form: Form, path: Path, optional: bool, keep: Callable[[str, str], None]) -> Element:
    """The names of stored secrets, and beside them the way to a new one; what is secret is shown to nobody and kept by no page."""
    t, typed = form.t, {"name": "", "value": ""}

    def noted(part: str) -> Callable[[Mapping[str, Any]], None]:
        return lambda event: typed.update({part: _said(event)})

    def store(_event: Any) -> None:
        name, value = typed["name"].strip(), typed["value"]
        if name and value:
            keep(name, value)
            form.edit(path, name, True)

    base = {"autoComplete": "off", "className": "pfb-secret"}
    fields = [
        html.input({**base, "type": "text", "aria-label": t("Name of the secret"), "placeholder": t("Name"), "maxLength": 64, "onBlur": noted("name")}),
        html.input({**base, "type": "password", "aria-label": t("Secret"), "placeholder": t("Secret"), "maxLength": 4_000, "onBlur": noted("value")}),
        small(t("Store"), store),
    ]  # fmt: skip
    return html.div(
        picker(form, path, form.knowledge.offered("secret", {}), optional, label=t("Secret")),
        html.details({"key": form.key(path)}, html.summary(t("New secret")), html.div({"className": "pfb-row"}, *fields))
        if form.editable
        else None,
    )


def code(form: Form, path: Path) -> Element:
    """JSON as text; what cannot be read stays in the field, with the place where reading ended."""
    value, t = form.value(path), form.t

    def left(event: Mapping[str, Any]) -> None:
        said = _said(event).strip()
        form.edit(path, _json(said) if said else None, False)

    shown = value if isinstance(value, str) else "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
    wrong = mistake(value) if isinstance(value, str) else None
    attributes = {"key": form.key(path), "id": form.id(path), "className": "code", "rows": 6, "spellCheck": False, "defaultValue": shown}
    field = html.textarea(
        {**attributes, "onBlur": left, "disabled": not form.editable, "maxLength": 40_000, "aria-invalid": wrong is not None}
    )
    if wrong is None:
        return field
    line, column, text = wrong
    said = t("This is not JSON: line {line}, column {column}.", line=line, column=column)
    return html.div(
        field, html.p({"className": "pfb-wrong", "role": "alert"}, components.icon("alert"), html.span(said, " ", html.code(text)))
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


def scalar(form: Form, path: Path, offered: str = "", label: str = "") -> Element:
    """Text, a number, yes or no: what was typed decides."""
    value = form.value(path)

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, as_scalar(_said(event)), False)

    shown = "" if value is None else str(value).lower() if isinstance(value, bool) else plain(value)
    attributes = {
        "key": form.key(path),
        "id": form.id(path),
        "type": "text",
        "defaultValue": shown,
        "onBlur": left,
        "disabled": not form.editable,
    }
    return html.input(
        {**attributes, "maxLength": 2_000, **({"list": offered} if offered else {}), **({"aria-label": label} if label else {})}
    )


def as_scalar(said: str) -> Any:
    said = said.strip()
    if said in ("true", "false"):
        return said == "true"
    found = as_number(said) if said and (said.lstrip("-").replace(".", "", 1).isdigit()) and not said.startswith("0") else None
    return found if found is not None else said or None


# Widgets of several fields


def _array(form: Form, path: Path, schema: Schema) -> Element:
    item = form.resolve(schema.get("items", {}))
    if item.get("type") == "integer" and item.get("maximum") == 6:
        return weekdays(form, path, _present(form, path, schema))
    if item.get("type") == "string":
        return words_list(form, path, _present(form, path, schema) or ())
    return items(form, path, schema, item)


def weekdays(form: Form, path: Path, value: Any) -> Element:
    chosen = set(value or ())

    def toggle(day: int) -> Callable[[Any], None]:
        return lambda _event: form.edit(path, sorted(chosen ^ {day}), False)

    boxes = [
        html.label(
            {"key": str(day), "className": "pfb-check"},
            html.input({"type": "checkbox", "checked": day in chosen, "onChange": toggle(day), "disabled": not form.editable}),
            form.t(name),
        )
        for day, name in enumerate(labels.WEEKDAYS)
    ]
    return html.div({"className": "pfb-days", "role": "group", "id": form.id(path)}, boxes)


def words_list(form: Form, path: Path, value: Any) -> Element:
    """Short texts, with commas between them."""

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, [one.strip() for one in _said(event).split(",") if one.strip()], False)

    shown = ", ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
    attributes = {"key": form.key(path), "id": form.id(path), "type": "text", "defaultValue": shown, "onBlur": left, "maxLength": 4_000}
    return html.div(
        {"className": "pfb-field"},
        html.input({**attributes, "disabled": not form.editable}),
        html.small(form.t("Several are separated by commas.")),
    )


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
        return lambda _event: keep([*value[: place - 1], value[place], value[place - 1], *value[place + 1 :]])

    cards = []
    for place in range(len(value)):
        buttons = [
            small(t("Up"), up(place), t("Move entry {number} up", number=place + 1)) if place and form.editable else None,
            small(t("Remove"), remove(place), t("Remove entry {number}", number=place + 1), "danger") if form.editable else None,
        ]
        top = html.div({"className": "pfb-item-head"}, html.span(f"{place + 1}."), html.span({"className": "pfb-row"}, *buttons))
        body = _item(form, (*path, place), item, value, shares)
        cards.append(html.div({"key": f"{place}/{form.state(path)}", "className": "pfb-item"}, top, *body))
    return html.div(
        {"className": "pfb-list", "id": form.id(path)},
        html._(cards),
        total(form, path, value) if shares else None,
        _more(form, path, schema, item, value, keep),
    )


def _more(form: Form, path: Path, schema: Schema, item: Schema, value: list[Any], keep: Callable[[list[Any]], None]) -> Element:
    """The button that adds an entry; of a list of several types, one to choose from."""
    t = form.t
    if not form.editable or len(value) >= schema.get("maxItems", 1_000):
        return None
    types = _types(form, item)
    if not types:
        return small(
            t("Add"),
            lambda _event: keep([*value, fields.fresh(path, item, value)]),
            t("Add to “{list}”", list=t(fields.title(form.target, path, schema))),
        )

    def add(name: str) -> Callable[[Any], None]:
        return lambda _event: keep([*value, fields.fresh_of_type(name, types[name])])

    said = {name: t(str(one["title"])) for name, one in types.items()}
    buttons = [small(f"+ {said[name]}", add(name), t("Add: {entry}", entry=said[name])) for name in types]
    return html.div({"className": "pfb-row pfb-adding"}, *buttons)


def _types(form: Form, item: Schema) -> dict[str, Schema]:
    mapping = item.get("discriminator", {}).get("mapping", {})
    return {name: form.resolve({"$ref": reference}) for name, reference in mapping.items()}


def _item(form: Form, path: Path, item: Schema, value: list[Any], shares: bool) -> list[Element]:
    types = _types(form, item)
    if types:
        return _variant(form, path, types)
    if shares:
        return [_share(form, path, value), *_fields(form, item, path, ("percent",))]
    return _fields(form, item, path)


def _share(form: Form, path: Path, value: list[Any]) -> Element:
    """The share of an arm; of two arms the other one takes the rest."""
    place = int(path[-1])
    present = value[place].get("percent") if isinstance(value[place], dict) else None

    def left(event: Mapping[str, Any]) -> None:
        said = as_number(_said(event))
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
    return html.div({"className": "pfb-field"}, html.label({"htmlFor": form.id((*path, "percent"))}, title), html.input(attributes))


def total(form: Form, path: Path, value: list[Any]) -> Element:
    """Whether shares add up, and the way to make them."""
    t = form.t
    whole = sum(share for one in value if isinstance(one, dict) and isinstance(share := one.get("percent"), int | float))
    good = abs(whole - 100) <= 0.01 * max(1, len(value))
    said = t("Together {total} %", total=t.number(round(whole, 2)))
    return html.div(
        {"className": "pfb-row"},
        html.span({"className": "pfb-total" if good else "pfb-wrong"}, components.icon("check" if good else "alert"), " ", said),
        small(t("Share evenly"), lambda _event: form.edit(path, even(value), True)) if form.editable and value else None,
    )


def even(value: list[Any]) -> list[Any]:
    """Equal shares that add up to exactly 100; the first takes what rounding leaves."""
    if not value:
        return value
    each = round(100 / len(value), 2)
    first = round(100 - each * (len(value) - 1), 2)
    return [{**one, "percent": first if place == 0 else each} for place, one in enumerate(value)]


def variants(form: Form, path: Path, schema: Schema) -> Element:
    """One object of several types."""
    return html.div({"className": "pfb-item"}, *_variant(form, path, _types(form, schema)))


def _variant(form: Form, path: Path, types: Mapping[str, Schema]) -> list[Element]:
    t, present = form.t, form.value((*path, "type"))

    def changed(event: Mapping[str, Any]) -> None:
        if _said(event) in types:
            form.edit(path, fields.fresh_of_type(_said(event), types[_said(event)]), True)

    options = [html.option({"key": name, "value": name}, t(str(one["title"]))) for name, one in types.items()]
    attributes = {"value": present or "", "onChange": changed, "aria-label": t("Type"), "disabled": not form.editable}
    schema = types.get(str(present))
    return [html.select(attributes, options), *(_fields(form, schema, path, ("type",)) if schema else ())]


def pairs(form: Form, path: Path, copies: bool) -> Element:
    """Names with values; with `copies` a value may come from another field."""
    t, value = form.t, form.value(path)
    value = value if isinstance(value, dict) else {}
    rows = [_pair(form, path, value, name, copies, place) for place, name in enumerate(value)]

    def add(_event: Any) -> None:
        fresh = next(name for n in range(1, 1_000) if (name := f"field_{n}" if copies else f"X-Header-{n}") not in value)
        form.edit(path, {**value, fresh: ""}, True)

    return html.div({"className": "pfb-list", "id": form.id(path)}, html._(rows), small(t("Add"), add) if form.editable else None)


def headers(form: Form, path: Path) -> Element:
    """Headers of a request: each is a text, or a secret by its name with what stands before it."""
    t, value = form.t, form.value(path)
    value = value if isinstance(value, dict) else {}
    rows = [_header(form, path, value, name, place) for place, name in enumerate(value)]

    def add(_event: Any) -> None:
        fresh = next(name for n in range(1, 1_000) if (name := f"X-Header-{n}") not in value)
        form.edit(path, {**value, fresh: ""}, True)

    return html.div({"className": "pfb-list", "id": form.id(path)}, html._(rows), small(t("Add"), add) if form.editable else None)


def _header(form: Form, path: Path, value: Mapping[str, Any], name: str, place: int) -> Element:
    t, named = form.t, isinstance(value[name], dict)

    def rename(event: Mapping[str, Any]) -> None:
        said = _said(event).strip()
        if said and said not in value:
            form.edit(path, {said if one == name else one: kept for one, kept in value.items()}, True)

    def turn(event: Mapping[str, Any]) -> None:
        named = {"secret": "", "prefix": "Bearer " if name.lower() == "authorization" else ""}
        form.edit(path, {**value, name: named if _said(event) == "secret" else ""}, True)

    def remove(_event: Any) -> None:
        form.edit(path, {one: kept for one, kept in value.items() if one != name} or None, True)

    key, disabled = f"{place}/{form.key((*path, name))}", {"disabled": not form.editable}
    ways = [
        html.option({"key": "text", "value": "text"}, t("Text")),
        html.option({"key": "secret", "value": "secret"}, t("Secret")),
    ]
    called = {"key": key + "/n", "id": form.id((*path, place, "name")), "type": "text", "defaultValue": name, "onBlur": rename}
    return html.div(
        {"key": key, "className": "pfb-row"},
        html.input({**called, "aria-label": t("Header"), "maxLength": 64, **disabled}),
        html.select({"value": "secret" if named else "text", "onChange": turn, "aria-label": t("Text or secret"), **disabled}, ways),
        *(_named_header(form, (*path, name)) if named else [_header_text(form, (*path, name), "Value")]),
        small("×", remove, t("Remove “{name}”", name=name), "danger") if form.editable else None,
        *(_wrong(form, issue) for one in ((), ("secret",), ("prefix",)) for issue in form.issues.get(_dotted(*path, name, *one), ())),
    )


def _dotted(*path: str | int) -> str:
    return ".".join(str(one) for one in path)


def _named_header(form: Form, path: Path) -> list[Element]:
    chosen = (*path, "secret")
    offered = form.knowledge.offered("secret", {})
    keep = form.keep_secret
    return [
        _header_text(form, (*path, "prefix"), "Prefix"),
        secret(form, chosen, False, keep) if keep else picker(form, chosen, offered, False, label=form.t("Secret")),
    ]


def _header_text(form: Form, path: Path, label: str) -> Element:
    """A text that is kept as it was typed, blanks at its end too: `Bearer ` needs its own."""

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, _said(event), False)

    attributes = {"key": form.key(path) + "/v", "id": form.id(path), "type": "text", "defaultValue": form.value(path) or "", "onBlur": left}
    return html.input({**attributes, "aria-label": form.t(label), "maxLength": 500, "autoComplete": "off", "disabled": not form.editable})


def _pair(form: Form, path: Path, value: Mapping[str, Any], name: str, copies: bool, place: int) -> Element:
    t, present = form.t, value[name]
    copied = isinstance(present, dict)

    def rename(event: Mapping[str, Any]) -> None:
        said = _said(event).strip()
        fits = bool(said) and (said == name or said not in value)
        form.edit(path, {said if fits and one == name else one: kept for one, kept in value.items()}, True)

    def keep(event: Mapping[str, Any]) -> None:
        said = _said(event).strip()
        form.edit(path, {**value, name: {"from": said} if copied else as_scalar(said) if copies else said}, False)

    def turn(event: Mapping[str, Any]) -> None:
        form.edit(path, {**value, name: {"from": ""} if _said(event) == "copy" else ""}, True)

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
    ways = [html.option({"key": "is", "value": "is"}, t("set to")), html.option({"key": "copy", "value": "copy"}, t("copy from"))]
    return html.div(
        {"key": f"{place}/{key}", "className": "pfb-row"},
        html.input({"key": key + "/n", "id": form.id((*path, place, "name")), "type": "text", "defaultValue": name, "onBlur": rename, "aria-label": t("Field"), "list": "pfb-fields" if copies else "", "maxLength": 120, **disabled}),
        html.select({"value": "copy" if copied else "is", "onChange": turn, "aria-label": t("Set or copy"), **disabled}, ways) if copies else None,
        html.input({"key": key + "/v", "id": form.id((*path, place, "value")), "type": "text", "defaultValue": shown, "onBlur": keep, "aria-label": t("Value"), "list": "pfb-fields" if copied else "", "maxLength": 2_000, **disabled}),
        small("×", remove, t("Remove “{name}”", name=name), "danger") if form.editable else None,
    )  # fmt: skip


def small(label: str, handler: Callable[[Any], None], title: str = "", tone: str = "") -> Element:
    attributes = {"type": "button", "className": f"pfb-small {tone}", "onClick": handler}
    return html.button({**attributes, "aria-label": title, "title": title} if title else attributes, label)


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What only the journey itself offers: `fields` are names beside the contact's (`steps.…`, `trigger.…`), each with what people call it."""

    fields: tuple[tuple[str, str], ...] = ()


def offers(t: Translator, knowledge: Knowledge, own: Suggestions = Suggestions()) -> Element:
    """The lists of suggestions that fields name: contact fields with those of the journey, events, tags, and what else terms name."""
    catalogue = knowledge.catalogue
    fields = [
        html.option({"key": name, "value": name}, labels.field_name(t, name, {name: spec.title}))
        for name, spec in list(catalogue.fields.items())[:MOST_OFFERED]
    ]
    fields += [html.option({"key": name, "value": name}, said) for name, said in own.fields[:MOST_OFFERED]]
    events = [html.option({"key": name, "value": name}, spec.title or name) for name, spec in list(catalogue.events.items())[:MOST_OFFERED]]
    lists = {noun: _names(knowledge, noun) for noun in ("tag", *TERMS.offered())} | {"field": fields, "event": events}
    return html.div(*(datalist({"key": noun, "id": suggested(noun)}, lists[noun]) for noun in lists))


def _names(knowledge: Knowledge, noun: str) -> list[Element]:
    return [html.option({"key": name, "value": name}) for name, _ in knowledge.offered(noun, {})]


def suggested(noun: str) -> str:
    """The id of the list of suggestions for names of a noun: `field`, `event`, `tag`, and what terms write."""
    return f"pfb-{noun}s"
