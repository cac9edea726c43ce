"""Drives a stack as an operator does: the commands of the front door, and the real Pulumi engine behind them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from ops.engine import Engine
from ops.home import PROJECT_DIR, Home

LABEL = "workflow.stack"
LONGEST = 900.0  # seconds for one command


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.out[-3000:]}\n{self.err[-3000:]}"


@dataclass(frozen=True)
class Operator:
    """One stack in the hands of its operator."""

    stack: str
    docker: docker.DockerClient

    def run(self, verb: str, *options: str, niceness: int = 0) -> Answer:
        """A command of the front door for this stack; a nice one leaves the processors to the stack's programs."""
        return self.command(verb, self.stack, *options, niceness=niceness)

    def command(self, *words: str, niceness: int = 0) -> Answer:
        """Any command of the front door."""
        command = ["nice", "-n", str(niceness), sys.executable, "-m", "ops", *words]
        done = subprocess.run(
            command,
            cwd=PROJECT_DIR,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    @property
    def engine(self) -> Engine:
        """Pulumi, to see what it would do and did."""
        return Engine(Home.of())

    def outputs(self, secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs."""
        return self.engine.outputs(self.stack, secrets)

    def container(self, part: str) -> Any:
        """The live container of a part."""
        return self.docker.containers.get(self.outputs()["inventory"][part]["container"])

    def left(self) -> dict[str, list[str]]:
        """The names of all containers, networks and volumes that carry the stack's label."""
        label: dict[str, Any] = {"label": f"{LABEL}={self.stack}"}
        return {
            "containers": sorted(each.name for each in self.docker.containers.list(all=True, filters=label)),
            "networks": sorted(each.name for each in self.docker.networks.list(filters=label)),
            "volumes": sorted(each.name for each in self.docker.volumes.list(filters=label)),
        }

    def state_files(self) -> list[Path]:
        """Every file of Pulumi's backend that is about this stack: state, history, backups."""
        return [path for path in Home.of().state.rglob(f"*{self.stack}*") if path.is_file()]

    def record(self) -> dict[str, Any]:
        """Runs the live checks; AssertionError with the failed entries unless all passed."""
        answer = self.run("verify", "--json")
        assert answer.out.strip().startswith("{"), str(answer)
        record: dict[str, Any] = json.loads(answer.out)
        checks = [*record["withoutItem"], *(check for entry in record["items"].values() for check in entry["checks"])]
        failed = sorted({f"{check['check']}: {check['message']}" for check in checks if check["status"] == "fail"})
        assert not failed, "\n".join(failed)
        assert answer.code == 0, str(answer)
        return record
