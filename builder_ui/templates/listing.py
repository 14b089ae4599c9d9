"""All templates as cards with a picture: found by name, kind, folder and tag; copied, put away with a way back, thrown away if nothing uses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from activities.rendering.kinds import HTML, KINDS
from activities.templates import library, listing, partials
from activities.templates.listing import TemplateFilter, Use
from activities.templates.partials import Behind, Inclusion
from builder_ui.kit import components, template_frames
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.templates import frames
from builder_ui.templates.makers import PROBLEMS
from builder_ui.templates.words import class_badge, locale_name, older_text
from models import Template

PER_PAGE = 24


@dataclass(frozen=True, slots=True)
class Data:
    """`numbers`: key -> newest version; `more`: there is another page; `older`: key -> partials of which there are newer versions;
    `inclusions`: partial -> what includes it."""

    found: list[Template]
    uses: dict[str, list[Use]]
    numbers: dict[str, int]
    folders: list[str]
    tags: list[str]
    more: bool
    older: dict[str, list[Behind]]
    inclusions: dict[str, list[Inclusion]]


def load(context: PageContext) -> Data:
    query = context.query
    filter = TemplateFilter(
        query.get("q", "").strip()[:120],
        query.get("kind", ""),
        query.get("folder", ""),
        query.get("tag", ""),
        query.get("state") == "archived",
    )
    with context.engine.db.read() as session:
        found = listing.find(session, filter, limit=PER_PAGE + 1, offset=_page(context) * PER_PAGE)
        including = partials.inclusions(session) if any(one.kind == "partial" for one in found) else {}
        more, older = len(found) > PER_PAGE, partials.behind(session)
        return Data(found[:PER_PAGE], listing.uses(session), listing.numbers(session), *listing.labels(session), more, older, including)


def _page(context: PageContext) -> int:
    said = context.query.get("page", "")
    return int(said) if said.isdecimal() and len(said) < 5 else 0


def stamp(context: PageContext) -> object:
    data = load(context)
    return [(one.key, one.revision, one.archived_at) for one in data.found], data.uses, data.more, data.older, data.inclusions


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    kinds = [("", t("All"), None), *((kind, t(about.label), None) for kind, about in KINDS.items())]
    problem = PROBLEMS.get(context.query.get("problem", ""))
    return html._(
        components.head(t("Templates"), actions=[*rooms(context), begin(context)]),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), t(problem)) if problem else None,
        undo(context, acts),
        older(context, data, acts),
        html.div(
            {"className": "bar"},
            components.tabs(context, "kind", kinds, t("Kind")),
            components.search(context, t("Search templates")),
        ),
        filters(context, data),
        html.div({"className": "cards"}, [card(context, data, one, acts) for one in data.found]) if data.found else nothing(context),
        pages(context, data),
    )


ROOMS = (("/ui/pictures", "Pictures", "image"), ("/ui/coupons", "Coupon codes", "gem"))
"""(address, title, icon) of what templates are made with."""


def rooms(context: PageContext) -> list[Element]:
    """The ways to what templates are made with."""
    return [
        html.a({"className": "button", "href": address, "key": address}, components.icon(symbol), context.t(title))
        for address, title, symbol in ROOMS
    ]


def begin(context: PageContext) -> Element:
    """Where templates begin, for those who may make one."""
    if not context.may("template.change"):
        return None
    return html.a({"className": "button main", "href": "/ui/new-template"}, components.icon("layout"), context.t("New template"))


def nothing(context: PageContext) -> Element:
    t = context.t
    if context.query:
        return components.empty("search", t("No matching templates."), html.a({"className": "button", "href": context.path}, t("Show all")))
    return components.empty("layout", t("No templates yet."), begin(context))


def undo(context: PageContext, acts: Acts) -> Element:
    """The way back from what was just put away."""
    key, t = acts.drafts.get("archived", ""), context.t
    if not key:
        return None
    back = acts.act("template.change", _forgetting(acts, _writing(library.unarchive, key)), "The template was restored.")
    return html.p({"className": "notice good tpl-undo"}, t("“{key}” is archived.", key=key), components.button(t("Undo"), back))


def older(context: PageContext, data: Data, acts: Acts) -> Element:
    """That templates hold older versions of their partials, and the act that brings all of them up."""
    t, count = context.t, len(data.older)
    if not count:
        return None
    said = (
        t("1 template uses an older version of a partial.")
        if count == 1
        else t("{count} templates use older versions of partials.", count=count)
    )
    question = t(
        "Each template gets a new version: its text with the newest partials. Each is checked; what fails stays as it was and is listed. Live journeys keep their versions."
    )
    every = acts.act("template.change", _bringing_up, "The templates have the newest partials.")
    return html.div(
        {"className": "notice tpl-older"},
        components.icon("puzzle"),
        html.span(said),
        components.ask(t("Update all"), question, t("Update all"), every, "history") if context.may("template.change") else None,
    )  # fmt: skip


def _bringing_up(context: PageContext) -> None:
    app = context.app
    found = partials.update(app.engine.db, actor=context.by, now=app.now(), renderer=app.renderer)
    if found.failed:
        raise partials.stayed(found)


def filters(context: PageContext, data: Data) -> Element:
    """Folder, tag and archive. A plain form: it works while the connection is away."""
    t, query = context.t, context.query

    def select(name: str, label: str, choices: list[tuple[str, str]]) -> Element:
        options = [html.option({"key": value, "value": value}, text) for value, text in choices]
        return html.label(label, html.select({"name": name, "defaultValue": query.get(name, "")}, options))

    kept = [html.input({"key": name, "type": "hidden", "name": name, "value": query[name]}) for name in ("q", "kind") if query.get(name)]
    fields = [
        select("folder", t("Folder"), [("", t("All folders")), *((one, one) for one in data.folders)]) if data.folders else None,
        select("tag", t("Tag"), [("", t("All tags")), *((one, one) for one in data.tags)]) if data.tags else None,
        select("state", t("Where"), [("", t("In use")), ("archived", t("In the archive"))]),
    ]
    return html.form(
        {"className": "tpl-filters", "method": "get", "action": context.path},
        *fields,
        kept,
        html.button({"className": "button"}, t("Filter")),
    )


def card(context: PageContext, data: Data, one: Template, acts: Acts) -> Element:
    t = context.t
    kind = KINDS[one.kind]
    facts = [
        html.p({"className": "quiet"}, one.key, *([" · ", one.folder] if one.folder else [])),
        html.p(
            {"className": "tags"},
            components.badge(t(kind.label), "", kind.icon),
            class_badge(t, one),
            [html.a({"key": tag, "className": "tag", "href": context.link(tag=tag)}, tag) for tag in one.tags],
        ),
        html.p(", ".join(locale_name(t, name) for name in one.variants)),
        _used(context, data, one),
        html.p({"className": "tpl-used warn"}, components.icon("puzzle"), "; ".join(older_text(t, old) for old in data.older[one.key]))
        if one.key in data.older
        else None,
        html.p({"className": "quiet"}, t("changed "), components.relative(context, one.updated_at)),
    ]
    return html.article(
        {"className": "card tpl-card", "key": one.key},
        html.a(
            {"className": "tpl-thumb", "href": f"/ui/templates/{one.key}", "tabIndex": -1, "aria-hidden": "true"},
            thumbnail(context, data, one),
        ),
        html.div(
            {"className": "tpl-facts"},
            html.h2(html.a({"href": f"/ui/templates/{one.key}"}, one.name)),
            *facts,
            html.footer({"className": "actions"}, *offers(context, data, one, acts)),
        ),
    )


def _used(context: PageContext, data: Data, one: Template) -> Element:
    t = context.t
    if one.kind == "partial":
        including = data.inclusions.get(one.key, [])
        links = [(each.key, f"/ui/templates/{each.key}", each.name) for each in including]
        symbol, none = "puzzle", t("No template includes it.")
    else:
        journeys = {use.journey_key: use.journey_name for use in data.uses.get(one.key, [])}
        links = [(key, f"/ui/journeys/{key}", name) for key, name in journeys.items()]
        symbol, none = "route", t("No journey uses it.")
    if not links:
        return html.p({"className": "quiet"}, none)
    return html.p({"className": "tpl-used"}, components.icon(symbol), *_links(links))


def _links(found: list[tuple[str, str, str]]) -> list[Element]:
    """(key, address, name) of the first three, and how many more."""
    links = [html.a({"key": key, "href": address}, name) for key, address, name in found[:3]]
    return [html.span({"className": "tpl-journeys"}, links, f"+{len(found) - 3}" if len(found) > 3 else None)]


def thumbnail(context: PageContext, data: Data, one: Template) -> Element:
    """The mail itself, small; the beginning of a text."""
    if one.kind not in HTML:
        name = frames.choose(one.variants, "", context.t.language)
        return html.span({"className": "tpl-bubble"}, str(one.variants.get(name, {}).get("text") or "")[:160])
    source = template_frames.address(one.key, state="saved", r=str(data.numbers.get(one.key, 0)))
    return components.picture(source)


def offers(context: PageContext, data: Data, one: Template, acts: Acts) -> list[Element]:
    t = context.t
    if not context.may("template.change"):
        return []
    if one.archived_at is not None:
        back = acts.act("template.change", _writing(library.unarchive, one.key), "The template was restored.")
        gone = acts.act("template.change", _deleting(one.key), "The template is deleted.")
        question = t("“{name}” and all its versions are permanently deleted. This cannot be undone.", name=one.name)
        return [
            components.button(t("Restore"), back, "arrow"),
            components.ask(t("Delete"), question, t("Delete permanently"), gone, "ban", "danger"),
        ]
    away = acts.act("template.change", _remembering(acts, one.key, _writing(library.archive, one.key)), "The template was archived.")
    return [duplicating(context, one), _archiving(context, data.inclusions.get(one.key, []), away)]


def _archiving(context: PageContext, including: list[Inclusion], away: components.Handler) -> Element:
    """A partial that is in use asks first, and says where."""
    t = context.t
    if not including:
        return components.button(t("Archive it"), away, "clipboard-check")
    names = ", ".join(one.name for one in including[:5]) + (" …" if len(including) > 5 else "")
    question = t("Used by {names}, which keep it; it is no longer offered for new templates.", names=names)
    return components.ask(t("Archive it"), question, t("Archive it"), away, "clipboard-check")


def duplicating(context: PageContext, one: Template) -> Element:
    t = context.t
    return html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": "button"}, t("Duplicate")),
        html.form(
            {"className": "question", "method": "post", "action": f"/ui/templates/{one.key}/duplicate"},
            html.button({"className": "button main"}, t("Duplicate")),
            components.own_key(t, "new_key"),
        ),
    )


def pages(context: PageContext, data: Data) -> Element:
    t, present = context.t, _page(context)
    if not present and not data.more:
        return None
    before = (
        html.a({"className": "button", "href": context.link(page=str(present - 1) if present > 1 else None)}, t("Back"))
        if present
        else None
    )
    after = (
        html.a({"className": "button", "href": context.link(page=str(present + 1))}, t("Next"), components.icon("arrow"))
        if data.more
        else None
    )
    return html.nav({"className": "pager", "aria-label": t("Pages")}, before, after)


def _writing(change: Callable[[Session, str, str, Any], object], key: str) -> Do:
    """A function `(session, key, by, now)` as an act in one transaction."""

    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            change(session, key, context.by, context.app.now())

    return do


def _deleting(key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            listing.delete(session, key, context.by)

    return do


def _remembering(acts: Acts, key: str, do: Do) -> Do:
    def done(context: PageContext) -> None:
        do(context)
        acts.drafts["archived"] = key

    return done


def _forgetting(acts: Acts, do: Do) -> Do:
    def done(context: PageContext) -> None:
        do(context)
        acts.drafts.pop("archived", None)

    return done


PAGE = Page("/ui/templates", "Templates", "templates", "template.read", load, view, stamp, every_seconds=5.0)
