"""Who may read the numbers: whoever has the token; without one, this machine and nobody through a proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.measured import FORWARDED
from engine.engine import Engine
from settings import Settings


def status(engine: Engine, settings: Settings, host: str, headers: dict[str, str]) -> int:
    from fastapi.testclient import TestClient

    with TestClient(create_app(settings, engine), "http://testserver", client=(host, 4_000)) as client:
        code: int = client.get("/metrics", headers=headers).status_code
        return code


@pytest.fixture
def without(settings: Settings, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", database_url="sqlite:///unused.db", public_url="http://testserver")


@pytest.mark.parametrize(
    ("host", "headers", "expected"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.5", {}, 403),
        ("93.184.216.34", {}, 403),
        ("", {}, 403),
        ("10.0.0.5", {"authorization": "Bearer "}, 403),
        *(("127.0.0.1", {name: "127.0.0.1"}, 403) for name in FORWARDED),
    ],
)
def test_without_a_token_only_this_machine_reads(without: Settings, engine: Engine, host: str, headers: Any, expected: int) -> None:
    assert status(engine, without, host, headers) == expected


@pytest.mark.parametrize(
    ("host", "headers", "expected"),
    [
        ("93.184.216.34", {"authorization": "Bearer read-my-numbers"}, 200),
        ("127.0.0.1", {"authorization": "Bearer read-my-numbers", "x-forwarded-for": "1.2.3.4"}, 200),
        ("127.0.0.1", {}, 403),
        ("127.0.0.1", {"authorization": "Bearer read-my-number"}, 403),
        ("127.0.0.1", {"authorization": "read-my-numbers"}, 403),
        ("127.0.0.1", {"authorization": "Bearer \u00e4".encode("latin-1").decode("latin-1")}, 403),
    ],
)
def test_with_a_token_it_alone_counts(settings: Settings, engine: Engine, host: str, headers: Any, expected: int) -> None:
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    assert status(engine, settings, host, sent) == expected  # type: ignore[arg-type]
