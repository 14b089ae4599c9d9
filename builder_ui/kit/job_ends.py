"""What pages say about a background job: why it ended before its end, and that nobody is there to do it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from builder_ui.kit import components
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from crm.jobs import why
from engine.presence import has_worker
from models import Job


def waits(session: Session, job: Job | None) -> bool:
    """Whether a job cannot go on because no worker is alive."""
    return job is not None and job.state == "running" and not has_worker(session)


def ended_early(t: Translator, job: Job | None, text: str) -> Element:
    """A notice in the reader's language, where the newest work on something failed; `text` is a message id with a `{reason}`."""
    reason = why(job) if job is not None and job.state == "failed" else None
    if reason is None:
        return None
    said = t(text, reason=reason.say(t.translate))
    return html.p({"className": "notice bad ended", "role": "alert"}, components.icon("alert"), said)


def no_worker(t: Translator, is_missing: bool) -> Element:
    """A notice where a job waits for a worker."""
    if not is_missing:
        return None
    said = t("No worker is running. Background jobs wait and continue as soon as one runs.")
    return html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), said)
