"""Queueing long work, which the web server does page by page (`api.jobs`). Nothing is done here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from crm.audit import record
from models import Job


def add_job(session: Session, kind: str, subject: str, input: Mapping[str, Any], by: str, now: datetime, total: int | None = None) -> Job:
    """Queues a job; `Server.jobs.look` makes the thread see it at once after the commit."""
    job = Job(kind=kind, subject=subject, input=dict(input), total=total, created_by=by, created_at=now, updated_at=now)
    session.add(job)
    session.flush()
    record(session, by, f"job.{kind}", subject, {"job": job.id, "total": total}, now)
    return job
