"""Accounts as rows across starts, upgrades and backups: variables seed once, what is removed stays removed, secrets stay sealed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import worker
from commands.backup import backup, restore
from commands.doctor import doctor
from commands.providers import accounts_of, legacy_queues
from models import Database, Message, ProviderAccount, migrate
from settings import Settings
from workspace import accounts

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PASSWORD = "a-password-of-the-server"
EMAIL = {"channels": {"email": {"provider": "smtp", "account": "eu"}}, "smtp_host": "smtp.example.org", "smtp_password": PASSWORD}


def settings_of(home: Path, given: Mapping[str, Any] = EMAIL) -> Settings:
    return Settings.load(home=home, **given)


def start(settings: Settings) -> dict[str, str]:
    """What a start makes of the environment: channel -> account."""
    migrate.upgrade(settings.database_url)
    with closing(Database(settings.database_url)) as db:
        accounts_of(settings, worker.build_engine(settings, db, [])).close()
        with db.read() as session:
            return accounts.carried(session)


def row_of(settings: Settings, account: str = "smtp.eu") -> tuple[ProviderAccount, dict[str, str] | None]:
    with closing(Database(settings.database_url)) as db, db.read() as session:
        row = session.get_one(ProviderAccount, account)
        return row, accounts.secrets_of(tuple(settings.signing_keys().values()), row)


def test_an_upgrade_keeps_every_message_and_the_first_start_takes_what_the_environment_says(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    migrate.upgrade(settings.database_url, "0027")
    with closing(Database(settings.database_url)) as db, db.write() as session:
        session.execute(
            text("INSERT INTO contact (id, attributes, created_at, updated_at, demo, vouched) VALUES ('c', '{}', :now, :now, 0, 1)"),
            {"now": NOW.isoformat(" ")},
        )
        for number, (status, provider) in enumerate((("sent", "smtp"), ("claimed", "smtp"), ("sent", "outbox"))):
            session.execute(
                text(
                    "INSERT INTO message (id, once_key, node, contact_id, channel, purpose, message_class, cap_class, priority, template, locale,"
                    " subject, status, reason, attempts, provider, provider_id, planned_at, answer, test)"
                    " VALUES (:id, :id, 'n', 'c', 'email', 'p', 'marketing', 'd', 3, 't', 'en', 's', :status, '', 1, :provider, 'q1', :now, '{}', 0)"
                ),
                {"id": f"m{number}", "status": status, "provider": provider, "now": NOW.isoformat(" ")},
            )
    assert start(settings) == {"email": "smtp.eu"}
    with closing(Database(settings.database_url)) as db, db.read() as session:
        kept = [(one.id, one.status, one.provider, one.provider_id, one.account) for one in session.query(Message).order_by(text("id"))]
    assert kept == [("m0", "sent", "smtp", "q1", ""), ("m1", "claimed", "smtp", "q1", ""), ("m2", "sent", "outbox", "q1", "")]
    row, secrets = row_of(settings)
    assert (row.config["host"], row.origin, secrets) == ("smtp.example.org", "environment", {"password": PASSWORD})


def test_variables_are_not_read_again(tmp_path: Path) -> None:
    start(settings_of(tmp_path))
    changed = settings_of(tmp_path, {**EMAIL, "smtp_host": "other.example.org"})
    assert start(changed) == {"email": "smtp.eu"}
    assert row_of(changed)[0].config["host"] == "smtp.example.org"
    [hint] = [one for one in doctor(changed) if one.subject == "providers" and one.state == "hint"]
    assert "PFADWERK_SMTP_HOST" in hint.message
    assert start(settings_of(tmp_path, {})) == {"email": "smtp.eu"}, "they may go"


def test_a_channel_that_nobody_has_decided_about_is_still_seeded(tmp_path: Path) -> None:
    """Who tries it out with the outbox first, and sets the variables later, need not open the page."""
    assert start(settings_of(tmp_path, {})) == {}
    assert start(settings_of(tmp_path)) == {"email": "smtp.eu"}
    both = {**EMAIL, "channels": {**EMAIL["channels"], "team": {"provider": "smtp", "account": "eu"}}}  # type: ignore[dict-item]
    assert start(settings_of(tmp_path, both)) == {"email": "smtp.eu", "team": "smtp.eu"}


@pytest.mark.parametrize("removed", [False, True])
def test_what_people_decided_no_start_brings_back(tmp_path: Path, removed: bool) -> None:
    settings = settings_of(tmp_path)
    start(settings)
    with closing(Database(settings.database_url)) as db:
        worker.build_engine(settings, db, [])
        with db.write() as session:
            if removed:
                accounts.remove(session, "smtp.eu", "test", NOW, anyway=True)
            else:
                accounts.carry(session, {"email": ""}, "test", NOW)
    assert start(settings) == {}
    both = {**EMAIL, "channels": {**EMAIL["channels"], "team": {"provider": "smtp", "account": "eu"}}}  # type: ignore[dict-item]
    assert start(settings_of(tmp_path, both)) == ({} if removed else {"team": "smtp.eu"}), "another channel brings no removed account back"


def test_what_was_planned_for_an_account_of_the_environment_is_still_listened_for(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    start(settings)
    later = settings_of(tmp_path, {})
    with closing(Database(later.database_url)) as db:
        queues = list(legacy_queues(worker.build_engine(later, db, []), ["email", "sms", "custom:x@1"]))
    assert {("email", "email.eu"), ("email", "email.default")} <= set(queues)


def test_a_backup_keeps_accounts_sealed_and_a_restore_opens_them_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    settings = settings_of(tmp_path / "one")
    start(settings)
    file = tmp_path / "backup.tar.gz"
    backup(settings, file)
    with closing(Database(settings.database_url)) as db, db.read() as session:
        assert PASSWORD not in str(session.execute(text("SELECT * FROM provider_account")).all())
    other = settings_of(tmp_path / "two", {})
    restore(other, file)
    assert start(other) == {"email": "smtp.eu"}
    assert row_of(other)[1] == {"password": PASSWORD}
    stranger = settings_of(tmp_path / "two", {"secret_key": "k9:" + "x" * 40})
    assert row_of(stranger)[1] is None
    [bad] = [one for one in doctor(stranger) if one.subject == "providers" and one.state == "bad"]
    assert "enter them again" in bad.message
