"""Sending domains: what their DNS says about the mails that leave in their name."""
