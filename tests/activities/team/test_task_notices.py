"""Members are told of their tasks in the team chat, once, and each message follows its task; against the server that speaks as Slack's does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import select

from activities.accounts import Carrier
from activities.providers import InDoubt, Outbox, RetryLater
from activities.providers.slack import SETTLES
from activities.sending.breakers import Breakers
from activities.sending.watch import UNASKED
from activities.team.task_notices import MOST_TEXT, TRIES, Desk, TaskTeller, read_value, tell
from crm.privacy.erasure import erase_person
from crm.sales import tasks
from journeys.changes import CreateTask
from locales import translator
from models import ChatPost, Contact, Database, Member, OutboxItem, Task, TaskNotice, new_id
from tests.activities.providers.test_slack import ANNA, NOW, SCOPES, SlackWire, chat
from workspace import settings, stopped_accounts
from workspace import task_notices as rows
from workspace.members import change_member

BEN = {"id": "U0BEN", "team_id": "T0001", "profile": {"email": "ben@example.org"}}
URL = "https://m.example"
NOBODY = (503, dict[str, str](), b"")


@dataclass
class Team:
    """Anna and Ben, who have tasks and a chat."""

    db: Database
    wire: SlackWire
    contact: str
    breakers: Breakers
    ids: dict[str, str] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.wire.now

    @property
    def teller(self) -> TaskTeller:
        return TaskTeller(Desk(self.db, self.now, translator, URL), self.breakers, lambda: Carrier("slack.main", self.wire.provider))

    def tell(self, times: int = 1) -> None:
        for _ in range(times):
            tell(self.teller)

    def task(self, **changes: Any) -> str:
        values: dict[str, Any] = {"id": new_id(), "title": "Call <!channel>", "owner": self.ids["Anna"], **changes}
        with self.db.write() as session:
            return tasks.create(session, CreateTask(**values), contact_id=self.contact, now=NOW).id

    def notices(self) -> list[TaskNotice]:
        with self.db.read() as session:
            return list(session.scalars(select(TaskNotice)))

    def read(self, number: int = -1) -> tuple[str, str, str, list[str]]:
        """(place, heading, text, buttons) of a message as it stands."""
        one = self.wire.posted[number]
        seen = self.wire.read(one)
        rows = [block["elements"] for block in json.loads(one["blocks"]) if block["type"] == "actions"]
        return seen.recipient, seen.subject, seen.text, [button["text"]["text"] for row in rows for button in row]


@pytest.fixture
def team(sqlite_db: Database) -> Iterator[Team]:
    wire = SlackWire(sqlite_db)
    wire.users[BEN["id"]] = BEN  # type: ignore[index]
    made = Team(sqlite_db, wire, "c" * 32, Breakers(sqlite_db, lambda: wire.now))
    with sqlite_db.write() as session:
        settings.put(session, "notices", {"tasks": True}, "test", NOW)
        session.add(Contact(id="c" * 32, email="ada@example.org", first_name="Ada", created_at=NOW, updated_at=NOW))
        for name, locale in (("Anna", "en"), ("Ben", "de")):
            member = Member(name=name, email=f"{name.lower()}@example.org", role="sales", locale=locale, created_at=NOW)
            session.add(member)
            made.ids[name] = member.id
    yield made
    wire.provider.close()
    wire.service.close()


def test_the_owner_is_told_once_with_a_button_for_each_outcome(team: Team) -> None:
    task = team.task(description="Asked & waits", outcomes=("done", "no <answer>"), due_at=NOW + timedelta(hours=2), priority="high")
    team.tell(2)
    assert len(team.wire.posted) == 1
    assert team.read() == (
        "D0ANNA",
        "New task: Call <!channel>",
        "Asked & waits\nDue: 2 Mar 2026, 12:30:00\nHigh priority",
        ["Done", "no <answer>", "Open in Pfadwerk"],
    )
    [row] = [block for block in json.loads(team.wire.posted[0]["blocks"]) if block["type"] == "actions"]
    assert [read_value(one.get("value", "")) for one in row["elements"]] == [(task, 0), (task, 1), None]
    assert row["elements"][2]["url"] == f"{URL}/ui/contacts/{team.contact}"


def test_what_a_member_does_themselves_is_no_news_and_who_wants_no_notices_gets_none(team: Team) -> None:
    with team.db.write() as session:
        mine = CreateTask(id="mine", title="Call", owner=team.ids["Anna"])
        tasks.create(session, mine, contact_id=team.contact, now=NOW, by=f"member:{team.ids['Anna']}")
    team.task(owner=None)
    with team.db.write() as session:
        settings.put(session, "notices", {"tasks": False}, "test", NOW)
    team.task()
    assert team.notices() == []


def test_a_message_follows_its_task_and_the_row_goes_when_it_is_over(team: Team) -> None:
    task = team.task()
    team.tell()
    with team.db.write() as session:
        tasks.reassign(session, task, team.ids["Ben"], "test", NOW)
    team.tell()
    assert team.read(0)[2:] == ("Ben has this task now.", ["Open in Pfadwerk"])
    assert team.read(1) == ("D0BEN", "Neue Aufgabe: Call <!channel>", "", ["Erledigt", "In Pfadwerk öffnen"])
    with team.db.write() as session:
        tasks.finish(session, task, "done", f"member:{team.ids['Ben']}", NOW)
    team.tell()
    assert team.read(0)[2] == "Finished by Ben: Done"
    assert team.read(1)[2:] == ("Erledigt von Ben: Erledigt", ["In Pfadwerk öffnen"])
    assert (team.notices(), len(team.wire.posted)) == ([], 2)


def test_who_gets_an_overdue_task_is_told_of_that(team: Team) -> None:
    team.task(due_at=NOW + timedelta(hours=1), escalate_to=team.ids["Ben"])
    team.tell()
    with team.db.write() as session:
        tasks.overdue(session, NOW + timedelta(hours=2))
    team.tell()
    assert [team.read(n)[:2] for n in (0, 1)] == [("D0ANNA", "New task: Call <!channel>"), ("D0BEN", "Überfällig: Call <!channel>")]
    assert team.read(0)[2] == "Ben has this task now."


def test_an_erased_person_is_named_no_longer(team: Team) -> None:
    team.task(title="Call Ada Lovelace", description="Ada waits")
    team.tell()
    erase_person(team.db, team.contact, NOW, by="test", keys=[b"k" * 32])
    team.tell()
    assert "Ada" not in json.dumps(team.wire.posted)
    assert team.read()[1:3] == ("New task: –", "This task was cancelled.")


def test_an_erased_person_is_named_no_longer_however_long_ago_the_message_was(team: Team) -> None:
    team.task(title="Call Ada Lovelace")
    team.tell()
    for _ in range(3):
        team.wire.now += timedelta(days=31)
        team.wire.provider.send(chat(new_id()))
    erase_person(team.db, team.contact, NOW, by="test", keys=[b"k" * 32])
    team.tell()
    assert "Ada" not in json.dumps(team.wire.posted)


def test_nobody_is_told_of_what_is_over_or_of_a_team_they_have_left(team: Team) -> None:
    over, theirs = team.task(), team.task()
    with team.db.write() as session:
        tasks.cancel(session, over, "test", NOW)
        session.add(Member(name="Root", email="root@example.org", role="admin", created_at=NOW))
        session.flush()
        change_member(session, team.ids["Anna"], {"active": False}, "test")
    team.tell(2)
    assert (team.wire.posted, team.notices()) == ([], [])
    with team.db.read() as session:
        assert session.get_one(Task, theirs).state == "open"


def test_a_change_while_a_message_is_mended_is_not_forgotten(db: Database) -> None:
    """On both databases: what claims, ends and mends asks for the rows as they were seen."""
    with db.write() as session:
        settings.put(session, "notices", {"tasks": True}, "test", NOW)
        session.add(Contact(id="c" * 32, created_at=NOW, updated_at=NOW))
        session.add(Member(id="a" * 32, name="Anna", email="anna@example.org", created_at=NOW))
        session.flush()
        tasks.create(session, CreateTask(id="t", title="Call", owner="a" * 32), contact_id="c" * 32, now=NOW)
    with db.write() as session:
        [notice] = rows.untold(session, NOW)
        assert (rows.claim(session, notice, NOW), rows.claim(session, notice, NOW)) == (True, False)
        rows.end(session, notice, "sent", "", NOW)
        tasks.take(session, "t", "a" * 32, NOW)
        [seen] = rows.changed(session, NOW)
        tasks.finish(session, "t", "done", "test", NOW)
        rows.agrees(session, seen, is_over=False)
        [again] = rows.changed(session, NOW)
        rows.agrees(session, again, is_over=True)
        assert (rows.changed(session, NOW), rows.untold(session, NOW), rows.of_task(session, "t")) == ([], [], [])


class Killed(BaseException):
    """The process ends."""


def test_a_process_that_dies_after_the_post_tells_nobody_twice(team: Team) -> None:
    team.task()
    note = team.wire.provider._note
    team.wire.provider._note = _die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        team.tell()
    team.wire.provider._note = note  # type: ignore[method-assign]
    team.tell()
    assert [one.state for one in team.notices()] == ["claimed"]
    team.wire.now += timedelta(minutes=2)
    team.tell(2)
    assert ([one.state for one in team.notices()], len(team.wire.posted)) == (["sent"], 1)


def test_a_process_that_dies_before_the_post_tells_later(team: Team) -> None:
    team.task()
    call = team.wire.provider._call
    team.wire.provider._call = _die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        team.tell()
    team.wire.provider._call = call  # type: ignore[method-assign]
    team.wire.now += SETTLES
    team.tell()
    assert ([one.state for one in team.notices()], len(team.wire.posted)) == (["sent"], 1)


def test_without_history_what_a_dead_process_left_is_uncertain(team: Team) -> None:
    blind = SlackWire(team.db, reads_history=False)
    blind.scopes = ",".join(SCOPES)
    team.wire.provider.close()
    team.wire.service.close()
    team.wire = blind
    team.task()
    blind.provider._note = _die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        team.tell()
    blind.now += timedelta(minutes=2)
    team.tell(2)
    assert ([(one.state, one.code) for one in team.notices()], len(blind.posted)) == ([("uncertain", "no_answer")], 1)


def _die(*_: Any, **__: Any) -> Any:
    raise Killed


def test_an_answer_that_is_lost_is_asked_about(team: Team) -> None:
    team.task()
    team.wire.fail(InDoubt)
    team.tell(2)
    assert ([one.state for one in team.notices()], len(team.wire.posted)) == (["sent"], 1)


def test_what_another_account_left_in_doubt_is_not_asked_about_for_ever(team: Team) -> None:
    team.task()
    team.wire.provider._note = _die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        team.tell()
    with team.db.write() as session:
        session.execute(update(ChatPost).values(account="slack.other"))
    for _ in range(TRIES + 1):
        team.wire.now += timedelta(minutes=2)
        team.tell()
    assert ([one.state for one in team.notices()], len(team.wire.posted)) == (["uncertain"], 1)


def test_a_rate_limit_is_waited_for(team: Team) -> None:
    team.task()
    team.wire.next = (429, {"Retry-After": "120"}, b"")
    team.tell()
    [notice] = team.notices()
    assert (notice.state, notice.code, notice.next_at - NOW) == ("waiting", "slack_ratelimited", timedelta(seconds=120))
    team.wire.now += timedelta(seconds=119)
    team.tell()
    assert team.wire.posted == []
    team.wire.now += timedelta(seconds=1)
    team.tell()
    assert len(team.wire.posted) == 1


def test_a_notice_that_never_goes_through_is_given_up(team: Team) -> None:
    team.task()
    pauses = list[timedelta]()
    for _ in range(TRIES):
        team.wire.next = (429, {}, b"")
        team.tell()
        [notice] = team.notices()
        pauses.append(notice.next_at - team.now())
        team.wire.now = notice.next_at
    assert (notice.state, notice.code) == ("failed", "slack_ratelimited")
    assert pauses[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert timedelta(hours=8) < sum(pauses, timedelta()) < timedelta(hours=9)


def test_what_nobody_can_say_anything_about_is_uncertain_in_the_end(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(_: str) -> None:
        raise RetryLater("slack_not_in_channel", timedelta(hours=1))

    team.task()
    team.wire.fail(InDoubt)
    monkeypatch.setattr(team.wire.provider, "lookup", lookup)
    for _ in range(TRIES + 1):
        team.tell()
        team.wire.now += timedelta(hours=1)
    assert ([one.state for one in team.notices()], len(team.wire.posted)) == (["uncertain"], 1)


def test_only_calls_in_a_row_that_find_nobody_stop_the_account(team: Team) -> None:
    for reply in (NOBODY, NOBODY, None, NOBODY, NOBODY):
        team.wire.next = reply
        team.task()
        team.tell()
    with team.db.read() as session:
        assert stopped_accounts.listed(session) == []
    team.wire.next = NOBODY
    team.task()
    team.tell()
    with team.db.read() as session:
        assert [one.code for one in stopped_accounts.listed(session)] == ["slack_http_503"]


def test_a_message_that_could_not_be_changed_is_changed_later(team: Team) -> None:
    task = team.task(description="x" * 1_900)
    team.tell()
    assert len(team.read()[2]) == MOST_TEXT
    with team.db.write() as session:
        tasks.cancel(session, task, "test", NOW)
    team.wire.service.replies = [(200, {}, b'{"ok": false, "error": "invalid_auth"}')]
    team.tell()
    assert len(team.notices()) == 1
    team.wire.now += timedelta(minutes=15)
    team.tell()
    assert (team.read()[2], team.notices()) == ("This task was cancelled.", [])


def test_a_refused_account_is_stopped_and_waited_for(team: Team) -> None:
    team.task()
    team.wire.next = (200, {}, b'{"ok": false, "error": "invalid_auth"}')
    team.tell()
    assert [(one.state, one.code) for one in team.notices()] == [("waiting", "slack_invalid_auth")]
    calls = len(team.wire.calls)
    for _ in range(4):
        team.wire.now += timedelta(seconds=10)
        team.tell()
    assert len(team.wire.calls) == calls
    with team.db.write() as session:
        [stopped] = stopped_accounts.listed(session)
        assert stopped.next_probe_at < team.now() - UNASKED, "so the keeper asks whether it works"
        stopped_accounts.works(session, stopped.account)
    team.wire.now += timedelta(minutes=1)
    team.tell()
    assert [one.state for one in team.notices()] == ["sent"]


def test_a_message_of_a_stopped_account_is_changed_later(team: Team) -> None:
    task = team.task()
    team.tell()
    with team.db.write() as session:
        stopped_accounts.stop(session, "slack.main", "slack_unreachable", team.now())
        tasks.cancel(session, task, "test", NOW)
    team.wire.now += timedelta(seconds=10)
    team.tell()
    assert team.read()[2] == ""
    with team.db.write() as session:
        stopped_accounts.works(session, "slack.main")
    team.wire.now += timedelta(seconds=10)
    team.tell()
    assert (team.read()[2], team.notices()) == ("This task was cancelled.", [])


def test_a_member_without_an_account_there_is_told_nothing(team: Team) -> None:
    team.wire.users = {ANNA["id"]: {**ANNA, "profile": {"email": "other@example.org"}}}  # type: ignore[dict-item]
    team.task()
    team.tell(2)
    assert [(one.state, one.code) for one in team.notices()] == [("failed", "slack_users_not_found")]


def test_where_nobody_carries_the_chat_the_outbox_keeps_it(team: Team) -> None:
    task = team.task()
    outbox = Carrier("outbox.default", Outbox(team.db, team.now))
    teller = TaskTeller(team.teller.desk, team.breakers, lambda: outbox)
    tell(teller)
    with team.db.write() as session:
        tasks.cancel(session, task, "test", NOW)
    tell(teller)
    with team.db.read() as session:
        assert [(one.channel, one.recipient, one.subject) for one in session.scalars(select(OutboxItem))] == [
            ("chat", "anna@example.org", "New task: Call <!channel>")
        ]
    assert team.notices() == []


@pytest.mark.parametrize(
    "value",
    [
        "",
        "finish",
        "finish:0",
        "finish:0:",
        "finish:x:t",
        "finish:-1:t",
        "finish:9999:t",
        "drop:0:t",
        "finish:²:t",
        "finish:0:\0",
        f"finish:0:{'x' * 161}",
    ],
)
def test_other_values_are_no_buttons_of_ours(value: str) -> None:
    assert read_value(value) is None


def test_ids_of_tasks_have_colons() -> None:
    assert read_value("finish:12:run:node:1") == ("run:node:1", 12)
