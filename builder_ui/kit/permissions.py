"""Which members may do what (`workspace.roles`). Checked on the server at every act; the pages use the same table to leave out buttons."""

from __future__ import annotations

from typing import Any

from models import Member
from workspace import roles


def may(member: Member, act: str) -> bool:
    return roles.may(member.role, act)


def does(act: str) -> dict[str, Any]:
    """What a plain route of the pages is registered with: the act it does, for the walk over all routes. The route itself checks it."""
    roles.roles_for(act)
    return {"openapi_extra": {"x-act": act}}
