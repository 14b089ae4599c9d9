"""What a process records its traces with, as the settings say."""

from __future__ import annotations

from typing import Literal

from engine.tracing import NoTracing, Tracing
from settings import Settings


def tracing_of(settings: Settings, process: Literal["api", "worker"]) -> Tracing:
    """Loads OpenTelemetry only where a collector is named."""
    if not settings.otlp_endpoint:
        return NoTracing()
    from engine.otlp import OtlpTracing

    return OtlpTracing(
        settings.otlp_endpoint,
        process,
        settings.workspace,
        headers=settings.collector_headers(),
        ratio=settings.trace_ratio,
        callers=settings.trace_callers,
    )
