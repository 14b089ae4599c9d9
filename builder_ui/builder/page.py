"""The builder's page: head, canvas or outline, panel, problems. Each part listens for its own topics and is drawn alone.

The component around them has no state, so that a click never sends the whole drawing again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from builder_ui.builder import bundle, cards, forms, look, numbers, texts
from builder_ui.builder.before import last_message
from builder_ui.builder.disputes import disputes
from builder_ui.builder.draft import at
from builder_ui.builder.journey_form import JOURNEY_FORM
from builder_ui.builder.knowledge import Knowledge
from builder_ui.builder.others import initials, tone
from builder_ui.builder.protocol import ENTRY, MAX_NOTE_CHARACTERS
from builder_ui.builder.session import Editor, Stored, counted, fetch
from builder_ui.journeys.gallery import KEY_PATTERN
from builder_ui.kit import ahead, components, state_line
from builder_ui.kit import forms as plain_forms
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import JOURNEY_STATES, OUTLETS, RUN_STATES, coded
from builder_ui.kit.observable import use_reading, use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, submitted, use_effect, use_ref, use_state
from engine.open_builders import Present
from engine.versions.publish import get_journey
from journeys import results
from journeys.errors import Issue
from journeys.nodes import Node

CANVAS_ID = "journey"
MOST_SHOWN = 200
WHOM = plain_forms.Field("whom", "Name or e-mail", "search", most=200)


class Opening:
    """What a builder begins with. Not a dataclass: ReactPy logs the arguments of a component that fails, and nobody may read these there."""

    def __init__(self, context: PageContext, stored: Stored) -> None:
        self.context, self.stored = context, stored


def view(context: PageContext, stored: Stored, _acts: Acts) -> Element:
    return builder(Opening(context, stored))


@component
def builder(opening: Opening) -> Element:
    """One open builder; a page that comes back after a lost connection is a new one with the old canvas."""
    held: Any = use_ref(None)
    if held.current is None:
        held.current = Editor(opening.context, opening.stored)
    editor: Editor = held.current
    context = opening.context
    use_effect(lambda: _begin(editor), [])
    use_effect(lambda: _follow(editor, context.query.get("run", "")), [])
    return html.div(
        {"className": "pfb"},
        head(editor),
        html.div(
            {"className": "pfb-body"},
            work(editor, html.div({"className": "pfb-canvas"}, canvas(editor)), bridge(editor)),
            side(editor),
        ),
        suggestions(editor),
    )


def _begin(editor: Editor) -> Callable[[], None]:
    editor.begin()
    return editor.close


def _follow(editor: Editor, run_id: str) -> None:
    """An address that names a run opens on its way."""
    if run_id:
        editor.follow_somebody(run_id)


# Canvas


@component
def work(editor: Editor, drawing: Element, news: Element) -> Element:
    """Canvas or outline; the canvas stays where it is, because undo lives in it."""
    shown, show = use_state("")

    def update() -> None:
        show("followed" if editor.path is not None else "outlined" if editor.outlined else "")

    def begin() -> Callable[[], None]:
        update()
        return editor.listen(("outline", "path"), update)

    use_effect(begin, [])
    place = {"className": f"pfb-work {shown}".strip()}
    return html.div(place, drawing, news, outline(editor) if shown == "outlined" else None, way(editor) if shown == "followed" else None)


@component
def canvas(editor: Editor) -> Element:
    """Drawn once; from then on the canvas hears of changes through the bridge."""
    t, palette = editor.t, editor.context.engine.palette
    drawing, _ = bundle.components()
    return drawing(
        {
            "id": CANVAS_ID,
            "session": editor.id,
            "initial": _text(editor.graph()),
            "journey": editor.journey.key,
            "name": editor.journey.name,
            "palette": _text(cards.palette_of(t, palette)),
            "texts": _text(texts.for_canvas(t)),
            "editable": editor.editable,
            "onEvent": editor.hear,
        }
    )


@component
def bridge(editor: Editor) -> Element:
    use_topics(editor, "feed")
    _, news = bundle.components()
    return news({"id": CANVAS_ID, "feed": _text(editor.feed())})


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Head

_STATUS = {
    "saved": ("Saved", "good", "check"),
    "unsaved": ("Saving …", "", "clock"),
    "conflict": ("Not saved: somebody else changed this journey", "bad", "alert"),
    "denied": ("Not saved: your role does not allow it", "bad", "ban"),
    "out": ("You are logged out. Log in in another tab, then continue here.", "bad", "ban"),
    "failed": ("Not saved yet; trying again", "warn", "alert"),
}


@component
def head(editor: Editor) -> Element:
    use_topics(editor, "head", "path")
    t, key = editor.t, editor.journey.key
    state = JOURNEY_STATES[editor.state]
    text, tone, symbol = _STATUS[editor.status]
    if not editor.context.may("journey.change"):
        text, tone, symbol = "View only", "", "ban"
    actions = [*_views(editor), _more(editor)]
    if editor.path is not None:
        actions = [components.button(t("Back to canvas"), lambda _event: editor.back_to_drawing(), "pencil", "main")]
    elif editor.editable:
        look_over = lambda _event: editor.spawn(editor.look_over)  # noqa: E731
        actions.append(components.button(t("Publish …"), look_over, "play", "main", id="pfb-publish"))
    return html.header(
        {"className": "pfb-head"},
        _jump(t("Skip to canvas"), "canvas") if editor.path is None and not editor.outlined else None,
        _jump(t("Skip to form"), "form") if editor.path is None else None,
        html.a({"className": "back", "href": f"/ui/journeys/{key}"}, "← ", t("Journey")),
        html.h1(str(editor.draft.parts.get("name") or editor.journey.name)),
        components.badge(t(state[0]), *state[1:]),
        components.badge(t("Unpublished changes"), "warn", "pencil") if editor.unpublished else html.span({"hidden": True}),
        bundle.status()(state_line.props(CANVAS_ID, t, (text, tone, symbol), _lasts(editor), editor.hear)),
        _people(editor),
        # Keys: what comes and goes before them would have them drawn anew, and an open menu would close under the hand.
        html.div({"className": "actions", "key": "actions"}, *actions),
        _conflict(editor),
        disputes(editor),
        _notice(editor),
        review(editor) if editor.review else None,
    )


MOST_PEOPLE = 5


def _people(editor: Editor) -> Element:
    """Who else is inside, and at which step; pressing somebody leads there."""
    if not editor.people:
        return None
    shown = [html.li({"key": one.id}, _person(editor, one)) for one in editor.people[:MOST_PEOPLE]]
    more = len(editor.people) - MOST_PEOPLE
    if more > 0:
        shown.append(html.li({"key": "more"}, html.span({"className": "pfb-person more"}, f"+{more}")))
    return html.ul({"className": "pfb-people", "aria-label": editor.t("Also inside")}, shown)


def _person(editor: Editor, one: Present) -> Element:
    t, name = editor.t, editor.name_of_page(one)
    there = one.place == ENTRY or one.place in editor.draft.nodes
    step = t("Journey") if one.place == ENTRY else editor.names.get(one.place, "")
    text = t("{name}, at “{step}”", name=name, step=step) if there else name
    own = " own" if one.member_id == editor.context.member.id else ""
    attributes = {
        "type": "button",
        "className": f"pfb-person pfb-p{tone(one.member_id)}{own}",
        "title": text,
        "aria-label": text,
        "disabled": not there,
        "onClick": lambda _event: editor.select([one.place], show=True) if there else None,
    }
    return html.button(attributes, html.span({"aria-hidden": "true"}, initials(one.name)))


def _lasts(editor: Editor) -> bool:
    """Whether the word about saving waits for a person or for time, not for an answer."""
    return editor.status in ("conflict", "denied", "out", "failed") or not editor.editable


def _jump(text: str, place: str) -> Element:
    """For the keyboard, seen once it has the focus; the canvas carries it out, since it knows what is chosen."""
    return html.button({"type": "button", "className": "skip", "data-go": place}, text)


def _views(editor: Editor) -> list[Element]:
    """Other ways to look at the same journey."""
    t = editor.t
    outline = components.button(
        t("Canvas") if editor.outlined else t("Outline"),
        lambda _event: editor.toggle_outline(),
        "route" if editor.outlined else "list-tree",
    )
    if not editor.live_version:
        return [outline]
    counting = editor.figures is not None
    return [
        outline,
        components.button(t("Hide metrics") if counting else t("Metrics"), lambda _event: editor.toggle_counts(), "people"),
        _counted_version(editor) if counting else None,
        components.button(t("Follow a contact"), lambda _event: editor.follow_somebody(), "user"),
    ]


def _counted_version(editor: Editor) -> Element:
    """Whose numbers: those of all versions together, of the live one, or of another."""
    t = editor.t

    def chosen(event: Any) -> None:
        value = str(event["target"].get("value") or "")
        editor.count_version(int(value) if value.isdecimal() else None)

    options = [html.option({"key": "all", "value": ""}, t("All versions"))]
    for number in editor.versions:
        said = t("Version {number}", number=number)
        options.append(
            html.option({"key": str(number), "value": str(number)}, f"{said} ({t('live')})" if number == editor.live_version else said)
        )
    attributes = {
        "aria-label": t("Metrics of version"),
        "className": "pfb-version",
        "value": str(editor.counted_version or ""),
        "onChange": chosen,
    }
    return html.select(attributes, options)


def _more(editor: Editor) -> Element:
    """Export and duplicate: plain links and forms, which work while the connection is away; pictures are made by the canvas itself."""
    t, key = editor.t, editor.journey.key
    duplicate = html.form(
        {"className": "pfb-new", "method": "post", "action": f"/ui/journeys/{key}/duplicate"},
        html.button({"className": "button"}, t("Duplicate")),
        components.own_key(t, "key", KEY_PATTERN),
    )
    return html.details(
        {"className": "ask", "name": "ask", "key": "more"},
        html.summary({"className": "button"}, t("More")),
        html.div(
            {"className": "question"},
            html.a({"className": "button", "href": f"/api/v1/journeys/{key}/document", "download": f"{key}.json"}, t("Export as a file")),
            html.button({"type": "button", "className": "button", "data-picture": "svg"}, t("Picture (SVG)")),
            html.button({"type": "button", "className": "button", "data-picture": "png"}, t("Picture (PNG)")),
            html.a({"className": "button", "href": f"/ui/journeys/{key}/diff"}, t("Compare versions")) if editor.live_version else None,
            duplicate if editor.editable else None,
        ),
    )


def _conflict(editor: Editor) -> Element:
    if editor.status != "conflict":
        return None
    t = editor.t
    by = editor.by or t("Somebody")
    return html.div(
        {"className": "pfb-notice bad", "role": "alertdialog", "aria-label": t("Two people changed this journey")},
        html.p(t("{name} saved this journey while you changed it. Nothing of yours is lost as long as this page is open.", name=by)),
        components.button(t("Take theirs"), lambda _event: editor.spawn(editor.take_theirs)),
        components.button(t("Keep mine"), lambda _event: editor.spawn(editor.keep_mine), tone="danger"),
    )


def _notice(editor: Editor) -> Element:
    if editor.notice is None:
        return None
    text, good = editor.notice
    return html.div(
        {"className": f"pfb-notice {'good' if good else 'bad'}", "role": "status"},
        components.icon("check" if good else "alert"),
        html.p(text),
        components.close(editor.t, lambda _event: editor.notify(None)),
    )


@component
def review(editor: Editor) -> Element:
    """What publishing would do, before it does it."""
    note = use_ref("")
    found, t = editor.review, editor.t
    if found is None:
        return None

    def noted(event: Any) -> None:
        note.current = str(event["target"].get("value") or "")

    errors = [html.li({"key": str(n)}, problem(editor, issue)) for n, issue in enumerate(found.errors[:MOST_SHOWN])]
    warnings = [html.li({"key": str(n)}, problem(editor, issue)) for n, issue in enumerate(found.warnings[:MOST_SHOWN])]
    changes = [html.li({"key": str(n)}, change) for n, change in enumerate(found.changes[:MOST_SHOWN])]
    inside = t("Contacts in it now: {count}. They stay on the version they entered.", count=t.number(found.inside))
    what = (
        html.p(t("This is the first version: contacts enter from now on."))
        if found.first
        else html.ul({"className": "pfb-changes"}, changes)
    )
    if not found.first and not changes:
        what = html.p(t("Nothing changed since the live version."))
    go = html._(
        html.input(
            {
                "type": "text",
                "aria-label": t("Note"),
                "placeholder": t("What changed, for your team (optional)"),
                "maxLength": 500,
                "onBlur": noted,
            }
        ),
        components.button(t("Publish now"), lambda _event: editor.spawn(editor.publish, note.current), "play", "main"),
    )
    return html.section(
        {"className": "pfb-review", "aria-label": t("Before publishing")},
        html.h2(t("This cannot go live yet") if errors else t("This will change")),
        html.ul({"className": "pfb-changes"}, errors) if errors else what,
        html._(html.h3(t("Warnings")), html.ul({"className": "pfb-changes"}, warnings)) if warnings else None,
        html.p({"className": "quiet"}, inside) if found.inside and not errors else None,
        ahead.shown(t, found.ahead) if not errors else None,
        html.div(
            {"className": "actions"},
            go if not errors else None,
            components.button(t("Not now"), lambda _event: editor.cancel_review()),
        ),
    )


# Panel


@component
def side(editor: Editor) -> Element:
    """The form of what is chosen; the story where somebody's way is shown."""
    use_topics(editor, "path")
    if editor.path is not None:
        return html.aside(
            {"key": "path", "className": "pfb-side", "aria-label": editor.t("Path of a contact")},
            html.div({"className": "pfb-panel"}, story(editor)),
        )
    return html.aside(
        {"key": "form", "className": "pfb-side", "aria-label": editor.t("Form")},
        html.div({"className": "pfb-panel"}, figures(editor), panel(editor), ways(editor)),
        problems(editor),
    )


@component
def suggestions(editor: Editor) -> Element:
    """What fields offer; drawn anew only when there is something else to offer."""
    own, knowledge = use_reading(editor, partial(_suggested, editor), "panel")
    return forms.offers(editor.t, knowledge, own)


def _suggested(editor: Editor) -> tuple[forms.Suggestions, Knowledge]:
    """The names of what steps leave behind for later ones, and of the properties of what lets contacts in."""
    palette, knowledge = editor.context.engine.palette, editor.knowledge
    read = {id: palette.parse(id, raw) for id, raw in editor.draft.nodes.items()}
    left = results.names_of({id: node.results() for id, node in read.items() if isinstance(node, Node)})
    names = editor.names
    triggers = at(editor.draft.parts, ("entry", "triggers"))
    events = [knowledge.catalogue.event(str(one.get("event"))) for one in triggers or () if isinstance(one, dict)]
    properties = dict.fromkeys(f"trigger.{name}" for event in events if event for name in event.properties)
    said = [(name, _left_by(names, name)) for name in left]
    return forms.Suggestions((*((name, name) for name in properties), *said)), knowledge


def _left_by(names: Mapping[str, str], path: str) -> str:
    """What a step leaves, with what people call the step."""
    node, _, field = path.removeprefix(results.STEPS).partition(".")
    return f"{names.get(node, node)}: {field}"


@component
def figures(editor: Editor) -> Element:
    """The numbers of the chosen step in words, each leading to the contacts behind it."""
    use_topics(editor, "panel", "numbers")
    id = editor.selection[0] if editor.selection else ENTRY
    if editor.figures is None or len(editor.selection) > 1:
        return None
    found = editor.figures.get(id, {})
    return html.section(
        {"className": "pfb-figures", "aria-label": editor.t("Metrics")},
        html.p({"className": "quiet"}, _period(editor)),
        html.dl([_figure(editor, id, what, found[what]) for what in numbers.NAMES if what in found and what not in ("skipped", "refused")]),
        [_reasons(editor, id, what, found[what]) for what in ("skipped", "refused") if found.get(what)],
    )


def _period(editor: Editor) -> str:
    """Of which time and which versions the numbers are."""
    t = editor.t
    day = t.written(editor.since.astimezone(t.zone).date()) if editor.since else "–"
    if editor.counted_version is None:
        return str(t("All versions, since {day}", day=day))
    return str(t("Version {number}", number=editor.counted_version))


def _figure(editor: Editor, id: str, what: str, count: int | None) -> Element:
    t = editor.t
    name = "inside" if id == ENTRY and what == "waiting" else what
    if count is None:
        return html.div({"key": what}, html.dt(t(numbers.NAMES[name])), html.dd("–"))
    whole = (editor.figures or {}).get(id, {}).get("entered" if what in ("ended", "goal") else "sent", 0)
    share = f" ({t.share(count, whole)})" if what in ("opened", "clicked", "bounced", "goal", "ended") and whole else ""
    text, link = t(numbers.NAMES[name]), numbers.address(editor.journey.key, id, what, version=editor.counted_version)
    return html.div(
        {"key": what},
        html.dt(text),
        html.dd(html.a({"href": link, "aria-label": f"{t.number(count)} {text}"}, t.number(count)), share),
    )


def _reasons(editor: Editor, id: str, what: str, reasons: list[list[Any]]) -> Element:
    """`Not sent: 12 no consent, 3 quiet hours`"""
    t = editor.t
    said: list[Element] = []
    for code, text, count in reasons:
        link = numbers.address(editor.journey.key, id, what, code, editor.counted_version if what != "refused" else None)
        shown = f"{t.number(count)} {text}" if what == "skipped" else f"{text} ({t.number(count)})"
        said.append(html.a({"key": code, "href": link}, shown))
    return html.p({"key": what}, t("Not sent:") if what == "skipped" else t("Not enrolled:"), " ", _joined(said))


def _joined(elements: list[Element]) -> list[Element]:
    return [one for n, element in enumerate(elements) for one in ((", ", element) if n else (element,))]


def use_mark(editor: Editor, mark: Callable[[], Any]) -> None:
    """Draws the component again when what it shows has changed: forms are long, and most changes are not theirs."""
    _, count = use_state(0)
    shown: Any = use_ref(None)
    shown.current = mark()

    def look() -> None:
        if mark() != shown.current:
            count(lambda n: n + 1)

    def begin() -> Callable[[], None]:
        look()
        return editor.listen(("panel",), look)

    use_effect(begin, [])


@component
def panel(editor: Editor) -> Element:
    use_mark(editor, editor.form_mark)
    chosen = editor.selection
    if len(chosen) > 1:
        return many(editor, len(chosen))
    if chosen and chosen[0] != ENTRY and editor.raw(chosen[0]) is not None:
        return step_panel(editor, chosen[0])
    return journey_panel(editor)


@component
def ways(editor: Editor) -> Element:
    """What follows the chosen step, or the start."""
    use_mark(editor, editor.ways_mark)
    t, chosen = editor.t, editor.selection
    id = chosen[0] if chosen else ENTRY
    if len(chosen) > 1 or (id != ENTRY and id not in editor.draft.nodes):
        return None
    outlets = editor.views[id]["outlets"]
    remove = forms.small(t("Delete step"), lambda _event: editor.remove(id), tone="danger") if editor.editable and id != ENTRY else None
    return html.section(
        {"key": id, "className": "pfb-part", "data-step": id},
        html.h3(t("What follows")) if outlets else None,
        html.div({"className": "pfb-form"}, html._([follow(editor, id, *outlet) for outlet in outlets]), remove),
    )


def many(editor: Editor, count: int) -> Element:
    t = editor.t
    return html._(
        html.h2(t("{count} steps selected", count=count)),
        html.p(
            {"className": "pfb-help"},
            t("Ctrl+C copies them, Ctrl+D duplicates them, Delete deletes them. Choose one to see its form."),
        ),
    )


def _form(editor: Editor, target: str) -> forms.Form:
    prefix = "" if target == ENTRY else target
    issues: dict[str, list[Issue]] = {}
    for issue in editor.issues:
        if (issue.node_id or "") == prefix and issue.field:
            issues.setdefault(issue.field, []).append(issue)
    kinds = {id: str(raw.get("kind")) for id, raw in editor.draft.nodes.items()}
    return forms.Form(
        editor.t,
        editor.knowledge,
        target,
        editor.raw(target),
        lambda path, value, redraw: editor.edit(target, path, value, redraw),
        editor.generation,
        editor.editable,
        names=editor.names,
        kinds=kinds,
        issues=issues,
        keep_secret=editor.keep_secret if editor.context.may("secret.change") else None,
        last_message=last_message(editor.draft, editor.context.engine.palette, target),
        fresh=editor.fields.fresh(target),
    )


def step_panel(editor: Editor, id: str) -> Element:
    """The form of one step: its kind's fields, what follows, and its problems."""
    t, palette = editor.t, editor.context.engine.palette
    view, raw = editor.views[id], editor.raw(id) or {}
    kind = palette[raw["kind"]] if isinstance(raw.get("kind"), str) and raw["kind"] in palette else None
    body = forms.form(_form(editor, id), kind.form()) if kind else html.p(t("This kind of step is not installed here."))
    return html.div(
        {"key": f"step/{id}", "className": "pfb-step", "data-step": id},
        html.h2(html.span({"className": f"pfb-card-icon pfb-g-{view['group']}"}, components.icon(view["icon"])), view["label"]),
        help_of(t, kind) if kind else None,
        html._(general(editor, id)),  # one place, however many: what comes behind keeps its own, and with it its handlers and its focus
        body,
    )


def general(editor: Editor, id: str) -> list[Element]:
    """Problems of a step that belong to none of its fields."""
    here = [issue for issue in editor.issues if issue.node_id == id and (not issue.field or issue.code == "missing_edge")]
    return [
        html.p(
            {"key": f"general{n}", "className": f"pfb-wrong {issue.severity}", "role": "alert"},
            components.icon("alert"),
            issue.say(editor.t.translate),
        )
        for n, issue in enumerate(here)
    ]


def help_of(t: Any, kind: Any) -> Element:
    first, *more = [components.marked(t(paragraph)) for paragraph in kind.help()]
    if not more:
        return html.p({"className": "pfb-help"}, *first)
    return html.details({"className": "pfb-help"}, html.summary(*first), [html.p({"key": str(n)}, *one) for n, one in enumerate(more)])


def follow(editor: Editor, id: str, outlet: str, label: str, spare: bool) -> Element:
    """Where an outlet leads: another step, a new one, or nowhere. The way to draw without a mouse.

    A choice is carried out by the button: a list changes with every key that moves in it. The browser fills the list from the drawing.
    """
    t = editor.t
    target = editor.draft.edges.get((id, outlet), "")
    field = f"pfb-follow-{id.strip('$')}-{outlet}"
    nothing = t("as “{outlet}”", outlet=coded(t, OUTLETS, "sent")) if spare else t("nothing yet")

    def chosen(value: object) -> None:
        editor.wishes[id, outlet] = str(value)

    def go(_event: Any) -> None:
        wish = editor.wishes.pop((id, outlet), target)
        if wish.startswith("+"):
            editor.add(wish[1:], id, outlet)
        elif wish != target:
            editor.connect(id, outlet, wish)

    value = editor.wishes.get((id, outlet), target)
    fresh = value[1:] if value.startswith("+") else ""
    kind = next((one for one in editor.context.engine.palette if one.kind == fresh), None)
    anew = t("{step} (new)")
    attributes = {
        "canvas": CANVAS_ID,
        "field": field,
        "step": id,
        "value": value,
        "named": anew.format(step=t(kind.label)) if kind else editor.names.get(value, value),
        "nothing": nothing,
        "fresh": t("New step, inserted"),
        "anew": anew,
        "old": t("Step of this journey"),
        "disabled": not editor.editable,
        "onEvent": chosen,
    }
    return html.div(
        {"className": "pfb-field", "key": f"{id}/{outlet}/{target}"},
        html.label({"htmlFor": field}, t("After “{outlet}”", outlet=label)),
        html.div(
            {"className": "pfb-row"},
            bundle.follow()(attributes),
            forms.small(t("Set"), go, t("Set what follows “{outlet}”", outlet=label)) if editor.editable else None,
        ),
    )


def journey_panel(editor: Editor) -> Element:
    """The journey's own form: who enters, who leaves early, the goal, the settings."""
    t, form = editor.t, _form(editor, ENTRY)
    issues = [issue for issue in editor.issues if issue.node_id is None and not issue.field]
    wrong = [
        html.p({"key": str(n), "className": f"pfb-wrong {one.severity}"}, components.icon("alert"), one.say(t.translate))
        for n, one in enumerate(issues)
    ]
    return html.div(
        {"key": "journey", "className": "pfb-step", "data-step": ENTRY},
        html.h2(html.span({"className": "pfb-card-icon pfb-g-entry"}, components.icon("play")), t("Journey")),
        html.p({"className": "pfb-help"}, t("Choose a step on the canvas to see its form.")),
        html._(wrong),
        [_part(editor, form, name, title, schema) for name, title, schema in JOURNEY_FORM],
    )


def _part(editor: Editor, form: forms.Form, name: str, title: str, schema: Any) -> Element:
    """One chapter of the journey's form. A closed one is a button and nothing else: forms are long."""
    t, opened = form.t, editor.chapter == name
    wrong = any(path == name or path.startswith(f"{name}.") for path in form.issues)
    said = html.span({"className": "pfb-wrong"}, components.icon("alert"), t("not complete")) if wrong else None
    attributes = {
        "type": "button",
        "className": "pfb-chapter",
        "aria-expanded": str(opened).lower(),
        "onClick": lambda _event: editor.open_chapter(name),
    }
    return html.section(
        {"key": name, "className": "pfb-part", "data-chapter": name},
        html.h3(html.button(attributes, t(title))),
        said,
        _chapter(form, name, schema) if opened else None,
    )


def _chapter(form: forms.Form, name: str, schema: Any) -> Element:
    t = form.t
    if name != "goal":
        return forms.part(form, schema, () if name == "about" else (name,))
    if not isinstance(form.raw.get("goal"), dict):
        begin: Callable[[Any], None] = lambda _event: form.edit(("goal",), {"event": ""}, True)  # noqa: E731
        return forms.small(t("Set a goal"), begin) if form.editable else html.p(t("No goal"))
    drop = forms.small(t("Remove the goal"), lambda _event: form.edit(("goal",), None, True), tone="danger") if form.editable else None
    return html._(forms.part(form, schema, (name,)), drop)


# One contact's way


@component
def way(editor: Editor) -> Element:
    """The drawing of the run's version with its visits by number."""
    use_topics(editor, "path")
    path = editor.path
    if path is None or path.story is None:
        return html.div({"className": "pfb-sheet empty"}, html.p(editor.t("Choose a run on the right."))) if path else None
    return look.viewer(
        editor.context,
        f"path-{path.run_id}-{path.story.story['run']['version_number']}",
        path.graph,
        path.marks,
        path.focus,
        path.hear,
        True,
    )


@component
def story(editor: Editor) -> Element:
    """Whom to follow, and what happened to them."""
    use_topics(editor, "path")
    path, t = editor.path, editor.t
    if path is None:
        return None

    def sent(event: Any) -> None:
        values = plain_forms.read(event, [WHOM])
        if values is not None:
            editor.spawn(path.search, values["whom"])

    field = {"id": "pfb-whom", "type": "search", "defaultValue": path.text, "maxLength": 200}
    return html._(
        html.h2(html.span({"className": "pfb-card-icon pfb-g-entry"}, components.icon("user")), t("Path of a contact")),
        html.form(
            {"className": "pfb-field", "role": "search", "onSubmit": submitted(sent)},
            html.label({"htmlFor": "pfb-whom"}, t("Name or e-mail")),
            html.div({"className": "pfb-row"}, html.input(field), html.button({"className": "pfb-small"}, t("Find"))),
        ),
        html.p({"className": "pfb-wrong", "role": "alert"}, components.icon("alert"), path.wrong) if path.wrong else None,
        _candidates(editor, path),
        _told(editor, path) if path.story else None,
    )


def _candidates(editor: Editor, path: Any) -> Element:
    """Whom to choose from. One ear for all, which stays while the list is drawn anew: a press on what was there counts, whatever comes meanwhile."""

    def pressed(event: Any) -> None:
        run_id = str(event["target"].get("value") or "")
        if run_id:
            editor.spawn(path.choose, run_id)

    return html.div({"key": "candidates", "onClick": pressed}, _runs(editor.t, path))


def _runs(t: Any, path: Any) -> Element:
    if path.runs is None:
        return html.p({"className": "quiet"}, t("Looking …"))
    title = t("Runs of “{name}”", name=path.text) if path.text else t("Newest runs")
    lines = [html.li({"key": run["id"]}, _candidate(t, path, run)) for run in path.runs]
    return html.details(
        {"className": "pfb-candidates", "open": path.story is None or bool(path.text), "key": f"{path.text}/{path.run_id}"},
        html.summary(title),
        html.ul(lines) if lines else html.p({"className": "quiet"}, t("No contact of that name was in this journey.")),
    )


def _candidate(t: Any, path: Any, run: dict[str, Any]) -> Element:
    state = RUN_STATES[run["status"]]
    attributes = {"type": "button", "className": "pfb-problem", "value": run["id"], "aria-pressed": str(run["id"] == path.run_id).lower()}
    name = path.names.get(run["contact_id"]) or t("Contact {id}", id=run["contact_id"][-6:])
    return html.button(
        attributes, html.span(html.b(name), html.br(), t.moment(run["started_at"])), components.badge(t(state[0]), *state[1:])
    )


def _told(editor: Editor, path: Any) -> Element:
    """The chapters of the run's page under their numbers; a number leads to its card."""
    from builder_ui.journeys import run as run_page

    t, data, context = editor.t, path.story, editor.context
    run = data.story["run"]
    chapters = run_page.chapters(data.story) if data.story["trail"] else []
    upcoming = run_page.next_line(context, data)
    return html.section(
        {"key": path.run_id, "aria-label": t("What happened")},
        html.h3(data.name or data.story["contact"]["email"] or t("Contact {id}", id=run["contact_id"][-6:])),
        html.p(
            {"className": "quiet"},
            t("Version {number}", number=run["version_number"]),
            " · ",
            html.a({"href": f"/ui/runs/{run['id']}"}, t("Run")),
            " · ",
            html.a({"href": f"/ui/contacts/{run['contact_id']}"}, t("Contact")),
        ),
        html.ol({"className": "timeline pfb-chapters"}, [_chapter_of(editor, path, one, n) for n, one in enumerate(chapters, 1)], upcoming),
    )


def _chapter_of(editor: Editor, path: Any, chapter: Any, number: int) -> Element:
    from builder_ui.journeys import run as run_page

    jump = forms.small(str(number), lambda _event: path.show(chapter.node), editor.t("Show visit {number} on the canvas", number=number))
    here = " here" if chapter.node == path.focus[1] else ""
    item = run_page.chapter_item(editor.context, path.story, chapter, str(number))
    return html.li({"key": str(number), "className": f"pfb-visit{here}"}, jump, html.ol(item))


# Problems and outline


@component
def problems(editor: Editor) -> Element:
    use_topics(editor, "panel", "feed")
    t = editor.t
    errors = sum(issue.severity == "error" for issue in editor.issues)
    title = counted(t, errors, len(editor.issues) - errors) or t("No problems")
    ordered = sorted(editor.issues, key=lambda issue: issue.severity != "error")[:MOST_SHOWN]
    lines = [html.li({"key": str(n)}, problem(editor, issue)) for n, issue in enumerate(ordered)]
    return html.details(
        {"className": "pfb-problems", "open": bool(errors)},
        html.summary(components.icon("alert" if errors else "check"), " ", title),
        html.ul(lines) if lines else None,
    )


def problem(editor: Editor, issue: Issue) -> Element:
    """One problem; pressing it leads to where it is."""
    place = issue.node_id or ENTRY
    name = editor.names.get(place, editor.t("Journey"))
    jump: Callable[[Any], None] = lambda _event: editor.go_to(issue)  # noqa: E731
    attributes = {"type": "button", "className": f"pfb-problem {issue.severity}", "onClick": jump}
    return html.button(attributes, components.icon("alert"), html.span(html.b(name), ": ", issue.say(editor.t.translate)))


@component
def outline(editor: Editor) -> Element:
    """The journey as a list: every step once, in the order of its ways, with what follows each outlet."""
    use_topics(editor, "outline")
    t = editor.t
    order = cards.in_order(editor.draft, editor.views)
    undo = html.div(
        {"className": "pfb-row"},
        forms.small(t("Undo"), lambda _event: editor.command("undo")),
        forms.small(t("Redo"), lambda _event: editor.command("redo")),
    )
    lines = [_line(editor, id, place) for place, id in enumerate([ENTRY, *order])]
    steps = html.ol({"aria-label": t("Steps")}, lines)
    return html.div({"className": "pfb-outline"}, undo if editor.editable else None, steps, _notes(editor))


def _notes(editor: Editor) -> Element:
    """The notes of the canvas, to read and to write on."""
    t, notes = editor.t, editor.draft.notes
    if not notes and not editor.editable:
        return None
    lines = [_note(editor, id, note.text, place) for place, (id, note) in enumerate(notes.items(), 1)]
    add = forms.small(t("Add a note"), lambda _event: editor.add_note()) if editor.editable else None
    return html.section({"aria-label": t("Notes")}, html.h3(t("Notes")), html.ol({"className": "pfb-notes"}, lines), add)


def _note(editor: Editor, id: str, text: str, place: int) -> Element:
    t = editor.t

    def left(event: Any) -> None:
        editor.put_note(id, str(event["target"].get("value") or ""))

    field = {"aria-label": t("Note {number}", number=place), "defaultValue": text, "rows": 3, "maxLength": MAX_NOTE_CHARACTERS}
    return html.li(
        {"key": f"{id}/{text}", "className": "pfb-line"},
        html.span({"className": "pfb-card-icon"}, components.icon("pencil")),
        html.textarea({**field, "onBlur": left, "disabled": not editor.editable}),
        forms.small(t("Delete"), lambda _event: editor.tear_note(id), t("Delete note {number}", number=place), "danger")
        if editor.editable
        else None,
    )


def _line(editor: Editor, id: str, place: int) -> Element:
    t, view = editor.t, editor.views[id]
    badge = editor.problems().get(id)
    here = id in editor.selection
    name = {
        "type": "button",
        "className": "pfb-name",
        "onClick": lambda _event: editor.select([id], show=True),
        "aria-pressed": str(here).lower(),
    }
    return html.li(
        {"key": id, "className": "pfb-line here" if here else "pfb-line"},
        html.span({"className": f"pfb-card-icon pfb-g-{view['group']}"}, components.icon(view["icon"])),
        html.div(
            html.button(name, f"{place}. " if place else "", view["called"]),
            html.p(
                {"className": "quiet"},
                view["label"] if view["name"] else None,
                " · " if view["name"] and view["summary"] else None,
                view["summary"],
            ),
            html.p({"className": f"pfb-wrong {badge['severity']}"}, components.icon("alert"), badge["text"]) if badge else None,
        ),
        forms.small(t("Delete"), lambda _event: editor.remove(id), t("Delete step {number}", number=place), "danger")
        if editor.editable and id != ENTRY
        else html.span(),
        html.div({"className": "pfb-ways"}, [follow(editor, id, *outlet) for outlet in view["outlets"]]),
    )


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return get_journey(session, context.arguments["key"]).name


PAGE = Page("/ui/journeys/{key}/edit", "Builder", "journeys", "journey.read", fetch, view, name=name, assets=bundle.assets())
