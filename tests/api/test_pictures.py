"""Pictures over the interface, and as mail programs fetch them."""

from __future__ import annotations

from typing import Any

from tests.activities.pictures.test_file import photo
from tests.api.conftest import TestClient
from tests.crm.test_brand import LOGO
from workspace import brand


def test_a_picture_is_uploaded_fetched_and_deleted(admin: TestClient, client: TestClient) -> None:
    sent = admin.post("/api/v1/pictures", params={"name": "sea.jpg"}, content=photo(4_000, 2_600))
    row: Any = sent.json()
    assert (sent.status_code, row["name"], row["width"], [one["width"] for one in row["sizes"]]) == (201, "sea", 1_200, [600, 1_200, 1_560])
    assert row["url"] == row["sizes"][1]["url"] == f"http://testserver/m/{row['id']}/1200.jpg"
    found = client.get(row["url"])
    assert (found.status_code, found.headers["content-type"], found.content[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (found.headers["x-content-type-options"], found.headers.get("set-cookie")) == ("nosniff", None)
    assert found.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert client.get(row["url"], headers={"if-none-match": found.headers["etag"]}).status_code == 304
    assert client.head(row["url"]).status_code == 200
    assert admin.patch(f"/api/v1/pictures/{row['id']}", json={"alt": {"de": "Das Meer"}}).json()["alt"] == {"de": "Das Meer"}
    [listed] = admin.get("/api/v1/pictures", params={"text": "meer"}).json()["items"]
    assert listed == {**row, "alt": {"de": "Das Meer"}}
    assert admin.get(f"/api/v1/pictures/{row['id']}/uses").json() == []
    assert admin.delete(f"/api/v1/pictures/{row['id']}").status_code == 204
    assert client.get(row["url"]).status_code == admin.get(f"/api/v1/pictures/{row['id']}").status_code == 404
    assert admin.post(f"/api/v1/pictures/{row['id']}/restore").json() == listed
    assert client.get(row["url"]).status_code == 200


def test_what_is_no_picture_is_refused_with_the_reason(admin: TestClient) -> None:
    refused = admin.post("/api/v1/pictures", content=b"<svg></svg>")
    assert (refused.status_code, refused.json()["error"]["details"]["problem"]) == (422, "svg")


def test_addresses_that_nobody_gave_out_lead_nowhere(client: TestClient) -> None:
    for path in (f"/m/{'0' * 32}/600.jpg", "/m/x/600.jpg", f"/m/{'0' * 32}/600.svg", f"/m/{'0' * 32}/0.png"):
        assert client.get(path).status_code in (404, 422)


def test_the_logo_is_given_out_for_mails(admin: TestClient, client: TestClient, engine: Any) -> None:
    assert client.get(f"/m/logo/{'0' * 32}.png").status_code == 404
    assert admin.put("/api/v1/settings/appearance", json={"logo": LOGO}).status_code == 200
    with engine.db.read() as session:
        address = brand.values(session, "http://testserver")["logo"]
    found = client.get(address)
    assert (found.content[:4], found.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert "immutable" in found.headers["cache-control"]
    older = client.get(f"/m/logo/{'0' * 32}.png")
    assert (older.content, older.headers["cache-control"]) == (found.content, "public, max-age=3600"), "mails from before show the new one"
