"""A name offered is a promise: every event, setting, channel, outlet and column that is offered has somebody who writes it and somebody who reads it.

The story: five events of the catalogue were never written, two settings did nothing, and consent pages asked about channels that nothing could
send. Each list is walked here, and each walk is shown to find a name that nobody keeps.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter
from sqlmodel import SQLModel

import models
from activities.providers.outbox import Outbox
from activities.rendering.compile import PARTS
from activities.sending import effect
from activities.sending.messages import SENT
from activities.team.handler import TeamHandler
from activities.webhooks.handler import WebhookHandler
from api.admin.run_timeline import TrailLine
from builder_ui.kit import labels
from engine.runs.trail import KINDS
from journeys.catalogue import EVENTS, SYSTEM_EVENTS
from journeys.channels import ASKED, CONSENTS, SENDABLE, TO_TEAM
from journeys.nodes import BUILT_IN, Palette
from journeys.rules.terms.message import MESSAGE_EVENTS, OFFERED
from settings import CHANNELS, Settings
from storage.run_rows import milestone

ROOT = Path(__file__).parents[1]
ROOMS = ("activities", "api", "builder_ui", "commands", "crm", "engine", "journeys", "reports", "storage", "workspace")
assert models


@cache
def product() -> Mapping[str, ast.Module]:
    """File -> its tree: what runs, without tables, tests and benchmarks."""
    files = [*(path for room in ROOMS for path in (ROOT / room).rglob("*.py")), ROOT / "worker.py", ROOT / "cli.py"]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8")) for path in files}


def texts(*, without: Iterable[str] = ()) -> set[str]:
    """Every text that stands in the code."""
    left_out = set(without)
    return {
        node.value
        for name, tree in product().items()
        if name not in left_out
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


# Events


LISTS_OF_EVENTS = (
    "journeys/catalogue.py",
    "journeys/rules/terms/message.py",
    "engine/interpreter/simulate.py",
    "builder_ui/contacts/timeline/events.py",
    "builder_ui/contacts/timeline/lines.py",
)
"""Where names of events are only listed, shown or played, not written."""


def unwritten(offered: Iterable[str]) -> set[str]:
    assert all(name in product() for name in LISTS_OF_EVENTS)
    return set(offered) - texts(without=LISTS_OF_EVENTS)


def test_every_event_of_ours_that_the_catalogue_offers_is_written() -> None:
    ours = SYSTEM_EVENTS & set(EVENTS)
    assert len(ours) >= 12
    assert unwritten(ours) == set()
    assert unwritten({*ours, "Message Read"}) == {"Message Read"}


WRITERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("Message Delivered", "Message Bounced", "Message Complained"), ("activities/happenings.py:properties_of", "activities/happenings.py:_events")),
    "Message Opened": ("activities/tracking.py:_event",),
    "Message Clicked": ("activities/tracking.py:_event", "activities/tracking.py:record_click"),
    "Message Replied": ("activities/happenings.py:properties_of", "activities/replies.py:_record"),
    "Message Auto-Replied": ("activities/happenings.py:properties_of", "activities/replies.py:take_automatic"),
    "Contact Changed": ("crm/people/profile.py:write_fields", "crm/people/profile.py:add_tag", "crm/people/profile.py:remove_tag"),
    "Device Added": ("crm/people/devices.py:register",),
    "Device Removed": ("crm/people/devices.py:_take_away",),
    "Score Changed": ("crm/people/scores.py:change_score",),
    "Score Threshold Reached": ("crm/scoring/booking.py:_cross",),
    "Consent Changed": ("crm/consent/consent.py:record_consent",),
    "Lead Source Changed": ("crm/people/touches.py:told",),
    "Subscription Confirmed": ("crm/consent/double_opt_in.py:confirm",),
    "Task Finished": ("crm/sales/tasks.py:finish",),
    "Task Overdue": ("crm/sales/tasks.py:_escalate",),
    **dict.fromkeys(("Note Added", "Call Logged"), ("crm/people/notes.py:_written", "crm/people/notes.py:log_call")),
    **dict.fromkeys(("Segment Entered", "Segment Left"), ("crm/segments/evaluation.py:row_of",)),
    **dict.fromkeys(("Company Joined", "Company Left"), ("crm/companies/members.py:_properties",)),
    "Company Changed": ("crm/companies/members.py:tell_change",),
    "Journey Start Delayed": ("engine/enrolment/routing.py:_delayed",),
}  # fmt: skip
"""Event -> the functions that write what it says. Those that say different things of several events are called (`told`)."""


def said(place: str) -> set[str]:
    """The keys of all that a function writes out."""
    name, _, function = place.partition(":")
    [found] = [node for node in ast.walk(product()[name]) if isinstance(node, ast.FunctionDef) and node.name == function]
    inside = list(ast.walk(found))
    keys = [key for node in inside if isinstance(node, ast.Dict) for key in node.keys]
    keys += [node.slice for node in inside if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)]
    return {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def told(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, set[str]]:
    """What is said by writers that say more of one event than of another, as they write it."""
    rows: list[Mapping[str, Any]] = []
    monkeypatch.setattr(effect, "insert_events", lambda _session, written: rows.extend(written))
    monkeypatch.setattr(effect, "is_heard", lambda *_: False)
    engine: Any = SimpleNamespace(tracing=SimpleNamespace(span=lambda *_, **__: nullcontext(), here=lambda: None))
    run: Any = SimpleNamespace(id="r", contact_id="c", hops=0)
    for status in ("sent", "bounced", "skipped"):
        about = effect.DeliveryOutcome(run, "j", "a", "email", "t", "r:a:0", "marketing")
        effect.append_outcome(engine, engine, about, status, datetime(2026, 3, 2, tzinfo=UTC), "code")
    rows += [milestone(name, "r", "c", "j", 1, datetime(2026, 3, 2, tzinfo=UTC), reason=why) for name, why in (("Journey Entered", ""), ("Journey Ended", "goal"))]  # fmt: skip
    return {row["name"]: set(row["properties"]) for row in rows}


def unsaid(offered: Mapping[str, Iterable[str]], more: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Event -> its properties that nobody writes."""
    written = {name: more.get(name, set()).union(*map(said, WRITERS.get(name, ()))) for name in offered}
    return {name: missing for name, properties in offered.items() if (missing := set(properties) - written[name])}


def test_every_property_of_ours_that_the_catalogue_offers_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    offered, more = {name: EVENTS[name] for name in SYSTEM_EVENTS}, told(monkeypatch)
    assert unsaid(offered, more) == {}
    wrong = {"Message Opened": ["link"], "Message Sent": ["reason"], "Journey Entered": ["reason"], "Task Finished": ["colour"]}
    assert unsaid(wrong, more) == {name: set(properties) for name, properties in wrong.items()}


# Settings


def unread(offered: Iterable[str]) -> set[str]:
    """Settings that no process asks for: `settings.NAME`, or `self.NAME` inside a method of the settings that somebody calls."""
    bases = {"settings", "self.settings", "self._settings", "server.settings"}  # a journey has settings, too: `program.settings`
    read = {
        node.attr
        for tree in product().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in bases
    }
    for method in ast.walk(ast.parse((ROOT / "settings.py").read_text("utf-8"))):
        if isinstance(method, ast.FunctionDef) and method.name in read:
            read |= {node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    return set(offered) - read


def test_every_setting_is_read() -> None:
    assert unread(Settings.model_fields) == set()
    assert unread([*Settings.model_fields, "colour"]) == {"colour"}


def test_every_process_reaches_temporal_in_the_same_way() -> None:
    how = Settings(temporal_address="127.0.0.1:7233", temporal_tls=True, temporal_api_key="k" * 20).temporal()
    assert how == {"address": "127.0.0.1:7233", "namespace": "pfadwerk", "tls": True, "api_key": "k" * 20}
    for name, tree in product().items():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Temporal.connect":
                assert "settings.temporal()" in ast.unparse(call), name


# Channels


def test_every_channel_that_is_offered_can_be_sent_on() -> None:
    steps = {kind.effect_channel for kind in BUILT_IN if kind.effect_channel}
    for channel in SENDABLE:
        assert channel in steps, "a step sends on it"
        assert channel in PARTS, "templates are written for it"
        assert channel in Outbox.channels, "a provider carries it"
        assert channel in labels.CHANNELS, "it has a name"
    assert set(CHANNELS) == {*SENDABLE, *TO_TEAM}
    assert set(ASKED) - {"tracking"} == set(SENDABLE)
    assert set(ASKED) <= set(CONSENTS)


@pytest.mark.parametrize(
    "name", ["builder_ui/contacts/edit.py", "builder_ui/contacts/list.py", "journeys/rules/terms/consent.py", "settings.py"]
)
def test_who_offers_channels_asks_the_one_list(name: str) -> None:
    source = (ROOT / name).read_text("utf-8")
    assert re.search(r"from journeys\.channels import .*\b(ASKED|SENDABLE)\b", source)
    assert not re.search(r'"(whatsapp|push|postcard|in_app)"', source)


def test_conditions_offer_what_messages_report() -> None:
    assert {MESSAGE_EVENTS[name] for name in OFFERED} <= set(EVENTS)


# Outlets


def cases_of(kind: str) -> list[dict[str, Any]]:
    cases = json.loads((ROOT / "tests" / "journeys" / "nodes" / "cases" / f"{kind}.json").read_text("utf-8"))
    return [case for case in cases if case["answer"].get("answer")]


def outlets_of(kind: str, case: dict[str, Any]) -> set[str]:
    node = Palette.built_in().parse("here", {"kind": kind, **case["node"]})
    assert not isinstance(node, list)
    return set(node.outlets())


PERFORMED: Mapping[str, Iterable[str]] = {
    **dict.fromkeys(SENDABLE, SENT.values()),
    "team": TeamHandler.__dataclass_fields__["outlets"].default_factory().values(),  # type: ignore[misc]
    "webhook": WebhookHandler.__dataclass_fields__["outlets"].default_factory().values(),  # type: ignore[misc]
}
"""Channel -> the outlets that its performer answers with."""


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_every_outlet_is_left_through(kind: Any) -> None:
    cases = cases_of(kind.kind)
    offered = set().union(*(outlets_of(kind.kind, case) for case in cases))
    left = {case["answer"].get("outlet", "next") for case in cases if case["answer"]["answer"] == "leave"}
    assert left == offered
    if kind.effect_channel and offered != {"next"}:
        assert offered == set(PERFORMED[kind.effect_channel])


# Columns


@cache
def uses() -> tuple[frozenset[str], frozenset[str]]:
    """(names that are written, names that are read): attributes, keys and keywords of the code."""
    written: set[str] = set()
    read: set[str] = set()
    for tree in product().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                (written if isinstance(node.ctx, ast.Store) else read).add(node.attr)
            elif isinstance(node, ast.keyword) and node.arg:
                written.add(node.arg)
            elif isinstance(node, ast.Dict):
                written |= {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                read.add(node.target.id)
            elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                (written if isinstance(node.ctx, ast.Store) else read).add(node.slice.value)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch("[a-z_]{1,40}", node.value):
                read.add(node.value)
    return frozenset(written), frozenset(read)


def unkept(columns: Iterable[str]) -> set[str]:
    written, read = uses()
    return {name for name in columns if name not in written or name not in read}


def test_every_column_is_written_and_read() -> None:
    columns = {column.name for table in SQLModel.metadata.sorted_tables for column in table.columns}
    assert unkept(columns) == set()
    assert unkept({*columns, "shoe_size"}) == {"shoe_size"}


# Lines of a run's timeline


def test_every_kind_of_line_is_described_for_programs() -> None:
    """A line of a kind that the interface does not know would answer 500 for the whole run."""
    lines = get_args(get_args(TrailLine)[0])
    assert {kind for line in lines for kind in line.model_fields["what"].annotation.__args__} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_line_is_answered_after_an_erasure(kind: str) -> None:
    """An erasure takes what a line said, and leaves the line."""
    line = {"step": 1, "seq": 0, "at": "2026-03-02T09:00:00Z", "node": "a", "outlet": "", "what": kind, "detail": {}}
    assert TypeAdapter(TrailLine).validate_python(line).what == kind
