"""Settings come from the environment, say what is wrong with them, and are all documented."""

import json
import os
import stat
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from journeys.errors import Misconfigured
from settings import CHANNELS, Settings, document, parse_keys

ROOT = Path(__file__).parents[1]
KEY = "k" * 32


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PFADWERK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PFADWERK_HOME", str(tmp_path / "home"))


def test_every_setting_has_a_description_and_the_page_is_current() -> None:
    undocumented = [name for name, field in Settings.model_fields.items() if not (field.description or "").strip().endswith((".", "`"))]
    assert undocumented == []
    assert (ROOT / "docs" / "settings.md").read_text() == document(), "run `make docs`"


def test_with_nothing_set_all_state_lies_in_one_folder(tmp_path: Path) -> None:
    settings = Settings.load()
    assert settings.home == tmp_path / "home"
    assert settings.database_url == f"sqlite:///{tmp_path}/home/pfadwerk.db"
    assert settings.temporal_namespace == "pfadwerk"
    assert (settings.temporal_address, settings.redis_url) == ("", "")
    assert settings.public_url == "http://127.0.0.1:8080"
    assert {account.provider for account in settings.channels.values()} == {"outbox"}
    assert set(settings.channels) == set(CHANNELS)


def test_staging_has_its_own_database_and_namespace() -> None:
    live, staging = Settings.load(), Settings.load(workspace="staging")
    assert live.database_url != staging.database_url
    assert live.temporal_namespace != staging.temporal_namespace


def test_the_ports_of_the_running_supervisor_are_found(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ports.json").write_text(json.dumps({"web": 9001, "temporal": 9002, "redis": 9003}))
    settings = Settings.load()
    assert settings.public_url == "http://127.0.0.1:9001"
    assert settings.temporal_address == "127.0.0.1:9002"
    assert settings.redis_url == "redis://127.0.0.1:9003/0"
    assert not settings.was_set("port")
    assert Settings.load(port=9009, temporal_address="temporal:7233").public_url == "http://127.0.0.1:9009"


def test_broken_remembered_ports_count_as_none(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ports.json").write_text('{"web": ')
    assert Settings.load().port == 8080


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "99999", "PFADWERK_PORT: Must be at most 65535"),
        ("TIME_ZONE", "Europe/Berln", "PFADWERK_TIME_ZONE: expected an IANA time zone.*did you mean Europe/Berlin"),
        ("CHANNELS", '{"emial": {}}', "PFADWERK_CHANNELS: expected channels out of email.*did you mean email"),
        ("CHANNELS", '{"email": {"provider": "Not A Name"}}', r"PFADWERK_CHANNELS \(email.provider\): "),
        ("CHANNELS", '{"email": ', "PFADWERK_CHANNELS cannot be read: expected JSON"),
        ("SECRET_KEY", "k1:short", "PFADWERK_SECRET_KEY: expected a key of at least 32 characters, got 5"),
        ("TEMPORAL_ADDRESS", "temporal", "PFADWERK_TEMPORAL_ADDRESS: expected HOST:PORT"),
        ("OTLP_ENDPOINT", "collector:4318", "PFADWERK_OTLP_ENDPOINT: expected http://HOST:PORT"),
        ("OTLP_ENDPOINT", "https://me:secret@collector", "PFADWERK_OTLP_ENDPOINT: expected http://HOST:PORT"),
        ("OTLP_HEADERS", "Bearer t", "PFADWERK_OTLP_HEADERS: expected NAME=VALUE"),
        ("TRACE_RATIO", "2", "PFADWERK_TRACE_RATIO: Must be at most 1"),
        ("WORKSPACE", "production", "PFADWERK_WORKSPACE: .*'live', 'staging'"),
        ("DATABSE_URL", "sqlite://", "PFADWERK_DATABSE_URL: .*did you mean PFADWERK_DATABASE_URL"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_to_set(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(f"PFADWERK_{name}", value)
    with pytest.raises(Misconfigured, match=sentence):
        Settings.load()


@pytest.mark.parametrize(
    ("idle", "lock", "told"), [("PT20S", "", "PT20S.*got PT20S"), ("", "PT15S", "PT15S.*got PT15S"), ("PT1M", "PT30S", "")]
)
def test_a_wait_for_a_lock_outlasts_a_transaction_that_stands_still(
    monkeypatch: pytest.MonkeyPatch, idle: str, lock: str, told: str
) -> None:
    """Also where only one of the two is set, and the other is as it comes."""
    monkeypatch.setenv("PFADWERK_DATABASE_IDLE_IN_TRANSACTION", idle)
    monkeypatch.setenv("PFADWERK_DATABASE_LOCK_TIMEOUT", lock)
    with pytest.raises(Misconfigured, match=f"PFADWERK_DATABASE_LOCK_TIMEOUT: expected more than {told}"):
        Settings.load()
    monkeypatch.setenv("PFADWERK_DATABASE_LOCK_TIMEOUT", "PT1M1S")
    assert Settings.load().database_limits().lock == timedelta(seconds=61)


def test_several_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFADWERK_PORT", "x")
    monkeypatch.setenv("PFADWERK_LANGUAGE", "fr")
    with pytest.raises(Misconfigured, match=r"(?s)PFADWERK_PORT.*PFADWERK_LANGUAGE"):
        Settings.load()


def test_a_secret_never_shows_in_an_error_or_a_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFADWERK_SECRET_KEY", "k1:hunter2hunter2")
    with pytest.raises(Misconfigured) as raised:
        Settings.load()
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in repr(Settings.load(secret_key=f"k1:hunter2{KEY}", smtp_password="hunter2"))


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFADWERK_PORT", "")
    assert Settings.load().port == 8080
    assert not Settings.load().was_set("port")


def test_a_child_process_comes_to_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {
        "port": 9000,
        "channels": {"email": {"provider": "smtp", "account": "main"}},
        "graceful_shutdown": timedelta(seconds=5),
        "temporal_tls": True,
        "activity_folders": ["/srv/steps"],
        "secret_key": f"k1:{KEY}",
    }
    ours = Settings.load(**chosen)
    for name, value in ours.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == ours


def test_the_key_is_made_once_even_by_many_at_the_same_time(tmp_path: Path) -> None:
    settings = Settings.load()
    found: list[dict[str, bytes]] = []
    threads = [threading.Thread(target=lambda: found.append(settings.signing_keys())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(keys == found[0] for keys in found)
    assert stat.S_IMODE((tmp_path / "home" / "secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret"]


def test_keys_are_rotated_by_putting_a_new_one_first() -> None:
    keys = parse_keys(f"k2:{KEY}new,k1:{KEY}old")
    assert list(keys) == ["k2", "k1"]
    assert keys["k1"] == f"{KEY}old".encode()


@pytest.mark.parametrize("text", [KEY, f"k1:{KEY},k1:{KEY}", f":{KEY}", f"k-1:{KEY}"])
def test_a_key_without_a_usable_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_keys(text)


def test_an_empty_key_file_is_told_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secret").write_text("")
    with pytest.raises(Misconfigured, match="is empty; restore it from a backup"):
        Settings.load().signing_keys()


def test_the_module_prints_its_page() -> None:
    done = subprocess.run([sys.executable, "-m", "settings"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == document()
