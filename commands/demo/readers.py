"""How the people of the demo deal with their mails: opened soon, late or never, clicked, unsubscribed; and machines that fetch pictures and links."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.orm import Session

from activities.providers.provider import Outgoing
from activities.tracking import Fetch, Tracking, record_click, record_open, target
from commands.demo.people import DEAD, Person
from commands.demo.shop import awake
from commands.demo.story import Story
from crm.consent.consent import Evidence, record_consent
from models import Event

READER = Fetch(user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0")
MACHINE = Fetch(user_agent="Mozilla/5.0")
"""As Apple's mail programs fetch pictures before anybody looks."""
GATEWAY = Fetch(user_agent="Barracuda Sentinel")
"""As security gateways follow links."""
HABITS = {"keen": (0.9, 0.5), "usual": (0.6, 0.22), "cold": (0.15, 0.03), "machine": (0.4, 0.12)}
"""Reader -> how likely a mail is opened, and how likely one that was opened is clicked."""
APPEAL = {"reminder": (0.7, 0.6), "question": (1.1, 1.0), "hello": (1.2, 0.8), "first_try": (0.7, 0.8), "second_try": (0.6, 0.7)}
"""Step that sent it -> by how much likelier it is opened and clicked. The question wins its test."""
LEAVES = 0.04
"""Of those who open a mail, so many unsubscribe."""
_CLICK = re.compile(r"/c/([\w-]+)")


@dataclass
class Inboxes:
    """The mailboxes of `people` (by address). `clicked` hears of everybody who follows a link, and from which step's mail."""

    people: Mapping[str, Person]
    tracking: Tracking
    seed: str
    clicked: Callable[[Person, str], None] = field(init=False)
    story: Story = field(init=False)
    _got: dict[str, int] = field(default_factory=dict)
    _turns: dict[str, float] = field(default_factory=dict)

    def has_mailbox(self, address: str) -> bool:
        return not address.endswith(f"@{DEAD}")

    def gets(self, mail: Outgoing) -> None:
        person, node = self.people.get(mail.recipient), mail.metadata.get("node", "")
        if person is None or mail.channel != "email":
            return  # a notice to the team
        number = self._got[person.user_id] = self._got.get(person.user_id, 0) + 1
        rng = random.Random(f"{self.seed}:{person.user_id}:{node}:{number}")
        now, opens, clicks = self.story.now.at, *_likely(person, node)
        if person.reader == "machine":
            self._fetched(mail.message_id, MACHINE, timedelta(seconds=rng.randint(20, 90)))
        elif rng.random() < 0.04:
            self._clicked(mail, GATEWAY, timedelta(seconds=1))
        if not self._takes_turn(f"{node}:opens", opens):
            return
        opened = awake(now + timedelta(minutes=3 + 60 * min(rng.expovariate(1 / 7), 60)))
        self._fetched(mail.message_id, READER, opened - now)
        if self._takes_turn(f"{node}:clicks", clicks):
            clicked = opened + timedelta(seconds=rng.randint(15, 240))
            self._clicked(mail, READER, clicked - now)
            self.story.at(clicked + timedelta(seconds=1), lambda: self.clicked(person, node))
        elif self._takes_turn("leaves", LEAVES):
            self.story.at(opened + timedelta(seconds=50), lambda: self.leaves(person, mail.message_id))

    def leaves(self, person: Person, message_id: str) -> None:
        """Unsubscribes by the one click that mail programs offer."""
        proof = {"message_id": message_id, "ip": "203.0.113.0", "method": "POST"}
        self.story.changes(
            lambda session: record_consent(
                session,
                person.id,
                "email",
                "marketing",
                "withdrawn",
                self.story.now.at,
                evidence=Evidence.DATED,
                source="one-click",
                proof=proof,
                mailbox=person.email,
            )
        )

    def _takes_turn(self, what: str, share: float) -> bool:
        """Whether it comes about this time, so that of a few as of many the share does: three tenths are every third or fourth."""
        before = self._turns.get(what, 0.5)
        self._turns[what] = after = before + min(share, 1)
        return int(after) > int(before)

    def _fetched(self, message_id: str, fetch: Fetch, after: timedelta) -> None:
        self._later(after, lambda session: record_open(session, message_id, fetch, self.story.now.at))

    def _clicked(self, mail: Outgoing, fetch: Fetch, after: timedelta) -> None:
        found = _CLICK.search(mail.html)
        ids = self.tracking.read_click(found[1]) if found else None
        if ids is not None:
            message_id, digest = ids

            def click(session: Session) -> Event | None:
                link = target(session, digest)
                return record_click(session, message_id, link, fetch, self.story.now.at) if link else None

            self._later(after, click)

    def _later(self, after: timedelta, change: Callable[[Session], Event | None]) -> None:
        self.story.at(self.story.now.at + after, lambda: self.story.changes(change))


def _likely(person: Person, node: str) -> tuple[float, float]:
    (opens, clicks), (more_opens, more_clicks) = HABITS[person.reader], APPEAL.get(node, (1.0, 1.0))
    return opens * more_opens, clicks * more_clicks
