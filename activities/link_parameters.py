"""Which campaign parameters the links of a message get: those of its template as it is pinned, else the workspace's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy.orm import Session

from activities.rendering import CompiledTemplate, Marks
from journeys import link_parameters
from workspace import settings


def marked(session: Session, template: CompiledTemplate, about: Mapping[str, str], marks: Marks) -> Marks:
    """`marks`, and the parameters. `about`: what places are filled with, all but the template."""
    workspace, mode = settings.load(session, settings.LinkParameters), template.link_parameters.get("mode", "default")
    patterns = {"default": workspace.patterns(), "none": {}, "own": template.link_parameters}[mode]
    values = {**about, "template": template.key, "template_name": template.name}
    return replace(marks, parameters=link_parameters.filled(patterns, values), left_alone=workspace.sites())
