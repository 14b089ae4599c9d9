"""Forms that people fill in: what they ask, what was filled in, and whose it is."""
