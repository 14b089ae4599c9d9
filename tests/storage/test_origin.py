"""Where events came from, by ids that stay, and what people call it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models import Database, Import
from storage.origin import MOST_HOPS, names_of, read_hops
from workspace.api_keys import add_key, rotate_key

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hops"), [("", 0), ("3", 3), ("-1", 0), ("x", 0), ("²", 0), ("1.5", 0), (" 3", 0), ("9" * 400, MOST_HOPS)]
)
def test_hops_are_read_from_what_anybody_may_send(text: str, hops: int) -> None:
    assert read_hops(text) == hops


def test_a_source_is_called_as_its_key_or_its_file_is_called_today(db: Database) -> None:
    with db.write() as session:
        first, _ = add_key(session, "server", "Shop", NOW)
        second, _ = rotate_key(session, first.id, NOW)
        assert second.source == first.source == f"key:{first.id}"
        second.name = "Web shop"
        row = Import(file_name="people.csv", mapping={}, created_at=NOW)
        session.add_all([second, row])
        session.flush()
        asked = {first.source, f"import:{row.id}", "key:gone", "import:gone", "system"}
        assert names_of(session, asked) == {first.source: "Web shop", f"import:{row.id}": "people.csv"}
        assert names_of(session, []) == {}


def test_a_key_from_before_there_were_ids_is_known_by_the_word_it_was_called(db: Database) -> None:
    with db.write() as session:
        for word in ("Shop", "system"):
            key, _ = add_key(session, "server", word, NOW)
            key.source, key.name = word, f"{word}, renamed"
        session.flush()
        assert names_of(session, {"Shop", "system", "test", ""}) == {"Shop": "Shop, renamed"}, "a word of ours is nobody's name"
