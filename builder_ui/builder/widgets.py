"""What a form is, and the widgets of one value. Text is committed when its field is left: a field that follows every keystroke over a
network loses some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from journeys.errors import Issue
from journeys.rules import dates

from builder_ui.builder.draft import at
from builder_ui.builder.lookups import Lookups
from builder_ui.kit import components
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """What every widget needs. `raw` is the whole object, `edit(path, value, fields moved)` changes it; `generation` names the fields' state."""

    t: Translator
    lookups: Lookups
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
    in_run: bool = True
    """Whether its rules are asked inside a journey; a segment's are not."""

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


def explained(t: Translator, text: str) -> Element:
    return html.small(*components.marked(t(text))) if text else None


def alert(form: Form, issue: Issue) -> Element:
    tone = "pfb-wrong" if issue.severity == "error" else "pfb-wrong warning"
    return html.p(
        {"className": tone, "role": "alert"}, components.icon("alert"), issue.say(form.t.translate)
    )


def stored_or_default(form: Form, path: Path, schema: Schema) -> Any:
    """The value, else the default; but what is left open on purpose has none."""
    value, around = form.value(path), form.value(path[:-1])
    left_open = isinstance(around, Mapping) and path[-1] in around
    return schema.get("default") if value is None and not left_open else value


def entered(event: Mapping[str, Any]) -> str:
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
        said = entered(event).strip() if kind == "text" else entered(event)
        form.edit(
            path,
            said
            or (
                None
                if value is None
                else ""
                if path[-1] in ("name", "description", "salt", "subject")
                else None
            ),
            False,
        )

    attributes = {
        "key": form.key(path), "id": form.id(path), "type": kind, "defaultValue": "" if value is None else str(value), "onBlur": left,
        "disabled": not form.editable, "maxLength": most or 2_000, "autoComplete": "off",
        "placeholder": str(default or example),
    }  # fmt: skip
    return html.input(
        {
            **attributes,
            **({"list": offered} if offered else {}),
            **({"aria-label": label} if label else {}),
        }
    )


def example_of(form: Form, schema: Schema) -> str:
    """What may be written there, for an empty field to show."""
    examples = schema.get("examples") or ()
    return form.t("for example: {example}", example=form.t(examples[0])) if examples else ""


def area(form: Form, path: Path, most: int | None = None, example: str = "") -> Element:
    value = form.value(path)

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, entered(event) or None, False)

    attributes = {
        "key": form.key(path),
        "id": form.id(path),
        "defaultValue": value or "",
        "rows": 4,
        "onBlur": left,
    }
    return html.textarea(
        {
            **attributes,
            "disabled": not form.editable,
            "maxLength": most or 20_000,
            "placeholder": example,
        }
    )


def instant(form: Form, path: Path, label: str) -> Element:
    """A day or an instant as its reader writes them; what is neither, such as a length of time, stays as it was typed."""
    t, value = form.t, form.value(path)
    at = dates.read(value) if isinstance(value, str) else None
    shown = t.typed(at) if at is not None else "" if value is None else str(value)

    def left(event: Mapping[str, Any]) -> None:
        said = entered(event).strip()
        found = t.read(said)
        if said != shown:
            form.edit(path, dates.normalise(found) if found else said or None, False)

    example = t.typed(date(2026, 12, 24))
    attributes = {
        "key": form.key(path),
        "id": form.id(path),
        "type": "text",
        "defaultValue": shown,
        "onBlur": left,
        "maxLength": 200,
    }
    return html.input(
        {
            **attributes,
            "aria-label": label,
            "placeholder": example,
            "autoComplete": "off",
            "disabled": not form.editable,
        }
    )


def number(
    form: Form,
    path: Path,
    value: Any,
    schema: Schema,
    key: str = "",
    label: str = "",
    typed: bool = False,
) -> Element:
    """`typed`: a placeholder may stand there instead, which a number field of the browser does not take."""

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, as_number(entered(event)), False)

    attributes = {
        "key": key or form.key(path), "id": form.id(path), "type": "text" if typed else "number",
        "inputMode": "decimal", "defaultValue": "" if value is None else plain(value), "onBlur": left,
        "step": "1" if schema.get("type") == "integer" else "any", "disabled": not form.editable, "className": "narrow",
    }  # fmt: skip
    bounds = {
        name: schema[other]
        for name, other in (("min", "minimum"), ("max", "maximum"))
        if other in schema
    }
    return html.input({**attributes, **bounds, **({"aria-label": label} if label else {})})


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
    return (
        int(found)
        if found.is_integer() and abs(found) < 2**53
        else found
        if abs(found) < 2**53
        else written[:40]
    )


def plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def checkbox(form: Form, path: Path, value: bool, title: str) -> Element:
    def changed(event: Mapping[str, Any]) -> None:
        form.edit(path, bool(event.get("target", {}).get("checked")), False)

    box = html.input(
        {
            "type": "checkbox",
            "id": form.id(path),
            "checked": value,
            "onChange": changed,
            "disabled": not form.editable,
        }
    )
    return html.label({"className": "pfb-check", "htmlFor": form.id(path)}, box, title)


def select(
    form: Form,
    path: Path,
    choices: Sequence[tuple[Any, str]],
    value: Any,
    optional: bool = False,
    label: str = "",
    own: bool = False,
) -> Element:
    """One of a few; `own`: the names are people's own, which nobody translates. A value that is none of them is shown as it is, so that
    opening a form changes nothing."""
    t = form.t
    shown = [
        ("" if stored is None else str(stored), said if own else t(said), stored)
        for stored, said in choices
    ]
    if optional:
        shown.insert(0, ("", "–", None))
    present = "" if value is None else str(value)
    if not any(key == present for key, *_ in shown):
        shown.insert(0, (present, present or t("Please choose"), value))

    def changed(event: Mapping[str, Any]) -> None:
        said = entered(event)
        form.edit(path, next((stored for key, _, stored in shown if key == said), None), False)

    attributes = {
        "id": form.id(path),
        "value": present,
        "onChange": changed,
        "disabled": not form.editable,
    }
    options = [html.option({"key": key, "value": key}, words_) for key, words_, _ in shown]
    return html.select({**attributes, **({"aria-label": label} if label else {})}, options)


def picker(
    form: Form,
    path: Path,
    choices: Sequence[tuple[str, str]],
    optional: bool,
    *,
    value: Any = None,
    label: str = "",
) -> Element:
    """One of what the workspace has; `value`: what holds where nothing is chosen."""
    named = [(key, name if name == key or not name else f"{name} ({key})") for key, name in choices]
    present = form.value(path)
    return select(
        form, path, named, value if present is None else present, optional, label, own=True
    )


def scalar(form: Form, path: Path, offered: str = "", label: str = "") -> Element:
    """Text, a number, yes or no: what was typed decides."""
    value = form.value(path)

    def left(event: Mapping[str, Any]) -> None:
        form.edit(path, as_scalar(entered(event)), False)

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
        {
            **attributes,
            "maxLength": 2_000,
            **({"list": offered} if offered else {}),
            **({"aria-label": label} if label else {}),
        }
    )


def as_scalar(said: str) -> Any:
    said = said.strip()
    if said in ("true", "false"):
        return said == "true"
    found = (
        as_number(said)
        if said and (said.lstrip("-").replace(".", "", 1).isdigit()) and not said.startswith("0")
        else None
    )
    return found if found is not None else said or None


def small(label: str, handler: Callable[[Any], None], title: str = "", tone: str = "") -> Element:
    attributes = {"type": "button", "className": f"pfb-small {tone}", "onClick": handler}
    return html.button(
        {**attributes, "aria-label": title, "title": title} if title else attributes, label
    )
