"""Forms for tests, as people make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm.forms import forms
from engine.engine import Engine
from models import Form

EMAIL: Mapping[str, Any] = {"name": "email", "input": "email", "required": True}
BOX: Mapping[str, Any] = {"key": "agree", "purpose": "marketing", "required": True}


def put_form(engine: Engine, key: str = "footer", **definition: Any) -> Form:
    """Makes a live form, or changes the one of this key."""
    with engine.db.write() as session:
        now = engine.clock.now()
        if key in forms.keys(session):
            return forms.change(session, key, "test", now, definition=definition)
        forms.create(session, key.title(), definition, "test", now, key=key)
        return forms.move(session, key, "live", "test", now)


def signing_up(*, names: bool = False, topics: bool = False, title: str = "", **wording: str) -> dict[str, Any]:
    """What a sign-up form was before there were forms."""
    asked = [{"name": "first_name"}, {"name": "last_name"}] if names else []
    return {
        "title": {"de": title},
        "fields": [EMAIL, *asked],
        "boxes": [{**BOX, "topics": topics, "wording": wording}],
        "plain": True,
        "min_seconds": 0,
    }
