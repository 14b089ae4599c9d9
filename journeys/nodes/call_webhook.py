from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field

from journeys.errors import Issue
from journeys.nodes.node import Node, unread_places
from journeys.placeholders import fields, fill, fill_json
from journeys.results import Results
from journeys.values import Answer, Call, Context, Do, Leave, Outcome, Performed

MAX_BODY_BYTES = 20_000
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"}
_FIXED_HOST = re.compile(r"https?://[^/?#{}\s@]+([/?#]|$)")

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,500}$")]


class CallWebhook(Node):
    """Calls another system over HTTP and goes on through *ok* (a 2xx answer) or *failed* (after all retries).

    Address and body may name values: `{{ contact.email }}`, `{{ trigger.order_id }}`. The call carries an idempotency key
    and, with a secret, a signature. Secrets live in the settings; here stands only their name.
    """

    kind = "call_webhook"
    label = "Call webhook"
    group = "code"
    icon = "webhook"
    effect_channel = "webhook"
    example = {"url": "https://erp.example.com/orders", "body": {"order": "{{ trigger.order_id }}"}, "secret": "erp"}

    url: str = Field(title="Address", max_length=2_000, pattern=r"^https?://\S")
    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = Field("POST", title="Method")
    headers: dict[HeaderName, HeaderValue] = Field({}, title="Headers", max_length=20)
    body: dict[str, Any] = Field({}, title="Body", description="Sent as JSON.", json_schema_extra={"widget": "json"})
    secret: str | None = Field(
        None, title="Sign with", description="Name of a secret.", max_length=64, json_schema_extra={"widget": "secret", "names": "secret"}
    )

    def outlets(self) -> tuple[str, ...]:
        return ("ok", "failed")

    def enter(self, ctx: Context) -> Answer:
        request = {
            "url": fill(self.url, ctx.facts, quote=lambda value: quote(value, safe="")),
            "method": self.method,
            "headers": dict(self.headers),
            "body": fill_json(self.body, ctx.facts),
            "secret_name": self.secret,
        }
        return Do(call=Call(channel="webhook", input=request))

    def results(self) -> Results:
        return {"status": "any", "answer": "object", "reason": "string", "message_id": "string"}

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        if not isinstance(outcome, Performed):
            raise TypeError(f"expected a webhook to be Performed, got: {type(outcome).__name__}")
        return Leave(outlet=outcome.outlet, remember=outcome.data)

    def references(self) -> Iterable[tuple[str, str, str]]:
        if self.secret is not None:
            yield "secret", "secret", self.secret
        for place in ("url", "body"):
            for name in fields(getattr(self, place)):
                yield place, "field", name

    def problems(self, node_id: str) -> Iterable[Issue]:
        yield from unread_places(node_id, {"url": self.url, "body": self.body})
        if not _FIXED_HOST.match(self.url):
            text = "The host in the address must be written out, without values, user name or password."
            yield Issue(code="open_host", text=text, node_id=node_id, field="url")
        elif self.url.startswith("http:"):
            text = "The address is not encrypted (http): whoever listens can read it."
            yield Issue(code="plain_http", text=text, node_id=node_id, field="url", severity="warning")
        for name in self.headers:
            if name.lower() in SECRET_HEADERS:
                text = "The header “{header}” is a secret and does not belong in a journey; sign with a secret instead."
                yield Issue(code="secret_in_document", text=text, values={"header": name}, node_id=node_id, field=f"headers.{name}")
        if len(json.dumps(self.body, default=str)) > MAX_BODY_BYTES:
            text = "The body is too large: at most {limit} bytes."
            yield Issue(code="body_too_large", text=text, values={"limit": MAX_BODY_BYTES}, node_id=node_id, field="body")
