"""What the contact filled in in forms."""

from __future__ import annotations

from urllib.parse import quote

from sqlalchemy.orm import Session

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.forms import submissions
from models import Contact, Form, FormSubmission

MOST = 5
Found = list[tuple[FormSubmission, Form]]


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Found:
    return submissions.of_contact(session, contact.id, MOST) if context.may("form.read_submissions") else []


def aside(context: PageContext, contact: Contact, found: Found, acts: Acts) -> Element:
    if not found:
        return None
    return html.ul(
        {"className": "used"},
        [
            html.li(
                {"key": row.id},
                html.a({"href": f"/ui/forms/{form.key}?view=submissions&q={quote(row.address)}"}, form.name),
                " ",
                html.small(components.relative(context, row.submitted_at)),
            )
            for row, form in found
        ],
    )


def stamp(session: Session, contact: Contact) -> object:
    return [row.id for row, _ in submissions.of_contact(session, contact.id, MOST)]


PANEL = Panel("forms", "Forms", load, aside=aside, stamp=stamp)
