"""Mails about a member's own account: an invitation, or a link to choose a new password. One person, one link, no tracking."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from sqlalchemy.orm import Session

from activities.providers.provider import Provider, ProviderFailure
from activities.team.email import by_email
from models import Member, new_id
from workspace import settings
from workspace.sessions import Purpose

ONCE = "account:"
"""How the once keys of such mails begin: the outbox shows them to admins only, because a link is as good as a password."""

_SUBJECTS: dict[Purpose, str] = {
    "invitation": "Your account at Pfadwerk",
    "reset": "Choose a new password for Pfadwerk",
    "login": "Your link to Pfadwerk",
}
_TEXTS: dict[Purpose, str] = {
    "invitation": "Hello {name},\n\nthere is an account for you at Pfadwerk. Choose your password here:\n\n{url}\n\nThe link works once, until {until}.",
    "reset": "Hello {name},\n\nchoose a new password for Pfadwerk here:\n\n{url}\n\nThe link works once, until {until}. If you did not ask for it, ignore this e-mail: your password stays as it is.",
    "login": "Hello {name},\n\nthis link logs you in once:\n\n{url}\n\nIt works until {until}.",
}


def mail_from(session: Session, fallback: str) -> str:
    """The workspace's sender, else the operator's."""
    return settings.load(session, settings.Sender).email or fallback


def send(
    provider: Provider, sender: str, member: Member, purpose: Purpose, url: str, until: datetime, translate: Callable[[str], str]
) -> bool:
    """Mails the link in the member's language; False where the mail did not leave."""
    zone = ZoneInfo(member.timezone)
    when = format_datetime(until, "medium", tzinfo=zone, locale="de" if member.locale.startswith("de") else "en_GB")
    text = translate(_TEXTS[purpose]).format(name=member.name, url=url, until=when)
    try:
        by_email(provider, f"{ONCE}{new_id()}", "", sender, member.email, translate(_SUBJECTS[purpose]), text)
    except ProviderFailure:
        return False
    return True
