"""Which roles may change what (`crm.roles`). Checked on the server at every act; the pages use the same lists to leave out buttons."""

from __future__ import annotations

from crm.roles import ADMINS, ANYONE, EDITORS, EXPORTERS, OPERATORS, SELLERS, Roles, allows
from models import Member

__all__ = ["ADMINS", "ANYONE", "EDITORS", "EXPORTERS", "OPERATORS", "SELLERS", "Roles", "may"]


def may(member: Member, roles: Roles) -> bool:
    return allows(roles, member.role)
