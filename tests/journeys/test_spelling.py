"""Names in one spelling: whatever is typed, checked and stored is the same text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from journeys.catalogue import EVENTS, SYSTEM_EVENTS, is_genuine, is_reserved
from journeys.spelling import identifier, one_line

ODD = st.text(
    st.sampled_from(" \u00a0\u3000\u2000\t\n\x00\u200b\u200c\u200d\ufe0f\ufeff\u00ad\u3164ae\u0301\u0645\U0001f469\ud800") | st.characters()
)


@given(ODD)
@example("\u2000\ufe0f")
@example("a\u200d \u200d")
def test_spelling_twice_changes_nothing_and_gives_text_that_can_be_stored(text: str) -> None:
    for spell in (one_line, identifier):
        once = spell(text)
        assert spell(once) == once
        assert "\x00" not in once
        once.encode()


@pytest.mark.parametrize(
    "text",
    [
        " Message Sent",
        "Message Sent ",
        "Message  Sent",
        "Message\u00a0Sent",
        "Message\u3000Sent",
        "Message\tSent",
        "Mess\u200bage Sent",
        "Message Sent\ufeff",
        "\u2060Message Sent",
        "Mes\u00adsage Sent",
        "Message Sent\u200d",
        "\u3164Message Sent",
        "Message\u0000Sent",
        "MESSAGE SENT",
        "message sent",
    ],
)
def test_a_reserved_name_is_reserved_however_it_is_dressed_up(text: str) -> None:
    assert is_reserved(one_line(text))


@pytest.mark.parametrize("name", ["Message Board Opened", "Message", "Task Finished Early", "Contact Changed Address", "Messages Sent"])
def test_a_name_that_only_begins_like_one_of_ours_is_free(name: str) -> None:
    assert not is_reserved(one_line(name))


def test_letters_that_join_stay_joined() -> None:
    family = "\U0001f469\u200d\U0001f467 Added"
    assert one_line(f" {family} ") == family
    assert one_line("\u0645\u06cc\u200c\u0634\u0648\u062f") == "\u0645\u06cc\u200c\u0634\u0648\u062f"


def test_an_id_keeps_what_stands_inside() -> None:
    assert identifier(" a  b\u200b ") == "a  b"


def test_ours_is_told_by_its_type() -> None:
    assert is_genuine("system", "Message Sent")
    assert is_genuine("track", "Order Completed")
    assert not any(is_genuine("track", name) for name in SYSTEM_EVENTS)
    assert EVENTS.keys() > SYSTEM_EVENTS
