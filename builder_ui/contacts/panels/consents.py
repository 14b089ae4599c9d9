"""What the contact allowed: what holds now beside the timeline, every statement with its proof in a view of its own, and why an address gets nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui.contacts.panels.panel import Panel
from builder_ui.contacts.timeline.lines import ICONS, tell_consent
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES, REASONS, coded, short, text_moment
from builder_ui.kit.reactpy_compat import Element, html
from crm.consent import expiry, mailbox
from crm.consent.consent import history
from journeys.channels import ADDRESSED, TOPIC
from models import Consent, ConsentState, Contact

MOST_RECORDS = 500


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    states: list[ConsentState]
    said: list[Consent]
    """Every statement about consent, oldest first; only where they are shown."""
    suppressed: dict[str, mailbox.Refused]
    """Channel -> why the contact's address gets nothing there, and since when."""


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data:
    states = list(session.scalars(select(ConsentState).where(ConsentState.contact_id == contact.id)))
    return Data(states, history(session, contact.id)[-MOST_RECORDS:] if opened else [], suppressions(context, session, contact))


def aside(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    return html.ul([consent(context, one) for one in data.states]) if data.states else html.p(context.t("no answer"))


def notice(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    return html._([blocked(context, channel, why) for channel, why in data.suppressed.items()])


def suppressions(context: PageContext, session: Session, contact: Contact) -> dict[str, mailbox.Refused]:
    keys = context.engine.address_keys
    pairs = [(channel, mailbox.address_of(contact, channel)) for channel in ADDRESSED]
    found = {channel: mailbox.refused(session, keys, channel, address) for channel, address in pairs if address}
    return {channel: one for channel, one in found.items() if one}


def consent(context: PageContext, one: ConsentState) -> Element:
    t = context.t
    return html.li(
        {"key": f"{one.channel}.{one.purpose}"},
        coded(t, CHANNELS, one.channel),
        f" ({one.purpose}): ",
        html.b(coded(t, CONSENT_STATES, one.state)),
    )


def view(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    """What holds now, and under it every statement with its wording and proof, newest first."""
    t = context.t
    columns = (t("Channel"), t("Purpose"), t("Now"), t("Since"), t("Expires"))
    with context.engine.db.read() as session:
        ends = [_ends(context, session, one) for one in data.states]
    expiring = {(one.channel, one.purpose): end for one, end in zip(data.states, ends, strict=True)}
    now = [
        [
            coded(t, CHANNELS, one.channel),
            one.purpose,
            html.b(coded(t, CONSENT_STATES, one.state)),
            components.moment(t, one.said_at),
            expiring[one.channel, one.purpose],
        ]
        for one in sorted(data.states, key=lambda one: (one.channel, one.purpose))
    ]
    return html._(
        components.table(t("Current consent"), columns, now, "consents") if now else components.empty("check-square", t("no answer"), None),
        html.h2({"className": "apart"}, t("All consent records")) if data.said else None,
        html.ol({"className": "timeline"}, [statement(context, one) for one in reversed(data.said)]),
    )


def _ends(context: PageContext, session: Session, one: ConsentState) -> Element:
    """When a consent ends by itself, or that it has; empty where it does not."""
    now = context.app.now()
    end = (
        expiry.ends_at(session, one.contact_id, one.purpose, one.said_at, now) if one.state == "granted" and one.channel != TOPIC else None
    )
    if end is None:
        return ""
    return components.moment(context.t, end) if end > now else components.badge(context.t("expired"), "warn", "hourglass")


LIFTS = {
    "unsubscribe": "New consent from this mailbox removes the suppression, such as a confirmed form or the preference page. An administrator can remove it, too.",
    "objection": "Only the contact can withdraw this; an administrator records it under Change, with the evidence.",
    "complaint": "New consent does not remove the suppression. An administrator can, under Change, if the contact asks for it.",
}


LIFTS_OTHERS = "Only this address is suppressed. An administrator can unsuppress it under Change once the address works again."


def blocked(context: PageContext, channel: str, why: mailbox.Refused) -> Element:
    """What is blocked, why, since when, and what lifts it."""
    t, marketing = context.t, why.reason == "unsubscribe"
    text = (
        "This address gets no marketing on the channel {channel}: {reason}"
        if marketing
        else "This address is suppressed on the channel {channel}: {reason}"
    )
    said = t(text, channel=coded(t, CHANNELS, channel), reason=coded(t, REASONS, f"suppressed_{why.reason}"))
    since = html._(" ", t("Since"), " ", components.moment(t, why.since), ".") if why.since else None
    ordered = html._(" ", t("Transactional messages still arrive.")) if marketing else None
    lifts = t(LIFTS.get(why.reason, LIFTS_OTHERS))
    return html.div(
        {"className": "notice bad", "key": channel},
        components.icon("ban"),
        html.div(html.p(said, ".", since, ordered), html.p({"className": "quiet"}, lifts)),
    )


def statement(context: PageContext, one: Consent) -> Element:
    t = context.t
    proof = {name: text_moment(t, value) if isinstance(value, str) else value for name, value in one.proof.items() if name != "applied"}
    late = one.proof.get("applied") is False
    return html.li(
        {"className": "event small", "key": str(one.id)},
        html.span({"className": "step-icon"}, components.icon(ICONS["consent"])),
        html.div(
            {"className": "event-body"},
            html.div(
                {"className": "event-head"},
                html.div(
                    tell_consent(context, None, one.model_dump()),
                    html.p({"className": "quiet"}, t("Proof: {proof}", proof="; ".join(f"{k}: {short(v, 60)}" for k, v in proof.items())))
                    if proof
                    else None,
                    html.p({"className": "quiet"}, t("Too late to count: there was a more recent answer.")) if late else None,
                ),
                components.moment(t, one.said_at),
            ),
        ),
    )


PANEL = Panel("consents", "Consents", load, aside=aside, view=view, notice=notice, count=lambda data: len(data.states))
