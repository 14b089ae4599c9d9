"""The run workflow: a loop that knows three instructions and no node kinds, so that editing graphs can never break its replay.

It decides nothing and remembers a step number. Its history holds ids and small facts only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

from engine.interpreter.state import Effect, Instruction
from journeys.calls import RUN_WORKFLOW, STEP, WAKE_UP

LONG_HISTORY = 500
"""Events after which the run goes on in a fresh history."""
HEARD_EARLY = "a bell between an effect's answer and its arrival"
"""Marks histories in which that wake-up is passed on; in older ones it was used up, and the keeper woke it again."""
STEP_TIMEOUT = timedelta(seconds=5)
STEP_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
EFFECT_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))


@workflow.defn(name=RUN_WORKFLOW)
class RunWorkflow:
    """One run. The wake-up signal carries no data; it may be early, late or duplicated."""

    def __init__(self) -> None:
        self.signals = 0
        self.heard = 0

    @workflow.signal(name=WAKE_UP)
    def wake(self) -> None:
        self.signals += 1

    @workflow.run
    async def run(self, run_id: str, instruction: Instruction) -> str:
        while instruction["op"] != "end":
            if self._history_is_long():
                workflow.continue_as_new(args=[run_id, instruction])
            if instruction["op"] == "do":
                instruction = await self._perform(run_id, instruction["step"], instruction["then"])
            elif await self._signalled_before(instruction.get("until")):
                instruction = await self._step(run_id, instruction["step"])
            elif (then := instruction.get("then")) is not None:
                instruction = await self._perform(run_id, instruction["step"], then)
            else:
                instruction = await self._step(run_id, instruction["step"])
        return instruction.get("reason", "")

    async def _signalled_before(self, until: str | None) -> bool:
        """Sleeps; True when a wake-up ended it. None sleeps until a wake-up."""
        timeout = None if until is None else max(datetime.fromisoformat(until) - workflow.now(), timedelta(0))
        try:
            await workflow.wait_condition(self._signalled, timeout=timeout)
        except TimeoutError:
            return False
        return True

    async def _step(self, run_id: str, step: int) -> Instruction:
        self.heard = self.signals
        instruction: Instruction = await workflow.execute_local_activity(
            STEP,
            args=[run_id, step, workflow.now().isoformat()],
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=STEP_RETRY,
            result_type=dict[str, Any],
        )
        return instruction

    async def _perform(self, run_id: str, step: int, effect: Effect) -> Instruction:
        """Runs the effect. A wake-up meanwhile asks for a step, so that an exit ends the run at once; the effect itself is never cancelled.

        A foretold effect has left its wait, so the step must ask with the number that followed. So it must when the effect is answered in the
        database and not here yet: the wait behind it would never hear of the wake-up, and what is known here by then is older than what it led to.
        A message that stands in line is asked for again after any wake-up since the call began: what it waits for may have gone meanwhile.
        """
        began = self.heard = self.signals
        later: Instruction | None = None
        performing = workflow.start_activity(
            effect["activity"],
            args=[run_id, step],
            task_queue=effect["queue"],
            start_to_close_timeout=timedelta(seconds=effect["timeout_seconds"]),
            retry_policy=EFFECT_RETRY,
            result_type=dict[str, Any],
        )
        while True:
            await workflow.wait_condition(lambda: performing.done() or self._signalled())
            if performing.done():
                instruction: Instruction = performing.result()
                if instruction.get("in_line"):
                    self.heard = began
                return later if later and later["step"] > instruction["step"] else instruction
            looked = await self._step(run_id, step)
            if looked["op"] == "do" and looked["step"] > step:
                step = looked["step"]
                await self._step(run_id, step)
            elif looked["step"] > step and workflow.patched(HEARD_EARLY):
                step = looked["step"]
                later = await self._step(run_id, step)

    def _signalled(self) -> bool:
        return self.signals > self.heard

    def _history_is_long(self) -> bool:
        return workflow.info().get_current_history_length() > LONG_HISTORY and not self._signalled()
