"""The simulator asks the gate of a real send: what would not leave does not leave here, and what would wait waits."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from engine.interpreter.gate import Cap, Expiry, HoldOut, Limits, QuietTime, Spacing, is_held_out
from engine.interpreter.simulate import Path, Script, Written, simulate
from journeys.channels import CHANNELS
from journeys.compile import compile_journey
from journeys.nodes import Palette
from journeys.reading import read

JOURNEY: dict[str, Any] = {
    "spec": 1,
    "key": "news",
    "name": "News",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "exit_when": [{"event": "Unsubscribed"}],
    "start": "one",
    "nodes": {
        "one": {"kind": "send_email", "template": "one"},
        "two": {"kind": "send_email", "template": "two"},
        "end": {"kind": "exit"},
    },
    "edges": [
        *({"from": "one", "outlet": outlet, "to": "two"} for outlet in ("sent", "skipped", "failed")),
        *({"from": "two", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")),
    ],
}
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONTACT = {"email": "ada@example.org", "timezone": "UTC"}
GRANTED = [("email", "marketing", "granted")]


def walked(limits: Limits | None = None, settings: dict[str, Any] | None = None, **script: Any) -> Path:
    document = {**JOURNEY, "settings": {"timezone": "UTC", **(settings or {})}}
    given = {"contact": CONTACT, "consents": GRANTED, "start": NINE, **script}
    return simulate(compile_journey(read(document), Palette.built_in()), Script.model_validate(given), limits=limits)


def calls(path: Path) -> list[tuple[str, str]]:
    return [(call["outlet"], call["reason"]) for call in path.calls]


def test_who_agreed_gets_both() -> None:
    assert calls(walked()) == [("sent", ""), ("sent", "")]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"contact": {}}, "no_address"),
        ({"consents": []}, "no_consent"),
        ({"consents": [("email", "marketing", "pending")]}, "no_consent"),
        ({"suppressions": {"email": ["hard_bounce"]}}, "suppressed_hard_bounce"),
    ],
)
def test_what_the_gate_refuses_is_skipped_and_says_why(script: dict[str, Any], reason: str) -> None:
    assert calls(walked(**script)) == [("skipped", reason)] * 2


def test_the_consents_of_a_script_have_no_age_and_do_not_expire() -> None:
    limits = Limits(expiries=(Expiry("marketing", timedelta(days=30)),))
    assert calls(walked(limits)) == [("sent", ""), ("sent", "")]


def test_a_declined_topic_is_the_templates_unless_the_step_says_otherwise() -> None:
    declined = {"contact": CONTACT, "consents": [*GRANTED, ("topic", "events", "withdrawn")], "start": NINE}
    script, document = Script.model_validate(declined), {**JOURNEY, "settings": {"timezone": "UTC"}}
    document["nodes"] = {**JOURNEY["nodes"], "two": {**JOURNEY["nodes"]["two"], "topic": "tips"}}
    path = simulate(compile_journey(read(document), Palette.built_in()), script, topics={"one": "events", "two": "events"})
    assert calls(path) == [("skipped", "topic_declined"), ("sent", "")]


def test_who_is_in_a_messages_control_group_is_so_in_every_version_and_of_that_message_alone() -> None:
    document = {**JOURNEY, "nodes": {**JOURNEY["nodes"], "one": {**JOURNEY["nodes"]["one"], "hold_out": 50}}}
    contacts = [f"c{number}" for number in range(30)]
    held_out = {id for id in contacts if is_held_out(HoldOut(50, "message/news/one"), id)}
    assert 0 < len(held_out) < 30
    for version in (document, {**document, "name": "another name", "settings": {"timezone": "UTC"}}):
        program = compile_journey(read(version), Palette.built_in())
        for id in contacts:
            path = simulate(program, Script.model_validate({"contact": {**CONTACT, "id": id}, "consents": GRANTED, "start": NINE}))
            assert calls(path) == [("skipped", "message_hold_out") if id in held_out else ("sent", ""), ("sent", "")]


def test_a_transactional_message_needs_no_consent() -> None:
    assert calls(walked(settings={"message_class": "transactional"}, consents=[]))[0] == ("sent", "")


def test_what_the_script_answers_wins() -> None:
    assert calls(walked(consents=[], answers={"one": "sent"})) == [("sent", ""), ("skipped", "no_consent")]


def test_quiet_hours_hold_until_the_morning() -> None:
    path = walked(Limits(QuietTime(time(8), time(20))))
    assert [call["at"] for call in path.calls] == [NINE.replace(hour=20)] * 2


def test_a_cap_holds_the_second_until_there_is_room() -> None:
    path = walked(Limits(caps=(Cap("default", 1, timedelta(hours=6)),)))
    assert [call["at"] for call in path.calls] == [NINE, NINE + timedelta(hours=6)]


@pytest.mark.parametrize(
    ("by", "on", "leaves"), [(False, "email", NINE + timedelta(hours=3)), (True, "email", NINE), (False, "push", NINE)]
)
def test_a_rule_between_channels_holds_until_it_has_kept_its_distance(by: bool, on: str, leaves: datetime) -> None:
    """No SMS within four hours after an e-mail was opened, by a person."""
    text = {"kind": "send_sms", "text": "Hi"}
    document = {**JOURNEY, "nodes": {**JOURNEY["nodes"], "one": text}}
    opened = {"name": "Message Opened", "after": timedelta(hours=1), "properties": {"channel": on, "machine": by}}
    script = {
        "contact": {**CONTACT, "phone": "+41446681800"}, "consents": [("sms", "marketing", "granted")], "start": NINE, "history": [opened],
    }  # fmt: skip
    limits = Limits(spacings=(Spacing("sms", "Message Opened", "email", timedelta(hours=4)),))
    path = simulate(compile_journey(read(document), Palette.built_in()), Script.model_validate(script), limits=limits)
    assert (path.calls[0]["at"], calls(path)[0]) == (leaves, ("sent", ""))


def test_what_would_wait_for_too_long_is_skipped() -> None:
    path = walked(Limits(caps=(Cap("default", 1, timedelta(hours=6)),)), {"hold_at_most": "PT1H"})
    assert calls(path) == [("sent", ""), ("skipped", "held_too_long_frequency_cap")]


def test_an_exit_acts_while_a_message_is_held() -> None:
    path = walked(Limits(QuietTime(time(8), time(20))), events=[{"after": "PT1H", "name": "Unsubscribed"}])
    assert (path.calls, path.ended_at) == ([], NINE + timedelta(hours=1))


def test_a_message_that_cannot_be_written_is_skipped_before_the_gate_is_asked() -> None:
    """What the template may read is what a real one reads; a refusal uses no cap up."""
    seen: list[dict[str, Any]] = []

    def fill(call: Any, values: Any, _replied_at: Any, _facts: Any) -> Written:
        seen.append(dict(values))
        return Written("render_missing_value" if call.input["template"] == "one" else "")

    document = {**JOURNEY, "settings": {"timezone": "UTC"}}
    script = Script.model_validate({"contact": CONTACT, "consents": GRANTED, "start": NINE, "trigger": {"plan": "pro"}})
    once_a_day = Limits(caps=(Cap("default", 1, timedelta(days=1)),))
    path = simulate(compile_journey(read(document), Palette.built_in()), script, limits=once_a_day, fill=fill)
    assert calls(path) == [("skipped", "render_missing_value"), ("sent", "")]
    assert [values["contact"] for values in seen] == [CONTACT, CONTACT]
    assert seen[0]["trigger"] == {"plan": "pro"}
    assert seen[0]["now"] == NINE


def test_what_the_script_answers_is_not_tried() -> None:
    document = {**JOURNEY, "settings": {"timezone": "UTC"}}
    script = Script.model_validate({"contact": CONTACT, "start": NINE, "answers": {"one": "sent", "two": "sent"}})
    path = simulate(compile_journey(read(document), Palette.built_in()), script, fill=lambda *_: Written("render_missing_value"))
    assert calls(path) == [("sent", ""), ("sent", "")]


@pytest.mark.parametrize(
    ("hours_ago", "more", "answered"),
    [
        (23, {}, ("sent", "")),
        (24, {}, ("skipped", "outside_reply_window")),
        (1, {"from": "+41790000000"}, ("skipped", "outside_reply_window")),
        (1, {"channel": "sms"}, ("skipped", "outside_reply_window")),
    ],
)
def test_free_text_asks_for_a_message_of_the_contact(hours_ago: int, more: dict[str, str], answered: tuple[str, str]) -> None:
    [window] = {channel.reply_window for channel in CHANNELS.values() if channel.reply_window}
    [name] = [channel.name for channel in CHANNELS.values() if channel.reply_window]
    document = {**JOURNEY, "nodes": {**JOURNEY["nodes"], "one": {"kind": f"send_{name}", "template": "one"}}}
    wrote = {
        "after": timedelta(hours=hours_ago),
        "name": "Message Replied",
        "properties": {"channel": name, "from": "+41791234567", **more},
    }
    contact = {"email": "ada@example.org", "phone": "+41791234567"}
    script = {"contact": contact, "consents": [(name, "marketing", "granted")], "start": NINE, "history": [wrote]}
    fill = lambda *_: Written(reply_window=window)  # noqa: E731
    path = simulate(compile_journey(read(document), Palette.built_in()), Script.model_validate(script), fill=fill)
    assert calls(path)[0] == answered
