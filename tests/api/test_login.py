"""One-time links, sessions, and what each role may do."""

from __future__ import annotations

import re
import warnings
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyotp
import pytest
from sqlalchemy import update
from sqlmodel import select

from activities.templates import library
from api.app import create_app
from api.auth.login import COOKIE, SESSION_LIFE, exchange, member_of, mint_link
from api.http.errors import Unauthorized
from api.tracking.write_keys import add_key
from crm.people.identity import resolve
from engine.engine import Engine
from models import LoginFailure, LoginSession, LoginToken, Member, OutboxItem
from settings import Settings
from workspace import audit, passwords, second_factor, secrets, sessions
from workspace import settings as settings_of
from workspace.members import ROLES, add_member
from workspace.roles import ACTS, OWING, PROVED, may

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # starlette would like a client that is not released for httpx
    from fastapi.testclient import TestClient

if TYPE_CHECKING:
    from httpx import Response

OURS = {"origin": "http://testserver"}


def link(engine: Engine, role: str | None = None) -> str:
    """The path of a fresh login link; for the first admin unless a role is named."""
    now = engine.clock.now()
    member_id = None
    if role:
        with engine.db.write() as session:
            member_id = add_member(session, "Somebody", f"{role}@example.org", role, now).id
    return mint_link(engine.db, now, "", member_id)


def log_in(client: TestClient, engine: Engine, role: str | None = None) -> None:
    answer = client.post(link(engine, role), headers=OURS)
    assert answer.status_code == 303


def test_a_link_logs_in_once(client: TestClient, engine: Engine) -> None:
    path = link(engine)
    answer = client.post(path, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.get("/api/v1/journeys").status_code == 200
    client.cookies.clear()
    assert client.post(path, headers=OURS).status_code == 401
    assert client.get("/api/v1/journeys").status_code == 401


def test_looking_at_a_link_does_not_use_it_up(client: TestClient, engine: Engine) -> None:
    path = link(engine)
    for _ in range(3):
        page = client.get(path, headers={"accept-language": "de-CH"})
        assert ">Anmelden</button>" in page.text
        assert "script-src 'none'" in page.headers["content-security-policy"]
    assert client.post(path, headers=OURS).status_code == 303


def test_links_and_sessions_end(engine: Engine) -> None:
    now = engine.clock.now()
    token = link(engine).rpartition("/")[2]
    with pytest.raises(Unauthorized):
        exchange(engine.db, engine.address_keys, token, now + timedelta(minutes=16))
    cookie, member = exchange(engine.db, engine.address_keys, token, now)
    assert member.role == "admin"
    for hours in range(11, 14 * 24, 11):
        assert member_of(engine.db, cookie, now + timedelta(hours=hours)) is not None
    assert member_of(engine.db, cookie, now + SESSION_LIFE - timedelta(minutes=1)) is not None
    assert member_of(engine.db, cookie, now + SESSION_LIFE) is None, "it ends although it was used all the time"


def test_neither_link_nor_cookie_is_stored(client: TestClient, engine: Engine) -> None:
    token = link(engine).rpartition("/")[2]
    client.post(f"/login/{token}", headers=OURS)
    with engine.db.read() as session:
        rows = [*session.scalars(select(LoginToken)), *session.scalars(select(LoginSession))]
    stored = "".join(row.model_dump_json() for row in rows)
    assert len(rows) == 2
    assert token not in stored
    assert client.cookies[COOKIE] not in stored


def test_logging_out_ends_the_session_itself(client: TestClient, engine: Engine) -> None:
    log_in(client, engine)
    cookie = client.cookies[COOKIE]
    assert client.post("/logout", headers=OURS).status_code == 204
    assert member_of(engine.db, cookie, engine.clock.now()) is None


def test_a_member_who_left_is_out(client: TestClient, engine: Engine) -> None:
    log_in(client, engine)
    with engine.db.write() as session:
        member = session.scalars(select(Member)).one()
        member.active = False
        session.add(member)
    assert client.get("/api/v1/journeys").status_code == 401


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://testserver.evil.example"])
def test_a_cookie_changes_nothing_from_foreign_pages(client: TestClient, engine: Engine, origin: str | None) -> None:
    log_in(client, engine)
    headers = {"origin": origin} if origin else {}
    answer = client.post("/api/v1/keys", json={"kind": "server", "name": "Shop"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert client.post("/api/v1/keys", json={"kind": "server", "name": "Shop"}, headers=OURS).status_code == 201


@pytest.mark.parametrize(
    ("role", "method", "path", "body", "status"),
    [
        ("viewer", "GET", "/api/v1/journeys", None, 200),
        ("viewer", "POST", "/api/v1/contacts", {"fields": {"email": "a@example.org"}}, 403),
        ("sales", "POST", "/api/v1/contacts", {"fields": {"email": "a@example.org"}}, 201),
        ("sales", "POST", "/api/v1/journeys", {"document": {"spec": 1, "key": "k", "name": "K"}}, 403),
        ("marketer", "POST", "/api/v1/journeys", {"document": {"spec": 1, "key": "k", "name": "K"}}, 201),
        ("marketer", "GET", "/api/v1/keys", None, 403),
        ("tester", "PUT", "/api/v1/settings/tracking", {"level": "none"}, 403),
        ("engineer", "DELETE", "/api/v1/contacts/some-id", None, 403),
        ("admin", "GET", "/api/v1/keys", None, 200),
    ],
)
def test_roles_are_checked_by_the_server(
    client: TestClient, engine: Engine, role: str, method: str, path: str, body: object, status: int
) -> None:
    log_in(client, engine, role)
    assert client.request(method, path, json=body, headers=OURS).status_code == status


def test_tries_without_a_session_are_limited(client: TestClient) -> None:
    statuses = [client.get("/api/v1/journeys", headers={"authorization": f"Bearer guess-{n}"}).status_code for n in range(40)]
    assert set(statuses) == {401, 429}


# Passwords


PASSWORD = "correct horse battery"


@cache
def stored() -> str:
    """The hash of `PASSWORD`, made once: it is meant to be dear."""
    return passwords.hash_of(PASSWORD)


def member(engine: Engine, role: str = "marketer", email: str = "grace@example.org") -> str:
    """The id of somebody who has a password."""
    with engine.db.write() as session:
        found = add_member(session, "Grace Hopper", email, role, engine.clock.now())
        found.password_hash = stored()
    return found.id


def enter(client: TestClient, password: str = PASSWORD, email: str = "grace@example.org", back: str = "", **headers: str) -> Response:
    path = f"/login?from={quote(back, safe='')}" if back else "/login"
    return client.post(path, data={"email": email, "password": password}, headers={**OURS, **headers})


def test_a_password_logs_in_and_leads_to_where_one_wanted_to_go(client: TestClient, engine: Engine) -> None:
    member(engine)
    stranger = client.get("/ui/journeys?state=draft")
    way = re.search(r'href="(/login\?from=[^"]+)"', stranger.text)
    assert stranger.status_code == 401
    assert way is not None
    assert f'action="{way[1]}"' in client.get(way[1]).text
    answer = client.post(way[1], data={"email": "grace@example.org", "password": PASSWORD}, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/journeys?state=draft")
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert client.get("/ui/journeys").status_code == 200


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example/ui/", "/ui\\..", "/other", "/ui/a\nb", "/ui/" + "x" * 2_000])
def test_it_leads_to_pages_of_ours_only(client: TestClient, engine: Engine, back: str) -> None:
    member(engine)
    assert "evil" not in client.get(f"/login?from={quote(back, safe='')}").text
    assert enter(client, back=back).headers["location"] == "/"


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(client: TestClient, engine: Engine) -> None:
    member(engine)
    wrong = enter(client, "wrong", **{"accept-language": "de"})
    unknown = enter(client, "wrong", "nobody@example.org", **{"accept-language": "de"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("grace@", "nobody@") == unknown.text
    assert "ist nicht richtig" in wrong.text
    assert "set-cookie" not in wrong.headers


def test_too_many_tries_say_how_long_to_wait(client: TestClient, engine: Engine) -> None:
    for _ in range(7):
        enter(client, "wrong", "nobody@example.org")
        with engine.db.write() as session:
            session.execute(update(LoginFailure).values(locked_until=None))
    enter(client, "wrong", "nobody@example.org")
    answer = enter(client, "wrong", "nobody@example.org")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 9
    assert "Please wait" in answer.text


@pytest.mark.parametrize("path", ["/login", "/password", "/password/some-token"])
@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
def test_forms_are_taken_from_our_own_pages_only(client: TestClient, engine: Engine, path: str, origin: str | None) -> None:
    member(engine)
    headers = {"origin": origin} if origin else {}
    answer = client.post(path, data={"email": "grace@example.org", "password": PASSWORD, "again": PASSWORD}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_logging_in_makes_a_new_session_and_ends_the_one_before(client: TestClient, engine: Engine) -> None:
    member(engine)
    client.cookies.set(COOKIE, "planted-by-somebody-else")
    enter(client)
    first = client.cookies.get(COOKIE, domain="testserver.local")
    assert first not in (None, "planted-by-somebody-else")
    client.cookies.clear()
    client.cookies.set(COOKIE, str(first))
    enter(client)
    assert member_of(engine.db, str(first), engine.clock.now()) is None


def test_hostile_forms_are_a_refusal(client: TestClient, engine: Engine) -> None:
    for data in ({}, {"email": "x" * 5_000, "password": "y"}, {"email": "\0", "password": "\0"}, {"email": "a", "password": "y" * 3_900}):
        assert client.post("/login", data=data, headers=OURS).status_code in (401, 422)
    assert client.post("/login", content=b"\xff\xfe", headers={**OURS, "content-type": "application/json"}).status_code in (401, 422)


def test_an_invitation_leads_to_a_password_and_in(client: TestClient, admin_key: str, engine: Engine) -> None:
    admin = {"authorization": f"Bearer {admin_key}"}
    new = {"name": "Alan Turing", "email": "alan@example.org", "role": "tester", "locale": "de"}
    id = client.post("/api/v1/members", json=new, headers=admin).json()["id"]
    made = client.post(f"/api/v1/members/{id}/password-link", json={"send": True}, headers=admin).json()
    assert (made["purpose"], made["sent"]) == ("invitation", True)
    mail = outbox(engine)[-1]
    assert mail.recipient == "alan@example.org"
    assert made["url"] in mail.text
    assert "Konto" in mail.subject
    path = made["url"].removeprefix("http://testserver")
    for _ in range(2):
        assert "alan@example.org" in client.get(path).text
    assert client.post(path, data={"password": PASSWORD, "again": PASSWORD + "x"}, headers=OURS).status_code == 422
    weak = client.post(path, data={"password": "short", "again": "short"}, headers=OURS)
    assert weak.status_code == 422
    assert "at least 10 characters" in weak.text
    done = client.post(path, data={"password": PASSWORD, "again": PASSWORD}, headers=OURS)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert client.get("/api/v1/journeys").status_code == 200
    assert client.get(path).status_code == 401
    assert client.post(path, data={"password": PASSWORD, "again": PASSWORD}, headers=OURS).status_code == 401
    again = client.post(f"/api/v1/members/{id}/password-link", json={}, headers=admin).json()
    assert (again["purpose"], again["sent"]) == ("reset", False)


def outbox(engine: Engine) -> list[OutboxItem]:
    with engine.db.read() as session:
        return list(session.scalars(select(OutboxItem).order_by(OutboxItem.id)))  # type: ignore[arg-type]


def test_a_forgotten_password_is_answered_alike_for_everybody(client: TestClient, engine: Engine) -> None:
    member(engine)
    answers = [client.post("/password", data={"email": email}, headers=OURS) for email in ("grace@example.org", "nobody@example.org", "")]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    [mail] = outbox(engine)
    path = re.search(r"http://testserver(/password/\S+)", mail.text)
    assert path is not None
    assert client.post(path[1], data={"password": "quite another one", "again": "quite another one"}, headers=OURS).status_code == 303
    assert enter(client).status_code == 401
    assert enter(client, "quite another one").status_code == 303


def test_nobody_can_be_flooded_with_reset_mails(client: TestClient, engine: Engine) -> None:
    member(engine)
    for _ in range(6):
        client.post("/password", data={"email": "grace@example.org"}, headers=OURS)
    assert len(outbox(engine)) == 3


def test_sessions_of_others_are_listed_and_ended_by_admins(client: TestClient, admin_key: str, engine: Engine) -> None:
    id = member(engine)
    assert enter(client, **{"user-agent": "Firefox"}).status_code == 303
    cookie = client.cookies[COOKIE]
    client.cookies.clear()
    admin = {"authorization": f"Bearer {admin_key}"}
    listed = client.get(f"/api/v1/members/{id}/sessions", headers=admin).json()
    assert "Firefox" in [one["user_agent"] for one in listed]
    assert cookie not in str(listed)
    for one in listed:
        assert client.delete(f"/api/v1/members/{id}/sessions/{one['id']}", headers=admin).status_code == 204
    assert client.delete(f"/api/v1/members/{id}/sessions/{listed[0]['id']}", headers=admin).status_code == 404
    assert member_of(engine.db, cookie, engine.clock.now()) is None


def test_a_password_stands_in_no_log(client: TestClient, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    member(engine)
    caplog.set_level("DEBUG")
    enter(client)
    enter(client, "a secret of mine")
    assert "secret of mine" not in caplog.text
    assert PASSWORD not in caplog.text


def test_over_https_the_cookie_belongs_to_this_very_host(settings: Settings, engine: Engine) -> None:
    """Source: RFC 6265bis §4.1.3.2: `__Host-` asks for Secure, Path=/ and no Domain."""
    secure = create_app(settings.model_copy(update={"public_url": "https://testserver"}), engine)
    with TestClient(secure, "https://testserver", follow_redirects=False) as client:
        answer = client.post(link(engine), headers={"origin": "https://testserver"})
        name, _, rest = answer.headers["set-cookie"].partition("=")
        assert name == "__Host-pfadwerk_session"
        assert {"Secure", "Path=/", "HttpOnly"} <= {part.strip() for part in rest.split(";")}
        assert "domain" not in rest.lower()
        assert client.get("/api/v1/journeys").status_code == client.get("/ui/journeys").status_code == 200
        value = client.cookies[name]
        client.cookies.clear()
        client.cookies.set(COOKIE, value)
        assert client.get("/api/v1/journeys").status_code == client.get("/ui/journeys").status_code == 401, "a plain name is nobody's"
        client.cookies.clear()
        client.cookies.set(name, value)
        gone = client.post("/ui/logout", headers={"origin": "https://testserver"}).headers["set-cookie"]
        assert gone.startswith(f'{name}=""; ')
        assert "Secure" in gone
        assert client.get("/api/v1/journeys").status_code == 401


def app_of(engine: Engine, member_id: str) -> pyotp.TOTP:
    """The authenticator app of a member who turned the second factor on an hour ago."""
    before = engine.clock.now() - timedelta(hours=1)
    with engine.db.write() as session:
        second_factor.begin(session, engine.address_keys, member_id, before)
        begun = second_factor.setup(session, engine.address_keys, session.get_one(Member, member_id), before)
        assert begun is not None
        app = pyotp.TOTP(begun.secret)
        second_factor.confirm(session, engine.address_keys, member_id, app.at(before), before)
    return app


def test_a_second_factor_is_asked_for_after_the_password(client: TestClient, engine: Engine) -> None:
    app = app_of(engine, member(engine))
    asked = enter(client, back="/ui/tasks")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login/code?from=/ui/tasks")
    assert client.get("/ui/tasks").status_code == 401, "half a log-in is none"
    assert client.get("/api/v1/journeys").status_code == 401
    path = asked.headers["location"]
    assert 'autocomplete="one-time-code"' in client.get(path).text
    wrong = client.post(path, data={"code": "000 00"}, headers=OURS)
    assert wrong.status_code == 422
    assert "incorrect" in wrong.text
    assert client.post(path, data={"code": app.now()}, headers={"origin": "https://evil.example"}).status_code == 403
    done = client.post(path, data={"code": app.now()}, headers=OURS)
    assert (done.status_code, done.headers["location"]) == (303, "/ui/tasks")
    assert client.get("/ui/tasks").status_code == 200
    assert "pfadwerk_ticket" not in client.cookies
    assert client.get("/login/code").status_code == 401


def test_a_link_asks_for_the_second_factor_too(client: TestClient, engine: Engine) -> None:
    id = member(engine)
    app = app_of(engine, id)
    asked = client.post(mint_link(engine.db, engine.clock.now(), "", id), headers=OURS)
    assert (asked.status_code, asked.headers["location"]) == (303, "/login/code")
    assert client.get("/api/v1/journeys").status_code == 401
    assert client.post("/login/code", data={"code": app.now()}, headers=OURS).status_code == 303
    assert client.get("/api/v1/journeys").status_code == 200


def test_too_many_codes_say_how_long_to_wait(client: TestClient, engine: Engine) -> None:
    app_of(engine, member(engine))
    enter(client)
    answers = [client.post("/login/code", data={"code": "x"}, headers=OURS) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert "Please wait" in answers[-1].text
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_who_is_logged_in_proves_it_once_more(client: TestClient, engine: Engine) -> None:
    assert client.get("/prove").status_code == 401
    assert client.post("/prove", data={"proof": PASSWORD}, headers=OURS).status_code == 401
    member(engine)
    enter(client)
    grow_old(engine)
    with pytest.raises(sessions.ProofNeeded):
        sessions.require_proof(engine.db, client.cookies[COOKIE], engine.clock.now())
    path = "/prove?from=/ui/settings/keys"
    assert 'autocomplete="current-password"' in client.get(path).text
    assert client.post(path, data={"proof": "wrong"}, headers=OURS).status_code == 422
    assert client.post(path, data={"proof": PASSWORD}).status_code == 403, "not from a page of ours"
    done = client.post(path, data={"proof": PASSWORD}, headers=OURS)
    assert (done.status_code, done.headers["location"]) == (303, "/ui/settings/keys")
    sessions.require_proof(engine.db, client.cookies[COOKIE], engine.clock.now())


def grow_old(engine: Engine) -> None:
    """Lets the last proof of every session lie an hour back."""
    with engine.db.write() as session:
        session.execute(update(LoginSession).values(proved_at=engine.clock.now() - timedelta(hours=1)))


WEIGHTY = [
    ("POST", "/api/v1/keys", {"kind": "server", "name": "Shop"}, 201),
    ("POST", "/api/v1/keys/KEY/rotate", {"grace": "PT0S"}, 201),
    ("DELETE", "/api/v1/keys/KEY", None, 200),
    ("PUT", "/api/v1/secrets/hook", {"value": "a long random text"}, 204),
    ("DELETE", "/api/v1/secrets/old", None, 204),
    ("POST", "/api/v1/members", {"name": "Alan", "email": "alan@example.org", "role": "tester"}, 201),
    ("PATCH", "/api/v1/members/OTHER", {"role": "viewer"}, 200),
    ("POST", "/api/v1/members/OTHER/login-link", None, 200),
    ("POST", "/api/v1/members/OTHER/password-link", {}, 200),
    ("DELETE", "/api/v1/members/OTHER/sessions", None, 204),
    ("DELETE", "/api/v1/members/OTHER/second-factor", None, 204),
    ("DELETE", "/api/v1/contacts/CONTACT", None, 200),
    ("PUT", "/api/v1/settings/access", {"second_factor": "nobody"}, 200),
]
"""What asks a member once more, over the interface; and what it answers to somebody who has just proved who they are."""


@pytest.mark.parametrize(("method", "path", "body", "status"), WEIGHTY)
def test_what_weighs_more_asks_a_member_for_a_fresh_proof_and_an_admin_key_for_none(
    client: TestClient, admin_key: str, engine: Engine, method: str, path: str, body: object, status: int
) -> None:
    other, now = member(engine, "marketer", "other@example.org"), engine.clock.now()
    app_of(engine, other)
    with engine.db.write() as session:
        key_id = add_key(session, "server", "Till", now)[0].id
        contact_id = resolve(session, [("email", "ada@example.org")], now).contact_id
        secrets.put(session, engine.address_keys, "old", "value", "test", now)
    for word, id in (("KEY", key_id), ("OTHER", other), ("CONTACT", contact_id)):
        path = path.replace(word, id)
    member(engine, "admin")
    enter(client)
    grow_old(engine)
    refused = client.request(method, path, json=body, headers=OURS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "proof_needed")
    assert refused.json()["error"]["details"] == {"address": "/prove"}
    if method != "DELETE":
        assert client.get("/api/v1/keys").status_code == 200, "looking asks for nothing"
    assert client.post("/prove", data={"proof": PASSWORD}, headers=OURS).status_code == 303
    assert client.request(method, path, json=body, headers=OURS).status_code == status


def test_admin_keys_are_not_asked_for_a_proof(admin: TestClient) -> None:
    assert admin.post("/api/v1/keys", json={"kind": "server", "name": "Shop"}).status_code == 201


def test_every_act_that_weighs_more_stands_in_the_table() -> None:
    assert set(ACTS) >= PROVED
    assert set(ACTS) >= OWING
    assert {act for act in ACTS if act.startswith(("key.", "member.")) or act.endswith((".erase", "secret.change"))} <= PROVED


def test_a_refused_act_stands_in_the_audit_trail(client: TestClient, engine: Engine) -> None:
    log_in(client, engine, "viewer")
    for _ in range(3):
        assert client.post("/api/v1/keys", json={"kind": "server", "name": "Shop"}, headers=OURS).status_code == 403
    with engine.db.read() as session:
        found = [(line.actor[:7], line.subject) for line in audit.list_lines(session) if line.action == "refuse"]
    assert found == [("member:", "POST /api/v1/keys")]


def test_who_owes_a_second_factor_gets_to_their_account_only(client: TestClient, engine: Engine) -> None:
    id = member(engine)
    enter(client)
    assert client.get("/api/v1/journeys").status_code == 200
    with engine.db.write() as session:
        settings_of.put(session, "access", {"second_factor": "everybody"}, "test", engine.clock.now())
    refused = client.get("/api/v1/journeys")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert client.get("/api/v1/me").status_code == 200
    sent = client.get("/ui/journeys")
    assert (sent.status_code, sent.headers["location"]) == (303, "/ui/settings")
    assert client.get("/ui/settings").status_code == 200
    app_of(engine, id)
    assert client.get("/api/v1/journeys").status_code == client.get("/ui/journeys").status_code == 200


def test_a_session_that_lay_idle_opens_nothing(client: TestClient, engine: Engine) -> None:
    log_in(client, engine)
    before = engine.clock.now() - timedelta(hours=13)
    with engine.db.write() as session:
        session.execute(update(LoginSession).values(last_seen_at=before))
    assert client.get("/api/v1/journeys").status_code == 401


def test_who_has_neither_password_nor_code_is_shown_a_way(client: TestClient, engine: Engine) -> None:
    log_in(client, engine)
    assert 'href="/password"' in client.get("/prove").text
    assert client.post("/prove", data={"proof": ""}, headers=OURS).status_code == 422


@pytest.mark.parametrize("role", ROLES)
def test_own_texts_are_previewed_only_for_those_who_may_change_templates(client: TestClient, engine: Engine, role: str) -> None:
    """Stored templates are for everybody; what stands in the request is compiled and run, so it takes the right to save it."""
    own = {"default": {"text": "Hello"}}
    library.save(engine.db, "hello", own, name="Hello", kind="sms", message_class="marketing", actor="test", now=engine.clock.now())
    log_in(client, engine, role)
    path = "/api/v1/templates/hello/preview"
    assert client.post(path, json={}, headers=OURS).json()["text"] == "Hello"
    stranger = client.post(path, json={"variants": {"default": {"text": "Salut"}}}, headers=OURS)
    assert (stranger.status_code, stranger.json().get("text")) == ((200, "Salut") if may(role, "template.change") else (403, None))
