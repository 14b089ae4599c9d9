"""What a side of a contact must say to be on the contact's page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element
from models import Contact

Load = Callable[[PageContext, Session, Contact, bool], Any]
"""`load(context, session, contact, opened)`: `opened` where its view is being looked at, and not only what stands beside."""
Draw = Callable[[PageContext, Contact, Any, Acts], Element]


def _nothing(*_: Any) -> None:
    return None


def _always(*_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True, repr=False)
class Panel:
    """One side of a contact. `load` reads what it shows, in a thread, in the transaction of the page; all else draws what was loaded.

    It shows itself in up to four places: `aside`, a box beside whichever view is open (None: there is nothing to show, and no box); `view`, a
    tab of its own, which is open where the page's `view` is its `key`; `notice`, above everything; `action`, a button at the top of the page. `title` heads the box and names the tab.
    `stamp` is a cheap question whose answer changes when what is shown does, unless an event or a step of a run comes with the change:
    those the page asks for anyway.
    """

    key: str
    title: str
    """A message id."""
    load: Load
    aside: Draw | None = None
    view: Draw | None = None
    notice: Draw | None = None
    action: Draw | None = None
    count: Callable[[Any], int | None] = _nothing
    """How many things the view shows, beside its tab; None: no number."""
    offered: Callable[[Any], bool] = _always
    """Whether its tab is there, given what was loaded."""
    may_open: Callable[[PageContext, Contact], bool] = _always
    """Whether this visitor may see the view of this contact; if not there is no tab, and its address shows the first view."""
    stamp: Callable[[Session, Contact], object] = _nothing
