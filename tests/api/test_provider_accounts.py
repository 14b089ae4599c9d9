"""Provider accounts over the interface, and what their providers report: signature first, then stored and routed at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlmodel import col, select

from activities import reports
from activities.account_setup import changed, read, set_up_of
from activities.happenings import Streak
from activities.providers.callback import CallbackLater, CallbackRequest
from activities.providers.smtp import Smtp
from crm.consent import consent, suppression
from engine.enrolment.routing import routed
from engine.versions import publish
from journeys.errors import Invalid
from models import Audit, Body, Contact, EarlyReport, Event, Message, ProviderAccount, Run, SendingLevel
from storage.held_messages import AGAIN
from tests.api.conftest import TestClient
from tests.toy_provider import LOFTS, SIGNATURE, Loft, News, Pigeon, settings_of, signed
from workspace import accounts, stopped_accounts
from workspace import settings as workspace_settings

NEW = {"provider": "pigeon", "name": "main", "config": settings_of("alps")}


@pytest.fixture(autouse=True)
def loft() -> Iterator[Loft]:
    LOFTS["alps"] = Loft()
    yield LOFTS["alps"]
    LOFTS.clear()


@pytest.fixture
def account(admin: TestClient) -> str:
    answer = admin.post("/api/v1/accounts", json=NEW)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["account"])


def test_what_can_be_set_up_is_told_with_its_schema(admin: TestClient) -> None:
    found = {one["name"]: one for one in admin.get("/api/v1/accounts/providers").json()["items"]}
    assert found["pigeon"]["channels"] == ["email", "sms"]
    assert found["pigeon"]["config_schema"]["properties"]["token"]["format"] == "password"
    assert "smtp" in found


def test_a_secret_goes_in_and_never_comes_out(admin: TestClient, engine: Any, account: str) -> None:
    detail = admin.get(f"/api/v1/accounts/{account}").json()
    assert (detail["config"]["loft"], detail["secrets"], detail["tested_code"], detail["channels"]) == ("alps", ["token"], "", [])
    changed = admin.put(f"/api/v1/accounts/{account}", json={"config": {"letters": 5}, "revision": detail["revision"]}).json()
    assert (changed["config"]["letters"], changed["secrets"], changed["revision"]) == (5, ["token"], 2)
    token = settings_of("alps")["token"]
    everything = [admin.get(path).text for path in ("/api/v1/accounts", f"/api/v1/accounts/{account}", "/api/v1/audit")]
    with engine.db.read() as session:
        row = session.get_one(ProviderAccount, account)
        everything += [row.sealed, json.dumps(row.config), str([one.detail for one in session.scalars(select(Audit))])]
        assert accounts.secrets_of(engine.address_keys, row) == {"token": token}
    assert not [text for text in everything if token in text]


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"loft": "nowhere", "token": "x"}, "account_test_failed"),
        ({"loft": "alps", "token": "hawk-hawk"}, "account_test_failed"),
        ({"loft": "", "token": "x"}, "invalid"),
        ({"loft": "alps", "breed": "fantail"}, "invalid"),
        ({"loft": "alps", "coop": 1}, "invalid"),
        ({}, "invalid"),
    ],
)
def test_what_does_not_work_is_not_stored_and_says_nothing_that_was_typed(
    admin: TestClient, engine: Any, config: dict[str, Any], code: str
) -> None:
    answer = admin.post("/api/v1/accounts", json={**NEW, "config": config})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert "hawk-hawk" not in answer.text
    with engine.db.read() as session:
        assert session.scalars(select(ProviderAccount)).all() == []


def test_a_change_that_fails_its_test_changes_nothing(admin: TestClient, account: str) -> None:
    refused = admin.put(f"/api/v1/accounts/{account}", json={"config": settings_of("nowhere"), "revision": 1})
    assert refused.status_code == 422
    assert "Feed the pigeons." in refused.json()["error"]["message"]
    assert admin.get(f"/api/v1/accounts/{account}").json()["config"]["loft"] == "alps"
    assert admin.put(f"/api/v1/accounts/{account}", json={"config": {"letters": 3}, "revision": 1}).status_code == 200
    assert admin.put(f"/api/v1/accounts/{account}", json={"config": {"letters": 4}, "revision": 1}).status_code == 409


def audited(engine: Any) -> list[tuple[str, str]]:
    with engine.db.read() as session:
        rows = session.scalars(select(Audit).where(col(Audit.subject).startswith("account:")).order_by(col(Audit.id)))
        return [(row.action, row.subject) for row in rows]


def test_a_stored_secret_is_not_sent_to_another_server(admin: TestClient, engine: Any, account: str) -> None:
    LOFTS["theirs"] = Loft()
    before = audited(engine)
    for blank in ({}, {"token": ""}):
        refused = admin.put(f"/api/v1/accounts/{account}", json={"config": {"loft": "theirs", **blank}, "revision": 1})
        assert refused.status_code == 422
        error = refused.json()["error"]
        assert "Enter the secrets again: they are not sent to another server." in error["message"]
        assert [one["field"] for one in error["details"]["issues"]] == ["token"]
    assert audited(engine) == before, "nobody was called"
    assert admin.put(f"/api/v1/accounts/{account}", json={"config": settings_of("theirs"), "revision": 1}).status_code == 200


def test_whose_change_comes_too_late_tests_nothing(admin: TestClient, engine: Any, account: str, loft: Loft) -> None:
    assert admin.put(f"/api/v1/accounts/{account}", json={"config": {"letters": 3}, "revision": 1}).status_code == 200
    before, loft.is_there = audited(engine), False
    assert admin.put(f"/api/v1/accounts/{account}", json={"config": {"letters": 4}, "revision": 1}).status_code == 409
    assert audited(engine) == before


def test_the_audit_trail_has_every_test_whatever_it_hears(admin: TestClient, engine: Any, loft: Loft) -> None:
    of_main = ("account.test", "account:pigeon.main")
    loft.is_there = False
    assert admin.post("/api/v1/accounts", json=NEW).status_code == 422
    assert audited(engine) == [of_main]
    loft.is_there = True
    assert admin.post("/api/v1/accounts", json=NEW).status_code == 201
    loft.is_there = False
    assert admin.put("/api/v1/accounts/pigeon.main", json={"config": {"letters": 3}, "revision": 1}).status_code == 422
    assert admin.post("/api/v1/accounts/pigeon.main/test").status_code == 200
    assert audited(engine) == [of_main, of_main, ("account.add", "account:pigeon.main"), of_main, of_main]


def test_a_field_that_the_provider_has_dropped_does_not_hinder_a_change(admin: TestClient, engine: Any, account: str) -> None:
    with engine.db.write() as session:
        row = session.get_one(ProviderAccount, account)
        row.config = {**row.config, "coop": 1}
    assert admin.put(f"/api/v1/accounts/{account}", json={"config": {"coop": 2}, "revision": 1}).status_code == 422
    changed = admin.put(f"/api/v1/accounts/{account}", json={"config": {"letters": 3}, "revision": 1})
    assert (changed.status_code, changed.json()["config"]) == (200, {"loft": "alps", "breed": "homing", "at_night": False, "letters": 3})


def test_no_more_are_taken_back_than_there_can_be(admin: TestClient, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST", 1)
    assert admin.delete(f"/api/v1/accounts/{account}").status_code == 204
    assert admin.post("/api/v1/accounts", json={**NEW, "name": "other"}).status_code == 201
    assert admin.post(f"/api/v1/accounts/{account}/restore").status_code == 422
    assert admin.delete("/api/v1/accounts/pigeon.other").status_code == 204
    assert admin.post(f"/api/v1/accounts/{account}/restore").status_code == 204


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "ü"])
def test_a_name_is_one_that_fits_into_an_address(admin: TestClient, name: str) -> None:
    assert admin.post("/api/v1/accounts", json={**NEW, "name": name}).status_code == 422


def test_channels_choose_an_account_that_can_carry_them_and_works(admin: TestClient, engine: Any, account: str, loft: Loft) -> None:
    def choose(**channels: str) -> int:
        return int(admin.put("/api/v1/accounts/channels", json={"channels": channels}).status_code)

    assert choose(team=account) == 422, "pigeons bring no notices"
    assert choose(fax=account) == 422
    assert choose(sms="pigeon.other") == 404
    loft.is_there = False
    assert choose(sms=account) == 422
    loft.is_there = True
    assert choose(sms=account) == 200
    assert admin.get("/api/v1/accounts/channels").json() == {"channels": {"sms": account}}
    loft.is_there = False
    assert choose(sms=account) == 200, "what stays as it is needs no test"
    assert choose(sms="") == 200
    assert admin.get("/api/v1/accounts/channels").json() == {"channels": {}}


def test_removing_asks_and_can_be_undone_with_all_it_carried(admin: TestClient, account: str) -> None:
    admin.put("/api/v1/accounts/channels", json={"channels": {"sms": account}})
    refused = admin.delete(f"/api/v1/accounts/{account}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "account_in_use")
    assert admin.delete(f"/api/v1/accounts/{account}?anyway=true").status_code == 204
    assert admin.get("/api/v1/accounts").json() == {"items": [], "removed": [account]}
    assert admin.get("/api/v1/accounts/channels").json() == {"channels": {}}
    assert admin.get(f"/api/v1/accounts/{account}").status_code == 404
    assert admin.post("/api/v1/accounts", json=NEW).status_code == 409, "the name belongs to the one that can be taken back"
    assert admin.post(f"/api/v1/accounts/{account}/restore").status_code == 204
    assert admin.get("/api/v1/accounts/channels").json() == {"channels": {"sms": account}}
    assert admin.get(f"/api/v1/accounts/{account}").json()["secrets"] == ["token"]
    assert admin.post(f"/api/v1/accounts/{account}/restore").status_code == 404


def test_a_test_is_kept_and_an_account_that_works_again_is_tried_at_once(admin: TestClient, engine: Any, account: str, loft: Loft) -> None:
    loft.is_there = False
    assert admin.post(f"/api/v1/accounts/{account}/test").json() == {"code": "pigeon_no_loft", "advice": "Feed the pigeons."}
    [item] = admin.get("/api/v1/accounts").json()["items"]
    assert item["tested_code"] == "pigeon_no_loft"
    now = engine.clock.real_now()
    with engine.db.write() as session:
        stopped_accounts.stop(session, account, "pigeon_no_loft", now + timedelta(hours=1))
    loft.is_there = True
    assert admin.put(f"/api/v1/accounts/{account}", json={"config": {"letters": 3}, "revision": 1}).status_code == 200
    with engine.db.read() as session:
        row = stopped_accounts.find(session, account)
    assert row is not None
    assert row.next_probe_at <= engine.clock.real_now()


# What providers report


@pytest.fixture
def message(engine: Any, account: str) -> Message:
    """A text message that the account has carried, of a contact in a journey that waits."""
    now = engine.clock.now()
    with engine.db.write() as session:
        session.add(Contact(id="c" * 32, phone="+41791234567", created_at=now, updated_at=now))
        session.flush()
        body = Body(contact_id="c" * 32, recipient="+41791234567", text="Hi", created_at=now)
        session.add(body)
        row = Message(
            id="f" * 32,
            once_key="x:text:1",
            contact_id="c" * 32,
            channel="sms",
            status="sent",
            provider="pigeon",
            account=account,
            provider_id="letter-1",
            planned_at=now,
            sent_at=now,
            body_id=body.id,
        )
        session.add(row)
        session.flush()
        session.refresh(row)
        return row


def tell(client: TestClient, *news: dict[str, Any], account: str = "pigeon.main", token: str = "", url: str) -> Any:
    body = json.dumps(news).encode()
    path = f"/callbacks/{account}/news"
    signature = signed(token or settings_of("alps")["token"], url, body)
    return client.post(path, content=body, headers={SIGNATURE: signature, "authorization": ""})


def news(engine: Any, what: str, **more: Any) -> dict[str, Any]:
    return {"what": what, "at": engine.clock.now().isoformat(), "letter": "letter-1", **more}


def stored(engine: Any) -> tuple[str, list[str]]:
    with engine.db.read() as session:
        names = session.scalars(select(Event.name).where(col(Event.name).startswith("Message ")).order_by(col(Event.id)))
        return session.get_one(Message, "f" * 32).status, list(names)


@pytest.fixture(autouse=True)
def public(settings: Any) -> str:
    return str(settings.public_url)


def test_a_call_without_a_good_signature_changes_nothing_and_is_not_even_read(
    client: TestClient, engine: Any, message: Message, public: str
) -> None:
    url = f"{public}/callbacks/pigeon.main/news"
    assert tell(client, news(engine, "bounced"), token="hawk", url=url).status_code == 403
    assert tell(client, news(engine, "bounced"), url=f"{public}/callbacks/other/news").status_code == 403
    assert client.post("/callbacks/pigeon.main/news", content=b"{broken").status_code == 403
    assert stored(engine) == ("sent", [])


def test_a_call_that_its_check_cannot_cope_with_is_refused(
    client: TestClient, engine: Any, message: Message, public: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(self: News, request: CallbackRequest) -> None:
        raise TypeError(f"comparing strings with non-ASCII characters: {request.headers[SIGNATURE]}")

    odd = {SIGNATURE: "hawk-ü".encode("latin-1")}
    assert client.post("/callbacks/pigeon.main/news", content=b"[]", headers=odd).status_code == 403
    monkeypatch.setattr(News, "check", fails)
    assert client.post("/callbacks/pigeon.main/news", content=b"[]", headers=odd).status_code == 403
    assert "TypeError" in caplog.text
    assert "hawk" not in caplog.text
    assert stored(engine) == ("sent", [])


def test_a_call_that_cannot_be_checked_now_shall_come_again(
    client: TestClient, engine: Any, message: Message, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(self: News, request: CallbackRequest) -> None:
        raise CallbackLater

    monkeypatch.setattr(News, "check", waits)
    assert tell(client, news(engine, "bounced"), url=f"{public}/callbacks/pigeon.main/news").status_code == 503
    assert stored(engine) == ("sent", [])


def test_an_account_without_the_secret_that_calls_are_signed_with_takes_none(
    client: TestClient, engine: Any, message: Message, public: str
) -> None:
    """With an empty key everybody can sign."""
    with engine.db.write() as session:
        unsigned = read(Pigeon, settings_of("alps") | {"token": ""})[1]
        accounts.change(session, engine.address_keys, "pigeon.main", unsigned, 1, "test", engine.clock.real_now())
    url, body = f"{public}/callbacks/pigeon.main/news", json.dumps([news(engine, "bounced")]).encode()
    answer = client.post("/callbacks/pigeon.main/news", content=body, headers={SIGNATURE: signed("", url, body)})
    assert (answer.status_code, stored(engine)) == (403, ("sent", []))


def test_what_is_reported_is_stored_once_with_its_event(client: TestClient, engine: Any, message: Message, public: str) -> None:
    url = f"{public}/callbacks/pigeon.main/news"
    for taken in (1, 0):
        answer = tell(client, news(engine, "delivered"), url=url)
        assert (answer.status_code, answer.json()) == (200, {"taken": taken})
    assert stored(engine) == ("delivered", ["Message Delivered"])


@pytest.mark.parametrize(("what", "status", "reason"), [("bounced", "bounced", "hard_bounce"), ("complained", "sent", "complaint")])
def test_a_dead_or_angry_address_gets_nothing_more(
    client: TestClient, engine: Any, message: Message, public: str, what: str, status: str, reason: str
) -> None:
    url = f"{public}/callbacks/pigeon.main/news"
    assert tell(client, news(engine, what, code="hawk"), url=url).json() == {"taken": 1}
    assert stored(engine) == (status, ["Message Bounced" if what == "bounced" else "Message Complained"])
    with engine.db.read() as session:
        assert suppression.reasons(session, engine.address_keys, "sms", "+41791234567") == [reason]


@pytest.mark.parametrize(("everywhere", "what"), [(False, "complained"), (True, "complained"), (True, "bounced")])
def test_a_complaint_is_an_objection_where_the_workspace_says_so(
    client: TestClient, engine: Any, message: Message, public: str, everywhere: bool, what: str
) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        workspace_settings.put(session, "complaints", {"everywhere": everywhere}, "test", now)
        consent.record_consent(
            session, message.contact_id, "email", "marketing", "granted", now, evidence=consent.Evidence.DATED, source="test"
        )
    assert tell(client, news(engine, what), url=f"{public}/callbacks/pigeon.main/news").json() == {"taken": 1}
    objects = everywhere and what == "complained"
    with engine.db.read() as session:
        states = {channel: consent.state(session, message.contact_id, channel, "marketing") for channel in ("email", "sms")}
    assert states == ({"email": "withdrawn", "sms": "withdrawn"} if objects else {"email": "granted", "sms": None})


@pytest.mark.parametrize("what", ["bounced", "complained"])
@pytest.mark.parametrize(
    ("status", "reason"), [("held", AGAIN), ("planned", "pigeon_hawk"), ("failed", "pigeon_hawk"), ("skipped", "ended")]
)
def test_its_address_gets_nothing_more_wherever_the_message_stands(
    client: TestClient, engine: Any, message: Message, public: str, what: str, status: str, reason: str
) -> None:
    """It left once, or nobody could hear of it; since then a person wants it sent again, or it has ended otherwise."""
    with engine.db.write() as session:
        row = session.get_one(Message, "f" * 32)
        row.status, row.reason = status, reason
    url = f"{public}/callbacks/pigeon.main/news"
    for taken in (1, 0):
        assert tell(client, news(engine, what), url=url).json() == {"taken": taken}
    assert stored(engine) == (status, [f"Message {what.title()}"])
    with engine.db.read() as session:
        found = suppression.reasons(session, engine.address_keys, "sms", "+41791234567")
    assert found == ["hard_bounce" if what == "bounced" else "complaint"]


@pytest.mark.parametrize(
    ("status", "reason", "told", "after"),
    [
        ("uncertain", "no_answer", "sent", "sent"),
        ("uncertain", "no_answer", "delivered", "delivered"),
        ("uncertain", "no_answer", "failed", "failed"),
        ("held", AGAIN, "sent", "sent"),
        ("held", "quiet_hours", "sent", "held"),
        ("sent", "", "failed", "failed"),
        ("delivered", "", "sent", "delivered"),
        ("delivered", "", "failed", "delivered"),
        ("bounced", "", "delivered", "bounced"),
        ("failed", "", "sent", "failed"),
        ("failed", "", "delivered", "failed"),
    ],
)
def test_reports_come_in_any_order_and_nothing_goes_back(
    client: TestClient, engine: Any, message: Message, public: str, status: str, reason: str, told: str, after: str
) -> None:
    with engine.db.write() as session:
        row = session.get_one(Message, "f" * 32)
        row.status, row.reason, row.provider_id = status, reason, ""
    url = f"{public}/callbacks/pigeon.main/news"
    for _ in range(2):
        assert tell(client, news(engine, told, message="f" * 32), url=url).status_code == 200
    with engine.db.read() as session:
        row = session.get_one(Message, "f" * 32)
    assert (row.status, row.provider_id) == (after, "letter-1" if after != status else "")


def test_another_accounts_word_counts_for_nothing(
    admin: TestClient, client: TestClient, engine: Any, message: Message, public: str
) -> None:
    assert admin.post("/api/v1/accounts", json={**NEW, "name": "other"}).status_code == 201
    old = (engine.clock.now() - timedelta(hours=1)).isoformat()
    for named in ({"letter": "letter-1"}, {"letter": "", "message": "f" * 32}):
        told = {"what": "bounced", "at": old, **named}
        answer = tell(client, told, account="pigeon.other", url=f"{public}/callbacks/pigeon.other/news")
        assert (answer.status_code, answer.json()) == (200, {"taken": 0})
    assert stored(engine) == ("sent", [])


STREAK = Streak(3, timedelta(days=30))


def kept(engine: Any) -> list[tuple[str, str, str]]:
    with engine.db.read() as session:
        return [(one.kind, one.provider_id, one.message_id) for one in session.scalars(select(EarlyReport).order_by(col(EarlyReport.id)))]


def test_a_report_that_comes_before_the_answer_is_kept_until_it_is_written(
    client: TestClient, engine: Any, message: Message, public: str
) -> None:
    url = f"{public}/callbacks/pigeon.main/news"
    with engine.db.write() as session:
        row = session.get_one(Message, "f" * 32)
        row.status, row.provider_id = "claimed", ""
    for _ in range(2):
        early = tell(client, news(engine, "delivered"), news(engine, "sent", message="f" * 32), url=url)
        assert (early.status_code, early.json()) == (200, {"taken": 0})
    assert kept(engine) == [("delivered", "letter-1", ""), ("sent", "letter-1", "f" * 32)], "each once"
    assert not reports.settle(engine, partial(routed, engine), STREAK)
    assert len(kept(engine)) == 2, "still on its way"
    with engine.db.write() as session:
        row = session.get_one(Message, "f" * 32)
        row.status, row.provider_id = "sent", "letter-1"
    reports.settle(engine, partial(routed, engine), STREAK)
    assert (stored(engine), kept(engine)) == (("delivered", ["Message Delivered"]), [])


def test_a_report_of_a_message_that_never_was_is_kept_for_an_hour(client: TestClient, engine: Any, message: Message, public: str) -> None:
    url = f"{public}/callbacks/pigeon.main/news"
    old = {"what": "delivered", "at": (engine.clock.now() - timedelta(hours=1)).isoformat(), "letter": "letter-3"}
    assert tell(client, old, url=url).json() == {"taken": 0}
    assert kept(engine) == [], "too old to be on its way"
    assert tell(client, news(engine, "delivered", letter="letter-2"), url=url).json() == {"taken": 0}
    reports.settle(engine, partial(routed, engine), STREAK)
    assert len(kept(engine)) == 1
    with engine.db.write() as session:
        session.scalars(select(EarlyReport)).one().received_at -= reports.KEPT_FOR + timedelta(seconds=1)
    reports.settle(engine, partial(routed, engine), STREAK)
    assert (kept(engine), stored(engine)) == ([], ("sent", []))


def test_where_too_many_wait_the_provider_shall_call_again(
    client: TestClient, engine: Any, message: Message, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST", 1)
    url = f"{public}/callbacks/pigeon.main/news"
    assert tell(client, news(engine, "delivered", letter="letter-2"), url=url).status_code == 200
    full = tell(client, news(engine, "delivered", letter="letter-3"), url=url)
    assert (full.status_code, full.headers["retry-after"], len(kept(engine))) == (503, "30", 1)


def sends(engine: Any, number: int, status: str = "sent", to: str = "+41791234567") -> str:
    """One more message of the contact, the later the higher its number."""
    now, id = engine.clock.now(), f"{number:032x}"
    with engine.db.write() as session:
        body = Body(contact_id="c" * 32, recipient=to, text="Hi", created_at=now)
        session.add(body)
        session.flush()
        at = now - timedelta(minutes=30 - number)
        row = Message(
            id=id, once_key=f"x:more:{number}", contact_id="c" * 32, channel="sms", status=status, provider="pigeon",
            account="pigeon.main", provider_id=f"letter-{id}", planned_at=at, sent_at=at, body_id=body.id,
        )  # fmt: skip
        session.add(row)
    return id


def softly(client: TestClient, engine: Any, public: str, *ids: str) -> list[str]:
    """Bounces of these messages, each told twice; how each is told of."""
    for id in ids:
        for _ in range(2):
            tell(client, news(engine, "soft_bounced", letter="", message=id, code="hawk"), url=f"{public}/callbacks/pigeon.main/news")
    with engine.db.read() as session:
        found = session.scalars(select(Event).where(Event.name == "Message Bounced").order_by(col(Event.id)))
        return [str(one.properties["bounce"]) for one in found]


def suppressed(engine: Any, address: str = "+41791234567") -> list[str]:
    with engine.db.read() as session:
        return suppression.reasons(session, engine.address_keys, "sms", address)


def test_several_soft_bounces_in_a_row_are_as_bad_as_a_hard_one(client: TestClient, engine: Any, message: Message, public: str) -> None:
    ids = [sends(engine, number) for number in range(5)]
    assert softly(client, engine, public, *ids[:4]) == ["soft"] * 4
    assert suppressed(engine) == []
    assert softly(client, engine, public, ids[4])[4:] == ["streak"]
    assert suppressed(engine) == ["bounce_streak"]
    with engine.db.read() as session:
        row = session.get_one(Message, ids[0])
    assert (row.status, row.reason, row.bounced_at is not None) == ("failed", "hawk", True)


@pytest.mark.parametrize("between", ["delivered", "other_address", "long_ago"])
def test_what_breaks_a_streak(client: TestClient, engine: Any, message: Message, public: str, between: str) -> None:
    ids = [sends(engine, number) for number in (0, 1)]
    if between == "delivered":
        sends(engine, 2, "delivered")
    ids += [sends(engine, 3, to="+41790000000" if between == "other_address" else "+41791234567"), *(sends(engine, n) for n in (4, 5))]
    if between == "long_ago":
        with engine.db.write() as session:
            session.get_one(Message, ids[0]).sent_at = engine.clock.now() - timedelta(days=31)
    assert softly(client, engine, public, *ids) == ["soft"] * 5
    assert (suppressed(engine), suppressed(engine, "+41790000000")) == ([], [])


def test_who_opted_out_at_the_provider_has_opted_out_here(client: TestClient, engine: Any, message: Message, public: str) -> None:
    url = f"{public}/callbacks/pigeon.main/news"
    for taken in (1, 0):
        assert tell(client, news(engine, "opted_out", code="hawk"), url=url).json() == {"taken": taken}
    with engine.db.read() as session:
        assert consent.state(session, "c" * 32, "sms", "marketing") == "withdrawn"
        [changed] = session.scalars(select(Event).where(Event.name == "Consent Changed"))
    assert (stored(engine), changed.routed) == (("failed", []), True)


def test_what_is_signed_and_cannot_be_read_is_400(client: TestClient, engine: Any, message: Message, public: str) -> None:
    body = b"{broken"
    signature = signed(settings_of("alps")["token"], f"{public}/callbacks/pigeon.main/news", body)
    assert client.post("/callbacks/pigeon.main/news", content=body, headers={SIGNATURE: signature}).status_code == 400


@pytest.mark.parametrize("path", ["pigeon.none/news", "pigeon.main/gossip", "smtp.default/news", "outbox.default/news", "x/y"])
def test_there_is_nothing_elsewhere(client: TestClient, account: str, path: str) -> None:
    assert client.post(f"/callbacks/{path}", content=b"[]").status_code == 404


def test_a_removed_account_is_not_listened_to(admin: TestClient, client: TestClient, engine: Any, message: Message, public: str) -> None:
    assert admin.delete("/api/v1/accounts/pigeon.main?anyway=true").status_code == 204
    assert tell(client, news(engine, "bounced"), url=f"{public}/callbacks/pigeon.main/news").status_code == 404


def test_a_report_is_routed_in_its_transaction(client: TestClient, engine: Any, message: Message, public: str, woken: Any) -> None:
    """Whoever is told of bounces enters at once: no keeper comes by here."""
    document = {
        "spec": 1,
        "key": "bounced",
        "name": "Bounced",
        "entry": {"triggers": [{"type": "event", "event": "Message Bounced"}]},
        "start": "wait",
        "nodes": {"wait": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
        "edges": [{"from": "wait", "to": "end"}],
    }
    now = engine.clock.now()
    with engine.db.write() as session:
        journey = publish.create_journey(session, document, "test", now)
        publish.publish(engine, session, journey.id, "test", "", now)
    assert tell(client, news(engine, "bounced"), url=f"{public}/callbacks/pigeon.main/news").json() == {"taken": 1}
    with engine.db.read() as session:
        [run] = session.scalars(select(Run))
        [event] = session.scalars(select(Event).where(Event.name == "Message Bounced"))
    assert (run.contact_id, event.routed) == ("c" * 32, True)
    assert list(woken.wakeups.starts) == [run.id]


@pytest.mark.parametrize("where", ["open", "verify"])
def test_a_provider_that_breaks_while_its_connection_is_tried_is_refused_and_quotes_no_secret(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    token = settings_of("alps")["token"]

    def breaks(*_: Any) -> Any:
        raise RuntimeError(token)

    monkeypatch.setattr(Pigeon, where, breaks)
    answer = admin.post("/api/v1/accounts", json=NEW)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "account_test_failed")
    assert "RuntimeError" in caplog.text
    assert token not in caplog.text + answer.text


def test_an_account_makes_a_dkim_key_that_nobody_reads(admin: TestClient, engine: Any) -> None:
    now = engine.clock.real_now()
    with engine.db.write() as session:
        accounts.add(session, engine.address_keys, "main", read(Smtp, {"host": "localhost", "password": "pw"})[1], "test", now)
    assert admin.get("/api/v1/accounts/smtp.main").json()["dkim"] is None
    first = admin.post("/api/v1/accounts/smtp.main/dkim").json()
    assert (first["selector"], first["value"][:21]) == ("pfadwerk1", "v=DKIM1; k=rsa; p=MII")
    second = admin.post("/api/v1/accounts/smtp.main/dkim").json()
    assert (second["selector"], second["value"] == first["value"]) == ("pfadwerk2", False)
    detail = admin.get("/api/v1/accounts/smtp.main")
    assert (detail.json()["dkim"], detail.json()["revision"]) == (second, 3)
    assert "PRIVATE" not in detail.text
    with engine.db.read() as session:
        row = accounts.find(session, "smtp.main")
        secrets = accounts.secrets_of(engine.address_keys, row) or {}
        assert (secrets["password"], "PRIVATE" in row.sealed) == ("pw", False)
        noted = [one.detail for one in session.scalars(select(Audit).where(col(Audit.action) == "account.change"))]
    assert noted == [{"fields": ["dkim_selector"], "secrets": ["dkim_key"]}] * 2


def test_a_provider_without_keys_of_its_own_says_so(admin: TestClient, account: str) -> None:
    answer = admin.post(f"/api/v1/accounts/{account}/dkim")
    assert (answer.status_code, "no DKIM key of their own" in answer.text) == (422, True)
    assert admin.post("/api/v1/accounts/smtp.nobody/dkim").status_code == 404


def test_another_server_asks_for_the_password_and_not_for_the_dkim_key(engine: Any) -> None:
    """The key signs and is sent to nobody."""
    with engine.db.write() as session:
        config = Smtp.with_new_key(Smtp.Config(host="one.example", password="pw"))
        row = accounts.add(session, engine.address_keys, "main", set_up_of(Smtp, config), "test", engine.clock.real_now())
    with pytest.raises(Invalid) as refused:
        changed(Smtp, engine.address_keys, row, {"host": "two.example"})
    assert [issue.field for issue in refused.value.issues] == ["password"]
    kept, _ = changed(Smtp, engine.address_keys, row, {"host": "two.example", "password": "other"})
    assert (kept.dkim_selector, kept.dkim_key) == (config.dkim_selector, config.dkim_key)


def test_a_stopped_account_is_listed_when_its_days_are_over_and_goes_on(admin: TestClient, engine: Any) -> None:
    now = engine.clock.real_now()
    with engine.db.write() as session:
        session.add(SendingLevel(account="smtp.main", level="stop", why="complaints", since=now, next_at=now))
    stopped = {"account": "smtp.main", "level": "stop", "tried": 0, "bounced": 0, "complained": 0}
    assert admin.get("/api/v1/accounts/rates").json()["items"] == [stopped]
    assert [admin.post("/api/v1/accounts/smtp.main/resume").status_code for _ in range(2)] == [204, 404]
    assert admin.get("/api/v1/accounts/rates").json()["items"] == []


def test_accounts_share_a_channel_and_the_old_form_tells_the_first(admin: TestClient, engine: Any, account: str, loft: Loft) -> None:
    other = admin.post("/api/v1/accounts", json={**NEW, "name": "second"}).json()["account"]

    def share(channel: str, *line: tuple[str, int]) -> Any:
        body = {"accounts": [{"account": name, "share": share} for name, share in line]}
        return admin.put(f"/api/v1/accounts/channels/{channel}", json=body)

    refused = share("push", (account, 50), (other, 50))
    assert refused.status_code == 422
    assert "Only one account can send on this channel." in refused.text, "tokens of devices belong to one account"
    assert share("sms", (account, 50), (other, 40)).status_code == 422
    assert share("sms", (account, 100), ("pigeon.nobody", 0)).status_code == 404
    loft.is_there = False
    assert share("sms", (account, 70), (other, 30)).status_code == 422
    loft.is_there = True
    shared = share("sms", (account, 70), (other, 30))
    assert (shared.status_code, admin.get("/api/v1/accounts/channels/sms").json()) == (200, shared.json())
    assert admin.get("/api/v1/accounts/channels").json() == {"channels": {"sms": account}}
    assert admin.get(f"/api/v1/accounts/{other}").json()["channels"] == ["sms"]
    assert admin.delete(f"/api/v1/accounts/{account}").status_code == 204, "another one carries the channel, too"
    assert admin.get("/api/v1/accounts/channels/sms").json() == {"accounts": [{"account": other, "share": 30}]}
