"""`pfadwerk pull` and `push`: a workspace as files, and back, without losing what somebody else did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from activities.templates import library
from commands.workspace import engine
from engine.versions import publish as publishing
from models import Journey, Version
from settings import Settings


@pytest.fixture
def folder(run, demo, tmp_path) -> Path:
    """The demo workspace as files."""
    folder = tmp_path / "repo"
    assert run("pull", "--to", folder).code == 0
    return folder


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def edit_in_builder(home: Path, key: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Somebody saves the draft in the workspace."""
    with engine(Settings(home=home)) as live, live.db.write() as session:
        journey = publishing.get_journey(session, key)
        draft = json.loads(json.dumps(journey.draft))
        change(draft)
        publishing.save_draft(session, journey.id, draft, journey.revision, "somebody", live.clock.now())


def name_of(home: Path, key: str) -> str:
    with engine(Settings(home=home)) as live, live.db.read() as session:
        return str(publishing.get_journey(session, key).draft["name"])


def all_files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_a_pull_writes_journeys_and_templates_that_read_well(folder):
    files = all_files(folder)
    assert {"welcome.json", "templates/welcome-1-hello/template.json", "templates/welcome-1-hello/de.mjml"} <= set(files)
    text = files["welcome.json"].decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, indent=2) + "\n"
    assert json.loads(files["templates/welcome-1-hello/template.json"])["variants"]["de"]["subject"]


def test_a_second_pull_changes_nothing_and_a_push_of_it_neither(run, folder):
    before = all_files(folder)
    again = run("pull", "--to", folder, "--json")
    assert json.loads(again.out)["written"] == []
    pushed = run("push", folder, "--json")
    assert pushed.code == 0
    assert {item["what"] for item in json.loads(pushed.out)["items"]} == {"unchanged"}
    assert all_files(folder) == before


def test_a_pull_of_one_key_takes_its_templates_only(run, demo, tmp_path):
    assert run("pull", "cart_abandonment", "--to", tmp_path / "one").code == 0
    assert set(all_files(tmp_path / "one")) == {
        ".pfadwerk.json",
        "cart_abandonment.json",
        *(f"templates/{key}/{name}" for key in ("cart-1-reminder", "cart-2-incentive") for name in ("de.mjml", "en.mjml", "template.json")),
    }
    assert run("pull", "no_such_key", "--to", tmp_path / "none").code == 1
    assert not (tmp_path / "none").exists()


def test_a_push_says_what_changes_and_saves_a_draft(run, demo, folder):
    edit(folder / "welcome.json", lambda data: data["nodes"]["a_day"].update(duration="P2D"))
    ran = run("push", folder / "welcome.json")
    assert ran.code == 0
    assert "Journey welcome: changed" in ran.out
    assert "In the step a_day, “duration” changes from P1D to P2D." in ran.out
    assert "--publish" in ran.out
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        journey = session.scalars(select(Journey).where(Journey.key == "welcome")).one()
        assert (journey.revision, journey.live_version) == (2, 1)


def test_a_dry_run_says_what_publishing_would_bring(run, demo, folder):
    rule = {"field": "lifecycle_stage", "operator": "!=", "value": "nowhere"}
    edit(folder / "welcome.json", lambda data: data["entry"]["triggers"].append({"type": "schedule", "cron": "0 * * * *", "rule": rule}))
    ran = run("push", folder / "welcome.json", "--publish", "--dry-run")
    assert "Publishing itself enrols no one and sends nothing." in ran.out
    assert "would enter" in ran.out
    [item] = json.loads(run("push", folder / "welcome.json", "--publish", "--dry-run", "--json").out)["items"][-1:]
    assert (item["ahead"]["version"], item["ahead"]["coming"][0]["trigger"]) == (2, "schedule")
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        assert publishing.get_journey(session, "welcome").live_version == 1


def test_a_dry_run_fills_in_what_people_wrote_within_limits(run, demo, folder, monkeypatch):
    """As everywhere: a template that takes too much is said to, and the command ends."""
    rule = {"field": "lifecycle_stage", "operator": "!=", "value": "nowhere"}
    edit(folder / "welcome.json", lambda data: data["entry"]["triggers"].append({"type": "schedule", "cron": "0 * * * *", "rule": rule}))
    hello = folder / "templates" / "welcome-1-hello"
    for text in hello.glob("*.mjml"):
        text.write_text(text.read_text().replace("</mj-text>", "{{ contact.first_name }}" * 10_000 + "</mj-text>", 1))
    assert run("push", hello).code == 0
    limits = Settings().render_limits() | {"cpu_seconds": 0.2, "deadline_seconds": 60.0}  # what is late on a busy machine is another story
    monkeypatch.setattr(Settings, "render_limits", lambda _: limits)
    ran = run("push", folder / "welcome.json", "--publish", "--dry-run")
    assert (ran.code, "render_too_long" in ran.out) == (0, True), ran


def test_a_publication_does_not_look_ahead_and_a_dry_run_that_cannot_says_so(run, demo, folder):
    """Drafts are stored by then: what comes between them and their publication may not fail."""

    def lost(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM tally" in statement:
            raise OperationalError(statement, {}, Exception("gone"))

    edit(folder / "welcome.json", lambda data: data["nodes"]["a_day"].update(duration="P2D"))
    event.listen(Engine, "before_cursor_execute", lost)
    try:
        dry = run("push", folder / "welcome.json", "--publish", "--dry-run")
        published = run("push", folder / "welcome.json", "--publish")
    finally:
        event.remove(Engine, "before_cursor_execute", lost)
    assert (dry.code, "could not be counted" in dry.out) == (0, True)
    assert (published.code, "(version 2)" in published.out) == (0, True)


def test_publishing_makes_a_version_once(run, demo, folder):
    edit(folder / "welcome.json", lambda data: data["nodes"]["a_day"].update(duration="P2D"))
    assert "(version 2)" in run("push", folder / "welcome.json", "--publish").out
    assert "(version 2)" in run("push", folder / "welcome.json", "--publish").out
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        journey = publishing.get_journey(session, "welcome").id
        assert session.scalars(select(Version.number).where(Version.journey_id == journey).order_by(Version.number)).all() == [1, 2]


def test_a_dry_run_writes_nothing(run, demo, folder):
    edit(folder / "welcome.json", lambda data: data.update(name="Other"))
    ran = run("push", folder, "--dry-run")
    assert ran.code == 0
    assert "name changes from Welcome to Other" in ran.out
    assert name_of(demo, "welcome") == "Welcome"


def test_what_somebody_changed_meanwhile_is_a_conflict_and_nothing_is_pushed(run, demo, folder):
    edit_in_builder(demo, "welcome", lambda draft: draft.update(name="Theirs"))
    edit(folder / "welcome.json", lambda data: data.update(name="Ours"))
    edit(folder / "cart_abandonment.json", lambda data: data.update(name="Ours"))
    ran = run("push", folder)
    assert ran.code == 4
    assert "Journey welcome: changed here and in the workspace" in ran.out
    assert name_of(demo, "welcome") == "Theirs"
    assert name_of(demo, "cart_abandonment") == "Cart abandonment"
    assert run("push", folder, "--force").code == 0
    assert name_of(demo, "welcome") == "Ours"
    assert run("push", folder).code == 0


def test_after_a_pull_the_conflict_is_over(run, demo, folder):
    edit_in_builder(demo, "welcome", lambda draft: draft.update(name="Theirs"))
    assert run("pull", "--to", folder).code == 0
    edit(folder / "welcome.json", lambda data: data.update(name="Both"))
    assert run("push", folder).code == 0
    assert name_of(demo, "welcome") == "Both"


def test_templates_are_compiled_versioned_and_protected_alike(run, demo, folder):
    body = folder / "templates" / "welcome-1-hello" / "en.mjml"
    body.write_text(
        body.read_text().replace("</mj-body>", "<mj-section><mj-column><mj-text>P.S.</mj-text></mj-column></mj-section></mj-body>")
    )
    ran = run("push", folder / "templates" / "welcome-1-hello")
    assert "Template welcome-1-hello: changed (version 2)" in ran.out
    with engine(Settings(home=demo)) as live:
        with live.db.read() as session:
            stored = library.get(session, "welcome-1-hello")
        variants = {**stored.variants, "en": {**stored.variants["en"], "subject": "Theirs"}}
        library.save(
            live.db, stored.key, variants, name="W", kind="email", message_class="marketing", actor="somebody", now=live.clock.now()
        )
    body.write_text(body.read_text().replace("P.S.", "P.P.S."))
    assert run("push", folder / "templates" / "welcome-1-hello").code == 4


def test_one_bad_file_and_nothing_is_pushed(run, demo, folder):
    edit(folder / "cart_abandonment.json", lambda data: data.update(name="Ours"))
    (folder / "templates" / "welcome-1-hello" / "de.mjml").write_text("<mjml><mj-body>{{ unclosed </mj-body></mjml>")
    ran = run("push", folder)
    assert ran.code == 1
    assert "welcome-1-hello" in ran.err
    assert name_of(demo, "cart_abandonment") == "Cart abandonment"


def test_a_journey_with_errors_is_a_draft_but_is_not_published(run, demo, folder):
    edit(folder / "welcome.json", lambda data: data["nodes"]["a_day"].pop("duration"))
    assert run("push", folder / "welcome.json").code == 0
    ran = run("push", folder / "welcome.json", "--publish")
    assert ran.code == 1
    assert "a_day.duration: error: " in ran.out
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        assert publishing.get_journey(session, "welcome").live_version == 1


def test_a_new_journey_and_its_template_come_from_files(run, demo, folder, tmp_path):
    fresh = tmp_path / "fresh"
    new = fresh / "templates" / "hi"
    new.mkdir(parents=True)
    for name in ("template.json", "en.mjml", "de.mjml"):
        (new / name).write_text((folder / "templates" / "welcome-1-hello" / name).read_text())
    document = {
        "spec": 1,
        "key": "fresh",
        "name": "Fresh",
        "entry": {"triggers": [{"type": "manual"}]},
        "start": "hi",
        "nodes": {"hi": {"kind": "send_email", "template": "hi"}, "end": {"kind": "exit"}},
        "edges": [{"from": "hi", "outlet": "sent", "to": "end"}],
    }
    (fresh / "fresh.json").write_text(json.dumps(document))
    ran = run("push", fresh / "fresh.json", "--publish", "--json")
    assert ran.code == 0, ran.out + ran.err
    assert [(item["noun"], item["what"], item["version"]) for item in json.loads(ran.out)["items"]] == [
        ("template", "new", 1),
        ("journey", "new", 1),
    ]


INCLUDE = '<mj-include path="partial:{}" />'


def piece(text: str) -> str:
    return f"<mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section>"


def put_partial(folder: Path, key: str, mjml: str) -> None:
    place = folder / "templates" / key
    place.mkdir(parents=True, exist_ok=True)
    (place / "template.json").write_text(json.dumps({"name": key.title(), "kind": "partial", "variants": {"default": {}}}))
    (place / "default.mjml").write_text(mjml + "\n")


def include_in_the_mail(folder: Path, key: str) -> None:
    file = folder / "templates" / "welcome-1-hello" / "de.mjml"
    file.write_text(file.read_text().replace("</mj-body>", f"{INCLUDE.format(key)}</mj-body>"))


def test_partials_are_pushed_before_what_includes_them(run, demo, folder):
    put_partial(folder, "zz-address", piece("Street"))
    put_partial(folder, "footer", piece("Bye") + INCLUDE.format("zz-address"))
    include_in_the_mail(folder, "footer")
    done = run("push", folder)
    assert done.code == 0
    assert done.out.index("zz-address: new") < done.out.index("footer: new") < done.out.index("welcome-1-hello: changed")
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        assert "Street" in library.load(session, "welcome-1-hello").variants["de"].text


def test_a_journey_brings_the_partials_of_its_mails_along(run, demo, folder, tmp_path):
    put_partial(folder, "zz-address", piece("Street"))
    put_partial(folder, "footer", INCLUDE.format("zz-address"))
    include_in_the_mail(folder, "footer")
    assert run("push", folder / "welcome.json").code == 0
    assert run("pull", "welcome", "--to", tmp_path / "other").code == 0
    files = all_files(tmp_path / "other")
    assert {"templates/footer/default.mjml", "templates/zz-address/default.mjml"} <= set(files)
    assert files["templates/footer/default.mjml"] == (folder / "templates/footer/default.mjml").read_bytes()


def test_a_broken_partial_and_nothing_is_pushed(run, demo, folder):
    put_partial(folder, "footer", piece("<script></script>"))
    include_in_the_mail(folder, "footer")
    done = run("push", folder)
    assert done.code != 0
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        assert library.latest(session, "welcome-1-hello") == 1
        assert library.latest(session, "footer") == 0


def test_partials_that_include_each_other_are_not_pushed(run, demo, folder):
    put_partial(folder, "one", INCLUDE.format("two"))
    put_partial(folder, "two", INCLUDE.format("one"))
    done = run("push", folder)
    assert done.code != 0
    assert "would include itself" in done.out + done.err
