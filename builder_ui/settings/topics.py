"""Below the setting of the topics: where each of them is used, since what is used is archived and not removed."""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import col, select

from builder_ui.kit.context import PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import panel
from engine.versions.uses import Use, uses_of
from journeys.channels import TOPIC
from models import ConsentState, Template
from workspace import settings

MOST = 20
"""Places that are named; more are counted."""
MOST_ANSWERS = 10_000
"""Answers that are counted; beyond that it says "at least"."""


def panel_of(context: PageContext, setting: settings.Setting) -> Element:
    """What stands below the setting of the topics; nothing below the others."""
    if not isinstance(setting, settings.Topics) or not setting.topics:
        return None
    return panel(context.t("Where used"), html.ul({"className": "lines"}, [_uses(context, one) for one in setting.topics]))


def _uses(context: PageContext, topic: settings.Topic) -> Element:
    t = context.t
    with context.engine.db.read() as session:
        by_template = select(Template.key, Template.name).where(Template.topic == topic.key, col(Template.archived_at).is_(None))
        templates = session.execute(by_template.order_by(col(Template.name)).limit(MOST)).all()
        answered = select(ConsentState.contact_id).where(ConsentState.channel == TOPIC, ConsentState.purpose == topic.key)
        answers = session.scalar(select(func.count()).select_from(answered.limit(MOST_ANSWERS).subquery())) or 0
        steps = uses_of(context.engine, session, [("topic", topic.key)])[:MOST]
    places = [
        *(html.a({"href": f"/ui/templates/{key}", "key": key}, name) for key, name in templates),
        *(_step(use, number) for number, use in enumerate(steps)),
    ]
    said = t("answers of contacts: at least {count}" if answers == MOST_ANSWERS else "answers of contacts: {count}", count=answers)
    shown = [part for place in places for part in (place, " · ")]
    return html.li({"key": topic.key}, html.b(topic.label(t.language)), " ", html.code(topic.key), ": ", *shown, said)


def _step(use: Use, number: int) -> Element:
    shown = f"{use.journey_name}: {use.node_name or use.field}"
    return html.a({"href": f"/ui/journeys/{use.journey}/edit", "key": f"step{number}"}, shown)
