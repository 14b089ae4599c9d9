"""One preview at a time for each person."""

from __future__ import annotations

import asyncio

import pytest

from activities.rendering.turns import MOST_WAITING, Turns
from journeys.errors import TooMany


def test_everybody_has_one_turn_at_a_time_and_nobody_waits_for_others() -> None:
    async def story() -> list[str]:
        turns, said = Turns(), list[str]()
        free = asyncio.Event()

        async def looks(who: str, name: str) -> None:
            async with turns.of(who):
                said.append(f"{name} begins")
                if who == "ada":
                    await free.wait()
                said.append(f"{name} ends")

        adas = [asyncio.create_task(looks("ada", f"ada {n}")) for n in (1, 2)]
        await asyncio.create_task(looks("bob", "bob"))
        free.set()
        await asyncio.gather(*adas)
        assert turns._locks == {}
        return said

    assert asyncio.run(story()) == ["ada 1 begins", "bob begins", "bob ends", "ada 1 ends", "ada 2 begins", "ada 2 ends"]


def test_a_crowd_of_one_person_is_refused() -> None:
    async def story() -> tuple[int, int]:
        turns, free = Turns(), asyncio.Event()

        async def looks() -> None:
            async with turns.of("ada"):
                await free.wait()

        asked = [asyncio.create_task(looks()) for _ in range(MOST_WAITING + 6)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        refused = len(done)
        free.set()
        ended = await asyncio.gather(*asked, return_exceptions=True)
        return refused, sum(isinstance(one, TooMany) for one in ended)

    refused, in_all = asyncio.run(story())
    assert in_all == 5
    assert refused <= in_all


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_a_turn_that_fails_is_over(error: type[BaseException]) -> None:
    async def story() -> None:
        turns = Turns()
        for _ in range(2):
            with pytest.raises(error):
                async with turns.of("ada"):
                    raise error
        assert turns._locks == {}

    asyncio.run(story())
