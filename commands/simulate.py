"""`pfadwerk simulate JOURNEY`: one contact walks through a journey on a virtual clock; prints where they went, when and why.

JOURNEY is a file, the key of a journey of the workspace (its draft), or of the gallery. A scenario file holds a script
(`engine.interpreter.simulate.Script`), or a list of them, with `name`, `expect` (the outlets in order: [{"node", "outlet"}]) and `ends` (the reason) on
top; a difference from what is expected is told, and the exit code is 1. Nothing is sent, stored or reached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pydantic import ValidationError

from commands.workspace import database, is_out_of_reach, palette
from engine.interpreter.gate import Limits
from engine.interpreter.simulate import Fill, Line, Script, always_fills
from engine.interpreter.simulate import simulate as walk
from journeys.clock import zone_of
from journeys.compile import Program, compile_journey
from journeys.document import Journey as Document
from journeys.errors import Invalid, NotFound
from journeys.reading import issues_of, read
from journeys.rules import parse_rule, sentence
from journeys.rules.facts import Calendar
from settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Translate = Callable[[str], str]
MAX_HISTORY = 1_000
OLDEST = timedelta(days=1830)
MAX_SCENARIOS = 1_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """A script, and what it must show. `expect` and `ends` None: nothing in particular."""

    name: str = ""
    script: Script = field(default_factory=Script)
    expect: list[tuple[str, str]] | None = None
    ends: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario showed. `fault` is what a node raised; `differences` say what was expected and did not come."""

    scenario: Scenario
    entered: bool
    why_not: list[dict[str, Any]]
    lines: list[Line]
    calls: list[dict[str, Any]]
    outlets: list[tuple[str, str]]
    ended: str | None
    ended_at: datetime | None
    waits_until: datetime | None
    differences: list[str]


def simulate(
    settings: Settings,
    journey: str,
    *,
    out: TextIO,
    translate: Translate,
    script: Path | None = None,
    contact: str | None = None,
    as_json: bool = False,
) -> int:
    """Prints the path of every scenario; 1 if one differs from what its file expects.

    Raises:
        NotFound: no such file, journey or contact.
        Invalid: the journey has errors, or the scenario cannot be read.
    """
    program = _program(settings, journey)
    known = _known_contact(settings, contact) if contact else Known({}, None, None)
    scenarios = read_scenarios(script, known.start)
    fill = _fill(settings, program) if contact or script else always_fills  # a walk of nobody has no values to miss
    outcomes = [run(program, scenario, known.calendar, translate, known.limits, fill) for scenario in scenarios]
    if as_json:
        answer = {"journey": program.key, "scenarios": [_as_json(outcome) for outcome in outcomes]}
        out.write(json.dumps(answer, ensure_ascii=False, indent=2, default=str) + "\n")
    else:
        for outcome in outcomes:
            out.writelines(f"{line}\n" for line in _Teller(program, translate).tell(outcome))
    return 1 if any(outcome.differences for outcome in outcomes) else 0


def _fill(settings: Settings, program: Program) -> Fill:
    """Tries the templates of the workspace, where there is one."""
    try:
        with database(settings) as db, db.read() as session:
            from activities.rehearsal import rehearsal
            from activities.rendering import INLINE
            from activities.tracking import Tracking

            return rehearsal(session, program, Tracking(settings.signing_keys(), settings.public_url), settings.language, INLINE)
    except Exception as error:
        if not is_out_of_reach(error):
            raise
        return always_fills


def run(
    program: Program,
    scenario: Scenario,
    calendar: Calendar | None = None,
    translate: Translate = str,
    limits: Limits | None = None,
    fill: Fill = always_fills,
) -> Outcome:
    """Walks one scenario and compares it with what it expects."""
    path = walk(program, scenario.script, calendar, limits, fill)
    found = path.outlets()
    differences = [*_other_path(scenario.expect, found, translate), *_other_end(scenario.ends, path.ended, translate)]
    return Outcome(
        scenario, path.entered, path.why, path.lines, path.calls, found, path.ended, path.ended_at, path.waits_until, differences
    )


# --- Finding the journey, the contact and the scenarios ---------------------------------------------------------------


def _program(settings: Settings, name: str) -> Program:
    """The program of the journey; its problems are told once each, with their places.

    Raises:
        NotFound: no such file or journey.
        Invalid: the journey has errors.
    """
    try:
        return compile_journey(find_document(settings, name), palette(settings))
    except Invalid as error:
        if not error.issues:
            raise
        raise Invalid("Problems of the journey “{key}” ({count}):", error.issues, key=name, count=len(error.issues)) from None


def find_document(settings: Settings, name: str) -> Document:
    """The journey in the file `name`, else the draft of the workspace's journey of that key, else the gallery's.

    Raises:
        NotFound: there is none of them.
    """
    if Path(name).is_file():
        return read(Path(name).read_bytes(), strict=True)
    found = _draft(settings, name) or _of_gallery(name)
    if found is None:
        raise NotFound("There is no file, journey of the workspace or journey of the gallery called “{name}”.", name=name)
    return found


def _draft(settings: Settings, key: str) -> Document | None:
    from engine.versions.publish import get_journey

    try:
        with database(settings) as db, db.read() as session:
            return read(get_journey(session, key).draft)
    except Exception as error:
        if not (isinstance(error, NotFound) or is_out_of_reach(error)):
            raise
        return None


def _of_gallery(key: str) -> Document | None:
    from journeys.templates import gallery

    return next((entry.journey() for entry in gallery() if entry.key == key), None)


def read_scenarios(file: Path | None, start: Mapping[str, Any]) -> list[Scenario]:
    """The scenarios of a file, each upon `start` (parts of a script, which the file's own parts replace); without a file one that says nothing.

    Raises:
        Invalid: not JSON, or not a scenario; names the field.
    """
    if file is None:
        return [Scenario(script=Script.model_validate(start))]
    try:
        data = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Invalid("{file} is not JSON ({problem}).", file=str(file), problem=str(error)[:200]) from None
    given = data if isinstance(data, list) else [data]
    if not given or len(given) > MAX_SCENARIOS or not all(isinstance(one, dict) for one in given):
        raise Invalid(
            "{file}: expected a scenario (a JSON object), or a list of 1 to {limit} of them.", file=str(file), limit=MAX_SCENARIOS
        )
    return [_scenario(file, number, one, start) for number, one in enumerate(given)]


def _scenario(file: Path, number: int, raw: dict[str, Any], start: Mapping[str, Any]) -> Scenario:
    script = {name: value for name, value in raw.items() if name not in ("name", "expect", "ends")}
    try:
        expect = [(str(step["node"]), str(step["outlet"])) for step in raw["expect"]] if "expect" in raw else None
    except (KeyError, TypeError):
        raise Invalid(
            '{file}: scenario {number}: expected `expect` to be a list of {"node", "outlet"}.', file=str(file), number=number
        ) from None
    try:
        return Scenario(str(raw.get("name", "")), Script.model_validate({**start, **script}), expect, raw.get("ends"))
    except ValidationError as error:
        raise Invalid("{file}: scenario {number} cannot be used.", issues_of(error, script), file=str(file), number=number) from None


@dataclass(frozen=True, slots=True)
class Known:
    """What the workspace knows of a contact, as the beginning of a script; its working hours, quiet hours and caps."""

    start: dict[str, Any]
    calendar: Calendar | None
    limits: Limits | None


def _known_contact(settings: Settings, email: str) -> Known:
    from activities.sending.gate import limits_of
    from crm.people.identity import find
    from workspace.calendar import load_calendar

    with database(settings) as db, db.read() as session:
        contact_id = find(session, ("email", email)) or find(session, ("user_id", email))
        if contact_id is None:
            raise NotFound("There is no contact with this e-mail address or user id.")
        start = _script_of(session, contact_id, datetime.now(UTC)) | {"suppressions": _suppressions(settings, session, contact_id)}
        return Known(start, load_calendar(session, datetime.now(UTC)), limits_of(session))


def _suppressions(settings: Settings, session: Session, contact_id: str) -> dict[str, list[str]]:
    """Channel -> why the contact's address gets nothing there, also by the word of somebody else who has it."""
    from crm.consent import mailbox, suppression
    from journeys.channels import CHANNELS, SENDABLE
    from models import Contact

    keys, contact = tuple(settings.signing_keys().values()), session.get_one(Contact, contact_id)
    found: dict[str, list[str]] = {}
    for channel in SENDABLE:
        address = CHANNELS[channel].address_of(contact)
        if address:
            reasons = suppression.reasons(session, keys, channel, address)
            no = mailbox.says_no(session, keys, channel, "marketing", address)
            found[channel] = [*reasons, *(["unsubscribe"] if no else [])]
    return {channel: reasons for channel, reasons in found.items() if reasons}


def _script_of(session: Session, contact_id: str, now: datetime) -> dict[str, Any]:
    """What is known about the contact as the beginning of a script that starts now."""
    from sqlalchemy import select

    from crm.people.profile import tags
    from crm.rules.sql_facts import SqlFacts
    from journeys.rules.fields import CONTACT_COLUMNS
    from models import ConsentState, Event, Score
    from workspace.members import list_rotations, next_owner

    facts = SqlFacts(session, contact_id, as_of=now)
    fields = {name: facts.value(name) for name in CONTACT_COLUMNS} | dict(facts.contact["attributes"])
    fields["company"] = dict(facts.company) or (None if isinstance(fields.get("company"), dict) else fields.get("company"))
    consents = session.execute(
        select(ConsentState.channel, ConsentState.purpose, ConsentState.state).where(ConsentState.contact_id == contact_id)  # type: ignore[call-overload]
    )
    scores = session.execute(select(Score.score_group, Score.value).where(Score.contact_id == contact_id))  # type: ignore[call-overload]
    events = session.scalars(
        select(Event).where(Event.contact_id == contact_id, Event.occurred_at > now - OLDEST).order_by(Event.id.desc()).limit(MAX_HISTORY)  # type: ignore[arg-type,union-attr]
    )
    return {
        "start": now,
        "contact": {name: value for name, value in fields.items() if value is not None},
        "tags": tags(session, contact_id),
        "consents": [tuple(row) for row in consents],
        "scores": dict(scores.all()),
        "rotations": {row.pool: [owner] for row in list_rotations(session) if (owner := next_owner(session, row.pool, now))},
        "history": [
            {"after": max(now - event.occurred_at, timedelta(0)), "name": event.name, "properties": event.properties} for event in events
        ],
    }


# --- Comparing ---------------------------------------------------------------------------------------------------------


def _other_path(expected: Sequence[tuple[str, str]] | None, found: Sequence[tuple[str, str]], translate: Translate) -> Iterator[str]:
    """The first place where the paths part; the rest follows from it."""
    if expected is None or list(expected) == list(found):
        return
    place = next((i for i, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), min(len(expected), len(found)))
    text = translate("Step {number} of the path: expected {expected}, got {found}.")
    yield text.format(number=place + 1, expected=_step(expected, place, translate), found=_step(found, place, translate))


def _step(path: Sequence[tuple[str, str]], place: int, translate: Translate) -> str:
    return " → ".join(path[place]) if place < len(path) else translate("nothing more")


def _other_end(expected: str | None, found: str | None, translate: Translate) -> Iterator[str]:
    if expected is not None and expected != found:
        yield translate("The end: expected {expected}, got {found}.").format(
            expected=expected, found=found or translate("none, it is waiting")
        )


# --- Telling -----------------------------------------------------------------------------------------------------------


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.scenario.name,
        "entered": outcome.entered,
        "why_not": outcome.why_not,
        "path": [{"node": node, "outlet": outlet} for node, outlet in outcome.outlets],
        "lines": [
            {"at": line.at.isoformat(), "node": line.node, "what": line.what, "outlet": line.outlet, "detail": line.detail}
            for line in outcome.lines
        ],
        "calls": [{**call, "at": call["at"].isoformat()} for call in outcome.calls],
        "ended": outcome.ended,
        "ended_at": outcome.ended_at.isoformat() if outcome.ended_at else None,
        "waits_until": outcome.waits_until.isoformat() if outcome.waits_until else None,
        "differences": outcome.differences,
    }


class _Teller:
    """One outcome as a timeline for people, in the contact's time zone."""

    def __init__(self, program: Program, translate: Translate) -> None:
        self._program = program
        self._translate = translate
        self._names = {id: str(raw.get("name") or id) for id, raw in program.journey.nodes.items()}
        self._width = max((len(name) for name in self._names.values()), default=0)

    def tell(self, outcome: Outcome) -> Iterator[str]:
        script = outcome.scenario.script
        zone = zone_of(script.contact.get("timezone"), self._program.settings.timezone)
        title = f"{self._program.journey.name} ({self._program.key})"
        yield f"{title}: {outcome.scenario.name}" if outcome.scenario.name else title
        if not outcome.entered:
            yield self._say("Does not enter because of the entry filter:")
            yield from self._reasons(outcome.why_not, " ")
        yield from self._timeline(outcome, zone)
        yield self._end(outcome, zone)
        yield from (f"✗ {difference}" for difference in outcome.differences)
        if (outcome.scenario.expect is not None or outcome.scenario.ends) and not outcome.differences:
            yield "✓ " + self._say("as expected")
        yield ""

    def _timeline(self, outcome: Outcome, zone: tzinfo) -> Iterator[str]:
        calls = iter(outcome.calls)
        shown: tuple[str, str] = ("", "")
        for line in outcome.lines:
            said = self._said(line, calls, zone)
            if said is None:
                continue
            at = f"{line.at.astimezone(zone):%Y-%m-%d %H:%M}"
            place = (at, line.node)
            yield f"  {at if at != shown[0] else '':16}  {self._names.get(line.node, line.node) if place != shown else '':{self._width}}  {said}"
            shown = place
            yield from self._reasons(line.detail.get("rule", ()), " " * (22 + self._width))
            for name, reasons in line.detail.get("cases", {}).items():
                yield f"{' ' * (22 + self._width)}{name}:"
                yield from self._reasons(reasons, " " * (24 + self._width))

    def _said(self, line: Line, calls: Iterator[dict[str, Any]], zone: tzinfo) -> str | None:
        match line.what:
            case "waiting":
                return self._waiting(line.detail, zone)
            case "calling":
                return self._calling(next(calls, None))
            case "heard":
                return self._say("on {event}", event=line.detail.get("event", ""))
            case "left":
                return f"→ {line.outlet}{self._notes(line.detail)}"
            case "exited":
                event = line.detail.get("event")
                return self._say("exits right away: {event}", event=event) if event else self._say("exits right away, by rule:")
            case _:
                return None

    def _waiting(self, detail: Mapping[str, Any], zone: tzinfo) -> str:
        until = detail.get("until")
        at = f"{datetime.fromisoformat(until).astimezone(zone):%Y-%m-%d %H:%M}" if until else self._say("for ever")
        branches = detail.get("branches")
        return (
            self._say("waits until {at} for: {branches}", at=at, branches=", ".join(branches))
            if branches
            else self._say("waits until {at}", at=at)
        )

    def _calling(self, call: Mapping[str, Any] | None) -> str | None:
        if call is None:
            return None
        content = (
            call["input"].get("template") or call["input"].get("subject") or call["input"].get("text") or call["input"].get("url") or ""
        )
        reason = f"  ({self._say('not sent: {reason}', reason=call['reason'])})" if call.get("reason") else ""
        return f"{call['channel']}: {str(content)[:80]}{reason}"

    def _notes(self, detail: Mapping[str, Any]) -> str:
        plain = {
            name: value
            for name, value in detail.items()
            if name not in ("rule", "cases", "branch") and isinstance(value, str | int | float)
        }
        return f"  ({', '.join(f'{name}: {value}' for name, value in plain.items())})" if plain else ""

    def _reasons(self, rows: Sequence[Mapping[str, Any]], indent: str) -> Iterator[str]:
        for row in rows:
            words = sentence(parse_rule(row["term"]), self._translate, self._names)
            yield f"{indent}{'✓' if row['result'] else '✗'} {words}  [{self._actual(row['actual'])}]"

    def _actual(self, actual: Any) -> str:
        if isinstance(actual, dict) and "count" in actual:
            return self._say("{count} times", count=actual["count"])
        return self._say("nothing") if actual is None else str(actual)

    def _end(self, outcome: Outcome, zone: tzinfo) -> str:
        if outcome.ended is not None and outcome.ended_at is not None:
            span = outcome.ended_at - outcome.scenario.script.start
            return self._say(
                "  Ends {at} after {span}: {reason}", at=_shown(outcome.ended_at, zone), span=self._span(span), reason=outcome.ended
            )
        if not outcome.entered:
            return self._say("  Nothing happens.")
        if outcome.waits_until is not None:
            return self._say("  Still waits, until {at}.", at=_shown(outcome.waits_until, zone))
        return self._say("  Still waits for something to happen.")

    def _span(self, span: timedelta) -> str:
        minutes = round(span.total_seconds() / 60)
        parts = {"days": minutes // 1440, "hours": minutes % 1440 // 60, "minutes": minutes % 60}
        return self._say("{days} d {hours} h {minutes} min", **parts)

    def _say(self, text: str, **values: object) -> str:
        return self._translate(text).format(**values)


def _shown(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
