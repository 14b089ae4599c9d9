"""The built editors of templates: which files they are now, and its components for ReactPy. Built by `make bundle`, like the canvas."""

from __future__ import annotations

import json
from functools import cache

from builder_ui.app.host import HERE, STATICS
from builder_ui.kit.reactpy_compat import Component, browser_components

BUILT = HERE / "static" / ".vite"


@cache
def assets() -> tuple[str]:
    """The address of the script."""
    return (_address("editor.json", "src/writing/main.js"),)


@cache
def blocks_module() -> str:
    """The address of the block editor, which the page fetches when somebody opens a mail as blocks."""
    return _address("blocks.json", "src/blocks/main.jsx")


def _address(manifest: str, entry: str) -> str:
    return STATICS[json.loads((BUILT / manifest).read_text("utf-8"))[entry]["file"]].url


def components() -> tuple[Component, ...]:
    """`Wire`, `Line`, `Source` and `Frame`."""
    return _all()[:4]


def status() -> Component:
    """`Status`: whether the text is stored, as the page knows it."""
    return _all()[4]


def blocks() -> Component:
    """`Blocks`: a mail as blocks."""
    return _all()[5]


@cache
def _all() -> tuple[Component, ...]:
    return browser_components(*assets(), "Wire", "Line", "Source", "Frame", "Status", "Blocks")
