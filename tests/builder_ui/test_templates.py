"""Templates without a browser: what the editor believes, stores and shows; the list; forms; frames; who may what."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import select

from activities.providers import Outbox
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler
from activities.sending.messages import MessageSettings as Sender
from activities.templates import library
from activities.templates import listing as shelf
from activities.templates.preview import MADE_UP, Trigger, invented
from activities.tracking import Tracking
from builder_ui.builder import lookups
from builder_ui.builder.protocol import MessageReader
from builder_ui.kit import template_frames
from builder_ui.kit.context import AppContext, PageContext, Post
from builder_ui.kit.i18n import translator_of
from builder_ui.templates import (
    blocks,
    findings,
    frames,
    head,
    label,
    languages,
    listing,
    looks,
    makers,
    page,
    snippets,
    source,
    versions,
    words,
)
from builder_ui.templates.protocol import Texts, parse
from builder_ui.templates.session import Writing, fetch
from engine.versions import publish
from journeys.errors import Conflict, NotFound
from locales import translator
from models import Audit, Member, OutboxItem, Template, TemplateVersion, Version
from settings import Settings
from tests.builder_ui.logins import login_of

KEY = "welcome-1-hello"
BODY = '<mjml><mj-body><mj-section><mj-column><mj-text>{text} <a href="{{{{ unsubscribe_url }}}}">x</a></mj-text></mj-column></mj-section></mj-body></mjml>'


def body(text: str) -> str:
    return BODY.format(text=text)


def context_of(town: Any, role: str = "marketer", key: str = KEY, path: str = "", **query: str) -> PageContext:
    with town.db.read() as session:
        member = session.get_one(Member, town.members[role])
    login = login_of(member)
    sender = Sender(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>", language="de")
    post = Post(sender, lambda: Outbox(town.db, town.engine.clock.now))
    app = AppContext(town.engine, login, lambda _wakeups: None, "http://127.0.0.1", post=post)
    return PageContext(app, member, "token", translator_of(member, "", "en"), path or f"/ui/templates/{key}", {"key": key}, query)


Story = Callable[[Writing], Coroutine[Any, Any, None]]


def written(town: Any, story: Story, role: str = "marketer", key: str = KEY) -> Writing:
    """Runs a story with an open editor."""
    context = context_of(town, role, key)

    async def run() -> Writing:
        writing = Writing(context, fetch(context))
        await story(writing)
        return writing

    return asyncio.run(run())


def texts(n: int = 1, kind: str = "texts", **more: Any) -> str:
    return json.dumps({"type": kind, "n": n, **more})


def stored(town: Any, key: str = KEY) -> Template:
    with town.db.read() as session:
        return library.get(session, key)


def test_what_is_typed_is_a_draft_until_it_is_saved(town: Any) -> None:
    async def story(writing: Writing) -> None:
        writing.hear(texts(7, texts={"en/mjml": body("Hello"), "en/subject": "Dear {{ contact.first_name }}"}))
        await writing.work()
        assert writing.feed()["saved"] == 7
        assert writing.stored.is_draft
        assert stored(town).revision == 2
        with town.db.read() as session:
            assert library.latest(session, KEY) == 1
        await writing.save()
        assert writing.notice == ("Saved as version 2.", True)
        assert not writing.stored.is_draft

    written(town, story)
    assert stored(town).variants["en"]["subject"] == "Dear {{ contact.first_name }}"


def test_a_mistake_is_kept_as_a_draft_and_never_becomes_a_version(town: Any) -> None:
    async def story(writing: Writing) -> None:
        await writing.work()
        good = writing.frame()
        assert "state=draft" in good
        assert writing.is_fresh
        writing.open("de")
        writing.hear(texts(texts={"de/mjml": body("Guten Tag").replace("</mj-text>", "</mj-txt>")}))
        await writing.work()
        assert writing.frame() == good
        assert not writing.is_fresh
        assert writing.feed()["wrong"] == {"de/mjml": [1]}
        await writing.save()
        assert writing.notice is not None
        assert writing.notice[0].startswith("Not saved as a version: ")

    written(town, story)
    with town.db.read() as session:
        assert library.latest(session, KEY) == 1
    assert "</mj-txt>" in stored(town).variants["de"]["mjml"]


def test_two_people_never_overwrite_each_other_blindly(town: Any) -> None:
    def other() -> None:
        with town.db.write() as session:
            template = library.get(session, KEY)
            theirs = {**template.variants, "en": {**template.variants["en"], "subject": "Theirs"}}
            library.save_draft(session, KEY, theirs, template.revision, town.now)

    async def begin(writing: Writing) -> None:
        await asyncio.to_thread(other)
        writing.hear(texts(texts={"en/subject": "Mine"}))
        await writing.work()
        assert writing.status == "conflict"
        assert stored(town).variants["en"]["subject"] == "Theirs"
        await writing.save()
        assert stored(town).variants["en"]["subject"] == "Theirs"

    async def mine(writing: Writing) -> None:
        await begin(writing)
        await writing.keep_mine()
        assert writing.status == "saved"

    async def theirs(writing: Writing) -> None:
        await begin(writing)
        before = writing.generation
        await writing.take_theirs()
        assert writing.status == "saved"
        assert writing.variants["en"]["subject"] == "Theirs"
        assert writing.generation != before
        assert writing.settled == 1

    written(town, theirs)
    assert stored(town).variants["en"]["subject"] == "Theirs"
    written(town, mine)
    assert stored(town).variants["en"]["subject"] == "Mine"


def test_a_template_that_was_deleted_meanwhile_is_said_to_be_gone(town: Any) -> None:
    with town.db.write() as session:
        shelf.duplicate(session, KEY, "copy", "Copy", "test", town.now)

    async def story(writing: Writing) -> None:
        with town.db.write() as session:
            shelf.delete(session, "copy", "test")
        writing.hear(texts(texts={"en/subject": "x"}))
        await writing.work()
        assert writing.status == "gone"
        assert not writing.editable

    written(town, story, key="copy")


def test_a_page_whose_server_was_gone_asks_before_it_overwrites(town: Any) -> None:
    async def same(writing: Writing) -> None:
        writing.hear(texts(3, "resync", rev=1, texts={"en/subject": "Offline"}))
        await writing.work()
        assert (writing.status, writing.feed()["saved"]) == ("saved", 3)

    async def behind(writing: Writing) -> None:
        writing.hear(texts(4, "resync", rev=1, texts={"en/subject": "Too late"}))
        await writing.work()
        assert writing.status == "conflict"

    written(town, same)
    written(town, behind)
    assert stored(town).variants["en"]["subject"] == "Offline"


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "[]",
        texts(texts={"en/html": "x"}),
        texts(texts={"../mjml": "x"}),
        texts(texts={"en/mjml": 7}),
        texts(texts={"en/mjml": "x" * 400_000}),
        texts(-1, texts={"en/mjml": "x"}),
        '{"type":"piece","id":1,"at":3,"of":9,"text":"x"}',
        "[" * 100_000,
        None,
    ],
)
def test_nonsense_changes_nothing(town: Any, nonsense: object) -> None:
    async def story(writing: Writing) -> None:
        before, generation = json.dumps(writing.variants), writing.generation
        writing.hear(nonsense)
        assert json.dumps(writing.variants) == before
        assert writing.generation != generation

    written(town, story)
    assert stored(town).revision == 1


def test_texts_of_languages_that_are_not_there_are_dropped(town: Any) -> None:
    async def story(writing: Writing) -> None:
        writing.hear(texts(texts={"fr/mjml": "x"}))
        assert "fr" not in writing.variants

    written(town, story)


def test_a_long_text_comes_in_pieces() -> None:
    whole = texts(texts={"de/mjml": "Wort " * 20_000})
    ear, pieces = MessageReader(parse), [whole[at : at + 14_000] for at in range(0, len(whole), 14_000)]
    heard = [ear.hear(json.dumps({"type": "piece", "id": 1, "at": n, "of": len(pieces), "text": text})) for n, text in enumerate(pieces)]
    assert heard[:-1] == [None] * (len(pieces) - 1)
    assert isinstance(heard[-1], Texts)
    assert len(heard[-1].texts["de/mjml"]) == 100_000


def test_whoever_may_only_read_changes_nothing_but_sees_the_preview(town: Any) -> None:
    async def story(writing: Writing) -> None:
        writing.hear(texts(texts={"en/subject": "Hacked"}))
        writing.add_language("fr", "en")
        writing.remove_language()
        writing.replace({"en": {}})
        writing.describe(name="Hacked")
        await writing.save()
        await writing.act("x", writing.test)
        await writing.work()
        assert writing.proof is not None
        assert writing.proof.rendered is not None

    written(town, story, role="viewer")
    assert (stored(town).revision, stored(town).name) == (1, "Welcome 1: hello")


def test_a_lost_role_is_noticed_when_saving(town: Any) -> None:
    async def story(writing: Writing) -> None:
        writing.context.member.role = "viewer"
        writing.hear(texts(texts={"en/subject": "x"}))
        writing.variants["en"]["subject"] = "x"
        writing._changed += 1
        await writing._keep()
        assert writing.status == "denied"

    written(town, story)
    assert stored(town).revision == 1


def test_an_ended_session_is_no_lost_role(town: Any) -> None:
    async def story(writing: Writing) -> None:
        nobody = login_of(None)
        writing.context = replace(writing.context, app=replace(writing.context.app, login=nobody))
        writing.hear(texts(texts={"en/subject": "x"}))
        await writing.work()
        assert writing.status == "out"
        assert writing.feed()["saved"] == 0, "the page's fields keep what is not stored"
        await writing.act("x", writing.test)
        assert (writing.status, writing.notice) == ("out", None)

    written(town, story)
    assert stored(town).revision == 1


def test_the_preview_is_the_contacts_message_and_says_what_they_lack(town: Any) -> None:
    async def story(writing: Writing) -> None:
        writing.open("en")
        writing.hear(texts(texts={"en/mjml": body("Dear {{ contact.first_name }},\n{{ contact.shoe_size }}")}))
        await writing.work()
        assert writing.proof is not None
        assert writing.proof.rendered is not None
        assert "Dear Anna" in writing.proof.rendered.text
        assert [hint.code for hint in writing.proof.hints][:1] == ["unknown_field"]
        writing.show_for((town.people["Carla"], "Carla"))
        await writing.work()
        [error] = writing.proof.errors
        assert (error.code, error.values["line"], error.values["column"]) == ("render_missing_value", 2, 12)
        writing.hear(texts(2, texts={"en/mjml": body("Dear {{ contact.first_name }}")}))
        await writing.work()
        assert "Dear Carla" in writing.proof.rendered.text
        assert writing.is_fresh

    written(town, story)


def test_the_trigger_is_an_event_of_the_contact_where_one_fits(town: Any) -> None:
    async def story(writing: Writing) -> None:
        await writing.work()
        assert writing.proof is not None
        assert writing.proof.trigger is None
        writing.open("en")
        writing.hear(texts(texts={"en/mjml": body("{{ trigger.value|money(trigger.currency) }} {{ trigger.cart_id }} {{ trigger.rest }}")}))
        await writing.work()
        assert writing.proof.trigger is not None
        assert writing.proof.trigger.event == ""
        assert writing.proof.rendered is not None
        assert "C-1001" in writing.proof.rendered.text
        writing.show_for((town.people["Felix"], "Felix"))
        await writing.work()
        assert writing.proof.trigger.event == "Checkout Started"
        assert "89.00 c-felix [rest]" in writing.proof.rendered.text
        assert looks._trigger(writing) is not None

    written(town, story)


def test_people_are_found_by_name(town: Any) -> None:
    async def story(writing: Writing) -> None:
        writing.find_people("ca")
        writing.find_people("carla")
        await asyncio.gather(*writing._tasks)
        assert [name for _, name in writing.people] == ["Carla Rossi · carla@mail.example.org"]

    written(town, story)


def test_languages_come_and_go(town: Any) -> None:
    async def story(writing: Writing) -> None:
        writing.add_language("de_CH", "de")
        assert writing.locale == "de-CH"
        assert writing.variants["de-CH"] == writing.variants["de"]
        writing.add_language("de-CH", "")
        writing.add_language("no such thing", "")
        assert len(writing.variants) == 3
        writing.copy_from("en")
        assert writing.variants["de-CH"] == writing.variants["en"]
        writing.remove_language()
        assert set(writing.variants) == {"de", "en"}
        writing.open("en")
        writing.remove_language()
        writing.remove_language()
        assert set(writing.variants) == {"de"}

    written(town, story)


def test_an_old_version_comes_back_into_the_draft(town: Any) -> None:
    async def story(writing: Writing) -> None:
        old = json.dumps(writing.variants)
        writing.hear(texts(texts={"en/subject": "Another one"}))
        await writing.save()
        await writing._read_versions()
        assert [version.number for version in writing.versions] == [2, 1]
        [change] = shelf.changes(writing.versions[0].before, writing.versions[0].source, writing.parts)
        assert (change.locale, change.part) == ("en", "subject")
        assert ("+", "Another one") in change.lines
        assert ("-", "Good to have you with us") in change.lines
        writing.replace(writing.versions[1].source)
        await writing.work()
        assert json.dumps(writing.variants, sort_keys=True) == json.dumps(json.loads(old), sort_keys=True)
        assert writing.stored.is_draft

    written(town, story)


def test_a_correction_reaches_what_is_running_and_is_noted(town: Any) -> None:
    sender = context_of(town).app.post.messaging  # type: ignore[union-attr]
    performer = MessageHandler(sender, Outbox(town.db, town.engine.clock.now), "email")
    worker = Effects(town.engine, {"email": performer}, Breakers(town.db))
    world = replace(town, effects=worker, now=town.engine.clock.now())

    def sends(first: str) -> str:
        world.person(first, "Neu", locale="en", timezone="Europe/Zurich")
        [run] = world.happens(first, "Signed Up", {"plan": "trial"})
        world.walk(run, world.now)
        with town.db.read() as session:
            recipient = f"{first.lower()}@mail.example.org"
            return session.scalars(select(OutboxItem.subject).where(OutboxItem.recipient == recipient)).one()

    assert sends("Quentin") == "Good to have you with us"

    async def story(writing: Writing) -> None:
        writing.hear(texts(texts={"en/subject": "Corrected"}))
        await writing.save()
        [use] = writing.stored.uses
        assert (use.journey_key, use.template_version) == ("welcome", 1)
        await writing.act("“{name}” uses version {number} from now on.", lambda: writing.correct(use))
        assert writing.notice == ("“Welcome” uses version 2 from now on.", True)
        assert [one.template_version for one in writing.stored.uses] == [2]

    written(town, story)
    with town.db.read() as session:
        journey = publish.get_journey(session, "welcome")
        version = session.scalars(select(Version).where(Version.journey_id == journey.id)).one()
        assert version.pins["templates"][KEY] == 2
        assert session.scalars(select(Audit).where(Audit.action == "version.template")).one().detail == {
            "template": KEY,
            "from": 1,
            "to": 2,
        }
    assert sends("Paula") == "Corrected"


def test_the_api_corrects_too_and_asks_for_the_same_role(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    wanted = {"journey": "welcome", "version": 1, "template_version": 1}
    path = f"/api/v1/templates/{KEY}/corrections"
    assert log_in("viewer").post(path, json=wanted, headers=ours).status_code == 403
    client = log_in("marketer")
    assert client.post(path, json=wanted, headers=ours).status_code == 204
    assert client.post(path, json={**wanted, "template_version": 9}, headers=ours).status_code == 404
    assert client.post(path, json={**wanted, "journey": "nothing"}, headers=ours).status_code == 404
    assert client.post(path.replace(KEY, "cart-1-reminder"), json=wanted, headers=ours).status_code == 409


def test_a_test_goes_to_oneself_for_a_chosen_contact(town: Any) -> None:
    async def story(writing: Writing) -> None:
        await writing.act("A test is on its way to {address}.", writing.test)
        assert writing.notice == ("Choose a contact first: a test uses the values of a real contact.", False)
        writing.open("en")
        writing.hear(texts(texts={"en/subject": "Only a draft, {{ contact.first_name }}"}))
        writing.show_for((town.people["Carla"], "Carla"))
        await writing.act("A test is on its way to {address}.", writing.test)
        assert writing.notice == ("A test is on its way to mara@example.com.", True)
        for _ in range(library.TESTS_PER_HOUR):
            await writing.act("x", writing.test)
        assert writing.notice == ("That is the maximum number of tests per hour; please wait a little.", False)

    written(town, story)
    with town.db.read() as session:
        sent = session.scalars(select(OutboxItem).where(OutboxItem.recipient == "mara@example.com")).all()
    assert len(sent) == library.TESTS_PER_HOUR
    assert sent[0].subject == "[Test] Only a draft, Carla"


def test_the_label_is_changed_and_filtered_by(town: Any) -> None:
    async def story(writing: Writing) -> None:
        writing.describe(folder="Onboarding", tags=["first", "first", "warm"])
        await asyncio.gather(*writing._tasks)
        writing.describe(name=" ")
        await asyncio.gather(*writing._tasks)
        assert writing.notice is not None
        assert not writing.notice[1]

    written(town, story)
    assert (stored(town).folder, stored(town).tags, stored(town).name) == ("Onboarding", ["first", "warm"], "Welcome 1: hello")
    for query, expected in (
        ({"folder": "Onboarding"}, 1),
        ({"tag": "warm"}, 1),
        ({"tag": "cold"}, 0),
        ({"q": "cart"}, 2),
        ({"kind": "sms"}, 0),
    ):
        assert len(listing.load(context_of(town, path="/ui/templates", **query)).found) == expected


def test_everything_draws(town: Any) -> None:
    async def story(writing: Writing) -> None:
        await writing.work()
        await writing._read_versions()
        for draw in (
            head.head,
            languages.tabs,
            source.source,
            source.inserting,
            page.right,
            looks.preview,
            versions.versions,
            label.label,
            languages.adding,
            looks.person,
        ):
            assert draw(writing) is not None
        assert findings.findings(writing)["tagName"] == "div"

    written(town, story)


# The list and its forms


def test_the_list_shows_where_templates_are_used(log_in: Any, opened: Any) -> None:
    with opened(log_in("marketer"), "/ui/templates") as open:
        assert "Welcome 1: hello" in open.text
        assert "Cart abandonment" in open.text
        frames_shown = [node for node in open.nodes() if node.get("tagName") == "iframe"]
        assert all(node["attributes"]["sandbox"] == "" and node["attributes"]["loading"] == "lazy" for node in frames_shown)
        assert len(frames_shown) > 5


def test_away_and_back_again(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/templates?q=cart-2") as open:
        open.press("Archive it")
        open.see_until("archived")
        assert stored(town, "cart-2-incentive").archived_at is not None
        open.press("Undo")
        open.see_until("The template was restored.")
    assert stored(town, "cart-2-incentive").archived_at is None


def test_only_what_nothing_names_is_thrown_away(town: Any) -> None:
    with town.db.write() as session, pytest.raises(Conflict) as caught:
        shelf.delete(session, KEY, "test")
    assert caught.value.details["journeys"] == ["welcome"]
    with town.db.write() as session:
        shelf.duplicate(session, KEY, "copy", "Copy", "test", town.now)
        shelf.delete(session, "copy", "test")
    with town.db.read() as session:
        assert session.get(Template, "copy") is None
        assert session.scalars(select(TemplateVersion).where(TemplateVersion.key == "copy")).all() == []
        with pytest.raises(NotFound):
            shelf.delete(session, "copy", "test")


@pytest.fixture
def ours(settings: Settings) -> dict[str, str]:
    return {"origin": settings.public_url}


@pytest.mark.parametrize("kind", ["email", "sms", "text", "partial"])
def test_a_template_begins_from_nothing(log_in: Any, town: Any, ours: dict[str, str], kind: str) -> None:
    answer = log_in("marketer").post("/ui/templates", data={"key": "fresh-1", "name": "Fresh", "kind": kind}, headers=ours)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/templates/fresh-1")
    assert stored(town, "fresh-1").kind == kind
    with town.db.read() as session:
        assert library.latest(session, "fresh-1") == 1


def test_a_layout_brings_both_languages(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    log_in("marketer").post("/ui/templates", data={"key": "order", "name": "Order", "layout": "transactional"}, headers=ours)
    assert set(stored(town, "order").variants) == {"de", "en"}
    assert stored(town, "order").message_class == "transactional"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"key": KEY, "name": "x"}, "taken"),
        ({"key": "Über", "name": "x"}, "key"),
        ({"key": "x", "name": " "}, "invalid"),
        ({"key": "x", "name": "x" * 200}, "invalid"),
    ],
)
def test_what_is_wrong_comes_back_as_a_sentence(log_in: Any, town: Any, ours: dict[str, str], data: dict[str, str], problem: str) -> None:
    client = log_in("marketer")
    answer = client.post("/ui/templates", data=data, headers=ours)
    assert answer.headers["location"] == f"/ui/new-template?problem={problem}"
    assert makers.PROBLEMS[problem]
    assert stored(town).revision == 1


def test_forms_of_others_count_for_nothing(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    client = log_in("marketer")
    assert client.post("/ui/templates", data={"key": "a", "name": "a"}, headers={"origin": "https://evil.example"}).status_code == 403
    assert log_in("viewer").post("/ui/templates", data={"key": "a", "name": "a"}, headers=ours).headers["location"].endswith("problem=role")
    answer = client.post(f"/ui/templates/{KEY}/duplicate", data={"new_key": "b"}, headers=ours)
    assert answer.headers["location"].endswith("problem=role")
    with pytest.raises(NotFound):
        stored(town, "a")


def test_a_copy_begins_with_the_newest_version(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    answer = log_in("marketer").post(f"/ui/templates/{KEY}/duplicate", data={"new_key": "hello-2"}, headers=ours)
    assert answer.headers["location"] == "/ui/templates/hello-2"
    assert stored(town, "hello-2").variants == stored(town).variants
    with town.db.read() as session:
        assert library.load(session, "hello-2", 1).variants.keys() == {"de", "en"}


# Frames


def test_a_frame_shows_the_mail_and_lets_nothing_run(log_in: Any, town: Any) -> None:
    client = log_in("marketer")
    answer = client.get(template_frames.address(KEY, locale="en", contact=town.people["Carla"], state="draft"))
    assert answer.status_code == 200
    assert "Hello Carla" in re.sub(r"\s+", " ", answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert client.get(template_frames.address("nothing")).status_code == 404
    assert client.get(template_frames.address(KEY, contact="0" * 32)).status_code == 404
    assert client.get("/ui/new-template/frame/newsletter?locale=de").status_code == 200
    assert client.get("/ui/new-template/frame/nothing").status_code == 404


def test_a_draft_with_a_mistake_shows_the_newest_version(log_in: Any, town: Any) -> None:
    with town.db.write() as session:
        broken = {**stored(town).variants, "en": {"subject": "x", "mjml": "<mjml>"}}
        library.save_draft(session, KEY, broken, 1, town.now)
    answer = log_in("viewer").get(template_frames.address(KEY, locale="en", state="draft"))
    assert "Hello" in answer.text


def test_a_stranger_sees_no_frame(client: Any) -> None:
    assert client.get(template_frames.address(KEY)).status_code == 401
    assert client.get("/ui/new-template/frame/newsletter").status_code == 401


def test_dark_is_the_mails_own_or_turned_round() -> None:
    own = "<html><head><style>@media (prefers-color-scheme: dark) { p { color: red } }</style></head><body></body></html>"
    assert frames.has_dark(own)
    assert "@media all" in frames.in_dark(own)
    assert "invert" not in frames.in_dark(own)
    assert "invert(1)" in frames.in_dark("<html><head></head><body></body></html>")


# What else knows templates


def test_snippets_speak_the_language_of_the_text(town: Any) -> None:
    groups = dict(snippets.groups(context_of(town).t, "email", "de", [("first_name", "First name")]))
    assert groups["Links"][0].text == '<a href="{{ unsubscribe_url }}">Abmelden</a>'
    assert groups["Contact fields"][0].text == '{{ contact.first_name|default("") }}'
    assert dict(snippets.groups(context_of(town).t, "sms", "en", []))["Links"][0].text == "{{ unsubscribe_url }}"


def test_the_builder_shows_what_a_step_sends(town: Any) -> None:
    from builder_ui.builder import choosers, widgets

    with town.db.read() as session:
        known = lookups.load(session, context_of(town).t)
    t = context_of(town).t
    form = widgets.Form(t, known, "hello", {"template": KEY}, lambda *_: None, 0)
    drawn = json.dumps(choosers.look(form, "template", KEY), default=str)
    assert f"/ui/templates/{KEY}" in drawn
    assert "Good to have you with us" in drawn
    assert "/ui/new-template" in drawn
    assert choosers.look(form, "outlet", "sent") is None
    assert "/ui/new-template" not in json.dumps(choosers.look(replace(form, editable=False), "template", KEY), default=str)


def test_what_fails_is_said_in_german(town: Any) -> None:
    german = translator("de")
    for text in (
        "Choose a contact first: a test uses the values of a real contact.",
        "That is the maximum number of tests per hour; please wait a little.",
    ):
        assert german(text) != text


def put(town: Any, key: str, kind: Any, mjml: str, name: str = "") -> int:
    parts = {"mjml": mjml} if kind == "partial" else {"subject": "Hello", "mjml": f"<mjml><mj-body>{mjml}</mj-body></mjml>"}
    about: dict[str, Any] = {"name": name or key.title(), "kind": kind, "message_class": "marketing", "actor": "test"}
    return library.save(town.db, key, {"default": parts}, now=town.engine.clock.now(), **about).number


def piece(text: str) -> str:
    return f"<mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section>"


FOOTER = '<mj-include path="partial:footer" />'


def test_a_partial_is_written_and_shown_alone(town: Any) -> None:
    put(town, "footer", "partial", piece("Hello {{ contact.first_name|default('friend') }}"))

    async def story(writing: Writing) -> None:
        await writing.work()
        assert writing.parts == ("mjml",)
        assert writing.proof is not None
        assert writing.proof.rendered is not None
        assert "Hello Anna" in writing.proof.rendered.text
        writing.hear(texts(texts={"default/mjml": FOOTER}))
        await writing.work()
        assert [one.code for one in writing.proof.errors] == ["partial_cycle"]

    written(town, story, key="footer")


def test_partials_are_offered_where_they_can_stand(town: Any) -> None:
    put(town, "footer", "partial", piece("x"), "Our footer")
    put(town, "mail", "email", piece("y"))
    offered = dict(snippets.groups(context_of(town).t, "email", "en", [], fetch(context_of(town, key="mail")).pieces))
    assert [(one.name, one.text) for one in offered["Partials"]] == [("Our footer (footer)", FOOTER + "\n")]
    assert fetch(context_of(town, key="footer")).pieces == []


def test_a_picture_shows_what_was_saved_and_the_editor_what_would_be(log_in: Any, town: Any) -> None:
    put(town, "footer", "partial", piece("Old"))
    put(town, "nested", "email", f"<mj-wrapper>{FOOTER}</mj-wrapper>")
    put(town, "mail", "email", FOOTER)
    put(town, "footer", "partial", f"<mj-wrapper>{piece('New')}</mj-wrapper>")
    client = log_in("marketer")
    assert "Old" in client.get("/ui/templates/nested/frame").text
    assert "Old" in client.get("/ui/templates/mail/frame").text
    assert "New" in client.get("/ui/templates/mail/frame?state=draft").text


def test_a_newer_partial_is_said_and_taken_by_saving(town: Any) -> None:
    put(town, "footer", "partial", piece("Old"))
    put(town, "mail", "email", FOOTER)
    put(town, "footer", "partial", piece("New"))

    async def story(writing: Writing) -> None:
        assert [words.older_text(writing.t, one) for one in writing.stored.older] == ["uses footer, version 1; there is version 2"]
        await writing.save()
        assert writing.stored.older == []
        assert writing.stored.number == 2

    written(town, story, key="mail")


def test_a_partials_page_brings_up_all_that_use_it_and_says_what_fails(town: Any) -> None:
    put(town, "footer", "partial", piece("Old"))
    put(town, "fine", "email", FOOTER)
    put(town, "nested", "email", f"<mj-wrapper>{FOOTER}</mj-wrapper>")
    put(town, "footer", "partial", f"<mj-wrapper>{piece('New')}</mj-wrapper>")

    async def story(writing: Writing) -> None:
        assert [(one.key, one.version) for one in writing.stored.inclusions] == [("fine", 1), ("nested", 1)]
        await writing.act("Templates updated: {count}.", writing.bring_up)
        assert writing.notice is not None
        assert writing.notice[0].startswith("Templates updated: 1. Unchanged:")
        assert "nested: In the partial “footer”, included in line 1" in writing.notice[0]
        assert [(one.key, one.version) for one in writing.stored.inclusions] == [("fine", 2), ("nested", 1)]

    written(town, story, key="footer")


def test_a_partial_is_changed_once_for_all_that_include_it(town: Any) -> None:
    """Saving it gives each of them a new version; what it does not fit into stays as it was and is named."""
    put(town, "footer", "partial", piece("Old"))
    put(town, "mail", "email", FOOTER)

    async def story(writing: Writing) -> None:
        writing.variants["default"]["mjml"] = piece("New")
        writing._after_change()
        await writing.save()
        assert writing.notice == ("Saved as version 2. Templates that use it now: 1.", True)
        assert [(one.key, one.version) for one in writing.stored.inclusions] == [("mail", 2)]
        with town.db.read() as session:
            assert [library.load(session, "mail", number).variants["default"].text.strip() for number in (1, 2)] == ["Old", "New"]

        put(town, "nested", "email", f"<mj-wrapper>{FOOTER}</mj-wrapper>")
        writing._see_partials()
        writing.variants["default"]["mjml"] = f"<mj-wrapper>{piece('Newest')}</mj-wrapper>"
        writing._after_change()
        await writing.save()
        assert writing.notice is not None
        said, good = " ".join(writing.notice[0].split()), writing.notice[1]
        assert said.startswith("Saved as version 3. Templates updated: 1. Unchanged: nested: In the partial “footer”")
        assert not good
        assert (writing.stored.number, writing.status) == (3, "saved")

    written(town, story, key="footer")
    with town.db.read() as session:
        assert (library.latest(session, "mail"), library.latest(session, "nested")) == (3, 1)


def test_whoever_may_only_read_brings_nothing_up(town: Any) -> None:
    put(town, "footer", "partial", piece("Old"))
    put(town, "mail", "email", FOOTER)
    put(town, "footer", "partial", piece("New"))

    async def story(writing: Writing) -> None:
        await writing.act("Templates updated: {count}.", writing.bring_up)
        assert writing.status == "denied"

    written(town, story, role="viewer", key="footer")
    with town.db.read() as session:
        assert library.latest(session, "mail") == 1


def test_the_list_names_older_partials_and_brings_all_up(log_in: Any, opened: Any, town: Any) -> None:
    put(town, "footer", "partial", piece("Old"))
    put(town, "mail", "email", FOOTER, "A mail")
    put(town, "footer", "partial", piece("New"))
    with opened(log_in("marketer"), "/ui/templates") as open:
        assert "uses footer, version 1; there is version 2" in open.text
        open.press("Update all")
        open.see_until("The templates have the newest partials.")
        assert "there is version 2" not in open.text
    with town.db.read() as session:
        assert library.load(session, "mail").variants["default"].text.strip() == "New"


def test_archiving_a_partial_in_use_asks_and_says_where(log_in: Any, opened: Any, town: Any) -> None:
    put(town, "footer", "partial", piece("x"))
    put(town, "mail", "email", FOOTER, "A mail")
    with opened(log_in("marketer"), "/ui/templates?kind=partial") as open:
        assert "Used by A mail, which keep it" in open.text


def test_the_api_knows_partials(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    put(town, "footer", "partial", piece("Old"))
    put(town, "mail", "email", FOOTER)
    put(town, "footer", "partial", piece("New {{ product.name }}"))
    client, api = log_in("marketer"), "/api/v1/templates"
    assert [one["key"] for one in client.get(api, params={"kind": "partial"}).json()["items"]] == ["footer"]
    detail = client.get(f"{api}/mail").json()
    assert (detail["partials"], detail["older_partials"]) == ({"footer": 1}, [{"partial": "footer", "version": 1, "newest": 2}])
    use = {"key": "mail", "name": "Mail", "kind": "email", "archived": False, "version": 1}
    assert client.get(f"{api}/footer/uses").json() == [use]
    assert client.get(f"{api}/mail/uses").json() == []
    assert "New Rucksack Alpin 30" in client.post(f"{api}/footer/preview", json={}, headers=ours).json()["html"]
    draft = {"variants": {"default": {"subject": "x", "mjml": f"<mjml><mj-body>{FOOTER}{FOOTER}</mj-body></mjml>"}}}
    assert client.post(f"{api}/mail/preview", json=draft, headers=ours).status_code == 422, "nobody sets product there"
    failed = client.post(f"{api}/update-partials", json={"partial": "footer"}, headers=ours).json()
    assert (failed["updated"], failed["left"], failed["failed"][0]["key"]) == ({}, 0, "mail")
    assert failed["failed"][0]["problem"].startswith("In the partial “footer”, included in line 1")
    put(town, "footer", "partial", piece("Newer"))
    assert client.post(f"{api}/update-partials", json={"template": "mail"}, headers=ours).json()["updated"] == {"mail": 2}
    assert client.get(f"{api}/mail/versions/2").json()["partials"] == {"footer": 3}
    assert client.post(f"{api}/update-partials", json={"partial": "nothing"}, headers=ours).status_code == 404
    assert log_in("viewer").post(f"{api}/update-partials", json={}, headers=ours).status_code == 403


def test_partials_are_offered_to_no_step(town: Any) -> None:
    put(town, "footer", "partial", piece("x"))
    with town.db.read() as session:
        assert "footer" not in lookups.load(session, context_of(town).t).kinds


def test_a_look_names_what_it_made_up() -> None:
    fields = ["contact.first_name", "trigger.total", "trigger.plan", "steps.voucher.code", "unsubscribe_url"]
    ordered = Trigger({"total": 12}, "Order Completed")
    assert invented(fields, "c1", ordered) == ["steps.voucher.code", "trigger.plan"]
    assert invented(fields, "c1", MADE_UP) == ["steps.voucher.code", "trigger.plan", "trigger.total"]
    assert "contact.first_name" in invented(fields, None, MADE_UP)


def test_a_fallback_stands_where_a_value_is_missing_and_ends_nothing_early() -> None:
    field = '{{ contact.plan|default("") }}'
    assert snippets.with_fallback(field, " none yet ") == '{{ contact.plan|default("none yet") }}'
    assert snippets.with_fallback(field, '") }}{% if x %}\\#\n') == '{{ contact.plan|default(")  if x") }}'
    assert snippets.with_fallback("{{ unsubscribe_url }}", "x") == "{{ unsubscribe_url }}"


def block(**more: Any) -> str:
    return json.dumps(
        {"type": "block", "name": "Our footer", "text": "<mj-section><mj-column><mj-text>a</mj-text></mj-column></mj-section>", **more}
    )


def test_a_block_becomes_a_partial_and_the_page_is_told_what_to_write(town: Any) -> None:
    async def story(writing: Writing) -> None:
        await writing.work()
        await writing.keep_block(parse(block()))
        assert writing.notice == ("“Our footer” is a saved block now.", True)
        act = writing.feed()["act"]
        assert act["include"] == {"key": "our-footer", "name": "Our footer", "level": "row"}
        assert act["place"] == f"{writing.locale}/mjml"
        offered = json.loads(blocks.texts(writing))["partials"]
        assert ["our-footer", "Our footer", "row"] in offered
        await writing.keep_block(parse(block(text="<mj-text>open")))
        assert writing.notice is not None
        assert not writing.notice[1]

    written(town, story)
    kept = stored(town, "our-footer")
    assert kept.kind == "partial"
    assert list(kept.variants) == ["default"]


def test_who_may_not_change_templates_keeps_no_block(town: Any) -> None:
    async def story(writing: Writing) -> None:
        await writing.keep_block(parse(block()))
        assert writing.status == "denied"
        writing.hear('{"type": "face", "face": "source"}')
        assert writing.face == "source"

    written(town, story, role="viewer")
    with pytest.raises(NotFound):
        stored(town, "our-footer")


def test_the_page_remembers_how_a_mail_is_edited(town: Any) -> None:
    context = context_of(town, view="source")
    assert Writing(context, fetch(context)).face == "source"
    context = context_of(town)
    writing = Writing(context, fetch(context))
    assert writing.feed()["face"] == "blocks"
    writing.hear('{"type": "face", "face": "drawing"}')
    assert writing.face == "blocks"


def test_what_steps_before_a_message_leave_can_be_filled_in(town: Any) -> None:
    with town.db.write() as session:
        journey = publish.get_journey(session, "welcome")
        task = {"kind": "create_task", "name": "Call them", "title": "Call"}
        journey.draft = {**journey.draft, "nodes": {**journey.draft["nodes"], "call": task, "broken": {"kind": "nothing"}}}
        session.add(journey)
    found = fetch(context_of(town))
    answers = {path: title for path, title in found.properties if path.startswith("steps.call.")}
    assert answers
    assert all(title.startswith("Call them: ") for title in answers.values())
    groups = dict(blocks.values(context_of(town).t, [], found.properties, [("spring", "Spring sale")]))
    assert groups["Coupon codes"] == [('coupon("spring")', "Spring sale")]
    assert set(groups) >= {"Values of the trigger", "Answers of earlier steps"}
    offered = snippets.groups(context_of(town).t, "email", "en", [], [], found.properties)
    assert any(one.text.startswith("{{ steps.call.") for _, entries in offered for one in entries)
