"""How visitors came, out of the calls of websites and servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.tracking.calls import Envelope, read_event
from api.tracking.writer import store
from crm.catalogue import Learner
from crm.people import identity, touches
from engine.engine import Engine
from models import Database, Event
from tests.plans import statements

Send = Callable[..., Any]
CAMPAIGN = {"campaign": {"name": "spring", "source": "news"}, "page": {"url": "https://shop.example/a?utm_source=news", "referrer": ""}}
FROM_BLOG = {"page": {"url": "https://shop.example/b", "referrer": "https://blog.example/x"}}
INSIDE = {"page": {"url": "https://shop.example/c", "referrer": "https://shop.example/b"}}


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_db")


def standing(engine: Engine, user: str) -> touches.Standing:
    with engine.db.read() as session:
        found = identity.find(session, ("user_id", user))
        assert found is not None
        return touches.of(session, [found])[found]


def told(engine: Engine) -> list[dict[str, Any]]:
    with engine.db.read() as session:
        return [row.properties for row in session.query(Event).filter_by(name="Lead Source Changed").order_by(Event.id)]


def test_visits_before_somebody_is_known_count(track: Send, engine: Engine) -> None:
    visits = [{"type": "page", "anonymousId": "v1", "context": context} for context in (CAMPAIGN, INSIDE, FROM_BLOG)]
    track("batch", {"batch": visits})
    track("identify", {"anonymousId": "v1", "userId": "ada", "context": INSIDE})
    found = standing(engine, "ada")
    assert (found.first.utm_campaign, found.first.landing_page, found.last.referrer) == ("spring", "shop.example/a", "blog.example/x")
    assert told(engine) == [], "one batch made the contact and all of it"
    track("page", {"userId": "ada", "context": {"campaign": {"source": "ads"}}})
    assert told(engine) == [{"touch": "last", "kind": "campaign", "source": "ads"}]


def test_late_history_becomes_the_first_touch_and_never_the_last(track: Send, engine: Engine) -> None:
    track("track", {"userId": "ada", "event": "E", "timestamp": "2026-11-01T00:00:00Z"})
    assert standing(engine, "ada").first.kind == "api"
    track("import", {"batch": [{"type": "page", "userId": "ada", "timestamp": "2026-10-01T00:00:00Z", "context": FROM_BLOG}]})
    track("import", {"batch": [{"type": "page", "userId": "ada", "timestamp": "2026-09-01T00:00:00Z", "context": CAMPAIGN}]})
    found = standing(engine, "ada")
    assert (found.first.utm_source, found.last.referrer) == ("news", "blog.example/x")


def test_two_statements_whatever_the_size_of_a_batch_and_none_where_nobody_came(engine: Engine) -> None:
    now = engine.clock.now()

    def write(size: int, context: dict[str, Any]) -> list[str]:
        raw = [{"userId": f"u{number}", "event": "E", "context": context} for number in range(size)]
        calls = [read_event(one, "track", Envelope(now, "key:k")) for one in raw]
        with statements(engine.db) as seen, engine.db.write() as session:
            store(engine, session, calls, now, Learner())
        return [one for one in seen if "lead_source" in one and "SELECT count" not in one]

    assert len(write(2, {})) == len(write(20, {})) == 2
    assert write(20, {}) == []
    assert len(write(20, CAMPAIGN)) == 2
