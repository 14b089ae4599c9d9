"""Whether the messages of a simulated run could be written: their templates are filled in as real ones would be, and nothing is kept.

A template that the workspace has not, such as that of a journey in a file, is not tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from activities.rendering import CompiledTemplate, Renderer, RenderFailed
from activities.sending.messages import SHOWN
from activities.templates import library
from activities.tracking import Tracking
from engine.interpreter.gate import message_class
from journeys.compile import Program
from journeys.errors import NotFound
from journeys.values import Call
from workspace import settings

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
    sender: settings.Sender
    compiled: Mapping[str, CompiledTemplate]

    def __call__(self, call: Call, values: Mapping[str, Any]) -> str:
        """The reason for which a real message would be skipped, empty if it could be written. Raises: RenderBusy."""
        contact = {**dict.fromkeys(SHOWN), **values["contact"]}  # a real contact has every column, if only with nothing in it
        whole = {**values, "contact": contact, "sender": self.sender.for_templates(), **self.tracking.urls(NOBODY)}
        zone = str(contact.get("timezone") or self.program.settings.timezone)
        languages = [name for name in (contact.get("locale"), self.language) if name]
        template = self.compiled.get(str(call.input.get("template", "")))
        try:
            if template is not None:
                kind = message_class(call.input, self.program.settings)
                self.renderer.render(template, languages, whole, message_class=kind, zone=zone)
            elif text := call.input.get("text"):
                self.renderer.render_text(str(text), whole, locale=languages[0], zone=zone)
        except RenderFailed as error:
            return f"render_{error.code}"
        return ""


def rehearsal(session: Session, program: Program, tracking: Tracking, language: str, renderer: Renderer) -> Rehearsal:
    """Reads the templates that the journey names."""
    keys = {str(node["template"]) for node in program.journey.nodes.values() if node.get("template")}
    found = {key: one for key in sorted(keys) if (one := _newest(session, key)) is not None}
    return Rehearsal(tracking, language, renderer, program, settings.load(session, settings.Sender), found)


def _newest(session: Session, key: str) -> CompiledTemplate | None:
    try:
        return library.load(session, key)
    except NotFound:
        return None
