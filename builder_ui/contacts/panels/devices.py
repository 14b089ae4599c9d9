"""Where push messages reach the contact."""

from __future__ import annotations

from sqlalchemy.orm import Session

from builder_ui.contacts import devices as device_view
from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element
from crm.people import devices
from models import Contact, Device


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> list[Device]:
    return devices.of_contact(session, contact.id)


def view(context: PageContext, contact: Contact, found: list[Device], acts: Acts) -> Element:
    return device_view.view(context, contact.id, found, acts)


PANEL = Panel("devices", "Devices", load, view=view, count=len, offered=bool)
