"""The door to ReactPy: how a page ends whose browser leaves, and what is told of one that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from builder_ui.kit.reactpy_compat import Element, component, html, serve, use_effect, use_state

PARTS = 20


class Gone(Exception):
    """The browser has left."""


class Line:
    """A browser that leaves when it is told to."""

    def __init__(self) -> None:
        self.gone, self.sent = asyncio.Event(), list[Any]()

    async def send(self, message: Any) -> None:
        if self.gone.is_set():
            raise Gone
        self.sent.append(message)

    async def receive(self) -> Any:
        await self.gone.wait()
        raise Gone

    async def serve(self, root: Element) -> None:
        async with asyncio.timeout(10):
            with pytest.raises(BaseExceptionGroup) as ended:
                await serve(root, self.send, self.receive)
        assert ended.value.subgroup(Gone), ended.value
        assert ended.value.split(Gone)[1] is None, ended.value


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_page_that_closes_in_the_middle_of_a_drawing_ends_quietly_and_whole(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    async def story() -> None:
        line = Line()

        def over(name: str) -> None:
            ended.append(name)
            line.gone.set()  # in the middle of the drawing that takes the parts away

        @component
        def part(name: str) -> Element:
            use_effect(lambda: lambda: over(name), [])
            return html.button({"onClick": lambda _event: None}, name)

        @component
        def screen() -> Element:
            shown, show = use_state(True)
            use_effect(lambda: show(False), [])
            return html.div([part(f"part {n}", key=str(n)) for n in range(PARTS)] if shown else html.p("nothing"))

        @component
        def root() -> Element:
            use_effect(lambda: lambda: ended.append("root"), [])
            return html.div(screen())

        await line.serve(root())

    asyncio.run(story())
    assert sorted(ended) == sorted(["root", *(f"part {n}" for n in range(PARTS))])
    assert errors(caplog) == []


def test_a_page_that_closes_before_it_is_sent_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        line = Line()
        line.gone.set()
        await line.serve(component(lambda: html.p("nobody reads this"))())

    asyncio.run(story())
    assert errors(caplog) == []


def test_a_component_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        line = Line()

        @component
        def root() -> Element:
            use_effect(line.gone.set, [])
            raise RuntimeError("broken")

        await line.serve(root())

    asyncio.run(story())
    assert any("Failed to render" in text for text in errors(caplog))


def test_every_effect_ends_though_whoever_serves_the_page_is_cancelled_again_and_again() -> None:
    """As servers do that end what they serve through a scope: every wait within it is cancelled."""

    async def story() -> None:
        begun, ended = asyncio.Queue[int](), asyncio.Queue[int]()

        @component
        def part(number: int) -> Element:
            def begin() -> Callable[[], None]:
                begun.put_nowait(number)
                return lambda: ended.put_nowait(number)

            use_effect(begin, [])
            return html.p(str(number))

        @component
        def page() -> Element:
            return html.div([part(number, key=str(number)) for number in range(PARTS)])

        serving = asyncio.create_task(serve(page(), asyncio.Queue[Any]().put, asyncio.Event().wait))
        async with asyncio.timeout(10):
            assert {await begun.get() for _ in range(PARTS)} == {*range(PARTS)}
            while not serving.done():
                serving.cancel()
                await asyncio.sleep(0)
            assert {await ended.get() for _ in range(PARTS)} == {*range(PARTS)}

    asyncio.run(story())
