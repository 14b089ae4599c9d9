"""What the gate gathers: the tables of the pure function asked by way of rows on both databases, and each statement broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

import crm.consent.expiry
import crm.consent.mailbox
import crm.consent.standing
import crm.consent.suppression
from activities.sending import gate
from crm.consent.mailbox import spelling
from crm.consent.suppression import hashed
from engine.interpreter.gate import Former, Held, Limits, Person, SendRequest, Verdict
from engine.interpreter.state import State
from journeys import wishes
from journeys.channels import ADDRESSED, CHANNELS, ON_DEVICES
from journeys.rules.terms.message import MESSAGE_EVENTS
from journeys.values import Call, Do, WaitUntil
from models import ConsentState, Contact, Database, Event, Journey, MailboxConsent, Message, Run, Suppression, Version
from storage.sql import table
from tests.broken import broken, load, whole
from tests.gate_cases import Asked, asked, cases, told
from tests.plans import statements
from workspace import settings

KEYS = (b"n" * 32, b"o" * 32)
LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NODE = "mail"
LEFT = ("sent", "delivered", "uncertain", "claimed")
UNSENT = ("planned", "skipped", "failed", "bounced")
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Rows = list[tuple[type, dict[str, Any]]]
Ask = Callable[..., Verdict]


@dataclass(frozen=True)
class Placed:
    """A case as it stands in the database: its own contact, ids and addresses, so that all cases live side by side."""

    number: int
    case: Mapping[str, Any]

    @cached_property
    def asked(self) -> Asked:
        return asked(dict(self.case))

    @property
    def contact_id(self) -> str:
        """The case's own where it decides (who is held out), each in one case only."""
        return (self.asked.person.contact_id if self.asked.person else "") or f"{self.number:04}contact-1"

    def id_of(self, message: str) -> str:
        return f"{self.number:04}{message}"

    def address(self, said: str | None) -> str | None:
        """The case's address, made its own."""
        if not said:
            return said
        if "|" in said:
            return said.replace("Ada", f"Ada{self.number}")
        return f"a{self.number}.{said}" if "@" in said else f"+4179{self.number:07}" if said.startswith("+") else self.contact_id

    @cached_property
    def wanted(self) -> SendRequest:
        """`since` is not said: it must be found."""
        return replace(self.asked.wanted, message_id=self.id_of("m"), since=None)

    def told(self, verdict: Verdict) -> dict[str, Any]:
        """The verdict in the words of the table."""
        said = told(verdict)
        person = self.asked.person
        if person is not None and "address" in said:
            assert said["address"] == self.address(person.address)
            said["address"] = person.address
        return said | ({"behind": [id[4:] for id in said["behind"]]} if "behind" in said else {})


PLACED = [Placed(number, case) for number, (_, case) in enumerate(cases())]


# --- writing a case down ---


def rows_of(placed: Placed) -> Rows:
    """All that the case says, among rows that must not count."""
    case = placed.asked
    found: Rows = [*contacts_of(placed, case)]
    found += [(ConsentState, state) for state in consents_of(placed, case)]
    found += [(Suppression, entry) for entry in suppressions_of(placed, case)]
    found += [(MailboxConsent, word) for word in words_of(placed, case)]
    found += messages_of(placed, case)
    found += [(Event, values) for values in events_of(placed, case)]
    found += signs_of(placed, case)
    return found


def signs_of(placed: Placed, case: Asked) -> Rows:
    """By what the consent was used last, among signs that must not count: of strangers, of tests, of other events."""
    if case.person is None or case.person.active_at is None:
        return []
    by, at = placed.case.get("active_by"), datetime.fromisoformat(placed.case.get("ordered_at") or case.person.active_at.isoformat())
    used = {"cap_class": "", "channel": "email", "status": "sent", "at": LONG_AGO}
    lately, stranger = case.now - MINUTE, placed.id_of("stranger")
    found = used_message(message(placed, "stranger used", **used, contact_id=stranger), opened_at=lately, clicked_at=lately)
    found += used_message(message(placed, "test used", **used, test=True), opened_at=lately, clicked_at=lately)
    found += used_message(message(placed, "used", **used), **({f"{by}_at": at} if by in ("opened", "clicked") else {}))
    order = {"type": "track", "source": "shop"}
    found.append((Event, {**event_row_of(placed, "their order", stranger, "Order Completed", "", lately), **order}))
    found.append((Event, {**event_row_of(placed, "cart", placed.contact_id, "Cart Viewed", "", lately), **order}))
    if by == "ordered":
        found.append((Event, {**event_row_of(placed, "order", placed.contact_id, "Order Completed", "", at), **order}))
    return found


def used_message(rows: Rows, **used: datetime) -> Rows:
    return [(kind, {**values, **used} if kind is Message else values) for kind, values in rows]


def events_of(placed: Placed, case: Asked) -> Iterator[dict[str, Any]]:
    """What happened, among events that must not count: of machines, of others, of another name or said by somebody, and what the last one came after."""
    if case.person is None:
        return
    happened = {} if placed.case.get("on_its_way") else case.happened  # no event tells of it yet: `messages_of`
    for number, (channel, what) in enumerate(happened.items()):
        for name, at in what.items():
            yield event_row_of(placed, f"{number}{name}", placed.contact_id, name, channel, at)
            yield event_row_of(placed, f"{number}{name} before", placed.contact_id, name, channel, at - MINUTE)
    yield from replies_of(placed, case)
    for rule in case.limits.spacings:
        just_now = case.now - MINUTE
        yield event_row_of(placed, f"{rule.event} machine", placed.contact_id, rule.event, rule.of_channel, just_now, machine=True)
        yield event_row_of(placed, f"{rule.event} stranger", placed.id_of("stranger"), rule.event, rule.of_channel, just_now)
        yield event_row_of(placed, f"{rule.event} elsewhere", placed.contact_id, "Message Skipped", rule.of_channel, just_now)
        said = event_row_of(placed, f"{rule.event} said", placed.contact_id, rule.event, rule.of_channel, just_now)
        yield {**said, "type": "track", "source": "site"}


def replies_of(placed: Placed, case: Asked) -> Iterator[dict[str, Any]]:
    """What the contact wrote, and what must not count: elsewhere, from another number, of a stranger, said by somebody, another event."""
    if case.wanted.reply_window is None or case.person is None:
        return

    def one(id: str, at: datetime, who: str = placed.contact_id, name: str = "Message Replied", **properties: str) -> dict[str, Any]:
        said = {"channel": case.wanted.channel, "from": placed.address(case.person and case.person.address), **properties}
        return {**event_row_of(placed, f"reply {id}", who, name, case.wanted.channel, at), "properties": said}

    if case.replied_at is not None:
        yield one("last", case.replied_at)
        yield one("before", case.replied_at - MINUTE)
    just_now = case.now - MINUTE
    yield one("elsewhere", just_now, channel="sms")
    yield one("other number", just_now, **{"from": "+41790000000"})
    yield one("stranger", just_now, placed.id_of("stranger"))
    yield one("other event", just_now, name="Message Opened")
    yield {**one("said", just_now), "type": "track", "source": "site"}


def event_row_of(
    placed: Placed, id: str, contact_id: str, name: str, channel: str, at: datetime, *, machine: bool = False
) -> dict[str, Any]:
    return {
        "contact_id": contact_id, "type": "system", "name": name, "properties": {"channel": channel, "machine": machine}, "context": {},
        "source": "system", "message_id": placed.id_of(id), "occurred_at": at, "received_at": at, "hops": 0, "routed": True, "backfill": False,
    }  # fmt: skip


def contacts_of(placed: Placed, case: Asked) -> Iterator[tuple[type, dict[str, Any]]]:
    person, field = case.person, ADDRESSED.get(case.wanted.channel, "id")
    if person is not None:
        names = {"email": f"other{placed.number}@example.org", "phone": "+41790000000"}
        names |= {field: placed.address(person.address)} if field != "id" else {}
        if case.wanted.channel in ON_DEVICES and person.address:
            names[str(CHANNELS[case.wanted.channel].reach_field)] = "web"
        gone = {("erased_at", "merged_into")[placed.number % 2]: (LONG_AGO, "winner")[placed.number % 2]} if person.gone else {}
        yield Contact, contact_row(placed.contact_id, timezone=person.timezone, attributes=wishes_of(person), **names, **gone)
    yield Contact, contact_row(placed.id_of("stranger"), timezone="Pacific/Auckland", email=f"stranger{placed.number}@example.org")


def wishes_of(person: Person) -> dict[str, str]:
    """What the contact asked for, in its fields."""
    rhythm = next((one for one, span in wishes.EVERY.items() if span == person.at_most_every), "")
    return {wishes.AT_MOST: rhythm} | ({wishes.PAUSED_UNTIL: person.paused_until.isoformat()} if person.paused_until else {})


def contact_row(id: str, **fields: Any) -> dict[str, Any]:
    empty = {"email": None, "phone": None, "postal_address": None, "timezone": None}
    empty |= {"push_devices": None, "erased_at": None, "merged_into": None}
    return {"id": id, "created_at": LONG_AGO, "updated_at": LONG_AGO, "attributes": {}, "demo": False, **empty, **fields}


def consents_of(placed: Placed, case: Asked) -> Iterator[dict[str, Any]]:
    said_at = {
        "said_at": LONG_AGO if case.person is None or case.person.active_at is None or "active_by" in placed.case else case.person.active_at
    }
    channel, purpose = case.wanted.channel, case.wanted.purpose
    yield {"contact_id": placed.id_of("stranger"), "channel": channel, "purpose": purpose, "state": "granted", **said_at}
    if case.person is not None:
        for on, purposes in case.consents.items():
            for purpose, state in purposes.items():
                yield {"contact_id": placed.contact_id, "channel": on, "purpose": purpose, "state": state, **said_at}


def suppressions_of(placed: Placed, case: Asked) -> Iterator[dict[str, Any]]:
    address = placed.address(case.person.address if case.person else None)
    entry = {"source": "", "created_at": LONG_AGO}
    yield {
        "channel": "email",
        "address_hash": hashed(KEYS[0], "email", f"stranger{placed.number}@example.org"),
        "reason": "manual",
        **entry,
    }
    if address:
        for channel, reasons in case.suppressions.items():
            for key, reason in zip(KEYS, reasons, strict=False):
                if reason == "unsubscribe" and placed.case.get("by_mailbox"):
                    continue  # said by somebody with the address: `words_of`
                # The address is looked up as the wanted channel spells it, so another channel's entry must be written with the same hash.
                yield {"channel": channel, "address_hash": hashed(key, case.wanted.channel, address), "reason": reason, **entry}


def words_of(placed: Placed, case: Asked) -> Iterator[dict[str, Any]]:
    """What others who have the address said, among words that must not count: of another address, channel or purpose, or answered since."""
    address = placed.address(case.person.address if case.person else None)
    channel, purpose = case.wanted.channel, case.wanted.purpose
    if not address or channel not in ADDRESSED:
        return
    address = spelling(channel, address)
    no = {"channel": channel, "mailbox": address, "purpose": purpose, "state": "withdrawn", "said_at": LONG_AGO, "proven": False}
    if placed.case.get("by_mailbox"):
        under = (address, hashed(KEYS[1], channel, address))[placed.number % 2]
        yield {**no, "mailbox": under, "contact_id": "other", "purpose": (purpose, "*")[placed.number // 2 % 2]}
        if placed.number % 2:
            yield {**no, "contact_id": "before", "state": "granted", "proven": True, "said_at": LONG_AGO - MINUTE}
            yield {**no, "contact_id": "as late", "state": "granted", "proven": True}
        yield {**no, "contact_id": "unproven", "state": "granted", "said_at": LONG_AGO + MINUTE}
        yield {
            **no,
            "contact_id": "elsewhere",
            "mailbox": f"x{placed.number}",
            "state": "granted",
            "proven": True,
            "said_at": LONG_AGO + MINUTE,
        }
    elif placed.number % 2:
        yield {**no, "contact_id": "answered"}
        yield {**no, "contact_id": "answers", "state": "granted", "proven": True, "said_at": LONG_AGO + MINUTE}
    yield {**no, "contact_id": "other address", "mailbox": f"{placed.number}@stranger.example", "said_at": LONG_AGO + 2 * MINUTE}
    yield {**no, "contact_id": "other channel", "channel": "push", "said_at": LONG_AGO + 2 * MINUTE}
    yield {**no, "contact_id": "other purpose", "purpose": "of-its-own", "said_at": LONG_AGO + 2 * MINUTE}


def messages_of(placed: Placed, case: Asked) -> Rows:
    stranger = placed.id_of("stranger")
    if case.person is None:
        return []
    class_, soon, just_now = case.wanted.cap_class, case.now + timedelta(hours=1), case.now - MINUTE
    of_its_own = {"cap_class": "of-its-own", "channel": "postcard", "purpose": "of-its-own"}
    found = own_message(placed, case)
    for number, one in enumerate(case.former):
        status = LEFT[number % len(LEFT)]
        found += message(placed, f"former{number}", status=status, at=one.at, **sort_of(one))
    for one in case.held:
        if one.message_id != case.wanted.message_id:
            found += message(placed, one.message_id, status="held", priority=one.priority, since=one.since, until=one.until, **sort_of(one))
    for channel, what in case.happened.items():
        for number, at in enumerate([what["Message Sent"] - MINUTE, what["Message Sent"]] if "Message Sent" in what else []):
            if placed.case.get("on_its_way") or number == 0:
                found += message(placed, f"way{number}", status="claimed", cap_class=class_, channel=channel, at=at)
    for rule in case.limits.spacings:
        on_its_way = {"status": "claimed", "cap_class": class_, "channel": rule.of_channel, "at": just_now}
        found += message(placed, f"{rule.event} w1", **on_its_way, contact_id=stranger)
        found += message(placed, f"{rule.event} w2", **on_its_way, test=True)
    # What has left, but not to this contact, not in this class, not really, or not at all.
    found += message(placed, "f1", status="sent", cap_class=class_, at=just_now, contact_id=stranger)
    if case.person.at_most_every is None and all(cap.cap_class or cap.channel or cap.purpose for cap in case.limits.caps):
        found += message(placed, "f2", status="sent", at=just_now, **of_its_own)
    found += message(placed, "call", status="sent", cap_class="", at=just_now)
    found += message(placed, "f3", status="sent", cap_class=class_, at=just_now, test=True)
    found += message(placed, "f4", status="uncertain", cap_class=class_)
    for status in UNSENT:
        found += message(placed, f"f-{status}", status=status, cap_class=class_, at=just_now)
    # What is held, but for somebody else, as a test, or by a run that does not come back to it.
    first = {"status": "held", "cap_class": class_, "priority": 1, "since": LONG_AGO, "until": soon}
    found += message(placed, "h1", **first, contact_id=stranger)
    found += message(placed, "h2", **first, test=True)
    found += message(placed, "h3", **{**first, "status": "planned"})
    for status in ("held", "stuck", "quarantined", "ended"):
        found += message(placed, f"h-{status}", **first, run_status=status)
    found += message(placed, "h4", **first, state=State().at(NODE, LONG_AGO))
    found += message(placed, "h5", **first, state=waiting_at("elsewhere"))
    found += message(placed, "h6", **first, state=replace(waiting_at(NODE), visits={NODE: 2}))
    found += message(placed, "h7", **first, state=replace(waiting_at(NODE), blocked=WaitUntil(at=soon)))
    return found


def own_message(placed: Placed, case: Asked) -> Rows:
    """Held since the case's `since`; else in doubt, which must not count against itself."""
    if case.wanted.since:
        return message(placed, "m", status="held", cap_class=case.wanted.cap_class, since=case.wanted.since, until=case.now)
    return message(placed, "m", status="claimed", cap_class=case.wanted.cap_class, at=case.now - MINUTE, since=case.now)


def message(
    placed: Placed,
    id: str,
    *,
    status: str,
    cap_class: str,
    channel: str = "email",
    purpose: str = "marketing",
    at: datetime | None = None,
    since: datetime = LONG_AGO,
    until: datetime | None = None,
    priority: int = 3,
    test: bool = False,
    contact_id: str | None = None,
    run_status: str = "active",
    state: State | None = None,
) -> Rows:
    """A message and the run that awaits it."""
    own = placed.id_of(id)
    contact_id = contact_id or placed.contact_id
    run = {
        "id": own, "journey_id": "j", "version_id": "v", "version_number": 1, "contact_id": contact_id, "status": run_status, "step": 1,
        "node": NODE, "state": (state or waiting_at(NODE)).to_json(), "instruction": {}, "trigger": {}, "run_key": own, "hops": 0,
        "started_at": LONG_AGO, "updated_at": LONG_AGO, "reason": "", "error": "", "trigger_event_id": None,
    }  # fmt: skip
    row = {
        "id": own, "once_key": f"{own}:{NODE}:1", "run_id": own, "contact_id": contact_id, "channel": channel, "cap_class": cap_class,
        "priority": priority, "status": status, "planned_at": since, "held_until": until, "test": test, "answer": {}, "node": NODE,
        "opened_at": None, "clicked_at": None, "claimed_at": at, "sent_at": None if status == "claimed" else at, "purpose": purpose, "message_class": "marketing", "template": "",
        "locale": "", "subject": "", "reason": "", "attempts": 0, "provider": "", "provider_id": "",
    }  # fmt: skip
    return [(Run, run), (Message, row)]


def sort_of(one: Former | Held) -> dict[str, str]:
    """What caps ask of a message; the tables that know classes only are about mails for marketing."""
    return {"cap_class": one.cap_class, "channel": one.channel or "email", "purpose": one.purpose or "marketing"}


def waiting_at(node: str) -> State:
    return replace(State().at(node, LONG_AGO), blocked=Do(call=Call(channel="email")))


def write(db: Database) -> None:
    """All cases, in the order in which rows need each other."""
    rows = [row for placed in PLACED for row in rows_of(placed)]
    with db.write() as session:
        session.add(Journey(id="j", key="j", name="J", draft={}, created_at=LONG_AGO, updated_at=LONG_AGO))
        session.flush()
        session.add(Version(id="v", journey_id="j", number=1, digest="d", document={}, published_at=LONG_AGO))
        session.flush()
        for model in (Contact, ConsentState, Suppression, MailboxConsent, Run, Message, Event):
            session.execute(insert(table(model)), [values for kind, values in rows if kind is model])


# --- asking ---


class Undone(Exception):
    pass


@contextmanager
def limited(db: Database, limits: Limits) -> Iterator[Session]:
    """A transaction in which the workspace has these limits, and after which it never had them."""
    quiet = limits.quiet_time
    hours: dict[str, Any] = {"enabled": False}
    if quiet is not None:
        hours = {"start": quiet.start, "end": quiet.end, "zone": quiet.zone, "days": [WEEK[day] for day in quiet.days]}
    hours["channels"] = [
        {"channel": one.channel, "start": one.time.start, "end": one.time.end, "by_law": one.by_law} for one in limits.channel_quiet
    ]
    caps = [
        {"cap_class": cap.cap_class, "count": cap.count, "per": cap.per, "channel": cap.channel, "purpose": cap.purpose}
        for cap in limits.caps
    ]
    said = {name: event for event, name in MESSAGE_EVENTS.items()}
    rules = [
        {"channel": rule.channel, "after": rule.after, "event": said[rule.event], "of_channel": rule.of_channel} for rule in limits.spacings
    ]
    group = {"percent": int(limits.hold_out.percent), "draw": limits.hold_out.name} if limits.hold_out else {}
    try:
        with db.write() as session:
            settings.put(session, "quiet_hours", hours, "test", LONG_AGO)
            settings.put(session, "frequency_caps", {"caps": caps}, "test", LONG_AGO)
            settings.put(session, "channel_rules", {"rules": rules}, "test", LONG_AGO)
            settings.put(session, "hold_out", group, "test", LONG_AGO)
            ending = [{"purpose": one.purpose, "after": one.after} for one in limits.expiries]
            settings.put(session, "consent_expiry", {"purposes": ending}, "test", LONG_AGO)
            yield session
            raise Undone
    except Undone:
        pass


def answers(db: Database, ask: Ask) -> Iterator[tuple[str, Any, Any]]:
    """(case, what it says, what the database makes of it); cases of the same limits share a transaction."""
    groups: dict[Limits, list[Placed]] = {}
    for placed in PLACED:
        groups.setdefault(placed.asked.limits, []).append(placed)
    for limits, group in sorted(groups.items(), key=lambda pair: -len(pair[0].caps)):
        with limited(db, limits) as session:
            for placed in group:
                contact = session.get(Contact, placed.contact_id)
                verdict = ask(session, contact, placed.wanted, KEYS, placed.asked.now, placed.asked.twin)
                yield placed.case["about"], placed.case["answer"], placed.told(verdict)


def test_the_database_answers_as_the_tables_say(db: Database) -> None:
    write(db)
    asked_of = list(answers(db, gate.ask))
    assert len(asked_of) == len(PLACED)
    assert [(about, said) for about, wanted, said in asked_of if said != wanted] == []


def test_both_ways_to_be_gone_are_in_the_tables() -> None:
    gone = [placed.number % 2 for placed in PLACED if placed.asked.person is not None and placed.asked.person.gone]
    assert set(gone) == {0, 1}, "erased and merged"


def test_the_most_important_are_seen_among_many(db: Database) -> None:
    """A hundred that wait behind it do not hide the one before it."""
    [placed] = [
        placed for placed in PLACED if placed.case["about"] == "held until a cap lets it: this one when the cap has let that one go"
    ]
    write(db)
    now, others = placed.asked.now, [table(Run), table(Message)]
    rows = [
        row
        for number in range(100)
        for row in message(placed, f"0{number}", status="held", cap_class="default", priority=4, until=now + MINUTE)
    ]
    with limited(db, placed.asked.limits) as session:
        for number, model in enumerate(others):
            session.execute(insert(model), [values for _, values in rows[number::2]])
        verdict = gate.ask(session, session.get(Contact, placed.contact_id), placed.wanted, KEYS, now)
    assert placed.told(verdict) == placed.case["answer"]


def test_scanners_hide_nobody(db: Database) -> None:
    """However many opens and clicks of machines came after what a person did."""
    [placed] = [placed for placed in PLACED if placed.case["about"] == "an SMS waits four hours after an e-mail was opened"]
    write(db)
    now = placed.asked.now
    rows = [
        event_row_of(placed, f"{rule.event} scan {number}", placed.contact_id, rule.event, rule.of_channel, now, machine=True)
        for rule in placed.asked.limits.spacings
        for number in range(300)
    ]
    with limited(db, placed.asked.limits) as session:
        session.execute(insert(table(Event)), rows)
        verdict = gate.ask(session, session.get(Contact, placed.contact_id), placed.wanted, KEYS, now)
    assert placed.told(verdict) == placed.case["answer"]


# --- what it costs ---


@pytest.mark.parametrize(
    ("about", "at_most"),
    [
        ("nothing has left", 2),
        ("a chain of three", 2),
        ("night, cap, and a night again", 2),
        ("a transactional message waits for none", 1),
        ("without caps nothing waits for anything", 1),
    ],
)
def test_the_gate_asks_few_questions(sqlite_db: Database, about: str, at_most: int) -> None:
    """Beside the settings, which a transaction looks up once. However long the walk is, the questions are the same."""
    write(sqlite_db)
    [placed] = [placed for placed in PLACED if placed.case["about"] == about]
    with limited(sqlite_db, placed.asked.limits) as session:
        contact = session.get(Contact, placed.contact_id)
        gate.limits_of(session)
        with statements(sqlite_db) as seen:
            gate.ask(session, contact, placed.wanted, KEYS, placed.asked.now)
    assert len([one for one in seen if "workspace_setting" not in one]) <= at_most, seen


# --- each statement broken on purpose ---

SAME = {
    "where without or_(messages.c.sent_at > bindparam('since'), messages.c.sent_at.is_(None))": "the function leaves out what is older",
    "messages.c.sent_at > bindparam('since'): GtE": "what is exactly as old has left the window",
    "without order_by": "of those that wait it matters from fifty on: test_the_most_important_are_seen_among_many",
    "if not wanted.is_marketing -> False": "a question more, whose answer nobody looks at",
    "wanted.is_marketing and mailbox.says_no(session, keys, wanted.channel, wanted.purpose, add: without wanted.is_marketing": "likewise",
    "wanted.is_marketing and cap.cap_class == wanted.cap_class: without wanted.is_marketing": "two questions more",
    "wanted.is_marketing and cap.cap_class == wanted.cap_class: without cap.cap_class == wanted.cap_class": "more rows than are needed",
    "for … if wanted.is_marketing and cap.cap_class == wanted.cap_class -> gone": "both",
    "if state -> True": "no state is no state, however it is said",
}
"""What is turned round -> why no case can tell."""


def broken_gates() -> Iterator[tuple[str, Ask]]:
    for what, tree in broken(Path(gate.__file__)):
        yield what, load(tree, "activities.sending.gate")["ask"]
    own = Path(gate.__file__)
    for what, tree in broken(own, ("_former", "_held", "_has_left", "_waits", "_messages")):
        yield f"many-{what}", load(tree, "activities.sending.gate", FEW=-1)["ask"]
    for what, tree in broken(Path(crm.consent.suppression.__file__), ("_reasons", "hashes")):
        copy = SimpleNamespace(**load(tree, "crm.consent.suppression"))
        yield what, load(whole(own), "activities.sending.gate", suppression=copy)["ask"]
    for what, tree in broken(Path(crm.consent.standing.__file__)):
        yield what, load(whole(own), "activities.sending.gate", standing=load(tree, "crm.consent.standing")["standing"])["ask"]
    for what, tree in broken(Path(crm.consent.expiry.__file__), ("_used", "_ordered", "period", "active_at")):
        yield what, load(whole(own), "activities.sending.gate", expiry=SimpleNamespace(**load(tree, "crm.consent.expiry")))["ask"]
    for what, tree in broken(Path(crm.consent.mailbox.__file__), ("is_no",)):
        names = load(whole(Path(crm.consent.standing.__file__)), "crm.consent.standing", is_no=load(tree, "crm.consent.mailbox")["is_no"])
        yield what, load(whole(own), "activities.sending.gate", standing=names["standing"])["ask"]


def is_seen(db: Database, ask: Ask) -> bool:
    try:
        return any(said != wanted for _, wanted, said in answers(db, ask))
    except Exception:  # noqa: BLE001 - a copy that fails is told apart as well
        return True


def test_a_gate_that_gathers_anything_wrong_fails_the_tables(sqlite_db: Database) -> None:
    write(sqlite_db)
    gates = list(broken_gates())
    assert len(gates) > 40, "the test looks at the wrong statements"
    with closing(Database(sqlite_db.url)) as unwatched:  # nobody needs the plans of broken statements
        assert [what for what, ask in gates if not is_seen(unwatched, ask) and what.partition(" ")[2] not in SAME] == []
