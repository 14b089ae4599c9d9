"""Companies: rows with members, what they are known by, and what their members add up to."""
