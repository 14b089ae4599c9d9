"""Undo of a whole import: what it made goes, what it changed is set back, what was changed since stays and is listed; withdrawals stay."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import SQLModel, select

from crm.consent import mailbox, suppression
from crm.consent.consent import Evidence, record_consent
from crm.imports import undo, uploads
from crm.imports.changes import What
from crm.imports.uploads import Draft
from crm.people import phones, profile
from crm.people.identity import find, resolve
from crm.people.merge import merge
from crm.people.scores import change_score
from crm.privacy.erasure import erase
from crm.scoring import grades, jobs, models
from crm.segments import members, segments
from journeys.errors import Conflict
from models import Consent, ConsentState, Contact, Database, Event, Identity, Import, ImportChange, Job, ScoreChange, Tag
from storage.events import append_event
from storage.files import Room
from tests.crm.test_uploads import run
from workspace.roles import NotAllowed

KEYS = (b"k" * 32,)
HEADER = "email,user_id,plan,first_name,tags,consent_email_marketing,consent_email_marketing_at\n"


def imported(db: Database, rows: str, now: datetime, *, header: str = HEADER, segment: str = "") -> str:
    id = uploads.receive(db, "people.csv", (header + rows).encode(), "test", now, now, Room())
    with db.read() as session:
        columns = session.get_one(Import, id).mapping["columns"]
    uploads.decide(db, id, Draft(columns, segment=segment))
    run(db, id, now, dry=True)
    assert run(db, id, now, dry=False).rows_failed == 0
    return id


def undone(db: Database, import_id: str, now: datetime, *, dry: bool = False) -> dict[str, int]:
    counts: dict[str, int] = {}
    cursor, finished = "", False
    while not finished:
        with db.write() as session:
            done = undo.page(session, import_id, cursor, "test", now, KEYS, dry=dry)
        cursor, finished = done.cursor, done.finished
        for name, number in done.counts.items():
            counts[name] = counts.get(name, 0) + number
    return counts


def known(db: Database, now: datetime, mail: str, **fields: object) -> str:
    with db.write() as session:
        id = resolve(session, [("email", mail)], now).contact_id
        profile.update_fields(session, id, fields, now, "test") if fields else None
    return id


def rows_of(db: Database) -> dict[str, int]:
    """Table -> how many rows, of all that know contacts."""
    names = ("contact", "identity", "tag", "consent", "consent_state", "segment_member", "lead_source", "import_change")
    with db.read() as session:
        return {name: len(session.execute(select(SQLModel.metadata.tables[name])).all()) for name in names}


def test_what_it_made_goes_without_a_trace(db: Database, now: datetime) -> None:
    known(db, now, "ada@example.org", plan="pro")
    with db.write() as session:
        segments.create(session, "Guests", None, "test", now, key="guests")
    before = rows_of(db)
    rows = "".join(f"p{n}@example.org,u{n},free,P{n},vip;new,{'yes' if n % 2 else 'no'},2026-01-01\n" for n in range(60))
    id = imported(db, rows + "p1@example.org,,basic,,late,,\n", now, segment="guests")
    assert rows_of(db)["contact"] == before["contact"] + 60
    assert undone(db, id, now, dry=True) == {"removed": 60}
    assert rows_of(db)["contact"] == before["contact"] + 60, "a dry run leaves everything"
    assert undone(db, id, now) == {"removed": 60}
    assert rows_of(db) == before
    with db.read() as session:
        assert session.get_one(Import, id).state == "undone"
        assert members.count(session, segments.id_of(segments.get(session, "guests"))) == 0
        assert not undo.can_undo(session, session.get_one(Import, id), now)
    again = imported(db, "p1@example.org,u1,free,P1,,,\n", now)
    assert undone(db, again, now) == {"removed": 1}, "and can be imported anew"


def test_what_it_changed_is_set_back(db: Database, now: datetime) -> None:
    ada = known(db, now, "ada@example.org", plan="pro", first_name="Ada", address={"city": "Bern"}, phone="+41446681800")
    with db.write() as session:
        profile.add_tag(session, ada, "vip", now, "test")
        before = dict(session.get_one(Contact, ada).attributes)
    header = "email,user_id,plan,first_name,address.city,phone,neu,tags\n"
    rows = "ada@example.org,u1,free,Eva,Basel,+41446681801,x,vip;neu\nada@example.org,,basic,,,,,\n"
    id = imported(db, rows, now, header=header)
    with db.read() as session:
        assert (session.get_one(Contact, ada).first_name, find(session, ("user_id", "u1"))) == ("Eva", ada)
    assert undone(db, id, now) == {"set_back": 1}
    with db.read() as session:
        contact = session.get_one(Contact, ada)
        assert (contact.attributes, contact.first_name, contact.phone) == (before, "Ada", "+41446681800")
        assert session.scalars(select(Tag.tag).where(Tag.contact_id == ada)).all() == ["vip"]
        assert session.scalars(select(Identity.kind).where(Identity.contact_id == ada)).all() == ["email"]
        assert session.scalars(select(ImportChange)).all() == []
        events = session.scalars(select(Event).where(Event.contact_id == ada).order_by(Event.id.desc())).all()  # type: ignore[union-attr]
        assert (events[0].name, events[0].backfill, events[0].routed) == ("Contact Changed", True, True)


def test_what_was_changed_since_stays_and_is_listed(db: Database, now: datetime) -> None:
    ada, later = known(db, now, "ada@example.org", plan="pro", first_name="Ada"), now + timedelta(hours=1)
    rows = "ada@example.org,,free,Eva,,,\nbo@example.org,,free,Bo,,,\ncy@example.org,,free,Cy,,,\ndi@example.org,,free,Di,,,\n"
    id = imported(db, rows, now)
    with db.write() as session:
        bo, cy, di = (find(session, ("email", f"{name}@example.org")) or "" for name in ("bo", "cy", "di"))
        profile.update_fields(session, ada, {"plan": "enterprise"}, later, "test")
        append_event(session, bo, "track", "Order Completed", {}, later, source="shop")
        merge(session, ada, cy, later)
        erase(session, di, later, by="test")
    wanted = {"set_back": 1, "unchanged": 2, "changed_since": 1, "used": 1, "merged": 1}  # of whom was erased, nothing is known any more
    assert undone(db, id, later, dry=True) == wanted
    assert undone(db, id, later) == wanted
    with db.read() as session:
        contact = session.get_one(Contact, ada)
        assert (contact.first_name, contact.attributes["plan"]) == ("Ada", "enterprise")
        assert session.get_one(Contact, bo).first_name == "Bo"
        assert dict(undo.kept_of(session, id)) == {ada: "changed_since", bo: "used", cy: "merged"}


def test_consents_never_become_stronger_by_an_undo(db: Database, now: datetime) -> None:
    people = [known(db, now, f"{name}@example.org") for name in ("new", "no", "yes", "since", "silent")]
    with db.write() as session:
        for id, state in ((people[1], "withdrawn"), (people[2], "granted")):
            at = datetime.fromisoformat("2025-01-01T00:00:00+00:00")
            record_consent(session, id, "email", "marketing", state, now, source="form", said_at=at, evidence=Evidence.DATED)
    rows = "new@example.org,,,,,yes,2026-01-01\nno@example.org,,,,,yes,2026-01-01\nyes@example.org,,,,,no,2026-01-01\nsince@example.org,,,,,yes,2026-01-01\n"
    rows += "silent@example.org,,,,,no,2026-01-01\n"
    id = imported(db, rows, now)
    with db.write() as session:
        record_consent(session, people[3], "email", "marketing", "withdrawn", now, source="page", evidence=Evidence.DATED)
    assert undone(db, id, now) == {"set_back": 2, "unchanged": 3, "no": 2, "changed_since": 1}
    with db.read() as session:
        stand = {row.contact_id: row.state for row in session.scalars(select(ConsentState))}
        assert stand == dict.fromkeys(people[1:], "withdrawn")
        lines = [row for row in session.scalars(select(Consent)) if row.proof.get("import") == id and row.contact_id in people[:2]]
        assert [line.proof["applied"] for line in lines] == [False, False], "the log stays, and says that they do not count"


def test_a_suppressed_address_stays_suppressed(db: Database, now: datetime) -> None:
    id = uploads.receive(db, "list.csv", b"email,bounced\nada@example.org,yes\n", "test", now, now, Room())
    uploads.decide(db, id, Draft({"email": "email", "bounced": "suppress_email"}))
    for dry in (True, False):
        with db.write() as session:
            uploads.begin(session, id, "admin", dry=dry)
        finished = False
        while not finished:
            uploads.prepare(db, id, now, KEYS)
            with db.write() as session:
                finished = uploads.page(session, id, now).finished
    assert undone(db, id, now)["removed"] == 1
    with db.read() as session:
        assert suppression.is_suppressed(session, KEYS, "email", "ada@example.org") == "import"


def test_an_undo_is_refused_when_there_is_nothing_to_undo(db: Database, now: datetime) -> None:
    id = imported(db, "ada@example.org,,free,Ada,,,\n", now)
    late = now + undo.UNDO_FOR + timedelta(seconds=1)
    with db.write() as session:
        for role, error in (("viewer", NotAllowed), ("sales", NotAllowed)):
            with pytest.raises(error):
                undo.begin(session, id, "test", role, now, dry=True)
        assert undo.begin(session, id, "test", "marketer", now, dry=True).total == 1
        with pytest.raises(Conflict, match="already"):
            undo.begin(session, id, "test", "marketer", now, dry=False)
        with pytest.raises(Conflict):
            undo.begin(session, id, "test", "admin", late, dry=True)
        assert (undo.are_old(session, now), undo.are_old(session, late)) == (False, True)
        assert undo.forget_old(session, late) == 1
        assert not undo.can_undo(session, session.get_one(Import, id), now)


def test_points_of_rules_go_with_a_contact_and_points_by_hand_keep_it(db: Database, now: datetime) -> None:
    id = imported(db, "ada@example.org,,free,Ada,,,\nbo@example.org,,free,Bo,,,\n", now)
    with db.write() as session:
        ada, bo = (find(session, ("email", f"{name}@example.org")) or "" for name in ("ada", "bo"))
        rules = [{"id": "r", "group": "fit", "points": 30, "rule": {"field": "first_name", "operator": "notNull"}}]
        row = models.create(session, "Leads", {"rules": rules, "grading": {"letters": [20, 10, 1], "numbers": [20, 10, 0]}}, "test", now)
        job = session.get_one(Job, row.job)
        while (cursor := jobs.score_page(session, job, now)[0]) is not None:
            job.cursor = cursor
        assert sum(grades.counts(session).values()) == 2
        change_score(session, bo, "fit", 5, False, "met her", now)
    assert undone(db, id, now) == {"removed": 1, "unchanged": 1, "used": 1}
    with db.read() as session:
        assert session.get(Contact, ada) is None
        assert sum(grades.counts(session).values()) == 1
        assert {one.contact_id for one in session.scalars(select(ScoreChange))} == {bo}


def test_a_list_that_somebody_else_put_a_contact_on_keeps_it(db: Database, now: datetime) -> None:
    later = now + timedelta(hours=1)
    with db.write() as session:
        for key in ("guests", "board"):
            segments.create(session, key, None, "test", now, key=key)
    id = imported(db, "".join(f"{name}@example.org,,free,,,,\n" for name in ("ada", "bo", "cy")), now, segment="guests")
    with db.write() as session:
        ada, bo = (find(session, ("email", f"{name}@example.org")) or "" for name in ("ada", "bo"))
        segments.put_in(session, "board", [ada], "member:1", later)
        segments.take_out(session, "guests", [bo], "member:1", later)
        segments.put_in(session, "guests", [bo], "member:1", later)
    assert undone(db, id, later) == {"removed": 1, "unchanged": 2, "used": 2}
    with db.read() as session:
        assert [one.key for one in members.of_contact(session, ada)] == ["board", "guests"]
        assert [one.key for one in members.of_contact(session, bo)] == ["guests"]


def test_what_somebody_gave_again_since_stays(db: Database, now: datetime) -> None:
    ada, later = known(db, now, "ada@example.org"), now + timedelta(hours=1)
    with db.write() as session:
        segments.create(session, "Guests", None, "test", now, key="guests")
    id = imported(db, "ada@example.org,,,,vip;new,,\n", now, segment="guests")
    with db.write() as session:
        profile.remove_tag(session, ada, "vip", later)
        profile.add_tag(session, ada, "vip", later)
        segments.take_out(session, "guests", [ada], "member:1", later)
        segments.put_in(session, "guests", [ada], "member:1", later)
    assert undone(db, id, later) == {"set_back": 1}
    with db.read() as session:
        assert profile.tags(session, ada) == ["vip"]
        assert [one.key for one in members.of_contact(session, ada)] == ["guests"]


@pytest.mark.parametrize("between", [0, 60], ids=["one chunk", "two chunks"])
def test_a_no_of_the_file_outlives_its_later_yes(db: Database, now: datetime, between: int) -> None:
    ada = known(db, now, "ada@example.org")
    rows = "ada@example.org,,,,,no,2026-01-01\n" + "".join(f"p{n}@example.org,,,,,,\n" for n in range(between))
    id = imported(db, rows + "ada@example.org,,,,,yes,2026-01-02\n", now)
    with db.read() as session:
        assert session.get_one(ConsentState, (ada, "email", "marketing")).state == "granted"
    assert undone(db, id, now)["set_back"] == 1
    with db.read() as session:
        assert session.get_one(ConsentState, (ada, "email", "marketing")).state == "withdrawn"
        assert mailbox.says_no(session, KEYS, "email", "marketing", "ada@example.org")
        lines = {row.state: row.proof.get("applied", True) for row in session.scalars(select(Consent))}
        assert lines == {"withdrawn": True, "granted": False}


def test_a_contact_in_use_keeps_no_consent_of_the_file(db: Database, now: datetime) -> None:
    id = imported(db, "ada@example.org,,free,Ada,vip,yes,2026-01-01\n", now)
    with db.write() as session:
        ada = find(session, ("email", "ada@example.org")) or ""
        append_event(session, ada, "track", "Order Completed", {}, now, source="shop")
    assert undone(db, id, now) == {"set_back": 1, "used": 1}
    with db.read() as session:
        assert session.scalars(select(ConsentState)).all() == []
        assert (session.get_one(Contact, ada).first_name, profile.tags(session, ada)) == ("Ada", ["vip"])


def test_further_numbers_are_set_back(db: Database, now: datetime) -> None:
    ada = known(db, now, "ada@example.org", phone="+41446681800", phones=["+41446681800", "+41446681801"])
    bo = known(db, now, "bo@example.org", phone="+41446681802")
    rows = "ada@example.org,+41446681801,\nbo@example.org,,+41446681803\n"
    id = imported(db, rows, now, header="email,phone,phones\n")
    with db.read() as session:
        assert phones.of(session, session.get_one(Contact, ada)) == ["+41446681801", "+41446681800"]
    assert undone(db, id, now) == {"set_back": 2}
    with db.read() as session:
        assert phones.of(session, session.get_one(Contact, ada)) == ["+41446681800", "+41446681801"]
        assert phones.of(session, session.get_one(Contact, bo)) == ["+41446681802"]


def test_what_somebody_changed_between_two_chunks_is_what_stood_before() -> None:
    first, later = What(fields={"attributes.plan": ["a", "b"], "locale": ["de", "fr"]}), What(fields={"attributes.plan": ["c", "d"]})
    assert first.then(later).fields == {"attributes.plan": ["c", "d"], "locale": ["de", "fr"]}
