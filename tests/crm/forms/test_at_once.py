"""Two requests at the same instant on PostgreSQL: the second waits, and sees what the first has done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent import double_opt_in
from crm.forms import forms, submissions
from crm.forms.definition import Definition
from crm.forms.reading import read
from crm.forms.submissions import Sent
from models import Consent, Database, Event, FormDay, FormSubmission, OptIn
from tests.made_forms import BOX, EMAIL

ANNA = "anna@example.org"


def at_once(db: Database, act: Callable[[Session], list[Event]]) -> list[int]:
    """How many events came of each of two."""
    told: list[int] = []

    def other() -> None:
        with db.write() as session:
            told.append(len(act(session)))

    thread = threading.Thread(target=other)
    with db.write() as session:
        first = len(act(session))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it waits"
    thread.join(20)
    return [first, *told]


def test_a_double_click_is_one_submission_and_one_answer(postgres_db: Database, now: datetime) -> None:
    asked = {"fields": [EMAIL], "boxes": [{**BOX, "wording": {"en": "Yes"}}]}
    with postgres_db.write() as session:
        forms.create(session, "Footer", asked, "test", now, key="footer")
        form = forms.move(session, "footer", "live", "test", now)
        assert forms.shown(session, "footer\x00") is None, "PostgreSQL takes no such text"
    definition = Definition.model_validate(form.definition)
    filled = read(definition, {"email": [ANNA], "agree": ["yes"]}, (), "en")
    sent = Sent(form, definition, 1, filled, "0" * 24, "en")
    first, second = at_once(postgres_db, lambda session: submissions.submit(session, sent, now))
    assert (first > 0, second) == (True, 0)
    with postgres_db.read() as session:
        [asks], [_], [day] = (session.scalars(select(model)).all() for model in (OptIn, FormSubmission, FormDay))
        assert day.submitted == 1

    def confirm(session: Session) -> list[Event]:
        return [*double_opt_in.confirm(session, asks.id, now, ip="", message_id="0" * 32).events]

    first, second = at_once(postgres_db, confirm)
    assert (first > 0, second) == (True, 0)
    with postgres_db.read() as session:
        assert [one.state for one in session.scalars(select(Consent))] == ["pending", "granted"]
