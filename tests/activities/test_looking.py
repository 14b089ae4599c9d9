"""Who looks every few seconds goes on after a failure, and ends when told to."""

from __future__ import annotations

import asyncio

import pytest

from activities.looking import look_until


@pytest.mark.parametrize("fails", [0, 1, 3])
def test_a_failure_ends_nothing_and_says_no_more_than_where_it_was(caplog: pytest.LogCaptureFixture, fails: int) -> None:
    looked: list[int] = []

    async def looking() -> None:
        stop = asyncio.Event()

        async def look() -> None:
            looked.append(1)
            if len(looked) <= fails:
                raise ValueError("anna@example.org")
            stop.set()

        await look_until(stop, look, 0.001, "sending")

    asyncio.run(looking())
    assert len(looked) == fails + 1
    assert caplog.text.count("sending failed and is tried again") == fails
    assert "anna" not in caplog.text


def test_who_is_told_to_end_before_the_first_look_does_not_look() -> None:
    async def looking() -> None:
        stop = asyncio.Event()
        stop.set()
        await look_until(stop, _never, 3_600, "sending")

    asyncio.run(looking())


def test_who_waits_for_the_next_look_ends_at_once_when_told_to() -> None:
    async def looking() -> None:
        stop, looked = asyncio.Event(), asyncio.Event()

        async def look() -> None:
            looked.set()

        waiting = asyncio.create_task(look_until(stop, look, 3_600, "sending"))
        await looked.wait()
        stop.set()
        await waiting

    asyncio.run(looking())


async def _never() -> None:
    raise AssertionError("it was told to end")
