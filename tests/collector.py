"""A collector of traces on this machine: takes what OpenTelemetry's own exporter sends over OTLP/HTTP, as protobuf."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

PATIENCE_SECONDS = 90.0
"""Only ends what hangs."""


@dataclass(frozen=True)
class Seen:
    """One span, with ids as text."""

    name: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    is_error: bool


@dataclass
class Collector:
    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    raw: bytes = b""
    headers: list[dict[str, str]] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._news:
            self.raw += body
            self.headers.append(headers)
            for resource in request.resource_spans:
                service = next(one.value.string_value for one in resource.resource.attributes if one.key == "service.name")
                self.spans += [_seen(span, service) for scope in resource.scope_spans for span in scope.spans]
            self._news.notify_all()

    def wait_for(self, found: Callable[[list[Seen]], bool]) -> list[Seen]:
        """The spans, as soon as they are what is waited for."""
        with self._news:
            assert self._news.wait_for(lambda: found(self.spans), PATIENCE_SECONDS), [span.name for span in self.spans]
            return list(self.spans)


def _seen(span: Any, service: str) -> Seen:
    attributes = {one.key: one.value.int_value if one.value.HasField("int_value") else one.value.string_value for one in span.attributes}
    links = tuple(link.trace_id.hex() for link in span.links)
    assert not span.events, "an event of a span holds the text of an error"
    assert not span.status.message
    return Seen(
        span.name, service, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), links, attributes, span.status.code == 2
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            zipped = self.headers.get("content-encoding") == "gzip"
            collector.take(gzip.decompress(body) if zipped else body, {name.lower(): value for name, value in self.headers.items()})
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield collector
        server.shutdown()
        thread.join()
