"""Who takes mails in, put together from the settings: for the command and for the worker that reads mailboxes."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from activities.happenings import Streak
from activities.inbound.take import Inbound
from activities.providers import ConfiguredProvider, Providers
from activities.tracking import Tracking
from engine.engine import Engine
from engine.enrolment.routing import routed
from settings import Settings


def inbound_of(settings: Settings, engine: Engine, providers: Providers) -> Inbound:
    """Whoever takes mails in, with what the settings say."""
    kinds: list[type[ConfiguredProvider]] = list(providers)
    return Inbound(
        engine,
        partial(routed, engine),
        Tracking(settings.signing_keys(), settings.public_url),
        Streak(settings.soft_bounces, timedelta(days=settings.soft_bounce_days)),
        settings.mail_from,
        {kind.name: kind.mail_domain for kind in kinds if kind.mail_domain},
    )
