"""After an erasure nothing of the person is left: a walk over every column that can hold a word, and a look into the database's own files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel, select

from activities.rendering.links import link_digest
from activities.tracking import Tracking, store_links
from crm import jobs
from crm.consent import mailbox, suppression
from crm.consent.consent import Evidence, record_consent
from crm.imports import uploads
from crm.people import identity, profile, scores, touches
from crm.people.merge import merge
from crm.privacy import erasure_rest, traces
from crm.privacy.erasure import erase_person
from crm.sales import tasks
from journeys.changes import CreateTask
from journeys.errors import NotFound
from models import (
    AuditNote,
    Body,
    Contact,
    ContactPhone,
    Database,
    Device,
    Form,
    FormSubmission,
    Hit,
    Import,
    ImportChange,
    InAppMessage,
    Job,
    Journey,
    Link,
    Message,
    MigratedRun,
    Migration,
    Note,
    OptIn,
    OutboxItem,
    Refusal,
    Run,
    Subscription,
    Trail,
    Upload,
    Version,
)
from models.session import PRAGMAS
from storage import erasure_fence, files
from storage.events import append_event
from workspace import audit

MARKER = "xanthippe"
PHONE = "+41446681800"
KEYS = [b"k" * 32]
SHOP, TERMS = "https://shop.example/sale", "https://shop.example/terms"
OWN, OLD = "https://shop.example/?order=4711-9&k=1", f"https://shop.example/hello/{MARKER}%40example.org"
WORKSPACE = "the workspace's own words, written by its members, about no contact"
NO_PERSON = "keys, sessions, leases and counts of the workspace"
TABLES = {
    **dict.fromkeys(
        (
            "journey",
            "draft_revision",
            "version",
            "template",
            "template_version",
            "picture",
            "picture_file",
            "coupon_pool",
            "catalogue_field",
            "catalogue_event",
            "workspace_setting",
        ),
        WORKSPACE,
    ),
    **dict.fromkeys(
        (
            "member",
            "rotation",
            "migration",
            "trigger_cursor",
            "open_builder",
            "stopped_account",
            "sending_domain",
            "sending_level",
            "mailbox_reading",
            "unread_mail",
            "sending_delta",
            "sending_day",
            "sending_plan",
            "sending_plan_day",
            "provider_account",
            "channel_account",
            "second_factor",
            "recovery_code",
            "notice",
            "notice_delivery",
            "segment",
            "score_model",
            "form",
            "form_version",
            "form_day",
            "task_notice",
            "chat_post",
        ),
        WORKSPACE,
    ),
    **dict.fromkeys(
        (
            "api_key",
            "login_failure",
            "login_session",
            "login_token",
            "secret",
            "lease",
            "purge_mark",
            "process",
            "stamp",
            "freshness",
            "tally",
            "tally_day",
            "tally_delta",
        ),
        NO_PERSON,
    ),
    "audit": "a chain that cannot be changed; it holds ids, never names; what people type stands in audit_note",
    "suppression": "keyed hashes, kept so that nobody is written to again",
    "mailbox_consent": "becomes keyed hashes",
    "intake_problem": "names of fields and events, never values",
    **dict.fromkeys(("job", "audit_note", "import_job", "upload"), "the test makes rows of its own, some of which have to stay"),
    "unrouted": "places in the code and ids",
    "early_report": "ids and codes, for an hour",
    "inbound_mail": "a digest of the mail, for a month",
    "inbox": "ids",
    "personal_mail": "ids; the text is a body's",
    **dict.fromkeys(("restore", "restored_run", "restored_message"), "instants, ids and places in journeys"),
    "duplicate": "ids; its rows go",
    **dict.fromkeys(("segment_member", "segment_mark", "segment_flip"), "ids; the rows go"),
    **dict.fromkeys(("company", "company_name"), "what the workspace and its senders say of companies; no contact stands in it"),
    **dict.fromkeys(("company_member", "company_mark"), "ids and counts; the rows go"),
    **dict.fromkeys(("company_delta", "company_spread"), "counts, names of fields and ids of companies"),
    **dict.fromkeys(("score_booked", "score_reached", "score_flip"), "ids and points; the rows go"),
    **dict.fromkeys(("segment_day", "grade_day"), "counts"),
    "coupon": "codes of the workspace; the ids of whoever has one go",
    **dict.fromkeys(("link", "upload_part"), "the test makes rows of its own, some of which have to stay"),
}
"""Tables in which no word of a contact stays, and why none of their columns is planted here."""
CODES = "one of our own words: a state, a kind, a reason, a name of a step or of a setting"
COLUMNS = {
    **dict.fromkeys(
        (
            "contact.id", "contact.merged_into", "contact.owner", "contact.lifecycle_stage", "contact.grade", "score_change.why", "score_change.rule", "form_submission.state", "event.type", "event.name", "event.source",
            "run.occasion", "run.status", "run.node", "run.reason", "run.instruction", "run.trace", "event.trace", "trail.what", "trail.node", "trail.outlet", "refusal.reason", "merge.reason", "subscription.topic", "subscription.why",
            "merge.undone_by", "message.once_key", "message.mailbox_key", "message.node", "message.channel", "message.purpose",
            "message.message_class", "message.topic", "message.cap_class", "message.template", "message.locale", "message.status", "message.reason",
            "message.provider", "message.account", "message.provider_id", "outbox_item.idempotency_key", "in_app_message.idempotency_key", "outbox_item.channel", "hit.kind", "hit.agent_class",
            "consent.channel", "consent.purpose", "consent.state", "task.node", "task.owner", "task.state", "task.priority", "task.outcome", "task.outcomes", "task.escalate_to",
            "task_change.what", "task_change.by", "note.kind", "note.direction", "note.outcome", "note.author", "merge_moved.kind",
        ),
        CODES,
    ),
}  # fmt: skip
"""Columns of a person's rows that are not planted."""


def wordy(column: sa.Column[Any]) -> bool:
    return (
        isinstance(column.type, sa.String | sa.JSON | sa.LargeBinary)
        or "JSON" in str(column.type).upper()
        or "AutoString" in type(column.type).__name__
    )


def columns_to_plant() -> dict[str, list[sa.Column[Any]]]:
    found: dict[str, list[sa.Column[Any]]] = {}
    for table in SQLModel.metadata.sorted_tables:
        for column in table.columns:
            name = f"{table.name}.{column.name}"
            fixed = column.primary_key or column.foreign_keys or (column.name.endswith("_id") and name != "event.message_id")
            if table.name not in TABLES and not fixed and name not in COLUMNS and wordy(column):
                found.setdefault(table.name, []).append(column)
    return found


def plant(session: Any) -> int:
    """Writes the marker into every column of every row there is, but for the exceptions; how many that were."""
    count = 0
    for name, columns in columns_to_plant().items():
        table = SQLModel.metadata.tables[name]
        for column in columns:
            value: Any = MARKER
            if isinstance(column.type, sa.LargeBinary):
                value = MARKER.encode()
            elif not isinstance(column.type, sa.String) and "AutoString" not in type(column.type).__name__:
                value = [MARKER] if name in ("merge_moved",) else {MARKER: MARKER}
            if name == "event" and column.name == "message_id":
                ids = [row.id for row in session.execute(sa.select(table.c.id))]
                for id in ids:
                    session.execute(table.update().where(table.c.id == id).values(message_id=f"{MARKER}-{id}", type="track"))
                changed = len(ids)
            else:
                changed = session.execute(table.update().values({column.name: value})).rowcount
            assert changed > 0, f"nothing to plant in {name}.{column.name}: make a row of it"
            count += 1
    session.flush()
    return count


def make_person(session: Any, now: datetime) -> str:
    """Somebody with a row wherever a person can have one."""
    id = identity.resolve(session, [("email", f"{MARKER}@example.org"), ("user_id", MARKER)], now).contact_id
    other = identity.resolve(session, [("user_id", f"{MARKER}-2")], now).contact_id
    profile.update_fields(
        session, other, {"phone": PHONE, "first_name": "X", "last_name": "Y", "locale": "de", "timezone": "UTC"}, now, "test"
    )
    merge(session, id, other, now)
    profile.add_tag(session, id, MARKER, now)
    scores.change_score(session, id, "fit", 5, False, MARKER, now)
    record_consent(
        session, id, "email", "marketing", "withdrawn", now, evidence=Evidence.DATED, source=f"call with {MARKER}", wording=MARKER
    )
    append_event(session, id, "track", "Order Completed", {"name": MARKER}, now)
    task = tasks.create(session, CreateTask(id="t1", title="Call"), contact_id=id, now=now)
    session.add(Import(id="i1", file_name="x.csv", created_at=now))
    session.flush()
    session.add(ImportChange(import_id="i1", contact_id=id, what={"tags": ["x"]}, at=now))
    session.add(Journey(id="j1", key="welcome", name="Welcome", state="live", created_at=now, updated_at=now))
    session.flush()
    session.add(Version(id="v1", journey_id="j1", number=1, digest="v1", document={}, published_at=now))
    session.flush()
    session.add(
        Run(
            id="r1",
            journey_id="j1",
            version_id="v1",
            version_number=1,
            contact_id=id,
            started_at=now,
            updated_at=now,
            status="active",
            step=3,
        )
    )
    session.add(Migration(id="g1", journey_id="j1", from_version=1, to_version=1, created_at=now))
    session.flush()
    session.add(Subscription(run_id="r1", topic="consent", why="goal", contact_id=id))
    session.add(MigratedRun(migration_id="g1", run_id="r1", step_after=1))
    session.add(Trail(run_id="r1", step=1, seq=0, version_id="v1", at=now, what="decided"))
    session.add(
        OptIn(contact_id=id, address="a@example.org", purpose="marketing", language="de", source="form:f", asked_at=now, expires_at=now)
    )
    session.add(Form(id=1, key="f", name="F", created_at=now, updated_at=now))
    session.flush()
    session.add(FormSubmission(form_id=1, contact_id=id, nonce="n", version=1, language="de", submitted_at=now))
    session.add(Refusal(journey_id="j1", contact_id=id, reason="filter", refused_at=now))
    session.add(Message(id="0" * 32, once_key="k", contact_id=id, channel="email", planned_at=now, status="sent"))
    session.flush()
    session.add(Hit(message_id="0" * 32, kind="open", agent_class="human", hit_at=now))
    session.add(Body(contact_id=id, created_at=now))
    session.add(OutboxItem(idempotency_key="k", message_id="0" * 32, channel="email", accepted_at=now))
    touches.record(session, id, touches.Touch("campaign", now), now)
    session.add(ContactPhone(contact_id=id, phone="+41799876543", created_at=now))
    session.add(InAppMessage(idempotency_key="k", message_id="0" * 32, contact_id=id, created_at=now, expires_at=now))
    session.add(Note(contact_id=id, author="member:m1", at=now))
    session.add(Device(contact_id=id, kind="web", address="a", address_hash="h", created_at=now, last_seen_at=now))
    session.flush()
    assert task.id == "t1"
    return id


def links_of(session: Any, person: str, now: datetime) -> None:
    """A link of the person alone, one from before links had an owner, and two that others have, too."""
    session.execute(sa.delete(Link))
    tracking = Tracking({"k1": b"k" * 32}, "https://example.org")
    store_links(session, {link_digest(url): url for url in (SHOP, OWN)}, now, person)
    store_links(session, {link_digest(OLD): OLD, link_digest(TERMS): TERMS}, now)
    store_links(session, {link_digest(SHOP): SHOP}, now, "another")
    session.execute(
        sa.update(Body).values(html="".join(f'<a href="{tracking.click_url("0" * 32, link_digest(url))}">' for url in (OLD, TERMS)))
    )


def test_every_column_is_planted_or_excused() -> None:
    tables = {table.name for table in SQLModel.metadata.sorted_tables}
    assert set(TABLES) <= tables
    assert {name.partition(".")[0] for name in COLUMNS} <= tables - set(TABLES)
    known = {f"{table.name}.{column.name}" for table in SQLModel.metadata.sorted_tables for column in table.columns}
    assert set(COLUMNS) <= known


FILES = {
    "an address": f"email\n{MARKER.upper()}@Example.org\n".encode(),
    "an address in a link": f"email,link\na@example.org,https://x.example/?e={MARKER}%40example.org\n".encode(),
    "an address in UTF-16": f"email\n{MARKER}@example.org\n".encode("utf-16"),
    "an id": f"email;number\na@example.org;{MARKER}\n".encode(),
    "a number": f"email,phone\na@example.org,{PHONE}\n".encode(),
    "a number as people write it": b"email,phone\na@example.org,0041 (0)44 668-18-00\n",
    "a number as it is dialled": b"email,phone\na@example.org,044/668 18 00\n",
    "both names": "email,name\na@example.org,S\u00d6MMERING Xanthi\n".encode(),
    "both names, decomposed": "email,name\na@example.org,Xanthi So\u0308mmering\n".encode(),
    "both names from a spreadsheet": "email;first;last\na@example.org;Xanthi;S\u00f6mmering\n".encode("cp1252"),
}
"""How somebody stands in a file; none of them can be imported any more."""
OTHERS = {
    "somebody else": b"email,name\nada@example.org,Ada\n",
    "one of the names": "email,name\nada@example.org,Xanthi\nbo@example.org,S\u00f6mmering\n".encode(),
    "a longer id": f"email,number\nada@example.org,{MARKER}9\n".encode(),
    "another number": b"email,phone\nada@example.org,+41 44 668 18 01\n",
}
"""Files that stay: a single name is many people's."""


def upload(session: Any, name: str, content: bytes, now: datetime) -> str:
    return str(uploads.take(session, uploads.read_sent(f"{name}.csv", content), "test", now, now).id)


def finish(db: Database, job_id: str, now: datetime) -> Job:
    """Works through a job as a web server does that is killed once in every page, after it has read and before it has written."""
    for _ in range(1_000):
        with db.read() as session:
            job = session.get_one(Job, job_id)
        if job.state != "running":
            return job
        erasure_rest.prepare(db, job, KEYS)
        erasure_rest._kept.take(job.id, job.cursor)
        with db.write() as session:
            job = jobs.locked(session, job_id)
            assert job is not None
            assert erasure_rest.page(session, job, now, KEYS) == erasure_rest.Done(job.cursor, {}, False)
        erasure_rest.prepare(db, job, KEYS)
        with db.write() as session:
            job = jobs.locked(session, job_id)
            assert job is not None
            done = erasure_rest.page(session, job, now, KEYS)
            job.cursor, job.done = done.cursor, job.done + done.counts.get("looked_through", 0)
            if done.finished:
                jobs.end(job, "done", now)
            session.add(job)
    raise AssertionError("the job has no end")


def test_nothing_of_a_person_is_left_in_any_column_or_in_the_files(db: Database, now: datetime) -> None:
    with db.write() as session:
        person = make_person(session, now)
        assert plant(session) > 40
        known = {
            "email": f"{MARKER}@example.org",
            "phone": PHONE,
            "first_name": "Xanthi",
            "last_name": "S\u00f6mmering",
            "merged_into": None,
        }
        session.execute(sa.update(Contact).where(Contact.id == person).values(**known))
        links_of(session, person, now)
        theirs = [upload(session, name, content, now) for name, content in FILES.items()]
        others = [upload(session, name, content, now) for name, content in OTHERS.items()]
        named = upload(session, f"{MARKER}@example.org", b"email,name\nada@example.org,Ada\n", now)
        suppression.suppress(session, KEYS, "email", f"{MARKER}@example.org", "manual", now)
        suppression.suppress(session, KEYS, "email", "ada@example.org", "manual", now)
        mailbox.lift(session, KEYS, "email", f"{MARKER}@example.org", "m1", f"call with Xanthi S\u00f6mmering of {MARKER}@example.org", now)
        mailbox.lift(session, KEYS, "email", "ada@example.org", "m1", "a letter of Ada's", now)
        asked = {"tag": f"for {MARKER}", "added": True, jobs.WANTED: {"q": f"{MARKER}@example.org"}}
        about = jobs.add_job(session, "bulk_tag", "contacts", asked, "m1", now).id
        other = jobs.add_job(session, "bulk_tag", "contacts", {"tag": "fair", "added": True, jobs.WANTED: {"q": "ada"}}, "m1", now).id
    assert MARKER in everything(db)
    done = erase_person(db, person, now, by="test", keys=KEYS)
    assert done.job_id is not None
    assert erase_person(db, person, now, by="test", keys=KEYS).job_id is None
    with db.read() as session:
        assert erasure_fence.is_under_way(session)
        sealed = session.get_one(Job, done.job_id)
        assert (sealed.total, MARKER in str(sealed.input)) == (len(FILES) + len(OTHERS) + 1, False)
    job = finish(db, done.job_id, now)
    assert (job.state, job.done, job.input) == ("done", len(FILES) + len(OTHERS) + 1, {})
    left = [line[:300] for line in everything(db).splitlines() if any(one in line for one in (MARKER, PHONE, "xanthi s\u00f6mmering"))]
    assert [line for line in left if f"{MARKER}9" not in line] == []
    with db.read() as session:
        assert {session.get_one(Import, id).state for id in theirs} == {"cancelled"}
        assert {session.get_one(Import, id).state for id in (*others, named)} == {"draft"}
        assert set(session.scalars(select(Link.url))) == {SHOP, TERMS}
        assert sorted(session.scalars(select(AuditNote.text))) == ["", "a letter of Ada's"]
        assert (session.get_one(Job, about).state, session.get_one(Job, other).state) == ("cancelled", "running")
        assert session.get_one(Job, other).input[jobs.WANTED] == {"q": "ada"}
        assert audit.check(session).problem == ""
    if db.is_sqlite:
        file = Path(db.engine.url.database or "")
        found = [one.name for one in file.parent.glob(f"{file.name}*") if f"{MARKER}@" in one.read_bytes().lower().decode("latin-1")]
        assert found == [], "free pages and the log are overwritten"


def everything(db: Database) -> str:
    with db.read() as session:
        return "\n".join(
            f"{table.name}: {row}".lower()
            for table in SQLModel.metadata.sorted_tables
            if table.name not in ("audit",)
            for row in session.execute(sa.select(table))
        )


def test_a_person_is_found_over_the_edge_of_two_parts() -> None:
    values = traces.Values(frozenset([f"{MARKER}@example.org"]), frozenset())
    assert traces.part_names(values, b"IPPE@example.org;b", b"aaaa;Xanth")
    assert not traces.part_names(values, b"IPPE@example.com;b", b"aaaa;Xanth")


def test_a_large_file_is_looked_through_in_pages(sqlite_db: Database, now: datetime) -> None:
    """Its last part names the person; every page moves the cursor, and what a page has looked at is not looked at again."""
    line = b"somebody@example.org,Somebody,0123456789\n"
    content = b"email,name,phone\n" + line * (19 * files.PART_BYTES // len(line)) + f"{MARKER}@example.org,X,\n".encode()
    db = sqlite_db
    with db.write() as session:
        person = identity.resolve(session, [("email", f"{MARKER}@example.org")], now).contact_id
        row = files.store(session, "large.csv", content, "m1", now)
    done = erase_person(db, person, now, by="test", keys=KEYS)
    assert done.job_id is not None
    job = finish(db, done.job_id, now)
    with db.read() as session:
        assert (job.done, job.total, session.get(Upload, row.id)) == (20, 20, None)


def test_a_file_that_is_still_being_sent_goes_and_takes_no_further_part(db: Database, now: datetime) -> None:
    """What comes after the look would name the person, and nobody would look again."""
    size = 2 * files.PART_BYTES
    with db.write() as session:
        person = identity.resolve(session, [("email", f"{MARKER}@example.org")], now).contact_id
        row = files.begin(session, "half.csv", size, "m1", now, files.Room())
        files.add_part(session, row.id, 0, b"a" * files.PART_BYTES, "m1")
        complete = files.store(session, "whole.csv", b"a" * size, "m1", now)
    done = erase_person(db, person, now, by="test", keys=KEYS)
    assert done.job_id is not None
    finish(db, done.job_id, now)
    with db.write() as session:
        assert session.get(Upload, complete.id) is not None
        with pytest.raises(NotFound):
            files.add_part(session, row.id, 1, f"{MARKER}@example.org".encode().ljust(files.PART_BYTES), "m1")


@pytest.mark.parametrize(
    ("stage", "column", "content"),
    [
        ("imports", "file_name", f"{MARKER}@example.org.csv"),
        ("imports", "mapping", {f"{MARKER}@example.org": "email"}),
        ("imports", "errors", [{"row": 7, "value": f"{MARKER}@example.org"}]),
        ("jobs", "input", {"tags": [f"for {MARKER}@example.org"]}),
        ("jobs", "error", f"no such contact: {MARKER}@example.org"),
    ],
)
def test_one_place_that_names_a_person_is_enough(sqlite_db: Database, now: datetime, stage: str, column: str, content: Any) -> None:
    values = traces.Values(frozenset([f"{MARKER}@example.org"]), frozenset())
    with sqlite_db.write() as session:
        draft, job = (
            upload(session, "fair", b"email\nada@example.org\n", now),
            jobs.add_job(session, "bulk_tag", "contacts", {}, "m1", now).id,
        )
        row = session.get_one(*((Import, draft) if stage == "imports" else (Job, job)))
        setattr(row, column, content)
        row.state = "failed" if column == "error" else row.state
    found = erasure_rest._LOOK[stage](sqlite_db, values, "")
    assert list(found.ids) == [draft if stage == "imports" else job]
    with sqlite_db.write() as session:
        erasure_rest._GO[stage](session, found.ids, now, values)
    assert MARKER not in everything(sqlite_db)


@pytest.mark.parametrize(("kind", "state"), [("bulk_tag", "cancelled"), *((kind, "running") for kind in jobs.UNSTOPPABLE)])
def test_work_about_a_person_ends_unless_nobody_may_stop_it(sqlite_db: Database, now: datetime, kind: str, state: str) -> None:
    values = traces.Values(frozenset([f"{MARKER}@example.org"]), frozenset())
    with sqlite_db.write() as session:
        id = jobs.add_job(session, kind, f"contact:{MARKER}", {"q": f"{MARKER}@example.org"}, "m1", now).id
    with sqlite_db.write() as session:
        erasure_rest._GO["jobs"](session, [id], now, values)
    with sqlite_db.read() as session:
        assert session.get_one(Job, id).state == state


def test_names_are_words_and_addresses_are_pieces() -> None:
    values = traces.Values(frozenset({"ann@example.org"}), frozenset({"ann", "von der heide"}))
    assert values.are_in("call with Ann")
    assert values.are_in("mailto:ANN@example.org?x")
    assert values.are_in("Frau von der Heide")
    assert not values.are_in("planned")


def test_deleted_pages_are_overwritten(sqlite_db: Database) -> None:
    with sqlite_db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1
    assert "secure_delete=ON" in PRAGMAS, "not only where SQLite was built so"
