"""Which roles may change what. Checked on the server at every act; the pages use the same lists to leave out buttons. The same as in `api.access`.

Admins may do everything, everybody may read.
"""

from __future__ import annotations

from models import Member

Roles = frozenset[str]

ADMINS: Roles = frozenset()
"""Members, keys, secrets, settings, the audit trail."""
EDITORS: Roles = frozenset({"marketer", "engineer"})
"""Stop journeys."""
OPERATORS: Roles = frozenset({"marketer", "engineer", "tester"})
"""Pause and resume journeys; resume, skip and end runs."""
SELLERS: Roles = frozenset({"marketer", "sales"})
"""Take, finish and hand on tasks."""


def may(member: Member, roles: Roles) -> bool:
    return member.role == "admin" or member.role in roles
