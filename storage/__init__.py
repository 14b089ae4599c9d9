"""The ground under people and the engine: statements, locks, JSON, identifiers, events, counters and the rows of runs. No rules of the business."""
