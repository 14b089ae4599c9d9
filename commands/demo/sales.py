"""What the demo's sales team does: calls the leads that marketing hands over, says thank you, and has some tasks of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle, islice

from sqlalchemy.orm import Session
from sqlmodel import col, select

from commands.demo.documents import Translate
from commands.demo.people import Person
from commands.demo.scoring import OFFER, PRICES
from commands.demo.shop import SOURCE
from commands.demo.story import Story
from crm.sales import tasks
from engine.segments.evaluator import settle
from journeys.changes import CreateTask
from journeys.rules.facts import Calendar
from journeys.worktime import add_working_time
from models import Event, Task, new_id

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Lead:
    """How a lead is dealt with that reaches eighty points; without an outcome nobody does, and the task is dropped days later. `late`: only after it was overdue."""

    outcome: str = ""
    note: str = ""
    late: bool = False


LEADS = (
    Lead("qualified", "Budget is there, decides by the end of the month."),
    Lead("not_yet", "Only looking around. Call again in spring."),
    Lead("qualified", "Wants an offer for twelve people."),
    Lead("qualified", "Friendly call, appointment next Tuesday."),
    Lead("", "Bought elsewhere meanwhile."),
    Lead("not_yet", "No budget this year."),
    Lead("qualified", "Knows us from the trade fair.", late=True),
    Lead("qualified", "Two offices, both interested."),
    Lead("not_yet", "Wrong contact, a colleague decides."),
    Lead("qualified", "Sent the price list."),
)
"""In the order in which they come. English notes for translation, here and below."""
CALLS = (
    ("thanked", "Was pleased about the call, everything arrived."),
    ("thanked", "Asks for a quantity discount next time."),
    ("not_reached", "Three tries, left a message."),
    ("thanked", "One buckle was broken, a new one is on its way."),
    ("", "No one had time, now it would be odd."),
)
"""How a call after a large order ends, in turn: (outcome, note). Without an outcome nobody calls, and the task is dropped three days later."""
OPEN_CALLS = timedelta(days=1)
"""Who ordered so recently is still to be called."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A task that somebody of sales gave themselves. `due_hours`: from the present; `outcome` empty: it is open."""

    title: str
    owner: str
    due_hours: float
    outcome: str = ""
    note: str = ""
    priority: str = "normal"


ERRANDS = (
    Errand("Send the offer", "kim", -20 * 24, "done", "Sent by e-mail, valid for four weeks."),
    Errand("Check the delivery address", "lee", -9 * 24, "done", "The old address was right after all."),
    Errand("Follow up on the offer", "kim", -22, priority="high"),
    Errand("Prepare the appointment", "kim", 5),
    Errand("Ask how the tents did", "lee", 6),
    Errand("Invite to the trade fair", "sales-lead", 7),
)


def possible_leads(people: Sequence[Person]) -> list[Person]:
    """Whom marketing hands over, and whom errands are about, in order: companies that look around and do not buy by themselves."""
    able = (one for one in people if one.kind == "regular" and one.stage == "lead" and one.consents == "granted" and one.domain)
    return list(islice(able, len(LEADS) + 2 + len(ERRANDS)))


@dataclass
class Sales:
    """The plan of the sales team, for `leads` (`possible_leads`)."""

    story: Story
    leads: Sequence[Person]
    begin: datetime
    present: datetime
    calendar: Calendar
    translate: Translate
    _calls: int = 0
    _seen: set[str] = field(default_factory=set)

    def plan(self) -> None:
        leads = iter(self.leads)
        span = (self.present - self.begin - timedelta(days=7)) / len(LEADS)
        now = [(self._working_ago(3 * HOUR), Lead()), (self._working_ago(HOUR / 2), Lead())]
        before = [(self._working_time(self.begin + timedelta(days=2) + span * n, n), lead) for n, lead in enumerate(LEADS)]
        for (at, lead), person in zip((*now, *before), leads, strict=False):
            self._hands_over(person, at, lead)
        day = self.begin
        while day < self.present:
            self.story.at(day := min(day + timedelta(hours=12), self.present), self._look)
        for errand, person in zip(ERRANDS, cycle(reversed(self.leads)), strict=False):
            self.story.at(self.present + timedelta(hours=min(errand.due_hours, 0) - 70), partial(self._takes_on, errand, person))

    def _working_time(self, near: datetime, number: int) -> datetime:
        """When the team works, at another time of the day for each number."""
        return add_working_time(near, timedelta(minutes=20 + 37 * number), self.calendar)

    def _working_ago(self, span: timedelta) -> datetime:
        """The last quarter of an hour since which the team has worked so long."""
        at = self.present
        while add_working_time(at, span, self.calendar) > self.present:
            at -= timedelta(minutes=15)
        return at

    # Leads

    def _hands_over(self, person: Person, at: datetime, lead: Lead) -> None:
        """Two days before there are first points, then those that make a lead ready: by the rules of the demo's scoring."""
        for number in range(3):
            self.story.at(at - timedelta(days=2, minutes=5 * number), partial(self._does, person, PRICES))
        self.story.at(at, partial(self._does, person, OFFER))
        self.story.at(at + timedelta(seconds=1), lambda: self._work_on(person, "mql_to_sql", lead))

    def _does(self, person: Person, what: str) -> None:
        """Something on the website that gives points; thresholds and journeys follow at once."""
        self.story.happens(person.id, what, {}, SOURCE)
        self.story.wake(settle(self.story.engine))

    def _work_on(self, person: Person, journey: str, lead: Lead) -> None:
        """The task that a run has made is dealt with as planned."""
        self.story.look_after_tasks()
        with self.story.engine.db.read() as session:
            task = session.scalars(
                select(Task).where(Task.contact_id == person.id, col(Task.run_id).is_not(None)).order_by(col(Task.id).desc())
            ).first()
        if task is not None and lead.note and not lead.outcome:
            self.story.at(task.created_at + timedelta(days=5), lambda: self._drops(task, lead.note))
        if task is not None and lead.outcome in task.outcomes and task.due_at is not None:
            takes = add_working_time(task.created_at, timedelta(minutes=35), self.calendar)
            finishes = task.due_at + 0.7 * HOUR if lead.late else max(takes, task.due_at - HOUR / 2)
            self.story.at(takes if not lead.late else finishes, lambda: self._takes(task))
            self.story.at(finishes + timedelta(seconds=9), lambda: self._finishes(task, lead.outcome, lead.note))

    # Tasks

    def _look(self) -> None:
        """Who has ordered a lot is called, in the order in which the tasks appear."""
        with self.story.engine.db.read() as session:
            fresh = [
                one
                for one in session.scalars(select(Task).where(Task.node == "call", Task.state == "open").order_by(col(Task.id)))
                if one.id not in self._seen
            ]
        for task in fresh:
            self._seen.add(task.id)
            if "thanked" in task.outcomes and self.present - task.created_at > OPEN_CALLS:
                outcome, note = CALLS[self._calls % len(CALLS)]
                self._calls += 1
                if not outcome:
                    self.story.at(task.created_at + timedelta(days=4), partial(self._drops, task, note))
                else:
                    at = add_working_time(max(self.story.now.at, task.created_at), timedelta(minutes=50), self.calendar)
                    self.story.at(at, partial(self._takes, task))
                    self.story.at(at + timedelta(minutes=12), partial(self._finishes, task, outcome, note))
        self.story.look_after_tasks()

    def _takes(self, task: Task) -> None:
        with self.story.engine.db.write() as session:
            now = tasks.get(session, task.id)
            if now.state == "open":
                tasks.take(session, task.id, now.owner or "kim", self.story.now.at)

    def _finishes(self, task: Task, outcome: str, note: str) -> None:
        def finish(session: Session) -> Event | None:
            owner = tasks.get(session, task.id).owner or "kim"
            return tasks.finish(session, task.id, outcome, f"member:{owner}", self.story.now.at, self.translate(note))

        self.story.changes(finish)

    def _drops(self, task: Task, why: str) -> None:
        with self.story.engine.db.write() as session:
            owner = tasks.get(session, task.id).owner or "kim"
            tasks.cancel(session, task.id, f"member:{owner}", self.story.now.at, self.translate(why))

    def _takes_on(self, errand: Errand, person: Person) -> None:
        """A task by hand."""
        due_at = self.present + timedelta(hours=errand.due_hours)
        wanted = CreateTask(
            id=new_id(), title=self.translate(errand.title), owner=errand.owner, due_at=due_at, outcomes=("done",), priority=errand.priority
        )
        with self.story.engine.db.write() as session:
            task = tasks.create(session, wanted, contact_id=person.id, now=self.story.now.at, by=f"member:{errand.owner}")
        if errand.outcome:
            self.story.at(due_at - 2 * HOUR, lambda: self._takes(task))
            self.story.at(due_at - HOUR, lambda: self._finishes(task, errand.outcome, errand.note))
