"""How what happened to a contact reads: a line for each kind of thing."""
