"""Every layout compiles without a warning, fills in for somebody made up, and says the same in both languages."""

from __future__ import annotations

from datetime import datetime

import pytest

from activities.rendering import compile_template
from activities.sending.messages import MessageSettings
from activities.templates.layouts import Layout, beginning, layouts
from activities.templates.preview import proof
from activities.tracking import Tracking
from models import Database

HOUSE = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>", language="de")


@pytest.mark.parametrize("layout", layouts(), ids=lambda one: one.key)
def test_a_layout_needs_no_excuse(layout: Layout, sqlite_db: Database, now: datetime) -> None:
    assert set(layout.variants) == {"de", "en"}
    assert compile_template(layout.variants, "email", message_class=layout.message_class).warnings == ()
    with sqlite_db.read() as session:
        for locale in layout.variants:
            shown = proof(session, HOUSE, "email", layout.message_class, layout.variants, locale, now, layout=True)  # type: ignore[arg-type]
            assert shown.errors == []
            assert {hint.code for hint in shown.hints} <= {"example_link"}, "all that is to be done is to write where its links lead"
            assert shown.rendered is not None
            assert shown.rendered.text


@pytest.mark.parametrize("kind", ["email", "sms", "text"])
def test_even_a_blank_template_has_a_version(kind: str) -> None:
    variants, message_class = beginning("", kind)
    assert message_class is None
    assert compile_template(variants, kind).variants  # type: ignore[arg-type]
    assert beginning("nonsense", kind)[0] == variants
