"""The line that says whether the work on a page is stored. The page draws it: it hears of a lost connection and of an edit without an answer
(`frontend/src/keeping.js`), and the server does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from builder_ui.kit.components import ICONS
from builder_ui.kit.i18n import Translator

KNOWN = {
    "pending": ("Saving …", "", "clock"),
    "away": ("No connection", "warn", "alert"),
    "away_unsaved": ("Not saved: no connection. What you changed is kept on this page.", "bad", "alert"),
    "silent": ("The server does not answer", "warn", "alert"),
    "silent_unsaved": ("Not saved: the server does not answer. What you changed is kept on this page.", "bad", "alert"),
}
"""State of the page -> (text, tone, symbol), said in place of the server's word."""


def props(
    id: str, t: Translator, said: tuple[str, str, str], lasting: bool, hear: Callable[[object], None], name: str = "pfb-status"
) -> dict[str, Any]:
    """What the browser's `Status` is given. `said` is (text, tone, symbol) as the server has it; `lasting`: no answer that is on its way
    will change it, so that the page does not say "Saving …" over it. `name` is its class."""
    return {
        "id": id,
        "name": name,
        "said": _shown(t, said),
        "known": json.dumps({state: json.loads(_shown(t, one)) for state, one in KNOWN.items()}, ensure_ascii=False),
        "lasting": lasting,
        "onEvent": hear,
    }


def _shown(t: Translator, one: tuple[str, str, str]) -> str:
    text, tone, symbol = one
    return json.dumps([t(text), tone, ICONS[symbol]], ensure_ascii=False)
