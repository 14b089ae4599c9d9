"""What pages say about the state of a segment: of which kind it is, and how far it has been filled."""

from __future__ import annotations

from builder_ui.kit import components
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from models import Job, Segment

KINDS = {"live": ("Dynamic", "quiet", "history"), "static": ("Static", "quiet", "clipboard-check")}
"""Kind -> how it is shown."""


def kind(t: Translator, segment: Segment) -> Element:
    text, tone, symbol = KINDS[segment.kind]
    return components.badge(t(text), tone, symbol)


def state(t: Translator, segment: Segment, job: Job | None) -> Element:
    """Whether its members are those of its rule."""
    if segment.state != "filling":
        return components.badge(t("Up to date"), "good", "check")
    if job is not None and job.state == "failed":
        return components.badge(t("Failed"), "bad", "alert")
    asked = t("{count} contacts checked", count=t.number(job.done if job else 0))
    return html.span(components.badge(t("Filling"), "warn", "hourglass"), " ", html.small(asked))
