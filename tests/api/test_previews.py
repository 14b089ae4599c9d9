"""Previews do not stop the web server, whatever becomes of them."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from activities.rendering import RenderPool
from settings import Settings

PATH = "/api/v1/templates/hello"
TEMPLATE = {"name": "Hello", "kind": "sms", "variants": {"default": {"text": "Hello"}}}
HOSTILE = {"variants": {"default": {"text": "{% for n in range(9000) %}{{ range(9000)|sum }}{% endfor %}"}}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    return Settings(
        home=home, database_url="sqlite:///unused.db", public_url="http://testserver", render_processes=1, render_cpu_seconds=60
    )


def test_a_preview_that_stands_still_holds_up_nobody(admin: Any, app: FastAPI) -> None:
    assert admin.put(PATH, json=TEMPLATE).status_code == 200
    pool = app.state.server.messaging.renderer
    assert isinstance(pool, RenderPool)
    [pid] = pool.pids
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        preview = threads.submit(admin.post, f"{PATH}/preview", json={})
        while pid not in pool.working:
            pass
        assert [admin.get("/api/v1/templates").status_code for _ in range(5)] == [200] * 5
        assert not preview.done()
        os.kill(pid, signal.SIGCONT)
        assert preview.result().json()["text"] == "Hello"


def test_a_preview_that_would_never_end_says_so(admin: Any) -> None:
    admin.put(PATH, json=TEMPLATE)
    answer = admin.post(f"{PATH}/preview", json=HOSTILE)
    assert answer.status_code == 422
    assert "takes too long" in answer.json()["error"]["message"]
    assert admin.post(f"{PATH}/preview", json={}).json()["text"] == "Hello"


def test_the_processes_end_with_the_server(app: FastAPI) -> None:
    from fastapi.testclient import TestClient

    with TestClient(app):
        pool = app.state.server.messaging.renderer
        pool.render_text("x", {})
        assert len(pool.pids) == 1
    assert pool.pids == []
