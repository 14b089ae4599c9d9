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


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        letter = read_letter(session, visit.arguments["id"], visit.member)
        return Data(letter, contact_names(session, [letter.message.contact_id] if letter.message else []))


def stamp(visit: PageContext) -> object:
    message = load(visit).letter.message
    return (message.status, message.opened_at, message.clicked_at) if message else None


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech, letter = visit.speech, data.letter
    views = [("text", speech("Plain text"), None), ("headers", speech("Headers"), None)]
    if letter.html:
        views.insert(0, ("mail", speech("As rendered"), None))
    present = visit.query.get("view") or views[0][0]
    shown = {"mail": rendered, "headers": headers}.get(present, plain_text)
    return html._(
        components.head(
            letter.subject or speech("(no subject)"),
            html.span(
                speech("to {recipient}", recipient=letter.recipient),
                " · ",
                coded(speech, CHANNELS, letter.channel),
                " · ",
                components.moment(speech, letter.at),
            ),
            speech("A test for the team, filled in with this contact's values. The contact did not get it.")
            if letter.message and letter.message.test
            else None,
            back=("/ui/outbox", speech("Outbox")),
            state=components.badge(speech("Test"), "quiet", "mail") if letter.message and letter.message.test else None,
        ),
        html.div(
            {"className": "columns"},
            html.section(
                {"className": "letter"},
                html.div({"className": "bar"}, components.tabs(visit, "view", views, speech("Views"))),
                shown(visit, letter),
            ),
            html.section({"className": "panel side-panel"}, components.facts(fate(visit, data))),
        ),
    )


def rendered(visit: PageContext, letter: Letter) -> Element:
    return html.iframe(
        {
            "className": "mail",
            "src": f"/ui/outbox/{letter.id}/mail",
            "sandbox": SANDBOX,
            "title": visit.speech("The message as rendered"),
            "key": "mail",
        }
    )


def plain_text(visit: PageContext, letter: Letter) -> Element:
    text = html.pre({"className": "mail-text"}, letter.text or visit.speech("This message has no plain text."))
    further = [(visit.speech(_title(letter.channel, name)), html.code(value)) for name, value in letter.parts.items() if value]
    return html.div({"key": "text"}, text, html.div({"className": "panel"}, components.facts(further)) if further else None)


def _title(channel: str, part: str) -> str:
    """What a part of the channel's templates is called; one from when it had others, by its name."""
    known = CHANNEL_OF[channel].template if channel in CHANNEL_OF else None
    found = known.part(part) if known else None
    return found.title if found else part


def headers(visit: PageContext, letter: Letter) -> Element:
    lines: dict[str, Any] = {"To": letter.recipient, "Subject": letter.subject, **letter.headers}
    return html.div(
        {"className": "panel", "key": "headers"}, components.facts([(name, html.code(str(value))) for name, value in lines.items()])
    )


def fate(visit: PageContext, data: Data) -> list[tuple[str, Element]]:
    speech, message = visit.speech, data.letter.message
    if message is None:
        return [(speech("State"), speech("A message outside any journey."))]
    pairs = [
        (
            speech("Preview for") if message.test else speech("Contact"),
            contact_link(speech, message.contact_id, data.names.get(message.contact_id)),
        ),
        (speech("State"), components.badge(speech(MESSAGE_STATES[message.status][0]), *MESSAGE_STATES[message.status][1:])),
        (speech("Sent"), components.moment(speech, message.sent_at)),
        (speech("Opened"), components.moment(speech, message.opened_at)),
        (speech("Clicked"), components.moment(speech, message.clicked_at)),
    ]
    if message.template:
        pairs.append(
            (
                speech("Template"),
                f"{message.template} · {message.template_version or '–'} · {speech.language_of(message.locale) if message.locale else '–'}",
            )
        )
    if message.run_id:
        pairs.append((speech("Run"), html.a({"href": f"/ui/runs/{message.run_id}"}, speech("Cause"))))
    return pairs


def name(visit: PageContext) -> str:
    with visit.engine.db.read() as session:
        return read_letter(session, visit.arguments["id"], visit.member).subject


PAGE = Page("/ui/outbox/{id}", "Message", "outbox", "message.read_body", load, view, stamp, name=name)
