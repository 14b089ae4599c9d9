"""How a page speaks to one person: their language, their time zone, their way of writing numbers and dates."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta, parse_date
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

from journeys.rules import dates
from locales import SUPPORTED, translator
from models import Member

REGIONS = {"de": "de_CH", "en": "en_GB"}
"""Days before months, and a clock of 24 hours, unless the person's own locale says otherwise."""
_DAY = re.compile(r"\d{1,4}([./-] ?)\d{1,2}\1\d{1,4}\.?")
_CLOCK = re.compile(r"[\s,]+(\d{1,2}):(\d\d)\s*([AP])?M?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Translator:
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

    def written(self, at: date) -> str:
        """A day as it is, an instant in the person's zone."""
        return self.moment(at) if isinstance(at, datetime) else format_date(at, "medium", locale=self.locale)

    def typed(self, at: date) -> str:
        """The same in digits only, for fields: `read` understands it again."""
        pattern = re.sub("y+", "yyyy", self.locale.date_formats["short"].pattern)
        day = format_date(at.astimezone(self.zone) if isinstance(at, datetime) else at, pattern, locale=self.locale)
        return f"{day} {format_time(at, 'short', tzinfo=self.zone, locale=self.locale)}" if isinstance(at, datetime) else day

    def read(self, text: str) -> date | None:
        """What somebody typed: a day, or a day and a time in their zone (then UTC), as they write it or as ISO; None if neither."""
        text = text.strip()
        clock = _CLOCK.search(text)
        day = text[: clock.start()] if clock else text
        if (found := dates.read(text)) is not None or not _DAY.fullmatch(day):
            return found
        try:
            parsed = parse_date(day, locale=self.locale, format="short")
            return parsed if clock is None else datetime.combine(parsed, _time(clock), self.zone).astimezone(UTC)
        except (ValueError, OverflowError, LookupError):
            return None

    def exactly(self, at: datetime) -> str:
        """Everything, for a tooltip."""
        return format_datetime(at, "full", tzinfo=self.zone, locale=self.locale)

    def clock(self, at: datetime) -> str:
        """The time of day to the second."""
        return format_time(at, "medium", tzinfo=self.zone, locale=self.locale)

    def day(self, at: datetime) -> str:
        return format_date(at.astimezone(self.zone), "full", locale=self.locale)

    def calendar_day(self, day: date) -> str:
        """A day that lies in no zone."""
        return format_date(day, "medium", locale=self.locale)

    def ago(self, at: datetime, now: datetime) -> str:
        """Relative: `in 2 hours`, `3 days ago`."""
        return format_timedelta(at - now, add_direction=True, threshold=1.2, locale=self.locale)

    def span(self, span: timedelta) -> str:
        """A length of time in its largest unit that divides it, else in the two largest: `3 days`, `1 hour 30 minutes`."""
        return " ".join(format_unit(count, unit, locale=self.locale) for count, unit in _parts(span))

    def number(self, value: float) -> str:
        return format_decimal(value, locale=self.locale)

    def language_of(self, code: str) -> str:
        """`de` -> German, `de-CH` -> German (Switzerland); what names no language as it is."""
        try:
            return Locale.parse(code.replace("-", "_")).get_display_name(self.locale) or code
        except (ValueError, LookupError):
            return code

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


def _time(clock: re.Match[str]) -> time:
    """Raises: ValueError."""
    hour, minute, half = int(clock[1]), int(clock[2]), (clock[3] or "").upper()
    return time(hour % 12 + 12 * (half == "P") if half else hour, minute)


def translator_of(member: Member, accept: str, default: str) -> Translator:
    """The member's own language, else the browser's (an Accept-Language header), else `default`."""
    language = _supported(member.locale) or _wanted(accept) or default
    own = member.locale.replace("-", "_")
    return _translator(language, own if "_" in own else REGIONS[language], member.timezone)


def translator_for(language: str) -> Translator:
    """For somebody of whom nothing but the language is known."""
    return _translator(language, REGIONS[language], "UTC")


def language_for(accept: str, default: str) -> str:
    """The language for somebody nobody knows."""
    return _wanted(accept) or default


@lru_cache(maxsize=256)
def _translator(language: str, locale: str, zone: str) -> Translator:
    return Translator(language, _locale(locale, language), _zone(zone))


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
