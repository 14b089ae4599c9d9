"""The JSON Schema of a journey document, all kinds of step included: for editors, for validation elsewhere, published in `docs/`."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from journeys.document import Journey
from journeys.nodes import Node, Palette

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def journey_schema(palette: Palette) -> dict[str, Any]:
    """The schema of documents whose nodes are of the kinds in `palette`. Stable: equal palettes give equal schemas."""
    kinds = list(palette)
    places, schema = models_json_schema([(Journey, "validation"), *((kind, "validation") for kind in kinds)], by_alias=True)
    definitions = schema["$defs"]
    choices = []
    for kind in kinds:
        place = places[kind, "validation"]["$ref"].rpartition("/")[2]
        definitions[place] = _with_kind(definitions[place], kind)
        choices.append({"$ref": f"#/$defs/{place}"})
    journey = definitions.pop("Journey")
    journey["properties"]["nodes"]["additionalProperties"] = {"oneOf": choices}
    journey["title"] = "Pfadwerk journey"
    return {"$schema": DIALECT, **journey, "$defs": definitions}


def schema_text(palette: Palette) -> str:
    """The schema as it is published."""
    return json.dumps(journey_schema(palette), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _with_kind(schema: dict[str, Any], kind: type[Node]) -> dict[str, Any]:
    properties = {"kind": {"const": kind.kind, "title": "Kind", "type": "string"}, **schema.get("properties", {})}
    return {**schema, "properties": properties, "required": ["kind", *schema.get("required", [])]}
