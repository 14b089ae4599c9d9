"""Metrics of a journey by day, channel and template version, over the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api.admin.journeys import DOCUMENT
from engine.engine import Engine
from engine.versions.publish import create_journey
from storage import tally

BASE = "/api/v1/journeys/welcome/metrics"
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RANGE = {"since": "2026-03-01", "until": "2026-03-05"}


@pytest.fixture
def journey(engine: Engine) -> str:
    with engine.db.write() as session:
        id = create_journey(session, DOCUMENT, "tests", AT).id
        tally.append(session, id, 1, {("", "runs", ""): 2, ("hello", "sent", "", "email", 3): 2}, AT)
        return id


def test_each_grouping_answers_its_own_rows(admin: Any, journey: str) -> None:
    found = admin.get(BASE, params=RANGE).json()
    assert (found["by"], found["since"], found["until"], found["counted_since"]) == ("day", "2026-03-01", "2026-03-05", "2026-03-02")
    [row] = found["items"]
    assert (row["day"], row["counts"]["runs"], row["counts"]["sent"], row["counts"]["held_out"]) == ("2026-03-02", 2, 2, 0)
    [row] = admin.get(BASE, params={**RANGE, "by": "channel"}).json()["items"]
    assert (row["day"], row["channel"], row["template_version"], row["counts"]["sent"]) == (None, "email", None, 2)
    assert "runs" not in row["counts"]
    [row] = admin.get(BASE, params={**RANGE, "by": "template_version"}).json()["items"]
    assert (row["node"], row["template_version"], row["counts"]["sent"]) == ("hello", 3, 2)
    assert admin.get(BASE, params={**RANGE, "version": 2}).json()["items"] == []


def test_without_days_the_last_thirty_are_meant(admin: Any, engine: Engine, journey: str) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        tally.append(session, journey, 1, {("", "runs", ""): 1}, now)
    found = admin.get(BASE).json()
    assert [row["counts"]["runs"] for row in found["items"]] == [1]
    assert (datetime.fromisoformat(found["until"]) - datetime.fromisoformat(found["since"])).days == 29


@pytest.mark.parametrize("query", [{"since": "2026-03-02", "until": "2026-03-01"}, {"since": "2024-01-01", "until": "2026-01-01"}])
def test_a_span_that_is_none_or_too_long_is_refused(admin: Any, journey: str, query: dict[str, str]) -> None:
    answer = admin.get(BASE, params=query)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("Expected 366 days at most from")


def test_what_no_one_can_mean_is_refused(admin: Any, journey: str) -> None:
    for query in ({"by": "contact"}, {"since": "yesterday"}, {"version": 0}):
        assert admin.get(BASE, params=query).status_code == 422
    assert admin.get("/api/v1/journeys/none/metrics").status_code == 404
