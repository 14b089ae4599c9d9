"""The sides of a contact. A new one is a file here and its name in `PANELS`, whose order is that of the tabs and of the boxes beside them."""

from builder_ui.contacts.panels import (
    change,
    company,
    consents,
    devices,
    fields,
    forms,
    journeys,
    mail,
    messages,
    notes,
    orders,
    scores,
    segments,
    sources,
    tags,
    tasks,
    timeline,
    who,
)
from builder_ui.contacts.panels.panel import Panel

PANELS: tuple[Panel, ...] = (
    timeline.PANEL,
    who.PANEL,
    company.PANEL,
    mail.PANEL,
    notes.PANEL,
    tasks.PANEL,
    journeys.PANEL,
    messages.PANEL,
    orders.PANEL,
    segments.PANEL,
    forms.PANEL,
    consents.PANEL,
    scores.PANEL,
    sources.PANEL,
    tags.PANEL,
    fields.PANEL,
    devices.PANEL,
    change.PANEL,
)

__all__ = ["PANELS", "Panel"]
