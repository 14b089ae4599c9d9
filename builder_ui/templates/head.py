"""The head of the template editor: what the template is, whether it is stored, what can be done with it, and what to know."""

from __future__ import annotations

from activities.rendering.kinds import KINDS
from builder_ui.kit import components, state_line
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html
from builder_ui.templates import bundle
from builder_ui.templates.session import Writing
from builder_ui.templates.words import MOST_SHOWN, class_badge, older_text

_STATUS = {
    "saved": ("Saved", "good", "check"),
    "unsaved": ("Saving draft …", "", "clock"),
    "conflict": ("Not saved: someone else changed this template", "bad", "alert"),
    "denied": ("Not saved: your role does not allow it", "bad", "ban"),
    "out": ("You are logged out. Log in in another tab, then continue here.", "bad", "ban"),
    "gone": ("Not saved: this template was deleted", "bad", "alert"),
    "failed": ("Not saved yet; trying again", "warn", "alert"),
}


@component
def head(writing: Writing) -> Element:
    use_topics(writing, "head")
    t, stored = writing.t, writing.stored
    text, tone, symbol = _STATUS[writing.status]
    if writing.status == "saved" and stored.is_draft:
        text, tone, symbol = "Saved as a draft, no new version yet", "", "pencil"
    if not writing.context.may("template.change"):
        text, tone, symbol = "View only", "", "ban"
    kind = KINDS[stored.kind]
    number = t("Version {number}", number=stored.number) if stored.number else t("No version yet")
    return html.header(
        {"className": "pfb-head tpl-head"},
        html.a({"className": "back", "href": "/ui/templates"}, "← ", t("Templates")),
        html.h1(stored.name),
        components.badge(t(kind.label), "", kind.icon),
        class_badge(t, stored),
        html.span({"className": "quiet"}, number),
        components.badge(t("In the archive"), "warn", "clipboard-check") if stored.archived else None,
        bundle.status()(state_line.props(stored.key, t, (text, tone, symbol), _lasts(writing), writing.hear, "tpl-status")),
        html.div({"className": "actions"}, *_actions(writing)),
        _conflict(writing),
        _notice(writing),
        _outdated(writing),
        _older(writing),
        _reach(writing),
    )


def _lasts(writing: Writing) -> bool:
    """Whether the word about saving waits for a person or for time, not for an answer."""
    return writing.status in ("conflict", "denied", "out", "gone", "failed") or not writing.editable


def _older(writing: Writing) -> Element:
    """That partials have newer versions than the ones in the newest version of this template."""
    t, older = writing.t, writing.stored.older
    if not older:
        return None
    return html.div(
        {"className": "tpl-notice"},
        components.icon("puzzle"),
        [html.p({"key": one.partial}, older_text(t, one)) for one in older[:MOST_SHOWN]],
        html.p({"className": "quiet"}, t("Saving uses the newest version of each partial.")),
    )


def _reach(writing: Writing) -> Element:
    """That saving a partial changes all that include it."""
    t = writing.t
    count = sum(one.version is not None and not one.archived for one in writing.stored.inclusions)
    if not count or not writing.editable:
        return None
    said = (
        t("1 template includes this partial and gets a new version when you save. Live journeys keep theirs.")
        if count == 1
        else t(
            "{count} templates include this partial and get a new version when you save. Live journeys keep theirs.",
            count=count,
        )
    )
    return html.div(
        {"className": "tpl-notice"},
        components.icon("puzzle"),
        html.p(said),
        html.button({"type": "button", "className": "button plain", "onClick": lambda _event: writing.turn("label")}, t("Show them")),
    )


def _actions(writing: Writing) -> list[Element]:
    t = writing.t
    if not writing.editable:
        return []
    test = lambda _event: writing.spawn(writing.act, "A test is on its way to {address}.", writing.test)  # noqa: E731
    return [
        components.button(t("Send me a test"), test, "mail") if writing.stored.kind != "partial" else None,
        _seeds(writing),
        components.button(t("Save"), lambda _event: writing.spawn(writing.save), "check", "main"),
    ]


def _seeds(writing: Writing) -> Element:
    """Asks first: it leaves for the world."""
    t, count = writing.t, writing.stored.seeds
    if not count:
        return None
    send = lambda _event: writing.spawn(writing.act, "{count} copies are on their way to the seed list.", writing.to_seeds)  # noqa: E731
    question = t(
        "Send one copy to each of the {count} addresses of the seed list? It looks like the real message and counts nowhere.",
        count=t.number(count),
    )
    return components.ask(t("Send to seed list"), question, t("Send"), send, "mail")


def _conflict(writing: Writing) -> Element:
    if writing.status != "conflict":
        return None
    t = writing.t
    return html.div(
        {"className": "tpl-notice bad", "role": "alertdialog", "aria-label": t("Two people changed this template")},
        html.p(t("Someone saved this template while you were editing it. Your changes are safe as long as this page is open.")),
        components.button(t("Take theirs"), lambda _event: writing.spawn(writing.take_theirs)),
        components.button(t("Keep mine"), lambda _event: writing.spawn(writing.keep_mine), tone="danger"),
    )


def _notice(writing: Writing) -> Element:
    if writing.notice is None:
        return None
    text, good = writing.notice
    return html.div(
        {"className": f"tpl-notice {'good' if good else 'bad'}", "role": "status"},
        components.icon("check" if good else "alert"),
        html.p(text),
    )


def _outdated(writing: Writing) -> Element:
    """That running journeys keep the version they were published with."""
    t, stored = writing.t, writing.stored
    behind = [
        use for use in stored.uses if use.place == "live" and use.template_version is not None and use.template_version < stored.number
    ]
    if not behind:
        return None
    said = (
        t("1 live journey uses version {version}; publish it again to use the new text.", version=behind[0].template_version)
        if len(behind) == 1
        else t("{count} live journeys use an older version; publish them again to use the new text.", count=len(behind))
    )
    return html.div(
        {"className": "tpl-notice"},
        components.icon("route"),
        html.p(said),
        html.button({"type": "button", "className": "button plain", "onClick": lambda _event: writing.turn("label")}, t("Show them")),
    )
