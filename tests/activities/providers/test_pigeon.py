"""The suite passes against a provider from outside the tree, too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from activities.providers import AddressDead, InDoubt, MessageDead, ProviderFailure, RetryLater, SenderStopped
from tests.activities.providers.conformance import Arrived, Conformance
from tests.toy_provider import LOFTS, Loft, Pigeon, PigeonConfig, settings_of


class Wire:
    failures: tuple[type[ProviderFailure], ...] = (RetryLater, MessageDead, AddressDead, SenderStopped, InDoubt)

    def __init__(self, loft: Loft) -> None:
        self.loft = loft
        self.provider = Pigeon(PigeonConfig.model_validate(settings_of("conformance")))

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.loft.next = RetryLater("pigeon_tired", timedelta(seconds=1)) if with_ is RetryLater else with_("pigeon_hawk")

    def arrived(self, once_key: str) -> list[Arrived]:
        found = self.loft.arrived.get(once_key)
        return [Arrived(found.recipient, found.subject, found.text)] if found else []

    def go_away(self) -> None:
        self.loft.is_there = False


class TestPigeon(Conformance):
    @pytest.fixture
    def wire(self) -> Iterator[Wire]:
        LOFTS["conformance"] = Loft()
        yield Wire(LOFTS["conformance"])
        del LOFTS["conformance"]
