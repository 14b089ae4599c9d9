"""After an erasure nothing of the person is left: a walk over every column that can hold a word, and a look into the database's own files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel, select

from activities.rendering.links import link_digest
from activities.tracking import Tracking, store_links
from crm import identity, profile, scores, tasks, traces, uploads
from crm.consent import Evidence, record_consent
from crm.erasure import erase_person
from crm.events import append_event
from crm.merge import merge
from journeys.values import CreateTask
from models import (
    Body,
    Contact,
    Database,
    Hit,
    Import,
    Journey,
    Link,
    Message,
    MigratedRun,
    Migration,
    OutboxItem,
    Refusal,
    Run,
    Subscription,
    Trail,
    Version,
)
from models.session import PRAGMAS

MARKER = "xanthippe"
PHONE = "+41446681800"
KEYS = [b"k" * 32]
SHOP, TERMS = "https://shop.example/sale", "https://shop.example/terms"
OWN, OLD = "https://shop.example/?order=4711-9&k=1", f"https://shop.example/hello/{MARKER}%40example.org"
WORKSPACE = "the workspace's own words, written by its members, about no contact"
NO_PERSON = "keys, sessions, leases and counts of the workspace"
TABLES = {
    **dict.fromkeys(
        ("journey", "version", "template", "template_version", "catalogue_field", "catalogue_event", "workspace_setting"), WORKSPACE
    ),
    **dict.fromkeys(
        (
            "member",
            "rotation",
            "migration",
            "trigger_cursor",
            "stopped_account",
            "second_factor",
            "recovery_code",
            "notice",
            "notice_delivery",
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
            "process",
            "stamp",
            "freshness",
            "tally",
            "tally_delta",
        ),
        NO_PERSON,
    ),
    "audit": "a chain that cannot be changed; it holds ids, never names",
    "suppression": "keyed hashes, kept so that nobody is written to again",
    "mailbox_consent": "becomes keyed hashes",
    "intake_problem": "names of fields and events, never values",
    "job": "whom a job is about is forgotten at its end",
    "unrouted": "places in the code and ids",
    "inbox": "ids",
    **dict.fromkeys(("restore", "restored_run", "restored_message"), "instants, ids and places in journeys"),
    "duplicate": "ids; its rows go",
    "import_job": "the name of a file and of its columns",
    "upload": "the name of a file",
    **dict.fromkeys(("link", "upload_part"), "the test makes rows of its own, some of which have to stay"),
}
"""Tables in which no word of a contact stays, and why none of their columns is planted here."""
CODES = "one of our own words: a state, a kind, a reason, a name of a step or of a setting"
COLUMNS = {
    **dict.fromkeys(
        (
            "contact.id", "contact.merged_into", "contact.owner", "contact.lifecycle_stage", "event.type", "event.name", "event.source",
            "run.occasion", "run.status", "run.node", "run.reason", "run.instruction", "trail.what", "trail.node", "trail.outlet", "refusal.reason", "merge.reason", "subscription.topic", "subscription.why",
            "merge.undone_by", "message.once_key", "message.mailbox_key", "message.node", "message.channel", "message.purpose",
            "message.message_class", "message.cap_class", "message.template", "message.locale", "message.status", "message.reason",
            "message.provider", "message.provider_id", "outbox_item.idempotency_key", "outbox_item.channel", "hit.kind", "hit.agent_class",
            "consent.channel", "consent.purpose", "consent.state", "task.node", "task.owner", "task.state", "task.priority", "task.outcome", "task.outcomes", "task.escalate_to",
            "task_change.what", "task_change.by", "merge_moved.kind",
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
    session.add(Refusal(journey_id="j1", contact_id=id, reason="filter", refused_at=now))
    session.add(Message(id="0" * 32, once_key="k", contact_id=id, channel="email", planned_at=now, status="sent"))
    session.flush()
    session.add(Hit(message_id="0" * 32, kind="open", agent_class="human", hit_at=now))
    session.add(Body(contact_id=id, created_at=now))
    session.add(OutboxItem(idempotency_key="k", message_id="0" * 32, channel="email", accepted_at=now))
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


def test_nothing_of_a_person_is_left_in_any_column_or_in_the_files(db: Database, now: datetime) -> None:
    with db.write() as session:
        person = make_person(session, now)
        assert plant(session) > 40
        session.execute(sa.update(Contact).where(Contact.id == person).values(email=f"{MARKER}@example.org", phone=PHONE, merged_into=None))
        links_of(session, person, now)
        sent = uploads.read_sent("people.csv", f"email,name\nada@example.org,Ada\n{MARKER}@example.org,X\n".encode())
        import_id = uploads.take(session, sent, "test", now).id
        other = uploads.read_sent("others.csv", b"email,name\nada@example.org,Ada\n")
        other_id = uploads.take(session, other, "test", now).id
    assert MARKER in everything(db)
    done = erase_person(db, person, now, by="test", keys=KEYS)
    assert done.files == 1
    left = [line[:300] for line in everything(db).splitlines() if MARKER in line.lower() or PHONE in line]
    assert left == []
    with db.read() as session:
        assert session.get_one(Import, import_id).state == "cancelled"
        assert session.get_one(Import, other_id).state == "draft"
        assert set(session.scalars(select(Link.url))) == {SHOP, TERMS}
    if db.is_sqlite:
        file = Path(db.engine.url.database or "")
        found = [one.name for one in file.parent.glob(f"{file.name}*") if MARKER.encode() in one.read_bytes().lower()]
        assert found == [], "free pages and the log are overwritten"


def everything(db: Database) -> str:
    with db.read() as session:
        return "\n".join(
            f"{table.name}: {row}".lower()
            for table in SQLModel.metadata.sorted_tables
            if table.name not in ("audit",)
            for row in session.execute(sa.select(table))
        )


def test_a_file_is_found_over_the_edge_of_its_parts() -> None:
    parts = [b"aaaa;Xanth", b"IPPE@example.org;b"]
    assert traces._holds(parts, [f"{MARKER}@example.org".encode()])
    assert not traces._holds(parts, [b"somebody@example.org"])


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
