"""The one place that runs the Pulumi CLI."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ops import pulumi_lock
from ops.environment import pulumi_environment
from ops.errors import OperatorError
from ops.events import Changes, EventReader
from ops.failures import mend_of
from ops.home import PROJECT_DIR, Home
from ops.stack_config import PROJECT, drop_salt

QUICK_SECONDS = 120.0
OPERATION_SECONDS = 1800.0
GRACE_SECONDS = 60.0
"""How long an interrupted operation may finish what it has begun."""


def _silent(_line: str) -> None:
    """Reports to nobody."""


class Engine:
    """Operates stacks of one project. Every call is bounded; a failure is an OperatorError that says what failed."""

    def __init__(
        self,
        home: Home,
        project: Path = PROJECT_DIR,
        environ: Mapping[str, str] = os.environ,
        log: Callable[[str], None] = _silent,
        operation_seconds: float = OPERATION_SECONDS,
    ) -> None:
        self.home = home
        self.project = project
        self.log = log
        self.operation_seconds = operation_seconds
        self.environ = {**environ, **pulumi_environment(home, environ), "PULUMI_DEBUG_COMMANDS": "true"}

    def config_file(self, stack: str) -> Path:
        """Where the config of a stack is read from."""
        return self.project / f"Pulumi.{stack}.yaml"

    def ensure(self, stack: str) -> None:
        """Makes the stack in the backend unless it is there; needs its config file."""
        if not self.config_file(stack).exists():
            known = ", ".join(sorted(path.name.split(".")[1] for path in self.project.glob("Pulumi.*.yaml"))) or "none"
            raise OperatorError(
                f"there is no stack {stack}: {self.config_file(stack).name} does not exist",
                f"name one of those described here ({known}), or write that file",
            )
        if not self.exists(stack):
            self._quick(["stack", "init", stack, "--no-select"])
            drop_salt(self.config_file(stack))

    def exists(self, stack: str) -> bool:
        """Whether the backend knows the stack."""
        listing = json.loads(self._quick(["stack", "ls", "--json"]))
        return any(str(entry["name"]).rsplit("/", 1)[-1] == stack for entry in listing)

    def up(self, stack: str, report: Callable[[str], None] = _silent, refresh: bool = True) -> Changes:
        """Makes the live stack what the program says. `refresh` first looks at what is really there."""
        options = ["--skip-preview", f"--refresh={str(refresh).lower()}"]
        return self._operate("up", stack, ["--yes", *options], report)

    def preview(
        self,
        stack: str,
        report: Callable[[str], None] = _silent,
        refresh: bool = False,
        policy_pack: Path | None = None,
    ) -> Changes:
        """What `up` would do; changes nothing. With a policy pack what that forbids is a failure."""
        judged = ["--policy-pack", str(policy_pack)] if policy_pack else []
        return self._operate("preview", stack, [f"--refresh={str(refresh).lower()}", *judged], report)

    def refresh(self, stack: str, report: Callable[[str], None] = _silent) -> Changes:
        """Takes what is really there into the state; creations that never ended are forgotten."""
        return self._operate("refresh", stack, ["--yes", "--skip-preview", "--clear-pending-creates"], report)

    def destroy(self, stack: str, report: Callable[[str], None] = _silent, keep: Sequence[str] = ()) -> Changes:
        """Deletes all resources of the stack but those whose URN one of `keep` matches, and those these belong to."""
        kept = [word for pattern in keep for word in ("--exclude", pattern)]
        changes = self._operate("destroy", stack, ["--yes", "--skip-preview", "--refresh=true", *kept], report)
        if keep:
            self._forget_outputs(stack)
        return changes

    def _forget_outputs(self, stack: str) -> None:
        """Pulumi keeps the outputs as long as one resource is there; they tell of a deployment that is gone."""
        document = json.loads(self._quick(["stack", "export", "--stack", stack]))
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(without_outputs(document), file)
            file.flush()
            self._quick(["stack", "import", "--stack", stack, "--file", file.name])
        drop_salt(self.config_file(stack))

    def remove(self, stack: str) -> None:
        """Forgets an empty stack; its config file stays."""
        self._quick(["stack", "rm", stack, "--yes", "--preserve-config"])

    def export(self, stack: str, secrets: bool = False) -> dict[str, Any]:
        """The deployment as recorded, secrets encrypted unless they are asked for."""
        shown = ["--show-secrets"] if secrets else []
        document: dict[str, Any] = json.loads(self._quick(["stack", "export", "--stack", stack, *shown]))
        return document.get("deployment") or {}

    def outputs(self, stack: str, secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs; secret ones read `[secret]` unless asked for."""
        shown = ["--show-secrets"] if secrets else []
        outputs: dict[str, Any] = json.loads(self._quick(["stack", "output", "--json", "--stack", stack, *shown]))
        return outputs

    def release_dead_lock(self, stack: str) -> bool:
        """Takes away a lock whose holder is dead; refuses while the holder lives. Says whether there was one."""
        held = pulumi_lock.holders(self.environ["PULUMI_BACKEND_URL"], PROJECT, stack)
        for holder in held:
            if holder.alive is not False:
                who = f"Pulumi process {holder.pid} on {holder.host} since {holder.since}"
                raise OperatorError(
                    f"stack {stack} is being changed by {who}",
                    f"wait for it; if it is certain that it is gone: pulumi cancel --yes --stack {stack}",
                )
        if held:
            self._quick(["cancel", "--yes", "--stack", stack])
        return bool(held)

    def _operate(self, verb: str, stack: str, options: Sequence[str], report: Callable[[str], None]) -> Changes:
        started = time.monotonic()
        self.release_dead_lock(stack)
        with tempfile.TemporaryDirectory(prefix="pulumi-events-") as folder:
            reader = EventReader(Path(folder) / "events.json", report)
            command = [
                verb,
                "--stack",
                stack,
                *options,
                "--event-log",
                str(reader.path),
                "--suppress-progress",
                "--suppress-outputs",
            ]
            try:
                code, output = self._run(command, self.operation_seconds, reader.poll)
            finally:
                drop_salt(self.config_file(stack))
            reader.poll()
        if code:
            raise self._failure(f"{verb} of stack {stack}", output, [*reader.violations, *reader.failures])
        return Changes(
            reader.counts, time.monotonic() - started, reader.drift, reader.advice, list(reader.steps.values())
        )

    def _quick(self, arguments: Sequence[str]) -> str:
        code, output = self._run(arguments, QUICK_SECONDS)
        if code:
            raise self._failure(" ".join(arguments[:2]), output, [])
        return output

    def _run(
        self, arguments: Sequence[str], seconds: float, poll: Callable[[], None] = lambda: None
    ) -> tuple[int, str]:
        """Runs the CLI; its stderr goes to the log, its stdout is returned. An interrupt lets it end what it began."""
        command = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        self.log(f"$ {' '.join(command)}")
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            try:
                # A session of its own: Ctrl-C must reach Pulumi once, from here, and its plugins not at all.
                process = subprocess.Popen(
                    command, cwd=self.project, env=self.environ, stdin=subprocess.DEVNULL, stdout=stdout,
                    stderr=stderr, start_new_session=True,
                )  # fmt: skip
            except FileNotFoundError:
                raise OperatorError("the Pulumi CLI is not installed", "run ./deploy-api.sh setup") from None
            try:
                self._wait(process, seconds, poll)
            except KeyboardInterrupt:
                self._end(process)
                raise
            except subprocess.TimeoutExpired:
                self._end(process)
                raise OperatorError(
                    f"pulumi {arguments[0]} did not end within {seconds:.0f} s", "see what it waits for: status, logs"
                ) from None
            finally:
                if process.poll() is None:
                    self._end(process)
            stdout.seek(0)
            stderr.seek(0)
            output, errors = stdout.read(), stderr.read()
        for line in errors.splitlines():
            self.log(f"    {line}")
        if process.returncode and "--show-secrets" not in arguments:
            for line in output.splitlines():
                self.log(f"    {line}")
        return process.returncode, output if not process.returncode else f"{output}\n{errors}"

    def _wait(self, process: "subprocess.Popen[bytes]", seconds: float, poll: Callable[[], None]) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise
                poll()
            else:
                return

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """Asks for an orderly end, then insists: Pulumi takes a second interrupt as `at once`."""
        for step, seconds in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGINT, 10.0), (signal.SIGKILL, 10.0)):
            process.send_signal(step)
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                continue
            return

    def _failure(self, what: str, output: str, failures: Sequence[str]) -> OperatorError:
        """The most telling line of a failed run."""
        if "incorrect passphrase" in output:
            return OperatorError(
                "the passphrase does not open this stack's secrets",
                "give the one it was made with: PULUMI_CONFIG_PASSPHRASE_FILE=<file>",
            )
        own = [line for text in failures for line in _telling(text)]
        general = [line.strip() for line in output.splitlines() if line.strip().startswith("error:")]
        last = [line.strip() for line in output.splitlines() if line.strip()][-1:]
        told = next(iter(own or general or last), "it said nothing")
        return OperatorError(f"{what} failed: {told[:400]}", mend_of(told))


def without_outputs(document: dict[str, Any]) -> dict[str, Any]:
    """An exported state without the outputs of the stack itself."""
    deployment = document.get("deployment") or {}
    resources = [
        {**each, "outputs": {}} if each.get("type") == "pulumi:pulumi:Stack" else each
        for each in deployment.get("resources") or []
    ]
    return {**document, "deployment": {**deployment, "resources": resources}}


def _telling(text: str) -> list[str]:
    """The lines of one diagnostic that say what went wrong: of a Python traceback the last, of others the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or "update failed" in lines[0] or "update canceled" in lines[0]:
        return []
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        unindented = [line for line in text.splitlines() if line.strip() and not line[0].isspace()]
        return [(unindented or lines)[-1].strip()]
    return [" ".join(lines[:2])]
