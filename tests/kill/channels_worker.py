"""`pfadwerk worker` whose providers are the real ones, led to the receiver at PFADWERK_TEST_RECEIVER_PORT, and with shorter time limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Self

from activities.http_client import deadline
from activities.providers.fcm import Fcm
from activities.providers.postal_http import PostalHttp
from activities.providers.provider import Answer, ConfiguredProvider, Outgoing, Surroundings
from activities.providers.ses import Ses
from activities.providers.site_inbox import SiteInbox
from activities.providers.smtp import Smtp
from activities.providers.twilio import GuardedHttp, Twilio
from activities.providers.webpush import WebPush
from activities.webhooks.address_guard import Guard
from commands import lifeline
from commands.logs import configure
from settings import Settings
from tests.kill.lookup_worker import work

SECONDS = 3.0
"""Of one call, so that nobody waits longer for the claim of a worker that was killed."""
HERE = Guard.allowing(["127.0.0.1"])
Elsewhere = Callable[[str], str]


def led(kind: type[ConfiguredProvider], opened: Callable[[Any, Any, Surroundings, Elsewhere], Any]) -> type[ConfiguredProvider]:
    """The provider, with every address of its service under its own name at the receiver."""

    def elsewhere(url: str) -> str:
        return f"http://127.0.0.1:{os.environ['PFADWERK_TEST_RECEIVER_PORT']}/{kind.name}/{url.partition('://')[2].partition('/')[2]}"

    class Led(kind):  # type: ignore[misc, valid-type]
        timeout_seconds = SECONDS

        @classmethod
        def open(cls, config: Any, around: Surroundings) -> Self:
            made: Self = opened(cls, config, around, elsewhere)
            return made

        def send(self, message: Outgoing) -> Answer:
            with deadline(SECONDS):
                answer: Answer = super().send(message)
                return answer

    return Led


KINDS = [
    led(Ses, lambda kind, config, around, elsewhere: kind(config, around, HERE, elsewhere)),
    led(Twilio, lambda kind, config, around, elsewhere: kind(config, around, GuardedHttp(HERE, elsewhere))),
    led(WebPush, lambda kind, config, around, elsewhere: kind(config, around, HERE, elsewhere)),
    led(Fcm, lambda kind, config, around, elsewhere: kind(config, around, HERE, elsewhere)),
    led(PostalHttp, lambda kind, config, around, elsewhere: kind(config, HERE, elsewhere)),
    Smtp,
    SiteInbox,
]


if __name__ == "__main__":
    lifeline.watch_parent()
    settings = Settings.load()
    configure(settings, "worker")
    asyncio.run(work(settings, KINDS))
