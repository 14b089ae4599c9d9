"""The face of a rule for people: a sentence about the contact, in the language of `translate`.

The pieces are whole phrases with placeholders, so that a translation may order them as its grammar wants. Optional pieces start with a
blank of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from journeys.rules import dates
from journeys.rules.model import Group, Rule

Translate = Callable[[str], str]
Written = Callable[[date], str]
"""How a reader writes a day (`date`) or an instant (`datetime`, aware)."""


def iso(at: date) -> str:
    """For whoever has no way of writing of their own: the instant in UTC."""
    if not isinstance(at, datetime):
        return at.isoformat()
    return f"{at:%Y-%m-%d %H:%M} UTC" if at.second == 0 else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def sentence(rule: Rule, translate: Translate, names: Mapping[str, str] | None = None, written: Written = iso) -> str:
    """What the rule asks, in words: `opened *Welcome 1* in the last 3 days`.

    `names` maps node ids to the names they carry on the canvas; names stand between asterisks.
    """
    return Speaker(translate, names or {}, written).say(rule)


class Speaker:
    """What sentences are made of in a reader's language. `names` are those that the journey's steps carry on the canvas."""

    def __init__(self, translate: Translate, names: Mapping[str, str], written: Written) -> None:
        self.translate = translate
        self.written = written
        self.names = names

    def say(self, rule: Rule, inside: bool = False) -> str:
        """`inside`: as one of several."""
        if isinstance(rule, Group):
            return self._group(rule, inside)
        return rule.sentence(self)

    def fill(self, text: str, **values: Any) -> str:
        """The translated message id, its places filled."""
        return self.translate(text).format(**values)

    def _group(self, group: Group, inside: bool) -> str:
        if not group.rules:
            return self.translate("no one" if group.negated else "everyone")
        words = self._joined(group)
        if group.negated:
            return self.fill("not ({rule})", rule=words)
        return f"({words})" if inside and len(group.rules) > 1 else words

    def _joined(self, group: Group) -> str:
        link = self.translate("and" if group.combinator == "and" else "or")
        return f" {link} ".join(self.say(rule, inside=len(group.rules) > 1) for rule in group.rules)

    # Parts of a sentence

    def value(self, value: Any) -> str:
        """What something is compared with."""
        if isinstance(value, bool):
            return self.translate("yes" if value else "no")
        if value is None:
            return self.translate("nothing")
        if isinstance(value, tuple):
            return ", ".join(self.value(one) for one in value) or self.translate("nothing")
        if isinstance(value, str):
            return self._text(value)
        return self.number(value)

    def _text(self, value: str) -> str:
        at = dates.read(value)
        return self.fill("“{value}”", value=value) if at is None else self.written(at)

    def number(self, value: float) -> str:
        return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)

    def past(self, within: timedelta | None) -> str:
        """` in the last 3 days`, with the blank before it; empty without a limit."""
        return "" if within is None else " " + self._unit(within, _LAST)

    def longer_ago(self, span: timedelta) -> str:
        """`more than 3 days ago`"""
        return self._unit(span, _LONGER_AGO)

    def later(self, span: timedelta) -> str:
        """`at most 3 days later`"""
        return self._unit(span, _LATER)

    def course(self, span: timedelta) -> str:
        """`within 3 days`"""
        return self._unit(span, _COURSE)

    def day(self, at: datetime) -> str:
        """A moment as its reader writes it: midnight UTC as the day that begins there."""
        return self.written(at.date() if dates.text_of(at).endswith(dates.MIDNIGHT) else at)

    def last(self, span: Any) -> str:
        """`in the last 3 days`, of an ISO 8601 duration."""
        return self._span(span, _LAST)

    def next(self, span: Any) -> str:
        """`in the next 3 days`, of an ISO 8601 duration."""
        return self._span(span, _NEXT)

    def _span(self, value: Any, units: Mapping[str, tuple[str, ...]]) -> str:
        span = dates.duration(value)
        return self.value(value) if span is None else self._unit(span, units)

    def offset(self, offset: timedelta) -> str:
        """`3 days ago`, `3 days from now`, `now`."""
        if not offset:
            return self.translate("now")
        return self._unit(abs(offset), _AGO if offset < timedelta(0) else _AHEAD)

    def _unit(self, span: timedelta, units: Mapping[str, tuple[str, ...]]) -> str:
        """The span in the largest unit that divides it; a single day is said as 24 hours ("the last day" might mean yesterday)."""
        seconds = round(span.total_seconds())
        unit, size = next((u, s) for u, s in _UNITS if seconds % s == 0 and (seconds > s or s < 86_400))
        number = seconds // size
        return self.fill(units[unit][0 if number == 1 else -1], n=number)


_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_LAST = {
    "day": ("in the last {n} days",),
    "hour": ("in the last hour", "in the last {n} hours"),
    "minute": ("in the last minute", "in the last {n} minutes"),
    "second": ("in the last second", "in the last {n} seconds"),
}
_NEXT = {
    "day": ("in the next {n} days",),
    "hour": ("in the next hour", "in the next {n} hours"),
    "minute": ("in the next minute", "in the next {n} minutes"),
    "second": ("in the next second", "in the next {n} seconds"),
}
_AGO = {
    "day": ("{n} days ago",),
    "hour": ("{n} hour ago", "{n} hours ago"),
    "minute": ("{n} minute ago", "{n} minutes ago"),
    "second": ("{n} second ago", "{n} seconds ago"),
}
_LONGER_AGO = {
    "day": ("more than {n} days ago",),
    "hour": ("more than {n} hour ago", "more than {n} hours ago"),
    "minute": ("more than {n} minute ago", "more than {n} minutes ago"),
    "second": ("more than {n} second ago", "more than {n} seconds ago"),
}
_LATER = {
    "day": ("at most {n} days later",),
    "hour": ("at most {n} hour later", "at most {n} hours later"),
    "minute": ("at most {n} minute later", "at most {n} minutes later"),
    "second": ("at most {n} second later", "at most {n} seconds later"),
}
_COURSE = {
    "day": ("within {n} days",),
    "hour": ("within {n} hour", "within {n} hours"),
    "minute": ("within {n} minute", "within {n} minutes"),
    "second": ("within {n} second", "within {n} seconds"),
}
_AHEAD = {
    "day": ("{n} days from now",),
    "hour": ("{n} hour from now", "{n} hours from now"),
    "minute": ("{n} minute from now", "{n} minutes from now"),
    "second": ("{n} second from now", "{n} seconds from now"),
}
