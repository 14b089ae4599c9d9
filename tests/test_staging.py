"""Staging cannot leak: its process loads no provider and holds no credential, and a listening sink hears nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from activities.accounts import ThroughChannel
from commands import providers
from engine import stamp
from journeys.errors import Misconfigured
from models import Database

ROOT = Path(__file__).parents[1]
FORBIDDEN = (
    "activities.providers.smtp",
    "activities.providers.http_fake",
    "activities.http_client",
    "activities.webhooks.client",
    "activities.webhooks.handler",
    "activities.team.slack",
    "smtplib",
)
PROGRAM = textwrap.dedent(
    """
    import json, socket, sys
    tried = []
    connect = socket.socket.connect
    def listening(self, address):
        tried.append(str(address))
        return connect(self, address)
    socket.socket.connect = listening

    from datetime import datetime, UTC
    import worker
    from activities.sending.breakers import Breakers
    from activities.sending.effect import Effects, perform
    from journeys.calls import activity_of
    from models import Database
    from settings import Settings
    from models.migrate import upgrade

    settings = Settings.load()
    upgrade(settings.database_url)
    db = Database(settings.database_url)
    engine = worker.build_engine(settings, db, [])
    from commands.providers import accounts_of
    accounts = accounts_of(settings, engine)
    performers = worker.build_performers(settings, engine, [], accounts)
    from engine.versions import publish
    from engine.enrolment.routing import route
    from storage.events import append_event
    from models import Contact
    document = json.loads(sys.argv[1])
    now = datetime.now(UTC)
    with db.write() as session:
        session.add(Contact(id="c" * 32, email="ada@example.org", created_at=now, updated_at=now)); session.flush()
        from workspace.secrets import put
        put(session, engine.address_keys, "slack", "http://127.0.0.1:9/hook", "test", now)
        journey = publish.create_journey(session, document, "test", now)
        publish.publish(engine, session, journey.id, "test", "", now)
        event = append_event(session, "c" * 32, "track", "Go", {}, now, routed=True)
        [start] = route(engine, session, [event], now).starts.values()
    effects, instruction = Effects(engine, performers, Breakers(engine.db)), start.instruction
    while instruction["op"] == "do":
        instruction = perform(effects, instruction["then"]["activity"], start.run_id, instruction["step"], datetime.now(UTC)).instruction
    print(json.dumps({"modules": sorted(sys.modules), "tried": tried, "end": instruction}))
    """
)
DOCUMENT = {
    "spec": 1,
    "key": "leaky",
    "name": "Leaky",
    "entry": {"triggers": [{"type": "event", "event": "Go"}]},
    "settings": {"message_class": "transactional"},
    "start": "hook",
    "nodes": {
        "hook": {"kind": "call_webhook", "url": "http://127.0.0.1:9/hook"},
        "team": {"kind": "notify_team", "to": ["kim@example.org"], "slack_webhook": "slack", "text": "Hi"},
        "sms": {"kind": "send_sms", "text": "Hi"},
        "end": {"kind": "exit"},
    },
    "edges": [
        {"from": "hook", "outlet": "ok", "to": "team"},
        {"from": "hook", "outlet": "failed", "to": "end"},
        {"from": "team", "to": "sms"},
        {"from": "sms", "outlet": "sent", "to": "end"},
    ],
}


def test_a_staging_process_reaches_nobody(tmp_path):
    environment = {
        **os.environ,
        "PFADWERK_HOME": str(tmp_path),
        "PFADWERK_WORKSPACE": "staging",
        "PFADWERK_TEMPORAL_ADDRESS": "127.0.0.1:9",
        "PFADWERK_SMTP_HOST": "127.0.0.1",
        "PFADWERK_CHANNELS": json.dumps({"email": {"provider": "smtp"}, "team": {"provider": "smtp"}}),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(DOCUMENT)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["end"]["reason"] == "completed"
    assert said["tried"] == []
    assert all(importlib.util.find_spec(name) for name in FORBIDDEN)
    assert [name for name in FORBIDDEN if name in said["modules"]] == []


def test_a_process_of_the_other_workspace_does_not_start_on_this_database(db: Database):
    with db.write() as session:
        stamp.claim(session, "staging", "pfadwerk-staging")
    with db.write() as session, pytest.raises(Misconfigured, match="belongs to the workspace staging"):
        stamp.claim(session, "live", "pfadwerk")


def test_the_web_server_of_staging_mails_nobody_either(tmp_path: Path) -> None:
    """The provider of its account mails and test sends is the outbox, whatever the channel e-mail goes through elsewhere."""
    import worker
    from models.migrate import upgrade
    from settings import Settings

    for workspace, name in (("live", "smtp"), ("staging", "outbox")):
        channels = {"email": {"provider": "smtp"}}
        home = tmp_path / workspace
        home.mkdir()
        settings = Settings(home=home, workspace=workspace, channels=channels, smtp_host="127.0.0.1")  # type: ignore[arg-type]
        upgrade(settings.database_url)
        db = Database(settings.database_url)
        accounts = providers.accounts_of(settings, worker.build_engine(settings, db, []))
        assert ThroughChannel(accounts, "email").name == name
        db.close()
