"""Format versions of the document: registered steps lift an older one to the present, one version at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from journeys.document import SPEC
from journeys.errors import Invalid

Step = Callable[[dict[str, Any]], dict[str, Any]]

STEPS: dict[int, Step] = {}
"""spec n -> the step that turns a document of spec n into one of spec n + 1. A step may change the object it is given."""


def upgrade(data: Mapping[str, Any], steps: Mapping[int, Step] = STEPS, newest: int = SPEC) -> dict[str, Any]:
    """The document as one of spec `newest`; without `spec` it is taken to be of that. `data` itself is left alone.

    Raises:
        Invalid: the spec is not a whole number, is newer than this installation, or no step leads on from it.
    """
    document = dict(data)
    spec = document.get("spec", newest)
    if not isinstance(spec, int) or isinstance(spec, bool) or spec < 1:
        raise Invalid("Expected `spec` to be a whole number from 1, the format version of the document.")
    if spec > newest:
        raise Invalid(
            "This document has format version {spec}, but this installation reads up to {newest}: upgrade Pfadwerk first.",
            spec=spec,
            newest=newest,
        )
    for version in range(spec, newest):
        if version not in steps:
            raise Invalid("Documents of format version {spec} can no longer be read by this installation.", spec=version)
        document = steps[version](document)
        document["spec"] = version + 1
    return document
