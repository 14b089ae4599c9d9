"""Reading one call: what is taken, what is refused, and which field is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.tracking.calls import Envelope, InvalidEvent, read_event, read_time

NOW = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)


def read(raw: Any, kind: str | None = "track", **envelope: Any) -> Any:
    return read_event(raw, kind, Envelope(NOW, "Shop", **envelope))


def test_a_track_call_keeps_its_name_properties_and_person() -> None:
    event = read({"userId": "u1", "anonymousId": "a1", "event": "Order Completed", "properties": {"total": 5}, "messageId": "m1"})
    assert event.names == [("user_id", "u1"), ("anonymous_id", "a1")]
    assert event.row["name"] == "Order Completed"
    assert event.row["properties"] == {"total": 5}
    assert (event.row["source"], event.row["message_id"]) == ("Shop", "m1")


def test_the_senders_clock_is_corrected_by_when_it_sent() -> None:
    """Stamped 10:00, sent 10:02, received 10:05 by our clock: it happened at 10:03."""
    event = read({"userId": "u1", "event": "E", "timestamp": "2026-11-22T10:00:00Z", "sentAt": "2026-11-22T10:02:00Z"})
    assert event.row["occurred_at"] == NOW - timedelta(minutes=2)


@pytest.mark.parametrize(
    ("stamped", "sent", "occurred"),
    [
        ("9999-12-31T23:59:59Z", "1970-01-01T00:00:01Z", NOW),
        ("1970-01-01T00:00:01Z", "9999-12-31T23:59:59Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("7713-01-01T00:00:00+23:59", "0098-01-01T00:00:00Z", NOW),
    ],
)
def test_clocks_may_be_thousands_of_years_off(stamped: str, sent: str, occurred: datetime) -> None:
    sent_at = read_time(sent, "sentAt") if sent > "1970" else None
    event = read({"userId": "u1", "event": "E", "timestamp": stamped}, sent_at=sent_at)
    assert event.row["occurred_at"] == occurred


def test_rudderstack_stamps_are_read_first() -> None:
    event = read(
        {"userId": "u1", "event": "E", "timestamp": "2020-01-01T00:00:00Z", "originalTimestamp": "2026-11-22T11:00:00+01:00"},
        sent_at=datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
    )
    assert event.row["occurred_at"] == NOW


@pytest.mark.parametrize("stamp", ["2031-01-01T00:00:00Z", "2026-11-22T10:05:01Z"])
def test_nothing_happens_in_the_future(stamp: str) -> None:
    assert read({"userId": "u1", "event": "E", "timestamp": stamp}).row["occurred_at"] == NOW


def test_history_keeps_its_stamps() -> None:
    event = read(
        {"userId": "u1", "event": "E", "timestamp": "2024-01-01T00:00:00Z"},
        backfill=True,
        sent_at=datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
    )
    assert event.row["occurred_at"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert event.row["backfill"]


def test_a_call_without_message_id_gets_one() -> None:
    one, two = (read({"userId": "u1", "event": "E"}) for _ in range(2))
    assert one.row["message_id"] != two.row["message_id"]


def test_identify_names_the_person_by_email_too_and_takes_consents_out_of_the_traits() -> None:
    said = [{"channel": "email", "state": "granted"}]
    event = read({"userId": "u1", "traits": {"email": "Ada@Example.org", "consents": said}}, "identify")
    assert ("email", "ada@example.org") in event.names
    assert event.traits == {"email": "Ada@Example.org"}
    assert event.consents == [
        {"channel": "email", "purpose": "marketing", "state": "granted", "wording": "", "source": "api", "said_at": None}
    ]


@pytest.mark.parametrize("name", ["said_at", "saidAt"])
def test_a_statement_may_say_when_it_was_made(name: str) -> None:
    said = {"channel": "email", "state": "granted", name: "2026-11-01T10:00:00+01:00"}
    event = read({"userId": "u1", "context": {"consents": [said]}}, "identify")
    assert event.consents[0]["said_at"] == datetime(2026, 11, 1, 9, tzinfo=UTC)


def test_traits_of_an_identify_call_stand_at_either_place_and_its_own_win() -> None:
    raw = {
        "userId": "u1",
        "context": {"traits": {"email": "old@example.org", "firstName": "Ada", "plan": "pro", "consents": {"email": "granted"}}},
        "traits": {"email": "ada@example.org", "first_name": "Augusta"},
    }
    event = read(raw, "identify")
    assert event.traits == {"plan": "pro", "email": "ada@example.org", "first_name": "Augusta"}
    assert ("email", "ada@example.org") in event.names
    assert [said["state"] for said in event.consents] == ["granted"]
    assert event.row["context"] == {}


@pytest.mark.parametrize("kind", ["track", "page", "screen", "group"])
def test_context_traits_of_other_calls_repeat_what_an_identify_call_said(kind: str) -> None:
    event = read({"userId": "u1", "event": "E", "groupId": "g", "context": {"traits": {"email": "x@example.org"}}}, kind)
    assert (event.names, event.traits, event.consents) == ([("user_id", "u1")], {}, [])


@pytest.mark.parametrize("name", ["Message Board Opened", "Task Finished Early", "Score Changed Twice", "Message"])
def test_a_customers_own_event_names_arrive(name: str) -> None:
    assert read({"userId": "u1", "event": name}).row["name"] == name


def test_names_are_stored_in_one_spelling() -> None:
    assert read({"userId": "u1", "event": "  Cafe\u0301 \t Opened\u200b"}).row["name"] == "Caf\u00e9 Opened"


@pytest.mark.parametrize(
    ("context", "hints"),
    [
        ({"locale": "de_CH.UTF-8", "timezone": "Europe/Zurich"}, ("Europe/Zurich", "de-CH")),
        ({"locale": "not a language", "timezone": "Europe/Nowhere"}, (None, None)),
        ({"locale": 7, "timezone": {}}, (None, None)),
    ],
)
def test_hints_are_read_as_they_are_stored(context: Any, hints: Any) -> None:
    event = read({"userId": "u1", "event": "E", "context": context})
    assert (event.zone, event.locale) == hints


def test_a_consent_is_checked_as_it_is_stored() -> None:
    said = {"channel": " email ", "purpose": "market\u200bing", "state": "granted", "wording": "Yes\u0000,\nplease"}
    [statement] = read({"userId": "u1", "traits": {"consents": [said]}}, "identify").consents
    assert (statement["channel"], statement["purpose"], statement["wording"]) == ("email", "marketing", "Yes,\nplease")


def test_external_ids_are_names() -> None:
    event = read({"event": "E", "context": {"externalIds": [{"type": "Shopify", "id": "77"}]}})
    assert event.names == [("external:shopify", "77")]


@pytest.mark.parametrize(
    ("raw", "kind", "field"),
    [
        (None, "track", ""),
        ([], "track", ""),
        ({"event": "E"}, "track", "userId"),
        ({"event": "E", "userId": "undefined"}, "track", "userId"),
        ({"event": "E", "userId": ["u"]}, "track", "userId"),
        ({"event": "E", "userId": "u" * 321}, "track", "userId"),
        ({"userId": "u"}, "track", "event"),
        ({"userId": "u", "event": 7}, "track", "event"),
        ({"userId": "u", "event": "x" * 201}, "track", "event"),
        ({"userId": "u", "event": "Message Opened"}, "track", "event"),
        ({"userId": "u", "event": " message\u200b  opened"}, "track", "event"),
        ({"userId": "u", "event": "\u200b \ufeff"}, "track", "event"),
        ({"userId": "u", "name": 7}, "page", "name"),
        ({"userId": "u", "category": ["a"]}, "screen", "category"),
        ({"userId": "u", "context": {"traits": "x"}}, "identify", "context.traits"),
        ({"userId": "u", "event": "E", "context": {"traits": [1]}}, "track", "context.traits"),
        ({"userId": "u", "type": ["track"]}, None, "type"),
        ({"userId": "u", "groupId": " \ufeff "}, "group", "groupId"),
        ({"userId": "nu\u200bll", "event": "E"}, "track", "userId"),
        ({"userId": "u", "event": "E", "properties": []}, "track", "properties"),
        ({"userId": "u", "event": "E", "context": "x"}, "track", "context"),
        ({"userId": "u", "event": "E", "messageId": "m" * 101}, "track", "messageId"),
        ({"userId": "u", "event": "E", "timestamp": "yesterday"}, "track", "timestamp"),
        ({"userId": "u", "event": "E", "timestamp": 5}, "track", "timestamp"),
        ({"userId": "u", "event": "E", "timestamp": "0001-01-01T00:00:00+14:00"}, "track", "timestamp"),
        ({"userId": "u", "type": "delete"}, None, "type"),
        ({"userId": "u", "traits": 3}, "identify", "traits"),
        ({"userId": "u", "traits": {"consents": [{"channel": "email", "state": "yes"}]}}, "identify", "traits.consents[0].state"),
        ({"userId": "u", "traits": {"consents": [3]}}, "identify", "traits.consents[0]"),
        (
            {"userId": "u", "traits": {"consents": [{"channel": "email", "state": "granted", "saidAt": "today"}]}},
            "identify",
            "traits.consents[0].saidAt",
        ),
        ({"userId": "u"}, "group", "groupId"),
        ({"userId": "u"}, "alias", "previousId"),
        ({"anonymousId": "a", "previousId": "b"}, "alias", "userId"),
        ({"userId": "u", "event": "E", "context": {"externalIds": {}}}, "track", "context.externalIds"),
        ({"userId": "u", "event": "E", "context": {"externalIds": [{}]}}, "track", "context.externalIds[0]"),
    ],
)
def test_what_is_wrong_is_named(raw: Any, kind: str | None, field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read(raw, kind)
    assert caught.value.field == field


def test_an_event_has_a_size() -> None:
    with pytest.raises(InvalidEvent, match="32768 bytes"):
        read({"userId": "u", "event": "E", "properties": {"text": "x" * 33_000}})


def test_an_error_never_repeats_what_was_sent() -> None:
    with pytest.raises(InvalidEvent) as caught:
        read({"userId": ["ada@example.org"], "event": "E"})
    assert "ada" not in str(caught.value)


def test_deep_properties_are_refused() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = {"in": deep}
    with pytest.raises(InvalidEvent):
        read({"userId": "u", "event": "E", "properties": deep})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "type",
        "event",
        "userId",
        "anonymousId",
        "messageId",
        "timestamp",
        "sentAt",
        "properties",
        "traits",
        "context",
        "groupId",
        "previousId",
        "name",
    ]
)
kinds = st.sampled_from(["track", "identify", "page", "screen", "group", "alias", None])


@given(st.dictionaries(fields, json_values, max_size=8), kinds)
def test_any_json_is_taken_or_refused_and_what_is_taken_can_be_stored(raw: dict[str, Any], kind: str | None) -> None:
    try:
        event = read(raw, kind)
    except InvalidEvent:
        return
    assert event.names
    assert event.row["occurred_at"] <= NOW
    assert "\\u0000" not in orjson.dumps(event.row).decode()
