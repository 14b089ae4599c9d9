"""The tally of a database that is older than it: filled from what happened before."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from models import Database, migrate
from storage import tally

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).isoformat(sep=" ")[:26]

OLD = f"""
INSERT INTO contact (id, attributes, created_at, updated_at, demo) VALUES ('c', '{{}}', '{NOW}', '{NOW}', 0);
INSERT INTO journey (id, key, name, folder, draft, revision, state, created_at, updated_at, updated_by)
    VALUES ('j', 'j', 'J', '', '{{}}', 1, 'live', '{NOW}', '{NOW}', '');
INSERT INTO version (id, journey_id, number, digest, document, pins, note, published_at, published_by)
    VALUES ('v', 'j', 1, '', '{{}}', '{{}}', '', '{NOW}', '');
INSERT INTO run (id, journey_id, version_id, version_number, contact_id, run_key, trigger, hops, status, step, node, state, instruction,
    reason, error, started_at, ended_at, goal_at, updated_at)
    VALUES ('r1', 'j', 'v', 1, 'c', '', '{{}}', 0, 'active', 2, 'day', '{{}}', '{{}}', '', '', '{NOW}', NULL, NULL, '{NOW}'),
           ('r2', 'j', 'v', 1, 'c', '', '{{}}', 0, 'ended', 2, 'day', '{{}}', '{{}}', '', '', '{NOW}', '{NOW}', '{NOW}', '{NOW}'),
           ('r3', 'j', 'v', 1, 'c', '', '{{}}', 0, 'held_out', 0, '', '{{}}', '{{}}', '', '', '{NOW}', '{NOW}', '{NOW}', '{NOW}');
INSERT INTO trail (run_id, step, seq, version_id, at, node, what, outlet, detail)
    VALUES ('r1', 1, 0, 'v', '{NOW}', 'hello', 'entered', '', '{{}}'), ('r1', 2, 0, 'v', '{NOW}', 'hello', 'left', 'sent', '{{}}'),
           ('r2', 1, 0, 'v', '{NOW}', 'hello', 'entered', '', '{{}}');
INSERT INTO refusal (journey_id, contact_id, reason, detail, refused_at) VALUES ('j', 'c', 'filter', '{{}}', '{NOW}');
INSERT INTO message (id, once_key, run_id, journey_id, version_number, node, contact_id, channel, purpose, message_class, cap_class, priority,
    template, locale, subject, status, reason, attempts, provider, provider_id, planned_at, sent_at, opened_at, answer, test)
    VALUES ('m1', 'k1', 'r1', 'j', 1, 'hello', 'c', 'email', '', '', '', 3, '', '', '', 'sent', '', 1, '', '', '{NOW}', '{NOW}', '{NOW}', '{{}}', 0),
           ('m2', 'k2', 'r2', 'j', 1, 'hello', 'c', 'email', '', '', '', 3, '', '', '', 'skipped', 'no_consent', 1, '', '', '{NOW}', NULL, NULL, '{{}}', 0);
"""


def test_an_older_database_is_counted_once_when_it_is_upgraded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrate.upgrade(url, "0001")
    with closing(Database(url)) as database, database.write() as session:
        for statement in OLD.split(";\n"):
            session.execute(text(statement.replace(":", r"\:")))
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.read() as session:
        found = tally.read(session, "j")
    assert (found.runs, found.ended, found.goal, found.inside, dict(found.refused)) == (2, 1, 1, 1, {"filter": 1})
    assert (found.held_out, found.held_out_goal) == (1, 1)
    hello = found.nodes["hello"]
    assert (hello.entered, dict(hello.left), hello.sent, hello.opened, dict(hello.skipped)) == (2, {"sent": 1}, 1, 1, {"no_consent": 1})
    assert (found.nodes["day"].waiting, hello.waiting) == (1, 0)
