"""Fields of a form out of a provider's `Config`, and its values out of what comes back. Nothing here knows a provider.

A field's title and description are message ids; a choice says its words under `words` in its `json_schema_extra`. A secret is drawn empty: what
stands there is never sent to a browser, and what stays empty stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from activities.account_setup import made_fields, secret_fields
from activities.providers import ConfiguredProvider
from builder_ui.kit.forms import Field, Values
from builder_ui.kit.i18n import Translator

Kind = type[ConfiguredProvider]
MOST = 1_000
PREFIX = "config."
"""Keeps a provider's fields apart from those of the account itself."""


def fields_of(t: Translator, kind: Kind, config: Mapping[str, Any], held: Sequence[str] = ()) -> list[Field]:
    """The form of an account set up with `config`; `held` are the secrets that have a value."""
    secret = secret_fields(kind)
    return [
        _secret(t, name, one, name in held) if name in secret else _plain(t, name, one, config.get(name, one.get("default")))
        for name, one in _typed(kind).items()
    ]


def values_of(kind: Kind, values: Values) -> dict[str, Any]:
    """What was typed, by the names of the configuration; its own check says what does not fit."""
    schema = _typed(kind)
    return {name: values[PREFIX + name] == "on" if one.get("type") == "boolean" else values[PREFIX + name] for name, one in schema.items()}


def words_of(kind: Kind) -> Iterator[str]:
    """Every message id that the form of this provider says, and every advice: German needs them all."""
    yield kind.label
    yield from (text for _, text in kind.advice)
    for one in _typed(kind).values():
        yield one["title"]
        yield from filter(None, (one.get("description"),))
        yield from one.get("words", {}).values()


def _typed(kind: Kind) -> Mapping[str, Mapping[str, Any]]:
    """The fields that people fill in, with their schemas."""
    fields: Mapping[str, Mapping[str, Any]] = kind.Config.model_json_schema()["properties"]
    return {name: one for name, one in fields.items() if name not in made_fields(kind)}


def _secret(t: Translator, name: str, schema: Mapping[str, Any], held: bool) -> Field:
    stored = "A value is stored and never shown. Leave empty to keep it."
    hint = t(stored) if held else _hint(t, schema)
    return Field(PREFIX + name, t(schema["title"]), "password", most=schema.get("maxLength", MOST), hint=hint)


def _plain(t: Translator, name: str, schema: Mapping[str, Any], value: Any) -> Field:
    place, label, hint = PREFIX + name, t(schema["title"]), _hint(t, schema)
    if schema.get("type") == "boolean":
        return Field(place, label, "checkbox", "on" if value else "", hint=hint)
    if "enum" in schema:
        words = schema.get("words", {})
        return Field(place, label, "select", str(value), [(one, t(words.get(one, one))) for one in schema["enum"]], hint=hint)
    if schema.get("type") in ("integer", "number"):
        shown = "" if value is None else f"{value:g}"
        return Field(place, label, "number", shown, least=schema.get("minimum"), greatest=schema.get("maximum"), hint=hint)
    shown = "" if value is None else str(value)
    return Field(place, label, "text", shown, most=schema.get("maxLength", MOST), required="default" not in schema, hint=hint)


def _hint(t: Translator, schema: Mapping[str, Any]) -> str:
    return t(schema["description"]) if schema.get("description") else ""
