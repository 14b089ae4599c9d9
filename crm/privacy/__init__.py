"""Erasing, exporting and finding a person (GDPR Art. 15, 17, 20)."""
