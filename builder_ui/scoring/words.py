"""Scoring in words: what a rule gives and for what, its limits and how it fades, the state of a model, and grades as a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from builder_ui.kit import components, labels
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.segments.writing import readable
from journeys.scoring import ScoringRule
from models import Job, ScoreModel

PERIOD_LIMIT = {
    "day": "at most {points} points a day",
    "week": "at most {points} points a week",
    "month": "at most {points} points a month",
}
WHY = {
    "happened": "Happened",
    "faded": "Faded",
    "holds": "Holds now",
    "ended": "No longer holds",
    "changed": "Scoring changed",
    "": "By a step or by hand",
}
"""Why a row of the history is there."""


def signed(t: Translator, points: float) -> str:
    return f"+{t.number(points)}" if points > 0 else t.number(points)


def asked(t: Translator, raw: Mapping[str, Any]) -> list[Element]:
    """What a rule looks at, as it is written so far."""
    if "event" not in raw:
        rule = readable(raw.get("rule"))
        return components.marked(labels.rule(t, rule)) if rule is not None else [t("Not complete yet")]
    rule = readable({name: raw[name] for name in ("event", "where") if raw.get(name) is not None}) if raw.get("event") else None
    return components.marked(t("each time: {sentence}", sentence=labels.rule(t, rule))) if rule is not None else [t("Not complete yet")]


def limits(t: Translator, raw: Mapping[str, Any]) -> str:
    """`at most 20 points a day; half of them fade every 30 days`; empty without any."""
    try:
        rule = ScoringRule.model_validate({"group": "fit", "points": 1, "id": "x", **_limits(raw), "event": "x"})
    except ValidationError:
        return ""
    said = []
    if rule.most_per is not None:
        said.append(t(PERIOD_LIMIT[rule.most_per.per], points=t.number(rule.most_per.points)))
    if rule.most is not None:
        said.append(t("at most {points} points in all", points=t.number(rule.most)))
    if rule.decay is not None:
        linear = rule.decay.kind == "linear"
        text = "fading evenly to nothing in {days} days" if linear else "half of them fade every {days} days"
        said.append(t(text, days=t.number(rule.decay.days)))
    return "; ".join(said)


def _limits(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: raw[name] for name in ("most", "most_per", "decay") if raw.get(name) is not None}


def state(t: Translator, model: ScoreModel, job: Job | None) -> Element:
    """Whether everybody has the points of its rules."""
    if job is not None and job.state == "failed":
        return components.badge(t("Failed"), "bad", "alert")
    if model.state == "off":
        return components.badge(t("Off"), "quiet", "ban")
    if model.state == "on":
        return components.badge(t("On"), "good", "check")
    scored = t("{count} contacts scored", count=t.number(job.counts.get("scored", 0) if job else 0))
    return html.span(components.badge(t("Scoring everybody"), "warn", "hourglass"), " ", html.small(scored))


def matrix(t: Translator, counts: Mapping[str, int], linked: bool = True) -> Element:
    """A table of letters and numbers with how many have each."""
    head = html.thead(html.tr(html.th({"scope": "col"}, t("Grade")), *(html.th({"scope": "col", "key": n}, n) for n in "1234")))
    return html.table(
        {"className": "grades", "aria-label": t("Contacts by grade")}, head, html.tbody([_row(t, one, counts, linked) for one in "ABCD"])
    )


def _row(t: Translator, letter: str, counts: Mapping[str, int], linked: bool) -> Element:
    most = max(counts.values(), default=0)
    cells = []
    for number in "1234":
        grade, count = letter + number, counts.get(letter + number, 0)
        said = (
            html.a({"href": f"/ui/contacts?field=grade&value={grade}", "title": grade}, t.number(count))
            if linked and count
            else t.number(count)
        )
        weight = 0 if not count else 1 + min(3, count * 4 // (most + 1))
        cells.append(html.td({"key": number, "className": f"weight-{weight}"}, said))
    return html.tr({"key": letter}, html.th({"scope": "row"}, letter), *cells)
