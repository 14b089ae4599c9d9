"""Eight weeks in the life of a shop: who signs up, looks around, fills a cart and buys, and when.

Everything is dated back from the present and drawn from a seed, so that the same people do the same in the same week, whatever day it is. What
follows from it is the engine's (`commands.demo.story`); what sales does is in `commands.demo.sales`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.orm import Session

from commands.demo.documents import CONTROL_PERCENT, SPLIT, Translate
from commands.demo.people import Person, arrived, order
from commands.demo.readers import Inboxes
from commands.demo.shop import FORMS, SOURCE, afternoon, cart, moments, product, some_day
from commands.demo.story import Story
from crm.consent.consent import Evidence, confirm, record_consent
from crm.people.duplicates import suggest
from crm.people.profile import add_tag, update_fields
from crm.people.scores import change_score
from journeys.clock import zone_of
from journeys.draws import draw
from journeys.triggers import ClockTrigger
from models import Contact, Event, Identity, new_id
from storage.events import event_row, insert_events
from storage.identifiers import normalise
from storage.sql import table

WORDING = "I would like to get news and offers by e-mail. I can unsubscribe at any time."
LARGE = 250.0
"""From this on an order is a large one (`documents.THANKS`)."""
LARGE_ORDERS = ((47, 320.0), (38, 274.5), (27, 412.0), (19, 298.0), (9, 356.9), (1, 268.0))
"""(Days ago, worth)."""
BUYS_AFTER_CLICK = 0.5
"""Of those whom a mail brought back to their cart."""
ASKED_AFTER = timedelta(days=90)
"""So long unseen, and *Re-engagement* asks."""
_contacts = table(Contact)
_seen = update(_contacts).where(_contacts.c.id == bindparam("of")).values(last_seen_at=bindparam("seen"))


def arrivals(people: Sequence[Person], begin: datetime, present: datetime, seed: str) -> list[Person]:
    """When each of them came, and under which id. Every fifth sleeper is in the control group, every second person gets the other subject."""
    found = []
    for number, person in enumerate(people):
        came = present - timedelta(days=person.days[0])
        if person.kind == "newcomer":
            came = some_day(random.Random(f"{seed}:{person.user_id}:came"), begin, present - timedelta(minutes=20))
        elif person.days[0] <= (present - begin).days:
            came = max(came, begin + timedelta(minutes=1))
        control, other = number % 5 == 0, number // 6 % 2 == 0
        found.append(arrived(person, came, partial(_is_drawn, control=control, other=other)))
    return found


def _is_drawn(id: str, control: bool, other: bool) -> bool:
    in_control = draw("holdout", "re_engagement", id) < CONTROL_PERCENT / 100
    return in_control == control and (draw("cart_abandonment", SPLIT, "", id) < 0.5) != other


@dataclass
class Weeks:
    """The plan of what `people` do; `leads` among them buy nothing before sales has called."""

    story: Story
    inboxes: Inboxes
    people: Sequence[Person]
    leads: Collection[Person]
    begin: datetime
    present: datetime
    translate: Translate
    seed: str
    _carts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """User id -> the cart that was not bought."""
    _quiet: list[tuple[datetime, str, str, dict[str, Any]]] = field(default_factory=list)
    """Events that nobody listens to: (when, contact, name, properties)."""
    _asked: datetime = field(init=False)
    """Since the last Monday, and before the present."""

    def plan(self) -> None:
        """Makes the contacts who are there at the beginning, and plans what everybody does."""
        self.inboxes.clicked = self._clicked
        mondays = self._mondays()
        for at in mondays:
            if at > self.begin:
                self.story.at(at, self.story.pull_clock_triggers)
        self._asked = mondays[-1] + (self.present - mondays[-1]) / 2
        for person in self.people:
            rng = random.Random(f"{self.seed}:{person.user_id}")
            self._comes(person, rng)
            came = max(person.came, self.begin)
            if person.kind not in ("sleeper", "dozing"):
                self._visits(person, rng, came)
                if person not in self.leads:
                    self._carts_of(person, rng, came)
        self._quiet.sort()
        if self.begin < self.present:
            self._plan_large_orders()
            self._plan_fresh_carts()
        day = self.begin
        while day < self.present:
            self.story.at(day := min(day + timedelta(days=1), self.present), self._look_around)
        self.story.at(self.present, self._settle)

    # Coming

    def _comes(self, person: Person, rng: random.Random) -> None:
        if person.came < self.begin:
            self._arrive(person, person.came, self.begin)
        else:
            by_form, hesitates = rng.random() < 0.6, timedelta(minutes=rng.randint(1, 240))
            self.story.at(person.came, lambda: self._signs_up(person, by_form, hesitates))

    def _arrive(self, person: Person, first_seen: datetime, now: datetime) -> None:
        """Somebody from before the story, with what they have done."""
        last_seen = self._asked - ASKED_AFTER if person.kind == "dozing" else min(self.present - timedelta(days=person.days[1]), now)
        with self.story.engine.db.write() as session:
            self._insert(session, person, first_seen, last_seen)
            events: list[Event | None] = []
            if person.consents:
                events.append(self._says(session, person, "granted", first_seen, "form"))
            if person.consents == "withdrawn":
                events.append(self._says(session, person, "withdrawn", last_seen, "preferences"))
            events += [add_tag(session, person.id, self.translate(tag), first_seen, SOURCE) for tag in person.tags]
            if person.score and person.days[1] >= (self.present - now).days:
                events.append(self._gets(session, person, last_seen))
            for event in events:
                if event is not None:
                    event.routed = True  # it was long ago: it starts nothing
            rows = [self._row(self.present - timedelta(days=days), person.id, name, data) for name, days, data in person.done]
            insert_events(session, sorted(rows, key=lambda row: row["occurred_at"]))

    def _insert(self, session: Session, person: Person, first_seen: datetime, last_seen: datetime) -> None:
        names = [("user_id", person.user_id), ("email", person.email)]
        session.execute(
            insert(_contacts).values(
                id=person.id,
                email=normalise("email", person.email),
                phone=person.phone,
                first_name=person.first_name,
                last_name=person.last_name,
                locale=person.locale,
                timezone=person.timezone,
                lifecycle_stage=person.stage,
                attributes=dict(person.more),
                created_at=first_seen,
                updated_at=first_seen,
                last_seen_at=last_seen,
                demo=True,
                vouched=True,
            )
        )
        common = {"contact_id": person.id, "created_at": first_seen, "shared": False}
        session.execute(insert(table(Identity)), [{"kind": kind, "value": value, **common} for kind, value in names])
        insert_events(session, [self._row(first_seen, person.id, "Identified", {}, "identify")])

    def _signs_up(self, person: Person, by_form: bool, hesitates: timedelta) -> None:
        """By a form with a mail to confirm, or by an account; both may be left half-way."""
        now = self.story.now.at
        with self.story.engine.db.write() as session:
            self._insert(session, person, now, now)
            for tag in person.tags:
                if (event := add_tag(session, person.id, self.translate(tag), now, SOURCE)) is not None:
                    event.routed = True
            if by_form or person.consents == "pending":
                insert_events(session, [self._row(now, person.id, "Form Submitted", {"form": self.translate(FORMS[0])})])
        if person.consents == "pending" or (by_form and person.consents):
            self.story.changes(lambda session: self._says(session, person, "pending", now, "form"))
            if person.consents != "pending":
                self.story.at(now + hesitates, lambda: self._confirms(person))
        elif person.consents:
            self.story.changes(lambda session: self._says(session, person, "granted", now, "checkout"))
        if person.consents in ("pending", "") or (not by_form and hesitates.seconds % 360 == 0):
            self.story.happens(person.id, "Signed Up", {"plan": "trial"}, SOURCE)
        if person.consents == "withdrawn":
            self.story.at(self.present - timedelta(days=person.days[1]), lambda: self._changes_mind(person))

    def _confirms(self, person: Person) -> None:
        self.story.changes(
            lambda session: confirm(
                session, person.id, "email", "marketing", self.story.now.at, source="double-opt-in", mailbox=person.email
            )
        )

    def _changes_mind(self, person: Person) -> None:
        self.story.changes(lambda session: self._says(session, person, "withdrawn", self.story.now.at, "preferences"))

    def _says(self, session: Session, person: Person, state: str, at: datetime, source: str) -> Event | None:
        proof = {"url": "https://www.example.com/newsletter", "ip": "198.51.100.0"}
        return record_consent(
            session,
            person.id,
            "email",
            "marketing",
            state,
            at,
            evidence=Evidence.DATED,
            source=source,
            said_at=at,
            wording=self.translate(WORDING) if state != "withdrawn" else "",
            proof=proof,
        )

    # Looking and buying

    def _visits(self, person: Person, rng: random.Random, came: datetime) -> None:
        until = self.present - timedelta(days=min(person.days[1], 2)) if person.days[0] else self.present
        for at in moments(rng, came, until, {"keen": 1.3, "usual": 0.7, "cold": 0.3, "machine": 0.7}[person.reader]):
            for n in range(rng.choice((1, 1, 2, 3))):
                self._quiet.append((at + timedelta(minutes=2 * n), person.id, "Product Viewed", product(self.translate, rng)))
        if rng.random() < 0.12:
            at = some_day(rng, came, self.present)
            self._quiet.append((at, person.id, "Form Submitted", {"form": self.translate(rng.choice(FORMS[1:]))}))

    def _look_around(self) -> None:
        """What nobody listens to needs no routing: a day of it is written at once."""
        due = [one for one in self._quiet if one[0] <= self.story.now.at]
        del self._quiet[: len(due)]
        if due:
            with self.story.engine.db.write() as session:
                insert_events(session, [self._row(at, contact_id, name, data) for at, contact_id, name, data in due])
                last = {contact_id: at for at, contact_id, _, _ in due}
                session.execute(_seen, [{"of": contact_id, "seen": at} for contact_id, at in last.items()])

    def _carts_of(self, person: Person, rng: random.Random, came: datetime) -> None:
        """Filled now and then; some are bought at once, some after a mail, most never."""
        rate = {"keen": 0.25, "usual": 0.15, "cold": 0.06, "machine": 0.15}[person.reader]
        for n, at in enumerate(moments(rng, came + timedelta(hours=1), self.present, rate)):
            filled = cart(self.translate, rng, f"demo-{person.user_id}-{n}", 600 if "company" in person.more else LARGE - 1)
            self.story.at(at, partial(self._fills, person, filled))
            if rng.random() < 0.22:
                self.story.at(at + timedelta(minutes=rng.randint(4, 45)), partial(self.buys, person, filled))

    def _fills(self, person: Person, filled: dict[str, Any]) -> None:
        self._carts[person.user_id] = filled
        self.story.happens(person.id, "Checkout Started", filled, SOURCE)

    def buys(self, person: Person, filled: dict[str, Any]) -> None:
        """Somebody buys a cart; who was a lead is a customer from then on."""
        self._carts.pop(person.user_id, None)
        bought = order(f"{filled['cart_id']}-o", filled["value"], cart_id=filled["cart_id"], products=filled["products"])
        self.story.happens(person.id, "Order Completed", bought, SOURCE)
        self.story.changes(lambda session: update_fields(session, person.id, {"lifecycle_stage": "customer"}, self.story.now.at, SOURCE))

    def _plan_large_orders(self) -> None:
        """Companies that order a lot; and somebody without a company, of which nobody had thought (`documents.THANKS`)."""
        able = [one for one in self.people if one.kind == "regular" and one.domain and one not in self.leads]
        companies = [one for one in able if "company" in one.more][: len(LARGE_ORDERS)]
        private = [one for one in able if "company" not in one.more][:1]
        orders = [*zip(companies, LARGE_ORDERS, strict=False), *((one, (3, 289.0)) for one in private)]
        for number, (person, (days, value)) in enumerate(orders):
            filled = cart(self.translate, random.Random(f"{self.seed}:{number}"), f"demo-{person.user_id}-large", LARGE)
            self.story.at(afternoon(self.present, days), partial(self.buys, person, filled | {"value": value}))

    def _plan_fresh_carts(self) -> None:
        """Whatever the hour, somebody has just filled a cart, and others wait at the steps behind."""
        able = [one for one in self.people if one.kind == "regular" and one.consents == "granted" and one.domain and one not in self.leads]
        for n, (person, hours) in enumerate(zip(able[-5:], (0.4, 0.8, 7, 22, 50), strict=False)):
            filled = cart(self.translate, random.Random(f"{self.seed}:{n}"), f"demo-{person.user_id}-fresh", LARGE - 1)
            self.story.at(self.present - timedelta(hours=hours), partial(self._fills, person, filled))

    def _clicked(self, person: Person, node: str) -> None:
        """A mail brought somebody to the shop, and perhaps back to the cart."""
        rng = random.Random(f"{self.seed}:{person.user_id}:{node}:{self.story.now.at:%j}")
        now = self.story.now.at
        self._quiet.insert(0, (now, person.id, "Product Viewed", product(self.translate, rng)))
        open_cart = self._carts.get(person.user_id)
        if open_cart is not None and node in ("reminder", "question", "incentive") and rng.random() < BUYS_AFTER_CLICK:
            self.story.at(now + timedelta(minutes=rng.randint(6, 50)), lambda: self.buys(person, open_cart))
        elif person not in self.leads and rng.random() < 0.2:
            filled = cart(self.translate, rng, f"demo-{person.user_id}-{now:%m%d%H}", LARGE - 1)
            self.story.at(now + timedelta(minutes=rng.randint(10, 60)), lambda: self.buys(person, filled))

    # Clocks and points

    def _mondays(self) -> list[datetime]:
        """When *Re-engagement* looks for whom to ask."""
        with self.story.engine.db.read() as session:
            program = self.story.engine.index(session).by_key["re_engagement"].program
        [trigger] = [one for one in program.entry.triggers if isinstance(one, ClockTrigger)]
        instants = trigger.instants(self.begin - timedelta(days=8), zone_of(None, program.settings.timezone))
        return list(takewhile(lambda at: at <= self.present, instants))

    def _settle(self) -> None:
        """The scores that the people of the README have today; and who has somebody else's number is suggested as a duplicate."""
        with self.story.engine.db.write() as session:
            suggest(session, {person.id: {"phone": person.phone} for person in self.people if person.phone}, self.story.now.at)
            for person in self.people:
                if person.score and person.days[1] < (self.present - self.begin).days:
                    event = self._gets(session, person, self.story.now.at)
                    if event is not None:
                        event.routed = True

    def _gets(self, session: Session, person: Person, at: datetime) -> Event | None:
        return change_score(session, person.id, "engagement", person.score, True, self.translate("Looked around"), at, source=SOURCE)

    def _row(self, at: datetime, contact_id: str, name: str, data: dict[str, Any], type: str = "track") -> dict[str, Any]:
        row = event_row(type, name, data, received_at=at, source=SOURCE, message_id=f"demo-{new_id()}", occurred_at=at)
        return {**row, "contact_id": contact_id}
