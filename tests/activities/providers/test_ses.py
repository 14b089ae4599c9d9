"""The provider `ses` against a server that speaks as SES does, and against moto, which somebody else wrote; SNS signs with keys of our own and of moto's."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from activities.providers import InDoubt, MessageDead, PolicyRefused, Provider, ProviderFailure, RetryLater, SenderStopped, Surroundings
from activities.providers.callback import CallbackLater, CallbackRefused, CallbackRequest, CallbackUnreadable, Happening
from activities.providers.ses import SIGNED, Bucket, Ses, SesConfig, Sns, sort
from activities.webhooks.address_guard import Guard
from models import Database
from tests.activities.providers.conformance import SPOKEN, Arrived, Conformance, outgoing

REGION = "eu-central-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:mails"
CONFIG: dict[str, Any] = {
    "region": REGION, "access_key_id": "AKIA" + "A" * 16, "secret_access_key": "s" * 40, "configuration_set": "pfadwerk", "topic_arn": TOPIC,
}  # fmt: skip
ERRORS: dict[type[ProviderFailure], tuple[int, str, str]] = {
    RetryLater: (429, "TooManyRequestsException", f"Maximum sending rate exceeded. {SPOKEN}"),
    MessageDead: (400, "BadRequestException", SPOKEN),
    SenderStopped: (400, "SendingPausedException", SPOKEN),
    PolicyRefused: (400, "MessageRejected", f"Email address is not verified. The following identities failed the check: {SPOKEN}"),
}
HERE = Guard.allowing(["127.0.0.1"])
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Api(ThreadingHTTPServer):
    """Takes mails; `next` is the failure that the next one meets, `says` the answer to it, `account` what SES says of the account."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mails: list[dict[str, Any]] = []
        self.next: type[ProviderFailure] | None = None
        self.says: Any = {"MessageId": "0100-ses"}
        self.account: Any = {"SendingEnabled": True, "EnforcementStatus": "HEALTHY", "SendQuota": {"MaxSendRate": 1_000.0}}
        self.identities: dict[str, Any] = {}
        self.asked = 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def do_POST(self) -> None:
        mail = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            failure, self.server.next = self.server.next, None
        if failure in ERRORS:
            status, code, text = ERRORS[failure]
            return self._say(status, {"message": text}, code)
        with self.server.lock:
            self.server.mails.append(mail)
        if failure is InDoubt:
            self.close_connection = True
            return None
        return self._say(200, self.server.says)

    def do_GET(self) -> None:
        if self.path.startswith("/v2/email/identities/"):
            told = self.server.identities.get(self.path.rpartition("/")[2], "NotFoundException")
            return self._say(404, {"message": SPOKEN}, told) if isinstance(told, str) else self._say(200, told)
        assert self.path == "/v2/email/account"
        with self.server.lock:
            self.server.asked += 1
        if isinstance(self.server.account, str):
            return self._say(403, {"message": SPOKEN}, self.server.account)
        return self._say(200, self.server.account)

    def _say(self, status: int, told: Any, code: str = "") -> None:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("x-amzn-ErrorType", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


class SesWire:
    failures: tuple[type[ProviderFailure], ...] = (*ERRORS, InDoubt)

    def __init__(self, api: Api, db: Database) -> None:
        self.api = api
        self.around = Surroundings(db, lambda: NOON, account="ses.main")
        self.now = 0.0
        self.waits: list[float] = []
        self.asked: list[str] = []
        self.provider: Provider = Ses(
            SesConfig(**CONFIG),
            self.around,
            HERE,
            self._elsewhere,
            wait=self._wait,
            monotonic=lambda: self.now,
            now=lambda: NOON + timedelta(seconds=self.now),
        )

    def _elsewhere(self, url: str) -> str:
        parts = urlsplit(url)
        self.asked.append(f"{parts.scheme}://{parts.netloc}")
        return f"http://127.0.0.1:{self.api.server_port}{parts.path}"

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.api.next = with_

    def arrived(self, once_key: str) -> list[Arrived]:
        wanted = {"Name": "message_id", "Value": outgoing(once_key).message_id}
        mails = [mail for mail in self.api.mails if wanted in mail["EmailTags"]]
        contents = [mail["Content"]["Simple"] for mail in mails]
        return [
            Arrived(mail["Destination"]["ToAddresses"][0], one["Subject"]["Data"], one["Body"]["Text"]["Data"])
            for mail, one in zip(mails, contents, strict=True)
            if mail["Destination"].keys() == {"ToAddresses"}
        ]

    def go_away(self) -> None:
        self.api.shutdown()
        self.api.server_close()


@pytest.fixture
def wire(sqlite_db: Database) -> Iterator[SesWire]:
    api = Api()
    threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True).start()
    wire = SesWire(api, sqlite_db)
    yield wire
    wire.provider.close()
    wire.go_away()


class TestConformance(Conformance):
    pass


def test_the_mail_is_whole_and_names_ids_only(wire: SesWire) -> None:
    answer = wire.provider.send(outgoing(reply_to="Verkauf <sales@example.com>", metadata={"run": "run1", "node": "an ü"}))
    [mail] = wire.api.mails
    assert answer.provider_id == "0100-ses"
    assert mail["FromEmailAddress"] == "=?utf-8?b?S8OkZmVyICYgU8O2aG5l?= <shop@example.com>"
    assert mail["ReplyToAddresses"] == ["Verkauf <sales@example.com>"]
    assert mail["ConfigurationSetName"] == "pfadwerk"
    assert {one["Name"]: one["Value"] for one in mail["Content"]["Simple"]["Headers"]} == outgoing().headers
    assert mail["Content"]["Simple"]["Body"]["Html"]["Data"] == outgoing().html
    assert {one["Name"] for one in mail["EmailTags"]} == {"message_id", "run"}, "what is no tag is left out"


def test_it_goes_to_amazon_in_its_region_whatever_the_environment_says(wire: SesWire, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SESV2", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "https://evil.example")
    other = Ses(SesConfig(**CONFIG), wire.around, HERE, wire._elsewhere)
    other.send(outgoing())
    other.close()
    assert set(wire.asked) == {f"https://email.{REGION}.amazonaws.com"}


def test_nothing_of_a_mail_is_logged_even_where_everything_is(wire: SesWire, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        wire.provider.send(outgoing())
    assert "anna@example.org" not in caplog.text
    assert "Hallo" not in caplog.text
    assert CONFIG["secret_access_key"] not in caplog.text


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ({"SendingEnabled": False}, "ses_paused"),
        ({"SendingEnabled": True, "EnforcementStatus": "SHUTDOWN"}, "ses_paused"),
        ("AccessDeniedException", "ses_AccessDenied"),
        ("InvalidClientTokenId", "ses_InvalidClientTokenId"),
    ],
)
def test_an_account_that_could_not_send_is_refused_before_it_is_used(wire: SesWire, account: Any, code: str) -> None:
    wire.api.account = account
    with pytest.raises(SenderStopped) as caught:
        wire.provider.verify()
    assert caught.value.code == code


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"MessageId": ""}', b"{broken"])
def test_an_answer_that_is_none_leaves_a_mail_in_doubt(wire: SesWire, answer: bytes) -> None:
    wire.api.says = answer
    with pytest.raises(InDoubt):
        wire.provider.send(outgoing())
    assert len(wire.api.mails) == 1, "Amazon's client repeats nothing"


SENDER = "Shop <shop@example.com>"


@pytest.mark.parametrize(
    ("status", "code", "text", "failure", "name"),
    [
        (400, "TooManyRequestsException", "Daily message quota exceeded.", SenderStopped, "ses_daily_quota"),
        (400, "ThrottlingException", "Rate exceeded", RetryLater, "ses_Throttling"),
        (400, "LimitExceededException", "", SenderStopped, "ses_LimitExceeded"),
        (400, "AccountSuspendedException", "", SenderStopped, "ses_AccountSuspended"),
        (400, "MailFromDomainNotVerifiedException", "", SenderStopped, "ses_MailFromDomainNotVerified"),
        (404, "NotFoundException", "Configuration set <x> does not exist.", SenderStopped, "ses_NotFound"),
        (403, "AccessDeniedException", "", SenderStopped, "ses_AccessDenied"),
        (403, "ExpiredTokenException", "", SenderStopped, "ses_ExpiredToken"),
        (403, "", "", SenderStopped, "ses_http_403"),
        (
            400,
            "MessageRejected",
            "Email address is not verified. ... EU-CENTRAL-1: Shop <shop@example.com>",
            SenderStopped,
            "ses_not_verified",
        ),
        (400, "MessageRejected", "Email address is not verified. ... EU-CENTRAL-1: example.com", SenderStopped, "ses_not_verified"),
        (400, "MessageRejected", "Email address is not verified. ... EU-CENTRAL-1: anna@example.org", PolicyRefused, "ses_sandbox"),
        (400, "MessageRejected", "Message contains a virus.", MessageDead, "ses_MessageRejected"),
        (400, "BadRequestException", "", MessageDead, "ses_BadRequest"),
        (500, "InternalServerErrorException", "", RetryLater, "ses_InternalServerError"),
        (503, "", "", RetryLater, "ses_http_503"),
        (502, "", "<html>", InDoubt, "ses_http_502"),
    ],
)
def test_the_table_of_errors(status: int, code: str, text: str, failure: type[ProviderFailure], name: str) -> None:
    found = sort(status, code, text, SENDER)
    assert (type(found), found.code) == (failure, name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("region", "eu-central-1.evil.example/"),
        ("region", "x@evil.example#"),
        ("region", "EU-CENTRAL-1"),
        ("access_key_id", "short"),
        ("configuration_set", "a b"),
        ("topic_arn", "arn:aws:sns:evil.example/:123456789012:x"),
        ("topic_arn", "https://sns.eu-central-1.amazonaws.com"),
    ],
)
def test_what_could_lead_elsewhere_is_refused_with_its_field(field: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SesConfig(**{**CONFIG, field: value})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


# The send rate


def test_mails_leave_at_the_rate_that_amazon_allows(wire: SesWire) -> None:
    wire.api.account["SendQuota"]["MaxSendRate"] = 4.0
    for number in range(9):
        wire.provider.send(outgoing(f"run{number}:a:1"))
    assert wire.waits == [0.25 * number for number in range(1, 9)]
    with pytest.raises(RetryLater) as caught:
        wire.provider.send(outgoing("late:a:1"))
    assert (caught.value.code, caught.value.after) == ("ses_rate", timedelta(seconds=2.25))
    assert wire.arrived("late:a:1") == []
    wire.now = 10.0
    wire.provider.send(outgoing("later:a:1"))
    assert (len(wire.waits), wire.api.asked) == (8, 1), "nothing is saved up, and the rate was asked for once"


def test_the_rate_is_asked_for_again_and_its_absence_stops_nothing(wire: SesWire) -> None:
    wire.api.account = "AccessDeniedException"
    wire.provider.send(outgoing("one:a:1"))
    wire.now = 901.0
    wire.provider.send(outgoing("two:a:1"))
    assert (wire.api.asked, len(wire.api.mails)) == (2, 2)
    bucket = Bucket(wire.around.db, "ses.other", lambda: 0.0, lambda: NOON)
    assert [bucket.take(2.0) for _ in range(4)] == [0.0, 1.0, 2.0, 3.0], "what Amazon allows everybody: one a second"


@pytest.mark.parametrize(("rate", "together"), [(4.0, 9), (40.0, 81)])
def test_several_processes_keep_to_one_rate(sqlite_db: Database, rate: float, together: int) -> None:
    """Within two seconds; at the higher rate each takes some turns at once."""
    databases = [Database(sqlite_db.url) for _ in range(2)]
    buckets = [Bucket(db, "ses.main", lambda: 0.0, lambda: NOON) for db in databases]
    for bucket in buckets:
        bucket.learn(rate)
    with ThreadPoolExecutor(2) as threads:
        pauses = list(threads.map(lambda number: buckets[number % 2].take(2.0), range(120)))
    assert len([pause for pause in pauses if pause <= 2.0]) == together
    assert len({round(pause, 6) for pause in pauses if pause <= 2.0}) == together, "no turn is given away twice"
    for db in databases:
        db.close()


# moto, which somebody else wrote


@pytest.mark.parametrize(
    ("said", "proven"),
    [
        ({"VerifiedForSendingStatus": True, "DkimAttributes": {"SigningEnabled": True, "Status": "SUCCESS"}}, True),
        ({"VerifiedForSendingStatus": False, "DkimAttributes": {"SigningEnabled": True, "Status": "SUCCESS"}}, False),
        ({"VerifiedForSendingStatus": True, "DkimAttributes": {"SigningEnabled": False, "Status": "SUCCESS"}}, False),
        ({"VerifiedForSendingStatus": True, "DkimAttributes": {"SigningEnabled": True, "Status": "PENDING"}}, False),
        ({"VerifiedForSendingStatus": True}, False),
        ({}, False),
        (None, False),
    ],
)
def test_amazon_says_whether_a_domain_is_the_accounts(wire: SesWire, said: Any, proven: bool) -> None:
    if said is not None:
        wire.api.identities["shop.example"] = said
    assert cast(Ses, wire.provider).has_proven("shop.example") is proven


def test_where_amazon_does_not_say_a_domain_is_neither(wire: SesWire) -> None:
    wire.api.identities["shop.example"] = "AccessDeniedException"
    with pytest.raises(ProviderFailure):
        cast(Ses, wire.provider).has_proven("shop.example")


def test_an_independent_ses_takes_the_mail(sqlite_db: Database) -> None:
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        around = Surroundings(sqlite_db, lambda: NOON, account="ses.main")
        ses = Ses(SesConfig(**{**CONFIG, "configuration_set": ""}), around, HERE, lambda url: f"http://{host}:{port}{urlsplit(url).path}")
        with pytest.raises(SenderStopped, match="ses_not_verified"):
            ses.send(outgoing())
        ses._ses.create_email_identity(EmailIdentity="shop@example.com")
        answer = ses.send(outgoing())
        ses.close()
        from moto.backends import get_backend

        [mail] = get_backend("ses")["123456789012"][REGION].sent_messages
    finally:
        server.stop()
    assert (mail.id, mail.subject, mail.destinations["ToAddresses"]) == (answer.provider_id, outgoing().subject, ["anna@example.org"])


# What SES reports through SNS

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
PEM = (
    x509.CertificateBuilder()
    .subject_name(NAME).issuer_name(NAME).public_key(KEY.public_key()).serial_number(1)
    .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    .sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
)  # fmt: skip
CERTIFICATE = f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService-{'0' * 32}.pem"


class Here(Sns):
    """Asks SNS in this process, which has our certificate."""

    keys: ClassVar[dict[str, rsa.RSAPublicKey]] = {}
    fetched: ClassVar[list[str]] = []

    @staticmethod
    def fetch(url: str) -> bytes:
        Here.fetched.append(url)
        return PEM


@pytest.fixture
def amazon() -> list[str]:
    """What SNS is asked for."""
    Here.keys.clear()
    Here.fetched.clear()
    return Here.fetched


def reader(**changes: Any) -> Sns:
    return Here(SesConfig(**{**CONFIG, **changes}))


def published(message: Any = "", **changes: str) -> dict[str, str]:
    """As SNS posts it, not signed yet."""
    text = message if isinstance(message, str) else json.dumps(message)
    told = {
        "Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Message": text, "Timestamp": "2026-03-01T09:30:00.000Z",
        "SignatureVersion": "2", "SigningCertURL": CERTIFICATE,
    }  # fmt: skip
    return {**told, **changes}


def signed(told: dict[str, str], names: Sequence[str] = ()) -> CallbackRequest:
    text = "".join(f"{name}\n{told[name]}\n" for name in names or SIGNED.get(told["Type"], ()) if name in told).encode()
    algorithm = hashes.SHA1() if told["SignatureVersion"] == "1" else hashes.SHA256()
    signature = base64.b64encode(KEY.sign(text, padding.PKCS1v15(), algorithm)).decode()
    return call({**told, "Signature": signature})


def call(told: Any) -> CallbackRequest:
    return CallbackRequest("POST", "https://pfadwerk.example/callbacks/ses.main/events", {}, json.dumps(told).encode())


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES Email Event Notification"}])
def test_what_amazon_signs_is_taken_and_its_certificate_is_fetched_once(amazon: list[str], version: str, subject: dict[str, str]) -> None:
    for _ in range(2):
        reader().verify(signed(published(SignatureVersion=version, **subject)))
    assert amazon == [CERTIFICATE]


def test_what_anybody_else_signs_is_refused_and_nobody_else_is_asked(amazon: list[str]) -> None:
    good = signed(published())
    told = json.loads(good.body)
    for changed in (
        {"Message": "forged"}, {"TopicArn": TOPIC + "2"}, {"Timestamp": "2027-01-01T00:00:00.000Z"}, {"Signature": ""}, {"Signature": "!"}, {"Signature": "AAAA"},
        {"SignatureVersion": "3"}, {"Type": "Gossip"}, {"Subject": "added"}, {"MessageId": "m-2"}, {"Type": 7}, {"SigningCertURL": None},
    ):  # fmt: skip
        with pytest.raises(CallbackRefused):
            reader().verify(call({**told, **changed}))
    for body in (b"", b"[]", b"{broken", b"null", b"\xff", b"[" * 100_000):
        with pytest.raises(CallbackRefused):
            reader().verify(CallbackRequest("POST", good.url, {}, body))
    with pytest.raises(CallbackRefused):
        reader(topic_arn="").verify(good)
    assert set(amazon) <= {CERTIFICATE}


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE.replace("https", "http"),
        CERTIFICATE.replace(REGION, "us-east-1"),
        CERTIFICATE.replace("amazonaws.com", "amazonaws.com.evil.example"),
        CERTIFICATE.replace("sns.", "evil@sns."),
        CERTIFICATE.replace(".com/", ".com:8443/"),
        CERTIFICATE.replace(".com/", ".com.cn/"),
        CERTIFICATE.replace("sns.", "evil.sns."),
        CERTIFICATE.replace("/Simple", "/../Simple"),
        CERTIFICATE + "?x=1",
        CERTIFICATE + "#x",
        f"https://sns.{REGION}.amazonaws.com/other.pem",
        "https://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_certificate_of_another_house_is_not_even_fetched(amazon: list[str], url: str) -> None:
    with pytest.raises(CallbackRefused):
        reader().verify(signed(published(SigningCertURL=url)))
    assert amazon == []


def test_china_has_a_host_of_its_own(amazon: list[str]) -> None:
    topic = "arn:aws-cn:sns:cn-north-1:123456789012:mails"
    url = f"https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-{'0' * 32}.pem"
    reader(topic_arn=topic, region="cn-north-1").verify(signed(published(TopicArn=topic, SigningCertURL=url)))
    assert amazon == [url]


def test_while_amazon_does_not_answer_a_call_shall_come_again() -> None:
    class Away(Sns):
        keys: ClassVar[dict[str, rsa.RSAPublicKey]] = {}

        @staticmethod
        def fetch(url: str) -> bytes:
            raise CallbackLater

    with pytest.raises(CallbackLater):
        Away(SesConfig(**CONFIG)).verify(signed(published()))


def test_the_topic_is_confirmed_at_amazon_and_nowhere_else(amazon: list[str]) -> None:
    query = f"Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
    told = published(Type="SubscriptionConfirmation", Token="2336412f37", SubscribeURL=f"https://sns.{REGION}.amazonaws.com/?{query}")
    request = signed(told)
    reader().verify(request)
    assert reader().read(request) == []
    assert amazon[1:] == [f"https://sns.{REGION}.amazonaws.com/?{query}"]
    for url in (f"https://evil.example/?{query}", f"http://sns.{REGION}.amazonaws.com/?{query}", "", "https://[x"):
        with pytest.raises(CallbackUnreadable):
            reader().read(signed({**told, "SubscribeURL": url}))
    assert len(amazon) == 2


def test_another_topic_is_not_confirmed(amazon: list[str]) -> None:
    told = published(
        Type="SubscriptionConfirmation", Token="t", SubscribeURL=f"https://sns.{REGION}.amazonaws.com/?x", TopicArn=TOPIC + "2"
    )
    with pytest.raises(CallbackRefused):
        reader().verify(signed(told))
    assert amazon == []


def test_what_an_independent_sns_signs_is_taken() -> None:
    pytest.importorskip("moto")
    from moto.sns.models import sns_backends

    backend = sns_backends["123456789012"][REGION]
    topic = backend.create_topic("mails")
    subscription = backend.subscribe(topic.arn, "https://pfadwerk.example", "https")
    told = subscription.get_post_data("Hello\nthere", "m-1", None)

    class Moto(Sns):
        keys: ClassVar[dict[str, rsa.RSAPublicKey]] = {}

        @staticmethod
        def fetch(url: str) -> bytes:
            pem: bytes = backend._message_public_keys[urlsplit(url).path[1:]]
            return pem

    request = call(told)
    Moto(SesConfig(**CONFIG)).verify(request)
    with pytest.raises(CallbackRefused):
        Moto(SesConfig(**CONFIG)).verify(call({**told, "Message": "forged"}))


AT = datetime(2026, 3, 1, 9, 31, tzinfo=UTC)


def event(name: str, **more: Any) -> dict[str, Any]:
    mail = {"timestamp": "2026-03-01T09:30:00.000Z", "messageId": "0100-ses", "tags": {"message_id": ["f" * 32], "ses:from-domain": ["x"]}}
    return {"eventType": name, "mail": mail, **more}


def bounce(type: str, sub: str) -> dict[str, Any]:
    who = [{"emailAddress": "person@example.org", "action": "failed", "status": "5.1.1", "diagnosticCode": SPOKEN}]
    return event("Bounce", bounce={"bounceType": type, "bounceSubType": sub, "timestamp": AT.isoformat(), "bouncedRecipients": who})


@pytest.mark.parametrize(
    ("told", "kind", "at", "code"),
    [
        (event("Send", send={}), "sent", AT - timedelta(minutes=1), "ses_sent"),
        (event("Delivery", delivery={"timestamp": AT.isoformat(), "new": 1}), "delivered", AT, "ses_delivered"),
        (bounce("Permanent", "General"), "bounced", AT, "ses_Permanent_General"),
        (bounce("Permanent", "OnAccountSuppressionList"), "bounced", AT, "ses_Permanent_OnAccountSuppressionList"),
        (bounce("Transient", "MailboxFull"), "soft_bounced", AT, "ses_Transient_MailboxFull"),
        (bounce("Transient", "MessageTooLarge"), "failed", AT, "ses_Transient_MessageTooLarge"),
        (bounce("Undetermined", "Undetermined"), "soft_bounced", AT, "ses_Undetermined_Undetermined"),
        (event("Complaint", complaint={"timestamp": AT.isoformat()}), "complained", AT, "ses_complaint"),
        (event("Complaint", complaint={"timestamp": AT.isoformat(), "complaintFeedbackType": "abuse"}), "complained", AT, "ses_complaint"),
        (event("Reject", reject={"reason": "Bad content"}), "failed", AT - timedelta(minutes=1), "ses_rejected"),
        (event("Rendering Failure", failure={}), "failed", AT - timedelta(minutes=1), "ses_rejected"),
    ],
)
def test_what_became_of_a_mail(told: Any, kind: Any, at: datetime, code: str) -> None:
    [found] = reader().read(signed(published(told)))
    assert found == Happening(kind, at, "0100-ses", "f" * 32, code)
    assert not any(word.lower() in repr(found).lower() for word in SPOKEN.split())


def test_events_without_our_tag_are_known_by_the_name_that_ses_gave(amazon: list[str]) -> None:
    told = event("Delivery", delivery={"timestamp": AT.isoformat()})
    del told["mail"]["tags"]
    assert reader().read(signed(published(told))) == [Happening("delivered", AT, "0100-ses", "", "ses_delivered")]


@pytest.mark.parametrize("name", ["Open", "Click", "DeliveryDelay", "Subscription", "Something new"])
def test_what_says_nothing_about_the_end_is_left_out(name: str) -> None:
    assert reader().read(signed(published(event(name)))) == []


def test_who_takes_a_mail_out_of_the_spam_folder_does_not_complain() -> None:
    told = event("Complaint", complaint={"timestamp": AT.isoformat(), "complaintFeedbackType": "not-spam"})
    assert reader().read(signed(published(told))) == []


@pytest.mark.parametrize(
    "message",
    ["", "hello", "[]", "7", "{}", '{"eventType": "Delivery"}', '{"eventType": "Send", "mail": {"timestamp": "yesterday", "messageId": "x"}}', '{"eventType": "Send", "mail": {"timestamp": "2026-03-01T09:30:00", "messageId": "x"}}'],
)  # fmt: skip
def test_what_is_no_event_cannot_be_read(message: str) -> None:
    with pytest.raises(CallbackUnreadable):
        reader().read(signed(published(message)))
