"""All scoring models: to which scores they give points, by how many rules, and how many contacts have which grade."""

from __future__ import annotations

from dataclasses import dataclass

from builder_ui.kit import components
from builder_ui.kit.actor_names import actor, member_names
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.job_ends import no_worker, waits
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.scoring import words
from crm.scoring import grades, models
from models import Job, ScoreModel


@dataclass(frozen=True, slots=True)
class Data:
    lines: list[tuple[ScoreModel, Job | None]]
    grades: dict[str, int]
    members: dict[str, str]
    waits: bool
    """Somebody is to be scored, and no worker is alive."""


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        lines = [(one, models.job_of(session, one)) for one in models.listed(session)]
        return Data(lines, grades.counts(session), member_names(session), any(waits(session, job) for _, job in lines))


def stamp(context: PageContext) -> object:
    data = load(context)
    return [(one.key, one.name, one.version, one.state, job and (job.state, job.done)) for one, job in data.lines], data.grades, data.waits


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    said = t("Points for what contacts are and do. Every change is kept with its reason, and thresholds act when they are reached.")
    return html._(
        components.head(t("Scoring"), said, actions=begin(context) if data.lines else []),
        no_worker(t, data.waits),
        table(context, data) if data.lines else nothing(context),
        html.section({"className": "panel apart"}, html.h2(t("Contacts by grade")), words.matrix(t, data.grades)) if data.grades else None,
    )


def begin(context: PageContext) -> list[Element]:
    """Where a model begins, for those who may make one."""
    if not context.may("scoring.change"):
        return []
    return [html.a({"className": "button main", "href": "/ui/new-scoring"}, components.icon("gauge"), context.t("New scoring model"))]


def table(context: PageContext, data: Data) -> Element:
    t = context.t
    columns = (t("Name"), t("Scores"), t("Rules"), t("Thresholds"), t("State"), t("Created"))
    return components.table(t("Scoring"), columns, [line(context, data, *one) for one in data.lines], "scoring")


def line(context: PageContext, data: Data, one: ScoreModel, job: Job | None) -> list[Element]:
    t, said = context.t, one.definition
    groups = sorted({rule["group"] for rule in said.get("rules", ())})
    return [
        html.div(html.a({"href": f"/ui/scoring/{one.key}"}, one.name), html.small(one.description) if one.description else None),
        ", ".join(groups) or "–",
        t.number(len(said.get("rules", ()))),
        t.number(len(said.get("thresholds", ()))),
        words.state(t, one, job),
        html.div(components.moment(t, one.created_at), html.small(actor(t, data.members, one.created_by))),
    ]


def nothing(context: PageContext) -> Element:
    text = context.t(
        "No scoring models yet. A model gives points by rules: for who a contact is, and for what it does. Thresholds then hand a contact over, "
        "create a task or start a journey."
    )
    return components.empty("gauge", text, html.div({"className": "actions"}, *begin(context)))


PAGE = Page("/ui/scoring", "Scoring", "scoring", "scoring.read", load, view, stamp)
