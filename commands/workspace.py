"""Opening what a command works on: the database of the settings, the engine over it, and what journeys are checked against.

What needs a database is imported where there is one, so that a file alone is checked at once.
Long-running processes have composition roots of their own (`worker`, `commands.api_main`); this is for commands that come and go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from activities.custom.discovery import load_custom
from journeys.catalogue import Catalogue
from journeys.errors import Misconfigured
from journeys.known import Known
from journeys.nodes import Palette
from settings import Settings

if TYPE_CHECKING:
    from engine.engine import Engine
    from models import Database

ACTOR = "cli"
"""What the audit trail says about who acted."""
POOL_SIZE = 5


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a document is judged by. `of_workspace` is false when no database could be asked: then only what is built in is known."""

    palette: Palette
    catalogue: Catalogue
    known: Known
    of_workspace: bool


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """The database of the settings, closed at the end.

    Raises:
        Misconfigured: it is not there, was never set up, or has another schema.
    """
    _refuse_missing(settings.database_url)
    from models import Database
    from models.migrate import check

    check(settings.database_url)
    db = Database(settings.database_url, pool_size=POOL_SIZE, limits=settings.database_limits())
    try:
        yield db
    finally:
        db.close()


@contextmanager
def engine(settings: Settings) -> Iterator[Engine]:
    """The engine over the database of the settings.

    Raises:
        Misconfigured: as `database`; or the database belongs to the other workspace, or a custom activity cannot be loaded.
    """
    from worker import build_engine

    with database(settings) as db:
        yield build_engine(settings, db, load_custom(settings.activity_folders))


def surroundings(settings: Settings) -> Surroundings:
    """What the workspace knows; what is built in where its database cannot be reached (then a document can still be checked)."""
    kinds = palette(settings)
    try:
        with database(settings) as db:
            return _of(db, kinds)
    except Exception as error:
        if not is_out_of_reach(error):
            raise
        return Surroundings(kinds, Catalogue.built_in(), Known(), of_workspace=False)


def is_out_of_reach(error: Exception) -> bool:
    """Whether the workspace's database is not there, does not fit or does not answer."""
    if isinstance(error, Misconfigured):
        return True
    from sqlalchemy.exc import OperationalError

    return isinstance(error, OperationalError)


def palette(settings: Settings) -> Palette:
    """The kinds of step of this installation, custom activities included."""
    return Palette.built_in().with_kinds(*(custom.node for custom in load_custom(settings.activity_folders)))


def _of(db: Database, kinds: Palette) -> Surroundings:
    from crm.catalogue import load_catalogue
    from engine.versions.publish import known

    with db.read() as session:
        return Surroundings(kinds, load_catalogue(session), known(session), of_workspace=True)


def _refuse_missing(address: str) -> None:
    """Opening a SQLite file that is not there would make an empty one."""
    kind, _, rest = address.partition(":///")
    file = rest.partition("?")[0]
    if kind.partition("+")[0] == "sqlite" and not Path(file).is_file():
        raise Misconfigured(
            "There is no database at {file}. Run `pfadwerk setup`, or check PFADWERK_DATABASE_URL and PFADWERK_HOME.", file=file
        )
