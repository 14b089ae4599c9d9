"""The built editor of templates: which file it is now, and its components for ReactPy. Built by `make bundle`, like the canvas."""

from __future__ import annotations

import json
from functools import cache

from builder_ui.compat import Component, browser_components
from builder_ui.host import HERE, STATICS

MANIFEST = HERE / "static" / ".vite" / "editor.json"
ENTRY = "src/writing/main.js"


@cache
def components() -> tuple[Component, ...]:
    """`Wire`, `Line`, `Source` and `Frame`."""
    file = json.loads(MANIFEST.read_text("utf-8"))[ENTRY]["file"]
    return browser_components(STATICS[file].url, "Wire", "Line", "Source", "Frame")
