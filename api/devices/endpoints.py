"""What a browser or an app asks for so that its person gets push messages on it.

A device belongs to whoever the contact token names (`api.in_app.visitor`); a key in a page alone registers nothing for anybody. Only a changed
subscription needs no token, because a service worker has none: who knows the former endpoint has it. Endpoints and tokens are in bodies and
never in addresses, which stand in access logs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.http.errors import answers
from api.http.json_body import JsonRoute
from api.http.rate_limits import Rate
from api.in_app.endpoints import DOORS, KEY, WITH_TOKEN
from api.in_app.visitor import TheVisitor, Visitor
from api.public.doors import happened
from api.server import Server, TheServer
from api.tracking.endpoints import key_given, known_key
from crm.consent.consent import Evidence, record_consent
from crm.people import devices
from journeys.channels import ON_DEVICES
from journeys.errors import Conflict, Invalid, NotFound

router = APIRouter(tags=["devices"], route_class=JsonRoute)

PER_ADDRESS = Rate("device-renew", per_second=1, burst=60)
"""Changed subscriptions from one address: nobody tries endpoints here."""

_SUBSCRIPTION: Any = {"endpoint": "https://push.example/f8s…", "keys": {"p256dh": "BNc…", "auth": "k8J…"}}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class SubscriptionKeys(_Body):
    """As the browser gives them."""

    p256dh: str = Field(max_length=100)
    auth: str = Field(max_length=40)


class BrowserSubscription(_Body):
    """What `PushSubscription.toJSON()` gives."""

    model_config = ConfigDict(json_schema_extra={"example": _SUBSCRIPTION})

    endpoint: str = Field(max_length=devices.MAX_ADDRESS)
    keys: SubscriptionKeys
    expirationTime: float | None = Field(None, description="Not used: a push service says when a subscription is over.")


class DeviceConsent(_Body):
    """That the person said yes to messages on this device, with the words that stood there: it is logged as a proof."""

    purpose: str = Field("marketing", min_length=1, max_length=64)
    wording: str = Field(min_length=1, max_length=4_000, examples=["Yes, tell me about offers on this device."])


class DeviceRegistration(_Body):
    """A browser's subscription with the key it was made for, or the token of an app."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"type": "web", "subscription": _SUBSCRIPTION, "key": "BPu…", "app": "https://shop.example"}}
    )

    type: Literal["web", "android", "ios"]
    subscription: BrowserSubscription | None = None
    key: str = Field("", max_length=100, description="Of a browser: the key of `/v1/devices/key` that it subscribed with.")
    token: str = Field("", max_length=devices.MAX_ADDRESS, description="Of an app: its registration token of Firebase.")
    app: str = Field("", max_length=200, description="The site or the app, for people to read.")
    language: str = Field("", max_length=35)
    consent: DeviceConsent | None = None


class DeviceRemoval(_Body):
    """The device by its endpoint or its token."""

    model_config = ConfigDict(json_schema_extra={"example": {"address": "https://push.example/f8s…"}})

    address: str = Field(min_length=1, max_length=devices.MAX_ADDRESS)


class DeviceRenewal(_Body):
    """A browser's new subscription in place of a former one."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"before": "https://push.example/old", "subscription": _SUBSCRIPTION, "key": "BPu…"}}
    )

    before: str = Field(min_length=1, max_length=devices.MAX_ADDRESS, description="The former endpoint.")
    subscription: BrowserSubscription
    key: str = Field(max_length=100)


class BrowserKey(BaseModel):
    """What goes into `applicationServerKey`: the public VAPID key, base64url."""

    key: str


@router.get(
    "/v1/devices/key", summary="Get the key that browsers subscribe with", responses=answers(400, 401, 404, 429, 503), openapi_extra=KEY
)
async def get_browser_key(request: Request, server: TheServer) -> BrowserKey:
    """Changes only when another account is chosen for browsers; a browser must then subscribe anew."""
    await known_key(server, request, key_given(request))
    key = await run_in_threadpool(server.accounts.browser_key)
    if not key:
        raise NotFound("No account for push messages to browsers is set up.")
    return BrowserKey(key=key)


@router.post("/v1/devices", summary="Register a device", status_code=204, responses={**DOORS, **answers(409)}, openapi_extra=WITH_TOKEN)
def register_device(new: DeviceRegistration, server: TheServer, visitor: TheVisitor) -> Response:
    """The contact gets push messages on it from now on; whoever had it before no longer does. A second time says that it is still in use. A
    contact has at most 20: beyond that the one unseen for longest goes."""
    device = _checked(server, new)

    def said(session: Session, now: datetime) -> list[Any]:
        devices.register(session, visitor.contact_id, device, now)
        return _consented(session, visitor, new, now)

    happened(server, said)
    return Response(status_code=204)


@router.post("/v1/devices/remove", summary="Remove a device", status_code=204, responses=DOORS, openapi_extra=WITH_TOKEN)
def remove_device(gone: DeviceRemoval, server: TheServer, visitor: TheVisitor) -> Response:
    """The contact gets nothing more on it, such as after logging out. One that is not there is no error."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        devices.leave(session, visitor.contact_id, gone.address, now)
    return Response(status_code=204)


@router.post(
    "/v1/devices/renew",
    summary="Replace a subscription",
    status_code=204,
    responses=answers(400, 401, 404, 409, 422, 429, 503),
    openapi_extra=KEY,
)
async def renew_device(new: DeviceRenewal, request: Request, server: TheServer) -> Response:
    """For service workers, when the browser changes a subscription (`pushsubscriptionchange`). The former endpoint is the proof."""
    await known_key(server, request, key_given(request))
    await server.limits.take(PER_ADDRESS, request.client.host if request.client else "")
    await run_in_threadpool(_renew, server, new)
    return Response(status_code=204)


def _renew(server: Server, new: DeviceRenewal) -> None:
    device = _browser(server, new.subscription, new.key)
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        if devices.renew(session, new.before, device, now) is None:
            raise NotFound("There is no such device.")


def _checked(server: Server, new: DeviceRegistration) -> devices.Registration:
    if new.type == "web":
        if new.subscription is None or new.token:
            raise Invalid("Expected the subscription of a browser.")
        return _browser(server, new.subscription, new.key, new.app, new.language)
    if new.subscription is not None or not new.token:
        raise Invalid("Expected the token of an app.")
    return devices.Registration(new.type, new.token, app=new.app, language=new.language)


def _browser(server: Server, given: BrowserSubscription, key: str, app: str = "", language: str = "") -> devices.Registration:
    """Raises: Conflict: it subscribed with a key that reaches nobody (any more)."""
    if not key or key != server.accounts.browser_key():
        raise Conflict("This subscription was made for another key: get the present one and subscribe again.")
    return devices.Registration("web", given.endpoint, given.keys.p256dh, given.keys.auth, key, app, language)


def _consented(session: Session, visitor: Visitor, new: DeviceRegistration, now: datetime) -> list[Any]:
    """The customer's server has logged the person in and vouches for the page; the words are the page's."""
    if new.consent is None:
        return []
    proof = {"key": visitor.key_id, "app": new.app, "method": "permission on a device"}
    said = [
        record_consent(
            session, visitor.contact_id, channel, new.consent.purpose, "granted", now, evidence=Evidence.DATED, source="device",
            wording=new.consent.wording, proof=proof,
        )
        for channel in ON_DEVICES
    ]  # fmt: skip
    return [event for event in said if event is not None]
