"""`pfadwerk backup` and `pfadwerk restore`: one file that holds what cannot be made again.

That is the database and the secret that signs links. Temporal's and Redis' state are left out on purpose: after a restore the open
runs are rebuilt from their rows (`pfadwerk recover`), and what Redis holds may be lost at any time. What left between the backup and the
restore stands nowhere: a restore marks what may have (`engine.restored`), in the same instant as it puts the database in its place. The file is a tar.gz with a
manifest that names the schema, the size and the digest of everything in it. It holds personal data and keys: keep it like a database.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from commands import lock
from engine.restored import Assume, mark
from journeys.errors import PfadwerkError
from models import PATIENT, Database, migrate
from settings import Settings, parse_keys
from workspace import audit

FORMAT = 1
MANIFEST = "manifest.json"
SECRET = "secret"
DATABASES = {"sqlite": "database.sqlite", "postgresql": "database.dump"}
_MANIFEST_MAX_BYTES = 100_000
_CHUNK_BYTES = 1_048_576


class BackupFailed(PfadwerkError):
    """A backup could not be made or read; nothing was changed."""

    code = "backup_failed"
    status = 500


class WrongBackup(PfadwerkError):
    """The file is no backup, is damaged, or belongs to another kind of installation; nothing was changed."""

    code = "wrong_backup"
    status = 422


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a backup says about itself; written first, so that it is read first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    created_at: datetime
    version: str
    workspace: str
    dialect: Literal["sqlite", "postgresql"]
    revision: str | None
    parts: dict[str, Part]


class Restored(BaseModel):
    """What a restore did, for the command to tell."""

    manifest: Manifest
    kept: list[Path]
    """What was there before and has been moved aside."""
    until: datetime
    assume: Assume
    """What is made of calls that may have left between the backup and `until`."""


def backup(settings: Settings, target: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Manifest:
    """Write one consistent copy to `target`, also while the server runs. The file appears complete or not at all.

    Raises:
        BackupFailed: there is no database yet, the disk is full, or a PostgreSQL program is missing or fails.
        Misconfigured: a restore into the database was broken off.
    """
    url = make_url(settings.database_url)
    created_at = now()  # before the copy: what is not in it happened later
    with _folder_beside(target) as folder:
        database = folder / DATABASES[_dialect(url)]
        _copy_sqlite(url, database) if _dialect(url) == "sqlite" else _dump_postgresql(url, database)
        if _dialect(url) == "postgresql":
            migrate.refuse_unfinished(settings.database_url)
        parts = [database, *_write_secret(settings, folder)]
        manifest = Manifest(
            format=FORMAT,
            created_at=created_at,
            version=_version(),
            workspace=settings.workspace,
            dialect=_dialect(url),
            revision=_revision(URL.create("sqlite", database=str(database)) if _dialect(url) == "sqlite" else url),
            parts={part.name: Part(bytes=part.stat().st_size, sha256=_digest(part)) for part in parts},
        )
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2))
        _pack(folder / "backup.tar.gz", [folder / MANIFEST, *parts])
        (folder / "backup.tar.gz").replace(target)
    return manifest


def restore(
    settings: Settings,
    source: Path,
    *,
    assume: Assume = "ask",
    until: datetime | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    knows: Callable[[str], bool] | None = None,
) -> Restored:
    """Put a backup in the place of what is there; that is moved aside, not deleted. Run `pfadwerk recover` afterwards.

    `until`: when the last worker and web server stood still (None: now); `assume`: what is made of calls that may have left between the
    backup and then. `knows` tells whether this version has a schema revision (default: looks into `migrations/`).

    Raises:
        InUse: a server runs on the folder, or somebody is connected to the PostgreSQL database.
        WrongBackup: damaged, from a newer version, of the other workspace, of the other kind of database, or made later than `until`.
    """
    url = make_url(settings.database_url)
    with lock.alone(settings.home), _folder_beside(settings.home / SECRET) as folder:
        manifest = _unpack(source, folder)
        _refuse_unfit(manifest, settings, _dialect(url), knows or is_known_revision)
        keys = parse_keys((folder / SECRET).read_text()) if SECRET in manifest.parts else settings.signing_keys()
        lost = _Lost(manifest.created_at, now() if until is None else until, assume, tuple(keys.values()))
        if lost.until < lost.since:
            raise WrongBackup("This backup was made at {made}, later than the end that --until names.", made=lost.since)
        if _dialect(url) == "sqlite":
            kept = _replace_sqlite(url, folder / DATABASES["sqlite"], settings.home, lost)
        else:
            kept = _replace_postgresql(url, folder / DATABASES["postgresql"], settings.home, lost)
        kept += _replace(settings.home / SECRET, folder / SECRET) if SECRET in manifest.parts else []
    return Restored(manifest=manifest, kept=kept, until=lost.until, assume=assume)


@dataclass(frozen=True, slots=True)
class _Lost:
    """The time that the backup knows nothing of, and what is made of calls that may have left in it."""

    since: datetime
    until: datetime
    assume: Assume
    keys: tuple[bytes, ...] = field(repr=False)
    """They seal the line of the audit trail: those of the backup."""

    def mark(self, url: str) -> None:
        """Brings the restored database up to date and writes into it what may have left. In one transaction, with what `finish` does."""
        migrate.upgrade(url, unfinished=True)
        database = Database(url, pool_size=1, limits=PATIENT)
        audit.bind(database, self.keys)
        try:
            with database.write() as session:
                mark(session, backup_at=self.since, until=self.until, assume=self.assume)
                if not database.is_sqlite:
                    session.execute(text(f"DROP TABLE {migrate.UNFINISHED}"))
            database.scrub()
        finally:
            database.close()


def is_known_revision(revision: str) -> bool:
    """Whether `migrations/` of this version has that revision."""
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    from models.migrate import FOLDER

    try:
        return ScriptDirectory(str(FOLDER)).get_revision(revision) is not None
    except CommandError:
        return False


def _refuse_unfit(manifest: Manifest, settings: Settings, dialect: str, knows: Callable[[str], bool]) -> None:
    if manifest.workspace != settings.workspace:
        raise WrongBackup(
            "This backup is of the workspace {found}, and the settings name the workspace {expected}. Set PFADWERK_WORKSPACE to {found}.",
            found=manifest.workspace,
            expected=settings.workspace,
        )
    if manifest.dialect != dialect:
        raise WrongBackup(
            "This backup is of a {found} database, and PFADWERK_DATABASE_URL names a {expected} one. Set it to one of its kind.",
            found=manifest.dialect,
            expected=dialect,
        )
    if manifest.revision is not None and not knows(manifest.revision):
        raise WrongBackup(
            "This backup was made by version {version} and has a newer schema ({revision}) than this version, {installed}. "
            "Install that version or a later one, then restore.",
            version=manifest.version,
            revision=manifest.revision,
            installed=_version(),
        )


# --- The file ---


def _pack(target: Path, parts: list[Path]) -> None:
    with target.open("xb") as stream:
        os.chmod(target, 0o600)
        with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=6) as archive:
            for part in parts:
                archive.add(part, arcname=part.name, filter=_anonymous)
        stream.flush()
        os.fsync(stream.fileno())


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _unpack(source: Path, folder: Path) -> Manifest:
    """Take out exactly what the manifest names, checked; names, links and sizes of the archive itself are not believed."""
    try:
        with tarfile.open(source, mode="r:gz") as archive:
            manifest = _read_manifest(archive)
            for name, part in manifest.parts.items():
                _take_out(archive, name, part, folder / name)
    except FileNotFoundError:
        raise WrongBackup("There is no file {file}.", file=str(source)) from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise WrongBackup("The file {file} is not a backup or is damaged ({error}).", file=str(source), error=str(error)[:200]) from error
    return manifest


def _read_manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    stream = archive.extractfile(first) if first and first.name == MANIFEST and first.isfile() else None
    if stream is None:
        raise WrongBackup("The file is not a Pfadwerk backup: it does not begin with a manifest.")
    try:
        manifest = Manifest.model_validate_json(stream.read(_MANIFEST_MAX_BYTES))
    except ValidationError:
        raise WrongBackup("The manifest of the backup cannot be read; a later version of Pfadwerk may have made it.") from None
    expected = DATABASES[manifest.dialect]
    if set(manifest.parts) not in ({expected}, {expected, SECRET}):
        raise WrongBackup("The manifest of the backup names unexpected parts; expected {parts}.", parts=[expected, SECRET])
    return manifest


def _take_out(archive: tarfile.TarFile, name: str, part: Part, target: Path) -> None:
    try:
        stream = archive.extractfile(name)
    except KeyError:
        stream = None
    if stream is None:
        raise WrongBackup("The backup lacks its part {part}; take another one.", part=name)
    with target.open("xb") as copy:
        os.chmod(target, 0o600)
        _copy_at_most(stream, copy, part.bytes + 1)
    if target.stat().st_size != part.bytes or _digest(target) != part.sha256:
        raise WrongBackup(
            "The part {part} of the backup is damaged: its digest is not the one in the manifest. Take another one.", part=name
        )


def _copy_at_most(source: IO[bytes], target: IO[bytes], limit: int) -> None:
    while limit > 0 and (chunk := source.read(min(_CHUNK_BYTES, limit))):
        target.write(chunk)
        limit -= len(chunk)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """A private folder on the same file system as `target`, so that the last step is a rename."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".pfadwerk-", dir=target.parent))
    except OSError as error:
        raise BackupFailed("Nothing can be written next to {file} ({error}).", file=str(target), error=error.strerror) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _write_secret(settings: Settings, folder: Path) -> list[Path]:
    """The key file, if the key is not in the environment (whoever set it there keeps it)."""
    if settings.was_set("secret_key"):
        return []
    settings.signing_keys()
    return [Path(shutil.copy(settings.home / SECRET, folder / SECRET))]


def _version() -> str:
    try:
        return version("pfadwerk")
    except PackageNotFoundError:
        return "unknown"


def _dialect(url: URL) -> Literal["sqlite", "postgresql"]:
    return "sqlite" if url.get_backend_name() == "sqlite" else "postgresql"


def _revision(url: URL) -> str | None:
    """The schema revision; None for a database that never was migrated."""
    engine = create_engine(_with_driver(url))
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except (OperationalError, ProgrammingError):
        return None
    finally:
        engine.dispose()


def _with_driver(url: URL) -> URL:
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


# --- SQLite ---


def _copy_sqlite(url: URL, target: Path) -> None:
    source = Path(url.database or "")
    if not source.is_file():
        raise BackupFailed(
            "There is no database at {file}. Start Pfadwerk once, or check PFADWERK_DATABASE_URL and PFADWERK_HOME.", file=str(source)
        )
    try:
        with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copy:
            database.backup(copy)  # all pages in one read transaction: consistent, and writers go on
            problem = copy.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise BackupFailed("The database {file} cannot be copied ({error}).", file=str(source), error=str(error)[:200]) from error
    if problem != "ok":
        raise BackupFailed(
            "The database {file} is damaged ({problem}); this backup was not made. Restore an older one.",
            file=str(source),
            problem=problem,
        )


def _replace_sqlite(url: URL, copy: Path, home: Path, lost: _Lost) -> list[Path]:
    """Whoever dies here leaves the old database or the marked one, each of them whole."""
    lost.mark(f"sqlite:///{copy}")
    with copy.open("rb") as stream:
        os.fsync(stream.fileno())
    database = Path(url.database or "")
    _empty_log(database)
    return _replace(database, copy) + _set_engine_state_aside(home)


def _empty_log(database: Path) -> None:
    """Takes what lies in the log beside the old database into it, so that one rename replaces both. One that is damaged is moved as it is."""
    if database.is_file():
        with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# --- PostgreSQL ---


def _dump_postgresql(url: URL, target: Path) -> None:
    _run_postgresql(["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}"], url)


def _replace_postgresql(url: URL, copy: Path, home: Path, lost: _Lost) -> list[Path]:
    """From the first word to the last nobody starts on this database: it says that a restore is not finished, which `mark` takes away."""
    _refuse_if_connected(url)
    before = home / f"before-restore-{_stamp()}.dump"
    _dump_postgresql(url, before)
    os.chmod(before, 0o600)
    _fence(url)
    command = ["pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run_postgresql([*command, f"--dbname={url.database}", str(copy)], url)
    lost.mark(url.render_as_string(hide_password=False))
    return [before, *_set_engine_state_aside(home)]


def _fence(url: URL) -> None:
    """Says that a restore is not finished. Whoever has started just before that keeps the database, and nothing is said."""
    _execute(url, f"CREATE TABLE IF NOT EXISTS {migrate.UNFINISHED} ()")
    try:
        _refuse_if_connected(url)
    except lock.InUse:
        _execute(url, f"DROP TABLE {migrate.UNFINISHED}")
        raise


def _execute(url: URL, statement: str) -> None:
    engine = create_engine(_with_driver(url))
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def _refuse_if_connected(url: URL) -> None:
    engine = create_engine(_with_driver(url))
    try:
        with engine.connect() as connection:
            others = connection.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
            ).scalar_one()
    except OperationalError as error:
        raise BackupFailed("The database does not answer; check PFADWERK_DATABASE_URL and that PostgreSQL runs.") from error
    finally:
        engine.dispose()
    if others:
        raise lock.InUse(
            "{count} other connections use the database {database}. Stop the workers and web servers first, then restore.",
            count=others,
            database=url.database,
        )


def _run_postgresql(command: list[str], url: URL) -> None:
    """Run a client program; the password goes through the environment, where `ps` does not show it."""
    try:
        done = subprocess.run(command, env={**os.environ, **_libpq(url)}, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BackupFailed(
            "The program {program} is missing. Install the PostgreSQL client programs (Debian: apt-get install postgresql-client).",
            program=command[0],
        ) from None
    if done.returncode:
        raise BackupFailed("{program} failed:\n{last_words}", program=command[0], last_words=done.stderr.strip()[-2000:])


def _libpq(url: URL) -> Mapping[str, str]:
    host = url.query.get("host", url.host)  # a socket folder comes as ?host=
    values = {"PGHOST": host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password, "PGDATABASE": url.database}
    return {name: str(value) for name, value in values.items() if value}


# --- Moving aside ---


def _replace(target: Path, source: Path) -> list[Path]:
    """Both names are there at every instant: the old file gets a second one before the new file takes its first."""
    kept = _move_aside(target, keep_name=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    return kept


def _set_engine_state_aside(home: Path) -> list[Path]:
    """Our own Temporal's memory is of another time than the restored rows; without it the runs are rebuilt from the rows."""
    return _move_aside(home / "temporal.db")


def _move_aside(file: Path, *, keep_name: bool = False) -> list[Path]:
    """Rename a file, and with it the log that SQLite keeps beside a database, so that they still belong together."""
    aside = file.with_name(f"{file.name}.before-restore-{_stamp()}")
    present = [suffix for suffix in ("-wal", "-shm") if Path(f"{file}{suffix}").exists()]
    moved = [Path(f"{file}{suffix}").replace(f"{aside}{suffix}") for suffix in present]
    if not file.exists():
        return moved
    if not keep_name:
        return [*moved, file.replace(aside)]
    aside.hardlink_to(file)
    return [*moved, aside]


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
