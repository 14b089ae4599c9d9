"""What a process records its traces with, as the settings say."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from engine.tracing import NoTracing, Tracing
from settings import Settings


def tracing_of(settings: Settings, process: Literal["api", "worker"]) -> Tracing:
    """Loads OpenTelemetry only where a collector is named."""
    if not settings.otlp_endpoint:
        return NoTracing()
    from activities.requests_session import guarded_session
    from activities.webhooks.address_guard import Guard
    from engine.otlp import OtlpTracing

    collector = Guard(hosts=frozenset({urlsplit(settings.otlp_endpoint).hostname or ""}))
    return OtlpTracing(
        settings.otlp_endpoint,
        process,
        settings.workspace,
        session=guarded_session(collector),
        headers=settings.collector_headers(),
        ratio=settings.trace_ratio,
        callers=settings.trace_callers,
    )
