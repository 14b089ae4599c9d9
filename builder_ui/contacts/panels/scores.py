"""How many points the contact has in each group."""

from __future__ import annotations

from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element
from models import Contact, Score


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> dict[str, float]:
    return dict(session.execute(select(Score.score_group, Score.value).where(Score.contact_id == contact.id)).all())


def aside(context: PageContext, contact: Contact, scores: dict[str, float], acts: Acts) -> Element:
    t = context.t
    return components.facts((t("Score {group}", group=group), t.number(value)) for group, value in scores.items()) if scores else None


PANEL = Panel("scores", "Scores", load, aside=aside)
