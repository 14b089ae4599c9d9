"""Spans for an OpenTelemetry collector, over OTLP/HTTP. Loaded only by a process whose settings name a collector.

A collector that is away costs spans and nothing else: they wait in memory, 2,048 at most, and are sent by a thread of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from engine.log_fields import log_fields
from engine.tracing import ATTRIBUTES, NOTHING, Callers, Kind, Span, is_traceparent

if TYPE_CHECKING:
    import requests

KINDS: Mapping[Kind, SpanKind] = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}
CLOSE_SECONDS = 3.0
EXPORT_SECONDS = 5.0


class OtlpTracing:
    """Records and exports through `session`. `callers` says what a `traceparent` of a request counts for: nothing, a link, or the parent."""

    on = True

    def __init__(
        self,
        endpoint: str,
        service: str,
        workspace: str,
        *,
        session: requests.Session,
        headers: Mapping[str, str] | None = None,
        ratio: float = 1.0,
        callers: Callers,
    ) -> None:
        told = {"service.name": f"pfadwerk-{service}", "service.version": version("pfadwerk"), "deployment.environment.name": workspace}
        address = endpoint.rstrip("/") + "/v1/traces"
        exporter = OTLPSpanExporter(address, headers=dict(headers or {}), timeout=EXPORT_SECONDS, session=session)
        self._processor = BatchSpanProcessor(exporter)
        self._tracer = self._recorder(ParentBased(root=TraceIdRatioBased(ratio)), told)
        self._always = self._recorder(ALWAYS_ON, told)
        self._callers = callers

    def _recorder(self, sampler: Sampler, told: Mapping[str, str]) -> trace.Tracer:
        provider = TracerProvider(sampler=sampler, resource=Resource.create(told), shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        tracer: trace.Tracer = provider.get_tracer("pfadwerk")
        return tracer

    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        links: Iterable[str] = (),
        kind: Kind = "internal",
        root: bool = False,
        **attributes: str | int,
    ) -> AbstractContextManager[Span]:
        present = trace.get_current_span().get_span_context()
        linked = [Link(_context(one)) for one in links]
        if parent is not None:
            return self._begun(self._tracer, name, _below(parent), kind, linked, attributes)
        if present.trace_flags.sampled or (root and not present.is_valid):
            return self._begun(self._tracer, name, None, kind, linked, attributes)
        return NOTHING

    def apart(self, name: str) -> AbstractContextManager[Span]:
        present = trace.get_current_span().get_span_context()
        return self._begun(self._always, name, Context(), "internal", [Link(present)], {}) if present.trace_flags.sampled else NOTHING

    def request(self, traceparent: str) -> AbstractContextManager[Span]:
        counts = self._callers if is_traceparent(traceparent) else "ignore"
        below = _below(traceparent) if counts == "parent" else Context()
        links = [Link(_context(traceparent))] if counts == "link" else []
        return self._begun(self._tracer, "request", below, "server", links, {})

    def here(self) -> str | None:
        present = trace.get_current_span().get_span_context()
        return f"00-{present.trace_id:032x}-{present.span_id:016x}-01" if present.trace_flags.sampled else None

    def close(self) -> None:
        # it alone would wait half a minute where nobody answers
        ending = threading.Thread(target=self._processor.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)

    @contextmanager
    def _begun(
        self, tracer: trace.Tracer, name: str, below: Context | None, kind: Kind, links: Sequence[Link], attributes: Mapping[str, str | int]
    ) -> Iterator[Span]:
        """Of an error only its kind is kept: its text may hold what a contact typed."""
        with tracer.start_as_current_span(
            name, below, KINDS[kind], links=links, record_exception=False, set_status_on_exception=False
        ) as begun:
            span = _Recorded(begun)
            span.note(**attributes)
            with log_fields(trace_id=f"{begun.get_span_context().trace_id:032x}") if begun.is_recording() else nullcontext():
                try:
                    yield span
                except BaseException as error:
                    if not _is_expected(error):
                        span.note(error=type(error).__name__)
                        begun.set_status(Status(StatusCode.ERROR))
                    raise


class _Recorded:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, **attributes: str | int) -> None:
        self._span.set_attributes({ATTRIBUTES[word]: value for word, value in attributes.items()})

    def rename(self, name: str) -> None:
        self._span.update_name(name)


def _is_expected(error: BaseException) -> bool:
    """Whether it only says that an activity comes back."""
    return isinstance(error, ApplicationError) and error.category == ApplicationErrorCategory.BENIGN


def _context(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16) & 1))


def _below(traceparent: str) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(_context(traceparent)), Context())
