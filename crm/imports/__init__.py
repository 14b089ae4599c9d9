"""Contacts from files: reading tables, mapping columns, dry run, import."""
