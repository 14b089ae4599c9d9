"""Tells Temporal to start a run's workflow, or to wake it. Best effort by design; the keeper repeats from the rows what a crash left out."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.runtime import Runtime
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from engine.interpreter.state import Instruction
from engine.temporal.failures import BARE
from engine.temporal.wakeups import Start, Wakeups
from journeys.calls import JOURNEY_ATTRIBUTE, RUN_QUEUE, RUN_WORKFLOW, WAKE_UP

log = logging.getLogger(__name__)

JOURNEY = SearchAttributeKey.for_keyword(JOURNEY_ATTRIBUTE)
AT_ONCE = 50
"""Calls to the server in flight."""
CHECK_SECONDS = 2.0
RPC_TIMEOUT = timedelta(seconds=10)


class Temporal:
    """A connection, and the three things the engine asks of it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(
        cls, address: str, namespace: str, *, tls: bool = False, api_key: str | None = None, runtime: Runtime | None = None
    ) -> Temporal:
        """Connects; raises RuntimeError if nobody listens at `address`."""
        client = await Client.connect(
            address,
            namespace=namespace,
            tls=tls,
            api_key=api_key,
            runtime=runtime,
            data_converter=BARE,
            grpc_compression=GrpcCompression.NONE,
        )
        return cls(client)

    async def wake(self, wakeups: Wakeups) -> int:
        """Starts and wakes; returns how many could not be told. Never raises for them."""
        told = await asyncio.gather(
            *(self._start(start) for start in wakeups.starts.values()),
            *(self._signal(run_id) for run_id in sorted(wakeups.runs)),
        )
        return told.count(False)

    def wake_soon(self, wakeups: Wakeups) -> None:
        """The same from a worker thread, without waiting for it."""
        if wakeups:
            asyncio.run_coroutine_threadsafe(self.wake(wakeups), self._loop)

    async def start(self, run_id: str, journey_key: str, instruction: Instruction) -> bool:
        """Starts the run's workflow unless it is running. False if the server could not be told."""
        return await self._start(Start(run_id, journey_key, instruction))

    async def is_running(self, run_id: str) -> bool | None:
        """Whether the run's workflow is open; False if there is none; None if the server does not answer."""
        try:
            async with self._gate:
                described = await self.client.get_workflow_handle(run_id).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            return False if error.status == RPCStatusCode.NOT_FOUND else None
        return described.status == WorkflowExecutionStatus.RUNNING

    async def signal(self, run_id: str) -> bool | None:
        """Sends the run's workflow the wake-up signal: True told, False no such workflow is open, None the server did not answer."""
        try:
            async with self._gate:
                await self.client.get_workflow_handle(run_id).signal(WAKE_UP, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            return False if error.status == RPCStatusCode.NOT_FOUND else None
        return True

    async def is_up(self) -> bool:
        """Whether the server answers now."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await self.client.service_client.check_health()
        except (RPCError, TimeoutError):
            return False

    async def _signal(self, run_id: str) -> bool:
        told = await self.signal(run_id)
        if told is None:
            log.warning("run %s could not be woken; the keeper will wake it", run_id)
        return told is not None

    async def _start(self, start: Start) -> bool:
        attributes = TypedSearchAttributes([SearchAttributePair(JOURNEY, start.journey_key)])
        try:
            async with self._gate:
                await self.client.start_workflow(
                    RUN_WORKFLOW,
                    args=[start.run_id, start.instruction],
                    id=start.run_id,
                    task_queue=RUN_QUEUE,
                    search_attributes=attributes,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    rpc_timeout=RPC_TIMEOUT,
                )
        except WorkflowAlreadyStartedError:
            return True
        except RPCError as error:
            log.warning("the workflow of run %s could not be started (%s); the keeper will", start.run_id, error.status.name)
            return False
        return True
