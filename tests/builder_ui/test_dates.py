"""Every page tells times the way its reader writes them, in the reader's zone: no ISO text, no UTC, no other language's dates.

Each page is opened as ReactPy's client opens it, in a town where much happened, by two people: one reads German in Tokyo, one American English
in Los Angeles. All that can be read is looked at: the text of the page, what is shown when something is pointed at, what stands in fields, the
window's frame, and what the drawing is given to show. A date that nobody put into a `<time>` is found by its shape, and by what it would be in
another zone. No page needs an exception; files and the API keep ISO dates, and are not looked at here.
"""

from __future__ import annotations

import html as escaped
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from builder_ui.contacts.reading_form import ORDERS
from builder_ui.journeys import days
from builder_ui.kit.i18n import Translator, translator_of
from builder_ui.routes import PAGES
from crm.consent import suppression
from crm.consent.consent import Evidence, record_consent
from crm.imports import uploads
from crm.jobs import add_job
from crm.people.profile import update_fields
from crm.people.scores import change_score
from engine.versions import migrate, publish
from models import Member
from tests.builder_ui.test_accessibility import FURTHER, address
from workspace import secrets, settings
from workspace.api_keys import add_key, rotate_key

ISO = re.compile(r"\b\d{4}-\d\d-\d\d(?!\d)|\bUTC\b|\+00:00|\bGMT\b|\d\d:\d\d:\d\dZ")
ENGLISH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|January|February|March|April|June|July|August|September|October|November|December)"
GERMAN_MONTHS = r"(?:Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember)"


@dataclass(frozen=True)
class Reader:
    """Somebody, and the dates that are not theirs."""

    locale: str
    zone: str
    foreign: re.Pattern[str]


READERS = {
    "Tokyo": Reader(
        "de",
        "Asia/Tokyo",
        re.compile(rf"\b\d{{1,2}} {ENGLISH}\b \d{{4}}|\b{ENGLISH} \d{{1,2}}\b|\b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b|\d [AP]M\b"),
    ),
    "Los Angeles": Reader(
        "en-US",
        "America/Los_Angeles",
        re.compile(
            rf"\b\d{{1,2}}\.\d{{1,2}}\.\d{{2,4}}\b|\b\d{{1,2}} {ENGLISH}\b,? \d{{4}}|\b\d{{1,2}}\. {GERMAN_MONTHS}\b|\b\d{{1,2}} Uhr\b"
        ),
    ),
}
"""The zone's city -> who lives there."""
ELSEWHERE = ("UTC", "Europe/Zurich")
"""The zones in which a time is shown by mistake: the server's, and the one that members have by default."""

LOOKS: dict[str, Callable[[Any], str]] = {
    "runs of a journey": lambda town: "/ui/journeys/welcome?tab=runs",
    "who was refused": lambda town: "/ui/journeys/welcome?tab=refused",
    "runs that ended": lambda town: "/ui/journeys/cart_abandonment?tab=runs&status=ended",
    "a run that ended": lambda town: f"/ui/runs/{town.run_of('Felix')}",
    "a run with a task": lambda town: f"/ui/runs/{town.run_of('Julia')}",
    "a run that is stuck": lambda town: f"/ui/runs/{town.run_of('Nina')}",
    "who waits": lambda town: "/ui/journeys/welcome/people?node=two_days&what=waiting",
    "who opened": lambda town: "/ui/journeys/welcome/people?node=hello&what=opened",
    "contacts known since": lambda town: "/ui/contacts?since=2026-03-04",
    "consents of a contact": lambda town: f"/ui/contacts/{town.people['Anna']}?view=consents",
    "consents in a story": lambda town: f"/ui/contacts/{town.people['Anna']}?kind=consent",
    "scores in a story": lambda town: f"/ui/contacts/{town.people['Julia']}?kind=score",
    "tasks in a story": lambda town: f"/ui/contacts/{town.people['Julia']}?kind=task",
    "somebody with dates": lambda town: f"/ui/contacts/{town.people['Ben']}",
    "headers of a mail": lambda town: "/ui/outbox/1?view=headers",
    "a plain mail": lambda town: "/ui/outbox/1?view=text",
    "archived templates": lambda town: "/ui/templates?state=archived",
    "working hours": lambda town: "/ui/settings/workspace/calendar",
    "a journey with dates": lambda town: "/ui/journeys/offer",
    "a drawing with dates": lambda town: "/ui/journeys/offer/edit",
}
"""Name -> an address; further looks at the same pages, where other times stand."""

LAST = {"/ui/journeys/{key}/edit-path": "Anna Meier"}
"""Look -> what is drawn last there, after the rest."""

KNOWN: dict[str, tuple[date, ...]] = {
    "somebody with dates": (date(2026, 12, 24), datetime(2026, 3, 4, 22, 30, tzinfo=UTC), date(2026, 6, 7)),
    "a journey with dates": (date(2026, 2, 3), datetime(2026, 3, 4, 22, 30, tzinfo=UTC)),
    "a drawing with dates": (date(2026, 2, 3), datetime(2026, 3, 4, 22, 30, tzinfo=UTC)),
    "contacts known since": (date(2026, 3, 4),),
}
"""Look -> days and instants that stand there as values, not in columns of their own, and must be told all the same."""


def furnish(town: Any) -> None:
    """What the town has not: everything else on which a time stands."""
    now, by = town.engine.clock.now(), f"member:{town.members['marketer']}"
    town.without_two_days()
    with town.db.write() as session:
        begun = migrate.start(town.engine, session, town.journey("welcome").id, 1, 2, {"two_days": "pause"}, by, now)
    with town.db.write() as session:
        while not migrate.move_chunk(town.engine, session, begun.id, now)[1]:
            pass
    with town.db.write() as session:
        ben, julia = town.people["Ben"], town.people["Julia"]
        dates = {"renewal": "2026-12-24", "bought_at": "2026-03-04T22:30:00+00:00", "next.visit": "2026-05-06T07:08:09Z"}
        update_fields(session, ben, dates, now, "test")
        record_consent(
            session, ben, "sms", "marketing", "withdrawn", now - timedelta(days=1), evidence=Evidence.DATED, source="test", wording="Nein."
        )
        suppression.suppress(session, town.engine.address_keys, "email", "ben@mail.example.org", "complaint", now)
        change_score(session, julia, "fit", 5, False, "test", now, source="test")
        add_key(session, "server", "Shop", now)
        rotate_key(session, add_key(session, "admin", "Robot", now)[0].id, now, timedelta(hours=1))
        secrets.put(session, town.engine.address_keys, "hook", "value", by, now)
        settings.put(session, "tracking", {"level": "none"}, by, now)
        settings.put(session, "calendar", {"days_off": ["2026-12-24"]}, by, now)
        session.get_one(Member, town.members["sales"]).absent_until = now + timedelta(days=5)
        upload = uploads.take(session, uploads.read_sent("b.csv", b"email\nb@example.org\n"), by, now, now)
        add_job(session, "import", f"import:{upload.id}", {"import_id": upload.id, "dry": True}, by, now)
    town.now = now
    town.happens("Ben", "Trip Booked", {"leaves": "2026-06-07", "paid_at": "2026-03-04T22:30:00Z", "seats": 2})


OFFER: dict[str, Any] = {
    "spec": 1,
    "key": "offer",
    "name": "Offer",
    "entry": {
        "triggers": [{"type": "event", "event": "Asked"}],
        "filter": {"field": "created_at", "operator": "after", "value": "2026-02-03"},
    },
    "start": "early",
    "nodes": {
        "early": {"kind": "if_else", "rule": {"field": "bought_at", "operator": "before", "value": "2026-03-04T22:30:00Z"}},
        "end": {"kind": "exit"},
    },
    "edges": [{"from": "early", "outlet": "yes", "to": "end"}, {"from": "early", "outlet": "no", "to": "end"}],
}


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest, town: Any) -> Reader:
    furnish(town)
    reader = READERS[request.param]
    with town.db.write() as session:
        publish.create_journey(session, OFFER, "test", town.now)
        member = session.get_one(Member, town.members["admin"])
        member.locale, member.timezone = reader.locale, reader.zone
    return reader


def test_every_page_tells_times_as_its_reader_does(reader: Reader, log_in: Any, opened: Any, town: Any) -> None:
    client, t = log_in("admin"), translator_in(reader, reader.zone)
    instants = set(of_the_town(town))
    assert len(instants) > 30, "the town has too few times to prove anything"
    ours = {said for at in instants for said in ways(t, at)}
    theirs = {said for zone in ELSEWHERE for at in instants for said in ways(translator_in(reader, zone), at)} - ours
    paths = {page.path: address(page.path, town) for page in PAGES} | {name: at(town) for name, at in {**FURTHER, **LOOKS}.items()}
    wrong: list[str] = []
    with_times = 0
    for name, path in paths.items():
        shell = client.get(path).text
        if "_reactpy" not in shell:
            wrong += [f"{name}: {line}" for line in faults(reader, theirs, frame(shell))]
            continue
        asked_at = town.engine.clock.now()
        with opened(client, path) as page:
            page.see_until(LAST.get(name, ""))
            choices = {t(text) for text in ORDERS.values()} | {"UTC"} if name == "/ui/contacts/import/{id}" else set()
            notes = [t(text).partition("{")[0] for text in (days.IN_UTC, days.COUNTED_IN_UTC)]
            seen = [text for text in (*said(page.model), *frame(shell)) if text not in choices and not text.startswith(tuple(notes))]
            times = [node for node in page.nodes() if node.get("tagName") == "time"]
        with_times += bool(times)
        wrong += [f"{name}: {t.written(at)!r} is missing" for at in KNOWN.get(name, ()) if t.written(at) not in "\n".join(seen)]
        wrong += [f"{name}: {line}" for line in faults(reader, theirs, seen)]
        wrong += [f"{name}: {line}" for node in times if (line := mistold(t, node, asked_at, town.engine.clock.now()))]
    assert not wrong, "\n".join(wrong)
    assert with_times > 20, "most pages tell a time"


def translator_in(reader: Reader, zone: str) -> Translator:
    return translator_of(Member(name="x", email="x", locale=reader.locale, timezone=zone, created_at=datetime.now(UTC)), "", "en")


def of_the_town(town: Any) -> Iterator[datetime]:
    """Every instant that is stored in a column of its own."""
    with town.db.read() as session:
        for table in SQLModel.metadata.sorted_tables:
            for column in table.columns:
                yield from (at for at in session.scalars(select(column)) if isinstance(at, datetime))


def ways(t: Translator, at: datetime) -> tuple[str, ...]:
    return t.moment(at), t.exactly(at)


def said(node: Any, inside: str = "") -> Iterator[str]:
    """What can be read of a page: texts, what is shown when something is pointed at, and what stands in fields."""
    if isinstance(node, str):
        yield node
    if not isinstance(node, dict):
        return
    tag, attributes = node.get("tagName", ""), node.get("attributes", {})
    yield from (str(attributes[name]) for name in ("title", "aria-label", "placeholder", "alt") if attributes.get(name))
    if tag in ("input", "textarea") and attributes.get("type") not in ("date", "datetime-local", "time", "hidden", "checkbox"):
        yield str(attributes.get("defaultValue") or attributes.get("value") or "")
    if "palette" in attributes or "graph" in attributes:
        yield from drawn(json.loads(attributes.get("initial") or attributes["graph"]))
    for child in node.get("children", ()):
        yield from said(child, tag)


def drawn(graph: Any) -> Iterator[str]:
    """The words that a drawing shows: those of its cards, of its notes and of its hints."""
    for node in graph.get("nodes", {}).values():
        yield from (str(node["view"][name]) for name in ("label", "name", "summary"))
    yield json.dumps([graph.get(name) for name in ("notes", "hints", "marks")], ensure_ascii=False)


def frame(shell: str) -> Iterator[str]:
    """The words of the window around a page."""
    bare = re.sub(r"<script.*?</script>|<style.*?</style>", "", shell, flags=re.DOTALL)
    yield from (escaped.unescape(text) for text in re.findall(r">([^<]+)<", bare))
    yield from (escaped.unescape(text) for text in re.findall(r'(?:title|aria-label|placeholder|alt)="([^"]+)"', bare))


def faults(reader: Reader, theirs: set[str], seen: Any) -> list[str]:
    text = "\n".join(seen)
    found = [f"{one.group()!r} in {around(text, one)!r}" for pattern in (ISO, reader.foreign) for one in pattern.finditer(text)]
    return found + [f"{one!r} is the time of another zone" for one in theirs if one in text]


def around(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - 60) : found.end() + 30]


def mistold(t: Translator, node: Any, asked_at: datetime, seen_at: datetime) -> str:
    """What is wrong with a `<time>` drawn between two instants; nothing if it tells its own."""
    at = datetime.fromisoformat(node["attributes"]["dateTime"])
    told = "".join(child for child in node["children"] if isinstance(child, str))
    if node["attributes"].get("title") != t.exactly(at):
        return f"{node['attributes'].get('title')!r} is not {t.exactly(at)!r}"
    if told in (t.moment(at), t.clock(at)):
        return ""
    ago = {t.ago(at, asked_at + timedelta(seconds=second)) for second in range(int((seen_at - asked_at).total_seconds()) + 2)}
    return "" if told in ago else f"{told!r} is not {at.isoformat()}"
