"""New journeys through plain forms: each leads into the builder, or back with what was wrong; nobody else's form counts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from engine.engine import NewJourney
from engine.versions import publish
from journeys.errors import NotFound
from journeys.templates import AIMS, gallery
from models import Template
from settings import Settings


@pytest.fixture
def ours(settings: Settings) -> dict[str, str]:
    return {"origin": settings.public_url}


def draft(town: Any, key: str) -> dict[str, Any]:
    with town.db.read() as session:
        return dict(publish.get_journey(session, key).draft)


def test_a_journey_begins_from_nothing(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    answer = log_in("marketer").post("/ui/gallery", data={"key": "birth_2", "name": "Birthday"}, headers=ours)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/journeys/birth_2/edit")
    assert draft(town, "birth_2")["start"] == "exit"


def test_a_gallery_journey_brings_its_messages_and_has_no_errors(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    with town.db.write() as session:
        for template in session.scalars(select(Template).where(Template.key == "cart-1-reminder")):
            template.name = "Changed here"
    answer = log_in("marketer").post("/ui/gallery", data={"key": "carts", "name": "Carts", "template": "cart_abandonment"}, headers=ours)
    assert answer.headers["location"] == "/ui/journeys/carts/edit"
    with town.db.read() as session:
        assert not [issue for issue in publish.check_draft(town.engine, session, draft(town, "carts")) if issue.severity == "error"]
        assert session.get_one(Template, "cart-1-reminder").name == "Changed here"


def test_an_exported_file_comes_back_under_another_key(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    client = log_in("marketer")
    exported = client.get("/api/v1/journeys/welcome/document")
    assert exported.status_code == 200, exported.text
    answer = client.post(
        "/ui/gallery/import", data={"key": "welcome_again"}, files={"file": ("welcome.json", exported.content)}, headers=ours
    )
    assert answer.headers["location"] == "/ui/journeys/welcome_again/edit"
    before, after = draft(town, "welcome"), draft(town, "welcome_again")
    assert {name: after[name] for name in before if name != "key"} == {name: before[name] for name in before if name != "key"}


def test_a_copy_is_made_under_its_own_key(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    answer = log_in("marketer").post("/ui/journeys/welcome/duplicate", data={"key": "welcome_copy"}, headers=ours)
    assert answer.headers["location"] == "/ui/journeys/welcome_copy/edit"
    assert draft(town, "welcome_copy")["nodes"] == draft(town, "welcome")["nodes"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"not json", "invalid"),
        (b"[]", "invalid"),
        (b'{"key": 7}', "invalid"),
        (json.dumps({"spec": 1, "key": "welcome", "name": "W"}).encode(), "taken"),
    ],
)
def test_a_bad_file_is_refused_with_a_sentence(log_in: Any, ours: dict[str, str], content: bytes, problem: str) -> None:
    client = log_in("marketer")
    answer = client.post("/ui/gallery/import", data={"key": ""}, files={"file": ("x.json", content)}, headers=ours)
    assert answer.headers["location"] == f"/ui/gallery?problem={problem}"


@pytest.mark.parametrize(("key", "problem"), [("welcome", "taken"), ("Groß", "key"), ("a" * 65, "key"), ("../x", "key")])
def test_a_bad_key_is_refused(log_in: Any, ours: dict[str, str], key: str, problem: str) -> None:
    answer = log_in("marketer").post("/ui/gallery", data={"key": key, "name": "x"}, headers=ours)
    assert answer.headers["location"] == f"/ui/gallery?problem={problem}"


def test_only_those_who_may_and_only_from_our_pages(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    form = {"key": "sneaky", "name": "x"}
    assert log_in("marketer").post("/ui/gallery", data=form, headers={"origin": "https://evil.example"}).status_code == 403
    assert log_in("viewer").post("/ui/gallery", data=form, headers=ours).headers["location"] == "/ui/gallery?problem=role"
    with pytest.raises(NotFound):
        draft(town, "sneaky")


def sections(page: Any) -> list[tuple[str, list[str]]]:
    """The headings of the gallery with the cards under them."""

    def headings(node: Any, level: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        if node["tagName"] == level:
            return ["".join(node["children"])]
        return [text for child in node.get("children", ()) for text in headings(child, level)]

    found = [node for node in page.nodes() if node.get("tagName") == "section"]
    return [(headings(node, "h2")[0], headings(node, "h3")) for node in found]


def test_the_gallery_shows_every_journey_and_free_keys(log_in: Any, opened: Any) -> None:
    with opened(log_in("marketer"), "/ui/gallery") as page:
        for name in ("Welcome", "Cart abandonment", "MQL to SQL", "Re-engagement", "Blank journey", "From a file"):
            assert name in page.text
        own, *aimed = sections(page)
        assert own == ("Start from scratch", ["Blank journey", "From a file"])
        assert aimed == [(aim.title, [entry.name for entry in gallery() if entry.aim == aim]) for aim in AIMS]
    with opened(log_in("viewer"), "/ui/gallery") as page:
        assert "Your role does not allow this." in page.text


def test_a_journey_begun_on_the_pages_gets_the_zone_and_the_patience_of_the_installation(
    log_in: Any, town: Any, ours: dict[str, str]
) -> None:
    town.engine.new_journey = NewJourney("Asia/Tokyo", timedelta(hours=36))
    log_in("marketer").post("/ui/gallery", data={"key": "fresh", "name": "Fresh"}, headers=ours)
    settings = draft(town, "fresh")["settings"]
    assert (settings["timezone"], settings["hold_at_most"]) == ("Asia/Tokyo", "P1DT12H")


def test_without_a_key_it_is_made_from_the_name_and_copies_can_be_told_apart(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    client = log_in("marketer")
    made = [client.post("/ui/gallery", data={"name": "Nach dem Kauf", "key": ""}, headers=ours).headers["location"] for _ in range(2)]
    assert made == ["/ui/journeys/nach_dem_kauf/edit", "/ui/journeys/nach_dem_kauf_2/edit"]
    copies = [client.post("/ui/journeys/welcome/duplicate", headers=ours).headers["location"] for _ in range(2)]
    assert copies == ["/ui/journeys/welcome_copy/edit", "/ui/journeys/welcome_copy_2/edit"]
    assert [draft(town, key)["name"] for key in ("welcome_copy", "welcome_copy_2")] == ["Welcome (copy)", "Welcome (copy 2)"]
