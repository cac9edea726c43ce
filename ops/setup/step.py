"""A step of the set-up: done once, resumable, shown while it runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ops.console import Progress, Report


@dataclass(frozen=True)
class Step:
    """`done` looks, quickly and without changing anything; `run` makes it true, or leaves nothing half-made."""

    name: str
    done: Callable[[], bool]
    run: Callable[[Report], None]


def run_steps(steps: Sequence[Step], progress: Progress) -> list[str]:
    """Runs the steps that are not done, in order; returns the names of those that ran. The first failure ends it."""
    ran = []
    for step in steps:
        if step.done():
            progress.log(f"✓ {step.name}: was there")
            continue
        with progress.task(step.name) as report:
            step.run(report)
        ran.append(step.name)
    return ran
