"""The page of coupon pools: made, filled by a list and by chance, exported with who got what."""

from __future__ import annotations

from typing import Any

from crm.coupons import pools, reservations
from tests.builder_ui.test_settings_pages import submit

PAGE = "/ui/coupons"


def test_a_pool_is_made_filled_and_exported(settings: Any, log_in: Any, opened: Any, town: Any) -> None:
    marketer, origin = log_in("marketer"), {"origin": settings.public_url}
    with opened(marketer, PAGE) as page:
        assert "No coupon pools yet." in page.text
        submit(page, "Spring", "5", "", "", "")
        page.see_until("No code left")
    sent = marketer.post(
        f"{PAGE}/spring/codes", files={"file": ("c.csv", b"code\nAAA-2\n")}, data={"codes": "AAA-1\nAAA-2"}, headers=origin
    )
    assert sent.headers["location"] == f"{PAGE}?added=2&known=0"
    wrong = marketer.post(f"{PAGE}/spring/codes", data={"codes": "AAA-1\n<b>"}, headers=origin)
    assert wrong.headers["location"] == f"{PAGE}?problem=codes&lines=2"
    given = reservations.reserve(town.db, {"spring"}, message_id="m", run_id="r", contact_id=town.people["Anna"], now=town.now)
    with town.db.write() as session:
        reservations.watch_low(session, town.now)
    with opened(marketer, PAGE) as page:
        assert "Running low" in page.text
    assert "Coupon codes are running low: Spring." in marketer.get("/ui/journeys").text
    exported = marketer.get(f"{PAGE}/spring/codes.csv").text.splitlines()
    assert exported[1].startswith(f"{given['spring']},Reserved,{town.people['Anna']},m,")
    assert exported[2] == "AAA-2,Free,,,"
    viewer = log_in("viewer")
    assert viewer.get(f"{PAGE}/spring/codes.csv").status_code == 403
    assert "Coupon codes are running low" not in viewer.get("/ui/journeys").text


def test_a_viewer_sees_how_many_are_left_and_changes_nothing(settings: Any, log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        pools.put(session, "spring", "test", town.now, name="Spring")
    viewer = log_in("viewer")
    with opened(viewer, PAGE) as page:
        assert "Spring" in page.text
        assert "Add codes" not in page.text
        assert "New pool" not in page.text
    refused = viewer.post(f"{PAGE}/spring/codes", data={"codes": "AAA"}, headers={"origin": settings.public_url})
    assert refused.headers["location"] == f"{PAGE}?problem=role"
