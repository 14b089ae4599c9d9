"""The built canvas: which files it consists of now, and its components for ReactPy. It is built by `make bundle`; nobody needs Node to run it."""

from __future__ import annotations

import json
from functools import cache

from builder_ui.app.host import HERE, STATICS
from builder_ui.kit.reactpy_compat import Component, browser_components

MANIFEST = HERE / "static" / ".vite" / "manifest.json"


@cache
def _entry() -> tuple[str, str]:
    """(script, style sheet) by name."""
    entry = json.loads(MANIFEST.read_text("utf-8"))["src/main.js"]
    return entry["file"], entry["css"][0]


def assets() -> tuple[str, str]:
    """The addresses of the script and of the style sheet."""
    script, styles = _entry()
    return STATICS[script].url, STATICS[styles].url


def components() -> tuple[Component, Component]:
    """`Canvas` and `Bridge`."""
    canvas, bridge, *_ = _all()
    return canvas, bridge


def viewer() -> Component:
    """`Viewer`: a drawing to look at."""
    return _all()[2]


def follow() -> Component:
    """`Follow`: the list of what may follow an outlet."""
    return _all()[3]


def status() -> Component:
    """`Status`: whether the work is stored, as the page knows it."""
    return _all()[4]


@cache
def _all() -> tuple[Component, ...]:
    return browser_components(assets()[0], "Canvas", "Bridge", "Viewer", "Follow", "Status")
