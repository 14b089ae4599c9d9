"""The gate as the simulator asks it: the same `decide` as a real send, about the script's contact.

It knows the messages of this one walk; what other journeys hold or have sent, and templates that need values, it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engine.interpreter import gate
from journeys.channels import ADDRESSED
from journeys.document import Settings
from journeys.rules.facts import Facts
from journeys.values import Call


@dataclass(slots=True)
class SimulatedGate:
    """`suppressions`: channel -> reasons. `limits` are the workspace's quiet time and caps."""

    settings: Settings
    suppressions: Mapping[str, Sequence[str]]
    limits: gate.Limits
    _former: list[gate.Former] = field(default_factory=list)
    _first_held: dict[str, datetime] = field(default_factory=dict)

    def ask(self, facts: Facts, call: Call, message_id: str, now: datetime) -> gate.Verdict:
        """The verdict now; a message that would wait longer than the journey allows is refused, as a real one."""
        since = self._first_held.get(message_id)
        wanted = gate.wanted(message_id, call.channel, call.input, self.settings, since)
        person = gate.Person(_text(facts.value(ADDRESSED.get(call.channel, "id"))), _text(facts.value("timezone")))
        stated = facts.consent(call.channel, wanted.purpose)
        consents = {call.channel: {wanted.purpose: stated}} if stated else {}
        verdict = gate.decide(wanted, person, consents, self.suppressions, self.limits, self._former, (), now)
        if isinstance(verdict, gate.Hold):
            return self._held(message_id, verdict, now)
        if isinstance(verdict, gate.Pass):
            self._former.append(gate.Former(wanted.cap_class, now))
        return verdict

    def _held(self, message_id: str, verdict: gate.Hold, now: datetime) -> gate.Verdict:
        since = self._first_held.setdefault(message_id, now)
        too_long = verdict.until > since + self.settings.hold_at_most
        return gate.Refuse(f"held_too_long_{verdict.reason}") if too_long else verdict


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
