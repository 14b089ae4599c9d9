"""The search of the shell and its page."""
