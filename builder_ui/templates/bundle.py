"""The built editor of templates: which file it is now, and its components for ReactPy. Built by `make bundle`, like the canvas."""

from __future__ import annotations

import json
from functools import cache

from builder_ui.compat import Component, browser_components
from builder_ui.host import HERE, STATICS

MANIFEST = HERE / "static" / ".vite" / "editor.json"
ENTRY = "src/writing/main.js"


@cache
def assets() -> tuple[str]:
    """The address of the script."""
    return (STATICS[json.loads(MANIFEST.read_text("utf-8"))[ENTRY]["file"]].url,)


@cache
def components() -> tuple[Component, ...]:
    """`Wire`, `Line`, `Source` and `Frame`."""
    return browser_components(*assets(), "Wire", "Line", "Source", "Frame")
