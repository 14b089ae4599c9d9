"""The schema: migrations and models agree, old data survives, and a database that does not fit is refused with what to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlmodel import SQLModel

from journeys.errors import Misconfigured
from models import ApiKey, Contact, Database, Identity, migrate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_numbers = count(1)

NEXT = '''
"""A column more, one renamed."""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{last}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("contact") as batch:
        batch.add_column(sa.Column("salutation", sa.String(20), nullable=False, server_default="none"))
        batch.alter_column("first_name", new_column_name="given_name")


def downgrade() -> None:
    pass
'''


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'fresh.db'}"


@pytest.fixture
def postgres_empty_url(postgres_url: str) -> Iterator[str]:
    name = f"migrate_{next(_numbers)}"
    engine = create_engine(f"{postgres_url}/postgres".replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{postgres_url}/{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite_url", "postgres_empty_url"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database, on both kinds."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def next_folder(tmp_path: Path) -> Path:
    """The migrations of a later version of this program."""
    folder = tmp_path / "later"
    shutil.copytree(migrate.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_later.py").write_text(NEXT.format(last=migrate.newest()))
    return folder


def test_migrations_make_the_schema_that_the_models_describe(url: str) -> None:
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_partial_indexes_are_the_same_too(sqlite_url: str, sqlite_db: Database) -> None:
    migrate.upgrade(sqlite_url)
    with closing(Database(sqlite_url)) as made:
        assert _indexes(made) == _indexes(sqlite_db)


def _indexes(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        return {" ".join(sql.split()) for (sql,) in rows}


def test_upgrade_is_idempotent_and_check_is_content(url: str) -> None:
    assert migrate.current(url) is None
    migrate.upgrade(url)
    migrate.upgrade(url)
    assert migrate.current(url) == migrate.newest()
    migrate.check(url)


def test_a_database_that_was_never_set_up_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="pfadwerk setup"):
        migrate.check(url)


def test_an_older_schema_is_refused_until_it_is_upgraded_and_keeps_its_data(url: str, next_folder: Path) -> None:
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.write() as session:
        session.add(Contact(id="c1", first_name="Anna", attributes={"plan": "pro"}, created_at=NOW, updated_at=NOW))
        session.flush()
        session.add(Identity(kind="email", value="anna@example.org", contact_id="c1", created_at=NOW))
    with pytest.raises(Misconfigured, match="pfadwerk backup"):
        migrate.check(url, next_folder)
    migrate.upgrade(url, folder=next_folder)
    migrate.check(url, next_folder)
    with closing(Database(url)) as database, database.read() as session:
        row = session.execute(text("SELECT given_name, salutation FROM contact")).one()
        holder = session.execute(text("SELECT contact_id FROM identity")).scalar_one()
        indexes = {index["name"] for index in inspect(session.connection()).get_indexes("contact")}
    assert (row.given_name, row.salutation, holder) == ("Anna", "none", "c1")
    assert {"ix_contact_email", "ix_contact_merged_into"} <= indexes


def test_keys_and_contacts_from_before_there_were_kinds(url: str) -> None:
    """What a shop's server uses goes on; visitors that are known by nothing but their browser may still register from it."""
    migrate.upgrade(url, "0007")
    with closing(Database(url)) as database, database.write() as session:
        for kind in ("write", "admin"):
            row = {"kind": kind, "now": NOW}
            session.execute(
                text("INSERT INTO api_key (id, kind, name, prefix, key_hash, created_at) VALUES (:kind, :kind, 'Shop', 'pf', :kind, :now)"),
                row,
            )
        for id, name in (("known", "email"), ("visitor", "anonymous_id")):
            row = {"id": id, "kind": name, "now": NOW}
            session.execute(
                text("INSERT INTO contact (id, attributes, created_at, updated_at, demo) VALUES (:id, '{}', :now, :now, false)"),
                row,
            )
            session.execute(text("INSERT INTO identity (kind, value, contact_id, created_at) VALUES (:kind, :id, :id, :now)"), row)
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.read() as session:
        assert {(key.id, key.kind, key.role) for key in session.query(ApiKey)} == {("write", "server", ""), ("admin", "admin", "admin")}
        assert {contact.id: contact.vouched for contact in session.query(Contact)} == {"known": True, "visitor": False}


def test_a_newer_schema_is_refused_and_left_alone(url: str, next_folder: Path) -> None:
    migrate.upgrade(url, folder=next_folder)
    with pytest.raises(Misconfigured, match="newer than this program"):
        migrate.check(url)
    with pytest.raises(Misconfigured, match="newer than this program"):
        migrate.upgrade(url)
    assert migrate.current(url) == "9999"


def test_somebody_elses_database_is_left_alone(url: str) -> None:
    with closing(Database(url)) as database, database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE invoices (id INTEGER)"))
    with pytest.raises(Misconfigured, match="not one of Pfadwerk's"):
        migrate.upgrade(url)


def test_an_unknown_revision_is_named(sqlite_url: str) -> None:
    with pytest.raises(Misconfigured, match="no schema nonsense"):
        migrate.upgrade(sqlite_url, "nonsense")


def test_a_database_that_cannot_be_opened_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="PFADWERK_DATABASE_URL"):
        migrate.current(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
    with pytest.raises(Misconfigured, match="PFADWERK_DATABASE_URL"):
        migrate.current("postgresql://nobody@127.0.0.1:1/none")
