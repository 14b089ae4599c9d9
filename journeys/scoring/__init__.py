"""Scoring models as values: rules that give points, what the points come to on a day, thresholds and grades. Pure."""

from __future__ import annotations

from journeys.scoring.model import MAX_RULES, Action, Decay, Definition, Grading, Notify, PeriodCap, ScoringRule, Step, Threshold
from journeys.scoring.points import earned, next_change

__all__ = [
    "MAX_RULES",
    "Action",
    "Decay",
    "Definition",
    "Grading",
    "Notify",
    "PeriodCap",
    "ScoringRule",
    "Step",
    "Threshold",
    "earned",
    "next_change",
]
