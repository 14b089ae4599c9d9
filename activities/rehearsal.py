"""Whether the messages of a simulated run could be written: their templates are filled in as real ones would be, and nothing is kept.

A template that the workspace has not, such as that of a journey in a file, is not tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from activities.rendering import CompiledTemplate, Renderer, RenderFailed, answered
from activities.rendering.forms import in_form, is_free_text
from activities.sending.messages import SHOWN
from activities.templates import library
from activities.tracking import Tracking
from engine.interpreter.gate import is_open, message_class
from engine.interpreter.simulate import Written
from journeys.channels import CHANNELS
from journeys.compile import Program
from journeys.errors import NotFound
from journeys.rules.facts import Facts
from journeys.values import Call
from workspace import brand
from workspace.imprint import sender_values

NOBODY = "0" * 32
"""Stands for the message in the addresses of a mail that is not sent."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`engine.interpreter.simulate.Fill` with the newest versions of a journey's templates."""

    tracking: Tracking
    language: str
    """Of contacts whose own is unknown."""
    renderer: Renderer
    program: Program
    sender: Mapping[str, str]
    brand: Mapping[str, str]
    compiled: Mapping[str, CompiledTemplate]

    def __call__(self, call: Call, values: Mapping[str, Any], replied_at: datetime | None, facts: Facts) -> Written:
        """How a real message would come out. Raises: RenderBusy."""
        contact = {**dict.fromkeys(SHOWN), **values["contact"]}  # a real contact has every column, if only with nothing in it
        whole = {**values, "contact": contact, "sender": dict(self.sender), "brand": self.brand, **self.tracking.urls(NOBODY)}
        zone = str(contact.get("timezone") or self.program.settings.timezone)
        languages = [name for name in (contact.get("locale"), self.language) if name]
        template = self.compiled.get(str(call.input.get("template", "")))
        known = CHANNELS.get(call.channel)
        window = known.reply_window if known is not None else None
        try:
            if template is not None:
                kind = message_class(call.input, self.program.settings)
                formed = in_form(template, window is None or is_open(replied_at, window, values["now"]))
                whole |= answered(formed, languages, facts, values["now"])
                rendered = self.renderer.render(formed, languages, whole, message_class=kind, zone=zone)
                return Written(reply_window=window if window and is_free_text(template.kind, rendered.parts) else None)
            if text := call.input.get("text"):
                self.renderer.render_text(str(text), whole, locale=languages[0], zone=zone)
        except RenderFailed as error:
            return Written(f"render_{error.code}")
        return Written()


def rehearsal(session: Session, program: Program, tracking: Tracking, language: str, renderer: Renderer) -> Rehearsal:
    """Reads the templates that the journey names."""
    keys = {str(node["template"]) for node in program.journey.nodes.values() if node.get("template")}
    found = {key: one for key in sorted(keys) if (one := _newest(session, key)) is not None}
    return Rehearsal(tracking, language, renderer, program, sender_values(session), brand.values(session, tracking.public_url), found)


def _newest(session: Session, key: str) -> CompiledTemplate | None:
    try:
        return library.load(session, key)
    except NotFound:
        return None
