"""What a key's events were refused for: counted by kind, without values, bounded, and there for whoever keeps the sender."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from api.tracking.write_keys import add_key
from engine.engine import Engine
from models import ApiKey, Database
from workspace.intake import MAX_GATHERED, MOST, REASONS, Intake, code_of, problems_of, shortened

Send = Callable[..., Any]
NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_db")


@pytest.fixture
def key_id(engine: Engine, write_key: str) -> str:
    with engine.db.read() as session:
        return session.scalars(select(ApiKey.id).where(col(ApiKey.kind) != "admin")).one()


def told(admin: Any, key_id: str, key: str) -> dict[tuple[str, str, str, str], int]:
    rows = admin.get(f"/api/v1/keys/{key_id}/problems", headers={"authorization": f"Bearer {key}"})
    assert rows.status_code == 200, rows.text
    return {(row["what"], row["event"], row["field"], row["reason"]): row["count"] for row in rows.json()}


def test_every_problem_is_told_by_kind_with_a_count(track: Send, client: Any, key_id: str, admin_key: str) -> None:
    track("track", {"userId": "u1", "event": " message  sent"})
    track("track", {"userId": "u1", "event": "Message Sent"})
    track("track", {"event": "Signed Up"})
    track("batch", {"batch": [{"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"total": "27,50"}}, 7]})
    track("identify", {"userId": "u1", "traits": {"email": "nobody", "plan": "pro"}})
    assert told(client, key_id, admin_key) == {
        ("refused", "message sent", "event", "reserved_name"): 1,
        ("refused", "Message Sent", "event", "reserved_name"): 1,
        ("refused", "Signed Up", "userId", "nobody"): 1,
        ("refused", "batch", "", "not_an_object"): 1,
        ("kept", "Order Completed", "total", "number"): 1,
        ("left_out", "Identified", "email", "invalid_email"): 1,
    }
    track("track", {"event": "Signed Up"})
    assert told(client, key_id, admin_key)["refused", "Signed Up", "userId", "nobody"] == 2


def test_what_was_taken_leaves_nothing(track: Send, client: Any, key_id: str, admin_key: str) -> None:
    track("track", {"userId": "u1", "event": "Order Completed", "properties": {"total": "27.50"}})
    assert told(client, key_id, admin_key) == {}


def test_only_admins_read_it_and_an_unknown_key_is_unknown(admin: Any, client: Any) -> None:
    assert admin.get("/api/v1/keys/nothing/problems").status_code == 404
    client.headers.pop("authorization", None)
    assert client.get("/api/v1/keys/nothing/problems").status_code == 401


def test_no_value_of_a_person_is_kept(track: Send, client: Any, key_id: str, admin_key: str) -> None:
    track("track", {"event": "Order of ada@example.org, +41 44 668 18 00"})
    track("identify", {"userId": "u1", "traits": {"email": "ada-at-example", "ada@example.org": "x" * 5, "timezone": "Ada"}})
    track("track", {"userId": "u1", "event": "Order Completed", "properties": {"total": "Ada"}})
    said = str(list(told(client, key_id, admin_key)))
    assert "order_id" not in said
    assert "Order of" in said
    assert "ada" not in said.lower()
    assert "668" not in said


@pytest.fixture
def clock() -> list[datetime]:
    return [NOW]


@pytest.fixture
def intake(db: Database, clock: list[datetime]) -> Intake:
    with db.write() as session:
        for name in ("one", "two"):
            add_key(session, "server", name, NOW)
    return Intake(db, lambda: clock[0])


def ids(db: Database) -> list[str]:
    with db.read() as session:
        return sorted(session.scalars(select(ApiKey.id)))


def test_each_key_keeps_its_newest(db: Database, intake: Intake, clock: list[datetime]) -> None:
    one, two = ids(db)
    intake.note(two, "refused", "Quiet", "", "other")
    for number in range(MOST + 20):
        clock[0] += timedelta(seconds=1)
        intake.note(one, "refused", f"E{number}", "", "other")
        if number % 50 == 0:
            intake.flush()
    intake.flush()
    with db.read() as session:
        names = [row.event for row in problems_of(session, one)]
        assert names == [f"E{number}" for number in range(MOST + 19, 19, -1)]
        assert [row.event for row in problems_of(session, two)] == ["Quiet"]


def test_counts_go_on_after_a_restart(db: Database, intake: Intake, clock: list[datetime]) -> None:
    one, _ = ids(db)
    intake.note(one, "refused", "E", "f", "nobody")
    intake.flush()
    clock[0] += timedelta(hours=1)
    again = Intake(db, lambda: clock[0])
    again.note(one, "refused", "E", "f", "nobody")
    again.note(one, "refused", "E", "f", "nobody")
    again.flush()
    with db.read() as session:
        (row,) = problems_of(session, one)
        assert (row.count, row.first_at, row.last_at) == (3, NOW, NOW + timedelta(hours=1))


def test_a_flood_of_names_is_bounded_in_memory(db: Database, intake: Intake) -> None:
    one, _ = ids(db)
    for number in range(MAX_GATHERED + 50):
        intake.note(one, "refused", f"E{number}", "", "other")
    assert len(intake._gathered) == MAX_GATHERED
    intake.flush()
    with db.read() as session:
        assert len(problems_of(session, one)) == MOST


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Order  Completed", "Order Completed"),
        ("Mail to ada@example.org now", "Mail to … now"),
        ("Call +41 44 668 18 00", "Call …"),
        ("x" * 100, "x" * 59 + "…"),
        (7, ""),
        ("Step 12", "Step 12"),
    ],
)
def test_names_are_shortened(name: object, shown: str) -> None:
    assert shortened(name, 60) == shown


def test_every_sentence_of_the_door_has_a_reason() -> None:
    import ast
    from pathlib import Path

    import api.tracking.calls

    calls = [node for node in ast.walk(ast.parse(Path(api.tracking.calls.__file__).read_text())) if isinstance(node, ast.Call)]
    said = [
        ast.unparse(one.args[1]).lstrip("f").strip("'\"")
        for one in calls
        if getattr(one.func, "id", "") == "InvalidEvent" and len(one.args) == 2
    ]
    assert len(said) > 15
    assert [sentence for sentence in said if not sentence.startswith("str(") and code_of(sentence) not in REASONS.keys() - {"other"}] == []
