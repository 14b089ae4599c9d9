"""Scoring: models of rules that give points, what they have given whom, thresholds and grades."""
