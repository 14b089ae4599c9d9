from __future__ import annotations

from typing import Any

from journeys import postal
from journeys.channels.channel import Channel, Part, Step, TemplateKind


class Postcard(Channel):
    """A card by post, with a front and a back."""

    name = "postcard"
    label = "Postcard"
    icon = "mail-open"
    wording = "By post"
    noun = "postcards"
    address_field = postal.FIELD
    sendable = True
    names_sender = True
    template = TemplateKind(
        label="Postcard",
        icon="mail-open",
        start_label="Postcard",
        start_help="A card with a front of your own and words on its back, printed and sent by post.",
        parts=(
            Part("front", "Front of the card", "card", required=True),
            Part("text", "Back of the card", "text", required=True, max_chars=1_500),
        ),
        headline="text",
    )
    step = Step(
        "Send a postcard",
        "Has a card printed and sent by post.\n\nThe front is HTML with pictures of your library, the back text beside the address field. On marketing cards the back "
        "also says how to object to advertising by post.\n\nA card to an incomplete address is skipped, and so is one whose words do not find room. Cards cost money: one that may have been "
        "printed already is never sent again by itself.",
        "post letter mail print card direct mailing",
    )

    def address_of(self, contact: Any) -> str | None:
        """The stored address; without a name of its own the contact's stands on it."""
        stored: str | None = getattr(contact, postal.FIELD)
        address = postal.parse(stored)
        if not stored or address.name:
            return stored
        names = (getattr(contact, "first_name", None), getattr(contact, "last_name", None))
        return postal.overlaid(stored, postal.cleaned({"name": " ".join(name for name in names if name)[: postal.PARTS["name"]]}))

    def compared(self, address: str) -> str | None:
        found = postal.parse(address)
        return found.key if found.text else None

    def problem(self, address: str) -> str | None:
        part = postal.parse(address).problem()
        return f"address_incomplete_{part}" if part else None

    def shown(self, address: str) -> str:
        found = postal.parse(address)
        return ", ".join(part for part in (*found.lines(), found.country) if part) or address
