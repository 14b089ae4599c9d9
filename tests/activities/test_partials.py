"""Partials in the database: taken in their newest version, remembered, shown as older, and brought up by an act."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlmodel import select

from activities.providers import Outbox
from activities.sending.messages import MessageSettings
from activities.templates import library, listing, partials
from activities.templates.partials import Behind
from activities.tracking import Tracking
from journeys.errors import Conflict, Invalid
from models import Audit, Contact, Database, Member, Template, TemplateVersion

HOUSE = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>", language="de")


def section(text: str) -> str:
    return f"<mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section>"


def include(key: str) -> str:
    return f'<mj-include path="partial:{key}" />'


def put_partial(db: Database, now: datetime, key: str, mjml: str, **more: Any) -> int:
    about: dict[str, Any] = {"name": key.title(), "message_class": "marketing", "actor": "test", "now": now, **more}
    return library.save(db, key, {"default": {"mjml": mjml}}, kind="partial", **about).number


def put_mail(db: Database, now: datetime, key: str, body: str, **more: Any) -> int:
    about: dict[str, Any] = {"name": key.title(), "message_class": "transactional", "actor": "test", "now": now, **more}
    variants = {"default": {"subject": "Hello", "mjml": f"<mjml><mj-body>{body}</mj-body></mjml>"}}
    return library.save(db, key, variants, kind="email", **about).number


def text_of(db: Database, key: str, number: int | None = None) -> str:
    with db.read() as session:
        return library.load(session, key, number).variants["default"].text.strip()


def behind(db: Database) -> dict[str, list[Behind]]:
    with db.read() as session:
        return partials.behind(session)


def audited(db: Database, action: str) -> list[tuple[str, dict[str, Any]]]:
    with db.read() as session:
        return [(one.subject, one.detail) for one in session.scalars(select(Audit).where(Audit.action == action).order_by(Audit.id))]  # type: ignore[arg-type]


def test_a_version_keeps_the_partial_it_was_saved_with(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("Old"))
    assert put_mail(db, now, "mail", include("footer")) == 1
    with db.read() as session:
        assert session.get_one(TemplateVersion, ("mail", 1)).partials == {"footer": 1}
    assert put_partial(db, now, "footer", section("New")) == 2
    assert text_of(db, "mail") == "Old"
    assert behind(db) == {"mail": [Behind("footer", 1, 2)]}
    assert put_mail(db, now, "mail", include("footer")) == 2
    assert text_of(db, "mail") == "New"
    assert text_of(db, "mail", 1) == "Old"
    assert behind(db) == {}
    assert put_mail(db, now, "mail", include("footer")) == 2, "nothing changed, so no version"


def test_one_act_brings_all_up_and_lists_what_fails(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("Old"))
    put_partial(db, now, "other", section("Other"))
    for key in ("fine", "also"):
        put_mail(db, now, key, include("footer"))
    put_mail(db, now, "apart", include("other"))
    put_mail(db, now, "nested", f"<mj-wrapper>{include('footer')}</mj-wrapper>")
    put_partial(db, now, "footer", "<mj-wrapper>" + section("New") + "</mj-wrapper>")
    found = partials.update(db, actor="member:1", now=now, partial="footer")
    assert found.done == {"also": 2, "fine": 2}
    assert set(found.failed) == {"nested"}
    assert found.failed["nested"].code == "tag_misplaced"
    assert found.failed["nested"].values["partial"] == "footer"
    assert (text_of(db, "fine"), text_of(db, "nested")) == ("New", "Old")
    assert audited(db, "template.update_partials") == [
        ("template:also", {"version": 2, "partials": {"footer": 2}}),
        ("template:fine", {"version": 2, "partials": {"footer": 2}}),
    ]
    assert set(behind(db)) == {"nested"}
    assert "nested: In the partial “footer”" in str(partials.stayed(found))


def test_one_template_is_brought_up_alone(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("Old"))
    for key in ("one", "two"):
        put_mail(db, now, key, include("footer"))
    put_partial(db, now, "footer", section("New"))
    assert partials.update(db, actor="test", now=now, template="two").done == {"two": 2}
    assert set(behind(db)) == {"one"}
    assert partials.update(db, actor="test", now=now, template="two").done == {}


def test_a_draft_stays_a_draft(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("Old"))
    put_mail(db, now, "mail", include("footer"))
    with db.write() as session:
        draft = {"default": {"subject": "Half", "mjml": "<mjml>"}}
        library.save_draft(session, "mail", draft, 1, now)
    put_partial(db, now, "footer", section("New"))
    assert partials.update(db, actor="test", now=now).done == {"mail": 2}
    with db.read() as session:
        template = session.get_one(Template, "mail")
        assert template.variants == draft
        assert template.revision == 2
        assert listing.is_draft(session, template)
        assert session.get_one(TemplateVersion, ("mail", 2)).source["default"]["subject"] == "Hello"
        assert text_of(db, "mail") == "New"


def test_bringing_up_makes_no_draft_of_what_was_none(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("Old"))
    put_mail(db, now, "mail", include("footer"))
    put_partial(db, now, "footer", section("New"))
    partials.update(db, actor="test", now=now)
    with db.read() as session:
        assert not listing.is_draft(session, session.get_one(Template, "mail"))


def test_an_archived_template_is_left_alone(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("Old"))
    put_mail(db, now, "mail", include("footer"))
    with db.write() as session:
        library.archive(session, "mail", "test", now)
    put_partial(db, now, "footer", section("New"))
    assert behind(db) == {}
    assert partials.update(db, actor="test", now=now).done == {}


def test_partials_in_partials_are_taken_along_and_remembered(db: Database, now: datetime) -> None:
    put_partial(db, now, "address", section("Old street"))
    put_partial(db, now, "footer", section("Bye") + include("address"))
    put_mail(db, now, "mail", include("footer"))
    put_partial(db, now, "address", section("New street"))
    assert behind(db) == {"mail": [Behind("address", 1, 2)]}
    assert partials.update(db, actor="test", now=now, partial="address").done == {"mail": 2}
    assert text_of(db, "mail").split() == ["Bye", "New", "street"]
    with db.read() as session:
        assert [(one.key, one.version) for one in partials.where_used(session, "address")] == [("footer", None), ("mail", 2)]


def test_a_circle_is_refused_whoever_closes_it(db: Database, now: datetime) -> None:
    put_partial(db, now, "a", section("a"))
    put_partial(db, now, "b", include("a"))
    with pytest.raises(Invalid) as refused:
        put_partial(db, now, "a", include("b"))
    assert [one.code for one in refused.value.issues] == ["partial_cycle"]
    with pytest.raises(Invalid) as refused:
        put_partial(db, now, "new", include("new"))
    assert [one.code for one in refused.value.issues] == ["partial_cycle"]


def test_other_templates_are_no_partials(db: Database, now: datetime) -> None:
    put_mail(db, now, "mail", section("x"))
    with pytest.raises(Invalid) as refused:
        put_mail(db, now, "other", include("mail"))
    assert [one.code for one in refused.value.issues] == ["partial_unknown"]


def test_where_a_partial_is_used(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("x"))
    put_partial(db, now, "foot", section("x"))
    put_mail(db, now, "saved", include("footer"))
    put_mail(db, now, "drafted", section("x"))
    put_mail(db, now, "named", section("partial:footer"))
    with db.write() as session:
        library.save_draft(session, "drafted", {"default": {"subject": "x", "mjml": include("footer")}}, 1, now)
        assert [(one.key, one.version) for one in partials.where_used(session, "footer")] == [("drafted", None), ("saved", 1)]
        assert partials.where_used(session, "foot") == []
        assert set(partials.inclusions(session)) == {"footer"}


def test_only_what_nothing_includes_is_thrown_away(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("x"))
    put_mail(db, now, "mail", include("footer"))
    with db.write() as session, pytest.raises(Conflict) as refused:
        listing.delete(session, "footer", "test")
    assert str(refused.value) == "Templates include this partial; take it out of them first: mail."
    put_mail(db, now, "mail", section("x"))
    with db.write() as session:
        listing.delete(session, "footer", "test")
    with db.read() as session:
        assert session.get(Template, "footer") is None


def test_an_archived_partial_goes_on_where_it_is(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("x"))
    put_mail(db, now, "mail", include("footer"))
    with db.write() as session:
        library.archive(session, "footer", "test", now)
        assert partials.offered(session) == []
    assert put_mail(db, now, "mail", include("footer") + section("y")) == 2
    with db.read() as session:
        assert session.get_one(TemplateVersion, ("mail", 2)).partials == {"footer": 1}


def test_a_copy_holds_the_same_partials(db: Database, now: datetime) -> None:
    put_partial(db, now, "footer", section("x"))
    put_mail(db, now, "mail", include("footer"))
    with db.write() as session:
        listing.duplicate(session, "mail", "copy", "Copy", "test", now)
    put_partial(db, now, "footer", section("y"))
    assert set(behind(db)) == {"mail", "copy"}


def test_a_partial_is_shown_for_a_contact_and_with_what_it_is_lent(db: Database, contact: Contact, now: datetime) -> None:
    put_partial(db, now, "card", section("{{ contact.first_name }}: {{ product.name }} {{ product.quantity }}"))
    with db.read() as session:
        shown = library.preview(session, HOUSE, library.load(session, "card"), now, contact_id=contact.id)
    assert f"{contact.first_name}: Rucksack Alpin 30 1" in shown.text
    assert shown.headers == {}


def test_a_partial_is_sent_to_nobody(db: Database, contact: Contact, now: datetime) -> None:
    put_partial(db, now, "footer", section("x"))
    with db.write() as session:
        member = Member(email="ina@example.org", name="Ina", role="marketer", created_at=now)
        session.add(member)
        session.flush()
        member_id = member.id
    with pytest.raises(Conflict, match="A partial is not a message"):
        library.send_test(db, HOUSE, Outbox(db, lambda: now), "footer", member_id=member_id, now=now, contact_id=contact.id)


def test_somebody_saving_meanwhile_goes_first(db: Database, now: datetime) -> None:
    """The save falls between compiling and storing: the renderer is where it happens."""
    put_partial(db, now, "footer", section("Old"))
    put_mail(db, now, "mail", include("footer"))
    put_partial(db, now, "footer", section("New"))

    class Slow:
        def compile_template(self, *given: Any, **more: Any) -> Any:
            put_mail(db, now, "mail", section("Theirs"))
            return library.INLINE.compile_template(*given, **more)

    found = partials.update(db, actor="test", now=now, renderer=Slow())  # type: ignore[arg-type]
    assert found.done == {}
    assert found.failed["mail"].message == "Someone else saved this template in the meantime; try again."
    assert text_of(db, "mail") == "Theirs"
