"""The one door to ReactPy: every other file of the pages takes what it needs of it from here.

Written against ReactPy 1.1.0, whose version is pinned because `reactpy.core` moves. Attribute names are camelCase (`onClick`),
which its successor insists on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import reactpy
from reactpy import component, config, html, svg, use_effect, use_ref, use_state
from reactpy.core.layout import Layout
from reactpy.core.serve import serve_layout

__all__ = ["CLIENT", "Element", "component", "html", "is_layout_event", "serve", "svg", "use_effect", "use_ref", "use_state"]

Element = Any
"""What ReactPy calls VDOM: an element, text, None, or a list of them."""

CLIENT = next((Path(reactpy.__file__).parent / "_static" / "assets").glob("index.*.js"))
"""ReactPy's browser side; its name carries a hash of its content."""

MAX_EVENT_ARGUMENTS = 8


def _settle() -> None:
    """Undoes what importing ReactPy does to the process: a coloured handler on stdout, and a folder for modules that we never copy."""
    log = logging.getLogger("reactpy")
    log.handlers.clear()
    log.propagate = True
    config._DEFAULT_WEB_MODULES_DIR.cleanup()


_settle()


async def serve(root: Element, send: Callable[[Any], Awaitable[None]], receive: Callable[[], Awaitable[Any]]) -> None:
    """Renders `root` for one browser until `send` or `receive` raises, which comes out in an exception group."""
    await serve_layout(Layout(root), send, receive)


def is_layout_event(message: object) -> bool:
    """Whether a message from a browser can be given to ReactPy, which dies of any other."""
    if not isinstance(message, Mapping) or message.get("type") != "layout-event":
        return False
    target, data = message.get("target"), message.get("data")
    return isinstance(target, str) and isinstance(data, list) and len(data) <= MAX_EVENT_ARGUMENTS
