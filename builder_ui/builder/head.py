"""The head of the builder: name and state, who else is here, what is saved, and the buttons."""

from __future__ import annotations

from typing import Any

from engine.open_builders import Present

from builder_ui.builder import bundle
from builder_ui.builder.canvas import CANVAS_ID
from builder_ui.builder.disputes import disputes
from builder_ui.builder.editor import Editor
from builder_ui.builder.others import initials, tone
from builder_ui.builder.protocol import ENTRY
from builder_ui.builder.review import review
from builder_ui.kit import components, state_line
from builder_ui.kit.labels import JOURNEY_STATES
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html

_STATUS = {
    "saved": ("Saved", "good", "check"),
    "unsaved": ("Saving …", "", "clock"),
    "conflict": ("Not saved: someone else changed this journey", "bad", "alert"),
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
        actions = [
            components.button(
                t("Back to canvas"), lambda _event: editor.back_to_drawing(), "pencil", "main"
            )
        ]
    elif editor.editable:
        look_over = lambda _event: editor.spawn(editor.look_over)  # noqa: E731
        actions.append(
            components.button(t("Publish …"), look_over, "play", "main", id="pfb-publish")
        )
    return html.header(
        {"className": "pfb-head"},
        _jump(t("Skip to canvas"), "canvas")
        if editor.path is None and not editor.outlined
        else None,
        _jump(t("Skip to form"), "form") if editor.path is None else None,
        html.a({"className": "back", "href": f"/ui/journeys/{key}"}, "← ", t("Journey")),
        html.h1(str(editor.draft.parts.get("name") or editor.journey.name)),
        components.badge(t(state[0]), *state[1:]),
        components.badge(t("Unpublished changes"), "warn", "pencil")
        if editor.unpublished
        else html.span({"hidden": True}),
        bundle.status()(
            state_line.props(CANVAS_ID, t, (text, tone, symbol), _lasts(editor), editor.hear)
        ),
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
        shown.append(
            html.li({"key": "more"}, html.span({"className": "pfb-person more"}, f"+{more}"))
        )
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
        components.button(
            t("Hide metrics") if counting else t("Metrics"),
            lambda _event: editor.toggle_counts(),
            "people",
        ),
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
            html.option(
                {"key": str(number), "value": str(number)},
                f"{said} ({t('live')})" if number == editor.live_version else said,
            )
        )
    attributes = {
        "aria-label": t("Metrics for version"),
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
        components.own_key(t, "key"),
    )
    return html.details(
        {"className": "ask", "name": "ask", "key": "more"},
        html.summary({"className": "button"}, t("More")),
        html.div(
            {"className": "question"},
            html.a(
                {
                    "className": "button",
                    "href": f"/api/v1/journeys/{key}/document",
                    "download": f"{key}.json",
                },
                t("Export as a file"),
            ),
            html.button(
                {"type": "button", "className": "button", "data-picture": "svg"}, t("Picture (SVG)")
            ),
            html.button(
                {"type": "button", "className": "button", "data-picture": "png"}, t("Picture (PNG)")
            ),
            html.a(
                {"className": "button", "href": f"/ui/journeys/{key}/diff"}, t("Compare versions")
            )
            if editor.live_version
            else None,
            duplicate if editor.editable else None,
        ),
    )


def _conflict(editor: Editor) -> Element:
    if editor.status != "conflict":
        return None
    t = editor.t
    by = editor.by or t("Somebody")
    return html.div(
        {
            "className": "pfb-notice bad",
            "role": "alertdialog",
            "aria-label": t("Two people changed this journey"),
        },
        html.p(
            t(
                "{name} saved this journey while you were editing it. Your changes are safe as long as this page is open.",
                name=by,
            )
        ),
        components.button(t("Take theirs"), lambda _event: editor.spawn(editor.take_theirs)),
        components.button(
            t("Keep mine"), lambda _event: editor.spawn(editor.keep_mine), tone="danger"
        ),
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
