"""One message: what became of it, and, where nobody knows, the decision of a person."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import select

from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import CHANNELS, MESSAGE_STATES, REASONS, coded
from builder_ui.kit.reactpy_compat import Element, html
from crm.uncertain import Decision, decide
from journeys.channels import SENDABLE
from journeys.errors import NotFound
from models import LEFT, Message, OutboxItem


@dataclass(frozen=True, slots=True)
class Data:
    """`letter` is what its rendered form is found under, if it is kept."""

    message: Message
    name: str
    letter: str | None


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        message = session.get(Message, visit.arguments["id"])
        if message is None:
            raise NotFound("There is no such message.")
        number = session.scalar(select(OutboxItem.id).where(OutboxItem.message_id == message.id).limit(1))
        letter = str(number) if number is not None else message.id if message.body_id else None
        return Data(message, contact_names(session, [message.contact_id]).get(message.contact_id, ""), letter)


def stamp(visit: PageContext) -> object:
    message = load(visit).message
    return message.status, message.reason, message.attempts, message.opened_at, message.clicked_at


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech, message = visit.speech, data.message
    uncertain = message.status == "uncertain" and message.reason != LEFT
    return html._(
        components.head(
            message.subject or coded(speech, CHANNELS, message.channel),
            speech("It is unknown whether this was delivered. Check your provider's sending log, then decide.") if uncertain else None,
            speech("A test for the team, filled in with this contact's values. The contact did not get it.") if message.test else None,
            back=("/ui/messages", speech("Messages")),
            state=html._(
                components.badge(speech("Test"), "quiet", "mail") if message.test else None,
                components.badge(speech(MESSAGE_STATES[message.status][0]), *MESSAGE_STATES[message.status][1:]),
            ),
            actions=decisions(visit, acts, message) if uncertain else [],
        ),
        html.section({"className": "panel side-panel"}, components.facts(facts(visit, data))),
    )


def decisions(visit: PageContext, acts: Acts, message: Message) -> list[Element]:
    """Nothing for those who may not."""
    if not visit.may("message.decide"):
        return []
    speech = visit.speech
    offered = [
        components.button(
            speech("It was sent"),
            acts.act("message.decide", deciding(message, "sent"), "The message counts as sent."),
            "check",
        )
    ]
    if message.channel in SENDABLE and message.body_id:
        offered.append(
            components.ask(
                speech("Send again"),
                speech("If it did arrive, the contact gets it twice. Consent, suppressed addresses and quiet hours are checked again."),
                speech("Send it again"),
                acts.act("message.decide", deciding(message, "again"), "It is sent within seconds if the rules allow it."),
                "mail",
            )
        )
    leave = acts.act("message.decide", deciding(message, "leave"), "The message is left as it is.")
    return [*offered, components.button(speech("Leave it"), leave, "ban")]


def deciding(message: Message, decision: Decision) -> Do:
    """As it was when the page was drawn: an attempt or a decision since then wants another look."""

    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            decide(session, message.id, decision, message.attempts, visit.by, visit.house.now())

    return do


def facts(visit: PageContext, data: Data) -> list[tuple[str, Element]]:
    speech, message = visit.speech, data.message
    pairs = [
        (speech("Preview for") if message.test else speech("Contact"), contact_link(speech, message.contact_id, data.name)),
        (speech("Channel"), coded(speech, CHANNELS, message.channel)),
        (speech("Why"), coded(speech, REASONS, message.reason) if message.reason else "–"),
        (speech("Provider"), message.provider or "–"),
        (speech("Attempts"), speech.number(message.attempts)),
        (speech("Planned"), components.moment(speech, message.planned_at)),
        (speech("Sent"), components.moment(speech, message.sent_at)),
        (speech("Opened"), components.moment(speech, message.opened_at)),
        (speech("Clicked"), components.moment(speech, message.clicked_at)),
        (speech("Bounced"), components.moment(speech, message.bounced_at)),
    ]
    if message.run_id:
        pairs.append((speech("Run"), html.a({"href": f"/ui/runs/{message.run_id}"}, speech("Cause"))))
    if data.letter and visit.may("message.read_body"):
        pairs.append((speech("Text"), html.a({"href": f"/ui/outbox/{data.letter}"}, speech("As it was sent"))))
    return pairs


PAGE = Page("/ui/messages/{id}", "Message", "messages", "message.list", load, view, stamp)
