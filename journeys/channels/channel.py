"""`Channel`: a way to reach a contact, and what the rest of the product asks about it.

A channel is one file in this folder: what it is called wherever people read it, by which field of the contact it reaches them, what
may be written for it. How a message leaves is no part of it: that is a provider's (`activities/providers/`), which says which
channels it carries. Pure: names, texts and bounds, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any, ClassVar, Literal

Format = Literal["line", "text", "mjml", "url", "numbered", "values", "picture", "card"]
"""One line; as many as one likes; MJML, of which HTML is compiled; the address of a website, which is tracked like a link; a text in which
{{1}}, {{2}} … stand for the lines of the part `values`; those: one value a line, each of which must not be empty when it is filled in; the
`https` address of a picture, which is not tracked; and the HTML of one side of a printed card."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that an author writes: `name` is its key in a stored variant, `title` what its field is called (a message id).

    `max_chars`: how long it may be, apart from its Jinja; what is filled in is cut there. None: as long as such a format may be. `pattern`: what it
    must look like (a regular expression), with an `example`.
    """

    name: str
    title: str
    format: Format
    required: bool = False
    max_chars: int | None = None
    pattern: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Approved:
    """A form of a message that somebody has approved beforehand: the parts that hold its id at the provider, its wording (for preview and
    outbox), and the values of its places. `title` and `help` stand above their fields."""

    id: str
    wording: str
    values: str
    title: str
    help: str

    @property
    def parts(self) -> tuple[str, ...]:
        """All three, the id first."""
        return self.id, self.wording, self.values


@dataclass(frozen=True, slots=True)
class TemplateKind:
    """What a template of one kind consists of, and how its pages show it. Texts are message ids of the catalogues.

    `segments`: its text is counted in parts of a text message. `bubble`: the preview shows it as a phone does. `notification`: on a phone's
    locked screen. `headline`: the part by which lists name a message. `usage`: what the panel with its labels is called. `approved`: the form
    that goes where free text (`text`) may not; a template has one of the two, or both.
    """

    label: str
    icon: str
    start_label: str
    start_help: str
    parts: tuple[Part, ...]
    segments: bool = False
    bubble: bool = False
    notification: bool = False
    headline: str = "subject"
    usage: str = "Labels and journeys"
    approved: Approved | None = None

    @property
    def required(self) -> tuple[str, ...]:
        """The parts without which there is no template."""
        return tuple(part.name for part in self.parts if part.required)

    @property
    def beginning(self) -> tuple[str, ...]:
        """The parts that a new template starts with."""
        return self.required or (self.parts[0].name,)

    @property
    def is_html(self) -> bool:
        """Whether it is compiled to HTML and shown as a mail."""
        return any(part.format == "mjml" for part in self.parts)

    @property
    def is_card(self) -> bool:
        """Whether it is printed: one part is the HTML of its front, the text stands on its back."""
        return any(part.format == "card" for part in self.parts)

    def part(self, name: str) -> Part | None:
        """The part of that name; None if it has none."""
        return next((part for part in self.parts if part.name == name), None)


@dataclass(frozen=True, slots=True)
class Step:
    """The step of the palette that sends a template on the channel, for channels that have no class of their own in `journeys/nodes/`.

    `help`: the paragraphs of its help page, the first is the palette's text. All are message ids.
    """

    label: str
    help: str
    keywords: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A part of a channel that an account of its own carries: `label` is what pages call it, `kinds` are the devices it reaches."""

    label: str
    kinds: frozenset[str]


class Channel:
    """A way to reach a contact. Subclasses are stateless; one instance of each stands in `journeys.channels.BUILT_IN`."""

    name: ClassVar[str]
    """In documents, rows, file columns and the API; never changes."""
    label: ClassVar[str]
    """What pages call it (a message id, as all texts here)."""
    icon: ClassVar[str]
    wording: ClassVar[str]
    """Beside a box of the preference page; it becomes part of the proof of a consent."""
    noun: ClassVar[str]
    """In sentences about consent: "allowed … for newsletters"."""
    address_field: ClassVar[str | None] = None
    """The contact's field that holds the address, which is also the kind of identifier that says how it is spelled. Several people may have the
    same one, and then share its mailbox. None: the contact is reached by its id."""
    reach_field: ClassVar[str | None] = None
    """Of a channel without an address: the contact's field that is empty while nothing can reach them there, such as one without a device."""
    routes: ClassVar[Mapping[str, Route]] = {}
    """Where several accounts carry the channel together, each to its own kinds of devices: what a decision is filed under -> its route. The first
    is filed under the channel's own name. Empty: one account carries it."""
    shared: ClassVar[bool] = False
    """Whether several accounts may carry it, each a share of the messages, and stand in for one another. Not where what reaches a contact belongs to one
    account: the tokens of its devices, a conversation with a number, a form that was approved, the size of a printed card."""
    sendable: ClassVar[bool] = False
    """Whether messages leave on it: it then needs a template kind, a step and a provider, and is offered wherever one chooses a channel."""
    in_files: ClassVar[bool] = True
    """Whether files of other systems tell a consent to it, so that the import offers a column for it."""
    needs_unsubscribe: ClassVar[bool] = False
    """Whether a marketing message must show a link to unsubscribe and gets the headers of RFC 8058."""
    names_sender: ClassVar[bool] = False
    """Whether a marketing message must show the workspace's postal address; with `needs_unsubscribe` it must show the imprint too."""
    quiet_by_law: ClassVar[tuple[time, time] | None] = None
    """From when until when the law lets no marketing out on it, on the recipient's clock, unless a workspace says otherwise; None: at no time."""
    reply_window: ClassVar[timedelta | None] = None
    """How long after the contact's last message there free text may be sent; later only what was approved. None: at any time."""
    template: ClassVar[TemplateKind | None] = None
    step: ClassVar[Step | None] = None

    def address_of(self, contact: Any) -> str | None:
        """Where the channel reaches a contact: a row or an object with the contact's fields as attributes."""
        if self.reach_field and not getattr(contact, self.reach_field):
            return None
        address: str | None = getattr(contact, self.address_field or "id")
        return address

    def compared(self, address: str) -> str | None:
        """By what two spellings of an address are told to be one; None: by how its kind of identifier is spelled."""
        return None

    def problem(self, address: str) -> str | None:
        """Why nothing that is sent to `address` could arrive, as a reason of the gate; None: as far as its form tells, it may."""
        return None

    def shown(self, address: str) -> str:
        """An address as people read it."""
        return address
