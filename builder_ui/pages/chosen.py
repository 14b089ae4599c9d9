"""What can be done with the contacts chosen in the list: tags, a journey, a file. For some at once, for all that fit as long work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui import parts
from builder_ui.compat import Element, component, html, use_state
from builder_ui.speech import Speech
from builder_ui.visit import Acts, Do, Visit
from builder_ui.words import REFUSALS, coded
from crm import profile
from crm.contacts import MAX_COUNTED, Wanted
from crm.jobs import WANTED, add_job
from engine import by_hand
from engine.enrol import Entered
from engine.wakeups import Wakeups
from journeys.errors import PfadwerkError
from models import Journey, new_id

AT_ONCE = 10
"""Contacts changed in one transaction."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a look ahead or an act came to. `undo`: (tag, contacts, whether it was added); `job`: the work that has begun."""

    lines: tuple[str, ...] = ()
    undo: tuple[str, tuple[str, ...], bool] | None = None
    journey: str = ""
    job: str = ""


@component
def Chosen(visit: Visit, live: Mapping[str, str], acts: Acts, ids: tuple[str, ...]) -> Element:
    """The bar over what is chosen: tags with their way back, a journey with a look ahead, a file."""
    told, set_told = use_state(Told())
    speech = visit.speech

    def tagging(added: bool, undo: tuple[str, tuple[str, ...], bool] | None = None) -> Callable[..., Any]:
        async def handler(*event: Any) -> None:
            tag, whom = (undo[0], undo[1]) if undo else (acts.drafts.get("tag", "").strip(), ids)
            changed: list[str] = []
            done = "The tag is added." if added else "The tag is taken away."
            await acts.act("contact.change", tag_all(whom, tag, added, changed), done)(*event)
            set_told(Told(undo=(tag, tuple(changed), added)) if changed and not undo else Told())

        return handler

    async def look_ahead(*_event: Any) -> None:
        key = acts.drafts.get("into", "")
        look = lambda session, journey: by_hand.preview_some(visit.engine, session, journey, ids, visit.house.now())  # noqa: E731
        set_told(await asyncio.to_thread(foretell, visit, key, look) if key else Told((speech("Choose a journey first."),)))

    async def enrol(*event: Any) -> None:
        await acts.act("run.start_many", enrol_all(told.journey, ids), "Whoever may enter the journey has entered it.")(*event)
        set_told(Told())

    return html.div(
        {"className": "bulk", "role": "region", "aria-label": speech("With those chosen")},
        html.b(speech("{count} chosen", count=speech.number(len(ids)))),
        tag_field(visit, acts, tagging) if visit.may("contact.change") else None,
        journey_field(visit, live, acts, look_ahead) if visit.may("run.start_many") else None,
        html.a({"className": "button", "href": f"/ui/export/contacts.csv?ids={','.join(ids)}"}, speech("Export CSV"))
        if visit.may("list.export")
        else None,
        html.div({"role": "status"}, [html.p({"key": line}, line) for line in told.lines]),
        parts.button(speech("Enrol now"), enrol, "route", "main") if told.journey else None,
        parts.button(speech("Undo"), tagging(not told.undo[2], told.undo), None) if told.undo else None,
    )


@component
def Everyone(visit: Visit, live: Mapping[str, str], acts: Acts, wanted: Wanted, count: int) -> Element:
    """The same for all whom the filters find, however many: the work goes on page by page when this page is long closed."""
    told, set_told = use_state(Told())
    speech = visit.speech

    def begun(act: str, doing: Callable[[list[str]], Do]) -> Callable[..., Any]:
        async def handler(*event: Any) -> None:
            jobs: list[str] = []
            await acts.act(act, doing(jobs), "The work has begun and goes on by itself.")(*event)
            set_told(Told(job=jobs[0]) if jobs else Told())

        return handler

    def tagging(added: bool) -> Callable[..., Any]:
        return begun("contact.tag_many", lambda jobs: begin_tagging(wanted, acts.drafts.get("tag", ""), added, count, jobs))

    async def look_ahead(*_event: Any) -> None:
        key = acts.drafts.get("into", "")
        look = lambda session, journey: by_hand.preview_bulk(visit.engine, session, journey, wanted, visit.house.now())  # noqa: E731
        set_told(await asyncio.to_thread(foretell, visit, key, look) if key else Told((speech("Choose a journey first."),)))

    enrol = begun("run.start_many", lambda jobs: begin_enrolling(told.journey, wanted, count, jobs))
    return html.div(
        {"className": "bulk", "role": "region", "aria-label": speech("With those chosen")},
        html.b(all_of(speech, count)),
        tag_field(visit, acts, tagging, speech("For all of them, page by page. This has no undo."))
        if visit.may("contact.tag_many")
        else None,
        journey_field(visit, live, acts, look_ahead) if visit.may("run.start_many") else None,
        html.div({"role": "status"}, [html.p({"key": line}, line) for line in told.lines]),
        parts.button(speech("Enrol now"), enrol, "route", "main") if told.journey else None,
        html.a({"className": "button", "href": "/ui/settings/work"}, speech("See how far it is")) if told.job else None,
    )


def all_of(speech: Speech, count: int) -> str:
    """How the filters' whole find is called."""
    if count > MAX_COUNTED:
        return speech("All that fit, more than {count}", count=speech.number(MAX_COUNTED))
    return speech("All {count} that fit", count=speech.number(count))


def begin_tagging(wanted: Wanted, tag: str, added: bool, count: int, jobs: list[str]) -> Do:
    def do(visit: Visit) -> Wakeups:
        input = {WANTED: wanted.kept(), "tag": profile.read_tag(tag), "added": added}
        return begin(visit, "bulk_tag", "contacts", input, count, jobs)

    return do


def begin_enrolling(journey_id: str, wanted: Wanted, count: int, jobs: list[str]) -> Do:
    def do(visit: Visit) -> Wakeups:
        return begin(visit, "bulk_enrol", f"journey:{journey_id}", {WANTED: wanted.kept(), "journey_id": journey_id}, count, jobs)

    return do


def begin(visit: Visit, kind: str, subject: str, input: dict[str, Any], count: int, jobs: list[str]) -> Wakeups:
    """Queues a job, whose id goes into `jobs`."""
    with visit.engine.db.write() as session:
        total = count if count <= MAX_COUNTED else None
        job = add_job(session, kind, subject, input, visit.by, visit.house.now(), total)
    jobs.append(job.id)
    visit.house.look()
    return Wakeups()


def tag_field(visit: Visit, acts: Acts, tagging: Callable[[bool], Callable[..., Any]], hint: str = "") -> Element:
    speech = visit.speech
    ways = [(speech("Add tag"), tagging(True)), (speech("Remove tag"), tagging(False))]
    return parts.choose(speech("Tags"), hint, ways, "flag", parts.kept(acts, "tag", speech("Name of the tag"), 120))


def journey_field(visit: Visit, live: Mapping[str, str], acts: Acts, look_ahead: Callable[..., Any]) -> Element:
    speech = visit.speech
    field = parts.kept_choice(acts, "into", speech("Journey"), {"": "–", **live})
    return parts.choose(
        speech("Enrol"), speech("Nobody enters before you have seen who would."), [(speech("Who would enter?"), look_ahead)], "route", field
    )


def foretell(visit: Visit, key: str, look: Callable[[Session, str], by_hand.BulkPreview]) -> Told:
    """Who would enter a journey now, and why the others would not; `look(session, journey id)` asks."""
    speech = visit.speech
    try:
        with visit.engine.db.read() as session:
            journey = session.scalar(select(Journey).where(Journey.key == key))
            if journey is None:
                return Told((speech("This journey does not exist any more."),))
            found = look(session, journey.id)
    except PfadwerkError as error:
        return Told((error.say(speech.translate),))
    some = found.judged < found.count
    values = {"count": speech.number(found.would_enter), "all": speech.number(found.judged), "name": journey.name}
    lines = [
        speech("Of the first {all}, {count} would enter “{name}”.", **values)
        if some
        else speech("{count} of {all} would enter “{name}”.", **values)
    ]
    lines += [f"{speech.number(number)} ×: {coded(speech, REFUSALS, reason)}" for reason, number in sorted(found.refused.items())]
    return Told(tuple(lines), journey=journey.id if found.would_enter or some else "")


def tag_all(ids: Sequence[str], tag: str, added: bool, changed: list[str]) -> Do:
    """Adds a tag or takes it away, for those where that changes something; their ids go into `changed`."""

    def do(visit: Visit) -> Wakeups:
        now, wakeups = visit.house.now(), Wakeups()
        profile.read_tag(tag)
        for few in batched(sorted(ids), AT_ONCE):
            with visit.engine.db.write() as session:
                woken, those = by_hand.tag_some(visit.engine, session, few, tag, added, now, visit.by)
            wakeups.add(woken)
            changed.extend(those)
        return wakeups

    return do


def batched(ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + most] for start in range(0, len(ids), most))


def enrol_all(journey_id: str, ids: Sequence[str]) -> Do:
    """Enrols those who may enter, each in a transaction of its own."""

    def do(visit: Visit) -> Wakeups:
        wakeups, occasion = Wakeups(), f"chosen:{new_id()}"
        for id in ids:
            with visit.engine.db.write() as session:
                answer = by_hand.enrol_contact(visit.engine, session, journey_id, id, {}, visit.house.now(), visit.by, occasion)
                if isinstance(answer, Entered):
                    wakeups.add(answer.wakeups)
        return wakeups

    return do
