"""What pages say about the state of a form."""

from __future__ import annotations

from builder_ui.kit import components
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element
from models import Form

STATES = {"live": ("Live", "good", "check"), "draft": ("Draft", "quiet", "pencil"), "archived": ("Archived", "quiet", "folder")}
"""State -> how it is shown."""


def state(t: Translator, form: Form) -> Element:
    text, tone, symbol = STATES[form.state]
    return components.badge(t(text), tone, symbol)
