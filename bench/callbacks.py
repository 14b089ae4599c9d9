"""How long a provider waits until what it reports is committed: signed callbacks at a steady rate into a real web server process. Prints one JSON object.

Open loop: each call has its instant, whether or not the one before is answered, and its time counts from that instant on, waiting for one of
`CONNECTIONS` included; so a server that falls behind shows, and so does a sender that does. By turns a form of Twilio (HMAC) and a notification of Amazon SNS (RSA) tell that a message was delivered. The
server answers once the message, the event and what it sets off are committed (SQLite). The key of SNS is known to it, as after the first call.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pydantic import SecretStr
from sqlalchemy import Row, func, insert, select

from activities.account_setup import set_up_of
from activities.providers.ses import SIGNED, Ses, SesConfig, Sns
from activities.providers.twilio import Twilio, TwilioConfig
from bench.measure import cpu_seconds, machine, spread_ms
from bench.reference import EVENT, document
from bench.scene import Workspace, open_scene
from commands.process import Process
from commands.servers import LOOPBACK
from engine.enrolment.routing import route
from engine.runs.rows import runs
from models import Message, new_id
from settings import Settings
from storage.events import append_event
from storage.sql import table
from workspace import accounts

QUICK: Mapping[str, Any] = {"seconds": 8.0, "warm_up_seconds": 2.0}
"""Arguments of `run` for a figure in under a minute."""
CONTACTS = 2_000
"""Who have entered the reference journey; the messages are of their runs."""
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mails"
CERTIFICATE = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
TOKEN = "t" * 32
TWILIO = TwilioConfig(account_sid="AC" + "a1" * 16, auth_token=SecretStr(TOKEN), sms_sender="+41791111111")
SES = SesConfig(region="eu-central-1", access_key_id="AKIA" + "A" * 16, secret_access_key=SecretStr("s" * 40), topic_arn=TOPIC)
KEY_FILE = "sns.pem"

messages = table(Message)


def run(rate: int = 300, seconds: float = 30.0, warm_up_seconds: float = 5.0) -> dict[str, Any]:
    """`rate` calls a second for so long; those of the warm-up are not counted.

    Raises:
        RuntimeError: a call was refused, or what it told is not in the database.
    """
    load = machine()
    with open_scene() as scene, scene.workspace(document("PT1H")) as workspace:
        key = _furnish(workspace)
        calls = list(_calls(workspace, key, round(rate * (warm_up_seconds + seconds))))
        with scene.child("callbacks", workspace.settings) as server:
            warm = round(rate * warm_up_seconds)
            asyncio.run(_send(workspace.settings.port, calls[:warm], rate))
            used, answered = _measured(server, workspace, calls[warm:], rate)
        _must_be_stored(workspace, len(calls))
    times = spread_ms(answered)
    return {
        "machine": load,
        "callback_p95_ms": times["p95"],
        "callback_ms": times,
        "callbacks_per_s": rate,
        "cpu_ms_per_callback": round(used / len(answered) * 1_000, 2),
    }


def serve(settings: Settings) -> None:
    """The web server, to which the certificate of `CERTIFICATE` is known."""
    from commands.api_main import api_main

    key = serialization.load_pem_public_key((settings.home / KEY_FILE).read_bytes())
    assert isinstance(key, rsa.RSAPublicKey)
    Sns.keys[CERTIFICATE] = key
    api_main(settings)


# --- what is told ------------------------------------------------------------------------------------------------------------


def _furnish(workspace: Workspace) -> rsa.RSAPrivateKey:
    """An account at each of both, and the key with which SNS signs."""
    key = rsa.generate_private_key(65_537, 2_048)
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (Path(workspace.settings.home) / KEY_FILE).write_bytes(pem)
    with workspace.db.write() as session:
        for kind, config in ((Twilio, TWILIO), (Ses, SES)):
            accounts.add(session, workspace.engine.address_keys, "main", set_up_of(kind, config), "bench", datetime.now(UTC))
    return key


def _calls(workspace: Workspace, key: rsa.RSAPrivateKey, count: int) -> Iterator[bytes]:
    """Requests, ready to go, each about a message of its own that was sent a moment ago."""
    contacts = workspace.ids(min(CONTACTS, count))
    began = _waiting_runs(workspace, contacts)
    rows = [_message(began[number % len(began)], "twilio" if number % 2 else "ses") for number in range(count)]
    for start in range(0, count, 500):
        with workspace.db.write() as session:
            session.execute(insert(messages), rows[start : start + 500])
    for row in rows:
        yield _twilio(workspace.settings.public_url, row) if row["provider"] == "twilio" else _sns(workspace.settings.public_url, row, key)


def _waiting_runs(workspace: Workspace, contacts: Sequence[str]) -> list[Row[Any]]:
    """Each of them has entered the journey."""
    now = datetime.now(UTC)
    for start in range(0, len(contacts), 20):
        with workspace.db.write() as session:
            for contact_id in contacts[start : start + 20]:
                event = append_event(session, contact_id, "track", EVENT, {}, now, source="bench", routed=True)
                route(workspace.engine, session, [event], now)
    with workspace.db.read() as session:
        return list(session.execute(select(runs.c.id, runs.c.contact_id, runs.c.journey_id)))


def _message(run: Row[Any], provider: str) -> dict[str, Any]:
    id, now = new_id(), datetime.now(UTC)
    return {
        "id": id, "once_key": id, "contact_id": run.contact_id, "run_id": run.id, "journey_id": run.journey_id, "channel": "sms" if provider == "twilio" else "email", "purpose": "marketing",
        "message_class": "marketing", "cap_class": "default", "priority": 3, "node": "", "template": "", "locale": "", "subject": "",
        "status": "sent", "reason": "", "attempts": 1, "provider": provider, "account": f"{provider}.main", "provider_id": "", "answer": {},
        "test": False, "planned_at": now, "sent_at": now,
    }  # fmt: skip


def _twilio(public_url: str, row: Mapping[str, Any]) -> bytes:
    url = f"{public_url}/callbacks/twilio.main/status?message={row['id']}"
    fields = {"MessageSid": f"SM{row['id']}", "MessageStatus": "delivered", "To": "+41790000000", "ApiVersion": "2010-04-01"}
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    return _request(url, "application/x-www-form-urlencoded", urlencode(fields), f"X-Twilio-Signature: {signature}\r\n")


def _sns(public_url: str, row: Mapping[str, Any], key: rsa.RSAPrivateKey) -> bytes:
    now = datetime.now(UTC).isoformat()
    mail = {"messageId": row["id"], "timestamp": now, "tags": {"message_id": [row["id"]]}}
    told = {
        "Type": "Notification", "MessageId": row["id"], "TopicArn": TOPIC, "Timestamp": now, "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE, "Message": json.dumps({"eventType": "Delivery", "mail": mail, "delivery": {"timestamp": now}}),
    }  # fmt: skip
    signed = "".join(f"{name}\n{told[name]}\n" for name in SIGNED["Notification"] if name in told).encode()
    told["Signature"] = base64.b64encode(key.sign(signed, padding.PKCS1v15(), hashes.SHA256())).decode()
    return _request(f"{public_url}/callbacks/ses.main/events", "text/plain; charset=UTF-8", json.dumps(told))


def _request(url: str, media_type: str, body: str, more: str = "") -> bytes:
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return (head + body).encode()


# --- the load ----------------------------------------------------------------------------------------------------------------


CONNECTIONS = 32
"""Kept open, as providers do."""
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _measured(server: Process, workspace: Workspace, calls: Sequence[bytes], rate: int) -> tuple[float, list[float]]:
    """Seconds of CPU of the server, and of each call."""
    before = cpu_seconds(server.pid)
    answered = asyncio.run(_send(workspace.settings.port, calls, rate))
    return cpu_seconds(server.pid) - before, answered


async def _send(port: int, calls: Sequence[bytes], rate: int) -> list[float]:
    """Seconds from the instant that each call had to the end of its answer. Raises: RuntimeError."""
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(LOOPBACK, port))
    begin = asyncio.get_running_loop().time() + 0.1
    found = await asyncio.gather(*(_one(free, call, begin + number / rate) for number, call in enumerate(calls)))
    for _ in range(CONNECTIONS):
        free.get_nowait()[1].close()
    return found


async def _one(free: asyncio.LifoQueue[Connection], call: bytes, due: float) -> float:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(due - loop.time())
    reader, writer = await free.get()
    writer.write(call)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(int(line.partition(":")[2]) for line in head.splitlines() if line.startswith("content-length:"))
    body = await reader.readexactly(length)
    took = loop.time() - due
    if " 200 " not in head.splitlines()[0]:
        raise RuntimeError(f"expected 200, got {head.splitlines()[0]}: {body[:200]!r}")
    free.put_nowait((reader, writer))
    return took


def _must_be_stored(workspace: Workspace, count: int) -> None:
    with workspace.db.read() as session:
        found = session.execute(select(func.count()).where(messages.c.status == "delivered")).scalar_one()
    if found != count:
        raise RuntimeError(f"expected {count} delivered messages, got {found}")


if __name__ == "__main__":
    print(json.dumps(run()))
