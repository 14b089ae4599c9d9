"""Which roles may do what: one table for the interface and the pages, for members and for admin keys. Admins may do everything, everybody may read."""

from __future__ import annotations

Roles = frozenset[str]

ADMINS: Roles = frozenset()
"""Members, keys, settings, erasure, the audit trail; store and remove secrets."""
ANYONE: Roles = frozenset({"marketer", "engineer", "tester", "sales", "viewer"})
"""What concerns nobody but oneself."""
EDITORS: Roles = frozenset({"marketer", "engineer"})
"""Change journeys, templates, the catalogue and rotations; stop journeys."""
OPERATORS: Roles = frozenset({"marketer", "engineer", "tester"})
"""Pause and resume journeys; start, resume, skip, simulate and end runs."""
EXPORTERS: Roles = frozenset({"marketer", "sales"})
"""Take personal data out of the house in bulk, as files. Not viewers, testers and engineers: for them the pages are enough."""
SELLERS: Roles = frozenset({"marketer", "sales"})
"""Work on tasks and contacts."""


def allows(roles: Roles, role: str) -> bool:
    return role == "admin" or role in roles
