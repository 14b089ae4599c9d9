"""Who asks, and whether they may: an admin key or a logged-in member, each with a role (`workspace.roles`).

`Actor` is handed to endpoints by dependency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from api.auth.login import COOKIE, cookie_of
from api.http.errors import Forbidden, Unauthorized
from api.http.rate_limits import Rate
from api.server import Server, TheServer
from models import Member
from workspace import second_factor
from workspace.roles import OWING, PROVED, may, roles_for
from workspace.sessions import member_of, require_proof

PER_ACTOR = Rate("admin", per_second=200, burst=2_000)
BAD_LOGINS = Rate("bad-login", per_second=0.5, burst=30)

_bearer = HTTPBearer(auto_error=False, scheme_name="adminKey", description="An admin key: `Authorization: Bearer pfa_…`.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="session", description="The session of a logged-in member.")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `id` is what the audit trail stores: `member:<id>` or `key:<id>`, never a name."""

    id: str
    name: str
    role: str
    member: Member | None = None

    @property
    def locale(self) -> str:
        return self.member.locale if self.member else "en"

    def require(self, act: str) -> None:
        """Raises:
        Forbidden: unless the role may do the act (`workspace.roles.ACTS`)."""
        if not may(self.role, act):
            raise Forbidden("This needs one of the roles {roles}; yours is {role}.", roles=roles_for(act), role=self.role)


def _identify(server: Server, request: Request, bearer: HTTPAuthorizationCredentials | None, session_token: str | None) -> Actor | None:
    if bearer is not None:
        key = server.keys.find(bearer.credentials, "admin")
        return Actor(f"key:{key.id}", key.name, key.role) if key else None
    session_token = cookie_of(server, request)  # over https it has a name of its own, which OpenAPI cannot say
    if not session_token:
        return None
    member = member_of(server.engine.db, session_token, server.engine.clock.real_now())
    if member is None:
        return None
    return Actor(f"member:{member.id}", member.name, member.role, member)


def current_actor(
    request: Request,
    server: TheServer,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    session_token: Annotated[str | None, Security(_cookie)] = None,
) -> Actor:
    """The dependency of every admin endpoint; a thread of the pool, because keys and sessions stand in the database.

    Raises:
        Unauthorized: nobody; TooMany after many failures from one address.
    """
    actor = _identify(server, request, bearer, session_token)
    if actor is None:
        server.take(BAD_LOGINS, request.client.host if request.client else "")
        raise Unauthorized("Log in, or send an admin key: Authorization: Bearer …")
    server.take(PER_ACTOR, actor.id)
    request.state.actor = actor.id
    return actor


def current_member(request: Request, server: TheServer, session_token: Annotated[str | None, Security(_cookie)] = None) -> Member:
    """The logged-in member, for pages.

    Raises:
        Unauthorized: nobody is logged in.
    """
    actor = _identify(server, request, None, session_token)
    if actor is None or actor.member is None:
        raise Unauthorized("Log in first; `pfadwerk dev` prints a link.")
    return actor.member


class Needs:
    """A dependency: the actor, if the role may do `act`. A class, so that a walk over the routes finds the act of each."""

    def __init__(self, act: str) -> None:
        roles_for(act)  # an act that is not in the table is found at the start
        self.act = act

    def __call__(self, actor: Annotated[Actor, Depends(current_actor)], request: Request, server: TheServer) -> Actor:
        actor.require(self.act)
        require_more(server, request, actor, self.act)
        return actor


def require_more(server: Server, request: Request, actor: Actor, act: str) -> None:
    """What a member has to bring besides the role. Admin keys pass (`workspace.roles.PROVED` says why).

    Raises:
        Forbidden: the workspace asks for a second factor that is not set up yet.
        ProofNeeded: the act weighs more, changes something, and the session's last proof is old.
    """
    if actor.member is None:
        return
    if act not in OWING:
        with server.engine.db.read() as session:
            if second_factor.is_owed(session, actor.member):
                raise Forbidden("Set up an authenticator app first: open your account in the settings.")
    if act in PROVED and request.method not in ("GET", "HEAD", "OPTIONS"):
        require_proof(server.engine.db, cookie_of(server, request), server.engine.clock.real_now())


def needs(act: str) -> Any:
    """The dependency of an endpoint that does `act`."""
    return Depends(Needs(act))


def act_of(route: Any) -> str | None:
    """The act that a route does (`workspace.roles.ACTS`): what its dependency asks for, or what a route of the pages declares; None if neither."""
    asked = [one.call for one in route.dependant.dependencies] if isinstance(route, APIRoute) else []
    found = next((call.act for call in asked if isinstance(call, Needs)), None)
    return found or (getattr(route, "openapi_extra", None) or {}).get("x-act")
