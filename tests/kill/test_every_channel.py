"""Every channel through real providers while workers, their keeper and the web server die: nothing arrives twice, nothing is lost unlisted.

Amazon SES, SMTP, Twilio (text messages and WhatsApp), browsers, Firebase, the inbox on the site and Lob carry one story's messages. What stands on
their side (`receivers.py apis`) counts by key and never dies; Twilio reports what it has, which ends doubt about it. While the killing goes on the
e-mails change their account. The seed is printed; PFADWERK_TEST_SEED repeats it.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from sqlalchemy import Row, select

from activities.account_setup import set_up_of
from activities.providers.fcm import Fcm, FcmConfig
from activities.providers.postal_http import PostalHttp, PostalHttpConfig
from activities.providers.ses import Ses, SesConfig
from activities.providers.site_inbox import SiteInbox, SiteInboxConfig
from activities.providers.smtp import Smtp, SmtpConfig
from activities.providers.twilio import Twilio, TwilioConfig
from activities.providers.webpush import WebPush, WebPushConfig, public_key
from activities.sending.ledger import messages
from activities.templates import library
from crm.people import contacts, devices
from engine.runs.rows import runs
from engine.versions import publish
from models import InAppMessage
from storage.sql import table
from tests.activities.providers.push_service import Browser
from tests.forkserver import ForkServer
from tests.kill.installation import Installation, Shop
from tests.kill.receivers import TWILIO_TOKEN
from tests.kill.test_kill import await_true, finish, live_through, rows
from worker import build_engine
from workspace import accounts

LINE = ("mail", "text", "chat", "push", "inbox", "card", "last")
NODES: Mapping[str, dict[str, str]] = {
    "mail": {"kind": "send_email", "template": "mail"},
    "text": {"kind": "send_sms", "text": "Hello"},
    "chat": {"kind": "send_whatsapp", "template": "chat"},
    "push": {"kind": "send_push", "template": "push"},
    "inbox": {"kind": "send_in_app", "template": "inbox"},
    "card": {"kind": "send_postcard", "template": "card"},
    "last": {"kind": "send_email", "template": "mail"},
}
JOURNEY = {
    "spec": 1,
    "key": "everything",
    "name": "Everything",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}], "reentry": {"policy": "after_exit"}},
    "exit_when": [{"event": "Order Completed"}],
    "settings": {"message_class": "transactional"},
    "start": "mail",
    "nodes": {**NODES, "end": {"kind": "exit"}},
    "edges": [{"from": one, "outlet": "sent", "to": then} for one, then in zip(LINE, (*LINE[1:], "end"), strict=True)],
}
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>"
TEMPLATES: Mapping[str, tuple[str, dict[str, str]]] = {
    "mail": ("email", {"subject": "Hello", "mjml": MJML}),
    "chat": ("whatsapp", {"content_sid": f"HX{'0' * 32}", "approved_text": "Hello"}),
    "push": ("push", {"title": "Hello", "text": "Hello", "url": "https://shop.example"}),
    "inbox": ("in_app", {"title": "Hello", "text": "Hello"}),
    "card": ("postcard", {"front": "<h1>Hello</h1>", "text": "Hello"}),
}
PEM = rsa.generate_private_key(65_537, 2_048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
GOOGLE = json.dumps({"project_id": "shop-1a2b", "client_email": "push@shop.example", "private_key": PEM.decode()})
PUSH = WebPushConfig(contact="mailto:web@shop.example")
BROWSER = Browser()
REACHED = ("sent", "delivered")
BLIND = ("ses", "smtp", "twilio")
"""Who can neither be asked for a message nor told it again."""


class EveryChannel(Installation):
    receivers = ("smtp", "apis")
    workers = ("worker", "second")
    worker_module = "tests.kill.channels_worker"

    def sending(self) -> dict[str, Any]:
        return {"public_url": "https://pfadwerk.example", "trusted_proxies": ["127.0.0.1"]}  # Twilio reports to nothing else than https

    @property
    def mortal(self) -> tuple[str, ...]:
        """What dies of Temporal and Redis `test_kill.py` sees; here every kill hits somebody who sends, keeps or listens."""
        return (*self.workers, "web")

    def carry(self, **routes: str) -> None:
        with self.db.write() as session:
            accounts.carry(session, routes, "test", datetime.now(UTC))

    def arrived(self) -> dict[str, Counter[str]]:
        """Id of a message -> how often it arrived, by provider, and for push messages by device."""
        found: dict[str, Counter[str]] = {}
        for key, times in self.received().items():
            if key.count(":") == 2 and not key.startswith(("webpush", "fcm")):
                key = f"smtp:{self.ids.get(key, key)}"
            provider, message_id, *device = key.split(":")
            found.setdefault(message_id, Counter())[":".join((provider, *device))] += times
        for (message_id,) in rows(self, select(table(InAppMessage).c.message_id)):
            found.setdefault(message_id, Counter())["site_inbox"] += 1
        return found

    @property
    def ids(self) -> dict[str, str]:
        """Key -> id of the message, of the whole ledger."""
        return {row.once_key: row.id for row in rows(self, select(messages.c.once_key, messages.c.id))}


@pytest.fixture
def installation(forks: ForkServer, tmp_path: Path, database_url: str, seed: int) -> Iterator[EveryChannel]:
    installation = EveryChannel(forks, tmp_path / "home", database_url, seed)
    try:
        furnish(installation)
        installation.start()
        yield installation
    finally:
        installation.stop()


def furnish(installation: EveryChannel) -> None:
    """Accounts, templates, one live journey."""
    now = datetime.now(UTC)
    engine = build_engine(installation.settings, installation.db, [])
    smtp = SmtpConfig(host="127.0.0.1", port=installation.ports["smtp"], tls="none", timeout_seconds=3.0)
    twilio = TwilioConfig(
        account_sid="AC" + "a1" * 16, auth_token=SecretStr(TWILIO_TOKEN), sms_sender="+41791111111", whatsapp_number="+41792222222"
    )
    ses = SesConfig(region="eu-central-1", access_key_id="AKIA" + "A" * 16, secret_access_key=SecretStr("s" * 40))
    lob = PostalHttpConfig(shape="lob", api_key=SecretStr("test_key"))
    fcm = FcmConfig(service_account=SecretStr(GOOGLE))
    opened = ((Ses, ses), (Smtp, smtp), (Twilio, twilio), (WebPush, PUSH), (Fcm, fcm), (PostalHttp, lob), (SiteInbox, SiteInboxConfig()))
    with installation.db.write() as session:
        for kind, config in opened:
            accounts.add(session, engine.address_keys, "main", set_up_of(kind, config), "test", now)
    installation.carry(
        email="ses.main", sms="twilio.main", whatsapp="twilio.main", push="webpush.main", push_app="fcm.main", in_app="site_inbox.main",
        postcard="postal_http.main",
    )  # fmt: skip
    for key, (kind, parts) in TEMPLATES.items():
        about: dict[str, Any] = {"name": key, "kind": kind, "message_class": "transactional", "actor": "test", "now": now}
        library.save(installation.db, key, {"default": parts}, **about)
    with installation.db.write() as session:
        publish.publish(engine, session, publish.create_journey(session, JOURNEY, "test", now).id, "test", "", now)


def fields(number: int) -> dict[str, str]:
    return {
        "email": f"u{number}@example.org",
        "phone": f"+4179{number:07}",
        "postal_address.name": "Ada Lovelace",
        "postal_address.line1": f"{number} Way",
        "postal_address.postal_code": "89501",
        "postal_address.city": "Reno",
        "postal_address.region": "NV",
        "postal_address.country": "US",
    }


def customers(installation: EveryChannel, count: int, over_seconds: float) -> Shop:
    """People who can be reached everywhere sign up, spread evenly; every fourth orders soon after."""
    shop, now = Shop(installation.ports["web"], installation.write_key), datetime.now(UTC)
    with installation.db.write() as session:
        for number in range(count):
            known, _ = contacts.create(session, [("user_id", f"u{number}")], fields(number), now, "test")
            key = BROWSER.subscription("")["keys"]["auth"]
            web = devices.Registration("web", f"https://push.example/web{number}", BROWSER.p256dh, key, public_key(PUSH))
            devices.register(session, known.id, web, now)
            devices.register(session, known.id, devices.Registration("android", f"phone{number}"), now)
    began = time.monotonic()
    for number in range(count):
        at, user = began + over_seconds * number / count, f"u{number}"
        shop.plan(at, [{"type": "track", "userId": user, "event": "Signed Up", "messageId": f"{user}-sign-up"}])
        if number % 4 == 0:
            order = {"type": "track", "userId": user, "event": "Order Completed", "messageId": f"{user}-order"}
            shop.plan(at + installation.random.uniform(0, 7), [order])
    return shop


def survive(installation: EveryChannel, count: int, over_seconds: float, kills: int, mean_seconds: float) -> dict[str, object]:
    began = time.monotonic()
    shop = customers(installation, count, over_seconds)
    live_through(installation, kills // 2, mean_seconds)
    installation.carry(email="smtp.main")
    live_through(installation, kills, mean_seconds)
    finish(installation, shop)
    await_true(installation, "Twilio has told what it has", lambda: not untold(installation))
    seconds = round(time.monotonic() - began)
    return {"database": installation.db.engine.dialect.name, **verify(installation, count), "seconds": seconds}


def untold(installation: EveryChannel) -> set[str]:
    """Messages that Twilio has and the ledger does not know to be delivered."""
    told = {row.id for row in rows(installation, select(messages.c.id).where(messages.c.status == "delivered"))}
    return {message_id for message_id, places in installation.arrived().items() if "twilio" in places} - told


def verify(installation: EveryChannel, count: int) -> dict[str, object]:
    """Every promise, one by one; returns what was counted."""
    found = {run.id: run for run in rows(installation, select(runs))}
    ledger: dict[str, Row[Any]] = {row.id: row for row in rows(installation, select(messages))}
    arrived = installation.arrived()
    assert len(found) == count, "every sign-up started one run"
    assert {run.status for run in found.values()} == {"ended"}
    assert arrived.keys() <= ledger.keys(), "nothing arrives that the ledger does not know"
    assert {id: twice for id, places in arrived.items() if (twice := doubled(places))} == {}, "nothing arrives twice"
    doubts = installation.in_flight + installation.received("silent").total()
    shown_again = sum(times - 1 for places in arrived.values() for times in places.values() if times > 1)
    assert shown_again <= 2 * doubts, "a push message is repeated only where it was in doubt, once for each device"
    for row in ledger.values():
        assert_honest(row, found[row.run_id], arrived.get(row.id, Counter()))
    for id, run in found.items():
        fate = {row.node: row.status for row in ledger.values() if row.run_id == id}
        if run.reason == "completed":
            assert fate.keys() == NODES.keys()
            assert set(fate.values()) <= {*REACHED, "uncertain"}
        else:
            assert run.reason == "exit"
            assert fate.keys() == set(LINE[: len(fate)])
    uncertain = [row for row in ledger.values() if row.status == "uncertain"]
    assert len(uncertain) <= doubts, "doubt comes from kills and hang-ups only"
    carriers = Counter(row.provider for row in ledger.values() if row.status in REACHED)
    assert carriers.keys() == {"ses", "smtp", "twilio", "webpush", "site_inbox", "postal_http"}, "each has carried something"
    return {
        "runs": count,
        "exited": sum(run.reason == "exit" for run in found.values()),
        "sent": carriers,
        "uncertain": Counter(f"{row.provider}: {row.reason}" for row in uncertain),
        "shown_again": shown_again,
        "in_flight_at_kills": installation.in_flight,
        "not_answered": installation.received("silent").total(),
        "kills": installation.kills,
    }


def doubled(places: Counter[str]) -> list[str]:
    """Where a message is more than once. On a device a repeat takes the place of the first, by its tag."""
    twice = [place for place, times in places.items() if times > 1 and ":" not in place]
    return twice + [place for place in places if ":" not in place and len(places) > 1]


def assert_honest(row: Row[Any], run: Row[Any], places: Counter[str]) -> None:
    """What the ledger says of a message is what became of it."""
    if row.status in REACHED:
        assert places, f"{row.once_key} is called {row.status} and has not arrived"
        assert {place.partition(":")[0] for place in places} <= {row.provider, "fcm"}
    elif row.status == "uncertain":
        assert row.reason, "with the reason"
        assert row.provider in BLIND or run.reason == "exit", "who takes a repeat leaves no doubt, unless nobody wants it any more"
        assert row.provider != "twilio" or not places, "what Twilio has it has told"
    else:
        assert row.status in ("planned", "skipped")
        assert run.reason == "exit", f"{row.once_key} was not sent although its run did not exit"
        assert not places, f"{row.once_key} is called {row.status} and has arrived"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_twenty_people_are_reached_on_every_channel(
    installation: EveryChannel, seed: int, say: Callable[[Mapping[str, object]], None]
) -> None:
    say({"seed": seed, **survive(installation, 20, over_seconds=8, kills=9, mean_seconds=1.2)})


@pytest.mark.soak
def test_two_hundred_people_are_reached_on_every_channel(
    installation: EveryChannel, seed: int, say: Callable[[Mapping[str, object]], None]
) -> None:
    say({"seed": seed, **survive(installation, 200, over_seconds=90, kills=40, mean_seconds=2.5)})
