"""The doctor names what is wrong and what to do, and never fails itself."""

import socket
from pathlib import Path

import pytest

from commands.doctor import Finding, doctor, is_healthy
from settings import Settings

SUBJECTS = ["python", "folder", "secret", "sqlite", "database", "activities", "providers", "temporal", "redis", "web", "mail"]


def finding(settings: Settings, subject: str) -> Finding:
    return next(found for found in doctor(settings) if found.subject == subject)


def test_a_fresh_machine_is_healthy_and_nothing_is_written(tmp_path: Path) -> None:
    findings = doctor(Settings.load(home=tmp_path / "home"))
    assert [found.subject for found in findings] == SUBJECTS
    assert is_healthy(findings), findings
    assert list(tmp_path.iterdir()) == []


def test_a_readable_key_is_bad(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path)
    settings.signing_keys()
    assert finding(settings, "secret").state == "good"
    (tmp_path / "secret").chmod(0o644)
    assert finding(settings, "secret").message.endswith(f"Run: chmod 600 {tmp_path / 'secret'}")


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = [one for one in doctor(Settings.load(home=tmp_path, port=port)) if one.subject == "web" and one.state != "good"]
        assert [f"Port {port} on 127.0.0.1 is in use" in one.message for one in found] == [True]


@pytest.mark.parametrize(
    ("given", "subject", "text"),
    [
        ({"temporal_address": "127.0.0.1:1"}, "temporal", "No Temporal server answers at 127.0.0.1:1"),
        ({"redis_url": "redis://127.0.0.1:1/0"}, "redis", "Redis does not answer"),
        ({"database_url": "postgresql://nobody@127.0.0.1:1/none"}, "database", "Check PFADWERK_DATABASE_URL"),
        ({"public_url": "journeys.example.org"}, "web", "expected an address such as https"),
        ({"channels": {"email": {"provider": "smtp"}}}, "mail", "Set PFADWERK_SMTP_HOST"),
        ({"channels": {"email": {"provider": "smtp"}}, "smtp_host": "127.0.0.1", "smtp_port": 1}, "mail", "refused the log-in"),
        ({"channels": {"email": {"provider": "smtp"}}, "workspace": "staging"}, "mail", "This is the staging workspace"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path, given: dict[str, object], subject: str, text: str) -> None:
    found = finding(Settings.load(home=tmp_path, **given), subject)
    assert found.state == "bad"
    assert text in found.message


def test_plain_http_in_the_open_is_a_hint(tmp_path: Path) -> None:
    assert finding(Settings.load(home=tmp_path, public_url="http://journeys.example.org"), "web").state == "hint"


def test_every_sentence_can_be_said_in_another_language(tmp_path: Path) -> None:
    said = [found.say(lambda text: f"<{text}>") for found in doctor(Settings.load(home=tmp_path / "home"))]
    assert all(text.startswith("<") and "{" not in text for text in said)
