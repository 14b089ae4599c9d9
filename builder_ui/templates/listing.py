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
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.templates import frames
from builder_ui.templates.makers import KEY_PATTERN, PROBLEMS
from builder_ui.templates.page import class_badge, locale_name, older_text
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


def load(visit: PageContext) -> Data:
    query = visit.query
    wanted = TemplateFilter(
        query.get("q", "").strip()[:120],
        query.get("kind", ""),
        query.get("folder", ""),
        query.get("tag", ""),
        query.get("state") == "archived",
    )
    with visit.engine.db.read() as session:
        found = listing.find(session, wanted, limit=PER_PAGE + 1, offset=_page(visit) * PER_PAGE)
        including = partials.inclusions(session) if any(one.kind == "partial" for one in found) else {}
        more, older = len(found) > PER_PAGE, partials.behind(session)
        return Data(found[:PER_PAGE], listing.uses(session), listing.numbers(session), *listing.labels(session), more, older, including)


def _page(visit: PageContext) -> int:
    said = visit.query.get("page", "")
    return int(said) if said.isdecimal() and len(said) < 5 else 0


def stamp(visit: PageContext) -> object:
    data = load(visit)
    return [(one.key, one.revision, one.archived_at) for one in data.found], data.uses, data.more, data.older, data.inclusions


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    kinds = [("", speech("All"), None), *((kind, speech(about.label), None) for kind, about in KINDS.items())]
    problem = PROBLEMS.get(visit.query.get("problem", ""))
    return html._(
        components.head(speech("Templates"), actions=[begin(visit)]),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), speech(problem)) if problem else None,
        undo(visit, acts),
        older(visit, data, acts),
        html.div(
            {"className": "bar"},
            components.tabs(visit, "kind", kinds, speech("Kind")),
            components.search(visit, speech("Search templates")),
        ),
        filters(visit, data),
        html.div({"className": "cards"}, [card(visit, data, one, acts) for one in data.found]) if data.found else nothing(visit),
        pages(visit, data),
    )


def begin(visit: PageContext) -> Element:
    """Where templates begin, for those who may make one."""
    if not visit.may("template.change"):
        return None
    return html.a({"className": "button main", "href": "/ui/new-template"}, components.icon("layout"), visit.speech("New template"))


def nothing(visit: PageContext) -> Element:
    speech = visit.speech
    if visit.query:
        return components.empty(
            "search", speech("No matching templates."), html.a({"className": "button", "href": visit.path}, speech("Show all"))
        )
    return components.empty("layout", speech("No templates yet."), begin(visit))


def undo(visit: PageContext, acts: Acts) -> Element:
    """The way back from what was just put away."""
    key, speech = acts.drafts.get("archived", ""), visit.speech
    if not key:
        return None
    back = acts.act("template.change", _forgetting(acts, _writing(library.unarchive, key)), "The template was restored.")
    return html.p({"className": "notice good tpl-undo"}, speech("“{key}” is archived.", key=key), components.button(speech("Undo"), back))


def older(visit: PageContext, data: Data, acts: Acts) -> Element:
    """That templates hold older versions of their partials, and the act that brings all of them up."""
    speech, count = visit.speech, len(data.older)
    if not count:
        return None
    said = (
        speech("1 template uses an older version of a partial.")
        if count == 1
        else speech("{count} templates use older versions of partials.", count=count)
    )
    question = speech(
        "Each template gets a new version: its text with the newest partials. Each is checked; what fails stays as it was and is listed. Live journeys keep their versions."
    )
    every = acts.act("template.change", _bringing_up, "The templates have the newest partials.")
    return html.div(
        {"className": "notice tpl-older"},
        components.icon("puzzle"),
        html.span(said),
        components.ask(speech("Update all"), question, speech("Update all"), every, "history") if visit.may("template.change") else None,
    )  # fmt: skip


def _bringing_up(visit: PageContext) -> None:
    house = visit.house
    found = partials.update(house.engine.db, actor=visit.by, now=house.now(), renderer=house.renderer)
    if found.failed:
        raise partials.stayed(found)


def filters(visit: PageContext, data: Data) -> Element:
    """Folder, tag and archive. A plain form: it works while the connection is away."""
    speech, query = visit.speech, visit.query

    def select(name: str, label: str, choices: list[tuple[str, str]]) -> Element:
        options = [html.option({"key": value, "value": value}, text) for value, text in choices]
        return html.label(label, html.select({"name": name, "defaultValue": query.get(name, "")}, options))

    kept = [html.input({"key": name, "type": "hidden", "name": name, "value": query[name]}) for name in ("q", "kind") if query.get(name)]
    fields = [
        select("folder", speech("Folder"), [("", speech("All folders")), *((one, one) for one in data.folders)]) if data.folders else None,
        select("tag", speech("Tag"), [("", speech("All tags")), *((one, one) for one in data.tags)]) if data.tags else None,
        select("state", speech("Where"), [("", speech("In use")), ("archived", speech("Archive"))]),
    ]
    return html.form(
        {"className": "tpl-filters", "method": "get", "action": visit.path},
        *fields,
        kept,
        html.button({"className": "button"}, speech("Filter")),
    )


def card(visit: PageContext, data: Data, one: Template, acts: Acts) -> Element:
    speech = visit.speech
    kind = KINDS[one.kind]
    facts = [
        html.p({"className": "quiet"}, one.key, *([" · ", one.folder] if one.folder else [])),
        html.p(
            {"className": "tags"},
            components.badge(speech(kind.label), "", kind.icon),
            class_badge(speech, one),
            [html.a({"key": tag, "className": "tag", "href": visit.link(tag=tag)}, tag) for tag in one.tags],
        ),
        html.p(", ".join(locale_name(speech, name) for name in one.variants)),
        _used(visit, data, one),
        html.p({"className": "tpl-used warn"}, components.icon("puzzle"), "; ".join(older_text(speech, old) for old in data.older[one.key]))
        if one.key in data.older
        else None,
        html.p({"className": "quiet"}, speech("changed "), components.relative(visit, one.updated_at)),
    ]
    return html.article(
        {"className": "card tpl-card", "key": one.key},
        html.a(
            {"className": "tpl-thumb", "href": f"/ui/templates/{one.key}", "tabIndex": -1, "aria-hidden": "true"},
            thumbnail(visit, data, one),
        ),
        html.div(
            {"className": "tpl-facts"},
            html.h2(html.a({"href": f"/ui/templates/{one.key}"}, one.name)),
            *facts,
            html.footer({"className": "actions"}, *offers(visit, data, one, acts)),
        ),
    )


def _used(visit: PageContext, data: Data, one: Template) -> Element:
    speech = visit.speech
    if one.kind == "partial":
        including = data.inclusions.get(one.key, [])
        links = [(each.key, f"/ui/templates/{each.key}", each.name) for each in including]
        symbol, none = "puzzle", speech("No template includes it.")
    else:
        journeys = {use.journey_key: use.journey_name for use in data.uses.get(one.key, [])}
        links = [(key, f"/ui/journeys/{key}", name) for key, name in journeys.items()]
        symbol, none = "route", speech("No journey uses it.")
    if not links:
        return html.p({"className": "quiet"}, none)
    return html.p({"className": "tpl-used"}, components.icon(symbol), *_links(links))


def _links(found: list[tuple[str, str, str]]) -> list[Element]:
    """(key, address, name) of the first three, and how many more."""
    links = [html.a({"key": key, "href": address}, name) for key, address, name in found[:3]]
    return [html.span({"className": "tpl-journeys"}, links, f"+{len(found) - 3}" if len(found) > 3 else None)]


def thumbnail(visit: PageContext, data: Data, one: Template) -> Element:
    """The mail itself, small; the beginning of a text."""
    if one.kind not in HTML:
        name = frames.choose(one.variants, "", visit.speech.language)
        return html.span({"className": "tpl-bubble"}, str(one.variants.get(name, {}).get("text") or "")[:160])
    source = frames.address(one.key, state="saved", r=str(data.numbers.get(one.key, 0)))
    return components.picture(source)


def offers(visit: PageContext, data: Data, one: Template, acts: Acts) -> list[Element]:
    speech = visit.speech
    if not visit.may("template.change"):
        return []
    if one.archived_at is not None:
        back = acts.act("template.change", _writing(library.unarchive, one.key), "The template was restored.")
        gone = acts.act("template.change", _writing(listing.delete, one.key), "The template is deleted.")
        question = speech("“{name}” and all its versions are permanently deleted. This cannot be undone.", name=one.name)
        return [
            components.button(speech("Restore"), back, "arrow"),
            components.ask(speech("Delete"), question, speech("Delete permanently"), gone, "ban", "danger"),
        ]
    away = acts.act("template.change", _remembering(acts, one.key, _writing(library.archive, one.key)), "The template was archived.")
    return [duplicating(visit, one), _archiving(visit, data.inclusions.get(one.key, []), away)]


def _archiving(visit: PageContext, including: list[Inclusion], away: components.Handler) -> Element:
    """A partial that is in use asks first, and says where."""
    speech = visit.speech
    if not including:
        return components.button(speech("Archive it"), away, "clipboard-check")
    names = ", ".join(one.name for one in including[:5]) + (" …" if len(including) > 5 else "")
    question = speech("Used by {names}, which keep it; it is no longer offered for new templates.", names=names)
    return components.ask(speech("Archive it"), question, speech("Archive it"), away, "clipboard-check")


def duplicating(visit: PageContext, one: Template) -> Element:
    speech = visit.speech
    return html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": "button"}, speech("Duplicate")),
        html.form(
            {"className": "question", "method": "post", "action": f"/ui/templates/{one.key}/duplicate"},
            html.button({"className": "button main"}, speech("Duplicate")),
            components.own_key(speech, "new_key", KEY_PATTERN),
        ),
    )


def pages(visit: PageContext, data: Data) -> Element:
    speech, present = visit.speech, _page(visit)
    if not present and not data.more:
        return None
    before = (
        html.a({"className": "button", "href": visit.link(page=str(present - 1) if present > 1 else None)}, speech("Back"))
        if present
        else None
    )
    after = (
        html.a({"className": "button", "href": visit.link(page=str(present + 1))}, speech("Next"), components.icon("arrow"))
        if data.more
        else None
    )
    return html.nav({"className": "pager", "aria-label": speech("Pages")}, before, after)


def _writing(change: Callable[[Session, str, str, Any], object], key: str) -> Do:
    """A function `(session, key, by, now)` as an act in one transaction."""

    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            change(session, key, visit.by, visit.house.now())

    return do


def _remembering(acts: Acts, key: str, do: Do) -> Do:
    def done(visit: PageContext) -> None:
        do(visit)
        acts.drafts["archived"] = key

    return done


def _forgetting(acts: Acts, do: Do) -> Do:
    def done(visit: PageContext) -> None:
        do(visit)
        acts.drafts.pop("archived", None)

    return done


PAGE = Page("/ui/templates", "Templates", "templates", "template.read", load, view, stamp, every_seconds=5.0)
