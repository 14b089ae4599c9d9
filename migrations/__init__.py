"""Alembic revisions of the database schema; run through `models.migrate`, never by Alembic's own command line."""
