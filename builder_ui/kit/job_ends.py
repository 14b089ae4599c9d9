"""Background jobs as pages show it: why it ended before its end."""

from __future__ import annotations

from builder_ui.kit import components
from builder_ui.kit.i18n import Speech
from builder_ui.kit.reactpy_compat import Element, html
from crm.jobs import why
from models import Job


def ended_early(speech: Speech, job: Job | None, text: str) -> Element:
    """A notice in the reader's language, where the newest work on something failed; `text` is a message id with a `{reason}`."""
    reason = why(job) if job is not None and job.state == "failed" else None
    if reason is None:
        return None
    said = speech(text, reason=reason.say(speech.translate))
    return html.p({"className": "notice bad ended", "role": "alert"}, components.icon("alert"), said)
