"""The one door to ReactPy: every other file of the pages takes what it needs of it from here.

Written against ReactPy 1.1.0, whose version is pinned because `reactpy.core` moves. Attribute names are camelCase (`onClick`),
which its successor insists on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import reactpy
from reactpy import component, config, event, html, svg, use_effect, use_ref, use_state, vdom, web
from reactpy.core.layout import Layout
from reactpy.core.serve import serve_layout

__all__ = [
    "CLIENT",
    "Component",
    "Element",
    "browser_components",
    "component",
    "datalist",
    "html",
    "is_layout_event",
    "optgroup",
    "serve",
    "submitted",
    "svg",
    "use_effect",
    "use_ref",
    "use_state",
]

Element = Any
"""What ReactPy calls VDOM: an element, text, None, or a list of them."""

Component = Callable[..., Element]

CLIENT = next((Path(reactpy.__file__).parent / "_static" / "assets").glob("index.*.js"))
"""ReactPy's browser side; its name carries a hash of its content."""

MAX_EVENT_ARGUMENTS = 8


def _settle() -> None:
    """Undoes what importing ReactPy does to the process: a coloured handler on stdout, and a folder for modules that we never copy.

    That nothing could be sent is no error of its own: why comes out of `serve`, whose caller knows whether the browser has only left.
    """
    log = logging.getLogger("reactpy")
    log.handlers.clear()
    log.propagate = True
    logging.getLogger("reactpy.core.serve").setLevel(logging.CRITICAL)
    config._DEFAULT_WEB_MODULES_DIR.cleanup()


_settle()


def datalist(attributes: dict[str, Any], options: list[Element]) -> Element:
    """A list of suggestions for text fields, which ReactPy's `html` has forgotten."""
    return vdom("datalist", attributes, options)


def optgroup(attributes: dict[str, Any], options: list[Element]) -> Element:
    """Options of a select under a title, forgotten likewise."""
    return vdom("optgroup", attributes, options)


def submitted(handler: Callable[..., Any]) -> Any:
    """A handler for a form, which then does not leave the page."""
    return event(handler, prevent_default=True)


def browser_components(url: str, *names: str) -> tuple[Component, ...]:
    """Components of a JavaScript module of ours, which exports `bind` beside them. They take no children."""
    module = web.module_from_url(url, resolve_exports=False)
    return tuple(web.export(module, list(names), allow_children=False))


class _Whole(Layout):
    """A layout whose drawing is never cut off in the middle.

    ReactPy cancels a drawing when its browser leaves. Between the ends of two effects that leaves a tree with parts that are gone already:
    taking it down stumbled over the first of them (KeyError), and no effect behind it ever ended, so that an editor did not store its last words.
    For the same reason a page is taken down in a task of its own: whoever serves it may be cancelled at every turn.
    """

    __slots__ = ("_drawing",)

    async def __aenter__(self) -> Layout:
        self._drawing: asyncio.Task[Any] | None = None
        return await super().__aenter__()

    async def deliver(self, event: Any) -> None:
        """An event for a handler that is gone, or never was, is ignored without a line in the log, in which it would stand as long as it likes."""
        if event["target"] in self._event_handlers:
            await super().deliver(event)

    async def _create_layout_update(self, old_state: Any) -> Any:
        self._drawing = asyncio.create_task(super()._create_layout_update(old_state))
        return await asyncio.shield(self._drawing)

    async def __aexit__(self, *exc: object) -> None:
        ending = asyncio.create_task(self._end(*exc))
        _ending.add(ending)
        ending.add_done_callback(_ending.discard)
        await asyncio.shield(ending)

    async def _end(self, *exc: object) -> None:
        if self._drawing is not None:
            await asyncio.wait([self._drawing])
        await super().__aexit__(*exc)


_ending: set[asyncio.Task[None]] = set()
"""Pages that are being taken down; a loop holds its tasks only weakly."""


async def serve(root: Element, send: Callable[[Any], Awaitable[None]], receive: Callable[[], Awaitable[Any]]) -> None:
    """Renders `root` for one browser until `send` or `receive` raises, which comes out in an exception group."""
    await serve_layout(_Whole(root), send, receive)


def is_layout_event(message: object) -> bool:
    """Whether a message from a browser can be given to ReactPy, which dies of any other."""
    if not isinstance(message, Mapping) or message.get("type") != "layout-event":
        return False
    target, data = message.get("target"), message.get("data")
    return isinstance(target, str) and isinstance(data, list) and len(data) <= MAX_EVENT_ARGUMENTS
