"""The workspace's pictures: added, described, found, deleted and brought back; where they are used; where they are given out.

A picture that a template shows is not deleted. One that is deleted can come back for `KEPT`; then its files go.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, delete, func, or_
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.pictures.file import ENDINGS, Made, make
from activities.templates import listing
from journeys.errors import Conflict, Invalid, NotFound, TooLarge
from locales import SUPPORTED
from models import Database, Picture, PictureFile, Template, TemplateVersion
from storage.json_values import clean_text
from workspace import audit

MOST_PICTURES = 5_000
MOST_BYTES = 2_000_000_000
"""Of all files of the workspace, those of deleted pictures with them."""
MOST_ALT = 300
KEPT = timedelta(days=30)
PATH = "/m"
_IN_TEXT = re.compile(rf"{PATH}/([0-9a-f]{{32}})/\d")


@dataclass(frozen=True, slots=True)
class Place:
    """A template that shows a picture."""

    key: str
    name: str


def add(db: Database, content: bytes, name: str, by: str, now: datetime, alt: Mapping[str, str] | None = None) -> Picture:
    """Takes a file in. The same file once more gives the picture that is there (back, if it was deleted); nothing is changed in it.

    Raises:
        Invalid, TooLarge: as `file.make`, or the library is full.
    """
    digest = hashlib.sha256(content).hexdigest()
    with db.read() as session:
        known = session.scalar(select(Picture.id).where(Picture.digest == digest))
    made = None if known else make(content)
    with db.write() as session:
        _forget_old(session, now)
        found = session.scalar(select(Picture).where(Picture.digest == digest))
        if found is not None:
            return restore(session, found.id, by) if found.deleted_at else found
        if made is None:
            raise Conflict("This picture was deleted a moment ago; upload it again.")
        return _put(session, digest, made, name, _alt(alt or {}), by, now)


def _put(session: Session, digest: str, kept: Made, name: str, alt: dict[str, str], by: str, now: datetime) -> Picture:
    _room(session, kept)
    row = Picture(
        name=_name(name), alt=alt, media_type=kept.media_type, width=kept.largest.width, height=kept.largest.height, bytes=kept.bytes,
        digest=digest, created_at=now, created_by=by[:120],
    )  # fmt: skip
    session.add(row)
    session.flush()
    session.add_all(PictureFile(picture_id=row.id, width=one.width, height=one.height, content=one.content) for one in kept.files)
    audit.record(session, by, "picture.add", f"picture:{row.id}", {"bytes": row.bytes, "type": row.media_type})
    session.flush()
    return row


def _room(session: Session, made: Made) -> None:
    count, total = session.execute(sql_select(func.count(), func.coalesce(func.sum(Picture.bytes), 0)).select_from(Picture)).one()
    if count >= MOST_PICTURES or total + made.bytes > MOST_BYTES:
        raise TooLarge("The picture library is full: delete pictures that are not used.", problem="full")


def _name(name: str) -> str:
    """A file's name without the folders that some browsers send along, and without its ending."""
    plain = clean_text(name).replace("\\", "/").rsplit("/", 1)[-1]
    return re.sub(r"\.(png|jpe?g|gif|webp)$", "", " ".join(plain.split()), flags=re.IGNORECASE)[:120].strip() or "picture"


def _alt(alt: Mapping[str, str]) -> dict[str, str]:
    if not all(name in SUPPORTED and isinstance(text, str) for name, text in alt.items()):
        raise Invalid("Expected texts in the languages {languages}.", languages=list(SUPPORTED))
    texts = {name: " ".join(clean_text(text).split()) for name, text in alt.items()}
    if any(len(text) > MOST_ALT for text in texts.values()):
        raise Invalid("At most {max_length} characters.", max_length=MOST_ALT)
    return {name: text for name, text in texts.items() if text}


def get(session: Session, id: str) -> Picture:
    """Raises: NotFound; also for one that is deleted."""
    row = session.get(Picture, id)
    if row is None or row.deleted_at is not None:
        raise NotFound("There is no such picture.")
    return row


def describe(session: Session, id: str, by: str, *, name: str | None = None, alt: Mapping[str, str] | None = None) -> Picture:
    """Another name, other alternative texts (of the languages that are named). Messages that show it keep the words they have.

    Raises: NotFound; Invalid.
    """
    row = get(session, id)
    if name is not None:
        row.name = _name(name)
    if alt is not None:
        known = {**row.alt, **dict.fromkeys(alt, "")}
        row.alt = {language: text for language, text in {**known, **_alt(alt)}.items() if text}
    session.add(row)
    audit.record(session, by, "picture.describe", f"picture:{id}", {})
    session.flush()
    return row


def remove(session: Session, id: str, by: str, now: datetime) -> Picture:
    """Messages that were sent show it no more.

    Raises:
        NotFound.
        Conflict: a template shows it, or a version that a journey uses; says which.
    """
    row = get(session, id)
    places = shown_in(session, id)
    if places:
        names = ", ".join(one.name for one in places[:3]) + (" …" if len(places) > 3 else "")
        raise Conflict("This picture is shown in {names}: take it out there first.", names=names)
    row.deleted_at = now
    session.add(row)
    audit.record(session, by, "picture.remove", f"picture:{id}", {})
    session.flush()
    return row


def restore(session: Session, id: str, by: str) -> Picture:
    """Brings a deleted picture back, under its address.

    Raises: NotFound: its files are gone.
    """
    row = session.get(Picture, id)
    if row is None:
        raise NotFound("There is no such picture.")
    if row.deleted_at is not None:
        row.deleted_at = None
        session.add(row)
        audit.record(session, by, "picture.restore", f"picture:{id}", {})
        session.flush()
    return row


def _forget_old(session: Session, now: datetime) -> None:
    old = select(Picture.id).where(col(Picture.deleted_at) < now - KEPT).limit(100)
    ids = list(session.scalars(old))
    if ids:
        session.execute(delete(PictureFile).where(col(PictureFile.picture_id).in_(ids)))
        session.execute(delete(Picture).where(col(Picture.id).in_(ids)))


def find(session: Session, text: str = "", *, limit: int, offset: int = 0, before: str | None = None) -> list[Picture]:
    """Newest first. `text` is part of the name or of an alternative text; `before` is an id."""
    statement = select(Picture).where(col(Picture.deleted_at).is_(None))
    if text:
        described = cast(col(Picture.alt), String).icontains(text, autoescape=True)
        statement = statement.where(or_(col(Picture.name).icontains(text, autoescape=True), described))
    if before:
        statement = statement.where(Picture.id < before)
    return list(session.scalars(statement.order_by(col(Picture.id).desc()).offset(offset).limit(limit)))


def widths(session: Session, ids: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
    """Picture -> (width, height) of its files, from small to large."""
    statement = sql_select(col(PictureFile.picture_id), col(PictureFile.width), col(PictureFile.height))
    found: dict[str, list[tuple[int, int]]] = {}
    for id, width, height in session.execute(statement.where(col(PictureFile.picture_id).in_(list(ids))).order_by(col(PictureFile.width))):
        found.setdefault(id, []).append((width, height))
    return found


def path(picture: Picture, width: int) -> str:
    """Where the picture in one of its widths is given out, below the server's public address."""
    return f"{PATH}/{picture.id}/{width}.{ENDINGS[picture.media_type]}"


def best(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The size to put into a mail: wide enough for sharp screens, and no wider."""
    return next((one for one in reversed(sizes) if one[0] <= 1_200), sizes[0])


def served(session: Session, id: str, width: int, ending: str) -> tuple[str, bytes] | None:
    """(type, content) of what an address names; None if there is nothing."""
    statement = (
        sql_select(col(Picture.media_type), col(PictureFile.content))
        .join(PictureFile, col(PictureFile.picture_id) == col(Picture.id))
        .where(col(Picture.id) == id, col(PictureFile.width) == width, col(Picture.deleted_at).is_(None))
    )
    row = session.execute(statement).first()
    return (row[0], row[1]) if row is not None and ENDINGS[row[0]] == ending else None


def uses(session: Session) -> dict[str, list[Place]]:
    """Picture -> the templates and partials whose draft or newest version shows it, by name."""
    newest = sql_select(col(TemplateVersion.key), func.max(col(TemplateVersion.number)).label("number")).group_by(col(TemplateVersion.key))
    last = newest.subquery()
    statement = (
        sql_select(col(Template.key), col(Template.name), col(Template.variants), col(TemplateVersion.source))
        .outerjoin(last, last.c.key == col(Template.key))
        .outerjoin(TemplateVersion, (col(TemplateVersion.key) == last.c.key) & (col(TemplateVersion.number) == last.c.number))
        .order_by(func.lower(col(Template.name)))
    )
    found: dict[str, list[Place]] = {}
    for key, name, draft, source in session.execute(statement):
        for id in sorted(_mentioned(draft) | _mentioned(source)):
            found.setdefault(id, []).append(Place(key, name))
    return found


def uses_mark(session: Session) -> tuple[int, int]:
    """Another one once `uses` may say something else: every change of a template raises its revision. Reads no text."""
    count, revisions = session.execute(
        sql_select(func.count(), func.coalesce(func.sum(col(Template.revision)), 0)).select_from(Template)
    ).one()
    return count, revisions


def shown_in(session: Session, id: str) -> list[Place]:
    """As `uses`, and the templates of which a journey uses an older version that shows it."""
    places = {one.key: one for one in uses(session).get(id, [])}
    used = {(key, use.template_version) for key, found in listing.uses(session).items() for use in found if use.template_version}
    showing = cast(col(TemplateVersion.source), String).contains(id, autoescape=True)
    statement = sql_select(col(TemplateVersion.key), col(TemplateVersion.number), col(Template.name)).join(Template).where(showing)
    places |= {key: Place(key, name) for key, number, name in session.execute(statement) if (key, number) in used}
    return list(places.values())


def _mentioned(variants: Any) -> set[str]:
    texts = (text for parts in (variants or {}).values() if isinstance(parts, Mapping) for text in parts.values())
    return {id for text in texts if isinstance(text, str) for id in _IN_TEXT.findall(text)}
