"""What stands around all pages: the search, the tour, the theme, titles with the name of the thing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from builder_ui import tour
from crm.segments import segments
from engine.versions import publish
from models import Member, Run, Task


def ours(settings: Any) -> dict[str, str]:
    return {"origin": settings.public_url}


def title(client: Any, path: str) -> str:
    found = re.search("<title>(.*)</title>", client.get(path).text)
    assert found
    return found[1]


def test_titles_name_the_thing(log_in: Any, town: Any) -> None:
    client = log_in("admin")
    assert title(client, "/ui/journeys/welcome") == "Welcome · Journey · Pfadwerk"
    assert title(client, "/ui/journeys/welcome/edit") == "Welcome · Builder · Pfadwerk"
    assert title(client, f"/ui/contacts/{town.people['Anna']}") == "Anna Meier · Contact · Pfadwerk"
    assert title(client, f"/ui/runs/{town.run_of('Anna')}") == "Anna Meier · Welcome · Run · Pfadwerk"
    assert title(client, "/ui/journeys/none") == "Journey · Pfadwerk"
    assert title(client, "/ui/outbox/1").endswith(" · Message · Pfadwerk")


# Search


def found(client: Any, text: str) -> dict[str, list[str]]:
    answer = client.get("/ui/find", params={"q": text})
    assert answer.status_code == 200
    return {group["title"]: [hit["href"] for hit in group["hits"]] for group in answer.json()["groups"]}


def test_everything_is_found_where_it_is(log_in: Any, town: Any) -> None:
    client, anna, run = log_in("viewer"), town.people["Anna"], town.run_of("Anna")
    assert found(client, "welc")["Journeys"] == ["/ui/journeys/welcome"]
    assert found(client, "read the FIRST")["Journeys"] == ["/ui/journeys/welcome"]
    assert found(client, "ann")["Contacts"] == [f"/ui/contacts/{anna}"]
    assert found(client, "ANNA@mail.exam")["Contacts"] == [f"/ui/contacts/{anna}"]
    assert found(client, "meier anna")["Contacts"] == [f"/ui/contacts/{anna}"]
    assert found(client, anna[:12])["Contacts"][0].startswith("/ui/contacts/")
    assert found(client, run) == {"Runs": [f"/ui/runs/{run}"]}
    assert found(client, "call julia")["Tasks"] == ["/ui/tasks?owner=all"]
    assert found(client, "1") == {}
    assert "/ui/outbox/1" in found(client, "01")["Messages"]
    with town.db.write() as session:
        segments.create(session, "Regular buyers", None, "test", town.now)
    assert found(client, "REGULAR b")["Segments"] == ["/ui/segments/regular-buyers"]
    assert "/ui/templates/welcome-2-tips" in found(client, "welcome-2-T")["Templates"]


def test_a_phone_number_is_found_as_people_write_it(log_in: Any, town: Any) -> None:
    id = town.person("Petra", "Fon", phone="+41 44 668 18 00")
    client = log_in("viewer")
    for text in ("+41 44 668", "0041 44 668 18 00", "+41446681800"):
        assert found(client, text)["Contacts"] == [f"/ui/contacts/{id}"]


@pytest.mark.parametrize(
    "text", ["", "x", "%", "%%", "__", "\\\\", "\0\0\0", "'; DROP TABLE run", "🙂🙂", "a" * 5_000, '"', "\ud800x", "9" * 40]
)
def test_strange_questions_have_answers(log_in: Any, text: str) -> None:
    client = log_in("viewer")
    answer = client.get("/ui/find", params={"q": text.encode("utf-8", "surrogatepass")})
    assert answer.status_code == 200
    assert answer.json()["groups"] == []


def test_erased_and_archived_ones_are_not_found(log_in: Any, town: Any) -> None:
    from crm.privacy.erasure import erase

    with town.db.write() as session:
        publish.archive(session, "survey", "test", town.now)
        erase(session, town.people["Ivan"], town.now, by="test")
    client = log_in("viewer")
    assert "Journeys" not in found(client, "survey")
    assert "Contacts" not in found(client, "ivan")


def test_strangers_find_nothing(client: Any, town: Any) -> None:
    assert client.get("/ui/find", params={"q": "anna"}).status_code == 401


def test_the_page_of_results_is_grouped_and_counted(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("viewer"), "/ui/search?q=welcome") as page:
        assert "“welcome”" in page.text
        addresses = [node["attributes"]["href"] for node in page.nodes() if "href" in node.get("attributes", {})]
        assert "/ui/journeys/welcome" in addresses
    with opened(log_in("viewer"), "/ui/search?q=nothinglikethis") as page:
        assert "No results." in page.text


# Tour and theme


def begin(town: Any, role: str = "viewer") -> None:
    with town.db.write() as session:
        session.get_one(Member, town.members[role]).preferences = {}


def test_the_tour_leads_over_the_real_pages_once(log_in: Any, town: Any, settings: Any) -> None:
    begin(town)
    client = log_in("viewer")
    assert "Tour, step 1 of 5" in client.get("/ui/journeys").text
    assert "Tour, step" not in client.get("/ui/contacts").text
    here = "/ui/journeys"
    for number, page in ((2, r"/ui/journeys/[\w-]+"), (3, r"/ui/journeys/[\w-]+/edit"), (4, r"/ui/runs/\w+"), (5, "/ui/outbox")):
        answer = client.post(f"/ui/tour/{number}", headers=ours(settings))
        here = answer.headers["location"]
        assert re.fullmatch(page, here)
        assert f"Tour, step {number} of 5" in client.get(here).text
    assert client.post(f"/ui/tour/done?from={here}", headers=ours(settings)).headers["location"] == here
    assert "Tour, step" not in client.get(here).text
    assert "Tour, step" not in client.get("/ui/journeys").text
    client.post("/ui/tour/1", headers=ours(settings))
    assert "Tour, step 1 of 5" in client.get("/ui/journeys").text


def test_the_tour_leaves_out_what_is_not_there(town: Any) -> None:
    with town.db.write() as session:
        assert tour.address(session, 4)[0] == "4"
        session.execute(publish.update(publish.Journey).values(archived_at=town.now))
        assert tour.address(session, 2) == ("4", f"/ui/runs/{session.scalar(publish.select(Run.id).order_by(Run.id.desc()).limit(1))}")


@pytest.mark.parametrize("path", ["/ui/tour/6", "/ui/tour/x", "/ui/theme/pink"])
def test_what_is_not_offered_is_refused(log_in: Any, settings: Any, path: str) -> None:
    assert log_in("viewer").post(path, headers=ours(settings)).status_code == 403


@pytest.mark.parametrize("path", ["/ui/tour/1", "/ui/theme/dark"])
def test_forms_of_other_sites_change_nothing(log_in: Any, town: Any, path: str) -> None:
    assert log_in("viewer").post(path, headers={"origin": "http://evil.example"}).status_code == 403
    assert log_in("viewer").post(path).status_code == 403
    with town.db.read() as session:
        assert session.get_one(Member, town.members["viewer"]).preferences == {"tour": "done"}


def test_a_theme_is_remembered_and_drawn_with_the_page(log_in: Any, settings: Any) -> None:
    client = log_in("viewer")
    assert '<html lang="en">' in client.get("/ui/journeys").text
    assert client.post("/ui/theme/dark?from=/ui/tasks", headers=ours(settings)).headers["location"] == "/ui/tasks"
    assert '<html lang="en" class="dark">' in client.get("/ui/journeys").text
    client.post("/ui/theme/system", headers=ours(settings))
    assert '<html lang="en">' in client.get("/ui/journeys").text


def test_a_page_that_does_not_exist_has_the_menu_too(log_in: Any) -> None:
    answer = log_in("viewer").get("/ui/nowhere")
    assert answer.status_code == 404
    assert "shell.js" in answer.text


def test_tasks_that_are_done_are_not_looked_for(log_in: Any, town: Any) -> None:
    with town.db.write() as session:
        for task in session.scalars(publish.select(Task)):
            task.state = "finished"
            session.add(task)
    assert "Tasks" not in found(log_in("viewer"), "call julia")
