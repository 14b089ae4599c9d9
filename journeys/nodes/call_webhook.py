from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from journeys.errors import Issue
from journeys.nodes.node import Node, unread_places
from journeys.placeholders import fields, fill, fill_json
from journeys.results import Results
from journeys.values import Answer, Call, Context, Do, Leave, Outcome, Performed

MAX_BODY_BYTES = 20_000
SECRET_HEADERS = {"authorization", "cookie", "x-api-key", "api-key", "x-auth-token"}
OWN_HEADERS = frozenset(
    {
        *("host", "content-length", "webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key", "pfadwerk-hops"),
        *(
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ),
    }
)
"""Set by the sender, or meant for one hop of the way only; an author cannot. Source: RFC 9110, section 7.6.1; RFC 2616, section 13.5.1."""
_FIXED_HOST = re.compile(r"https?://[^/?#{}\s@]+([/?#]|$)")
_DOTS = re.compile(r"https?://[^?#]*/(\.|%2e){1,2}(?=[/?#]|$)", re.IGNORECASE)

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,500}$")]


def leads_elsewhere(url: str) -> bool:
    """Whether a piece of its path is `.` or `..`, which clients and servers read as another path: a value filled in must not choose one."""
    return _DOTS.match(url) is not None


class SecretHeader(BaseModel):
    """A header whose value is a secret of the workspace, such as a bearer token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: str = Field(
        title="Secret",
        description="Name of a secret.",
        min_length=1,
        max_length=64,
        json_schema_extra={"widget": "secret", "names": "secret"},
    )
    prefix: HeaderValue = Field("", title="Prefix", description="Put before the value, such as `Bearer ` with its space.")


HeaderField = Annotated[
    Annotated[HeaderValue, Tag("Text")] | Annotated[SecretHeader, Tag("SecretHeader")],
    Discriminator(lambda value: "SecretHeader" if isinstance(value, dict | SecretHeader) else "Text"),
]


class CallWebhook(Node):
    """Calls another system over HTTP and continues through *answered* (a 2xx response) or *error* (after all retries).

    Address and body can contain values: `{{ contact.email }}`, `{{ trigger.order_id }}`. The call carries an
    idempotency key and, with a secret, a signature. A header is a text or refers to a secret: `{"Authorization":
    {"secret": "crm_token", "prefix": "Bearer "}}`. Secrets are kept in the settings; only their names are used here.
    """

    kind = "call_webhook"
    label = "Call webhook"
    group = "code"
    icon = "webhook"
    keywords = "http api integration request zapier crm send data url"
    effect_channel = "webhook"
    example = {"url": "https://erp.example.com/orders", "body": {"order": "{{ trigger.order_id }}"}, "secret": "erp"}

    url: str = Field(title="Address", examples=["https://erp.example.com/orders"], max_length=2_000, pattern=r"^https?://\S")
    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = Field("POST", title="Method")
    headers: dict[HeaderName, HeaderField] = Field(
        {},
        title="Headers",
        description="A text, or the name of a secret.",
        max_length=20,
        json_schema_extra={"widget": "headers"},
    )
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
            "headers": {name: value if isinstance(value, str) else value.model_dump() for name, value in self.headers.items()},
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
            text = "The host in the address must be written out, without template values, user name or password."
            yield Issue(code="open_host", text=text, node_id=node_id, field="url")
        elif leads_elsewhere(self.url):
            text = "The path of the address contains “.” or “..” as a part of its own: write out the path that is meant."
            yield Issue(code="dots_in_address", text=text, node_id=node_id, field="url")
        elif self.url.startswith("http:"):
            text = "The address is not encrypted (http): others on the network can read what is sent."
            yield Issue(code="plain_http", text=text, node_id=node_id, field="url", severity="warning")
        yield from self._bad_headers(node_id)
        if len(json.dumps(self.body, default=str)) > MAX_BODY_BYTES:
            text = "The body is too large: at most {limit} bytes."
            yield Issue(code="body_too_large", text=text, values={"limit": MAX_BODY_BYTES}, node_id=node_id, field="body")

    def _bad_headers(self, node_id: str) -> Iterable[Issue]:
        """Headers that are not the author's to set, that are set twice, and secrets written out."""
        seen: set[str] = set()
        for name, value in self.headers.items():
            code, text = "", ""
            if name.lower() in OWN_HEADERS:
                code, text = "own_header", "The header “{header}” is set by the client or a proxy; remove it."
            elif name.lower() in seen:
                code, text = "twice_a_header", "The header “{header}” appears twice."
            elif name.lower() in SECRET_HEADERS and isinstance(value, str):
                text = "The header “{header}” is a secret and does not belong in a journey: store it under Secrets and refer to it by name here."
                code = "secret_in_document"
            seen.add(name.lower())
            if code:
                yield Issue(code=code, text=text, values={"header": name}, node_id=node_id, field=f"headers.{name}")
