"""The message as a contact gets it: in a mailbox, at several widths, as a text, for a chosen contact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from activities.rendering import Rendered
from activities.rendering.kinds import FRAMED, HTML, KINDS, further_parts
from activities.rendering.sms import LIMITS
from builder_ui.kit import components
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html
from builder_ui.templates import bundle, frames
from builder_ui.templates.findings import findings
from builder_ui.templates.session import Writing
from builder_ui.templates.words import MOST_SHOWN
from journeys.channels import CHANNELS, Approved

LOOKS = {"desktop": "Desktop", "phone": "Phone", "dark": "Dark", "text": "Plain text"}


@component
def preview(writing: Writing) -> Element:
    use_topics(writing, "proof")
    t, found = writing.t, writing.proof

    def turn(look: str) -> Callable[[Any], None]:
        def turned(_event: Any) -> None:
            writing.look = look
            writing.tell("proof")

        return turned

    looks = LOOKS if writing.stored.kind in HTML else {}
    switches = [
        html.button(
            {
                "key": look,
                "type": "button",
                "className": "tab here" if look == writing.look else "tab",
                "aria-pressed": str(look == writing.look).lower(),
                "onClick": turn(look),
            },
            t(title),
        )
        for look, title in looks.items()
    ]
    stale = found is not None and not writing.is_fresh and writing.stored.kind in FRAMED and bool(writing.frame())
    return html._(
        html.div(
            {"className": "tpl-bar"},
            person(writing),
            html.div({"className": "tabs", "role": "group", "aria-label": t("How it is shown")}, switches) if switches else None,
        ),
        html.p(
            {"className": "tpl-stale", "role": "status"},
            components.icon("clock"),
            t("Not the latest: this is the last version that could be shown."),
        )
        if stale
        else None,
        _trigger(writing),
        _inbox(writing),
        _shown(writing),
        findings(writing),
    )


def _trigger(writing: Writing) -> Element:
    """Whose event gives the values of the trigger, and what of all that is shown is made up."""
    t, proof = writing.t, writing.proof
    if proof is None:
        return None
    trigger, made_up = proof.trigger, ", ".join(proof.invented[:MOST_SHOWN])
    return html._(
        html.p(
            {"className": "tpl-trigger"},
            t("Values of the trigger: “{event}”, {at}", event=trigger.event, at=t.moment(trigger.at)),
        )
        if trigger is not None and trigger.event
        else None,
        html.p({"className": "tpl-trigger"}, components.icon("shuffle"), t("Sample values in this preview:"), " ", made_up)
        if made_up
        else None,
    )


def _inbox(writing: Writing) -> Element:
    """The line of a mailbox: subject and the words after it."""
    found = writing.proof.rendered if writing.proof else None
    if KINDS[writing.stored.kind].part("subject") is None or found is None:
        return None
    preheader = writing.text("preheader")
    return html.p({"className": "tpl-inbox"}, html.b(found.subject or writing.t("(no subject)")), html.span(preheader))


def _shown(writing: Writing) -> Element:
    t, found = writing.t, writing.proof
    rendered = found.rendered if found else None
    if writing.stored.kind not in FRAMED or writing.look == "text":
        count = _segments(writing) if found and found.segments else None
        if rendered is None:
            return html.p({"className": "tpl-nothing"}, t("Nothing to show yet."))
        return html.div({"className": "tpl-plain"}, _phone(writing, rendered), count)
    address = writing.frame()
    if not address:
        return html.p({"className": "tpl-nothing"}, t("Nothing to show yet."))
    *_, frame = bundle.components()
    note = None
    if writing.look == "dark" and rendered is not None:
        said = (
            "With the template's own dark colours."
            if frames.has_dark(rendered.html)
            else "The template has no dark colours: this is how mail programs that invert colours show it."
        )
        note = html.p({"className": "tpl-note"}, t(said))
    return html.div(
        {"className": f"tpl-frame {writing.look}"},
        frame({"src": address, "title": t("The message as rendered"), "sandbox": frames.SANDBOX}),
        note,
    )


def _phone(writing: Writing, rendered: Rendered) -> Element:
    """A text as a phone or a site shows it, the headline above and the address below."""
    kind = KINDS[writing.stored.kind]
    if kind.approved is not None:
        return _two_forms(writing, rendered, kind.approved)
    if kind.notification:
        return _notification(writing, rendered)
    if rendered.parts:
        return html._(_card(writing, rendered), _links(writing, rendered))
    return html.pre({"className": "tpl-bubble" if kind.bubble else "mail-text"}, rendered.text or "–")


def _two_forms(writing: Writing, rendered: Rendered, approved: Approved) -> Element:
    """What is sent as an answer, and what at any other time; the same if there is only one that may."""
    t, window = writing.t, CHANNELS[writing.stored.kind].reply_window
    hours = round(window.total_seconds() / 3600) if window is not None else 0
    wording = rendered.parts.get(approved.wording, "")
    nothing = t("Nothing is sent: there is no approved template.")
    forms = [
        (t("Within {hours} hours after the contact's last message", hours=hours), rendered.text or wording),
        (t("At any other time"), wording or nothing),
    ]
    return html.div(
        {"className": "tpl-phone"},
        [
            html._(
                {"key": title},
                html.h3(title),
                html.pre({"className": "tpl-bubble none" if text is nothing else "tpl-bubble"}, text or "–"),
            )
            for title, text in forms
        ],
    )


def _notification(writing: Writing, rendered: Rendered) -> Element:
    """As it lies on a phone's screen."""
    t = writing.t
    app = html.div({"className": "tpl-note-app"}, components.icon("bell"), t("Your site"), html.span(t("now")))
    return html._(html.div({"className": "tpl-lock"}, _card(writing, rendered, app)), _links(writing, rendered))


def _card(writing: Writing, rendered: Rendered, *above: Element) -> Element:
    """Headline, text and button. Pictures are not fetched: `_links` names them."""
    t, parts = writing.t, rendered.parts
    return html.div(
        {"className": "tpl-note-card"},
        *above,
        html.b(rendered.subject or t("(no subject)")),
        html.p(rendered.text or "–"),
        html.div({"className": "tpl-note-picture"}, t("Picture")) if parts.get("picture") else None,
        html.span({"className": "tpl-note-button"}, parts["button"]) if parts.get("button") else None,
    )


def _links(writing: Writing, rendered: Rendered) -> Element:
    """The addresses that the message opens or shows."""
    t, parts = writing.t, rendered.parts
    below = [(part, parts.get(part.name)) for part in further_parts(writing.stored.kind) if part.format in ("url", "picture")]
    return html.dl(
        {"className": "tpl-note-links"},
        [html.div({"key": part.name}, html.dt(t(part.title)), html.dd(text)) for part, text in below if text],
    )


def _segments(writing: Writing) -> Element:
    """How many parts a text is cut into."""
    t = writing.t
    assert writing.proof is not None
    count = writing.proof.segments
    assert count is not None
    single, part = LIMITS[count.encoding]
    alphabet = {"gsm7": "GSM-7", "ucs2": "UCS-2"}[count.encoding]
    said = [
        html.b(t("1 part") if count.count == 1 else t("{count} parts", count=count.count)),
        html.span(
            t(
                "{units} of {limit} characters, {alphabet}",
                units=count.units,
                limit=single if count.count < 2 else part * count.count,
                alphabet=alphabet,
            )
        ),
    ]
    if count.foreign:
        said.append(html.span(t("These characters make every part shorter: {characters}", characters=" ".join(count.foreign[:20]))))
    return html.p({"className": "tpl-segments"}, *said)


@component
def person(writing: Writing) -> Element:
    """For whom the message is filled in."""
    use_topics(writing, "person")
    t = writing.t

    def typed(event: Mapping[str, Any]) -> None:
        writing.find_people(str(event["target"].get("value") or ""))

    def choose(one: tuple[str, str] | None) -> Callable[[Any], None]:
        return lambda _event: writing.show_for(one)

    found = [
        html.button({"key": one[0], "type": "button", "className": "button", "onClick": choose(one)}, one[1]) for one in writing.people
    ]
    name = writing.person[1] if writing.person else t("Sample values")
    return html.details(
        {"className": "ask tpl-person", "name": "ask"},
        html.summary(
            {"className": "button"}, components.icon("user" if writing.person else "shuffle"), t("Preview for: {name}", name=name)
        ),
        html.div(
            {"className": "question"},
            html.label(
                t("Search by name or e-mail"),
                html.input({"type": "search", "onChange": typed, "maxLength": 100, "autoComplete": "off"}),
            ),
            html._(found),
            html.button({"type": "button", "className": "button plain", "onClick": choose(None)}, t("Sample values")),
        ),
    )
