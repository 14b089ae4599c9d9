"""A backup is consistent while the server writes, complete, checked before anything is replaced, and refused where it does not fit."""

import io
import json
import os
import shutil
import sqlite3
import tarfile
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from commands import lock
from commands.backup import BackupFailed, WrongBackup, backup, is_known_revision, restore
from journeys.errors import Misconfigured
from models import migrate
from settings import Settings

REVISION = migrate.newest()
known = is_known_revision
PAIR = "CREATE TABLE pair (a INTEGER, b INTEGER)"


@pytest.fixture
def settings(tmp_path: Path, sqlite_base: Path) -> Settings:
    settings = Settings.load(home=tmp_path / "home")
    settings.home.mkdir()
    shutil.copy(sqlite_base, database_of(settings))
    with closing(sqlite3.connect(database_of(settings))) as database:
        database.executescript(
            f"PRAGMA journal_mode=WAL; CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('{REVISION}');"
            f"{PAIR}; INSERT INTO pair VALUES (0, 0);"
        )
    return settings


def database_of(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))


def pairs(settings: Settings) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(database_of(settings))) as database:
        return database.execute("SELECT a, b FROM pair").fetchall()


def write(settings: Settings, sql: str) -> None:
    with closing(sqlite3.connect(database_of(settings))) as database:
        database.execute(sql)
        database.commit()


def repacked(source: Path, target: Path, change: dict[str, bytes | None]) -> Path:
    """A copy of a backup with parts replaced (or left out where None)."""
    with tarfile.open(source) as old, tarfile.open(target, "w:gz") as new:
        for member in old.getmembers():
            stream = old.extractfile(member)
            assert stream
            content = change.get(member.name, stream.read())
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    return target


def manifest_of(file: Path) -> dict[str, object]:
    with tarfile.open(file) as archive:
        stream = archive.extractfile("manifest.json")
        assert stream
        return json.load(stream)


def test_what_was_backed_up_comes_back_and_what_was_there_is_kept(settings: Settings, tmp_path: Path) -> None:
    secret = settings.signing_keys()
    (settings.home / "temporal.db").write_text("the engine's memory of another time")
    backup(settings, tmp_path / "backup.tar.gz")
    write(settings, "UPDATE pair SET a = 5, b = 5")
    (settings.home / "secret").write_text("k9:" + "y" * 40)
    restored = restore(settings, tmp_path / "backup.tar.gz", knows=known)
    assert pairs(settings) == [(0, 0)]
    assert settings.signing_keys() == secret
    assert not (settings.home / "temporal.db").exists()
    assert {path.name.partition(".before-restore-")[0] for path in restored.kept} >= {"pfadwerk.db", "secret", "temporal.db"}
    assert all(path.exists() for path in restored.kept)
    assert restored.manifest.revision == REVISION


def test_the_copy_is_consistent_while_others_write(settings: Settings, tmp_path: Path) -> None:
    enough = threading.Event()

    def keep_writing() -> None:
        with closing(sqlite3.connect(database_of(settings))) as database:
            while not enough.is_set():
                with database:
                    database.execute("INSERT INTO pair SELECT max(a) + 1, max(b) + 1 FROM pair")
                    database.execute("UPDATE pair SET a = a + 1")
                    database.execute("UPDATE pair SET b = b + 1")

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for number in range(3):
            backup(settings, tmp_path / f"{number}.tar.gz")
    finally:
        enough.set()
        writer.join()
    for number in range(3):
        restore(settings, tmp_path / f"{number}.tar.gz", knows=known)
        assert all(a == b for a, b in pairs(settings))


def test_what_was_there_is_whole_even_if_it_was_not_closed(settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "backup.tar.gz")
    with closing(sqlite3.connect(database_of(settings))) as crashed:  # its change is in the write-ahead log only
        crashed.execute("UPDATE pair SET a = 5, b = 5")
        crashed.commit()
        restored = restore(settings, tmp_path / "backup.tar.gz", knows=known)
    (aside,) = [path for path in restored.kept if path.name.startswith("pfadwerk.db.") and not path.name.endswith(("-wal", "-shm"))]
    with closing(sqlite3.connect(aside)) as before:
        assert before.execute("SELECT a, b FROM pair").fetchall() == [(5, 5)]
    assert pairs(settings) == [(0, 0)]


def test_only_the_owner_can_read_it(settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "backup.tar.gz")
    assert (tmp_path / "backup.tar.gz").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar.gz", "home"]


def test_a_key_from_the_environment_is_not_in_it(settings: Settings, tmp_path: Path) -> None:
    with_key = Settings.load(home=settings.home, secret_key="k1:" + "x" * 40)
    assert set(backup(with_key, tmp_path / "backup.tar.gz").parts) == {"database.sqlite"}


def test_without_a_database_the_sentence_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match=r"There is no database at .*pfadwerk\.db"):
        backup(Settings.load(home=tmp_path), tmp_path / "backup.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_not_backed_up(settings: Settings, tmp_path: Path) -> None:
    write(
        settings,
        "CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, hex(randomblob(50)) FROM n",
    )
    with closing(sqlite3.connect(database_of(settings))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database_of(settings).open("r+b") as stream:
        stream.seek(40_960)
        stream.write(b"\xff" * 40_960)
    with pytest.raises(BackupFailed, match=r"damaged|malformed"):
        backup(settings, tmp_path / "backup.tar.gz")
    assert not (tmp_path / "backup.tar.gz").exists()


def test_a_running_supervisor_or_worker_refuses_a_restore(settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "backup.tar.gz")
    for running in (lock.supervise, lock.use):
        with running(settings.home), pytest.raises(lock.InUse, match="Stop it first, then restore"):
            restore(settings, tmp_path / "backup.tar.gz", knows=known)


def test_several_workers_share_the_folder_and_one_supervisor_has_it(settings: Settings) -> None:
    with lock.use(settings.home), lock.use(settings.home), lock.supervise(settings.home):
        second = lock.supervise(settings.home)
        with pytest.raises(lock.InUse, match="already runs on"):
            second.__enter__()


def test_a_newer_schema_is_refused(settings: Settings, tmp_path: Path) -> None:
    write(settings, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    backup(settings, tmp_path / "backup.tar.gz")
    with pytest.raises(WrongBackup, match=r"newer schema \(ffffffffffff\)"):
        restore(settings, tmp_path / "backup.tar.gz", knows=is_known_revision)


def test_the_other_workspace_and_the_other_kind_of_database_are_refused(settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "backup.tar.gz")
    with pytest.raises(WrongBackup, match="of the workspace live"):
        restore(Settings.load(home=settings.home, workspace="staging"), tmp_path / "backup.tar.gz", knows=known)
    with pytest.raises(WrongBackup, match="of a sqlite database"):
        restore(
            Settings.load(home=settings.home, database_url="postgresql://nobody@127.0.0.1/none"), tmp_path / "backup.tar.gz", knows=known
        )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"database.sqlite": b"SQLite format 3\x00 but not ours"}, "database.sqlite of the backup is damaged"),
        ({"secret": b"k1:another"}, "secret of the backup is damaged"),
        ({"secret": None}, "lacks its part secret"),
        ({"manifest.json": None}, "does not begin with a manifest"),
        ({"manifest.json": b"{"}, "manifest of the backup cannot be read"),
        ({"manifest.json": b'{"format": 2}'}, "manifest of the backup cannot be read"),
    ],
)
def test_a_damaged_backup_changes_nothing(settings: Settings, tmp_path: Path, change: dict[str, bytes | None], sentence: str) -> None:
    backup(settings, tmp_path / "backup.tar.gz")
    bad = repacked(tmp_path / "backup.tar.gz", tmp_path / "bad.tar.gz", change)
    write(settings, "UPDATE pair SET a = 5, b = 5")
    with pytest.raises(WrongBackup, match=sentence):
        restore(settings, bad, knows=known)
    assert pairs(settings) == [(5, 5)]


def test_a_part_with_another_name_never_leaves_the_folder(settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "backup.tar.gz")
    manifest = manifest_of(tmp_path / "backup.tar.gz")
    parts = manifest["parts"]
    assert isinstance(parts, dict)
    parts["../outside"] = parts["secret"]
    bad = repacked(tmp_path / "backup.tar.gz", tmp_path / "bad.tar.gz", {"manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(WrongBackup, match="unexpected parts"):
        restore(settings, bad, knows=known)


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b\x08\x00cut"])
def test_another_file_is_no_backup(settings: Settings, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(WrongBackup, match="not a"):
        restore(settings, tmp_path / "other", knows=known)


def test_a_truncated_backup_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "backup.tar.gz")
    whole = (tmp_path / "backup.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) - 200])
    with pytest.raises(WrongBackup):
        restore(settings, tmp_path / "cut.tar.gz", knows=known)
    assert pairs(settings) == [(0, 0)]


def test_postgresql_comes_back_and_is_not_replaced_under_a_connection(postgres_url: str, tmp_path: Path) -> None:
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS backed_up")
        server.execute("CREATE DATABASE backed_up")
    settings = Settings.load(home=tmp_path / "home", database_url=f"{postgres_url}/backed_up")
    migrate.upgrade(settings.database_url)
    with psycopg.connect(settings.database_url, autocommit=True) as database:
        database.execute(PAIR)
        database.execute("INSERT INTO pair VALUES (0, 0)")
        assert backup(settings, tmp_path / "backup.tar.gz").revision == REVISION
        database.execute("UPDATE pair SET a = 5, b = 5")
        with pytest.raises(lock.InUse, match="1 other connections use the database backed_up"):
            restore(settings, tmp_path / "backup.tar.gz", knows=known)
    restored = restore(settings, tmp_path / "backup.tar.gz", knows=known)
    with psycopg.connect(settings.database_url) as database:
        assert database.execute("SELECT a, b FROM pair").fetchall() == [(0, 0)]
        assert database.execute("SELECT assume FROM restore").fetchall() == [("ask",)]
    assert any(path.suffix == ".dump" for path in restored.kept)
    migrate.check(settings.database_url)


@pytest.mark.parametrize("program", ["pg_restore", "upgrade"])
def test_postgresql_half_restored_lets_nobody_start(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """Killed between two lines: whatever stands in the database then, nothing runs on it until the restore is done."""
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS half_restored")
        server.execute("CREATE DATABASE half_restored")
    settings = Settings.load(home=tmp_path / "home", database_url=f"{postgres_url}/half_restored")
    migrate.upgrade(settings.database_url)
    backup(settings, tmp_path / "backup.tar.gz")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        if program == "upgrade":
            dying.setattr("commands.backup.migrate.upgrade", killed)
        else:
            folder = tmp_path / "programs"
            folder.mkdir()
            (folder / "pg_restore").write_text("#!/bin/sh\nkill -9 $$\n")
            (folder / "pg_restore").chmod(0o755)
            dying.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        with pytest.raises((KeyboardInterrupt, BackupFailed)):
            restore(settings, tmp_path / "backup.tar.gz")
    for start in (migrate.check, migrate.upgrade):
        with pytest.raises(Misconfigured, match="Run `pfadwerk restore` again"):
            start(settings.database_url)
    with pytest.raises(Misconfigured, match="restore` again"):
        backup(settings, tmp_path / "other.tar.gz")
    restore(settings, tmp_path / "backup.tar.gz", assume="sent")
    migrate.check(settings.database_url)
    with psycopg.connect(settings.database_url) as database:
        assert database.execute("SELECT assume FROM restore").fetchall() == [("sent",)]


def test_the_lost_time_is_from_before_the_copy_to_when_all_stood_still(settings: Settings, tmp_path: Path) -> None:
    made = datetime(2026, 3, 2, 9, tzinfo=UTC)
    backup(settings, tmp_path / "backup.tar.gz", now=lambda: made)
    with pytest.raises(WrongBackup, match="later than the end"):
        restore(settings, tmp_path / "backup.tar.gz", until=made - timedelta(seconds=1))
    restored = restore(settings, tmp_path / "backup.tar.gz", assume="unsent", until=made + timedelta(hours=2))
    assert (restored.until, restored.assume) == (made + timedelta(hours=2), "unsent")
    with closing(sqlite3.connect(database_of(settings))) as database:
        lost = database.execute("SELECT since, until, assume FROM restore").fetchone()
    assert lost == ("2026-03-02 09:00:00.000000", "2026-03-02 11:00:00.000000", "unsent")


def test_an_older_backup_is_brought_up_to_date_and_marked(settings: Settings, tmp_path: Path) -> None:
    old = Settings.load(home=tmp_path / "old")
    old.home.mkdir()
    migrate.upgrade(old.database_url, "0020")
    backup(old, tmp_path / "backup.tar.gz")
    restore(settings, tmp_path / "backup.tar.gz")
    migrate.check(settings.database_url)
    with closing(sqlite3.connect(database_of(settings))) as database:
        assert database.execute("SELECT assume FROM restore").fetchall() == [("ask",)]


def test_a_postgresql_that_does_not_answer_is_told_without_the_password(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path, database_url="postgresql://somebody:hunter2@127.0.0.1:1/none")
    with pytest.raises(BackupFailed) as raised:
        backup(settings, tmp_path / "backup.tar.gz")
    assert "hunter2" not in str(raised.value)
