"""The page of pictures: upload by a form, describe, see where one is shown, delete and undo."""

from __future__ import annotations

from typing import Any

from activities.pictures import library
from models import Picture
from tests.activities.pictures.test_file import photo

PAGE = "/ui/pictures"


def upload(client: Any, settings: Any, content: bytes, **headers: str) -> Any:
    return client.post(PAGE, files={"file": ("sea.jpg", content)}, headers={"origin": settings.public_url, **headers})


def test_a_picture_is_uploaded_described_deleted_and_brought_back(settings: Any, log_in: Any, opened: Any, town: Any) -> None:
    marketer = log_in("marketer")
    assert upload(marketer, settings, b"<svg/>").headers["location"] == f"{PAGE}?problem=svg"
    assert upload(marketer, settings, photo(), accept="application/json").json() == {"problem": ""}
    with opened(marketer, PAGE) as page:
        page.see_until("Alternative text is missing")
        page.press("Delete")
        page.see_until("“sea” is deleted.")
        page.press("Undo")
        page.see_until("No template shows it.")
    with town.db.read() as session:
        [one] = library.find(session, limit=9)
        assert isinstance(one, Picture)


def test_a_viewer_sees_pictures_and_changes_none(settings: Any, log_in: Any, opened: Any, town: Any) -> None:
    library.add(town.db, photo(), "sea.jpg", "test", town.engine.clock.now())
    viewer = log_in("viewer")
    with opened(viewer, PAGE) as page:
        assert "sea" in page.text
        assert "Upload" not in page.text
        assert "Describe" not in page.text
    assert upload(viewer, settings, photo(40, 40)).headers["location"] == f"{PAGE}?problem=role"
