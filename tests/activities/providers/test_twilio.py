"""The provider `twilio` against a server that speaks as Twilio does; its own client is on our side, its own validator signs on the other."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from pydantic import SecretStr, ValidationError
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from activities.providers import (
    AddressDead,
    ApprovedTemplate,
    InDoubt,
    MessageDead,
    OptedOut,
    PolicyRefused,
    Provider,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
    Unreachable,
)
from activities.providers.callback import CallbackRefused, CallbackRequest, CallbackUnreadable, Happening
from activities.providers.twilio import GuardedHttp, Status, Twilio, TwilioConfig, sort
from activities.webhooks.address_guard import Guard
from tests.activities.providers.conformance import SPOKEN, Arrived, Conformance, outgoing

SID, TOKEN, SERVICE = "AC" + "a1" * 16, "t" * 32, "MG" + "b2" * 16
CODES: dict[type[ProviderFailure], tuple[int, int]] = {
    RetryLater: (429, 20429), AddressDead: (400, 21211), OptedOut: (400, 21610), PolicyRefused: (400, 21408), SenderStopped: (401, 20003),
    MessageDead: (400, 21617), Unreachable: (503, 0),
}  # fmt: skip
CONFIG: dict[str, Any] = {"account_sid": SID, "auth_token": TOKEN, "sms_sender": "+41791111111", "whatsapp_number": "+41792222222"}
PUBLIC = "https://pfadwerk.example"


class Api(ThreadingHTTPServer):
    """Takes messages; `next` is the failure that the next one meets, `says` the answer to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.forms: list[dict[str, str]] = []
        self.hosts: list[str] = []
        self.next: type[ProviderFailure] | None = None
        self.says: bytes | None = None
        self.status = "active"
        self.contents: Any = []
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True))
        with self.server.lock:
            failure, self.server.next = self.server.next, None
        if not self._known():
            return None
        if failure in CODES:
            return self._refuse(*CODES[failure])
        with self.server.lock:
            self.server.forms.append(form)
            number = len(self.server.forms)
        if failure is InDoubt:
            self.close_connection = True
            return None
        return self._say(201, self.server.says or json.dumps({"sid": f"SM{number:032x}", "status": "queued"}).encode())

    def do_GET(self) -> None:
        if not self._known():
            return None
        if self.path.endswith(f"/Accounts/{SID}.json"):
            return self._say(200, json.dumps({"sid": SID, "status": self.server.status}).encode())
        if self.path.partition("?")[0] == "/v1/ContentAndApprovals":
            return self._say(
                200, json.dumps({"meta": {"key": "contents", "next_page_url": None}, "contents": self.server.contents}).encode()
            )
        if self.path == f"/v1/Services/{SERVICE}":
            return self._say(200, json.dumps({"sid": SERVICE}).encode())
        return self._refuse(404, 20404)

    def _known(self) -> bool:
        self.server.hosts.append(self.headers["X-Meant-For"] or "")
        good = "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        if self.headers["Authorization"] != good:
            self._refuse(401, 20003)
            return False
        return True

    def _refuse(self, status: int, code: int) -> None:
        self._say(status, json.dumps({"code": code, "message": SPOKEN, "status": status}).encode() if code else b"<html>")

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


def message_of(form: dict[str, str]) -> str:
    return parse_qs(urlsplit(form["StatusCallback"]).query)["message"][0]


def approved_in(form: dict[str, str]) -> tuple[str, dict[str, str]] | None:
    return (form["ContentSid"], json.loads(form.get("ContentVariables", "{}"))) if "ContentSid" in form else None


class TwilioWire:
    failures: tuple[type[ProviderFailure], ...] = (*CODES, InDoubt)

    def __init__(self, api: Api) -> None:
        self.api = api
        self.opened: list[Twilio] = []
        self.provider: Provider = self.with_config()

    def with_config(self, public_url: str = PUBLIC, **changes: Any) -> Twilio:
        here = Guard.allowing(["127.0.0.1"])
        self.asked: list[str] = []

        def elsewhere(url: str) -> str:
            parts = urlsplit(url)
            self.asked.append(parts.netloc)
            assert (parts.scheme, parts.netloc.endswith(".twilio.com")) == ("https", True)
            return f"http://127.0.0.1:{self.api.server_port}{parts.path}"

        around = Surroundings(None, lambda: datetime.now(UTC), public_url, "twilio.main")  # type: ignore[arg-type]
        self.opened.append(Twilio(TwilioConfig(**{**CONFIG, **changes}), around, GuardedHttp(here, elsewhere)))
        return self.opened[-1]

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.api.next = with_

    def arrived(self, once_key: str) -> list[Arrived]:
        wanted = outgoing(once_key).message_id
        forms = [form for form in self.api.forms if message_of(form) == wanted]
        return [Arrived(form["To"].removeprefix("whatsapp:"), "", form.get("Body", ""), approved_in(form)) for form in forms]

    def go_away(self) -> None:
        self.api.shutdown()
        self.api.server_close()


@pytest.fixture
def wire() -> Iterator[TwilioWire]:
    api = Api()
    threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True).start()
    wire = TwilioWire(api)
    yield wire
    for one in wire.opened:
        one.close()
    wire.go_away()


class TestConformance(Conformance):
    channel = "sms"
    names_templates = True


def text(**changes: Any) -> Any:
    return outgoing(channel="sms", recipient="+41791234567", **changes)


def test_who_a_message_is_from_and_where_its_fate_is_told(wire: TwilioWire) -> None:
    by_service = wire.with_config(messaging_service_sid=SERVICE)
    for provider, channel in ((wire.provider, "sms"), (by_service, "sms"), (by_service, "whatsapp")):
        answer = provider.send(outgoing(channel=channel, recipient="+41791234567"))
        assert answer.provider_id == f"SM{len(wire.api.forms):032x}"
    number, service, whatsapp = wire.api.forms
    assert (number["From"], number["To"], "MessagingServiceSid" in number) == ("+41791111111", "+41791234567", False)
    assert (service["MessagingServiceSid"], "From" in service) == (SERVICE, False)
    assert (whatsapp["From"], whatsapp["To"]) == ("whatsapp:+41792222222", "whatsapp:+41791234567")
    assert number["StatusCallback"] == f"{PUBLIC}/callbacks/twilio.main/status?message={text().message_id}"


HX = "HX" + "c3" * 16


def test_an_approved_template_goes_by_its_id_with_its_values(wire: TwilioWire) -> None:
    for values in ('Ada\nA-1 "x"', ""):
        parts = {"content_sid": HX, "content_variables": values}
        wire.provider.send(outgoing(channel="whatsapp", recipient="+41791234567", text="Hello Ada", parts=parts))
    with_values, without = wire.api.forms
    assert (with_values["ContentSid"], json.loads(with_values["ContentVariables"])) == (HX, {"1": "Ada", "2": 'A-1 "x"'})
    assert (without["ContentSid"], "ContentVariables" in without) == (HX, False)
    assert "Body" not in {*with_values, *without}, "the wording is Twilio's"


def test_a_text_that_twilio_would_refuse_is_not_sent(wire: TwilioWire) -> None:
    for channel in ("sms", "whatsapp"):
        wire.provider.send(outgoing(channel=channel, recipient="+41791234567", text="x" * 1_600))
        with pytest.raises(MessageDead, match="twilio_21617"):
            wire.provider.send(outgoing(channel=channel, recipient="+41791234567", text="x" * 1_601))
    assert len(wire.api.forms) == 2


def test_what_can_be_chosen_is_what_twilio_lists(wire: TwilioWire) -> None:
    wire.api.contents = [
        {"sid": HX, "friendly_name": "order", "language": "en", "types": {"twilio/text": {"body": "Hello {{1}}"}}, "approval_requests": {"status": "approved"}},
        {"sid": HX[:-1] + "0", "friendly_name": None, "language": "de", "types": {"twilio/quick-reply": {"body": "Hallo"}}, "approval_requests": None},
        {"sid": HX[:-1] + "1", "friendly_name": "picture", "language": "de", "types": {"twilio/media": {"media": ["x"]}}},
    ]  # fmt: skip
    assert isinstance(wire.provider, Twilio)
    assert list(wire.provider.approved_templates()) == [
        ApprovedTemplate(HX, "order", "en", "Hello {{1}}", "approved"),
        ApprovedTemplate(HX[:-1] + "0", "", "de", "Hallo", "unsubmitted"),
    ]
    for nonsense in ([{"sid": "evil", "types": {"x": {"body": "y"}}}], [7], {"a": 1}):
        wire.api.contents = nonsense
        with pytest.raises(Unreachable):
            wire.provider.approved_templates()
    with pytest.raises(SenderStopped, match="twilio_http_401"):
        wire.with_config(auth_token="wrong").approved_templates()


def test_a_house_that_twilio_cannot_reach_asks_for_no_report(wire: TwilioWire) -> None:
    for url in ("http://127.0.0.1:8000", ""):
        wire.with_config(public_url=url).send(text())
    assert ["StatusCallback" in form for form in wire.api.forms] == [False, False]


def test_a_region_is_reached_by_its_own_host(wire: TwilioWire) -> None:
    for region, host in (("us1", "api.twilio.com"), ("ie1", "api.dublin.ie1.twilio.com"), ("au1", "api.sydney.au1.twilio.com")):
        wire.with_config(region=region).send(text())
        assert wire.asked == [host]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sms_sender": "", "whatsapp_number": ""}, "twilio_no_sender"),
        ({"auth_token": "wrong"}, "twilio_20003"),
        ({"messaging_service_sid": "MG" + "0" * 32}, "twilio_20404"),
    ],
)
def test_an_account_that_could_not_send_is_refused_before_it_is_used(wire: TwilioWire, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(SenderStopped) as caught:
        wire.with_config(**changes).verify()
    assert caught.value.code == code
    wire.with_config(messaging_service_sid=SERVICE, sms_sender="").verify()
    assert wire.api.forms == []


def test_a_closed_account_is_refused(wire: TwilioWire) -> None:
    wire.api.status = "suspended"
    with pytest.raises(SenderStopped, match="twilio_not_active"):
        wire.provider.verify()


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_a_channel_without_a_sender_waits_instead_of_failing(wire: TwilioWire, channel: str) -> None:
    with pytest.raises(SenderStopped, match=f"twilio_no_{channel}_sender"):
        wire.with_config(sms_sender="", whatsapp_number="").send(outgoing(channel=channel, recipient="+41791234567"))


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"sid": 7}', b'{"sid": "SM1"}', b"\xff", b"{" + b" " * 100_000])
def test_an_answer_that_is_none_leaves_a_message_in_doubt(wire: TwilioWire, answer: bytes) -> None:
    wire.api.says = answer or b" "
    with pytest.raises(InDoubt):
        wire.provider.send(text())
    assert len(wire.api.forms) == 1, "nothing is repeated"


@pytest.mark.parametrize(
    ("status", "code", "failure", "name"),
    [
        (400, 21614, AddressDead, "twilio_21614"),
        (400, 63016, MessageDead, "twilio_63016"),
        (400, 63049, MessageDead, "twilio_63049"),
        (400, 63041, MessageDead, "twilio_63041"),
        (400, 63003, AddressDead, "twilio_63003"),
        (429, 63038, RetryLater, "twilio_63038"),
        (400, 63112, SenderStopped, "twilio_63112"),
        (400, 21606, SenderStopped, "twilio_21606"),
        (400, 30007, PolicyRefused, "twilio_30007"),
        (400, 99999, MessageDead, "twilio_99999"),
        (403, 0, SenderStopped, "twilio_http_403"),
        (401, 401, SenderStopped, "twilio_http_401"),
        (404, 404, MessageDead, "twilio_http_404"),
        (429, 0, RetryLater, "twilio_http_429"),
        (500, 20500, InDoubt, "twilio_20500"),
        (502, 0, InDoubt, "twilio_http_502"),
        (503, 0, Unreachable, "twilio_http_503"),
    ],
)
def test_the_table_of_codes(status: int, code: int, failure: type[ProviderFailure], name: str) -> None:
    found = sort(status, code)
    assert (type(found), found.code) == (failure, name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_sid", "AC1"),
        ("messaging_service_sid", "https://evil.example"),
        ("sms_sender", "0791234567"),
        ("sms_sender", "a name that is too long"),
        ("sms_sender", "+41\n"),
        ("whatsapp_number", "+4179123456789012345"),
    ],
)
def test_what_is_no_sender_is_refused_with_its_field(field: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TwilioConfig(**{**CONFIG, field: value})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


# What Twilio reports

MESSAGE = "c" * 32


def call(
    form: dict[str, str], *, token: str = TOKEN, signed: str = "", url: str = f"{PUBLIC}/callbacks/twilio.main/status"
) -> CallbackRequest:
    """As Twilio makes it, signed by its own code. `signed`: the address as Twilio wrote it."""
    url = f"{url}?message={MESSAGE}"
    signature = RequestValidator(token).compute_signature(signed or url, form)
    headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
    return CallbackRequest("POST", url, headers, urlencode(form).encode())


def reader(token: str = TOKEN) -> Status:
    return Status(TwilioConfig(**{**CONFIG, "auth_token": SecretStr(token)}))


def told(status: str, code: str = "") -> dict[str, str]:
    more = {"ErrorCode": code} if code else {}
    return {"MessageSid": "SM1", "MessageStatus": status, "To": "+41791234567", "From": "Käfer & Co", "Body": "", **more}


def test_what_twilio_signs_is_taken_and_nothing_else() -> None:
    reader().verify(call(told("delivered")))
    with_port = f"https://pfadwerk.example:443/callbacks/twilio.main/status?message={MESSAGE}"
    reader().verify(call(told("delivered"), signed=with_port))
    for host in ("[2001:db8::1]", "pfadwerk.example"):
        path = f"{host}{{}}/callbacks/twilio.main/status"
        for known, signed in ((":443", ""), ("", ":443")):
            signed_url = f"https://{path.format(signed)}?message={MESSAGE}"
            reader().verify(call(told("delivered"), url=f"https://{path.format(known)}", signed=signed_url))
    good = call(told("delivered"))
    refused = [
        call(told("delivered"), token="x" * 32),
        call(told("delivered"), signed=f"{PUBLIC}/callbacks/twilio.other/status?message={MESSAGE}"),
        CallbackRequest("POST", good.url, good.headers, good.body.replace(b"delivered", b"failed")),
        CallbackRequest("POST", good.url, {}, good.body),
        CallbackRequest("POST", good.url.replace("c" * 32, "d" * 32), good.headers, good.body),
        CallbackRequest("POST", good.url, good.headers, b"\xff\x00"),
        CallbackRequest("POST", good.url, good.headers, good.body + b"&x=1" * 1_000),
    ]
    for one in refused:
        with pytest.raises(CallbackRefused):
            reader().verify(one)
    with pytest.raises(CallbackRefused):
        reader("").verify(call(told("delivered"), token=""))


@pytest.mark.parametrize(
    ("status", "code", "kind", "name"),
    [
        ("sent", "", "sent", "twilio_sent"),
        ("delivered", "", "delivered", "twilio_delivered"),
        ("undelivered", "30005", "bounced", "twilio_30005"),
        ("undelivered", "30006", "bounced", "twilio_30006"),
        ("undelivered", "30003", "soft_bounced", "twilio_30003"),
        ("undelivered", "30008", "soft_bounced", "twilio_30008"),
        ("undelivered", "21610", "opted_out", "twilio_21610"),
        ("failed", "30007", "failed", "twilio_30007"),
        ("undelivered", "63016", "failed", "twilio_63016"),
        ("undelivered", "63049", "failed", "twilio_63049"),
        ("undelivered", "63003", "bounced", "twilio_63003"),
        ("failed", "evil", "failed", "twilio_failed"),
        ("canceled", "", "failed", "twilio_canceled"),
    ],
)
def test_what_became_of_a_message(status: str, code: str, kind: Any, name: str) -> None:
    assert reader().read(call(told(status, code))) == [Happening(kind, None, "SM1", MESSAGE, name)]


def test_what_was_read_was_delivered_too() -> None:
    assert [one.kind for one in reader().read(call(told("read")))] == ["delivered", "read"]


@pytest.mark.parametrize("status", ["accepted", "queued", "sending", "scheduled", "something new"])
def test_what_says_nothing_about_the_end_is_left_out(status: str) -> None:
    assert reader().read(call(told(status))) == []


def test_what_is_no_report_cannot_be_read() -> None:
    with pytest.raises(CallbackUnreadable):
        reader().read(call({"Hello": "you"}))
