"""The help page of the kinds of step, made from their docstrings, fields and examples."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from journeys.nodes import Node, Palette

GROUPS = {"time": "Time", "paths": "Paths", "messages": "Messages", "contact": "Contact and sales", "code": "Code"}

HEAD = """# Kinds of step

What stands in `nodes` of a journey document: `{"kind": …, fields…}`, and `name`, which every kind takes (shown on the canvas
and in reports). Durations are ISO 8601 (`PT1H`, `P3D`). This page is generated: `make docs`.
"""


def nodes_page(palette: Palette) -> str:
    """The page as Markdown, group by group in the order of the palette."""
    parts = [HEAD]
    for group, title in GROUPS.items():
        kinds = [kind for kind in palette if kind.group == group]
        if kinds:
            parts.append(f"## {title}\n")
            parts += [_section(kind) for kind in kinds]
    return "\n".join(parts)


def _section(kind: type[Node]) -> str:
    example = {"kind": kind.kind, **kind.example}
    outlets = kind.model_validate(kind.example).outlets() if kind.example else ()
    ways_out = ", ".join(f"`{outlet}`" for outlet in outlets) or "none"
    return "\n".join(
        [
            f"### {kind.label}: `{kind.kind}`\n",
            f"{inspect.getdoc(kind)}\n",
            "| field | what | |",
            "|---|---|---|",
            *field_rows(kind.form()),
            "",
            "```json",
            json.dumps(example, ensure_ascii=False),
            "```",
            "",
            f"Ways out of this one: {ways_out}.\n",
        ]
    )


def field_rows(form: Mapping[str, Any], hidden: Collection[str] = ("name",)) -> Iterator[str]:
    """A row of a Markdown table for each field of a form, and for those inside it."""
    needed = form.get("required", [])
    for name, field in form["properties"].items():
        if name not in hidden:
            yield from _row(name, field, form.get("$defs", {}), needed=name in needed)


def _row(path: str, field: Mapping[str, Any], definitions: Mapping[str, Any], *, needed: bool) -> Iterator[str]:
    says = " ".join(part for part in (_sentence(field.get("title", "")), _cell(field.get("description", ""))) if part)
    yield f"| `{path}` | {says or _cell(_named(field, definitions).get('description', ''))} | {_default(field, needed)} |"
    if field.get("widget") == "rule":  # rules have a page of their own
        return
    for inner_path, inner in _inside(path, field, definitions):
        required = inner.get("required", [])
        for name, below in inner["properties"].items():
            yield from _row(f"{inner_path}.{name}", below, definitions, needed=name in required)


def _inside(path: str, field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects that a field holds: itself, the elements of its list, the values of its names, or each of its choices."""
    if "items" in field:
        yield from _inside(f"{path}[]", field["items"], definitions)
    elif "patternProperties" in field:
        for named in field["patternProperties"].values():
            yield from _inside(f"{path}.*", named, definitions)
    elif "oneOf" in field:
        for choice in field["oneOf"]:
            yield from _inside(path, choice, definitions)
    elif "properties" in (found := _named(field, definitions)):
        yield path, found


def _named(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = definitions.get(str(field.get("$ref", "")).rpartition("/")[2], field)
    return found


def _default(field: Mapping[str, Any], needed: bool) -> str:
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if needed:
        return "needed"
    default = field.get("default")
    return "" if default in (None, "", [], {}) else f"`{json.dumps(default, ensure_ascii=False)}`"


def _sentence(title: str) -> str:
    return f"{_cell(title)}." if title else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(nodes_page(Palette.built_in()))
