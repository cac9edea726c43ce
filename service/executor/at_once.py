"""Runs that only compute are done before they are claimed: nobody has to hold what takes no time.

Their message says which version is executed with what input, the version says that every step is instant. So the steps
are done in memory, and one statement for a whole batch writes what a claim, the journal and the end would have
written. Doing it again gives the same and touches nothing, so whatever happens before that statement is harmless; what
it does not find as the message says goes the usual way.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from service.executor.claims import ClaimedRun
from service.executor.conclusion import Conclusion
from service.executor.definition import Definition, UnusableDefinitionError
from service.executor.ending import ending_of
from service.executor.journal import encode_steps
from service.executor.kinds.base import Agent
from service.executor.messages import ExecutionRequest
from service.executor.metrics import count_ended
from service.executor.progress import Progress
from service.executor.repository import RunRepository
from service.executor.run_log import RunLog, tell_failure
from service.executor.transient import is_transient
from service.executor.values import encode
from service.executor.work import Work
from service.platform.logging import bound_contextvars, get_logger

BATCH_RUNS = 500
"""Runs that are ended by one statement at most."""

MOST_STEPS = 50
MOST_CHARACTERS = 64 * 1024
"""Of a run's input, and of all that is written for it; one with more is worth a claim of its own."""

_BATCH_CHARACTERS = 4 * 1024 * 1024
_BATCH_SECONDS = 0.25
"""No batch is computed for longer, so that those who are done need not wait for the others."""

_RUN_SECONDS = 1.0
"""A kind that waits although it is said to only compute must not hold up the others."""

log = get_logger(__name__)


class AtOnce:
    """Computes and ends runs for one executor."""

    def __init__(self, repository: RunRepository, agents: Mapping[str, Agent[Any]]) -> None:
        self._repository = repository
        self._agents = agents

    async def compute(self, requests: Sequence[ExecutionRequest]) -> list[Conclusion | None]:
        """What becomes of the runs, in their order; None for those that go the usual way.

        Where there is too much for one batch, the last ones are left out. Raises what the database raises.
        """
        found: list[Conclusion | None] = []
        runs: set[UUID] = set()
        size, ends = 0, time.monotonic() + _BATCH_SECONDS
        for request in requests[:BATCH_RUNS]:
            conclusion = None if request.run_id in runs else await self._conclusion(request)
            found.append(conclusion)
            if conclusion is not None:
                runs.add(request.run_id)
                size += conclusion.size
            if size > _BATCH_CHARACTERS or time.monotonic() > ends:
                break
            # Many short ones together must not hold up the heartbeat.
            await asyncio.sleep(0)
        return found

    async def end(self, conclusions: Sequence[Conclusion]) -> set[UUID]:
        """Write the ends; returns the runs for which that was right. When this returns they are durable.

        A batch that cannot be written goes the usual way as a whole, where one run does not take others along. Raises
        what the database raises while it is away.
        """
        try:
            ended = await self._repository.end_received(conclusions)
        except Exception as error:
            if is_transient(error):
                raise
            log.exception("Ends could not be written", runs=len(conclusions))
            return set()
        for each in conclusions:
            if each.run_id in ended:
                count_ended(each.status, ended[each.run_id])
                log.info(
                    f"Run {each.status}",
                    run_id=str(each.run_id),
                    workflow_id=str(each.workflow_id),
                    correlation_id=each.correlation_id,
                    seconds=round(ended[each.run_id], 6),
                )
        return set(ended)

    async def _conclusion(self, request: ExecutionRequest) -> Conclusion | None:
        began = time.monotonic()
        if request.workflow_id is None or request.workflow_version is None or not isinstance(request.input, dict):
            return None
        try:
            definition = await self._repository.known_definition(request.workflow_id, request.workflow_version)
            if definition is None or not self._only_computes(definition):
                return None
            given = encode(request.input)
        except (UnusableDefinitionError, ValueError, RecursionError):
            return None
        if len(given) > MOST_CHARACTERS:
            return None
        progress, run_log = Progress(definition, request.input), RunLog(token=1)
        if not await self._do(request, progress, run_log):
            return None
        ending = ending_of(progress)
        if ending is None:
            return None
        progress.give_up()
        if ending.error is not None:
            tell_failure(run_log, ending.error)
        run_log.close()
        conclusion = Conclusion(
            message_id=request.message_id,
            run_id=request.run_id,
            correlation_id=request.correlation_id,
            workflow_id=request.workflow_id,
            version=request.workflow_version,
            input=given,
            status=ending.status,
            output=None if ending.output is None else encode(ending.output),
            error=None if ending.error is None else encode(ending.error),
            steps=encode_steps(progress.changes()),
            seconds=time.monotonic() - began,
            lines=run_log.encoded(run_log.waiting),
        )
        return conclusion if conclusion.size <= MOST_CHARACTERS else None

    async def _do(self, request: ExecutionRequest, progress: Progress, run_log: RunLog) -> bool:
        """Do all steps; False where that takes too long."""
        run = _as_claimed(request)
        with bound_contextvars(correlation_id=run.correlation_id, workflow_id=str(run.workflow_id), run_id=str(run.id)):
            try:
                async with asyncio.timeout(_RUN_SECONDS):
                    await Work(run, self._agents, progress, run_log=run_log).begin_ready()
            except TimeoutError:
                return False
        return True

    def _only_computes(self, definition: Definition) -> bool:
        """Whether each step ends by itself, and nothing follows a failure."""
        return (
            len(definition.steps) <= MOST_STEPS
            and not definition.on_failure
            and all(
                step.for_each is None and step.kind in self._agents and self._agents[step.kind].instant
                for step in definition.steps.values()
            )
        )


def _as_claimed(request: ExecutionRequest) -> ClaimedRun:
    """The run as the steps would see it had it been claimed."""
    if request.workflow_id is None or request.workflow_version is None:
        raise ValueError("the message does not say what is executed")
    return ClaimedRun(
        id=request.run_id,
        token=1,
        workflow_id=request.workflow_id,
        version=request.workflow_version,
        correlation_id=request.correlation_id,
        requested_by="",
        attempt=1,
        cancel_requested=False,
        running_seconds=0.0,
        input=request.input,
        error=None,
    )
