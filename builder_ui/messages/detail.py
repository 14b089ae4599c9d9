"""One message: what became of it, and, where nobody knows, the decision of a person."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import select

from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import CHANNELS, MESSAGE_STATES, REASONS, coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.outbox.mail import is_readable
from crm.uncertain import Decision, can_go_again, decide
from journeys.errors import NotFound
from models import LEFT, Message, OutboxItem


@dataclass(frozen=True, slots=True)
class Data:
    """`letter` is what its rendered form is found under, if it is kept."""

    message: Message
    name: str
    letter: str | None


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        message = session.get(Message, context.arguments["id"])
        if message is None:
            raise NotFound("There is no such message.")
        in_outbox = select(OutboxItem.id).where(OutboxItem.message_id == message.id, is_readable(context.member))
        number = session.scalar(in_outbox.limit(1))
        letter = str(number) if number is not None else message.id if message.body_id else None
        return Data(message, contact_names(session, [message.contact_id]).get(message.contact_id, ""), letter)


def stamp(context: PageContext) -> object:
    message = load(context).message
    return message.status, message.reason, message.attempts, message.opened_at, message.clicked_at


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, message = context.t, data.message
    uncertain = message.status == "uncertain" and message.reason != LEFT
    return html._(
        components.head(
            message.subject or coded(t, CHANNELS, message.channel),
            t("It is unknown whether this was delivered. Check your provider's sending log, then decide.") if uncertain else None,
            t("A test for the team, filled in with this contact's values. The contact did not get it.") if message.test else None,
            back=("/ui/messages", t("Messages")),
            state=html._(
                components.badge(t("Test"), "quiet", "mail") if message.test else None,
                components.badge(t(MESSAGE_STATES[message.status][0]), *MESSAGE_STATES[message.status][1:]),
            ),
            actions=decisions(context, acts, message) if uncertain else [],
        ),
        html.section({"className": "panel side-panel"}, components.facts(facts(context, data))),
    )


def decisions(context: PageContext, acts: Acts, message: Message) -> list[Element]:
    """Nothing for those who may not."""
    if not context.may("message.decide"):
        return []
    t = context.t
    offered = [
        components.button(
            t("It was sent"),
            acts.act("message.decide", deciding(message, "sent"), "The message counts as sent."),
            "check",
        )
    ]
    if can_go_again(message.channel, message.body_id, message.run_id):
        offered.append(
            components.ask(
                t("Send again"),
                t("If it did arrive, the contact gets it twice. Consent, suppressed addresses and quiet hours are checked again."),
                t("Send it again"),
                acts.act("message.decide", deciding(message, "again"), "It is sent within seconds if the rules allow it."),
                "mail",
            )
        )
    leave = acts.act("message.decide", deciding(message, "leave"), "The message is left as it is.")
    return [*offered, components.button(t("Leave it"), leave, "ban")]


def deciding(message: Message, decision: Decision) -> Do:
    """As it was when the page was drawn: an attempt or a decision since then wants another look."""

    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            decide(session, message.id, decision, message.attempts, context.by, context.app.now())

    return do


def facts(context: PageContext, data: Data) -> list[tuple[str, Element]]:
    t, message = context.t, data.message
    pairs = [
        (t("Preview for") if message.test else t("Contact"), contact_link(t, message.contact_id, data.name)),
        (t("Channel"), coded(t, CHANNELS, message.channel)),
        (t("Why"), coded(t, REASONS, message.reason) if message.reason else "–"),
        (t("Provider"), message.provider or "–"),
        (t("Attempts"), t.number(message.attempts)),
        (t("Planned"), components.moment(t, message.planned_at)),
        (t("Sent"), components.moment(t, message.sent_at)),
        (t("Opened"), components.moment(t, message.opened_at)),
        (t("Clicked"), components.moment(t, message.clicked_at)),
        (t("Bounced"), components.moment(t, message.bounced_at)),
    ]
    if message.run_id:
        pairs.append((t("Run"), html.a({"href": f"/ui/runs/{message.run_id}"}, t("Cause"))))
    if data.letter and context.may("message.read_body"):
        pairs.append((t("Text"), html.a({"href": f"/ui/outbox/{data.letter}"}, t("As it was sent"))))
    return pairs


PAGE = Page("/ui/messages/{id}", "Message", "messages", "message.list", load, view, stamp)
