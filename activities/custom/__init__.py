"""Custom activities: found where engineers put them, and performed."""
