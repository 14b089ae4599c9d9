"""The picture library: pictures as cards, found by name and words, described in both languages, deleted with a way back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from activities.pictures import library
from activities.pictures.file import MOST_BYTES
from activities.pictures.library import Place
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.templates.picture_forms import PROBLEMS
from locales import SUPPORTED
from models import Picture

PER_PAGE = 30
ENDINGS = ".png,.jpg,.jpeg,.gif,.webp"


@dataclass(frozen=True, slots=True)
class Data:
    """`sizes`: picture -> (width, height) from small to large; `uses`: picture -> what shows it; `more`: there is another page."""

    found: list[Picture]
    sizes: dict[str, list[tuple[int, int]]]
    uses: dict[str, list[Place]]
    more: bool


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        found = _found(context, session)
        shown = found[:PER_PAGE]
        return Data(shown, library.widths(session, [one.id for one in shown]), library.uses(session), len(found) > PER_PAGE)


def _found(context: PageContext, session: Session) -> list[Picture]:
    """Those of the page, and one more if there are any."""
    text = context.query.get("q", "").strip()[:120]
    return library.find(session, text, limit=PER_PAGE + 1, before=context.query.get("before") or None)


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        found = _found(context, session)
        return [(one.id, one.name, sorted(one.alt.items())) for one in found], library.uses_mark(session)


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    problem = PROBLEMS.get(context.query.get("problem", ""))
    lead = t("Pictures for your messages: kept here, made in several widths, without the place and camera that phones write into them.")
    return html._(
        components.head(t("Pictures"), lead, back=("/ui/templates", t("Templates"))),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), t(problem, megabytes=_megabytes(context)))
        if problem
        else None,
        sending(context) if context.may("template.change") else None,
        undo(context, acts),
        html.div({"className": "bar"}, components.search(context, t("Search pictures"))) if data.found or context.query.get("q") else None,
        html.div({"className": "pictures"}, [card(context, data, one, acts) for one in data.found]) if data.found else nothing(context),
        components.pager(context, data.found[-1].id if data.more else None),
    )


def _megabytes(context: PageContext) -> int:
    return min(MOST_BYTES, context.app.max_upload_bytes) // 1_000_000


def sending(context: PageContext) -> Element:
    """A plain form; `pictures.js` lets files be dropped on it, sends several one after the other and makes large photos smaller first."""
    t = context.t
    field = {"type": "file", "id": "pictures", "name": "file", "accept": ENDINGS, "required": True, "multiple": True}
    form = {
        "className": "drop",
        "method": "post",
        "action": "/ui/pictures",
        "encType": "multipart/form-data",
        "data-drop": str(min(MOST_BYTES, context.app.max_upload_bytes)),
    }
    return html.form(
        form,
        components.icon("image"),
        html.label({"htmlFor": "pictures"}, t("Drop pictures here, or choose files")),
        html.input(field),
        html.button({"className": "button main"}, t("Upload")),
        html.p(
            {"className": "quiet"},
            t(
                "PNG, JPEG, GIF or WebP, at most {megabytes} MB and 40 million pixels each. SVG cannot be used.",
                megabytes=_megabytes(context),
            ),
        ),
        html.p({"className": "sending", "role": "status", "hidden": True, "data-sending": t("Uploading {number} of {count} …")}),
    )


def nothing(context: PageContext) -> Element:
    t = context.t
    if context.query.get("q"):
        return components.empty("search", t("No matching pictures."), html.a({"className": "button", "href": context.path}, t("Show all")))
    return components.empty("image", t("No pictures yet."), None)


def undo(context: PageContext, acts: Acts) -> Element:
    """The way back from what was just deleted."""
    id, _, name = acts.drafts.get("deleted", "").partition(" ")
    if not id:
        return None
    t = context.t

    def back(inner: PageContext) -> None:
        with inner.engine.db.write() as session:
            library.restore(session, id, inner.by)
        acts.drafts.pop("deleted", None)

    again = acts.act("template.change", back, "The picture is back.")
    return html.p({"className": "notice good tpl-undo"}, t("“{name}” is deleted.", name=name), components.button(t("Undo"), again))


def card(context: PageContext, data: Data, one: Picture, acts: Acts) -> Element:
    t, sizes = context.t, data.sizes[one.id]
    width, height = sizes[-1]
    size = t("{width} × {height} pixels", width=width, height=height)
    lacking = [language for language in SUPPORTED if not one.alt.get(language)]
    return html.article(
        {"className": "card picture", "key": one.id},
        html.a(
            {"className": "picture-view", "href": library.path(one, width), "target": "_blank", "rel": "noopener"},
            html.img({"src": library.path(one, sizes[0][0]), "alt": one.alt.get(t.language) or one.name, "loading": "lazy"}),
        ),
        html.h2(one.name),
        html.p({"className": "quiet"}, size, " · ", f"{t.number(-(-one.bytes // 1000))} kB"),
        [html.p({"key": language, "lang": language}, text) for language, text in sorted(one.alt.items())],
        html.p({"className": "tpl-used warn"}, components.icon("alert"), t("Alternative text is missing: {languages}", languages=_named(t, lacking)))
        if lacking
        else None,
        _used(context, data.uses.get(one.id, [])),
        html.footer({"className": "actions"}, *offers(context, data, one, acts)),
    )  # fmt: skip


def _named(t: Translator, languages: list[str]) -> str:
    return ", ".join(str(t.language_of(one)) for one in languages)


def _used(context: PageContext, places: list[Place]) -> Element:
    t = context.t
    if not places:
        return html.p({"className": "quiet"}, t("No template shows it."))
    links = [html.a({"key": one.key, "href": f"/ui/templates/{one.key}"}, one.name) for one in places[:3]]
    return html.p(
        {"className": "tpl-used"},
        components.icon("layout"),
        html.span({"className": "tpl-journeys"}, links, f"+{len(places) - 3}" if len(places) > 3 else None),
    )


def offers(context: PageContext, data: Data, one: Picture, acts: Acts) -> list[Element]:
    """Its address for a template, its words, and the way out."""
    t = context.t
    width, _ = library.best(data.sizes[one.id])
    address = context.app.public_url + library.path(one, width)
    copied = html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": "button"}, components.icon("link"), t("Address")),
        html.div(
            {"className": "question stack"},
            html.label(t("For src in a template"), html.input({"readOnly": True, "value": address})),
        ),
    )
    if not context.may("template.change"):
        return [copied]
    return [copied, describing(context, one, acts), removing(context, data.uses.get(one.id, []), one, acts)]


def describing(context: PageContext, one: Picture, acts: Acts) -> Element:
    t = context.t
    names = {language: f"alt-{language}-{one.id}" for language in SUPPORTED}
    fields = [components.kept(acts, f"name-{one.id}", t("Name"), 120, one.name)]
    fields += [
        components.kept(acts, key, t("Alternative text ({language})", language=t.language_of(language)), library.MOST_ALT, one.alt.get(language, ""))
        for language, key in names.items()
    ]  # fmt: skip

    def do(inner: PageContext) -> None:
        texts = {language: acts.drafts.get(key, one.alt.get(language, "")) for language, key in names.items()}
        with inner.engine.db.write() as session:
            library.describe(session, one.id, inner.by, name=acts.drafts.get(f"name-{one.id}", one.name), alt=texts)
        for key in (*names.values(), f"name-{one.id}"):
            acts.drafts.pop(key, None)

    return components.form(t("Describe"), "pencil", fields, t("Save"), acts.act("template.change", do, "The description is saved."))


def removing(context: PageContext, places: list[Place], one: Picture, acts: Acts) -> Element:
    t = context.t
    if places:
        question = t("It is shown in templates: take it out there first.")
        return html.details(
            {"className": "ask", "name": "ask"},
            html.summary({"className": "button danger"}, components.icon("ban"), t("Delete")),
            html.div({"className": "question"}, html.p(question)),
        )
    question = t("Messages that were sent with “{name}” show it no more. You can undo this for 30 days.", name=one.name)
    return components.ask(
        t("Delete"), question, t("Delete"), acts.act("template.change", _deleting(acts, one), "The picture is deleted."), "ban", "danger"
    )


def _deleting(acts: Acts, one: Picture) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            library.remove(session, one.id, context.by, context.app.now())
        acts.drafts["deleted"] = f"{one.id} {one.name}"

    return do


PAGE = Page("/ui/pictures", "Pictures", "templates", "template.read", load, view, stamp, every_seconds=5.0)
