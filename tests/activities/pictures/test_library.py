"""The library on both databases: once each, found, described, deleted only where nothing shows it, brought back, given out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from activities.pictures import library
from activities.templates import library as templates
from journeys.errors import Conflict, Invalid, NotFound, TooLarge
from models import Audit, Database, Picture, PictureFile
from tests.activities.pictures.test_file import photo

MAIL = '<mjml><mj-body><mj-section><mj-column><mj-image src="https://e.org{path}" alt="x" /></mj-column></mj-section></mj-body></mjml>'


@pytest.fixture(name="picture")
def fixture_picture(db: Database, now: datetime) -> Iterator[Picture]:
    return library.add(db, photo(900, 600), "C:\\fotos\\Red Rucksack.JPG", "member:1", now, {"en": " a  rucksack "})


def mail(db: Database, path: str, now: datetime, key: str = "welcome") -> None:
    variants = {"default": {"subject": "Hello", "mjml": MAIL.format(path=path)}}
    templates.save(db, key, variants, name=key.title(), kind="email", message_class="transactional", actor="test", now=now, revision=None)


def test_a_picture_is_named_by_its_file_and_given_out_in_its_sizes(db: Database, picture: Picture) -> None:
    assert (picture.name, picture.alt, picture.width, picture.height) == ("Red Rucksack", {"en": "a rucksack"}, 600, 900)
    with db.read() as session:
        assert library.widths(session, [picture.id]) == {picture.id: [(600, 900)]}
        served = library.served(session, picture.id, 600, "jpg")
        assert served is not None
        assert served[0] == "image/jpeg"
        assert served[1].startswith(b"\xff\xd8\xff")
        assert library.served(session, picture.id, 600, "png") is library.served(session, picture.id, 599, "jpg") is None
        assert [one.name for one in library.find(session, "RUCK", limit=9)] == ["Red Rucksack"]
        assert library.find(session, "100%", limit=9) == []
        assert session.scalars(select(Audit.action).where(col(Audit.subject) == f"picture:{picture.id}")).all() == ["picture.add"]


def test_the_same_file_twice_is_one_picture_and_comes_back_if_it_was_deleted(db: Database, picture: Picture, now: datetime) -> None:
    assert library.add(db, photo(900, 600), "other.jpg", "member:2", now).id == picture.id
    with db.write() as session:
        library.remove(session, picture.id, "member:1", now)
        assert library.find(session, limit=9) == []
        assert library.served(session, picture.id, 600, "jpg") is None
    assert library.add(db, photo(900, 600), "other.jpg", "member:2", now).name == "Red Rucksack"
    with db.read() as session:
        assert library.served(session, picture.id, 600, "jpg") is not None


def test_a_picture_that_is_shown_is_not_deleted(db: Database, picture: Picture, now: datetime) -> None:
    mail(db, library.path(picture, 600), now)
    with db.write() as session, pytest.raises(Conflict, match="Welcome"):
        library.remove(session, picture.id, "member:1", now)
    mail(db, "/other.png", now)
    with db.write() as session:
        library.remove(session, picture.id, "member:1", now)
        assert library.restore(session, picture.id, "member:1").deleted_at is None


def test_files_of_deleted_pictures_go_after_a_while(db: Database, picture: Picture, now: datetime) -> None:
    with db.write() as session:
        library.remove(session, picture.id, "member:1", now)
    for after, left in ((library.KEPT, 1), (library.KEPT + timedelta(seconds=1), 0)):
        library.add(db, photo(30 + after.seconds, 30), "next.jpg", "member:1", now + after)
        with db.read() as session:
            assert len(session.scalars(select(PictureFile.width).where(PictureFile.picture_id == picture.id)).all()) == left
    with db.write() as session, pytest.raises(NotFound):
        library.restore(session, picture.id, "member:1")


def test_words_are_kept_by_language_and_have_a_limit(db: Database, picture: Picture) -> None:
    with db.write() as session:
        assert library.describe(session, picture.id, "test", alt={"de": "Ein Rucksack"}).alt == {"en": "a rucksack", "de": "Ein Rucksack"}
        assert library.describe(session, picture.id, "test", name="A/b", alt={"en": ""}).alt == {"de": "Ein Rucksack"}
        for alt in ({"fr": "sac"}, {"en": "x" * (library.MOST_ALT + 1)}):
            with pytest.raises(Invalid):
                library.describe(session, picture.id, "test", alt=alt)


def test_a_full_library_takes_nothing_more(db: Database, picture: Picture, now: datetime) -> None:
    with db.write() as session:
        session.get_one(Picture, picture.id).bytes = library.MOST_BYTES
    with pytest.raises(TooLarge, match="full"):
        library.add(db, photo(33, 33), "next.jpg", "member:1", now)


def test_the_mark_of_uses_changes_with_every_draft_and_reads_none(db: Database, picture: Picture, now: datetime) -> None:
    mail(db, library.path(picture, 600), now)
    with db.write() as session:
        before = library.uses_mark(session)
        templates.save_draft(session, "welcome", {"default": {"subject": "", "mjml": ""}}, 1, now)
        assert library.uses_mark(session) != before
