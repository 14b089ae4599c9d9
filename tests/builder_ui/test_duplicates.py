"""The page of possible duplicates, and the way back from a merge."""

from __future__ import annotations

from typing import Any

import pytest

from crm.people import profile
from models import Contact


@pytest.fixture
def pair(town: Any) -> tuple[str, str]:
    """Anna and Ben have one telephone."""
    ids = town.people["Anna"], town.people["Ben"]
    with town.db.write() as session:
        for id in ids:
            profile.update_fields(session, id, {"phone": "+41446681899"}, town.engine.clock.now(), "test")
    return ids


def winner(town: Any, pair: tuple[str, str]) -> str:
    """Who stays: the first of the two on the page."""
    return min(pair)


def test_a_pair_is_merged_and_made_two_again(log_in: Any, opened: Any, town: Any, pair: tuple[str, str]) -> None:
    client = log_in("sales")
    with opened(client, "/ui/contacts/duplicates") as page:
        assert "dieselbe Telefonnummer" in page.text
        assert "Anna Meier" in page.text
        page.press("Zusammenführen")
        page.see_until("Die beiden sind jetzt ein Kontakt.")
    kept = winner(town, pair)
    with town.db.read() as session:
        assert {session.get_one(Contact, id).merged_into for id in pair} == {None, kept}
    with opened(client, f"/ui/contacts/{kept}?view=edit") as page:
        page.press("Wieder trennen")
        page.see_until("Es sind wieder zwei Kontakte.")
    with town.db.read() as session:
        assert {session.get_one(Contact, id).merged_into for id in pair} == {None}
    with opened(client, "/ui/contacts/duplicates") as page:
        assert "Keine möglichen Dubletten." in page.text


def test_two_people_are_remembered_as_two(log_in: Any, opened: Any, pair: tuple[str, str]) -> None:
    with opened(log_in("sales"), "/ui/contacts/duplicates") as page:
        page.press("Nicht dieselbe Person")
        page.see_until("Keine möglichen Dubletten.")


def test_who_may_only_look_decides_nothing(log_in: Any, opened: Any, pair: tuple[str, str]) -> None:
    with opened(log_in("viewer"), "/ui/contacts/duplicates?before=x") as page:
        assert "Anna Meier" in page.text
        assert "Not the same person" not in page.text
