from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.sales import tasks
from journeys.changes import CreateTask
from journeys.errors import Conflict, Invalid, NotFound
from models import Contact, Event, Member, Task
from workspace import members

HOUR = timedelta(hours=1)


def create(session: Session, contact: str, now: datetime, id: str = "r1:call:1", **more: Any) -> Task:
    values = {"title": "Call", "outcomes": ("qualified", "lost")} | more
    return tasks.create(session, CreateTask(id=id, **values), contact_id=contact, run_id="r1", node="call", now=now)


@pytest.fixture
def anna(session: Session, now: datetime) -> str:
    return members.add_member(session, "Anna", "anna@example.org", "sales", now).id


@pytest.fixture
def bert(session: Session, now: datetime) -> str:
    return members.add_member(session, "Bert", "bert@example.org", "sales", now).id


def what(session: Session, task: Task) -> list[str]:
    return [change.what for change in tasks.changes(session, task.id)]


def test_a_task_is_created_once(session: Session, contact: str, now: datetime) -> None:
    task = create(session, contact, now)
    assert create(session, contact, now, title="Something else") is task
    assert task.title == "Call"
    assert what(session, task) == ["created"]


@pytest.mark.parametrize("wrong", [{"title": " "}, {"outcomes": ()}, {"outcomes": ("a", "a")}, {"outcomes": ("",)}, {"id": "x" * 161}])
def test_a_task_has_a_title_and_outcomes(session: Session, contact: str, now: datetime, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        create(session, contact, now, **wrong)


def test_taken_finished_and_heard_of_once(session: Session, contact: str, anna: str, bert: str, now: datetime) -> None:
    task = create(session, contact, now)
    tasks.take(session, task.id, anna, now)
    assert (task.state, task.owner, task.taken_at) == ("taken", anna, now)
    assert tasks.take(session, task.id, anna, now) is task
    with pytest.raises(Conflict):
        tasks.take(session, task.id, bert, now)
    event = tasks.finish(session, task.id, "qualified", anna, now + HOUR, note="Likes it")
    assert event.properties == {"task_id": task.id, "outcome": "qualified", "run_id": "r1", "node": "call", "owner": anna}
    assert (task.state, task.outcome, task.note, task.finished_at) == ("finished", "qualified", "Likes it", now + HOUR)
    assert tasks.finish(session, task.id, "qualified", anna, now + 2 * HOUR).id == event.id
    with pytest.raises(Conflict):
        tasks.finish(session, task.id, "lost", anna, now)
    with pytest.raises(Conflict):
        tasks.reassign(session, task.id, bert, anna, now)
    assert what(session, task) == ["created", "taken", "finished"]


def test_an_outcome_is_one_of_the_tasks(session: Session, contact: str, now: datetime) -> None:
    task = create(session, contact, now)
    with pytest.raises(Invalid, match="qualified, lost"):
        tasks.finish(session, task.id, "maybe", "anna", now)
    assert session.scalars(select(Event)).all() == []


def test_reassigned_tasks_are_open_again(session: Session, contact: str, anna: str, bert: str, now: datetime) -> None:
    task = create(session, contact, now)
    tasks.take(session, task.id, anna, now)
    tasks.reassign(session, task.id, bert, anna, now)
    assert (task.state, task.owner) == ("open", bert)
    tasks.take(session, task.id, anna, now)
    tasks.reassign(session, task.id, None, anna, now)
    assert task.owner is None
    with pytest.raises(NotFound):
        tasks.reassign(session, task.id, "nobody", anna, now)
    with pytest.raises(NotFound):
        tasks.take(session, "no task", anna, now)


def test_cancelled_stays_cancelled(session: Session, contact: str, now: datetime) -> None:
    task = create(session, contact, now)
    tasks.cancel(session, task.id, "anna", now, reason="Duplicate")
    assert tasks.cancel(session, task.id, "anna", now).state == "cancelled"
    with pytest.raises(Conflict):
        tasks.finish(session, task.id, "lost", "anna", now)
    finished = create(session, contact, now, id="t2")
    tasks.finish(session, "t2", "lost", "anna", now)
    with pytest.raises(Conflict):
        tasks.cancel(session, finished.id, "anna", now)


def test_overdue_tasks_escalate_once(session: Session, contact: str, anna: str, bert: str, now: datetime) -> None:
    late = create(session, contact, now, id="late", owner=anna, due_at=now - HOUR, escalate_to=bert)
    later = create(session, contact, now, id="later", owner=anna, due_at=now)
    create(session, contact, now, id="in time", owner=anna, due_at=now + HOUR)
    create(session, contact, now, id="never")
    done = create(session, contact, now, id="done", due_at=now - HOUR)
    tasks.finish(session, done.id, "lost", anna, now)
    tasks.take(session, late.id, anna, now)
    [first] = tasks.overdue(session, now, limit=1)
    assert first.properties == {"task_id": "late", "run_id": "r1", "node": "call", "owner": anna, "escalated_to": bert}
    assert (late.owner, late.state, late.escalated_at) == (bert, "open", now)
    [second] = tasks.overdue(session, now, limit=10)
    assert second.properties["task_id"] == "later"
    assert later.owner == anna
    assert tasks.overdue(session, now + HOUR / 2) == []
    assert what(session, late) == ["created", "taken", "escalated"]


def test_lists_by_filter_and_page(session: Session, make_contact: Callable[..., str], now: datetime) -> None:
    one, two = make_contact("c1"), make_contact("c2")
    for number in range(5):
        create(session, one, now + timedelta(seconds=number // 2), id=f"t{number}", owner="anna" if number % 2 else None)
    create(session, two, now, id="due", due_at=now)
    tasks.cancel(session, "t0", "anna", now)

    def ids(**filters: Any) -> list[str]:
        return [task.id for task in tasks.list_tasks(session, now + HOUR, **filters).tasks]

    assert ids() == ["due", "t0", "t1", "t2", "t3", "t4"]
    assert ids(contact_id=two) == ["due"]
    assert ids(owner="anna") == ["t1", "t3"]
    assert ids(owner="", only_open=True) == ["due", "t2", "t4"]
    assert ids(state="cancelled") == ["t0"]
    assert ids(only_overdue=True) == ["due"]
    seen: list[str] = []
    after: str | None = None
    while True:
        page = tasks.list_tasks(session, now, after=after, limit=2)
        seen += [task.id for task in page.tasks]
        after = page.next_after
        if after is None:
            break
    assert seen == ids()


@pytest.fixture
def admin(session: Session, now: datetime) -> str:
    return members.add_member(session, "Ada", "ada@example.org", "admin", now).id


def change(session: Session, task: Task, what: str) -> dict[str, Any]:
    return next(dict(one.detail) for one in tasks.changes(session, task.id) if one.what == what)


def leave(session: Session, member_id: str) -> None:
    session.get_one(Member, member_id).active = False
    session.flush()


def test_an_overdue_task_never_ends_with_nobody(session: Session, contact: str, anna: str, bert: str, admin: str, now: datetime) -> None:
    """Whoever it escalates to has left: an admin gets it, and the task says instead of whom."""
    late = create(session, contact, now, id="late", owner=anna, due_at=now - HOUR, escalate_to=bert)
    leave(session, bert)
    [event] = tasks.overdue(session, now)
    assert (late.owner, late.state, event.properties["escalated_to"]) == (admin, "open", admin)
    assert change(session, late, "escalated") == {"before": anna, "after": admin, "instead_of": bert}


def test_an_overdue_task_whose_owner_has_left_is_handed_on(session: Session, contact: str, anna: str, admin: str, now: datetime) -> None:
    late = create(session, contact, now, id="late", owner=anna, due_at=now - HOUR)
    leave(session, anna)
    [event] = tasks.overdue(session, now)
    assert (late.owner, event.properties["owner"], event.properties["escalated_to"]) == (admin, anna, admin)


def test_a_task_for_somebody_who_is_not_there_goes_to_the_contacts_owner(
    session: Session, contact: str, anna: str, admin: str, now: datetime
) -> None:
    session.get_one(Contact, contact).owner = anna
    session.flush()
    task = create(session, contact, now, id="a", owner="ghost")
    assert task.owner == anna
    assert change(session, task, "created") == {"owner": anna, "instead_of": "ghost"}


def test_else_it_goes_to_the_admin_who_has_been_here_longest(session: Session, contact: str, anna: str, admin: str, now: datetime) -> None:
    members.add_member(session, "Adele", "adele@example.org", "admin", now + HOUR)
    leave(session, members.add_member(session, "Adam", "adam@example.org", "admin", now - HOUR).id)
    session.get_one(Contact, contact).owner = anna
    leave(session, anna)
    assert create(session, contact, now, id="a", owner="ghost").owner == admin


def test_a_task_for_everybody_stays_everybodys(session: Session, contact: str, admin: str, now: datetime) -> None:
    assert create(session, contact, now, id="a").owner is None
