"""Six roles, many acts, two faces: what the interface refuses, the page refuses, and the other way round.

The page is opened as an administrator, who sees every button; then the role is taken away, and the button is pressed. So the verdict is the
server's, not that of a button that was left out. Whether the button is left out is looked at, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from engine.enrolment.unrouted import owe
from models import Event, Journey, Member, Message, Run, Task
from tests.toy_provider import a_pigeon
from workspace import secrets, stopped_accounts
from workspace.api_keys import add_key
from workspace.members import ROLES, add_member, put_rotation
from workspace.roles import may

REFUSED = "Your role does not allow this."


@dataclass(frozen=True)
class Act:
    """One thing to do: who may, how a program asks for it, and where a person does. `fill` are the fields of a form in order, else a button is
    pressed. `again` puts back what the act needs, before each try."""

    name: str
    act: str
    method: str
    path: str
    body: Any
    page: str
    button: str
    fill: tuple[str, ...] | None = None
    again: Callable[[Any], None] = field(default=lambda town: None)


def put(model: Any, where: Mapping[str, Any], **values: Any) -> Callable[[Any], None]:
    def again(town: Any) -> None:
        with town.db.write() as session:
            session.execute(update(model).filter_by(**where).values(**values))

    return again


def new_key(town: Any) -> None:
    with town.db.write() as session:
        add_key(session, "server", "Shop", town.engine.clock.now())


def new_secret(town: Any) -> None:
    with town.db.write() as session:
        secrets.put(session, town.engine.address_keys, "hook", "value", "test", town.engine.clock.now())


def full_rotation(town: Any) -> None:
    with town.db.write() as session:
        put_rotation(session, "spare", [town.members["sales"]])


def waiting_event(town: Any) -> None:
    with town.db.write() as session:
        owe(session, session.scalar(select(Event.id).limit(1)), "inbox", "journey_not_loaded", town.engine.clock.now())


def an_uncertain_message(town: Any) -> None:
    with town.db.write() as session:
        nina = session.scalar(select(Run.contact_id).where(Run.id == town.run_of("Nina")))
        session.execute(delete(Message).where(Message.id == UNCERTAIN))
        session.add(
            Message(
                id=UNCERTAIN, once_key="none:hello:1", contact_id=nina, channel="email", status="uncertain", attempts=1,
                planned_at=town.engine.clock.now(),
            )
        )  # fmt: skip


UNCERTAIN = "f" * 32


def stopped_account(town: Any) -> None:
    with town.db.write() as session:
        stopped_accounts.stop(session, "smtp.default", "smtp_unreachable", town.engine.clock.now())


LIVE = put(Journey, {"key": "welcome"}, state="live")
SVEN = "/ui/settings/users/{sales}"
ACTS = [
    Act("pause a journey", "journey.pause", "POST", "/api/v1/journeys/welcome/pause", None, "/ui/journeys/welcome", "Pause now", again=LIVE),
    Act("stop a journey", "journey.change", "POST", "/api/v1/journeys/welcome/stop", None, "/ui/journeys/welcome", "Stop permanently", again=LIVE),
    Act(
        "resume a stuck run", "run.mend", "POST", "/api/v1/runs/{run}/resume", None, "/ui/runs/{run}", "Try again",
        again=put(Run, {"node": "voucher"}, status="stuck", ended_at=None),
    ),
    Act(
        "take a task", "task.work", "POST", "/api/v1/tasks/{task}/take", {"member_id": "{sales}"}, "/ui/tasks?owner=all", "Take",
        again=put(Task, {}, state="open", owner=None),
    ),
    Act("my own account", "me.change", "PATCH", "/api/v1/me", {"name": "Me"}, "/ui/settings", "Save", ("Me", "en", "Europe/Zurich")),
    Act(
        "invite", "member.manage", "POST", "/api/v1/members", {"name": "New", "email": "new@example.org", "role": "viewer"},
        "/ui/settings/users", "Invite", ("Other", "other@example.org", "viewer", "en"),
    ),
    Act(
        "change a member", "member.manage", "PATCH", "/api/v1/members/{sales}", {"name": "Sven Sutter"}, SVEN, "Save",
        ("Sven Sutter", "sven@example.com", "sales", "de", "Europe/Zurich", ""),
    ),
    Act("deactivate", "member.manage", "PATCH", "/api/v1/members/{sales}", {"active": False}, SVEN, "Deactivate", again=put(Member, {"role": "sales"}, active=True)),
    Act("password link", "member.manage", "POST", "/api/v1/members/{sales}/password-link", {}, SVEN, "Show it only"),
    Act(
        "put a rotation", "rotation.change", "PUT", "/api/v1/rotations/new", {"members": []}, "/ui/settings/rotations", "Create", ("New", "brand_new"),
    ),
    Act("empty a rotation", "rotation.change", "PUT", "/api/v1/rotations/spare", {"members": []}, "/ui/settings/rotations", "×", again=full_rotation),
    Act("make a key", "key.manage", "POST", "/api/v1/keys", {"kind": "server", "name": "Shop"}, "/ui/settings/keys", "Create", ("Shop", "server")),
    Act("rotate a key", "key.manage", "POST", "/api/v1/keys/none/rotate", {"grace": "PT1H"}, "/ui/settings/keys", "1 hour", again=new_key),
    Act("revoke a key", "key.manage", "DELETE", "/api/v1/keys/none", None, "/ui/settings/keys", "Revoke", again=new_key),
    Act(
        "set a setting", "setting.change", "PUT", "/api/v1/settings/tracking", {"level": "none"}, "/ui/settings/workspace/tracking", "Save", ("none", ""),
    ),
    Act("store a secret", "secret.change", "PUT", "/api/v1/secrets/hook", {"value": "x"}, "/ui/settings/secrets", "Store", ("hook", "x")),
    Act("remove a secret", "secret.change", "DELETE", "/api/v1/secrets/hook", None, "/ui/settings/secrets", "Remove", again=new_secret),
    Act("try waiting events", "event.retry", "POST", "/api/v1/events/unrouted/retry", {}, "/ui/settings/events", "Try all now", again=waiting_event),
    Act(
        "decide on a message", "message.decide", "POST", f"/api/v1/messages/{UNCERTAIN}/decision", {"decision": "leave", "attempts": 1},
        f"/ui/messages/{UNCERTAIN}", "Leave it", again=an_uncertain_message,
    ),
    Act(
        "remove an account", "account.manage", "DELETE", "/api/v1/accounts/pigeon.main?anyway=true", None,
        "/ui/settings/accounts/pigeon.main", "Remove", again=a_pigeon,
    ),
    Act("try an account", "account.try", "POST", "/api/v1/accounts/stopped/smtp.default/try", {}, "/ui/settings/accounts", "Try now", again=stopped_account),
    Act("test the notices", "notice.test", "POST", "/api/v1/notices/test", {}, "/ui/settings/notices", "Send a test"),
    Act("verify the trail", "audit.read", "GET", "/api/v1/audit/verify", None, "/ui/settings/audit", "Verify audit trail", ("",)),
]  # fmt: skip


@pytest.mark.parametrize("act", [act for act in ACTS if act.name != "my own account"], ids=lambda act: act.name)
def test_an_admin_key_may_what_its_role_may(act: Act, log_in: Any, town: Any) -> None:
    client = log_in("viewer")
    client.cookies.clear()
    with town.db.read() as session:
        task = session.query(Task).first()
    known = {**town.members, "run": town.run_of("Nina"), "task": task.id}
    asked = {}
    for role in ROLES:
        act.again(town)
        with town.db.write() as session:
            key = add_key(session, "admin", f"Key of {role}", town.engine.clock.now(), role=role)[1]
        answer = client.request(
            act.method, filled(act.path, known), json=filled(act.body, known), headers={"authorization": f"Bearer {key}"}
        )
        assert answer.status_code < 500, answer.text
        asked[role] = answer.status_code != 403
    assert asked == {role: may(role, act.act) for role in ROLES}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_both_faces_give_the_same_verdict(act: Act, log_in: Any, opened: Any, town: Any, settings: Any) -> None:
    client, me = log_in("admin"), put(Member, {"id": town.members["admin"]}, role="admin")
    with town.db.write() as session:
        add_member(session, "Another Admin", "another@example.com", "admin", town.engine.clock.now())
    with town.db.read() as session:
        task = session.query(Task).first()
    known = {**town.members, "run": town.run_of("Nina"), "task": task.id}
    expected = {role: may(role, act.act) for role in ROLES}
    asked, pressed, offered = {}, {}, {}
    for role in ROLES:
        become = put(Member, {"id": town.members["admin"]}, role=role)
        me(town), act.again(town), become(town)
        answer = client.request(act.method, filled(act.path, known), json=filled(act.body, known), headers={"origin": settings.public_url})
        assert answer.status_code < 500, answer.text
        asked[role] = answer.status_code != 403
        me(town), act.again(town)
        with opened(client, filled(act.page, known)) as page:
            become(town)
            do(page, act)
            page.see()
            pressed[role] = REFUSED not in page.text
        me(town), act.again(town), become(town)
        with opened(client, filled(act.page, known)) as page:
            offered[role] = bool(handlers(page, act))
    assert asked == expected
    assert pressed == expected
    assert offered == expected


def filled(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: filled(one, known) for name, one in value.items()}
    return value.format_map(known) if isinstance(value, str) else value


def handlers(page: Any, act: Act) -> list[str]:
    """The targets of the buttons, or of the forms with the button, that do the act."""
    event = "onSubmit" if act.fill is not None else "onClick"
    nodes = [node for node in page.nodes() if event in node.get("eventHandlers", {})]
    return [node["eventHandlers"][event]["target"] for node in nodes if said(node, act.button)]


def said(node: Any, text: str) -> bool:
    """Whether the words stand in it, alone in their element."""
    children = node.get("children", ())
    return any(child == text if isinstance(child, str) else isinstance(child, dict) and said(child, text) for child in children)


def do(page: Any, act: Act) -> None:
    found = handlers(page, act)
    assert found, f"nothing that does {act.name!r} on: {page.text[:600]}"
    elements = [{"tagName": "INPUT", "value": value, "checked": value == "on"} for value in act.fill or ()]
    page.send({"type": "layout-event", "target": found[0], "data": [{"target": {"tagName": "FORM", "elements": elements}}]})
