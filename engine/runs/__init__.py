"""How a run moves, what it hears, and what people do with it."""
