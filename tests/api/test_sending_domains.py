"""Sending domains over the interface: the real resolver asks a DNS server on this machine."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import col, select

from activities.account_setup import set_up_of
from activities.providers.smtp import Smtp
from models import Audit
from tests.api.conftest import TestClient
from tests.dns_server import DnsServer, fixture_dns, good_zone
from workspace import accounts

__all__ = ["fixture_dns"]
DOMAIN = "shop.example.org"


@pytest.fixture(name="client")
def fixture_client(admin: TestClient, engine: Any, dns: DnsServer) -> TestClient:
    """An admin of a workspace whose e-mails go through a mail server, and whose resolver asks `dns`."""
    config = Smtp.with_new_key(Smtp.Config(host="mail.example.net"))
    with engine.db.write() as session:
        accounts.add(session, engine.address_keys, "main", set_up_of(Smtp, config), "test", engine.clock.real_now())
        accounts.carry(session, {"email": "smtp.main"}, "test", engine.clock.real_now())
    key = Smtp.signs_with(config)
    assert key is not None
    dns.records = good_zone(DOMAIN, key.selector, key.value)
    assert admin.put("/api/v1/settings/sender", json={"name": "Shop", "email": f"shop@{DOMAIN.upper()}"}).status_code == 200
    return admin


def the(client: TestClient) -> Any:
    [row] = client.get("/api/v1/sending-domains").json()["items"]
    return row


def test_a_domain_is_checked_kept_and_allowed(client: TestClient, engine: Any, dns: DnsServer) -> None:
    before = the(client)
    assert (before["domain"], before["account"], before["checked_at"], before["marks"]) == (DOMAIN, "smtp.main", None, [])
    found = client.post(f"/api/v1/sending-domains/{DOMAIN}/check").json()
    assert found == the(client)
    assert (found["verified"], {mark["level"] for mark in found["marks"]}) == (True, {"good"})
    del dns.records[f"_dmarc.{DOMAIN}", "TXT"]
    found = client.post(f"/api/v1/sending-domains/{DOMAIN}/check").json()
    [red] = [mark for mark in found["marks"] if mark["level"] == "bad"]
    assert (red["code"], red["name"], red["meaning"][:23]) == ("dmarc_none", f"_dmarc.{DOMAIN}", "There is no DMARC recor")
    assert client.post(f"/api/v1/sending-domains/{DOMAIN}/allow").status_code == 204
    assert the(client)["allowed"] == ["dmarc_none"]
    with engine.db.read() as session:
        said = [one.action for one in session.scalars(select(Audit).where(col(Audit.subject) == f"domain:{DOMAIN}"))]
    assert said == ["domain.check", "domain.check", "domain.allow"]


def test_only_domains_of_senders_are_asked_about(client: TestClient, dns: DnsServer) -> None:
    for domain in ("internal.example", "169.254.169.254", "x" * 253):
        assert client.post(f"/api/v1/sending-domains/{domain}/check").status_code == 404
    assert dns.asked == []
    assert client.post("/api/v1/sending-domains/never.example/allow").status_code == 404


def test_without_an_account_there_is_nothing_to_check(client: TestClient) -> None:
    assert client.put("/api/v1/accounts/channels", json={"channels": {"email": ""}}).status_code == 200
    answer = client.post(f"/api/v1/sending-domains/{DOMAIN}/check")
    assert (answer.status_code, "No provider account carries e-mail" in answer.text) == (409, True)


def test_a_sender_whose_address_is_none_makes_no_domain(client: TestClient) -> None:
    senders = {"senders": [{"key": "two", "email": "two@bücher.example"}, {"key": "three", "email": f"three@{DOMAIN}"}]}
    assert client.put("/api/v1/settings/senders", json=senders).status_code == 200
    assert [one["domain"] for one in client.get("/api/v1/sending-domains").json()["items"]] == [DOMAIN, "xn--bcher-kva.example"]
    for wrong in ({"key": "A b", "email": "a@b.example"}, {"key": "a", "email": "none"}, {"key": "a"}):
        assert client.put("/api/v1/settings/senders", json={"senders": [wrong]}).status_code == 422
    twice = {"senders": [{"key": "a", "email": "a@b.example"}, {"key": "a", "email": "b@b.example"}]}
    assert client.put("/api/v1/settings/senders", json=twice).status_code == 422


def test_how_much_leaves_on_a_day_is_limited_for_accounts_and_domains(client: TestClient, engine: Any) -> None:
    plan = {"a_day": 200, "warm_up": {"begins": "2020-01-01", "first": 50, "growth": 50}}
    assert client.put(f"/api/v1/sending-plans/@{DOMAIN}", json=plan).json() == plan
    assert client.put("/api/v1/sending-plans/smtp.main", json={"a_day": 9}).json() == {"a_day": 9, "warm_up": None}
    rows = client.get("/api/v1/sending-plans").json()["items"]
    assert rows == [
        {"name": f"@{DOMAIN}", **plan, "limit": 200, "taken": 0, "waiting": 0},
        {"name": "smtp.main", "a_day": 9, "warm_up": None, "limit": 9, "taken": 0, "waiting": 0},
    ]
    for name in ("smtp.other", "@other.example", "@"):
        assert client.put(f"/api/v1/sending-plans/{name}", json={"a_day": 9}).status_code == 404
    assert client.put("/api/v1/sending-plans/smtp.main", json={"a_day": 9, "warm_up": {**plan["warm_up"], "first": 10}}).status_code == 422
    assert [client.delete("/api/v1/sending-plans/smtp.main").status_code for _ in range(2)] == [204, 404]
    with engine.db.read() as session:
        said = [one.action for one in session.scalars(select(Audit).where(col(Audit.subject) == "account:smtp.main"))]
    assert said[-2:] == ["sending_plan.put", "sending_plan.remove"]
