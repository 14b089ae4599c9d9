"""One table of acts: every route, page and button names its act, and for each act and role the interface, the page and the plain route agree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import delete, select, update
from starlette.routing import Route, WebSocketRoute

from api.auth.access import act_of
from builder_ui.app.host import Host
from builder_ui.app.screen import BARRED, load, stamp
from builder_ui.kit.context import PageContext
from builder_ui.kit.i18n import translator_of
from builder_ui.outbox.detail import PAGE as MAIL
from builder_ui.routes import PAGES
from models import Consent, Contact, Import, Job, LoginSession, Member, OutboxItem
from tests.builder_ui.test_contact_import import ended, map_columns, send
from workspace.api_keys import add_key
from workspace.members import ROLES
from workspace.roles import ACTS, may, roles_for

ROOT = Path(__file__).parents[2]
REFUSED = "Your role does not allow this."
OPEN = {
    "/": "leads to the pages",
    "/ui": "leads to the pages",
    "/ui/{path:path}": "the shell around a page, whose own act is asked for",
    "/ui/static/{digest}/{name}": "files of the pages",
    "/_reactpy/assets/{name}": "files of the pages",
    "/favicon.ico": "files of the pages",
    "/api/v1/openapi.json": "the description",
    "/healthz": "operation",
    "/ready": "operation",
    "/metrics": "operation",
}
"""Routes without an act, and why. Those of the doors, of tracking and of recipients are under `OPEN_ROOMS`."""
OPEN_ROOMS = (
    "api.callbacks",
    "api.tracking.endpoints",
    "api.tracking.site",
    "api.in_app",
    "api.devices",
    "api.auth.login",
    "api.health",
    "api.public",
)
"""Rooms whose routes ask for no role: what providers sign, write keys, tokens of contacts, people who log in, probes, recipients with a signed
address."""


def routes(app: Any) -> Iterator[APIRoute]:
    hidden = [route for route in app.routes if not isinstance(route, APIRoute | WebSocketRoute | Route)]
    assert hidden == [], "a router within a router hides its routes from this walk"
    yield from (route for route in app.routes if isinstance(route, APIRoute))


def test_every_route_names_its_act(app: Any) -> None:
    nameless = [
        route.path
        for route in routes(app)
        if act_of(route) is None and route.path not in OPEN and not route.endpoint.__module__.startswith(OPEN_ROOMS)
    ]
    assert nameless == []
    assert {act_of(route) for route in routes(app)} - {None} <= set(ACTS)


def test_no_route_under_the_admin_interface_is_without_a_role(app: Any) -> None:
    loose = {route.path for route in routes(app) if route.path.startswith("/api/") and act_of(route) is None}
    assert loose <= {"/api/v1/login", "/api/v1/logout", "/api/v1/session", "/api/v1/openapi.json"}


def test_every_page_and_every_act_on_it_is_in_the_table() -> None:
    assert {page.path for page in PAGES if page.reads not in ACTS} == set()
    wrong, named = [], {page.reads for page in PAGES}
    for file in (*(ROOT / "builder_ui").rglob("*.py"), *(ROOT / "api").rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(call, ast.Call) and (place := _act_place(call)) is not None:
                act = call.args[place]
                if isinstance(act, ast.Constant):
                    named.add(act.value)
                    wrong += [f"{file.name}:{call.lineno}"] if act.value not in ACTS else []
                elif ast.unparse(act) not in ("act", "permit", "page.reads", "found[0].reads", "self.act", "question.act"):
                    wrong.append(f"{file.name}:{call.lineno}: {ast.unparse(act)}")
    named |= set(re.findall(r'"([a-z]+\.[a-z_]+)"', (ROOT / "builder_ui/settings/sections.py").read_text("utf-8")))
    named |= set(re.findall(r'"([a-z]+\.[a-z_]+)"', (ROOT / "builder_ui/contacts/bulk_actions.py").read_text("utf-8")))
    named |= set(re.findall(r'"([a-z]+\.[a-z_]+)"', (ROOT / "crm/imports/uploads.py").read_text("utf-8")))
    assert wrong == []
    assert set(ACTS) - named == set(), "an act that nothing asks for is a promise nobody keeps"


def _act_place(call: ast.Call) -> int | None:
    """Which argument of a call is an act; None if it asks for none."""
    name = ast.unparse(call.func)
    if name in (
        "acts.act",
        "context.may",
        "visitor.may",
        "self.context.may",
        "writing.context.may",
        "editor.context.may",
        "needs",
        "does",
        "actor.require",
    ):
        return 0
    place = {"may": 1, "allowed": 1, "Question": 1, "forms.form": 5}.get(name)
    return place if place is not None and place < len(call.args) else None


def test_the_interface_asks_for_the_act_of_each_route(app: Any, client: Any, town: Any) -> None:
    asked, expected = {}, {}
    keys = {}
    with town.db.write() as session:
        for role in ROLES:
            keys[role] = add_key(session, "admin", role, town.engine.clock.now(), role=role)[1]
    for route in routes(app):
        act = act_of(route)
        if act is None or not route.path.startswith("/api/"):
            continue
        path = re.sub(r"\{\w+(:\w+)?\}", "1" * 32, route.path)
        for role in ROLES:
            for method in sorted(route.methods):
                answer = client.request(
                    method, path, json=None if method == "GET" else {}, headers={"authorization": f"Bearer {keys[role]}"}
                )
                assert answer.status_code != 401
                refused = answer.status_code == 403 and "This needs one of the roles" in answer.text
                asked[method, route.path, role] = not refused
                expected[method, route.path, role] = may(role, act)
    assert asked == expected
    assert len(asked) > 300


@pytest.fixture
def context_as(log_in: Any, app: Any, town: Any) -> Any:
    """Makes the logged-in person somebody with a role, and the context of a page of theirs."""
    client = log_in("admin")
    with town.db.read() as session:
        row = session.scalars(select(LoginSession)).one()
    token = next(iter(client.cookies.values()))
    app_context = next(route.endpoint.__self__.app for route in app.routes if isinstance(getattr(route.endpoint, "__self__", None), Host))

    def context_as(role: str, path: str = "/ui/x", **arguments: str) -> PageContext:
        with town.db.write() as session:
            session.execute(update(Member).filter_by(id=row.member_id).values(role=role))
        member = app_context.login.member(token)
        return PageContext(app_context, member, token, translator_of(member, "", "en"), path, arguments)

    return context_as


def test_a_page_asks_for_the_act_of_looking_at_it(context_as: Any) -> None:
    barred = {(page.path, role): load(context_as(role), page).barred for page in PAGES for role in ROLES}
    assert barred == {(page.path, role): not may(role, page.reads) for page in PAGES for role in ROLES}
    assert sum(barred.values()) > 20


def test_the_plain_routes_of_the_pages_ask_for_theirs(app: Any, client: Any, context_as: Any, town: Any, settings: Any) -> None:
    asked, expected = {}, {}
    for route in routes(app):
        act = act_of(route)
        if act is None or not route.path.startswith("/ui/") or route.path in ("/ui/logout", "/ui/export/{name}.csv"):
            continue
        for role in ROLES:
            context_as(role)
            path = route.path.replace("{language}", "en").replace("{theme}", "dark").replace("{step}", "done")
            [method] = route.methods
            data = {"key": "x" * 9, "name": "X", "new_key": "y" * 9}
            if route.path.endswith("/import"):
                sent = {"files": {"file": ("x.csv", b"email\n", "text/csv")}}
            else:
                sent = {} if method == "GET" else {"data": data}
            answer = client.request(method, re.sub(r"\{\w+(:\w+)?\}", "1" * 8, path), headers={"origin": settings.public_url}, **sent)
            assert answer.status_code != 401
            assert answer.status_code != 422 or "problem" in answer.text, (path, "this asks before the role is looked at")
            asked[route.path, role] = answer.status_code != 403 and "problem=role" not in answer.headers.get("location", "")
            expected[route.path, role] = may(role, act)
    assert asked == expected
    assert len(asked) >= 90


@pytest.mark.parametrize("role", ROLES)
def test_lists_as_files_are_for_those_who_may_export(role: str, client: Any, context_as: Any) -> None:
    context_as(role)
    for name in ("contacts", "tasks", "outbox"):
        assert (client.get(f"/ui/export/{name}.csv").status_code == 200) is may(role, "list.export")


def test_what_a_person_was_written_is_read_by_the_same_roles_everywhere(client: Any, context_as: Any, town: Any) -> None:
    """The interface once said 403 and the page 200."""
    with town.db.read() as session:
        item = session.scalars(select(OutboxItem).where(OutboxItem.message_id.is_not(None)).limit(1)).one()
    for role in ROLES:
        page = load(context_as(role, f"/ui/outbox/{item.id}", id=str(item.id)), MAIL)
        seen = {
            "interface": client.get(f"/api/v1/messages/{item.message_id}").status_code == 200,
            "page": not page.barred,
            "frame": client.get(f"/ui/outbox/{item.id}/mail").status_code == 200,
            "title": item.subject in client.get(f"/ui/outbox/{item.id}").text,
        }
        assert seen == dict.fromkeys(seen, may(role, "message.read_body")), role
    assert may("engineer", "message.read_body")
    assert not may("viewer", "message.read_body")


@pytest.mark.usefixtures("job_worker")
def test_an_engineer_imports_people_but_no_consents(client: Any, context_as: Any, opened: Any, town: Any, settings: Any) -> None:
    context_as("engineer")
    path = send(client, settings)
    assert map_columns(client, settings, path) == f"{path}?problem=consents"
    with town.db.read() as session:
        row = session.get_one(Import, path.rsplit("/", 1)[-1])
        assert (row.state, session.scalars(select(Job)).all()) == ("draft", [])
    with opened(client, path) as page:
        assert "E-mail (marketing): yes or no" not in page.text
    assert map_columns(client, settings, path, **{"target-3": ""}) == path
    ended(town, path, "checked")
    with opened(client, path) as page:
        page.press("Import")
    ended(town, path, "done")
    with town.db.read() as session:
        nora = session.scalars(select(Contact).where(Contact.email == "nora@example.org")).one()
        assert session.scalars(select(Consent).where(Consent.contact_id == nora.id)).all() == []


@pytest.mark.usefixtures("job_worker")
def test_consents_that_somebody_else_mapped_are_not_imported_by_an_engineer(
    client: Any, context_as: Any, opened: Any, town: Any, settings: Any
) -> None:
    context_as("marketer")
    path = send(client, settings)
    map_columns(client, settings, path)
    ended(town, path, "checked")
    with opened(client, path) as page:
        context_as("engineer")
        page.press("Import 4 rows")
        page.see_until("Your role can import contacts but not record consents")
    with town.db.read() as session:
        assert session.get_one(Import, path.rsplit("/", 1)[-1]).state == "checked"
        assert session.scalar(select(Contact).where(Contact.email == "nora@example.org")) is None


@pytest.mark.usefixtures("job_worker")
@pytest.mark.parametrize(
    "choices",
    [
        {"columns": {"E-Mail": "email", "Einwilligung": "consent_email_marketing"}},
        {"columns": {"E-Mail": "email", "Einwilligung": "optout_email_marketing"}},
        {"columns": {"E-Mail": "email"}, "reading": {"everybody": [{"channel": "email", "purpose": "marketing", "state": "granted"}]}},
    ],
    ids=["column", "opt-out", "everybody"],
)
def test_no_way_of_the_interface_lets_an_engineer_import_consents(
    choices: dict[str, Any], client: Any, context_as: Any, town: Any, settings: Any
) -> None:
    ours = {"origin": settings.public_url}
    context_as("engineer")
    address = f"/api/v1/imports/{send(client, settings).rsplit('/', 1)[-1]}"
    assert client.put(f"{address}/choices", json=choices, headers=ours).status_code == 200
    answer = client.post(f"{address}/check", headers=ours)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    context_as("marketer")
    assert client.post(f"{address}/check", headers=ours).status_code == 202
    ended(town, address, "checked")
    context_as("engineer")
    assert client.post(f"{address}/run", headers=ours).status_code == 403
    assert (
        client.put(f"{address}/choices", json={"columns": {"E-Mail": "email"}, "reading": {"everybody": []}}, headers=ours).status_code
        == 200
    )
    assert client.post(f"{address}/check", headers=ours).status_code == 202


def test_a_column_is_a_consent_by_its_own_name_too(client: Any, context_as: Any, settings: Any, town: Any) -> None:
    """A header that is a target is mapped by itself; what is left out of the form stays mapped."""
    context_as("engineer")
    path = send(client, settings, b"email;consent_email_marketing\nnora@example.org;yes\n")
    answer = client.post(path, data={"target-0": "email", "target-1": "consent_email_marketing"}, headers={"origin": settings.public_url})
    assert answer.headers["location"] == f"{path}?problem=consents"


def test_an_open_page_shows_nothing_new_once_the_role_is_gone(context_as: Any, opened: Any, client: Any, town: Any) -> None:
    with opened(client, "/ui/settings/keys") as page:
        context_as("viewer")
        page.see_until(REFUSED)
        assert "New key" not in page.text
        with town.db.write() as session:
            add_key(session, "server", "Made later", town.engine.clock.now())
        context_as("admin")
        page.see_until("Made later")


def test_a_drawing_is_for_the_role_of_now(context_as: Any) -> None:
    page = next(page for page in PAGES if page.path == "/ui/settings/users")
    old = context_as("admin")
    first = load(old, page)
    context_as("viewer")
    assert stamp(old, page, first.stamp) != first.stamp
    assert load(old, page).context.member.role == "viewer"
    audit = next(page for page in PAGES if page.path == "/ui/settings/audit")
    assert stamp(old, audit, first.stamp) == BARRED
    assert load(old, audit).data is None


def test_a_session_that_has_ended_takes_nothing_off_an_open_page(context_as: Any, town: Any) -> None:
    """What somebody was drawing would be lost with the page; it shows nothing new either, and the socket is closed at the next look."""
    page = next(page for page in PAGES if page.path == "/ui/settings/users")
    context = context_as("admin")
    first = load(context, page)
    with town.db.write() as session:
        session.execute(delete(LoginSession))
    assert stamp(context, page, first.stamp) == first.stamp


def test_the_table_knows_every_role() -> None:
    assert set().union(*ACTS.values()) | {"admin"} == set(ROLES)
    assert roles_for("contact.erase") == ["admin"]
    with pytest.raises(KeyError):
        may("admin", "contact.unheard")


def test_the_table_in_the_docs_is_the_table() -> None:
    lines = re.findall(r"^\| `([a-z_.]+)` \|[^|]+\| (.*) \|$", (ROOT / "docs/users.md").read_text("utf-8"), re.MULTILINE)
    told = {act: [word == "yes" for word in cells.split(" | ")] for act, cells in lines}
    assert told == {act: [role in ACTS[act] for role in ROLES if role != "admin"] for act in ACTS}
