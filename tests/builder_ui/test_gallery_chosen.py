"""The journeys of the gallery taken into an empty workspace, through the pages: what must be chosen is said, and once it is chosen they run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.versions import publish
from journeys.templates import gallery
from locales import translator
from models import Database
from settings import Settings
from tests.builder_ui.conftest import Town, make_engine
from tests.plans import no_table_is_read_whole
from workspace import members

CHOICES = {"mql_to_sql": [("owner", "pool"), ("call", "escalate_to"), ("escalate", "to.0")]}
"""Journey -> the fields (step and path) that name something of the demo's workspace."""


@pytest.fixture
def engine(sqlite_base: Path, settings: Settings, tmp_path: Path) -> Iterator[Engine]:
    """Over a workspace in which nobody has done anything."""
    shutil.copyfile(sqlite_base, tmp_path / "empty.db")
    db = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with no_table_is_read_whole(db):
        yield make_engine(db, settings)
    db.close()


def cases() -> Iterator[Any]:
    """Every journey; in both languages where something must be chosen first, since that is said in sentences."""
    for n, entry in enumerate(gallery()):
        for language in ("en", "de") if entry.key in CHOICES else ("en", "de")[n % 2 :][:1]:
            yield pytest.param(language, entry, id=f"{language}-{entry.key}")


@pytest.fixture
def town(request: pytest.FixtureRequest, engine: Engine) -> Town:
    """Somebody who administers and somebody who markets, who reads the language."""
    now = engine.clock.now()
    town = Town(engine, None, now)  # type: ignore[arg-type]
    with engine.db.write() as session:
        for name, role in (("Ada Admin", "admin"), ("Mara Marti", "marketer")):
            member = members.add_member(session, name, f"{role}@example.com", role, now, locale=request.param)
            member.preferences = {"tour": "done"}
            town.members[role] = member.id
    return town


def language_of(town: Town) -> str:
    with town.db.read() as session:
        return members.get_member(session, town.members["marketer"]).locale


def problems(town: Town, key: str) -> list[Any]:
    with town.db.read() as session:
        draft = publish.get_journey(session, key).draft
        return [issue for issue in publish.check_draft(town.engine, session, draft) if issue.severity == "error"]


def select_step(page: Any, step: str) -> None:
    [target] = [node["eventHandlers"]["onEvent"]["target"] for node in page.nodes() if node.get("tagName") == "Canvas"]
    page.send({"type": "layout-event", "target": target, "data": [json.dumps({"type": "select", "ids": [step]})]})
    page.see()


def field(page: Any, step: str, path: str) -> Any:
    wanted = f"pfb-{step}-{path.replace('.', '-')}"
    found = [node for node in page.nodes() if node.get("attributes", {}).get("id") == wanted]
    return found[0] if found else None


def choose(page: Any, step: str, path: str, value: str) -> None:
    target = field(page, step, path)["eventHandlers"]["onChange"]["target"]
    page.send({"type": "layout-event", "target": target, "data": [{"target": {"value": value}}]})
    page.see()


def offered(page: Any, step: str, path: str) -> list[str]:
    return [option["attributes"]["value"] for option in field(page, step, path)["children"]]


@pytest.mark.parametrize(("town", "entry"), list(cases()), indirect=["town"])
def test_a_journey_of_the_gallery_is_chosen_through_and_published(
    log_in: Any, opened: Any, town: Town, settings: Settings, entry: Any
) -> None:
    client, german = log_in("marketer"), translator(language_of(town))
    form = {"key": entry.key, "name": entry.name, "template": entry.key}
    assert client.post("/ui/gallery", data=form, headers={"origin": settings.public_url}).status_code == 303
    wanted = CHOICES.get(entry.key, [])
    found = problems(town, entry.key)
    assert {(issue.node_id, issue.field) for issue in found} == set(wanted)
    with town.db.write() as session:
        members.put_rotation(session, "team", [town.members["marketer"]], "Team")
    values = {"pool": "team"}
    for issue in found:
        with opened(client, f"/ui/journeys/{entry.key}/edit") as page:
            select_step(page, issue.node_id)
            while field(page, issue.node_id, issue.field) is None:
                page.see()
            assert issue.say(german) in page.text
            assert issue.say(german) != issue.message or language_of(town) == "en"
            value = values.get(issue.field, town.members["admin"])
            assert value in offered(page, issue.node_id, issue.field)
            choose(page, issue.node_id, issue.field, value)
            while issue in problems(town, entry.key):
                page.see()
    with opened(client, f"/ui/journeys/{entry.key}/edit") as page:
        page.press(german("Publish …"))
        page.see_until(german("Publish now"))
        page.press(german("Publish now"))
        while publish_state(town, entry.key) != "live":
            page.see()
    assert problems(town, entry.key) == []


def publish_state(town: Town, key: str) -> str:
    with town.db.read() as session:
        return publish.get_journey(session, key).state
