"""How many points the contact has in each group, its grade, and how that came about: each change with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.scoring import words
from crm.scoring import questions
from crm.scoring.questions import Reached
from models import Contact, ScoreChange

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    """`rows` only where the history is looked at; `next_before`: where it goes on."""

    scores: dict[str, float]
    reached: Sequence[Reached] = ()
    rows: Sequence[ScoreChange] = ()
    next_before: str | None = None


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data:
    scores = questions.scores_of(session, contact.id)
    if not opened:
        return Data(scores)
    before = context.query.get("before", "")
    rows = questions.history(session, contact.id, int(before) if before.isdecimal() and len(before) < 19 else None, PAGE_SIZE + 1)
    following = str(rows[PAGE_SIZE - 1].id) if len(rows) > PAGE_SIZE else None
    return Data(scores, questions.reached_by(session, contact.id), rows[:PAGE_SIZE], following)


def aside(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    return present(context, contact, data) if data.scores else None


def present(context: PageContext, contact: Contact, data: Data) -> Element:
    t = context.t
    grade: list[tuple[str, Element]] = [(t("Grade"), components.badge(contact.grade, "quiet", "gauge"))] if contact.grade else []
    return components.facts([*grade, *((t("Score {group}", group=group), t.number(value)) for group, value in data.scores.items())])


def view(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    t = context.t
    if not data.rows:
        return components.empty("gauge", t("This contact has no points yet."), None)
    return html._(
        present(context, contact, data),
        over(context, data),
        html.h3({"className": "apart"}, t("Changes of scores")),
        components.table(
            t("Changes of scores"),
            (t("When"), t("Score"), t("Points"), t("Score after"), t("Why")),
            [line(context, one) for one in data.rows],
            "scores",
        ),
        components.pager(context, data.next_before, t("Newest"), t("Older")),
    )


def over(context: PageContext, data: Data) -> Element:
    """The thresholds that it is at or above."""
    t = context.t
    items = [
        html.li(
            {"key": f"{one.model}/{one.threshold}"},
            html.a({"href": f"/ui/scoring/{one.model}"}, one.name or one.threshold),
            html.span({"className": "quiet"}, " ", t("since"), " ", components.moment(t, one.since)),
        )
        for one in data.reached
    ]
    return html._(html.h3({"className": "apart"}, t("Thresholds reached")), html.ul(items)) if items else None


def line(context: PageContext, one: ScoreChange) -> list[Element]:
    t = context.t
    why = t(words.WHY.get(one.why, one.why))
    return [
        components.moment(t, one.changed_at),
        one.score_group,
        html.b(words.signed(t, one.points)),
        t.number(one.value),
        html.div(one.reason or why, html.small(why) if one.reason else None),
    ]


def stamp(session: Session, contact: Contact) -> object:
    """Of silent changes no event tells."""
    return session.scalar(select(func.max(col(ScoreChange.id))).where(col(ScoreChange.contact_id) == contact.id))


PANEL = Panel("scores", "Scores", load, aside=aside, view=view, offered=lambda data: bool(data.scores), stamp=stamp)
