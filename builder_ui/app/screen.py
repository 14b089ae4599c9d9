"""The one component with a memory: loads a page's data, draws it, carries out acts, and looks now and then whether anything changed.

A page that fails shows a sentence instead of nothing; what failed is in the log, without the text of the exception.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.permissions import may
from builder_ui.kit.reactpy_compat import Element, component, html, use_effect, use_ref, use_state
from builder_ui.settings.sections import barred
from journeys.errors import Conflict, NotFound, PfadwerkError, Unauthorized
from models import Member, new_id
from workspace.roles import OWING, PROVED, NotAllowed
from workspace.sessions import ProofNeeded

log = logging.getLogger("pfadwerk.pages")


@dataclass(frozen=True, slots=True)
class Notice:
    """What the last act came to, how to take it back, and where the way goes on (address, text)."""

    text: str
    good: bool
    undo: Callable[..., Any] | None = None
    way: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A page's data, or why there is none. `stamp` was asked before the data was read, so a change in between is seen later. `context` is
    whose eyes it was read for: the member as they were then."""

    context: PageContext
    data: Any = None
    stamp: Any = None
    problem: Notice | None = None
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """What is on the screen. One value, so that the word about an act and its result are drawn together."""

    loaded: Loaded
    notice: Notice | None = None


NOTICE_SECONDS = 12.0
"""How long a word that all went well stays."""
BARRED = "barred"
"""The stamp of a page for somebody who may not look at it."""


@component
def screen(context: PageContext, page: Page, first: Loaded) -> Element:
    """One page for one visitor. `first` was loaded before, so that nothing flashes when a lost connection is back."""
    shown, set_shown = use_state(Shown(first))
    busy = use_ref(False)
    drafts: Any = use_ref({})

    async def watch() -> None:
        """Loads anew whenever the stamp differs: the page's own, or the role of whoever looks."""
        present = first
        while True:
            await asyncio.sleep(page.every_seconds)
            if await asyncio.to_thread(stamp, context, page, present.stamp) != present.stamp:
                present = await asyncio.to_thread(load, context, page)
                set_shown(partial(_with_loaded, present))

    def act(permit: str, do: Do, done: str, undo: Do | None = None) -> Callable[..., Any]:
        async def handler(*_event: Any) -> None:
            if busy.current:
                return
            busy.current = True
            try:
                notice = await asyncio.to_thread(carry_out, context, permit, do, done)
                if undo and notice.good:
                    notice = replace(notice, undo=act(permit, undo, "Undone."))
                set_shown(Shown(await asyncio.to_thread(load, context, page), notice))
            finally:
                busy.current = False

        return handler

    def close(notice: Notice | None) -> None:
        set_shown(partial(_without, notice))

    async def go() -> None:
        """A word that all went well goes by itself; one with something to press, or a refusal, stays until it is closed."""
        notice = shown.notice
        if notice and notice.good and not notice.undo and not notice.way:
            await asyncio.sleep(NOTICE_SECONDS)
            close(notice)

    use_effect(watch, [])
    use_effect(go, [id(shown.notice)])
    closing = _notice(context, shown.notice, lambda _event: close(shown.notice))
    return html.div({"className": "screen"}, closing, draw(page, shown.loaded, Acts(act, drafts.current)))


def _without(notice: Notice | None, shown: Shown) -> Shown:
    """The screen without that notice; another one stays."""
    return replace(shown, notice=None) if shown.notice is notice else shown


def _with_loaded(loaded: Loaded, shown: Shown) -> Shown:
    return replace(shown, loaded=loaded)


def load(context: PageContext, page: Page) -> Loaded:
    """Reads what the page shows, for the role that its visitor has now."""
    try:
        context = replace(context, member=allowed(context, page.reads, reading=True))
        mark = _mark(context, page)
        return Loaded(context, page.load(context), mark)
    except NotAllowed as error:
        return Loaded(context, None, BARRED, say(context, error), barred=True)
    except Exception as error:  # noqa: BLE001 - the boundary of a page: whatever fails is said and logged
        return Loaded(context, problem=say(context, error))


def _mark(context: PageContext, page: Page) -> Any:
    """What differs once the page would show something else: its own stamp, and the visitor's role."""
    return context.member.role, page.stamp(context) if page.stamp else None


def stamp(context: PageContext, page: Page, otherwise: Any) -> Any:
    """The page's stamp now, for the role its visitor has now; `otherwise` where it cannot be read, which then changes nothing. Nor does a session
    that has ended: nothing new is shown, and what somebody was drawing stays until the socket is closed and they have logged in again."""
    try:
        return _mark(replace(context, member=allowed(context, page.reads, reading=True)), page)
    except NotAllowed:
        return BARRED
    except Unauthorized:
        return otherwise
    except Exception as error:  # noqa: BLE001 - as above
        say(context, error)
        return otherwise


def allowed(context: PageContext, act: str, *, reading: bool = False) -> Member:
    """Who this is and what they may, asked anew in the database: an open page may be older than a lost role, or outlive its session. What a
    page reads by itself keeps no session alive and needs no fresh proof.

    Raises: Unauthorized; NotAllowed; ProofNeeded.
    """
    login = context.app.login
    member = login.member(context.token, used=not reading, owing=act in OWING)
    if member is None and login.member(context.token, used=False, owing=True):
        raise NotAllowed("Set up an authenticator app first: open your account in the settings.")
    if member is None:
        raise Unauthorized("You are logged out.")
    if not may(member, act):
        if not reading:
            login.refused(member, act)
        raise NotAllowed("Your role does not allow this.")
    if act in PROVED and not reading:
        login.require_proof(context.token)
    return member


def carry_out(context: PageContext, act: str, do: Do, done: str) -> Notice:
    """One act, if it is allowed."""
    try:
        wakeups = do(replace(context, member=allowed(context, act)))
        if wakeups:
            context.app.wake(wakeups)
        return Notice(context.t(done), good=True)
    except Exception as error:  # noqa: BLE001 - as above
        return say(context, error)


def draw(page: Page, loaded: Loaded, acts: Acts) -> Element:
    """The page's content; a mistake in drawing it is a sentence, too."""
    context = loaded.context
    if loaded.barred and page.section == "settings":
        return barred(context, page.title)
    if loaded.problem is not None:
        return components.empty("lock" if loaded.barred else "alert", loaded.problem.text, None)
    try:
        return page.view(context, loaded.data, acts)
    except Exception as error:  # noqa: BLE001 - as above
        return components.empty("alert", say(context, error).text, None)


def say(context: PageContext, error: Exception) -> Notice:
    """An error as a sentence for this visitor; unforeseen ones are logged under a number, without their text."""
    t = context.t
    if isinstance(error, ProofNeeded):
        way = f"/prove?from={quote(context.path, safe='/')}", t("Confirm")
        return Notice(error.say(t.translate), good=False, way=way)
    if isinstance(error, NotFound):
        return Notice(t("This does not exist, or no longer does."), good=False)
    if isinstance(error, Conflict):
        return Notice(t("This is no longer possible; someone else may have made a change. The page shows the current state."), good=False)
    if isinstance(error, PfadwerkError) and error.status < 500:
        return Notice(error.say(t.translate), good=False)
    number = new_id()[-8:]
    log.error(
        "page %s failed (%s): %s\n%s",
        number,
        context.path.split("/")[2],
        type(error).__name__,
        "".join(traceback.format_tb(error.__traceback__)),
    )
    return Notice(t("Something went wrong. Look for number {number} in the log.", number=number), good=False)


def _notice(context: PageContext, notice: Notice | None, close: Callable[[Any], None]) -> Element:
    if notice is None:
        return html.div({"className": "notice-place", "role": "status", "aria-live": "polite"})
    tone = "good" if notice.good else "bad"
    more = components.button(context.t("Undo"), notice.undo) if notice.undo else None
    if notice.way:
        more = html.a({"className": "button main", "href": notice.way[0]}, notice.way[1])
    return html.div(
        {"className": "notice-place", "role": "status", "aria-live": "polite"},
        html.p(
            {"className": f"notice {tone}"},
            components.icon("check" if notice.good else "alert"),
            notice.text,
            more,
            components.close(context.t, close),
        ),
    )
