"""Checking a template over the interface."""

from __future__ import annotations

from tests.api.conftest import TestClient

MJML = '<mjml><mj-body><mj-section><mj-column><mj-text>Hello <a href="https://bit.ly/x">here</a></mj-text></mj-column></mj-section></mj-body></mjml>'


def test_a_template_is_checked_with_and_without_a_look_at_its_links(admin: TestClient) -> None:
    variants = {"en": {"subject": "Hello", "mjml": MJML}}
    body = {"name": "Hello", "kind": "email", "message_class": "transactional", "variants": variants}
    assert admin.put("/api/v1/templates/hello", json=body).status_code == 200
    found = admin.post("/api/v1/templates/hello/check", json={}).json()
    by_code = {issue["code"]: issue for issue in found["issues"]}
    assert set(by_code) == {"no_preheader", "short_link"}
    assert (by_code["short_link"]["severity"], by_code["short_link"]["line"]) == ("warning", 1)
    assert (found["asked"], found["bytes"] > 1_000) == (0, True)
    assert admin.post("/api/v1/templates/hello/check", json={"locale": "fr"}).status_code == 422
    variants["en"]["mjml"] = MJML.replace("https://bit.ly/x", "http://127.0.0.1:1/")
    assert admin.put("/api/v1/templates/hello", json=body).status_code == 200
    asked = admin.post("/api/v1/templates/hello/check", json={"fetch": True}).json()
    assert "unreachable" in {issue["code"] for issue in asked["issues"]}
    assert (asked["asked"], asked["addresses"]) == (1, 1)
