"""Which roles may change what. Checked on the server at every act; the pages use the same lists to leave out buttons.

Admins may do everything, everybody may read.
"""

from __future__ import annotations

from models import Member

Roles = frozenset[str]

JOURNEYS: Roles = frozenset({"marketer", "engineer"})
"""Pause, resume and stop journeys."""
RUNS: Roles = frozenset({"marketer", "engineer", "tester"})
"""Resume, skip and end runs."""
TASKS: Roles = frozenset({"marketer", "sales"})
"""Take, finish and hand on tasks."""


def may(member: Member, roles: Roles) -> bool:
    return member.role == "admin" or member.role in roles
