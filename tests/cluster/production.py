"""A copy of the rehearsal on the live cluster, as the tests of production see it: changed, loaded, broken."""

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.steady_load import LoadReport, SteadyLoad, log_in
from images.push import digest_of
from ops.home import PROJECT_DIR
from stacks.model import PROJECT
from tests.cluster.support import Cluster, kill_programs
from tests.infra.support.operator import Operator
from tests.infra.support.waiting import eventually

LONGEST_RECOVERY = 30.0
"""Seconds until writes work again after a program was killed."""

STEADY, AFTERWARDS = 20, 300
"""Runs accepted before and after a fault, so that it falls into a load and the load goes on, 15 s at 20 a second."""

SETTLED_SECONDS = 240.0


@dataclass
class Production:
    """The stack, its operator and its namespace."""

    operator: Operator
    cluster: Cluster
    loads: list[SteadyLoad] = field(default_factory=list)

    def kubectl(self, *words: str) -> str:
        """Asks the cluster about the stack's namespace."""
        return self.cluster.kubectl("-n", f"workflow-{self.operator.stack}", *words)

    def pods(self, part: str, labels: str = "") -> dict[str, str]:
        """Names and unique ids of a part's pods, narrowed by more labels."""
        chosen = f"workflow.part={part}" + (f",{labels}" if labels else "")
        found = json.loads(self.kubectl("get", "pods", "-l", chosen, "-o", "json"))["items"]
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found}

    def describe(self, part: str, **changes: Any) -> None:
        """Changes settings of a part in the stack's description."""
        self.describe_value(part, lambda before: {**(before or {}), **changes})

    def describe_value(self, name: str, change: Callable[[Any], Any]) -> None:
        """Changes what the stack's description says under one key."""
        path = PROJECT_DIR / f"Pulumi.{self.operator.stack}.yaml"
        document = yaml.safe_load(path.read_text())
        key = f"{PROJECT}:{name}"
        document["config"][key] = change(document["config"].get(key))
        path.write_text(yaml.safe_dump(document))

    def up(self) -> None:
        """Deploys what the description says; gives way to the stack's own programs, as from another machine."""
        answer = self.operator.run("up", niceness=15)
        assert answer.code == 0, str(answer)

    def told(self, verb: str, *options: str) -> dict[str, Any]:
        """What a command tells as JSON; AssertionError unless it succeeded."""
        answer = self.operator.run(verb, *options, "--json")
        assert answer.code == 0, str(answer)
        told: dict[str, Any] = json.loads(answer.out)
        return told

    def release(self) -> dict[str, Any]:
        """Releases what the description says; the record of it, however it ended."""
        answer = self.operator.command("prod", "--stack", self.operator.stack, "--watch", "5", "--json")
        assert answer.out.strip().startswith("{"), str(answer)
        record: dict[str, Any] = json.loads(answer.out)
        return record

    def load(self) -> SteadyLoad:
        """The load that every change and fault is shown under; it has begun when this returns."""
        outputs = self.operator.outputs(secrets=True)
        url, ca = outputs["urls"]["api"], outputs["authority"]
        load = SteadyLoad(url, headers=log_in(url, ca, outputs["adminUsername"], outputs["adminPassword"]), ca=ca)
        load.start()
        self.loads.append(load)
        eventually(lambda: load.accepted > STEADY, 60, "the load running", interval=0.5)
        return load

    @contextmanager
    def flawless_load(self) -> Iterator[SteadyLoad]:
        """A load around a change: AssertionError unless no request failed and no run was lost."""
        load = self.load()
        yield load
        report = load.stop()
        assert report.accepted_runs > STEADY, "hardly a run was accepted, so nothing is shown"
        assert report.flawless, _told(report)

    def survives(self, kill: Callable[[], int], what: str) -> LoadReport:
        """Breaks something under load: nothing committed is lost and writes are back in time. The stack then heals."""
        load = self.load()
        assert kill() > 0, f"nothing of {what} was there to be killed"
        accepted = load.accepted
        eventually(
            lambda: load.accepted > accepted + AFTERWARDS,
            3 * LONGEST_RECOVERY,
            "runs being accepted again",
            interval=0.5,
        )
        self.settle()
        report = load.stop()
        assert report.lost_runs == [], _told(report)
        assert report.failed_runs == [], _told(report)
        assert report.longest_write_gap_seconds < LONGEST_RECOVERY, _told(report)
        return report

    def settle(self) -> None:
        """Waits until every part is whole again."""
        eventually(lambda: self._broken() == [], SETTLED_SECONDS, "all parts being whole", interval=2)

    def kill_pod(self, part: str, labels: str = "") -> int:
        """Ends all programs of one pod of a part at once; returns how many."""
        return kill_programs(next(iter(self.pods(part, labels).values())))

    def kill_kubelet(self) -> int:
        """Ends the node's agent at once; its supervisor starts it anew."""
        state = json.loads((self.cluster.node.run / "state.json").read_text())
        os.kill(state["parts"]["kubelet"]["process"]["pid"], signal.SIGKILL)
        return 1

    def stop_loads(self) -> None:
        """Ends what a failed test left running."""
        for load in self.loads:
            if not load.report.seconds:
                load.stop(settle_seconds=1)
        self.loads.clear()

    def served_certificate(self) -> str:
        """What the edge serves now, PEM without its frame."""
        host = str(self.operator.outputs()["urls"]["api"]).removeprefix("https://")
        words = ["openssl", "s_client", "-connect", host, "-servername", "localhost"]
        done = subprocess.run(words, input=b"", capture_output=True, timeout=20, check=False)
        return done.stdout.decode(errors="replace").partition("BEGIN CERTIFICATE")[2].partition("END CERTIFICATE")[0]

    def other_api_image(self, folder: Path, *changes: str) -> str:
        """The same service as another image, pushed: its reference by digest. `changes`: more lines of its recipe."""
        client = self.operator.docker
        now = str(self.operator.outputs()["inventory"]["api"]["image"])
        repository, _, digest_now = now.partition("@")
        tagged = f"{repository}:{self.operator.stack}"
        recipe = [f"FROM {now}", f"LABEL workflow.test={secrets.token_hex(8)}", *changes]
        (folder / "Dockerfile").write_text("\n".join(recipe) + "\n")
        client.images.build(path=str(folder), tag=tagged, forcerm=True)
        try:
            client.images.push(repository, tag=self.operator.stack)
            digest = digest_of(client, tagged)
        finally:
            client.images.remove(tagged, force=True)
        assert digest is not None, f"the registry did not take {tagged}"
        assert digest != digest_now, "the new image is the old one"
        return f"{repository}@{digest}"

    def _broken(self) -> list[str]:
        workloads = json.loads(self.kubectl("get", "deployments,statefulsets", "-o", "json"))["items"]
        return [
            each["metadata"]["name"]
            for each in workloads
            if each["status"].get("readyReplicas", 0) < each["spec"]["replicas"]
        ]


def _told(report: LoadReport) -> str:
    return "\n".join(f"{name}: {value}" for name, value in vars(report).items())
