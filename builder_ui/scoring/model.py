"""One scoring model: its rules, thresholds and grades to be changed and tried, and who changed what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder_ui.builder import lookups
from builder_ui.builder.lookups import Lookups
from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import actor, member_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.scoring import words
from builder_ui.scoring.editor import LOOKS, editor
from builder_ui.scoring.writing import Writing
from crm.scoring import models
from journeys.errors import NotFound
from models import Job, ScoreModel
from workspace import audit

CHANGES = 50


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed it and when, and how rules were changed: (name, points before, points after), None where there is no such rule."""

    at: Any
    by: str
    action: str
    rules: Sequence[tuple[str, int | None, int | None]]


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    model: ScoreModel
    job: Job | None
    waits: bool
    lookups: Lookups
    changes: Sequence[Change]
    members: dict[str, str]


def load(context: PageContext) -> Data | None:
    """None: there is no such model, or no longer."""
    with context.engine.db.read() as session:
        try:
            row = models.get(session, context.arguments["key"])
        except NotFound:
            return None
        job = models.job_of(session, row)
        changes = changes_of(context, session, row) if context.query.get("view") == "history" else ()
        return Data(row, job, waits(session, job), lookups.load(session, context.t), changes, member_names(session))


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        try:
            row = models.get(session, context.arguments["key"])
        except NotFound:
            return None
        job = models.job_of(session, row)
        return row.version, row.state, row.name, job and (job.state, job.done)


def changes_of(context: PageContext, session: Any, row: ScoreModel) -> list[Change]:
    """Newest first; each line of the audit trail holds what was before."""
    after, found = row.definition, []
    lines = audit.list_lines(session, subject=f"scoring:{row.key}", limit=CHANGES)
    details = audit.details(session, lines)
    for line in lines:
        if not line.action.startswith("scoring."):
            continue
        detail = details.get(line.id or 0, {})
        before = detail.get("before", {}).get("definition") if line.action == "scoring.change" else {"rules": []}
        found.append(Change(line.at, line.actor, line.action, differences(before, after) if before is not None else ()))
        after = before if before is not None else after
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, int | None, int | None]]:
    old, new = ({one["id"]: one for one in said.get("rules", ())} for said in (before, after))
    return [
        (
            (new.get(id) or old[id]).get("name") or (new.get(id) or old[id]).get("event") or id,
            *(side.get(id, {}).get("points") for side in (old, new)),
        )
        for id in dict.fromkeys((*new, *old))
        if old.get(id) != new.get(id)
    ]


def view(context: PageContext, data: Data | None, acts: Acts) -> Element:
    t = context.t
    if data is None:
        back = html.a({"className": "button", "href": "/ui/scoring"}, t("All scoring models"))
        return components.empty("gauge", t("There is no scoring model at this address, or no longer."), back)
    model = data.model
    views = [("", t("Rules"), None), ("history", t("Changes"), None)]
    return html._(
        components.head(
            model.name,
            model.description or None,
            back=("/ui/scoring", t("Scoring")),
            state=words.state(t, model, data.job),
            actions=[switching(context, model, acts), deleting(context, model, acts)],
        ),
        no_worker(t, data.waits),
        failed(context, data, acts),
        html.div({"className": "bar"}, components.tabs(context, "view", views, t("Views"))),
        history(context, data) if context.query.get("view") == "history" else editing(context, data, acts),
    )


def editing(context: PageContext, data: Data, acts: Acts) -> Element:
    model = data.model
    draft = {"name": model.name, "description": model.description, **model.definition}
    return editor(lambda: Writing(context, data.lookups, draft, model.key, model.version), acts, {})


def failed(context: PageContext, data: Data, acts: Acts) -> Element:
    t, job = context.t, data.job
    if job is None or job.state != "failed":
        return None
    do = acts.act("scoring.change", again(data.model.key), "Everybody is being scored.")
    may = context.may("scoring.change") and data.model.state != "off"
    return html._(
        ended_early(t, job, "Scoring everybody ended early: {reason}"),
        html.p(components.button(t("Score everybody again"), do, "history")) if may else None,
    )


def again(key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            models.rescore(session, key, context.by, context.app.now())

    return do


def switching(context: PageContext, model: ScoreModel, acts: Acts) -> Element:
    if not context.may("scoring.change"):
        return None
    t = context.t
    if model.state == "off":
        on = acts.act("scoring.change", switch(model.key, True), "The scoring model is on.")
        return components.button(t("Switch on"), on, "play")
    question = t("All points that it gave are taken back; the history stays. Switched on again, everybody is scored silently.")
    off = acts.act("scoring.change", switch(model.key, False), "The scoring model is off.")
    return components.ask(t("Switch off"), question, t("Switch off"), off, "ban")


def switch(key: str, on: bool) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            models.change(session, key, context.by, context.app.now(), on=on)

    return do


def deleting(context: PageContext, model: ScoreModel, acts: Acts) -> Element:
    if not context.may("scoring.change"):
        return None
    t = context.t
    question = t("“{name}” is deleted, and all points that it gave are taken back. This cannot be undone.", name=model.name)
    do = acts.act("scoring.change", removing(model.key), "Scoring model deleted.")
    return components.ask(t("Delete"), question, t("Delete permanently"), do, "ban", "danger")


def removing(key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            models.remove(session, key, context.by, context.app.now())

    return do


ACTIONS = {"scoring.create": "Created", "scoring.change": "Changed"}


def history(context: PageContext, data: Data) -> Element:
    t = context.t
    rows = [
        [
            components.moment(t, one.at),
            actor(t, data.members, one.by),
            html.div(
                t(ACTIONS.get(one.action, "Changed")),
                html.ul({"className": "used"}, [changed(context, n, *of) for n, of in enumerate(one.rules)]) if one.rules else None,
            ),
        ]
        for one in data.changes
    ]
    return components.table(t("Changes"), (t("When"), t("By"), t("What")), rows, "changes")


def changed(context: PageContext, number: int, name: str, before: int | None, after: int | None) -> Element:
    t = context.t
    if before is None:
        said = t("{name}: new, {after} points", name=name, after=after)
    elif after is None:
        said = t("{name}: removed", name=name)
    elif before == after:
        said = t("{name}: conditions or limits", name=name)
    else:
        said = t("{name}: {before} → {after} points", name=name, before=before, after=after)
    return html.li({"key": str(number)}, said)


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return models.get(session, context.arguments["key"]).name


PAGE = Page("/ui/scoring/{key}", "Scoring model", "scoring", "scoring.read", load, view, stamp, name=name, assets=LOOKS)


# A new one


def load_new(context: PageContext) -> Lookups:
    with context.engine.db.read() as session:
        return lookups.load(session, context.t)


def view_new(context: PageContext, data: Lookups, acts: Acts) -> Element:
    t = context.t
    head = components.head(
        t("New scoring model"), t("Rules give points as long as something holds, or for each event."), back=("/ui/scoring", t("Scoring"))
    )
    if acts.drafts.get("key"):
        made = html.a({"className": "button main", "href": f"/ui/scoring/{acts.drafts['key']}"}, t("View scoring model"))
        return html._(
            head, html.div({"className": "actions"}, made, html.a({"className": "button", "href": "/ui/scoring"}, t("All scoring models")))
        )
    draft = {"name": "", "rules": [], "thresholds": []}
    return html._(head, editor(lambda: Writing(context, data, draft), acts, acts.drafts))


NEW = Page("/ui/new-scoring", "New scoring model", "scoring", "scoring.change", load_new, view_new, assets=LOOKS)
