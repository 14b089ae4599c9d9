"""Pages of the built-in outbox."""
