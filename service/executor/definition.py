"""A workflow version as the executor reads it: immutable, its agents already resolved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.executor.kinds.workflow import WORKFLOW
from service.executor.retry import MAX_PAUSE_SECONDS, RetrySettings

DEFAULT_TIMEOUT_SECONDS = 30.0


class UnusableDefinitionError(ValueError):
    """A stored definition cannot be executed; the message says why."""


@dataclass(frozen=True)
class ForEach:
    """The list whose items a step is done for, as a JMESPath expression, and how many of them at a time."""

    items: str
    max_parallel: int = 10


@dataclass(frozen=True)
class StepDefinition:
    """One step: what it calls, with what input, after which others."""

    id: str
    kind: str
    settings: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    when: str | None = None
    for_each: ForEach | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    retry: RetrySettings = field(default_factory=RetrySettings)
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS


@dataclass(frozen=True)
class Definition:
    """The steps by id, each after those that it needs, and what holds for the run as a whole."""

    steps: Mapping[str, StepDefinition]
    timeout_seconds: float | None = None
    output_schema: Mapping[str, Any] | None = None
    on_failure: Mapping[str, StepDefinition] = field(default_factory=dict)

    @property
    def executes_workflows(self) -> bool:
        """Whether a step of it may begin another run."""
        return any(step.kind == WORKFLOW for step in (*self.steps.values(), *self.on_failure.values()))

    @property
    def leaves(self) -> tuple[str, ...]:
        """The ids of the steps that no other step needs; their outputs are the run's output."""
        needed = {need for step in self.steps.values() for need in step.needs}
        return tuple(step_id for step_id in self.steps if step_id not in needed)


def parse_definition(document: Mapping[str, Any]) -> Definition:
    """Read a stored definition; raises UnusableDefinitionError."""
    try:
        steps, on_failure = (list(map(_step, document.get(name) or ())) for name in ("steps", "on_failure"))
        timeout = document.get("timeout_seconds")
        timeout_seconds = None if timeout is None else float(timeout)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnusableDefinitionError(f"the definition cannot be read: {error!r}") from None
    if not steps:
        raise UnusableDefinitionError("the definition has no steps")
    if len({step.id for step in (*steps, *on_failure)}) < len(steps) + len(on_failure):
        raise UnusableDefinitionError("two steps have the same id")
    return Definition(_sorted(steps), timeout_seconds, document.get("output_schema"), _sorted(on_failure))


def _step(document: Mapping[str, Any]) -> StepDefinition:
    return StepDefinition(
        id=str(document["id"]),
        kind=str(document["agent"]["kind"]),
        settings=dict(document["agent"].get("settings") or {}),
        needs=tuple(document.get("needs") or ()),
        when=document.get("when"),
        for_each=_for_each(document.get("for_each")),
        input=dict(document.get("input") or {}),
        retry=_retry(document.get("retry") or {}),
        timeout_seconds=float(document.get("timeout_seconds") or DEFAULT_TIMEOUT_SECONDS),
    )


def _for_each(document: Mapping[str, Any] | None) -> ForEach | None:
    return None if document is None else ForEach(str(document["items"]), int(document.get("max_parallel", 10)))


def _retry(document: Mapping[str, Any]) -> RetrySettings:
    return RetrySettings(
        max_attempts=int(document.get("max_attempts", 3)),
        backoff_seconds=float(document.get("backoff_seconds", 0.2)),
        strategy="fixed" if document.get("strategy") == "fixed" else "exponential",
        max_pause_seconds=float(document.get("max_pause_seconds", MAX_PAUSE_SECONDS)),
        jitter=bool(document.get("jitter", True)),
    )


def _sorted(steps: Iterable[StepDefinition]) -> dict[str, StepDefinition]:
    ordered: dict[str, StepDefinition] = {}
    waiting = {step.id: step for step in steps}
    while waiting:
        free = [step for step in waiting.values() if all(need in ordered for need in step.needs)]
        if not free:
            raise UnusableDefinitionError(f"the steps {', '.join(waiting)} need each other or a step that is not there")
        for step in free:
            ordered[step.id] = waiting.pop(step.id)
    return ordered
