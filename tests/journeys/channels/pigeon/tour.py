"""Walks through every place that asks for channels, in a tree in which one was added as one file; `test_toy_channel` runs it there.

Not collected by the suite: in the tree as it is there is no pigeon.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import SQLModel

from journeys.channels import CHANNELS
from journeys.nodes import Palette
from journeys.reading import read
from models import Contact, Database, Message, OutboxItem, new_id
from settings import Settings
from workspace import audit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEYS = (b"k" * 32,)
PHONE = "+41791234567"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'tour.db'}")) as database:
        SQLModel.metadata.create_all(database.engine)
        audit.bind(database, [b"k" * 32])
        yield database


@pytest.fixture
def contact(db: Database) -> Contact:
    row = Contact(email="anna@example.org", phone=PHONE, first_name="Anna", created_at=NOW, updated_at=NOW)
    with db.write() as session:
        session.add(row)
    return row


JOURNEY = read(
    {
        "key": "coo",
        "name": "Coo",
        "entry": {"triggers": [{"type": "manual"}]},
        "start": "coo",
        "nodes": {"coo": {"kind": "send_pigeon", "template": "slip"}, "end": {"kind": "exit"}},
        "edges": [{"from": "coo", "outlet": "sent", "to": "end"}],
    }
)


def test_this_tree_has_a_pigeon() -> None:
    assert "pigeon" in CHANNELS


def test_palette_has_its_step_with_a_form_and_a_help_page() -> None:
    from journeys.nodes.page import nodes_page

    kind = Palette.built_in()["send_pigeon"]
    assert (kind.label, kind.icon, kind.help()[0]) == ("Send a pigeon", "flag", "Sends a slip of paper.")
    assert kind.form()["properties"]["template"]["channel"] == "pigeon"
    assert "### Send a pigeon: `send_pigeon`" in nodes_page(Palette.built_in())


def test_journey_schema_knows_step_and_consent() -> None:
    from journeys.schema import journey_schema

    definitions = journey_schema(Palette.built_in())["$defs"]
    assert "step.send_pigeon" in definitions
    assert "pigeon" in definitions["ConsentTerm"]["properties"]["consent"]["enum"]


def test_check_tells_a_template_of_another_channel_and_one_without_unsubscribe() -> None:
    from journeys.catalogue import Catalogue
    from journeys.check import check
    from journeys.known import Known, KnownTemplate

    def codes(template: KnownTemplate) -> set[str]:
        return {issue.code for issue in check(JOURNEY, Palette.built_in(), Catalogue.built_in(), known=Known({"slip": template}))}

    assert "wrong_channel" in codes(KnownTemplate("email"))
    assert "no_unsubscribe" in codes(KnownTemplate("pigeon", unsubscribe=False))
    assert not {"wrong_channel", "no_unsubscribe"} & codes(KnownTemplate("pigeon"))


def test_rules_and_their_editor_have_words_for_it() -> None:
    from builder_ui.kit.labels import CHANNELS as WORDS
    from journeys.channels import ASKED
    from journeys.rules import parse_rule, sentence

    rule = parse_rule({"consent": "pigeon"})
    assert "carrier pigeons" in sentence(rule, lambda text: text)
    assert "pigeon" in ASKED
    assert WORDS["pigeon"] == "Pigeon"


def test_openapi_names_it_wherever_a_channel_is_named(db: Database, tmp_path: Path) -> None:
    from api.app import create_app
    from engine.clock import Clock
    from engine.engine import Engine

    async def wake(_wakeups: Any) -> None: ...

    settings = Settings(home=tmp_path, database_url="sqlite:///unused.db", public_url="http://testserver")
    app = create_app(settings, Engine(db, Clock(), Palette.built_in(), KEYS), waker=SimpleNamespace(wake=wake))  # type: ignore[arg-type]
    schemas = app.openapi()["components"]["schemas"]
    listed = {
        f"{name}.{field}" for name, schema in schemas.items() for field, about in schema.get("properties", {}).items()
        if "sms" in about.get("enum", ())
    }  # fmt: skip
    assert listed
    assert all("pigeon" in schemas[name]["properties"][field]["enum"] for name, _, field in (one.partition(".") for one in listed))


def test_preference_page_offers_it_and_keeps_its_wording(db: Database, contact: Contact) -> None:
    from api.public.preferences import Sender, choices

    message = Message(
        id=new_id(), once_key="k", contact_id=contact.id, channel="pigeon", status="sent", planned_at=NOW, message_class="marketing"
    )
    with db.read() as session:
        shown = {choice.channel: choice.wording for choice in choices(session, Sender(message, PHONE, KEYS), "en")}
    assert shown["pigeon"].endswith("By pigeon")


def test_consent_suppression_and_mailbox_go_by_its_address(db: Database, contact: Contact) -> None:
    from crm.consent import mailbox, suppression
    from crm.consent.consent import Evidence, record_consent, state

    with db.write() as session:
        record_consent(session, contact.id, "pigeon", "marketing", "withdrawn", NOW, evidence=Evidence.DATED, source="tour")
        suppression.suppress(session, KEYS, "pigeon", "+41 79 123 45 67", "manual", NOW, "tour")
    with db.read() as session:
        assert state(session, contact.id, "pigeon", "marketing") == "withdrawn"
        assert mailbox.says_no(session, KEYS, "pigeon", "marketing", PHONE)
        assert suppression.reasons(session, KEYS, "pigeon", PHONE) == ["manual"]


def test_an_objection_and_an_erasure_reach_it(db: Database, contact: Contact) -> None:
    from crm.consent import mailbox
    from crm.consent.consent import object_all, state
    from crm.privacy.erasure import erase_person
    from models import MailboxConsent

    with db.write() as session:
        object_all(session, contact.id, NOW, source="tour")
    with db.read() as session:
        assert state(session, contact.id, "pigeon", "marketing") == "withdrawn"
        assert mailbox.says_no(session, KEYS, "pigeon", "anything", PHONE)
    erase_person(db, contact.id, NOW, by="tour", keys=KEYS)
    with db.read() as session:
        assert mailbox.says_no(session, KEYS, "pigeon", "anything", PHONE)  # kept under the address's hash
        assert PHONE not in {word.mailbox for word in session.query(MailboxConsent)}


def test_the_gate_asks_for_consent_and_finds_the_address(db: Database, contact: Contact) -> None:
    from activities.sending import gate
    from crm.consent.consent import Evidence, record_consent
    from engine.interpreter.gate import Pass, Refuse, wanted

    def ask() -> Any:
        with db.read() as session:
            return gate.ask(session, session.get_one(Contact, contact.id), wanted("m1", "pigeon", {}, JOURNEY.settings), KEYS, NOW, None)

    assert ask() == Refuse("no_consent")
    with db.write() as session:
        record_consent(session, contact.id, "pigeon", "marketing", "granted", NOW, evidence=Evidence.DATED, source="tour")
    assert ask() == Pass(PHONE)


def test_the_simulator_sends_it() -> None:
    from engine.interpreter.simulate import Script, simulate
    from journeys.compile import compile_journey

    script = Script.model_validate({"contact": {"phone": PHONE}, "consents": [["pigeon", "marketing", "granted"]]})
    path = simulate(compile_journey(JOURNEY, Palette.built_in()), script)
    assert path.outlets()[0] == ("coo", "sent")


def test_templates_are_compiled_shown_and_listed(db: Database) -> None:
    from activities.rendering import Marks, RenderPool, link_digest, render
    from activities.rendering.kinds import KINDS
    from activities.templates import library
    from activities.templates.layouts import beginning
    from builder_ui.templates.label import KINDS as SHOWN
    from journeys.errors import Invalid

    assert beginning("", "pigeon") == ({"default": {"title": "…", "text": "…"}}, None)
    about: Any = {"name": "Slip", "kind": "pigeon", "message_class": "marketing", "actor": "tour", "now": NOW}
    slip = {"title": "Hi", "text": "Hello {{ contact.first_name }}", "url": "https://example.com/{{ contact.first_name }}"}
    saved = library.save(db, "slip", {"default": slip}, **about)
    assert [warning.code for warning in saved.warnings] == []
    with db.read() as session:
        compiled = library.load(session, "slip")
    rendered = render(compiled, ["en"], {"contact": {"first_name": "Anna"}, "unsubscribe_url": "https://example.com/u"})
    assert (rendered.subject, rendered.text) == ("Hi", "Hello Anna")
    assert rendered.parts == {"title": "Hi", "url": "https://example.com/Anna"}
    values = {"contact": {"first_name": "Anna"}}
    tracked = render(compiled, ["en"], values, marks=Marks(lambda digest: f"https://track.example/{digest}"))
    digest = link_digest("https://example.com/Anna")
    assert tracked.parts["url"] == f"https://track.example/{digest}"
    assert tracked.links == {digest: "https://example.com/Anna"}
    with closing(RenderPool()) as pool:
        pooled = pool.render(compiled, ["en"], values, marks=Marks(lambda digest: f"https://track.example/{digest}"))
    assert pooled == tracked
    assert "List-Unsubscribe" in rendered.headers
    assert SHOWN["pigeon"] is KINDS["pigeon"]
    with pytest.raises(Invalid):
        library.save(db, "slip", {"default": {"title": "Hi\nthere", "text": ""}}, **about)
    with pytest.raises(Invalid):
        library.save(db, "slip", {"default": {**slip, "url": "javascript:coo()"}}, **about)
    with pytest.raises(Invalid):
        library.save(db, "slip", {"default": {**slip, "title": "c" + 40 * "o"}}, **about)


def test_what_is_filled_in_is_cut_where_it_is_too_long_and_leads_to_websites_only(db: Database) -> None:
    from activities.rendering import RenderFailed, compile_template, render

    slip = {"title": "{{ contact.first_name }}", "text": "Coo", "url": "{{ contact.website }}"}
    compiled = compile_template({"default": slip}, "pigeon")

    def filled(name: str, website: str) -> Any:
        return render(compiled, ["en"], {"contact": {"first_name": name, "website": website}}).parts

    assert filled("A" * 41, "") == {"title": "A" * 39 + "…", "url": ""}
    assert filled("A" * 40, "https://a.example/")["title"] == "A" * 40
    for bad in ("mailto:a@b.example", "javascript:alert(1)", "//a.example", "https://"):
        with pytest.raises(RenderFailed):
            filled("A", bad)


def test_it_goes_to_the_outbox_by_a_performer_of_its_own(db: Database) -> None:
    from activities.providers.outbox import Outbox
    from activities.providers.provider import Outgoing
    from activities.rendering import INLINE
    from worker import build_messaging, pretending_performers

    settings = Settings(database_url="sqlite:///unused.db")
    assert settings.channels["pigeon"].provider == "outbox"
    outbox = Outbox(db)
    assert "pigeon" in outbox.channels
    assert "pigeon" in pretending_performers(build_messaging(settings, INLINE), outbox)
    outbox.send(Outgoing("once", "m1", "pigeon", PHONE, text="coo", parts={"title": "Hi"}))
    with db.read() as session:
        assert [(item.channel, item.parts) for item in session.query(OutboxItem)] == [("pigeon", {"title": "Hi"})]


def test_lists_reports_and_metrics_count_it() -> None:
    from api.worker_port import SENDABLE as COUNTED
    from builder_ui.exports import LISTS
    from reports.messages import MessageFilter

    assert "pigeon" in (MessageFilter().channels or ())
    assert "Pigeon (marketing)" in LISTS["contacts"].columns
    assert "pigeon" in COUNTED


def test_imports_read_its_columns() -> None:
    from builder_ui.contacts.reading_form import ASKED
    from crm.imports.columns import Columns
    from crm.imports.reading import Everybody

    assert ASKED["pigeon"] == "Pigeon"
    assert Everybody(channel="pigeon").channel == "pigeon"
    row = {"phone": PHONE, "consent_pigeon_marketing": "yes", "suppress_pigeon": "x"}
    person = Columns(list(row), {name: name for name in row}).read(list(row.values()), NOW)
    assert [(said.channel, said.state) for said in person.consents] == [("pigeon", "granted")]
    assert person.suppress == ["pigeon"]
