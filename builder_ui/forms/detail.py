"""One form from all sides: what it asks, what came in, how much a day, and how it gets into a website."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from builder_ui.builder import lookups
from builder_ui.forms import embedding, states
from builder_ui.forms.editor import LOOKS, editor
from builder_ui.forms.writing import Writing
from builder_ui.kit import components
from builder_ui.kit import forms as page_forms
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.catalogue import field_titles
from crm.forms import forms, submissions
from crm.forms.definition import USUAL, Definition, is_asked
from journeys.catalogue import FIELD_TITLES
from journeys.errors import NotFound
from models import Form, FormDay, FormSubmission

PAGE_SIZE = 50
SPAN = 90
"""Days that are shown day by day."""


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    """`inner` is what the view that is shown has loaded."""

    form: Form
    submitted: int
    spam: int
    inner: Any


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the views, for those of whom `may_open` says so."""

    title: str
    load: Callable[[PageContext, Session, Form], Any]
    view: Callable[[PageContext, Data, Acts], Element]
    may_open: Callable[[PageContext], bool] = lambda context: context.may("form.read")


def load(context: PageContext) -> Data | None:
    """None: there is no such form."""
    with context.engine.db.read() as session:
        form = found(session, context.arguments["key"])
        if form is None:
            return None
        submitted, spam = submissions.totals(session).get(forms.id_of(form), (0, 0))
        return Data(form, submitted, spam, tab(context).load(context, session, form))


def found(session: Session, key: str) -> Form | None:
    try:
        return forms.get(session, key)
    except NotFound:
        return None


def tab(context: PageContext) -> Tab:
    """The one that the address asks for, if the role may see it; else the first."""
    one = TABS.get(context.query.get("view", ""), TABS[""])
    return one if one.may_open(context) else TABS[""]


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        form = found(session, context.arguments["key"])
        totals = submissions.totals(session)
        return form and (form.version, form.state, form.name, totals.get(forms.id_of(form)))


def view(context: PageContext, data: Data | None, acts: Acts) -> Element:
    t = context.t
    if data is None:
        back = html.a({"className": "button", "href": "/ui/forms"}, t("All forms"))
        return components.empty("clipboard-check", t("There is no form at this address."), back)
    form = data.form
    tabs = [(name, t(one.title), None) for name, one in TABS.items() if one.may_open(context)]
    bare = replace(context, query={name: value for name, value in context.query.items() if name == "view"})
    return html._(
        components.head(
            form.name,
            back=("/ui/forms", t("Forms")),
            state=states.state(t, form),
            actions=[*looking(context, form), *moving(context, form, acts)],
        ),
        html.p(
            {"className": "quiet"},
            t(
                "Filled in: {count}. Sent by bots and not kept: {spam}.",
                count=t.number(data.submitted),
                spam=t.number(data.spam),
            ),
        ),
        html.div({"className": "bar"}, components.tabs(bare, "view", tabs, t("Views"))),
        tab(context).view(context, data, acts),
    )


# What can be done with it


def looking(context: PageContext, form: Form) -> list[Element]:
    if form.state != "live":
        return []
    link = {"className": "button", "href": f"/f/{form.key}", "target": "_blank", "rel": "noopener"}
    return [html.a(link, components.icon("link"), context.t("Open page"))]


def moving(context: PageContext, form: Form, acts: Acts) -> list[Element]:
    if not context.may("form.change"):
        return []
    t, act = context.t, acts.act
    if form.state == "archived":
        back = act("form.change", _restoring(form.key), "Form restored.")
        return [components.button(t("Restore"), back, "history", "main")]
    archive = act("form.change", _moving(form.key, "archived"), "Form archived.", _restoring(form.key))
    on = (
        components.button(
            t("Switch off"), act("form.change", _moving(form.key, "draft"), "Form switched off.", _moving(form.key, "live")), "pause"
        )
        if form.state == "live"
        else components.button(t("Switch on"), act("form.change", _moving(form.key, "live"), "The form is live."), "play", "main")
    )
    copy = components.button(t("Duplicate"), act("form.change", _duplicating(form.key), "Form duplicated; the copy is a draft."), "copy")
    return [copy, components.button(t("Archive"), archive, "folder"), on]


def _moving(key: str, to: forms.State) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, page_forms.plainly():
            forms.move(session, key, to, context.by, context.app.now())

    return do


def _restoring(key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, page_forms.plainly():
            forms.restore(session, key, context.by, context.app.now())

    return do


def _duplicating(key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, page_forms.plainly():
            forms.duplicate(session, key, context.t("copy"), context.by, context.app.now())

    return do


# What it asks


def load_editor(context: PageContext, session: Session, form: Form) -> lookups.Lookups:
    found, titles = lookups.load(session, context.t), field_titles(session)
    names = [spec.name for spec in {**USUAL, **found.catalogue.fields}.values() if is_asked(spec)]
    labels = [(name, titles.get(name) or _titled(context.t(FIELD_TITLES.get(name) or name.replace("_", " ")))) for name in names]
    return replace(found, choices={**found.choices, "form_field": sorted(labels, key=lambda one: (one[0] not in FIRST, one[1].casefold()))})


FIRST = ("email", "first_name", "last_name", "phone", "company")
"""What most forms ask for stands first."""


def _titled(text: str) -> str:
    return text[:1].upper() + text[1:]


def edit_view(context: PageContext, data: Data, acts: Acts) -> Element:
    form = data.form
    begin = lambda: Writing(context, data.inner, form.key, form.name, form.definition, form.version)  # noqa: E731
    return editor(begin, acts)


# What came in


@dataclass(frozen=True, slots=True, repr=False)
class Came:
    """A page of submissions, newest first; `labels`: name of a field -> what people call it."""

    rows: list[FormSubmission]
    names: Mapping[str, str | None]
    labels: Mapping[str, str]
    next_before: str | None


def load_submissions(context: PageContext, session: Session, form: Form) -> Came:
    query = context.query
    rows = submissions.page(session, form, query.get("before"), PAGE_SIZE + 1, query.get("q", ""))
    shown = rows[:PAGE_SIZE]
    names = contact_names(session, [row.contact_id for row in shown])
    return Came(shown, names, labels_of(context, session, form), shown[-1].id if len(rows) > PAGE_SIZE else None)


def labels_of(context: PageContext, session: Session, form: Form) -> dict[str, str]:
    """What the form calls its fields now, in the reader's language."""
    titles, t = field_titles(session), context.t
    asked = Definition.model_validate(form.definition).fields
    usual = {one.name: titles.get(one.name) or _titled(t(FIELD_TITLES.get(one.name) or one.name.replace("_", " "))) for one in asked}
    return {one.name: one.label.said(t.language) or usual[one.name] for one in asked}


def submissions_view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, came = context.t, data.inner
    bar = html.div(
        {"className": "bar"},
        components.search(context, t("Search by e-mail address")),
        components.export(context, "submissions", form=data.form.key),
    )
    if not came.rows:
        return html._(
            bar, components.empty("search", t("Nothing found.") if context.query.get("q") else t("Nothing has come in yet."), None)
        )
    columns = (t("When"), t("Contact"), t("Answers"), t("Consents"), t("From"))
    table = components.table(t("Submissions"), columns, [line(context, came, row) for row in came.rows], "submissions")
    return html._(bar, table, components.pager(context, came.next_before, t("First page"), t("More")))


def line(context: PageContext, came: Came, row: FormSubmission) -> list[Element]:
    t = context.t
    waiting = html.small(components.badge(t("Waiting for confirmation"), "warn", "hourglass")) if row.state == submissions.WAITING else None
    answers = [(came.labels.get(name, name), said(context, value)) for name, value in row.values.items()]
    source = [f"{name}: {value}" for name, value in row.source.items()]
    return [
        components.relative(context, row.submitted_at),
        html.div(contact_link(t, row.contact_id, came.names.get(row.contact_id) or row.address or None), waiting),
        components.facts(answers),
        ", ".join(row.boxes) or "–",
        html.div(row.page or "–", html.small(", ".join(source)) if source else None),
    ]


def said(context: PageContext, value: Any) -> str:
    if isinstance(value, bool):
        return context.t("yes") if value else context.t("no")
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)


# By day


def load_days(context: PageContext, session: Session, form: Form) -> list[FormDay]:
    return submissions.days(session, form, context.app.now() - timedelta(days=SPAN))[::-1]


def days_view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, days = context.t, data.inner
    if not days:
        return components.empty("clock", t("Nothing came in within {count} days.", count=t.number(SPAN)), None)
    columns = (t("Day"), t("Filled in"), t("By bots"))
    rows: list[list[Element]] = [[t.calendar_day(one.day), t.number(one.submitted), t.number(one.spam)] for one in days]
    note = html.p({"className": "quiet"}, t("Days are in UTC. Newest first."))
    return html._(note, components.table(t("By day"), columns, rows, "metrics"))


def nothing(context: PageContext, session: Session, form: Form) -> None:
    """What the view shows is loaded anyway."""


def embed_view(context: PageContext, data: Data, acts: Acts) -> Element:
    return embedding.view(context, data.form)


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return forms.get(session, context.arguments["key"]).name


TABS: Mapping[str, Tab] = {
    "": Tab("Form", load_editor, edit_view),
    "submissions": Tab("Submissions", load_submissions, submissions_view, lambda context: context.may("form.read_submissions")),
    "days": Tab("By day", load_days, days_view),
    "embed": Tab("Put into a website", nothing, embed_view),
}
"""Name in the address -> the view."""

PAGE = Page("/ui/forms/{key}", "Form", "forms", "form.read", load, view, stamp, name=name, assets=LOOKS)
