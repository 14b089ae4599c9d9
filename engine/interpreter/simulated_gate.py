"""The gate as the simulator asks it: the same `decide` as a real send, about the script's contact.

It knows the messages of this one walk; what other journeys hold or have sent, and templates that need values, it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

from engine.interpreter import gate
from journeys import wishes
from journeys.channels import CHANNELS, TOPIC, reach_of
from journeys.document import Settings
from journeys.rules.facts import Facts
from journeys.rules.terms.event import EventTerm
from journeys.rules.terms.message import BY_PEOPLE, REPLY
from journeys.values import Call


@dataclass(slots=True)
class SimulatedGate:
    """`suppressions`: channel -> reasons. `limits` are those of the workspace."""

    settings: Settings
    suppressions: Mapping[str, Sequence[str]]
    limits: gate.Limits
    topics: Mapping[str, str] = field(default_factory=dict)
    """Template -> what it is about where its step says nothing."""
    _former: list[gate.Former] = field(default_factory=list)
    _first_held: dict[str, datetime] = field(default_factory=dict)

    def ask(self, facts: Facts, call: Call, message_id: str, now: datetime, reply_window: timedelta | None = None) -> gate.Verdict:
        """The verdict now; a message that would wait longer than the journey allows is refused, as a real one. `reply_window`: as of a `SendRequest`."""
        since = self._first_held.get(message_id)
        wanted = replace(gate.wanted(message_id, call.channel, call.input, self.settings, since), reply_window=reply_window)
        wanted = replace(wanted, topic=wanted.topic or self.topics.get(str(call.input.get("template")), ""))
        address = reach_of(facts.value, call.channel)
        pause, rhythm = wishes.paused_until(facts.value(wishes.PAUSED_UNTIL)), wishes.at_most_every(facts.value(wishes.AT_MOST))
        person = gate.Person(address, _text(facts.value("timezone")), False, _text(facts.value("id")) or "", pause, rhythm)
        consents = _stated(facts, (call.channel, wanted.purpose), (TOPIC, wanted.topic))
        happened = self._happened(facts, wanted, now)
        heard = self.replied_at(facts, call.channel, now)
        verdict = gate.decide(wanted, person, consents, self.suppressions, self.limits, self._former, (), now, None, happened, heard)
        if isinstance(verdict, gate.Hold):
            return self._held(message_id, verdict, now)
        if isinstance(verdict, gate.Pass):
            self._former.append(gate.Former(wanted.cap_class, now, wanted.channel, wanted.purpose))
        return verdict

    def replied_at(self, facts: Facts, channel: str, now: datetime) -> datetime | None:
        """When the contact last wrote on a channel where that matters; what does not say which address wrote came from the present one."""
        known = CHANNELS.get(channel)
        if known is None or known.reply_window is None:
            return None
        return facts.occurrences(_replies(channel, reach_of(facts.value, channel) or ""), now).newest_at

    def _happened(self, facts: Facts, wanted: gate.SendRequest, now: datetime) -> gate.Happened:
        """What the script and the walk tell of messages on other channels."""
        found: dict[str, dict[str, datetime]] = {}
        for rule in self.limits.spacings:
            if rule.channel == wanted.channel and (last := facts.occurrences(_by_people(rule.event, rule.of_channel), now).newest_at):
                found.setdefault(rule.of_channel, {})[rule.event] = last
        return found

    def _held(self, message_id: str, verdict: gate.Hold, now: datetime) -> gate.Verdict:
        since = self._first_held.setdefault(message_id, now)
        too_long = verdict.until > since + self.settings.hold_at_most
        return gate.Refuse(f"held_too_long_{verdict.reason}") if too_long else verdict


def _stated(facts: Facts, *about: tuple[str, str]) -> gate.Consents:
    """What was said about each (channel, purpose)."""
    return {channel: {purpose: state} for channel, purpose in about if (state := facts.consent(channel, purpose))}


@lru_cache(maxsize=100)
def _by_people(event: str, channel: str) -> EventTerm:
    on_channel = {"field": "channel", "operator": "=", "value": channel}
    return EventTerm.model_validate({"event": event, "where": {"combinator": "and", "rules": [on_channel, BY_PEOPLE]}})


@lru_cache(maxsize=100)
def _replies(channel: str, address: str) -> EventTerm:
    """What the address wrote on the channel."""
    of_address = [{"field": "from", "operator": "=", "value": address}, {"field": "from", "operator": "null"}]
    there = [{"field": "channel", "operator": "=", "value": channel}, {"combinator": "or", "rules": of_address}]
    return EventTerm.model_validate({"event": REPLY, "where": {"combinator": "and", "rules": there}})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
