"""One message as its recipient sees it: rendered, as plain text, and its headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import CHANNELS, MESSAGE_STATES, coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.outbox.mail import SANDBOX, Letter, read_letter
from journeys.channels import CHANNELS as CHANNEL_OF


@dataclass(frozen=True, slots=True)
class Data:
    letter: Letter
    names: dict[str, str]


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        letter = read_letter(session, context.arguments["id"], context.member)
        return Data(letter, contact_names(session, [letter.message.contact_id] if letter.message else []))


def stamp(context: PageContext) -> object:
    message = load(context).letter.message
    return (message.status, message.opened_at, message.clicked_at) if message else None


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, letter = context.t, data.letter
    views = [("text", t("Plain text"), None), ("headers", t("Headers"), None)]
    if letter.html:
        views.insert(0, ("mail", t("As rendered"), None))
    present = context.query.get("view") or views[0][0]
    shown = {"mail": rendered, "headers": headers}.get(present, plain_text)
    return html._(
        components.head(
            letter.subject or t("(no subject)"),
            html.span(
                t("to {recipient}", recipient=_shown(letter)),
                " · ",
                coded(t, CHANNELS, letter.channel),
                " · ",
                components.moment(t, letter.at),
            ),
            t("A test for the team, filled in with this contact's values. The contact did not get it.")
            if letter.message and letter.message.test
            else None,
            back=("/ui/outbox", t("Outbox")),
            state=components.badge(t("Test"), "quiet", "mail") if letter.message and letter.message.test else None,
        ),
        html.div(
            {"className": "columns"},
            html.section(
                {"className": "letter"},
                html.div({"className": "bar"}, components.tabs(context, "view", views, t("Views"))),
                shown(context, letter),
            ),
            html.section({"className": "panel side-panel"}, components.facts(fate(context, data))),
        ),
    )


def rendered(context: PageContext, letter: Letter) -> Element:
    address = f"/ui/outbox/{letter.id}/mail"
    template = CHANNEL_OF[letter.channel].template if letter.channel in CHANNEL_OF else None
    frame = {"className": "mail", "src": address, "sandbox": SANDBOX, "title": context.t("The message as rendered"), "key": "mail"}
    if template is None or not template.is_card:
        return html.iframe(frame)
    pdf = html.a(
        {"className": "button", "href": f"{address}?as=pdf", "download": "card.pdf"}, components.icon("download"), context.t("As PDF")
    )
    return html.div({"key": "mail"}, html.p(pdf), html.iframe(frame))


def _shown(letter: Letter) -> str:
    known = CHANNEL_OF.get(letter.channel)
    return known.shown(letter.recipient) if known else letter.recipient


def plain_text(context: PageContext, letter: Letter) -> Element:
    text = html.pre({"className": "mail-text"}, letter.text or context.t("This message has no plain text."))
    further = [(context.t(_title(letter.channel, name)), html.code(value)) for name, value in letter.parts.items() if value]
    return html.div({"key": "text"}, text, html.div({"className": "panel"}, components.facts(further)) if further else None)


def _title(channel: str, part: str) -> str:
    """What a part of the channel's templates is called; one from when it had others, by its name."""
    known = CHANNEL_OF[channel].template if channel in CHANNEL_OF else None
    found = known.part(part) if known else None
    return found.title if found else part


def headers(context: PageContext, letter: Letter) -> Element:
    lines: dict[str, Any] = {"To": _shown(letter), "Subject": letter.subject, **letter.headers}
    return html.div(
        {"className": "panel", "key": "headers"}, components.facts([(name, html.code(str(value))) for name, value in lines.items()])
    )


def fate(context: PageContext, data: Data) -> list[tuple[str, Element]]:
    t, message = context.t, data.letter.message
    if message is None:
        return [(t("State"), t("A message outside any journey."))]
    pairs = [
        (
            t("Preview for") if message.test else t("Contact"),
            contact_link(t, message.contact_id, data.names.get(message.contact_id)),
        ),
        (t("State"), components.badge(t(MESSAGE_STATES[message.status][0]), *MESSAGE_STATES[message.status][1:])),
        (t("Sent"), components.moment(t, message.sent_at)),
        (t("Opened"), components.moment(t, message.opened_at)),
        (t("Clicked"), components.moment(t, message.clicked_at)),
    ]
    if message.template:
        pairs.append(
            (
                t("Template"),
                f"{message.template} · {message.template_version or '–'} · {t.language_of(message.locale) if message.locale else '–'}",
            )
        )
    if message.run_id:
        pairs.append((t("Run"), html.a({"href": f"/ui/runs/{message.run_id}"}, t("Cause"))))
    return pairs


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return read_letter(session, context.arguments["id"], context.member).subject


PAGE = Page("/ui/outbox/{id}", "Message", "outbox", "message.read_body", load, view, stamp, name=name)
