"""Calls to systems of others: one signed HTTP request, to addresses that may be called."""
