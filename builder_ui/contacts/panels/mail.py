"""An e-mail to this one contact: written, looked at and sent. What becomes of it stands on the timeline."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.sending import personal
from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components, template_frames
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from journeys.channels import DEFAULT
from models import Contact, Member, Template, new_id

KEY = "mail"
MOST_TEMPLATES = 200
TYPED = ("sender", "template", "subject", "text", "signature")
SHOWN = "mail.shown"
"""The draft that holds what the contact would get."""


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    senders: dict[str, str]
    templates: dict[str, str]
    """Key -> name, of the e-mails that can be sent."""
    signature: str


def may_open(context: PageContext, contact: Contact) -> bool:
    return context.app.post is not None and context.may("mail.write") and contact.erased_at is None


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data | None:
    if not opened or context.app.post is None:
        return None
    member = session.get(Member, context.member.id)
    rows = select(Template.key, Template.name).where(Template.kind == DEFAULT, col(Template.archived_at).is_(None))
    templates = dict(session.execute(rows.order_by(col(Template.name)).limit(MOST_TEMPLATES)).all())
    signature = str(member.preferences.get(personal.SIGNATURE, "")) if member else ""
    return Data(personal.senders(session, context.app.post.messaging, member), templates, signature)


def action(context: PageContext, contact: Contact, data: Data | None, acts: Acts) -> Element:
    if not may_open(context, contact) or not contact.email:
        return None
    return html.a(
        {"className": "button", "href": f"/ui/contacts/{contact.id}?view={KEY}"}, components.icon("mail"), context.t("Write e-mail")
    )


def view(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    t = context.t
    acts.drafts.setdefault("mail.id", new_id())
    templates = {"": t("none: in my own words"), **data.templates}
    return html.div(
        {"className": "writing-mail"},
        html.h2(t("Write e-mail")),
        html.p({"className": "quiet"}, t("To {address}", address=contact.email or "–")),
        components.kept_choice(acts, "mail.sender", t("From"), data.senders, ""),
        components.kept_choice(acts, "mail.template", t("Template"), templates, ""),
        components.kept(acts, "mail.subject", t("Subject"), personal.MAX_SUBJECT),
        components.kept_lines(acts, "mail.text", t("Text"), personal.MAX_TEXT, 10),
        components.kept_lines(acts, "mail.signature", t("Signature"), personal.MAX_SIGNATURE, 3, data.signature),
        html.p(
            {"className": "quiet"},
            t(
                "Your own words are transactional: they need no consent and must not advertise. A marketing template is sent only to contacts who"
                " allowed marketing. Nothing is sent to a suppressed address. The e-mail is not tracked; answers come onto the timeline."
            ),
        ),
        html.div(
            {"className": "actions"},
            components.button(
                t("Preview"),
                acts.act("mail.write", previewing(contact.id, acts, data.signature), "This is what the contact would get."),
                "mail-open",
            ),
            components.button(
                t("Send e-mail"),
                acts.act(
                    "mail.write",
                    sending(contact.id, acts, data.signature),
                    "The e-mail is on its way; the timeline shows what becomes of it.",
                ),
                "mail",
                "main",
            ),
        ),
        preview(context, contact, acts),
    )


def preview(context: PageContext, contact: Contact, acts: Acts) -> Element:
    if not (kept := acts.drafts.get(SHOWN)):
        return None
    t, shown = context.t, json.loads(kept)
    pairs = [(t("From"), shown["sender"]), (t("Replies to"), shown["reply_to"] or t("the sender")), (t("Subject"), shown["subject"])]
    frame = (
        template_frames.address(shown["template"], state="saved", contact=contact.id, locale=shown["locale"]) if shown["template"] else ""
    )
    return html._(
        html.h3(t("Preview")),
        components.facts(pairs),
        html.iframe({"className": "mail", "src": frame, "sandbox": "", "title": t("The message as rendered")})
        if frame
        else html.pre({"className": "mail-text"}, shown["text"]),
    )


def letter_of(acts: Acts, signature: str) -> personal.Letter:
    typed = {name: acts.drafts.get(f"mail.{name}", "") for name in TYPED}
    return personal.Letter(**typed | {"signature": acts.drafts.get("mail.signature", signature)})


def previewing(contact_id: str, acts: Acts, signature: str) -> Do:
    def do(context: PageContext) -> None:
        acts.drafts.pop(SHOWN, None)
        assert context.app.post is not None
        with context.engine.db.read() as session:
            contact, member = session.get_one(Contact, contact_id), session.get(Member, context.member.id)
            found = personal.compose(session, context.app.post.messaging, contact, letter_of(acts, signature), member, context.app.now())
        acts.drafts[SHOWN] = json.dumps(
            {
                "sender": found.sender,
                "reply_to": found.reply_to,
                "subject": found.rendered.subject,
                "text": found.rendered.text,
                "template": found.template,
                "locale": found.rendered.locale,
            }
        )

    return do


def sending(contact_id: str, acts: Acts, signature: str) -> Do:
    def do(context: PageContext) -> None:
        assert context.app.post is not None
        mail_id, letter = acts.drafts.get("mail.id", ""), letter_of(acts, signature)
        personal.post(context.engine.db, context.app.post.messaging, contact_id, letter, context.member.id, context.app.now(), mail_id)
        if not letter.template:
            with context.engine.db.write() as session:
                personal.remember_signature(session, context.member.id, letter.signature)
        for name in [*(f"mail.{name}" for name in (*TYPED, "id")), SHOWN]:
            acts.drafts.pop(name, None)

    return do


PANEL = Panel(KEY, "Write e-mail", load, view=view, action=action, may_open=may_open, offered=lambda data: False)
