"""The face of a rule for people: a sentence about the contact, in the language of `translate`.

The pieces are whole phrases with placeholders, so that a translation may order them as its grammar wants. Optional pieces start with a
blank of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from journeys.catalogue import CONTACT_FIELDS
from journeys.channels import CHANNELS, TRACKING
from journeys.results import STEPS
from journeys.rules import dates
from journeys.rules.fields import TRIGGER
from journeys.rules.model import ConsentTerm, Count, EventTerm, FieldTerm, Group, MessageTerm, Rule, ScoreTerm, TagTerm

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
    return _Speaker(translate, names or {}, written).say(rule)


class _Speaker:
    def __init__(self, translate: Translate, names: Mapping[str, str], written: Written) -> None:
        self.translate = translate
        self.written = written
        self.names = names

    def say(self, rule: Rule, inside: bool = False) -> str:
        if isinstance(rule, Group):
            return self._group(rule, inside)
        return _SAYING[type(rule)](self, rule)

    def fill(self, text: str, **values: Any) -> str:
        return self.translate(text).format(**values)

    # Groups

    def _group(self, group: Group, inside: bool) -> str:
        if not group.rules:
            return self.translate("nobody" if group.negated else "everybody")
        words = self._joined(group)
        if group.negated:
            return self.fill("not ({rule})", rule=words)
        return f"({words})" if inside and len(group.rules) > 1 else words

    def _joined(self, group: Group) -> str:
        link = self.translate("and" if group.combinator == "and" else "or")
        return f" {link} ".join(self.say(rule, inside=len(group.rules) > 1) for rule in group.rules)

    # Terms

    def field(self, term: FieldTerm) -> str:
        value: Any = term.value
        text = _FIELD[term.operator]
        if term.operator in ("withinLast", "withinNext"):
            return self.fill(text, field=self._title(term.field), when=self._span(value, _LAST if term.operator == "withinLast" else _NEXT))
        if term.operator in ("before", "after") and (offset := dates.duration(value)) is not None:
            return self.fill(_MOVING[term.operator], field=self._title(term.field), value=self._offset(offset))
        if term.operator == "between":
            low, high = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
            return self.fill(text, field=self._title(term.field), low=self._value(low), high=self._value(high))
        return self.fill(text, field=self._title(term.field), value=self._value(value))

    def event(self, term: EventTerm) -> str:
        whether = term.count == Count()
        text = "did {event}{times}{when}" if term.did or not whether else "did not do {event}{times}{when}"
        words = self.fill(text, event=f"*{term.event}*", times=self._times(term), when=self._when(term))
        if term.where is None or not term.where.rules:
            return words
        return self.fill("{sentence}, where {rule}", sentence=words, rule=self.say(term.where))

    def message(self, term: MessageTerm) -> str:
        text = _MESSAGE[term.message][0 if term.did else 1]
        return self.fill(text, message=self._message(term), when=self._past(term.within))

    def consent(self, term: ConsentTerm) -> str:
        text = _CONSENT[term.value][0 if term.operator == "=" else 1]
        return self.fill(text, channel=self.translate(_SUBJECTS[term.consent]), purpose=term.purpose)

    def score(self, term: ScoreTerm) -> str:
        return self.fill(_SCORE[term.operator], group=f"*{term.score}*", value=_number(term.value))

    def tag(self, term: TagTerm) -> str:
        return self.fill("has the tag {tag}" if term.has else "does not have the tag {tag}", tag=f"*{term.tag}*")

    # Parts of a sentence

    def _title(self, name: str) -> str:
        if name.startswith(TRIGGER):
            return self.fill("{field} of the trigger", field=name.removeprefix(TRIGGER))
        if name.startswith(STEPS):
            node, _, field = name.removeprefix(STEPS).partition(".")
            return self.fill("{field} of the step “{node}”", field=field, node=node)
        title = _TITLES.get(name)
        return self.translate(title) if title else name

    def _value(self, value: Any) -> str:
        if isinstance(value, bool):
            return self.translate("yes" if value else "no")
        if value is None:
            return self.translate("nothing")
        if isinstance(value, tuple):
            return ", ".join(self._value(one) for one in value) or self.translate("nothing")
        if isinstance(value, str):
            return self._text(value)
        return _number(value)

    def _text(self, value: str) -> str:
        at = dates.read(value)
        return self.fill("“{value}”", value=value) if at is None else self.written(at)

    def _times(self, term: EventTerm) -> str:
        if term.count == Count():
            return ""
        operator = term.count.operator if term.did else _OPPOSITE[term.count.operator]
        return " " + self.fill(_TIMES[operator], count=term.count.value)

    def _when(self, term: EventTerm) -> str:
        own = self.translate("in this run") if term.own_run else self.translate("since entry") if term.since_entry else ""
        return self._past(term.within) + (f" {own}" if own else "")

    def _past(self, within: timedelta | None) -> str:
        return "" if within is None else " " + self._unit(within, _LAST)

    def _span(self, value: Any, units: Mapping[str, tuple[str, ...]]) -> str:
        span = dates.duration(value)
        return self._value(value) if span is None else self._unit(span, units)

    def _offset(self, offset: timedelta) -> str:
        if not offset:
            return self.translate("now")
        return self._unit(abs(offset), _AGO if offset < timedelta(0) else _AHEAD)

    def _unit(self, span: timedelta, units: Mapping[str, tuple[str, ...]]) -> str:
        """The span in the largest unit that divides it; a single day is said as 24 hours ("the last day" might mean yesterday)."""
        seconds = round(span.total_seconds())
        unit, size = next((u, s) for u, s in _UNITS if seconds % s == 0 and (seconds > s or s < 86_400))
        number = seconds // size
        return self.fill(units[unit][0 if number == 1 else -1], n=number)

    def _message(self, term: MessageTerm) -> str:
        if term.node is not None and term.journey is None:
            return f"*{self.names.get(term.node) or term.node}*"
        named = [
            self.fill(text, name=f"*{name}*")
            for text, name in (
                ("message {name}", term.node),
                ("with the template {name}", term.template),
                ("of the journey {name}", term.journey),
            )
            if name is not None
        ]
        if term.node is None:
            named.insert(0, self.translate("a message") if term.did else self.translate("any message"))
        return " ".join(named)


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


_TITLES = {spec.name: spec.title for spec in CONTACT_FIELDS}

_SAYING: Mapping[type, Callable[[_Speaker, Any], str]] = {
    FieldTerm: _Speaker.field,
    EventTerm: _Speaker.event,
    MessageTerm: _Speaker.message,
    ConsentTerm: _Speaker.consent,
    ScoreTerm: _Speaker.score,
    TagTerm: _Speaker.tag,
}

_FIELD = {
    "=": "{field} is {value}",
    "!=": "{field} is not {value}",
    "<": "{field} is less than {value}",
    "<=": "{field} is at most {value}",
    ">": "{field} is more than {value}",
    ">=": "{field} is at least {value}",
    "contains": "{field} contains {value}",
    "doesNotContain": "{field} does not contain {value}",
    "beginsWith": "{field} begins with {value}",
    "endsWith": "{field} ends with {value}",
    "in": "{field} is one of {value}",
    "notIn": "{field} is none of {value}",
    "between": "{field} is between {low} and {high}",
    "null": "{field} is unknown",
    "notNull": "{field} is known",
    "before": "{field} is before {value}",
    "after": "{field} is after {value}",
    "withinLast": "{field} was {when}",
    "withinNext": "{field} will be {when}",
}

_MOVING = {"before": "{field} is earlier than {value}", "after": "{field} is later than {value}"}

_MESSAGE = {
    "sent": ("was sent {message}{when}", "was not sent {message}{when}"),
    "delivered": ("received {message}{when}", "did not receive {message}{when}"),
    "opened": ("opened {message}{when}", "did not open {message}{when}"),
    "clicked": ("clicked in {message}{when}", "did not click in {message}{when}"),
    "bounced": ("had {message} bounce{when}", "did not have {message} bounce{when}"),
}

_CONSENT = {
    "granted": ("allowed {channel} for {purpose}", "has not consented to {channel} for {purpose}"),
    "withdrawn": ("withdrew the consent to {channel} for {purpose}", "has not withdrawn the consent to {channel} for {purpose}"),
    "pending": ("has not confirmed {channel} for {purpose} yet", "has no open confirmation of {channel} for {purpose}"),
    "unknown": ("never answered for {channel} ({purpose})", "answered for {channel} ({purpose})"),
}

_SUBJECTS = {name: channel.noun for name, channel in CHANNELS.items()} | {TRACKING: "tracking"}

_SCORE = {
    "=": "score {group} is {value}",
    "!=": "score {group} is not {value}",
    "<": "score {group} is less than {value}",
    "<=": "score {group} is at most {value}",
    ">": "score {group} is more than {value}",
    ">=": "score {group} is at least {value}",
}

_TIMES = {
    "=": "exactly {count} times",
    "!=": "not exactly {count} times",
    "<": "fewer than {count} times",
    "<=": "at most {count} times",
    ">": "more than {count} times",
    ">=": "at least {count} times",
}

_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}

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
_AHEAD = {
    "day": ("{n} days from now",),
    "hour": ("{n} hour from now", "{n} hours from now"),
    "minute": ("{n} minute from now", "{n} minutes from now"),
    "second": ("{n} second from now", "{n} seconds from now"),
}
