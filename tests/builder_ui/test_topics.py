"""What an editor tells the parts of its page: nothing is missed, and what fails beside the page is logged without its text."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from builder_ui.kit.observable import Publisher, use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, serve


def test_a_part_is_drawn_again_for_what_changed_before_it_listened() -> None:
    async def story() -> None:
        teller, values, seen = Publisher(), ["old"], asyncio.Event()

        @component
        def early() -> Element:
            use_topics(teller, "value")
            return html.p(values[-1])

        @component
        def late() -> Element:
            if values == ["old"]:
                values.append("new")
                teller.tell("value")
            return None

        async def send(message: Any) -> None:
            if "new" in str(message):
                seen.set()

        async def receive() -> Any:
            await seen.wait()
            raise EOFError

        async with asyncio.timeout(10):
            with pytest.raises(BaseExceptionGroup) as ended:
                await serve(component(lambda: html.div(early(), late()))(), send, receive)
        assert ended.group_contains(EOFError)

    asyncio.run(story())


def test_a_listener_hears_its_topics_until_it_stops() -> None:
    teller, heard = Publisher(), list[str]()
    stop = teller.listen(("head", "side"), lambda: heard.append("heard"))
    teller.tell("feed")
    teller.tell("feed", "side")
    stop()
    teller.tell("head")
    assert heard == ["heard"]
    assert teller.told(("head", "side")) == 2


def test_what_fails_beside_the_page_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async def fail(text: str) -> None:
            raise ValueError(text)

        teller = Publisher()
        teller.spawn(fail, "what somebody typed")
        await asyncio.wait(teller._tasks)

    asyncio.run(story())
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage().startswith("an editor failed: ValueError")
    assert "typed" not in caplog.text
