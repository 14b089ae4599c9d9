"""The tracking API: what sites and apps send about contacts, checked, resolved and stored."""
