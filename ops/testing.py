"""`deploy-api.sh test`: runs rings of tests, says which, how long each took, and how each ended."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from ops.children import end
from ops.console import duration
from ops.context import Context
from ops.environment import pulumi_environment
from ops.home import PROJECT_DIR
from ops.reports import record_ring
from ops.rings import LINT, Ring
from ops.setup import browser
from ops.setup.machine import set_up
from ops.setup.step import Step, run_steps
from policies.view.tree import tree_of

LINT_SECONDS = 1200.0
LINTERS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
)
NO_TESTS = 5
TIMED_OUT = 124


@dataclass(frozen=True)
class Outcome:
    """How one ring ended; `why` is empty when it passed."""

    ring: Ring
    seconds: float
    why: str = ""


def run_rings(context: Context, rings: list[Ring], fail_fast: bool = False) -> list[Outcome]:
    """Runs them in order and goes on after a failure, so that one run shows all that is wrong.

    How each ended is written down with the tree that it was run on, for the policy pack.
    """
    outcomes: list[Outcome] = []
    prepared: str | None = None
    for ring in rings:
        if outcomes and outcomes[-1].why and fail_fast:
            break
        if ring.setup and prepared is None:
            prepared = _prepare(context)
        context.progress.say(f"\n== ring {ring.name}: {ring.proves}")
        started, tree = time.monotonic(), tree_of(PROJECT_DIR)
        missing = prepared if ring.setup and prepared else _browser(context) if ring.browser else ""
        why = f"the machine could not be set up: {missing}" if missing else _run(context, ring)
        outcomes.append(Outcome(ring, time.monotonic() - started, why))
        record_ring(context.home, outcomes[-1].ring.name, outcomes[-1].seconds, why, [tree, tree_of(PROJECT_DIR)])
    return outcomes


def _prepare(context: Context) -> str:
    """Sets the machine up; returns why it could not be, or nothing."""
    return _attempt(context, lambda: set_up(context.home, context.progress))


def _browser(context: Context) -> str:
    """Has the tests' browser installed; returns why it could not be, or nothing."""
    step = Step("Browser of the tests", browser.is_there, browser.ensure)
    return _attempt(context, lambda: run_steps([step], context.progress))


def _attempt(context: Context, work: Callable[[], object]) -> str:
    try:
        work()
    except Exception as error:
        # Each part has errors of its own; what they share is a reason and a mend.
        if not (hasattr(error, "reason") and hasattr(error, "mend")):
            raise
        context.progress.say(f"error: {error.reason}\nmend:  {error.mend}")
        return str(error.reason)
    return ""


def _run(context: Context, ring: Ring) -> str:
    environ = {**os.environ, **pulumi_environment(context.home)}
    if ring is LINT:
        called = {command: _call([sys.executable, "-m", *command], environ, LINT_SECONDS) for command in LINTERS}
        failed = [" ".join(command) for command, code in called.items() if code != 0]
        return f"failed: {'; '.join(failed)}" if failed else ""
    # A file stays whole, because its tests share what its fixtures started. By the number of its tests, which is the
    # order otherwise, the slowest would come last.
    shared = ["-n", str(ring.processes), "--dist", "loadfile", "--no-loadscope-reorder"] if ring.processes > 1 else []
    command = [sys.executable, "-m", "pytest", "--ring", ring.name, "--durations=5", *shared]
    code = _call(command, environ, ring.minutes * 60)
    if code == NO_TESTS:
        return "it has no tests"
    if code == TIMED_OUT:
        return f"it did not end within {ring.minutes:.0f} min"
    return f"pytest ended with {code}" if code else ""


def _call(command: list[str], environ: dict[str, str], seconds: float) -> int:
    """Runs it with its output shown; a bounded wait, and an interrupt that lets it clean up behind itself."""
    process = subprocess.Popen(command, cwd=PROJECT_DIR, env=environ, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    finally:
        end(process)


def closing_lines(outcomes: list[Outcome], asked: list[Ring]) -> list[str]:
    """One line a ring, those that were not come to included, and the sum."""
    lines = []
    for outcome in outcomes:
        sign = "✗" if outcome.why else "✓"
        tail = f"  {outcome.why}" if outcome.why else ""
        lines.append(f"{sign} {outcome.ring.name:<8} {duration(outcome.seconds):>13}{tail}")
    lines += [f"- {ring.name:<8} not run" for ring in asked[len(outcomes) :]]
    failed = [outcome.ring.name for outcome in outcomes if outcome.why]
    total = duration(sum(outcome.seconds for outcome in outcomes))
    verdict = f"FAILED: {', '.join(failed)}" if failed else "all passed"
    return [*lines, f"{len(outcomes)} of {len(asked)} rings run in {total}: {verdict}"]
