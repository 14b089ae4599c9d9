"""Words by which people stop messages: what counts and, more dangerous, what must not."""

from __future__ import annotations

import pytest

from crm.consent.words import intent


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "Stop.", " stop!\n", "STOPP", "Stop all", "StopAll", "UNSUBSCRIBE", "opt-out", "OPT OUT", "Stop please", "Stop bitte", "Stop SMS", "STOP 🛑",
        "Abmelden", "ABMELDEN!", "abbestellen", "Löschen", "keine Werbung", "ARRÊT", "Arrêtez", "désabonner", "Désinscription", "stop svp", "BASTA", "Cancellami!", "disiscrivi",
    ],
)  # fmt: skip
def test_a_word_that_stops(text: str) -> None:
    assert intent(text) == "stop"


@pytest.mark.parametrize("text", ["START", "Unstop", "anmelden", "démarrer", "Inizia"])
def test_a_word_that_starts(text: str) -> None:
    assert intent(text) == "start"


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "?!", "\x00", "Yes", "No", "please do not stop", "Stop by tomorrow", "Stopover", "When does it end?", "The end", "Bitte nicht abmelden", "basta così, grazie mille",
        "Can I cancel my order?", "I can't stop laughing", "non-stop", "start tomorrow", "Wann ist der Start?", "STOP " + "x" * 500,
    ],
)  # fmt: skip
def test_a_sentence_is_none(text: str) -> None:
    assert intent(text) == ""
