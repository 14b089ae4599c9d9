"""Coupon pools over the interface."""

from __future__ import annotations

from tests.api.conftest import TestClient

POOLS = "/api/v1/coupon-pools"


def test_a_pool_is_made_filled_listed_and_deleted(admin: TestClient) -> None:
    made = admin.put(f"{POOLS}/spring", json={"name": "Spring", "low_at": 3}).json()
    assert (made["key"], made["free"], made["low"]) == ("spring", 0, True)
    assert admin.post(f"{POOLS}/spring/codes", json={"codes": ["AAA-1", "AAA-2", "AAA-2"]}).json() == {"added": 2, "known": 0}
    assert admin.post(f"{POOLS}/spring/codes", json={"generate": 3, "prefix": "S-"}).json() == {"added": 3, "known": 0}
    first = admin.get(f"{POOLS}/spring/codes", params={"limit": 1}).json()
    assert [(one["code"], one["state"], one["contact_id"]) for one in first["items"]] == [("AAA-1", "free", None)]
    assert len(admin.get(f"{POOLS}/spring/codes", params={"cursor": first["next"]}).json()["items"]) == 4
    [listed] = admin.get(POOLS).json()["items"]
    assert (listed["free"], listed["low"]) == (5, False)
    for wrong in ({}, {"codes": ["AAA"], "generate": 2}, {"codes": ["a b"]}, {"generate": 1, "length": 3}):
        assert admin.post(f"{POOLS}/spring/codes", json=wrong).status_code == 422
    for end in ("2026-06-01T00:00:00", "2026-06-01", "9999-12-31T23:59:59-05:00"):
        assert admin.put(f"{POOLS}/spring", json={"name": "Spring", "expires_at": end}).status_code == 422, end
    assert admin.delete(f"{POOLS}/spring").status_code == 204
    assert admin.get(f"{POOLS}/spring/codes").status_code == 404
