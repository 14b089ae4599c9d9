"""What a template is called and filed under, and the journeys and templates that use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from activities.rendering.kinds import KINDS
from activities.templates import listing
from activities.templates.partials import Behind, Inclusion
from builder_ui.kit import components
from builder_ui.kit.labels import JOURNEY_STATES
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html
from builder_ui.templates.session import Writing
from builder_ui.templates.words import CLASSES, older_text
from journeys.link_parameters import MAX_PATTERN, PLACEHOLDERS


@component
def label(writing: Writing) -> Element:
    use_topics(writing, "side")
    t, stored = writing.t, writing.stored
    off = {"disabled": not writing.editable}

    def kept(name: str, read: Callable[[str], Any]) -> Callable[[Mapping[str, Any]], None]:
        return lambda event: writing.describe(**{name: read(str(event["target"].get("value") or ""))})

    def listed(text: str) -> list[str]:
        return [one.strip() for one in text.split(",") if one.strip()]

    classes = [html.option({"key": one, "value": one}, t(title)) for one, title in CLASSES.items()]
    key = f"{stored.name}/{stored.folder}/{stored.tags}"
    topics = [html.option({"key": id, "value": id}, name) for id, name in [("", t("no topic")), *stored.topics]]
    fields = [
        (t("Name"), html.input({"key": "n" + key, "defaultValue": stored.name, "maxLength": 120, "onBlur": kept("name", str.strip), **off})),
        (t("Class"), html.select({"value": stored.message_class, "onChange": kept("message_class", str), **off}, classes)),
        (t("Topic"), html.select({"value": stored.topic, "onChange": kept("topic", str), **off}, topics)),
        (t("Folder"), html.input({"key": "f" + key, "defaultValue": stored.folder, "maxLength": 120, "onBlur": kept("folder", str.strip), **off})),
        (t("Tags, separated by commas"), html.input({"key": "t" + key, "defaultValue": ", ".join(stored.tags), "maxLength": 1200, "onBlur": kept("tags", listed), **off})),
    ]  # fmt: skip
    if stored.senders:
        chosen = [html.option({"key": id, "value": id}, name) for id, name in [("", t("as in the settings")), *stored.senders]]
        answers = [html.option({"key": id, "value": id}, name) for id, name in [("", t("as the sender says")), *stored.senders]]
        fields += [
            (t("Sender"), html.select({"value": stored.sender, "onChange": kept("sender", str), **off}, chosen)),
            (t("Replies go to"), html.select({"value": stored.reply_to, "onChange": kept("reply_to", str), **off}, answers)),
        ]
    if stored.kind == "partial":
        del fields[1:3]
        return html.div({"className": "tpl-label"}, _form(fields), *_inclusions(writing))
    return html.div(
        {"className": "tpl-label"},
        _form(fields),
        *_link_parameters(writing, off),
        html.p({"className": "quiet"}, t("Key: {key}. Journeys name the template by it.", key=stored.key)),
        html.h2(t("Where this template is used")),
        html.ul({"className": "tpl-uses"}, [_use(writing, use) for use in stored.uses])
        if stored.uses
        else html.p({"className": "quiet"}, t("No journey uses this template.")),
    )


def _link_parameters(writing: Writing, off: Mapping[str, Any]) -> list[Element]:
    """What is added to its links: as in the settings, nothing, or patterns of its own."""
    t, present = writing.t, writing.stored.link_parameters
    mode = present.get("mode", "default")

    def chosen(event: Mapping[str, Any]) -> None:
        wanted = str(event["target"].get("value") or "default")
        writing.describe(
            link_parameters={} if wanted == "default" else {**present, "mode": wanted} if wanted == "own" else {"mode": wanted}
        )

    def kept(name: str) -> Callable[[Mapping[str, Any]], None]:
        def left(event: Mapping[str, Any]) -> None:
            said = str(event["target"].get("value") or "").strip()
            others = {key: value for key, value in writing.stored.link_parameters.items() if key != name}
            writing.describe(link_parameters={**others, **({name: said} if said else {})})

        return left

    modes = [html.option({"key": one, "value": one}, t(text)) for one, text in LINK_MODES.items()]
    fields = [(t("Campaign parameters"), html.select({"value": mode, "onChange": chosen, **off}, modes))]
    if mode == "own":
        fields += [
            (t(title), html.input({"key": name + present.get(name, ""), "defaultValue": present.get(name, ""), "maxLength": MAX_PATTERN, "onBlur": kept(name), **off}))
            for name, title in LINK_FIELDS.items()
        ]  # fmt: skip
    places = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
    hint = html.p({"className": "quiet"}, t("Added to links as utm_…; {places} are filled in.", places=places)) if mode == "own" else None
    return [_form(fields), hint] if hint else [_form(fields)]


LINK_MODES = {"default": "as in the settings", "own": "for this template", "none": "none"}
LINK_FIELDS = {"source": "UTM source", "medium": "UTM medium", "campaign": "UTM campaign", "content": "UTM content"}


def _form(fields: list[tuple[str, Element]]) -> Element:
    return html.div({"className": "tpl-form"}, [html.label({"key": title}, title, field) for title, field in fields])


def _inclusions(writing: Writing) -> list[Element]:
    """Where a partial is used, and the act that brings all up."""
    t, stored = writing.t, writing.stored
    written = f'<mj-include path="partial:{stored.key}" />'
    behind = [one for one in stored.inclusions if _is_behind(one, stored.number)]
    question = t("Each template gets a new version: its text with version {number} of this partial. Each is checked; what fails stays as it was and is listed. Live journeys keep their versions.", number=stored.number)  # fmt: skip
    every = lambda _event: writing.spawn(writing.act, "Templates updated: {count}.", writing.bring_up)  # noqa: E731
    return [
        html.p({"className": "quiet"}, t("Key: {key}. Templates include the partial with this line:", key=stored.key)),
        html.pre({"className": "tpl-include"}, written),
        html.h2(t("Where used")),
        components.ask(t("Update all ({count})", count=len(behind)), question, t("Update all"), every, "history")
        if behind and writing.editable
        else None,
        html.ul({"className": "tpl-uses"}, [_inclusion(writing, one) for one in stored.inclusions])
        if stored.inclusions
        else html.p({"className": "quiet"}, t("No template includes this partial.")),
    ]


def _is_behind(one: Inclusion, number: int) -> bool:
    return one.version is not None and one.version < number and not one.archived


def _inclusion(writing: Writing, one: Inclusion) -> Element:
    t, stored = writing.t, writing.stored
    kind = KINDS[one.kind]
    said = (
        t("includes the newest version")
        if one.kind == "partial"
        else t("only in the draft")
        if one.version is None
        else older_text(t, Behind(stored.key, one.version, stored.number))
        if one.version < stored.number
        else t("uses version {version}", version=one.version)
    )
    up = lambda _event: writing.spawn(writing.act, "Templates updated: {count}.", lambda: writing.bring_up(one.key))  # noqa: E731
    return html.li(
        {"key": one.key},
        html.div(
            html.a({"href": f"/ui/templates/{one.key}"}, one.name),
            " ",
            components.badge(t(kind.label), "", kind.icon),
            components.badge(t("In the archive"), "warn", "clipboard-check") if one.archived else None,
            html.small(said),
        ),
        components.button(t("Update it"), up, "history") if _is_behind(one, stored.number) and writing.editable else None,
    )


def _use(writing: Writing, use: listing.Use) -> Element:
    """A journey, and which of its versions: the one that is entered now, one that contacts are still in, or the draft."""
    t, state = writing.t, JOURNEY_STATES[use.state]
    return html.li(
        {"key": f"{use.journey_key}/{use.version}"},
        html.div(
            html.a({"href": f"/ui/journeys/{use.journey_key}/edit"}, use.journey_name),
            " ",
            components.badge(t(state[0]), *state[1:]),
            html.small(t(USES[use.place], number=use.version, version=use.template_version)),
        ),
        _correction(writing, use),
    )


def _correction(writing: Writing, use: listing.Use) -> Element:
    """To have a version send the newest text from now on."""
    t, stored = writing.t, writing.stored
    if use.template_version is None or use.template_version >= stored.number or not writing.editable:
        return None
    return components.ask(
        t("Use version {number} there", number=stored.number),
        t(CORRECTIONS[use.place], version=use.version, name=use.journey_name),
        t("Correct it now"),
        lambda _event: writing.spawn(writing.act, "“{name}” uses version {number} from now on.", lambda: writing.correct(use)),
        "pencil",
    )


USES: Mapping[listing.Place, str] = {
    "live": "uses version {version} of the template",
    "inside": "version {number}, which contacts are still in, uses version {version} of the template",
    "draft": "only in the draft",
}


CORRECTIONS: Mapping[listing.Place, str] = {
    "live": "A correction: version {version} of “{name}”, which is live, sends the new text from now on, including to contacts already in it. It is recorded in the audit trail.",
    "inside": "A correction: version {version} of “{name}”, which contacts are still in, sends them the new text from now on. It is recorded in the audit trail.",
}
