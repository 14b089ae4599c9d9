"""What must be told to Temporal after a transaction commits. Losing it loses nothing: the keeper finds out from the rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.interpreter.state import Instruction


@dataclass(frozen=True, slots=True)
class Start:
    """A workflow to start for a new run."""

    run_id: str
    journey_key: str
    instruction: Instruction


@dataclass(slots=True)
class Wakeups:
    """Runs to wake, and workflows to start, once the transaction has committed."""

    runs: set[str] = field(default_factory=set)
    starts: dict[str, Start] = field(default_factory=dict)

    def __or__(self, other: Wakeups) -> Wakeups:
        return Wakeups(self.runs | other.runs, {**self.starts, **other.starts})

    def __bool__(self) -> bool:
        return bool(self.runs or self.starts)

    def wake(self, run_id: str) -> None:
        """A run that is only just started needs no waking."""
        if run_id not in self.starts:
            self.runs.add(run_id)

    def start(self, run_id: str, journey_key: str, instruction: Instruction) -> None:
        self.starts[run_id] = Start(run_id, journey_key, instruction)

    def add(self, other: Wakeups) -> None:
        """Takes over what `other` holds."""
        self.runs |= other.runs
        self.starts.update(other.starts)
