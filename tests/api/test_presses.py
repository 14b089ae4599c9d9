"""A button pressed in the team chat finishes a task: signed by Slack, by somebody whom Slack vouches for and who may, once, and audited."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_sdk.signature import SignatureVerifier
from sqlmodel import col, select

from activities.account_setup import read
from activities.accounts import Accounts, Carrier
from activities.providers import Providers, Surroundings
from activities.providers.slack import Slack
from activities.sending.breakers import Breakers
from activities.team.task_notices import Desk, TaskTeller, finish_value, tell
from api.app import create_app
from crm.sales import tasks
from engine.engine import Engine
from journeys.changes import CreateTask
from locales import translator
from models import Audit, Contact, Event, Member, Task, TaskNotice
from tests.activities.providers.test_slack import ANNA, SECRET, TOKEN, SlackWire
from tests.api.conftest import TestClient, once_described
from workspace import accounts as rows
from workspace import settings as kept

ADDRESS, ANSWER = "/callbacks/slack.main/interactivity", "https://hooks.slack.com/actions/T1/1/answer"
CONTACT, TASK = "c" * 32, "run1:call:1"


class Desks:
    """The app, an account at the server that speaks as Slack's does, and a task of Anna's that was told her there."""

    def __init__(self, engine: Engine, settings: Any, woken: Any) -> None:
        self.engine, self.settings, self.wire = engine, settings, SlackWire(engine.db)
        wire = self.wire

        class Wired(Slack):
            @classmethod
            def open(cls, config: Any, around: Surroundings) -> Any:
                return wire.provider

        now = self.now = engine.clock.now()
        wire.now = now
        with engine.db.write() as session:
            rows.add(session, engine.address_keys, "main", read(Slack, {"bot_token": TOKEN, "signing_secret": SECRET})[1], "test", now)
            kept.put(session, "notices", {"tasks": True}, "test", now)
            session.add(Contact(id=CONTACT, email="ada@example.org", created_at=now, updated_at=now))
            self.anna = Member(name="Anna", email="anna@example.org", role="sales", locale="de", created_at=now)
            session.add(self.anna)
            session.flush()
            self.anna_id = self.anna.id
            task = CreateTask(id=TASK, title="Call", owner=self.anna_id, outcomes=("done", "lost"))
            tasks.create(session, task, contact_id=CONTACT, now=now, run_id="run1", node="call")
        around = Surroundings(engine.db, engine.clock.now, "http://testserver")
        self.accounts = Accounts(engine.db, Providers.of_none().with_kinds(Wired), engine.address_keys, around)
        desk = Desk(engine.db, lambda: now, translator, "http://testserver")
        tell(TaskTeller(desk, Breakers(engine.db, lambda: now), lambda: Carrier("slack.main", wire.provider)))
        self.app = once_described(create_app(settings, engine, waker=woken, accounts=self.accounts))

    def press(
        self, client: TestClient, value: str = finish_value(TASK, 0), user: str = "U0ANNA", secret: str = SECRET, at: datetime | None = None
    ) -> Any:
        said = {"type": "block_actions", "user": {"id": user}, "response_url": ANSWER, "actions": [{"value": value}]}
        body = urlencode({"payload": json.dumps(said)})
        stamp = str(int((at or self.engine.clock.real_now()).timestamp()))
        signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
        headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": str(signature), "authorization": ""}
        return client.post(ADDRESS, content=body, headers={**headers, "content-type": "application/x-www-form-urlencoded"})

    def task(self) -> Task:
        with self.engine.db.read() as session:
            return session.get_one(Task, TASK)

    def answers(self) -> list[str]:
        return [body["text"] for method, body in self.wire.calls if method == "answer"]

    def events(self) -> list[Event]:
        with self.engine.db.read() as session:
            return list(session.scalars(select(Event).where(Event.name == "Task Finished")))

    def audited(self) -> list[Any]:
        with self.engine.db.read() as session:
            found = session.scalars(select(Audit).where(Audit.action == "task.finish").order_by(col(Audit.id)))
            return [(one.actor, one.subject, one.detail) for one in found]


@pytest.fixture
def desks(engine: Engine, settings: Any, woken: Any) -> Iterator[Desks]:
    made = Desks(engine, settings, woken)
    yield made
    made.wire.provider.close()
    made.wire.service.close()


@pytest.fixture
def client(desks: Desks) -> Iterator[TestClient]:
    with TestClient(desks.app, raise_server_exceptions=False) as client:
        yield client


def test_a_press_finishes_the_task_once_routes_it_and_changes_the_message(desks: Desks, client: TestClient) -> None:
    for _ in range(3):
        answer = desks.press(client)
        assert (answer.status_code, answer.text) == (200, "")
    task = desks.task()
    assert (task.state, task.outcome) == ("finished", "done")
    [event] = desks.events()
    assert (event.routed, event.properties["task_id"]) == (True, TASK)
    assert desks.audited() == [(f"member:{desks.anna_id}", f"task:{TASK}", {"account": "slack.main"})]
    [message] = desks.wire.posted
    assert desks.wire.read(message).text == "Erledigt von Anna: Erledigt"
    assert '"value"' not in message["blocks"]
    with desks.engine.db.read() as session:
        assert session.scalars(select(TaskNotice)).all() == []
    assert desks.answers() == []


def test_another_outcome_afterwards_is_refused_to_whoever_pressed_alone(desks: Desks, client: TestClient) -> None:
    desks.press(client, finish_value(TASK, 1))
    desks.press(client, finish_value(TASK, 0))
    assert desks.task().outcome == "lost"
    assert desks.answers() == ["Diese Aufgabe wurde bereits erledigt oder abgebrochen."]


def refuse(desks: Desks, **changes: Any) -> None:
    with desks.engine.db.write() as session:
        member = session.get_one(Member, desks.anna_id)
        for name, value in changes.items():
            setattr(member, name, value)
        session.add(member)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (lambda desks: refuse(desks, role="viewer"), "Mit Ihrer Rolle können Sie keine Aufgaben erledigen."),
        (lambda desks: refuse(desks, role="engineer"), "Mit Ihrer Rolle können Sie keine Aufgaben erledigen."),
        (lambda desks: refuse(desks, active=False), "Your account in the team chat belongs to no member of this workspace: your e-mail"),
        (lambda desks: refuse(desks, email="anna.new@example.org"), "Your account in the team chat belongs to no member"),
        (lambda desks: desks.wire.users.update({ANNA["id"]: {**ANNA, "team_id": "T0002"}}), "Your account in the team chat belongs to no"),
        (lambda desks: desks.wire.users.clear(), "Your account in the team chat belongs to no member"),
        (lambda desks: owe(desks), "Richten Sie zuerst"),
        (lambda desks: desks.wire.service.replies.append((503, {}, b"")), "That did not work just now."),
    ],
)
def test_who_may_not_finish_it_changes_nothing(desks: Desks, client: TestClient, before: Callable[[Desks], None], said: str) -> None:
    before(desks)
    assert desks.press(client).status_code == 200
    assert (desks.task().state, desks.events(), desks.audited()) == ("open", [], [])
    [answer] = desks.answers()
    assert answer.startswith(said)


def owe(desks: Desks) -> None:
    with desks.engine.db.write() as session:
        kept.put(session, "access", {"second_factor": "everybody"}, "test", desks.now)


@pytest.mark.parametrize("value", [finish_value(TASK, 2), finish_value("no such task", 0)])
def test_a_button_of_a_task_that_is_none_is_said_to_be_so(desks: Desks, client: TestClient, value: str) -> None:
    assert desks.press(client, value).status_code == 200
    assert desks.answers() == ["Diese Aufgabe gibt es nicht mehr."]
    assert desks.task().state == "open"


def test_what_slack_has_not_signed_now_is_refused(desks: Desks, client: TestClient) -> None:
    now = desks.engine.clock.real_now()
    assert desks.press(client, secret="x" * 32).status_code == 403
    assert desks.press(client, at=now - timedelta(minutes=6)).status_code == 403
    assert desks.task().state == "open"


def test_what_is_no_button_of_ours_is_taken_and_means_nothing(desks: Desks, client: TestClient) -> None:
    assert desks.press(client, "other").status_code == 200
    assert desks.answers() == []


def test_an_answer_that_fails_is_mended_by_the_keeper(desks: Desks, client: TestClient) -> None:
    desks.wire.service.replies = [None, None]  # type: ignore[list-item]
    desks.wire.provider._team = "T0001"
    desks.wire.provider._people.put("U0ANNA", "anna@example.org")
    assert desks.press(client).status_code == 200
    assert desks.task().state == "finished"
    with desks.engine.db.read() as session:
        [notice] = session.scalars(select(TaskNotice))
    assert notice.is_changed
