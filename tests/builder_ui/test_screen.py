"""When an open page is drawn anew: if what it shows has changed, and never because a log-in has ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from builder_ui.app.screen import BARRED, stamp
from builder_ui.kit.context import PageContext
from builder_ui.kit.i18n import translator_for
from builder_ui.routes import PAGES

PAGE = next(page for page in PAGES if page.path == "/ui/settings/audit")


def told(found: Any) -> Any:
    """The stamp for a visitor of whom the log-in says this."""
    app: Any = SimpleNamespace(login=SimpleNamespace(member=lambda _token, **_asked: found))
    admin: Any = SimpleNamespace(id="m1", role="admin")
    return stamp(PageContext(app, admin, "token", translator_for("en"), PAGE.path), PAGE, "as it was")


def test_who_is_logged_out_keeps_what_is_drawn() -> None:
    assert told(None) == "as it was"


@pytest.mark.parametrize("role", ["sales", "viewer"])
def test_who_may_not_look_any_more_is_shown_nothing(role: str) -> None:
    assert told(SimpleNamespace(id="m1", role=role)) == BARRED
