"""The built editor of templates: which file it is now, and its components for ReactPy. Built by `make bundle`, like the canvas."""

from __future__ import annotations

import json
from functools import cache

from builder_ui.app.host import HERE, STATICS
from builder_ui.kit.reactpy_compat import Component, browser_components

MANIFEST = HERE / "static" / ".vite" / "editor.json"
ENTRY = "src/writing/main.js"


@cache
def assets() -> tuple[str]:
    """The address of the script."""
    return (STATICS[json.loads(MANIFEST.read_text("utf-8"))[ENTRY]["file"]].url,)


def components() -> tuple[Component, ...]:
    """`Wire`, `Line`, `Source` and `Frame`."""
    return _all()[:4]


def status() -> Component:
    """`Status`: whether the text is stored, as the page knows it."""
    return _all()[4]


@cache
def _all() -> tuple[Component, ...]:
    return browser_components(*assets(), "Wire", "Line", "Source", "Frame", "Status")
