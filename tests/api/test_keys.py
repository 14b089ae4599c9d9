"""Keys: stored as hashes, rotated with grace, revoked at once, their use noted now and then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from api.tracking.write_keys import KeyRing, add_key, revoke_key, rotate_key
from engine.engine import Engine
from journeys.errors import Conflict, Invalid, NotFound
from models import ApiKey


def ring(engine: Engine, ahead: timedelta = timedelta(0)) -> KeyRing:
    """A ring that has seen nothing, `ahead` of the clock."""
    return KeyRing(engine.db, lambda: engine.clock.now() + ahead)


def test_only_a_hash_is_stored(engine: Engine, write_key: str) -> None:
    with engine.db.read() as session:
        row = session.scalars(select(ApiKey)).one()
    assert write_key not in row.model_dump_json()
    assert write_key.startswith(row.prefix)
    assert len(row.prefix) < len(write_key) / 2


def test_a_key_opens_its_own_kind_of_door(engine: Engine, write_key: str) -> None:
    assert ring(engine).find(write_key, "write") is not None
    assert ring(engine).find(write_key, "admin") is None
    assert ring(engine).find(write_key + "x", "write") is None


def test_after_a_rotation_both_keys_are_valid_until_the_grace_is_over(engine: Engine, write_key: str) -> None:
    old = ring(engine).find(write_key, "write")
    assert old is not None
    with engine.db.write() as session:
        _, new_key = rotate_key(session, old.id, engine.clock.now(), timedelta(hours=1))
    assert ring(engine).find(write_key, "write") is not None
    later = ring(engine, timedelta(hours=2))
    assert later.find(write_key, "write") is None
    found = later.find(new_key, "write")
    assert found is not None
    assert found.name == old.name, "events stay known by (source, message id) across a rotation"


def test_a_revoked_key_is_dead_and_cannot_be_rotated(engine: Engine, write_key: str) -> None:
    known = ring(engine)
    key = known.find(write_key, "write")
    assert key is not None
    with engine.db.write() as session:
        revoke_key(session, key.id, engine.clock.now())
    known.forget()
    assert known.find(write_key, "write") is None
    with engine.db.write() as session, pytest.raises(Conflict):
        rotate_key(session, key.id, engine.clock.now())


def test_what_cannot_be_rotated(engine: Engine, write_key: str) -> None:
    key = ring(engine).find(write_key, "write")
    assert key is not None
    with engine.db.write() as session, pytest.raises(NotFound):
        rotate_key(session, "unknown", engine.clock.now())
    with engine.db.write() as session, pytest.raises(Invalid):
        rotate_key(session, key.id, engine.clock.now(), timedelta(days=365))


def test_an_expired_key_is_refused_even_while_it_is_remembered(engine: Engine) -> None:
    with engine.db.write() as session:
        row, key = add_key(session, "server", "Shop", engine.clock.now())
        row.expires_at = engine.clock.now() + timedelta(minutes=1)
    now = engine.clock.now()
    times = iter([now, now + timedelta(minutes=2)])
    known = KeyRing(engine.db, lambda: next(times))
    assert known.find(key, "write") is not None
    assert known.find(key, "write") is None


def test_use_is_noted_when_it_is_flushed(engine: Engine, write_key: str) -> None:
    known = ring(engine)
    for _ in range(3):
        known.find(write_key, "write")
    known.flush()
    with engine.db.read() as session:
        assert session.scalars(select(ApiKey)).one().last_used_at is not None
