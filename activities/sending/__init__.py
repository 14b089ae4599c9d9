"""From a step to what left: prepare, ask the gate, claim, call once, answer; and what nobody knows is reconciled."""
