"""The look at every statement's plan (tests/plans.py) tells a table that is read whole from one where rows are looked up."""

from __future__ import annotations

import pytest

from models import Database
from tests.plans import read_whole


@pytest.mark.parametrize(
    ("statement", "whole"),
    [
        ("SELECT id FROM task WHERE title = 'Call'", {"task"}),
        ("UPDATE message SET reason = '' WHERE subject = 'Hello'", {"message"}),
        ("SELECT id FROM task WHERE id = 'a'", set()),
        ("SELECT id FROM run WHERE contact_id = 'a'", set()),
        ("UPDATE event SET routed = true WHERE contact_id = 'a'", set()),
    ],
)
def test_what_no_index_serves_is_read_whole(db: Database, statement: str, whole: set[str]) -> None:
    with db.engine.connect() as connection:
        assert read_whole(connection, statement, {} if connection.dialect.name == "postgresql" else ()) == whole
