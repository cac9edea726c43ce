"""One attempt of one step."""

import asyncio
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.executor import metrics
from service.executor.expressions import evaluate
from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.kinds.registry import parse_settings
from service.executor.kinds.secrets import SecretReader
from service.executor.progress import StepState
from service.executor.values import check_output
from service.executor.waiting import Waiting
from service.platform.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class Succeeded:
    """The step's output."""

    output: Any


@dataclass(frozen=True)
class PreparedStep:
    """A step whose input is evaluated: it is the same for all attempts."""

    state: StepState
    agent: Agent[Any]
    settings: Any
    input: dict[str, Any]


def prepare(state: StepState, agents: Mapping[str, Agent[Any]], scope: Mapping[str, Any]) -> PreparedStep:
    """Find the step's agent and evaluate its input; raises StepFailedError where that is impossible."""
    if state.step.kind not in agents:
        known = ", ".join(sorted(agents))
        detail = f"this executor has no agents of the kind {state.step.kind!r}, only of {known}"
        raise StepFailedError("agent-kind", detail, retryable=False)
    try:
        settings = parse_settings(state.step.kind, state.step.settings)
        step_input = evaluate(state.step.input, scope)
    except ValueError as error:
        raise StepFailedError("input", str(error), retryable=False) from None
    if not isinstance(step_input, dict):
        raise StepFailedError("input", "the step's input must be an object", retryable=False)
    return PreparedStep(state, agents[state.step.kind], settings, step_input)


Outcome = Succeeded | Waiting | StepFailedError


async def attempt(prepared: PreparedStep, context: StepContext, *, after: float = 0.0) -> Outcome:
    """Wait ``after`` seconds, then call the agent within the step's timeout. Only cancellation is raised."""
    if after:
        await asyncio.sleep(after)
    context = replace(context, secrets=SecretReader(prepared.agent.secret_folder))
    outcome = await _call(prepared, context)
    label = outcome.code if isinstance(outcome, StepFailedError) else type(outcome).__name__.lower()
    metrics.STEP_ATTEMPTS.labels(prepared.state.step.kind, label).inc()
    return outcome


async def _call(prepared: PreparedStep, context: StepContext) -> Outcome:
    step = prepared.state.step
    try:
        async with asyncio.timeout(step.timeout_seconds):
            output = await prepared.agent.run(prepared.settings, prepared.input, context)
        if isinstance(output, Waiting):
            output = output.redacted(context.secrets.redacted)
            check_output(output.as_json())
            if output.child is not None:
                check_output(output.child.input)
        else:
            output = context.secrets.redacted(output)
            check_output(output)
    except StepFailedError as failure:
        failure.detail = context.secrets.redacted(failure.detail)
        return failure
    except TimeoutError:
        detail = f"the step took longer than its timeout of {step.timeout_seconds:g} s"
        return StepFailedError("timeout", detail, retryable=True)
    except Exception as error:  # noqa: BLE001 - it is logged, cleared of secrets
        # The run's reader learns that it broke; what broke is for the log.
        broken = context.secrets.redacted(traceback.format_exc())
        log.error("An agent broke down", step_id=step.id, kind=step.kind, exception=broken)  # noqa: TRY400
        return StepFailedError("agent", f"the {step.kind} agent broke down ({type(error).__name__})", retryable=False)
    return output if isinstance(output, Waiting) else Succeeded(output)
