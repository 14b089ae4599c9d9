"""The provider `ses`: Amazon SES v2, over Amazon's own client, which speaks through our one HTTP client, and what it reports through SNS.

Blind: SES takes no key that makes a repeat harmless and cannot be asked for a message. But every message carries our own id as a tag, which
comes back with all that is reported, so one in doubt is settled by it. SES builds and signs the mail; there are no attachments.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate
from pydantic import Field, SecretStr
from sqlalchemy.exc import DBAPIError

from activities.http_client import HttpFailure, ask, client, exchange
from activities.providers.callback import Callback, CallbackLater, CallbackRefused, CallbackRequest, CallbackUnreadable, Happening, Kind
from activities.providers.mime import address_of, mailbox_header
from activities.providers.provider import (
    Advice,
    Answer,
    ConfiguredProvider,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    Outgoing,
    PolicyRefused,
    ProviderConfig,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
    unanswered,
)
from activities.webhooks.address_guard import Guard
from models import Database
from storage.paces import take_turns

TIMEOUT_SECONDS = 15.0
MOST_WAIT_SECONDS = 2.0
"""So long a message waits for its turn inside a call; it comes back later if that is not enough."""
QUOTA_SECONDS = 900.0
"""So long the send rate is believed."""
AHEAD_SECONDS = 0.1
FETCH_SECONDS = 5.0
MOST_BYTES = 256_000
LATER = timedelta(seconds=15)
for _library in ("boto3", "botocore"):
    logging.getLogger(_library).setLevel(logging.INFO)  # below, they log addresses and texts

STOPPED = re.compile(
    "AccountSuspended|SendingPaused|MailFromDomainNotVerified|NotFound|AccessDenied|UnrecognizedClient|InvalidClientTokenId|SignatureDoesNotMatch"
    "|InvalidSignature|IncompleteSignature|ExpiredToken|OptInRequired|MissingAuthenticationToken|NotAuthorized|LimitExceeded"
)
"""Codes that mean the account, and end in Exception or not. Source: SES API v2 "SendEmail" and "Common errors"."""
SLOWED = re.compile("TooManyRequests|Throttling|RequestLimitExceeded|RequestThrottled|SlowDown|Unavailable|Internal")
TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


def sort(status: int, code: str, text: str, sender: str) -> ProviderFailure:
    """The failure that a refusal means. `text` is read for three meanings that have no code of their own, and not kept; `code` is empty
    where the answer is not one of SES's."""
    name = f"ses_{code.removesuffix('Exception') or f'http_{status}'}"
    if "daily message quota" in text.lower():
        return SenderStopped("ses_daily_quota")
    if "not verified" in text.lower():  # in the sandbox recipients must be, too
        return SenderStopped("ses_not_verified") if _names(text, sender) else PolicyRefused("ses_sandbox")
    if STOPPED.match(code) or (not code and status in (401, 403)):
        return SenderStopped(name)
    if SLOWED.match(code) or status in (429, 503) or (status >= 500 and code):
        return RetryLater(name, LATER)
    return InDoubt(name) if status >= 500 else MessageDead(name)


def _names(text: str, sender: str) -> bool:
    """Whether a text of SES is about the sender or its domain."""
    address = address_of(sender).lower()
    return address in text.lower() or bool(re.search(rf"(^|[\s,:]){re.escape(address.rpartition('@')[2])}\b", text.lower()))


class SesConfig(ProviderConfig):
    """An identity's keys at Amazon, and through which topic SES reports."""

    region: str = Field(
        pattern=r"^(af|ap|ca|cn|eu|il|me|mx|sa|us)(-gov)?-(central|north|south|east|west|northeast|northwest|southeast|southwest)-[0-9]$",
        title="Region",
        description="Such as eu-central-1.",
        json_schema_extra={"destination": True},
    )
    access_key_id: str = Field(
        pattern=r"^[A-Z0-9]{16,128}$",
        title="Access key ID",
        description="Of a user that may ses:SendEmail and ses:GetAccount, and nothing else.",
        json_schema_extra={"destination": True},
    )
    secret_access_key: SecretStr = Field(max_length=200, title="Secret access key")
    configuration_set: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,64}$", title="Configuration set", description="Its event destination is the SNS topic below."
    )
    topic_arn: str = Field(
        "",
        pattern=r"^(arn:aws(-cn|-us-gov)?:sns:[a-z0-9-]{5,30}:[0-9]{12}:[A-Za-z0-9_.-]{1,256})?$",
        title="SNS topic (ARN)",
        description="What SES reports is taken from this topic alone; while it is empty, nothing is.",
    )


class Sns(Callback):
    """What SES publishes to the account's topic. `fetch` gets a certificate; tests stand in for Amazon there."""

    signed_with = "topic_arn"
    keys: ClassVar[dict[str, rsa.RSAPublicKey]] = {}
    """Address of a certificate of SNS -> its key."""

    @staticmethod
    def fetch(url: str) -> bytes:
        """By the one HTTP client. Raises: CallbackLater: nobody answers; CallbackRefused: there is no such thing."""
        try:
            answer = exchange(Guard(), "GET", url, headers={}, timeout_seconds=FETCH_SECONDS, most_bytes=MOST_BYTES)
        except HttpFailure:
            raise CallbackLater from None
        if answer.status >= 500:
            raise CallbackLater
        if answer.status != 200:
            raise CallbackRefused
        return answer.body

    def check(self, request: CallbackRequest) -> None:
        """Source: Amazon SNS "Verifying the signatures of Amazon SNS messages"."""
        told = _object(request.body)
        if told.get("TopicArn") != self.config.topic_arn:
            raise CallbackRefused
        names = SIGNED[told["Type"]]
        signed = "".join(f"{name}\n{told[name]}\n" for name in names if name in told).encode()
        method = {"1": hashes.SHA1(), "2": hashes.SHA256()}[told["SignatureVersion"]]
        try:
            self._key(told["SigningCertURL"]).verify(base64.b64decode(told["Signature"]), signed, padding.PKCS1v15(), method)
        except InvalidSignature:
            raise CallbackRefused from None

    def read(self, request: CallbackRequest) -> Sequence[Happening]:
        told = _object(request.body)
        if told["Type"] == "SubscriptionConfirmation":
            self._confirm(told.get("SubscribeURL", ""))
        return _happenings(told.get("Message", "")) if told["Type"] == "Notification" else []

    def _key(self, url: str) -> rsa.RSAPublicKey:
        """Raises: CallbackRefused: the certificate is not one of SNS in the topic's region."""
        address = f"https://{self._host(url)}{urlsplit(url).path}"
        if url != address or not CERTIFICATE.fullmatch(urlsplit(url).path):
            raise CallbackRefused
        known = self.keys.get(url)
        if known is None:
            found = load_pem_x509_certificate(self.fetch(address)).public_key()
            if not isinstance(found, rsa.RSAPublicKey):
                raise CallbackRefused
            if len(self.keys) >= MOST_KEYS:
                self.keys.clear()
            known = self.keys[url] = found
        return known

    def _confirm(self, url: str) -> None:
        """The subscription, by calling SNS back. Raises: CallbackLater; CallbackUnreadable."""
        try:
            self.fetch(f"https://{self._host(url)}/?{urlsplit(url).query}")
        except (ValueError, CallbackRefused):
            raise CallbackUnreadable from None

    def _host(self, url: str) -> str:
        """SNS in the region of the topic, and nobody else. Raises: CallbackRefused."""
        _, partition, _, region, *_ = self.config.topic_arn.split(":")
        host = f"sns.{region}.amazonaws.com" + (".cn" if partition == "aws-cn" else "")
        parts = urlsplit(url)
        if (parts.scheme, parts.netloc) != ("https", host):
            raise CallbackRefused
        return host


CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{8,64}\.pem")
MOST_KEYS = 16
"""Certificates that a process remembers."""
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SIGNED: Mapping[str, Sequence[str]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
"""What is signed of each type, in this order."""
THIS_MESSAGE = frozenset({"ContentRejected", "MessageTooLarge", "AttachmentRejected"})
"""Kinds of transient bounces that say nothing about the address. Source: SES "Bounce types"."""

NO_COMPLAINT = "not-spam"
"""Somebody took a mail out of the spam folder. Source: SES "Complaint object"; RFC 6430."""


def _happenings(message: str) -> list[Happening]:
    """What one event of SES tells; others than these (opens, delays, new ones) tell nothing of the end. Raises: CallbackUnreadable."""
    try:
        told = json.loads(message)
        name = told.get("eventType") or told.get("notificationType")
        mail = told["mail"]
        found = _end(str(name), told)
        if found is None:
            return []
        kind, at, code = found
        message_id = next(iter(mail.get("tags", {}).get("message_id", [])), "")
        return [Happening(kind, _instant(at or mail["timestamp"]), str(mail["messageId"]), str(message_id), code)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CallbackUnreadable from None


def _end(name: str, told: Mapping[str, Any]) -> tuple[Kind, str, str] | None:
    """(what, when, code)."""
    match name:
        case "Send":
            return "sent", "", "ses_sent"
        case "Delivery":
            return "delivered", told["delivery"]["timestamp"], "ses_delivered"
        case "Bounce":
            bounce = told["bounce"]
            code = f"ses_{bounce['bounceType']}_{bounce.get('bounceSubType', '')}"
            return _bounce(bounce), bounce["timestamp"], re.sub(r"[^A-Za-z0-9_]", "_", code)[:64]
        case "Complaint" if told["complaint"].get("complaintFeedbackType") != NO_COMPLAINT:
            return "complained", told["complaint"]["timestamp"], "ses_complaint"
        case "Reject" | "Rendering Failure":
            return "failed", "", "ses_rejected"
    return None


def _bounce(bounce: Mapping[str, Any]) -> Kind:
    if bounce["bounceType"] == "Permanent":
        return "bounced"
    return "failed" if bounce.get("bounceSubType") in THIS_MESSAGE else "soft_bounced"


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    return at


def _object(body: bytes) -> dict[str, str]:
    """Raises: ValueError: it is no object of texts."""
    told = json.loads(body)
    if not isinstance(told, dict) or not isinstance(told.get("Type"), str):
        raise ValueError
    return {name: value for name, value in told.items() if isinstance(value, str)}


class Ses(ConfiguredProvider):
    """`elsewhere` leads an address to where a test stands; `wait` and `monotonic` are its clock."""

    name = "ses"
    label = "E-mail through Amazon SES"
    channels = frozenset({"email", "team"})
    delivery_check: DeliveryCheck = "blind"
    mail_domain = r"([a-z0-9-]+\.)?amazonses\.com"
    Config = SesConfig
    timeout_seconds = 2 * TIMEOUT_SECONDS + MOST_WAIT_SECONDS
    callbacks: ClassVar[Mapping[str, type[Callback]]] = {"events": Sns}
    advice: ClassVar[Advice] = (
        (r"ses_unreachable", "Amazon SES does not answer: check the region, and whether a firewall is in the way."),
        (r"ses_(UnrecognizedClient|InvalidClientTokenId|SignatureDoesNotMatch|InvalidSignature|http_40[13])", "Amazon does not know these keys: enter them again."),
        (r"ses_AccessDenied", "The keys may not send: allow the user ses:SendEmail and ses:GetAccount."),
        (r"ses_(not_verified|MailFromDomainNotVerified)", "The sender or its domain is not verified in this region: verify it in the SES console."),
        (r"ses_sandbox", "The SES account is in the sandbox and writes to verified addresses only: request production access."),
        (r"ses_(daily_quota|LimitExceeded)", "The daily quota of SES is used up. Messages wait and leave when it allows; ask Amazon for a higher one."),
        (r"ses_NotFound", "There is no such configuration set in this region: check its name."),
        (r"ses_database", "The database does not answer."),
        (r"ses_(AccountSuspended|SendingPaused|paused)", "Amazon has paused sending for this account: look at the SES console."),
    )  # fmt: skip

    def __init__(
        self,
        config: SesConfig,
        around: Surroundings,
        guard: Guard | None = None,
        elsewhere: Callable[[str], str] = lambda url: url,
        *,
        wait: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._http = client(guard or Guard(), timeout_seconds=TIMEOUT_SECONDS)
        self._elsewhere = elsewhere
        self._wait = wait
        self._bucket = Bucket(around.db, around.account, monotonic, now)
        self._learning = threading.Lock()
        self._ses = _amazon(config)
        self._ses.meta.events.register("before-send.sesv2", self._carry)

    @classmethod
    def open(cls, config: SesConfig, around: Surroundings) -> Self:
        return cls(config, around)

    def send(self, message: Outgoing) -> Answer:
        with self._learning:  # whoever comes meanwhile would go by a rate that is none
            if self._bucket.is_old():
                self._learn_rate()
        pause = self._bucket.take(MOST_WAIT_SECONDS)
        if pause > MOST_WAIT_SECONDS:
            raise RetryLater("ses_rate", timedelta(seconds=pause))
        if pause:
            self._wait(pause)
        with _sorted(message.sender):
            answer = self._ses.send_email(**self._request(message))
        if not isinstance(answer.get("MessageId"), str) or not answer["MessageId"]:
            raise InDoubt("ses_unreadable")
        return Answer(provider_id=answer["MessageId"])

    def verify(self) -> None:
        account = self._account()
        if not account.get("SendingEnabled", True) or account.get("EnforcementStatus") == "SHUTDOWN":
            raise SenderStopped("ses_paused")

    def has_proven(self, domain: str) -> bool | None:
        """Source: SES v2 GetEmailIdentity; `Status` of DKIM is SUCCESS once Amazon has found its records in the DNS."""
        try:
            with _sorted(""):
                told: Mapping[str, Any] = self._ses.get_email_identity(EmailIdentity=domain)
        except ProviderFailure as failure:
            if failure.code.startswith("ses_NotFound"):
                return False
            raise
        signing = told.get("DkimAttributes") or {}
        return told.get("VerifiedForSendingStatus") is True and signing.get("SigningEnabled") is True and signing.get("Status") == "SUCCESS"

    def close(self) -> None:
        self._http.close()
        self._ses.close()

    def _account(self) -> Mapping[str, Any]:
        """Raises: ProviderFailure."""
        with _sorted(""):
            account: Mapping[str, Any] = self._ses.get_account()
        return account

    def _learn_rate(self) -> None:
        """What SES allows; while it does not say, what it allows everybody."""
        rate = 0.0
        try:
            rate = float(self._account().get("SendQuota", {}).get("MaxSendRate", 0))
        except ProviderFailure:
            pass  # the message itself will tell, if something is wrong
        finally:
            self._bucket.learn(rate)

    def _request(self, message: Outgoing) -> dict[str, Any]:
        tags = {"message_id": message.message_id, **message.metadata}
        bodies = {"Text": message.text, "Html": message.html}
        content = {
            "Subject": _utf8(message.subject),
            "Body": {name: _utf8(text) for name, text in bodies.items() if text},
            "Headers": [{"Name": name, "Value": value} for name, value in message.headers.items()],
        }
        return {
            "FromEmailAddress": mailbox_header(message.sender),
            "Destination": {"ToAddresses": [address_of(message.recipient)]},
            "Content": {"Simple": content},
            "EmailTags": [{"Name": name, "Value": value} for name, value in tags.items() if TAG.fullmatch(name) and TAG.fullmatch(value)],
            **({"ReplyToAddresses": [mailbox_header(message.reply_to)]} if message.reply_to else {}),
            **({"ConfigurationSetName": self._config.configuration_set} if self._config.configuration_set else {}),
        }

    def _carry(self, request: Any, **_: Any) -> Any:
        """In the place of Amazon's own connection: `AWSPreparedRequest` → `AWSResponse`. What there is no answer for is a failure of ours
        at once."""
        from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]

        headers = {
            name: _text(value) for name, value in request.headers.items() if name.lower() not in ("content-length", "transfer-encoding")
        }
        body = request.body or b""
        try:
            answer = ask(
                self._http,
                request.method,
                self._elsewhere(request.url),
                headers=headers,
                body=body if isinstance(body, bytes) else str(body).encode(),
                timeout_seconds=TIMEOUT_SECONDS,
                most_bytes=MOST_BYTES,
            )
        except HttpFailure as failure:
            raise unanswered(failure, "ses", LATER, in_doubt=request.method == "POST") from None
        return AWSResponse(request.url, answer.status, dict(answer.headers), _Raw(answer.body))


class Bucket:
    """One token a message, as many a second as SES allows the account, whichever process sends. Threads share it.

    A process takes the tokens of `AHEAD_SECONDS` from the database at once, so that a high rate is no load there; those whose turn has passed unused
    are lost.
    """

    def __init__(self, db: Database, account: str, monotonic: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._db = db
        self._account = account
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._rate = 1.0
        self._turns: deque[float] = deque()
        self._learned_at: float | None = None

    def is_old(self) -> bool:
        """Whether the rate shall be asked for."""
        return self._learned_at is None or self._monotonic() - self._learned_at > QUOTA_SECONDS

    def learn(self, rate: float) -> None:
        """Messages a second; zero: nobody knows."""
        with self._lock:
            self._learned_at = self._monotonic()
            self._rate = rate if rate > 0 else self._rate

    def take(self, most: float) -> float:
        """Seconds until this message may leave. More than `most`: it has no token, and shall come back.

        Raises: RetryLater: the database does not answer.
        """
        with self._lock:
            now, every = self._monotonic(), 1 / self._rate
            while self._turns and self._turns[0] < now - every:
                self._turns.popleft()
            if not self._turns:
                count = max(1, int(self._rate * AHEAD_SECONDS))
                pause = self._reserve(count, every, most)
                if pause > most:
                    return pause
                self._turns.extend(now + pause + number * every for number in range(count))
            pause = max(0.0, self._turns[0] - now)
            if pause <= most:
                self._turns.popleft()
            return pause

    def _reserve(self, count: int, every: float, most: float) -> float:
        try:
            with self._db.write() as session:
                pause = take_turns(session, self._account, count, timedelta(seconds=every), timedelta(seconds=most), self._now())
        except DBAPIError:
            raise RetryLater("ses_database") from None
        return pause.total_seconds()


class _Raw(BytesIO):
    """An answer as botocore reads it."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def _amazon(config: SesConfig) -> Any:
    """Amazon's client, which reads no file and no address of this machine's environment. Loaded with the first account: it costs 0.3 s."""
    import boto3  # type: ignore[import-untyped]
    import botocore.session  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    session = botocore.session.Session()
    for name in ("config_file", "credentials_file"):
        session.set_config_variable(name, os.devnull)
    return boto3.session.Session(
        aws_access_key_id=config.access_key_id,
        aws_secret_access_key=config.secret_access_key.get_secret_value(),
        region_name=config.region,
        botocore_session=session,
    ).client("sesv2", config=Config(retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True, proxies={}))


@contextmanager
def _sorted(sender: str) -> Iterator[None]:
    """What Amazon's client raises is one of our failures."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # type: ignore[import-untyped]

    try:
        yield
    except ClientError as error:
        found, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        status = int(meta.get("HTTPStatusCode") or 0)
        code = str(found.get("Code", ""))
        raise sort(status, "" if code.isdigit() else code, str(found.get("Message", "")), sender) from None
    except ParamValidationError:
        raise MessageDead("ses_bad_parameter") from None
    except (BotoCoreError, ValueError, KeyError, TypeError, AttributeError):  # its parsers expect what Amazon says
        raise InDoubt("ses_unreadable") from None


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
