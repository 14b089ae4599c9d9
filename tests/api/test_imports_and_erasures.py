"""An import that runs while somebody is erased never brings them back, whichever comes first; on PostgreSQL, where both write at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlmodel import col, select

from crm.imports import imports, uploads
from crm.jobs import add_job
from crm.people import identity
from crm.privacy.erasure import erase_person
from engine.clock import Clock
from engine.engine import Engine
from engine.jobs.worker import do_page
from journeys.errors import Conflict
from journeys.nodes import Palette
from models import Contact, Database, Import, Job
from storage import erasure_fence

KEYS = (b"k" * 32,)
WHO = "xanthippe@example.org"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FILE = f"email,first_name\nada@example.org,Ada\n{WHO},Xanthippe\n".encode()


@pytest.fixture
def engine(postgres_db: Database) -> Engine:
    return Engine(postgres_db, Clock(), Palette.built_in(), KEYS)


@pytest.fixture
def person(engine: Engine) -> str:
    with engine.db.write() as session:
        return identity.resolve(session, [("email", WHO)], NOW).contact_id


def importing(engine: Engine) -> str:
    """A file that names the person, mapped and begun; the id of its job."""
    with engine.db.write() as session:
        row = uploads.take(session, uploads.read_sent("people.csv", FILE), "m1", NOW, NOW)
        row.state = "checked"
        session.add(row)
        session.flush()
        uploads.begin(session, row.id, "admin", dry=False)
        return str(add_job(session, "import", f"import:{row.id}", {"import_id": row.id}, "m1", NOW).id)


def waits(engine: Engine) -> bool:
    """Whether somebody stands at the fence."""
    asked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :number AND NOT granted")
    with engine.db.read() as session:
        return session.execute(asked, {"number": erasure_fence._FENCE}).scalar_one() > 0


def begun(work: Callable[[], Any], engine: Engine) -> threading.Thread:
    """Another process at `work`: it is through, or stands at the fence."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive() and not waits(engine):
        thread.join(0.01)
    return thread


def there(engine: Engine) -> list[str]:
    with engine.db.read() as session:
        return [email for (email,) in session.execute(select(Contact.email).where(col(Contact.email).is_not(None)).order_by(Contact.email))]


def work_off(engine: Engine) -> None:
    """As a web server does, until nothing is left."""
    while True:
        with engine.db.read() as session:
            left = session.scalars(select(Job.id).where(Job.state == "running")).all()
        if not left:
            return
        for job_id in left:
            do_page(engine, job_id)


@contextmanager
def once(engine: Engine, moment: str, work: Callable[[], None], table: str = "") -> Iterator[None]:
    """Does `work` in the middle of what this thread does inside: at the first commit, or before the first question that names `table`."""
    left = [work]

    def look(_connection: Any, _cursor: Any = None, statement: str = "", *_: Any) -> None:
        if left and (not table or f"FROM {table}" in statement) and threading.current_thread() is threading.main_thread():
            left.pop()()

    event.listen(
        engine.db.engine, moment, look
    )  # for as long as the database lives: the other thread may be going through the listeners now
    yield
    assert not left, "the moment never came"


def test_an_erasure_waits_for_the_page_that_is_being_written(engine: Engine, person: str) -> None:
    """Else the page would look for the person after the erasure is committed, find nobody, and make them anew."""
    job_id, others = importing(engine), list[threading.Thread]()

    def erase() -> None:
        erase_person(engine.db, person, NOW, by="m1", keys=KEYS)

    with once(engine, "before_cursor_execute", lambda: others.append(begun(erase, engine)), "identity"):
        do_page(engine, job_id)
    [other] = others
    other.join()
    assert there(engine) == ["ada@example.org"]
    work_off(engine)
    assert there(engine) == ["ada@example.org"]


def test_a_page_waits_for_the_erasure_and_then_for_its_job(engine: Engine, person: str) -> None:
    job_id = importing(engine)
    others: list[threading.Thread] = []

    with once(engine, "commit", lambda: others.append(begun(lambda: do_page(engine, job_id), engine))):
        erase_person(engine.db, person, NOW, by="m1", keys=KEYS)
    [other] = others
    other.join()
    assert there(engine) == []
    with engine.db.read() as session:
        assert session.scalars(select(Import.cursor)).all() == [0], "nothing was written meanwhile"
    work_off(engine)
    assert there(engine) == [], "the file that names the person is gone"
    with engine.db.read() as session:
        assert session.scalars(select(Import.state)).all() == ["cancelled"]


def test_a_file_that_is_sent_afterwards_may_name_them(engine: Engine, person: str) -> None:
    """The person has come back, or somebody says so: that is an upload after the erasure."""
    erase_person(engine.db, person, NOW, by="m1", keys=KEYS)
    work_off(engine)
    job_id = importing(engine)
    do_page(engine, job_id)
    assert there(engine) == ["ada@example.org", WHO]


@pytest.mark.parametrize("kind", ["sqlite_db", "postgres_db"])
def test_a_file_of_the_command_line_stops_when_somebody_is_erased(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    """Nobody can look through that file; so a person has to, and says so by giving the command again."""
    engine = Engine(request.getfixturevalue(kind), Clock(), Palette.built_in(), KEYS)
    with engine.db.write() as session:
        person = identity.resolve(session, [("email", WHO)], NOW).contact_id
    path = tmp_path / "people.csv"
    path.write_text("email\n" + "".join(f"p{number}@example.org\n" for number in range(60)) + f"{WHO}\n")

    def erase(report: imports.ImportReport) -> None:
        if report.rows == imports.ROWS_A_TRANSACTION:
            erase_person(engine.db, person, NOW, by="m1", keys=KEYS)

    with pytest.raises(Conflict) as stopped:
        imports.import_contacts(engine.db, path, lambda: NOW, progress=erase)
    assert (stopped.value.values, WHO in there(engine)) == ({"rows": imports.ROWS_A_TRANSACTION}, False)
    report = imports.import_contacts(engine.db, path, lambda: NOW)
    assert (report.resumed, report.rows, WHO in there(engine)) == (False, 61, True)


def test_an_import_that_was_left_alone_since_stops_as_well(engine: Engine, person: str, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("email\n" + "".join(f"p{number}@example.org\n" for number in range(60)) + f"{WHO}\n")

    class Crash(Exception):
        pass

    def crash(_: imports.ImportReport) -> None:
        raise Crash

    with pytest.raises(Crash):
        imports.import_contacts(engine.db, path, lambda: NOW, progress=crash)
    erase_person(engine.db, person, NOW, by="m1", keys=KEYS)
    with pytest.raises(Conflict):
        imports.import_contacts(engine.db, path, lambda: NOW)
    assert WHO not in there(engine)
