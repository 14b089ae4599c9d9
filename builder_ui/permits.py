"""Which roles may change what. Checked on the server at every act; the pages use the same lists to leave out buttons. The same as in `api.access`.

Admins may do everything, everybody may read.
"""

from __future__ import annotations

from models import Member

Roles = frozenset[str]

ADMINS: Roles = frozenset()
"""Members, keys, secrets, settings, the audit trail."""
ANYONE: Roles = frozenset({"marketer", "engineer", "tester", "sales", "viewer"})
"""What concerns nobody but oneself."""
EDITORS: Roles = frozenset({"marketer", "engineer"})
"""Stop journeys, import contacts."""
OPERATORS: Roles = frozenset({"marketer", "engineer", "tester"})
"""Pause and resume journeys; resume, skip and end runs."""
SELLERS: Roles = frozenset({"marketer", "sales"})
"""Take, finish and hand on tasks; make and change contacts."""


EXPORTERS: Roles = frozenset({"marketer", "sales"})
"""Take personal data out of the house in bulk, as files. Not viewers, testers and engineers: for them the pages are enough."""
ADMINS: Roles = frozenset()
"""Erase people, hand out everything known about one, let a suppressed address receive again."""


def may(member: Member, roles: Roles) -> bool:
    return member.role == "admin" or member.role in roles
