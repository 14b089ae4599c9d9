"""The provider `twilio`: text messages and WhatsApp, over Twilio's own client, which speaks through our one HTTP client.

Blind: Twilio takes no key that makes a repeat harmless, and its list of messages can show that one is there, never that none will be. But
every message names us in the address of its status callback, so one in doubt is settled by what Twilio reports of it
([decision 040](../../docs/decisions/040-twilio-is-blind.md)). Nothing is read of delivery here; `Status` reads what is reported afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from pydantic import Field, SecretStr
from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]
from twilio.http import HttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from activities.http_client import HttpAnswer, HttpFailure, ask, client
from activities.providers.callback import Callback, CallbackRefused, CallbackRequest, CallbackUnreadable, Happening, Kind, Reply
from activities.providers.provider import (
    AddressDead,
    Advice,
    Answer,
    ApprovedTemplate,
    ConfiguredProvider,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    OptedOut,
    Outgoing,
    PolicyRefused,
    ProviderConfig,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
    Unreachable,
    unanswered,
)
from activities.webhooks.address_guard import Guard

TIMEOUT_SECONDS = 15.0
MOST_BYTES = 64_000
MOST_LIST_BYTES = 2_000_000
"""Of a page of templates."""
MOST_TEMPLATES = 300
PAGE_OF_TEMPLATES = 100
EDGES = {"us1": None, "ie1": "dublin", "au1": "sydney"}
"""Region -> the edge beside it. Source: Twilio "Global infrastructure: legacy region migration"."""

TABLE: Mapping[int, type[ProviderFailure]] = {
    14107: RetryLater, 20429: RetryLater, 21611: RetryLater, 30001: RetryLater, 30022: RetryLater, 63018: RetryLater, 63038: RetryLater,
    21211: AddressDead, 21214: AddressDead, 21614: AddressDead, 30005: AddressDead, 30006: AddressDead, 63003: AddressDead,
    21610: OptedOut,
    21408: PolicyRefused, 21612: PolicyRefused, 30004: PolicyRefused, 30007: PolicyRefused,
    20003: SenderStopped, 20005: SenderStopped, 20006: SenderStopped, 20008: SenderStopped, 20404: SenderStopped, 21603: SenderStopped,
    21606: SenderStopped, 21609: SenderStopped, 21659: SenderStopped, 21660: SenderStopped, 21701: SenderStopped, 21703: SenderStopped,
    30002: SenderStopped, 30034: SenderStopped, 63007: SenderStopped, 63020: SenderStopped,
    63022: SenderStopped, 63112: SenderStopped,
}  # fmt: skip
"""What Twilio's codes mean for a message; every other refusal is this message's own: 63016, WhatsApp's free text more than 24 hours after the last
reply; 63049, WhatsApp will not deliver one more marketing message to this person, or any to the United States; 63027, 63028 and 63040 to 63042,
what is wrong with an approved template. None of them says anything about the number. 30007 and 30034 blame the sender, the first perhaps one text only. Source: Twilio "Error and warning dictionary"."""
SOFT = frozenset({30003, 30008})
"""The phone is off or out of reach, or nobody says why: it may work another time."""
LATER = timedelta(seconds=15)
STATUSES: Mapping[str, tuple[Kind, ...]] = {"sent": ("sent",), "delivered": ("delivered",), "read": ("delivered", "read")}
"""Those that are no failure; earlier ones (queued, sending) tell nothing. What is read has been delivered, and that may not have been told."""
MOST_TEXT = 1_600
"""Characters. Source: Twilio, error 21617."""
ENDS: Mapping[type[ProviderFailure], Kind] = {AddressDead: "bounced", OptedOut: "opted_out"}
"""What a code means when it comes afterwards; every other one is this message's failure."""
INTENTS: Mapping[str, Literal["", "stop", "start"]] = {"STOP": "stop", "START": "start"}


def sort(status: int, code: int) -> ProviderFailure:
    """The failure that a refusal means; `code` 0: it names none, nor does one that only repeats the status (Twilio's client does so where the
    answer has no code). An answer of a server that broke off says nothing about the message."""
    code = 0 if code == status else code
    name = f"twilio_{code or f'http_{status}'}"
    if code not in TABLE and status == 429:
        return RetryLater(name, LATER)
    if code not in TABLE and status in (401, 403):
        return SenderStopped(name)
    if code not in TABLE and status >= 500:
        return Unreachable(name, LATER) if status == 503 else InDoubt(name)
    kind = TABLE.get(code, MessageDead)
    return RetryLater(name, LATER) if kind is RetryLater else kind(name)


class TwilioConfig(ProviderConfig):
    """An account at Twilio, and who its messages are from."""

    account_sid: str = Field(
        pattern=r"^AC[0-9a-f]{32}$",
        title="Account SID",
        description="Begins with AC; on the first page of the Twilio Console.",
        json_schema_extra={"destination": True},
    )
    auth_token: SecretStr = Field(
        max_length=200, title="Auth token", description="Also proves that what is reported to us comes from Twilio."
    )
    region: Literal["us1", "ie1", "au1"] = Field(
        "us1",
        title="Region",
        json_schema_extra={"destination": True, "words": {"us1": "United States", "ie1": "Ireland", "au1": "Australia"}},
    )
    messaging_service_sid: str = Field(
        "",
        pattern=r"^(MG[0-9a-f]{32})?$",
        title="Messaging service",
        description="Begins with MG. It chooses the sender of text messages; leave empty to use the number below.",
    )
    sms_sender: str = Field(
        "",
        pattern=r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|[A-Za-z][A-Za-z0-9 ]{0,10})?$",
        title="Sender of text messages",
        description="A number such as +41791234567, or a name of at most eleven letters and digits that begins with a letter, to which nobody can reply.",
    )
    whatsapp_number: str = Field(
        "",
        pattern=r"^(\+[1-9][0-9]{6,14})?$",
        title="WhatsApp number",
        description="Such as +41791234567, registered for WhatsApp at Twilio.",
    )


class Signed(Callback):
    """A form, signed with the account's token."""

    signed_with = "auth_token"
    answer = ("text/xml", "<Response/>")

    def check(self, request: CallbackRequest) -> None:
        """Source: Twilio "Webhooks security": HMAC-SHA1 over the address and the sorted fields; Twilio may sign it with the standard port."""
        fields = sorted(set(_fields(request)))
        theirs = request.headers.get("x-twilio-signature", "").encode()
        key = self.config.auth_token.get_secret_value().encode()
        if not any(hmac.compare_digest(_signature(key, url, fields), theirs) for url in _spellings(request.url)):
            raise CallbackRefused


class Status(Signed):
    """What became of a message. The address names it, so that it is known before Twilio's own name for it is."""

    def read(self, request: CallbackRequest) -> Sequence[Happening]:
        told = dict(_fields(request))
        sid, status = told.get("MessageSid", ""), told.get("MessageStatus", "")
        if not sid or not status:
            raise CallbackUnreadable
        code = _number(told.get("ErrorCode"))
        kinds = (_end(code),) if status in ("undelivered", "failed", "canceled") else STATUSES.get(status, ())
        message_id = next(iter(parse_qs(urlsplit(request.url).query).get("message", [])), "")
        return [Happening(kind, None, sid, message_id, f"twilio_{code or status}") for kind in kinds]


class Inbound(Signed):
    """A text message or WhatsApp message that somebody wrote. Twilio may have told STOP from other texts already (Advanced Opt-Out)."""

    def read(self, request: CallbackRequest) -> Sequence[Reply]:
        told = dict(_fields(request))
        sid, sender = told.get("MessageSid", ""), told.get("From", "")
        if not sid or not sender:
            raise CallbackUnreadable
        is_whatsapp = sender.startswith("whatsapp:")
        intent = INTENTS.get(told.get("OptOutType", ""), "")
        return [Reply("whatsapp" if is_whatsapp else "sms", sender.removeprefix("whatsapp:"), told.get("Body", ""), sid, intent)]


def _end(code: int) -> Kind:
    """How a message ended that did not arrive."""
    if code in SOFT:
        return "soft_bounced"
    return ENDS.get(TABLE.get(code, MessageDead), "failed")


class Twilio(ConfiguredProvider):
    """`http` is replaced by tests, which stand where Twilio is."""

    name = "twilio"
    label = "Twilio (text messages, WhatsApp)"
    channels = frozenset({"sms", "whatsapp"})
    delivery_check: DeliveryCheck = "blind"
    Config = TwilioConfig
    timeout_seconds = TIMEOUT_SECONDS
    callbacks: ClassVar[Mapping[str, type[Callback]]] = {"status": Status, "inbound": Inbound}
    advice: ClassVar[Advice] = (
        (r"twilio_unreachable", "Twilio does not answer: look at status.twilio.com, and whether a firewall is in the way."),
        (r"twilio_(20003|http_401)", "Account SID or auth token was refused: enter them again."),
        (r"twilio_no_sender", "Enter a messaging service, a sender of text messages or a WhatsApp number."),
        (r"twilio_no_(sms|whatsapp)_sender", "The account has no sender for this channel: enter one."),
        (r"twilio_(21603|21606|21659|21660|21701|21703|63007)", "The sender does not belong to this Twilio account: check it in the Twilio Console."),
        (r"twilio_30034", "The sender is not registered for text messages to the United States: register it at Twilio (A2P 10DLC)."),
        (r"twilio_(20005|20006|20008|30002|http_403|not_active)", "Twilio has closed or restricted the account: look at the Twilio Console."),
        (r"twilio_21609", "Twilio cannot reach this server's address: check PFADWERK_PUBLIC_URL."),
        (r"twilio_(21408|21612|30004|30007)", "Twilio or the network refuses these messages: check countries, sender and texts in the Twilio Console."),
    )  # fmt: skip

    def __init__(self, config: TwilioConfig, around: Surroundings, http: GuardedHttp | None = None) -> None:
        self._config = config
        self._http = http or GuardedHttp(Guard())
        self._status_url = around.callback_url("status")
        self._client = Client(
            config.account_sid,
            config.auth_token.get_secret_value(),
            region=config.region if EDGES[config.region] else None,
            edge=EDGES[config.region],
            http_client=self._http,
            environment={},
        )

    @classmethod
    def open(cls, config: TwilioConfig, around: Surroundings) -> Self:
        return cls(config, around)

    def send(self, message: Outgoing) -> Answer:
        values = {**self._addressed(message), **_content(message)}
        if self._status_url.startswith("https://"):  # Twilio refuses others
            values["status_callback"] = f"{self._status_url}?{urlencode({'message': message.message_id})}"
        with _sorted(InDoubt("twilio_unreadable")):
            made = self._client.messages.create(**values)
            return Answer(provider_id=_sid(made.sid), raw={"status": str(made.status)[:20]})

    def verify(self) -> None:
        """The account is active, there is a sender, and the messaging service is its own."""
        config = self._config
        with _sorted(Unreachable("twilio_unreadable", LATER)):
            account = self._client.api.v2010.accounts(config.account_sid).fetch()
            if account.status != "active":
                raise SenderStopped("twilio_not_active")
            if config.messaging_service_sid:
                self._client.messaging.v1.services(config.messaging_service_sid).fetch()
        if not (config.messaging_service_sid or config.sms_sender or config.whatsapp_number):
            raise SenderStopped("twilio_no_sender")

    def approved_templates(self) -> Sequence[ApprovedTemplate]:
        with _sorted(Unreachable("twilio_unreadable", LATER)):
            found = self._client.content.v1.content_and_approvals.list(limit=MOST_TEMPLATES, page_size=PAGE_OF_TEMPLATES)
            return [one for content in found if (one := _approved(content)) is not None]

    def close(self) -> None:
        self._http.close()

    def _addressed(self, message: Outgoing) -> dict[str, str]:
        """From whom to whom, in Twilio's spelling."""
        config = self._config
        if message.channel == "whatsapp":
            if not config.whatsapp_number:
                raise SenderStopped("twilio_no_whatsapp_sender")
            return {"to": f"whatsapp:{message.recipient}", "from_": f"whatsapp:{config.whatsapp_number}"}
        if config.messaging_service_sid:
            return {"to": message.recipient, "messaging_service_sid": config.messaging_service_sid}
        if not config.sms_sender:
            raise SenderStopped("twilio_no_sms_sender")
        return {"to": message.recipient, "from_": config.sms_sender}


def _content(message: Outgoing) -> dict[str, str]:
    """An approved template by its id with its values, else the text.

    Raises: MessageDead: longer than Twilio takes, which refuses it whole.
    """
    if content_sid := message.parts.get("content_sid"):
        values = message.parts.get("content_variables", "")
        numbered = {str(number): value for number, value in enumerate(values.split("\n") if values else (), 1)}
        return {"content_sid": content_sid, **({"content_variables": json.dumps(numbered)} if numbered else {})}
    if len(message.text) > MOST_TEXT:
        raise MessageDead("twilio_21617")
    return {"body": message.text}


def _approved(content: Any) -> ApprovedTemplate | None:
    """None: it has no text that could be sent, such as a picture or a list."""
    wording = next(
        (kind["body"] for kind in (content.types or {}).values() if isinstance(kind, Mapping) and isinstance(kind.get("body"), str)), ""
    )
    if not wording:
        return None
    asked: Any = content.approval_requests or {}
    named, language = str(content.friendly_name or "")[:120], str(content.language or "")[:10]
    return ApprovedTemplate(_sid(content.sid), named, language, wording[:MOST_TEXT], str(asked.get("status") or "unsubmitted")[:20])


class GuardedHttp(HttpClient):  # type: ignore[misc]
    """Twilio's client speaks through it, and it through the one HTTP client. `elsewhere` leads an address to where a test stands.

    What there is no answer for is a failure of ours at once: certainly not sent, or in doubt if Twilio may have the request.
    """

    def __init__(self, guard: Guard, elsewhere: Callable[[str], str] = lambda url: url) -> None:
        self.is_async = False
        self._client = client(guard, timeout_seconds=TIMEOUT_SECONDS)
        self._elsewhere = elsewhere

    def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        try:
            answer = ask(
                self._client,
                method,
                self._elsewhere(uri) + query,
                headers={**(headers or {}), **_authorization(auth)},
                body=urlencode(data, doseq=True).encode() if data else b"",
                timeout_seconds=TIMEOUT_SECONDS,
                most_bytes=MOST_LIST_BYTES if method == "GET" else MOST_BYTES,
            )
        except HttpFailure as failure:
            raise unanswered(failure, "twilio", LATER, in_doubt=method == "POST") from None
        return Response(answer.status, _text(answer), answer.headers)

    def close(self) -> None:
        self._client.close()


@contextmanager
def _sorted(unreadable: ProviderFailure) -> Iterator[None]:
    """What Twilio's client raises is one of our failures; `unreadable`: an answer that is none."""
    try:
        yield
    except TwilioException as error:
        raise sort(_status(error), _number(getattr(error, "code", 0))) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise unreadable from None


def _status(error: TwilioException) -> int:
    """Of the answer; where a list could not be read, Twilio's client has it in the response alone."""
    named = getattr(error, "status", None) or next((one.status_code for one in error.args if isinstance(one, Response)), 0)
    return _number(named)


def _authorization(auth: tuple[str, str] | None) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(":".join(auth).encode()).decode()} if auth else {}


def _text(answer: HttpAnswer) -> str:
    return answer.body.decode("utf-8", "replace")


def _sid(sid: Any) -> str:
    """Raises: ValueError: it is none, so nobody can say what this answer means."""
    if not isinstance(sid, str) or not re.fullmatch(r"[A-Z]{2}[0-9a-f]{32}", sid):
        raise ValueError
    return sid


def _number(value: Any) -> int:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0


def _fields(request: CallbackRequest) -> list[tuple[str, str]]:
    """Raises: ValueError: it is no form."""
    return parse_qsl(request.body.decode("utf-8"), keep_blank_values=True, max_num_fields=200)


def _signature(key: bytes, url: str, fields: Sequence[tuple[str, str]]) -> bytes:
    signed = url + "".join(name + value for name, value in fields)
    return base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha1).digest())


def _spellings(url: str) -> tuple[str, str]:
    """As we know the address, and with the standard port spelled out."""
    parts = urlsplit(url)
    if parts.port is not None:
        return url, parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl()
    port = 443 if parts.scheme == "https" else 80
    return url, parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
