"""The JSON Schema of a journey document, all kinds of step included: for editors, for validation elsewhere, published in `docs/`."""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from journeys.document import Journey
from journeys.nodes import Node, Palette

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def journey_schema(palette: Palette) -> dict[str, Any]:
    """The schema of documents whose nodes are of the kinds in `palette`. Stable: equal palettes give equal schemas."""
    kinds = list(palette)
    places, schema = models_json_schema([(Journey, "validation"), *((kind, "validation") for kind in kinds)], by_alias=True)
    definitions = open_choices(schema["$defs"])
    # Without this every object would pass as a group, because a group needs nothing and terms may hold more than is known.
    definitions["Group"]["anyOf"] = [{"required": ["combinator"]}, {"required": ["rules"]}]
    for kind in kinds:
        definitions[f"step.{kind.kind}"] = _with_kind(definitions.pop(places[kind, "validation"]["$ref"].rpartition("/")[2]), kind)
    journey = definitions.pop("Journey")
    nodes = journey["properties"]["nodes"]
    step = {"oneOf": [{"$ref": f"#/$defs/step.{kind.kind}"} for kind in kinds]}
    nodes |= {"patternProperties": dict.fromkeys(nodes["patternProperties"], step), "additionalProperties": False}
    return {"$schema": DIALECT, **journey, "title": "Pfadwerk journey", "$defs": definitions}


def schema_text(palette: Palette) -> str:
    """The schema as it is published."""
    return json.dumps(journey_schema(palette), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def open_choices(schema: Any) -> Any:
    """`oneOf` without a discriminator becomes `anyOf`: which kind of rule an object is follows from a key, and others may be there too."""
    if isinstance(schema, list):
        return [open_choices(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    ambiguous = "oneOf" in schema and "discriminator" not in schema
    return {("anyOf" if ambiguous and key == "oneOf" else key): open_choices(value) for key, value in schema.items()}


def _with_kind(schema: dict[str, Any], kind: type[Node]) -> dict[str, Any]:
    properties = {"kind": {"const": kind.kind, "title": "Kind", "type": "string"}, **schema.get("properties", {})}
    return {**schema, "properties": properties, "required": ["kind", *schema.get("required", [])]}


if __name__ == "__main__":
    sys.stdout.write(schema_text(Palette.built_in()))
