"""`pfadwerk setup`: the one-off step before workers and web servers start, safe to repeat.

Brings the database to the schema of this version and makes sure that the Temporal namespace and the search attribute exist.
`pfadwerk dev` does not need it (its own Temporal server is started with both).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from commands.servers import SEARCH_ATTRIBUTES
from journeys.errors import PfadwerkError
from models.migrate import upgrade
from settings import Settings

T = TypeVar("T")

RETENTION = timedelta(days=30)
"""How long Temporal keeps the history of an ended run; our own rows are kept independently of that."""

_PATIENCE_SECONDS = 60
_INDEXED = {"Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD}


class NoTemporal(PfadwerkError):
    """The Temporal server does not answer or refuses us."""

    code = "no_temporal"
    status = 503


class SetUp(BaseModel):
    """What was made; everything else was there already."""

    namespace_made: bool
    search_attributes_made: list[str]


def setup(settings: Settings, *, migrate: Callable[[str], None] = upgrade) -> SetUp:
    """Prepare database and Temporal for this version; waits a minute for a Temporal server that is still starting.

    Raises:
        Misconfigured: the database does not fit.
        NoTemporal: no server there, or it refuses.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    migrate(settings.database_url)
    return asyncio.run(_set_up_temporal(settings))


async def connect(settings: Settings, *, namespace: str | None = None) -> Client:
    """A client for the Temporal server of the settings.

    Raises:
        NoTemporal: no address is set, or nobody answers there.
    """
    if not settings.temporal_address:
        raise NoTemporal("No Temporal server is named. Set PFADWERK_TEMPORAL_ADDRESS, or start `pfadwerk dev`, which brings its own.")
    try:
        how = settings.temporal() | ({"namespace": namespace} if namespace else {})
        return await Client.connect(how.pop("address"), **how)
    except RuntimeError:
        raise NoTemporal(
            "No Temporal server answers at {address}. Check PFADWERK_TEMPORAL_ADDRESS and PFADWERK_TEMPORAL_TLS.",
            address=settings.temporal_address,
        ) from None


async def missing_attributes(client: Client) -> list[str]:
    """Search attributes that the namespace of this client lacks."""
    answer = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    return sorted(set(SEARCH_ATTRIBUTES) - set(answer.custom_attributes))


async def has_namespace(client: Client) -> bool:
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def _set_up_temporal(settings: Settings) -> SetUp:
    client = await _patient(lambda: connect(settings), NoTemporal)
    made = not await has_namespace(client)
    if made:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=_duration(RETENTION))
        )
    # A new namespace reaches the server's other parts some seconds later.
    lacking = await _patient(lambda: missing_attributes(client), RPCError)
    if lacking:
        wanted = {name: _INDEXED[SEARCH_ATTRIBUTES[name]] for name in lacking}
        request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
        await _patient(lambda: client.operator_service.add_search_attributes(request), RPCError)
    return SetUp(namespace_made=made, search_attributes_made=lacking)


async def _patient(attempt: Callable[[], Awaitable[T]], passing: type[Exception]) -> T:
    """The result of `attempt`, repeated each second for a minute while it raises `passing`."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        try:
            return await attempt()
        except passing as error:
            if asyncio.get_running_loop().time() > deadline:
                if isinstance(error, PfadwerkError):
                    raise
                raise NoTemporal("The Temporal server refuses ({error}). Check its log.", error=str(error)[:200]) from error
            await asyncio.sleep(1)


def _duration(span: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(span)
    return duration
