"""Where the pictures of templates come from; `builder_ui.templates.frames` answers there."""

from __future__ import annotations

from urllib.parse import urlencode


def address(key: str, **query: str) -> str:
    """Where a frame finds a template. `state`: draft, or saved (the newest version); `locale`, `contact`, `dark`; `r` names the state of the text."""
    return f"/ui/templates/{key}/frame?{urlencode({name: value for name, value in query.items() if value})}"
