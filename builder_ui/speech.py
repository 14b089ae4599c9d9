"""How a page speaks to one person: their language, their time zone, their way of writing numbers and dates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

from locales import SUPPORTED, translator
from models import Member

REGIONS = {"de": "de_CH", "en": "en_GB"}
"""Days before months, and a clock of 24 hours, unless the person's own locale says otherwise."""


@dataclass(frozen=True, slots=True)
class Speech:
    language: str
    locale: Locale
    zone: tzinfo

    @property
    def translate(self) -> Callable[[str], str]:
        return translator(self.language)

    def __call__(self, text: str, **values: object) -> str:
        """The sentence in the person's language, its `{placeholders}` filled."""
        said = self.translate(text)
        return said.format(**values) if values else said

    def moment(self, at: datetime | None) -> str:
        """Date and time to the minute."""
        if at is None:
            return ""
        date = format_date(at.astimezone(self.zone), "medium", locale=self.locale)
        return f"{date}, {format_time(at, 'short', tzinfo=self.zone, locale=self.locale)}"

    def exactly(self, at: datetime) -> str:
        """Everything, for a tooltip."""
        return format_datetime(at, "full", tzinfo=self.zone, locale=self.locale)

    def clock(self, at: datetime) -> str:
        """The time of day to the second."""
        return format_time(at, "medium", tzinfo=self.zone, locale=self.locale)

    def day(self, at: datetime) -> str:
        return format_date(at.astimezone(self.zone), "full", locale=self.locale)

    def ago(self, at: datetime, now: datetime) -> str:
        """Relative: `in 2 hours`, `3 days ago`."""
        return format_timedelta(at - now, add_direction=True, threshold=1.2, locale=self.locale)

    def span(self, span: timedelta) -> str:
        """A length of time in its largest unit that divides it, else in the two largest: `3 days`, `1 hour 30 minutes`."""
        return " ".join(format_unit(count, unit, locale=self.locale) for count, unit in _parts(span))

    def number(self, value: float) -> str:
        return format_decimal(value, locale=self.locale)

    def share(self, part: int, whole: int) -> str:
        """`part` of `whole` in per cent; a dash where there is no whole."""
        return format_percent(part / whole, "#,##0 %" if self.language == "de" else "#,##0%", locale=self.locale) if whole else "–"


_UNITS = ((604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def _parts(span: timedelta) -> list[tuple[int, str]]:
    """`P1DT2H` -> a day, two hours; at most two parts. Weeks only where they are whole."""
    rest, parts = abs(round(span.total_seconds())), []
    for seconds, unit in _UNITS:
        if rest >= seconds and (unit != "week" or rest % seconds == 0):
            count, rest = divmod(rest, seconds)
            parts.append((count, unit))
    return parts[:2] or [(0, "second")]


def speech_of(member: Member, accept: str, default: str) -> Speech:
    """The member's own language, else the browser's (an Accept-Language header), else `default`."""
    language = _supported(member.locale) or _wanted(accept) or default
    own = member.locale.replace("-", "_")
    return _speech(language, own if "_" in own else REGIONS[language], member.timezone)


def speech_for(language: str) -> Speech:
    """For somebody of whom nothing but the language is known."""
    return _speech(language, REGIONS[language], "UTC")


def language_for(accept: str, default: str) -> str:
    """The language for somebody nobody knows."""
    return _wanted(accept) or default


@lru_cache(maxsize=256)
def _speech(language: str, locale: str, zone: str) -> Speech:
    return Speech(language, _locale(locale, language), _zone(zone))


def _locale(name: str, language: str) -> Locale:
    try:
        return Locale.parse(name)
    except (ValueError, LookupError):
        return Locale.parse(REGIONS[language])


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _supported(locale: str) -> str | None:
    language = locale.replace("_", "-").split("-")[0].lower()
    return language if language in SUPPORTED else None


def _wanted(accept: str) -> str | None:
    """The first supported language of an Accept-Language header; browsers send the best one first."""
    return next((found for part in accept[:200].split(",") if (found := _supported(part.split(";")[0].strip()))), None)
