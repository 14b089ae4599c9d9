"""Who carries messages: the provider that a channel's account names, made from the settings. Loads only the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from journeys.errors import Misconfigured
from settings import Settings

if TYPE_CHECKING:
    from activities.providers import Provider
    from engine.engine import Engine


def provider_named(settings: Settings, engine: Engine, name: str) -> Provider:
    """Raises: Misconfigured, as `refuse_unknown_providers`."""
    return _maker(settings, name)(engine)


def mail_provider(settings: Settings, engine: Engine) -> Provider:
    """Who carries what the web server itself mails: tests of templates, invitations, links to choose a password. Staging reaches nobody, and
    what only a worker of its own knows (`providers` of `worker.run`) is not at hand here."""
    reaches_people = settings.workspace == "live" and settings.channels["email"].provider == "smtp"
    return _maker(settings, "smtp" if reaches_people else "outbox")(engine)


def refuse_unknown_providers(settings: Settings) -> None:
    """Raises: Misconfigured, if a channel names a provider that there is not, or one whose settings are missing."""
    for account in settings.channels.values():
        _maker(settings, account.provider)


def _maker(settings: Settings, name: str) -> Callable[[Engine], Provider]:
    if name == "outbox":
        return _outbox
    if name == "smtp":
        if not settings.smtp_host:
            raise Misconfigured("The provider smtp needs a server: set PFADWERK_SMTP_HOST.")
        return lambda _: _smtp(settings)
    raise Misconfigured("There is no provider {name}: set PFADWERK_CHANNELS to outbox or smtp.", name=name)


def _outbox(engine: Engine) -> Provider:
    from activities.providers import Outbox

    return Outbox(engine.db, engine.clock.now)


def _smtp(settings: Settings) -> Provider:
    from activities.providers.smtp import Smtp, SmtpServer

    server = SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value(),
        tls=settings.smtp_tls,
        timeout_seconds=settings.smtp_timeout_seconds,
    )
    return Smtp(server)
