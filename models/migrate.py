"""The schema of a database: bring it up to date, name it, or refuse to work with one that does not fit the code.

Revisions lie in the package `migrations`, beside this one, and are found by file, so that an installed wheel has them too.
This module never changes data on its own and is called by composition roots only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from journeys.errors import Misconfigured
from models.session import PATIENT, Database

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).resolve().parent.parent / "migrations"
_REVISION = re.compile(r'^revision(?:: str)? = "([^"]+)"', re.MULTILINE)
_BEFORE = re.compile(r'^down_revision(?:: [^=]+)? = (?:"([^"]+)"|None)', re.MULTILINE)
LOCK_NUMBER = 7_263_401
"""PostgreSQL advisory lock, so that two processes that start together do not both upgrade."""
UNFINISHED = "unfinished_restore"
"""The table that says, while it is there, that a restore is under way or was broken off: nothing starts on such a database."""


def upgrade(url: str, revision: str = "head", folder: Path = FOLDER, *, unfinished: bool = False) -> None:
    """Brings the database at `url` to `revision` in one transaction; creates it where it is empty. Idempotent. `unfinished`: also while it is
    being restored.

    Raises:
        Misconfigured: the database cannot be reached, is newer than this program, holds tables that are not ours, or half of a restore.
    """
    with _opened(url) as database, _reached(database, write=True) as connection:
        if database.is_sqlite:
            connection.connection.cursor().execute(
                "PRAGMA foreign_keys=OFF"
            )  # copying a table drops it; has no effect inside a transaction
        with connection.begin():
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})
            _refuse_newer(_revision(connection), folder)
            _refuse_foreign(connection)
            if not unfinished:
                _refuse_unfinished(connection)
            _run(connection, revision, folder)
            if database.is_sqlite:
                _refuse_broken_references(connection)


def current(url: str) -> str | None:
    """The revision of the database at `url`; None if it was never set up.

    Raises:
        Misconfigured: the database cannot be reached.
    """
    with _opened(url) as database, _reached(database) as connection:
        return _revision(connection)


def newest(folder: Path = FOLDER) -> str:
    """The revision this program was written for."""
    known = _known(folder)
    heads = set(known) - set(known.values())
    if len(heads) != 1:
        raise Misconfigured("No migrations were found in {folder}; install the package again.", folder=str(folder))
    return heads.pop()


def check(url: str, folder: Path = FOLDER) -> None:
    """Makes sure that the database at `url` has the schema this program was written for, and that we may write its rows.

    Raises:
        Misconfigured: it was never set up, is older, newer or half restored, or the role lacks rights; the message says what to do.
    """
    with _opened(url) as database, _reached(database) as connection:
        _refuse_unfinished(connection)
        found = _revision(connection)
    if found is None:
        raise Misconfigured("The database has not been set up yet. Run `pfadwerk setup`.")
    _refuse_newer(found, folder)
    if found != newest(folder):
        raise Misconfigured(
            "The database has the schema {found}, this program needs {newest}. Make a backup with `pfadwerk backup`, then run `pfadwerk setup`.",
            found=found,
            newest=newest(folder),
        )
    _refuse_lacking_rights(url)


def _refuse_lacking_rights(url: str) -> None:
    """A role that may not write would fail at the first event, not at the start."""
    with _opened(url) as database, _reached(database) as connection:
        lacking = [] if database.is_sqlite else list(connection.execute(_LACKING).scalars())
        if lacking:
            raise Misconfigured(
                "The database role {role} cannot write to all tables ({tables}). Use the role that deploy/roles.sql "
                "creates for web servers and workers, or grant it SELECT, INSERT, UPDATE and DELETE.",
                role=str(connection.scalar(text("SELECT current_user"))),
                tables=lacking[:3],
            )


_LACKING = text(
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace AND relname <> 'alembic_version' "
    "AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE') "
    "AND has_table_privilege(oid, 'DELETE')) ORDER BY relname"
)


def refuse_unfinished(url: str) -> None:
    """Raises: Misconfigured, if a restore into the database at `url` is under way or was broken off."""
    with _opened(url) as database, _reached(database) as connection:
        _refuse_unfinished(connection)


def _refuse_newer(found: str | None, folder: Path) -> None:
    if found is not None and found not in _known(folder):
        raise Misconfigured(
            "The database has the schema {found}, which is newer than this program (it knows up to {newest}). "
            "Install the version of Pfadwerk that wrote it, or restore a backup of that time.",
            found=found,
            newest=newest(folder),
        )


def _refuse_foreign(connection: Connection) -> None:
    tables = set(inspect(connection).get_table_names()) - {UNFINISHED}
    if tables and "alembic_version" not in tables:
        raise Misconfigured(
            "The database holds tables but no schema number, so it is not one of Pfadwerk's. Name an empty database in PFADWERK_DATABASE_URL."
        )


def _refuse_unfinished(connection: Connection) -> None:
    if inspect(connection).has_table(UNFINISHED):
        raise Misconfigured("Restoring a backup into this database was interrupted. Run `pfadwerk restore` again.")


def _refuse_broken_references(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise Misconfigured(
            "Rows of {tables} point to rows that do not exist; nothing was changed. Restore a backup, then try again.",
            tables=sorted({str(row[0]) for row in broken}),
        )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _run(connection: Connection, revision: str, folder: Path) -> None:
    if revision != "head" and revision not in _known(folder):
        raise Misconfigured("There is no schema {revision}; the newest is {newest}.", revision=revision, newest=newest(folder))
    from alembic import command

    config = _config(folder)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _known(folder: Path) -> dict[str, str | None]:
    """Revision -> the one before. Read from the text of the files: loading alembic takes a quarter of a second, and most processes only compare."""
    files = (path.read_text("utf-8") for path in sorted((folder / "versions").glob("*.py")))
    return {one[1]: before[1] for text in files if (one := _REVISION.search(text)) and (before := _BEFORE.search(text))}


def _config(folder: Path) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = Database(url, pool_size=1, limits=PATIENT)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _reached(database: Database, *, write: bool = False) -> Iterator[Connection]:
    try:
        connection = database.engine.connect()
    except OperationalError as error:
        raise Misconfigured(
            "The database cannot be opened ({error}). Check PFADWERK_DATABASE_URL.", error=type(error.orig).__name__
        ) from None
    with connection.execution_options(pfadwerk_write=write):
        yield connection
