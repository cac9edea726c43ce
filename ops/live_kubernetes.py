"""A live stack in a namespace of a Kubernetes cluster."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from ops import kube_leftovers, kube_stop
from ops.console import Report
from ops.engine import Engine
from ops.errors import OperatorError
from ops.home import Home
from ops.kube import Api, Thing, connect
from ops.kube_jobs import Write, again, run_job
from ops.kube_objects import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    POD,
    STATEFUL_SET,
    Collection,
    fingerprint,
    managed,
)
from ops.kube_parts import KubePart, Seen, is_derived, newest, part_of, parts_of
from ops.parts import STACK_LABEL, Inventory
from ops.preflight import remember_cluster
from stacks.model import Stack

MIGRATIONS = "migrations"
JOB_SECONDS = 900.0


class PodLog:
    """What one pod writes."""

    def __init__(self, api: Api, path: str) -> None:
        self._api = api
        self._path = path

    def logs(self, *, stream: bool, follow: bool, since: float | None, tail: int | str) -> Iterator[bytes]:
        """Chunks of it; `stream` is always so."""
        query: dict[str, str | int] = {"follow": str(follow).lower()}
        if since is not None:
            query["sinceSeconds"] = max(1, int(time.time() - since))
        if tail != "all":
            query["tailLines"] = tail
        return self._api.lines(f"{self._path}/log?{urlencode(query)}", None if follow else JOB_SECONDS)


class KubernetesStack:
    """Its objects, found by their labels."""

    def __init__(self, api: Api, stack: Stack) -> None:
        self.api = api
        self._stack = stack
        self._name = stack.name
        self.namespace = stack.namespace

    @classmethod
    def of(cls, home: Home, stack: Stack) -> "KubernetesStack":
        """The stack on the cluster that its description names. Raises OperatorError without a usable kubeconfig."""
        return cls(connect(home, stack.kubernetes.context), stack)

    def parts(self, inventory: Inventory | None = None) -> Sequence[KubePart]:
        label = f"{STACK_LABEL}={self._name}"

        def all_of(collection: Collection) -> list[Thing]:
            return self.api.items(collection.path(self.namespace), label)

        seen = Seen(
            deployments=all_of(DEPLOYMENT),
            daemon_sets=all_of(DAEMON_SET),
            stateful_sets=all_of(STATEFUL_SET),
            jobs=all_of(JOB),
            cron_jobs=all_of(CRON_JOB),
            pods=all_of(POD),
        )
        return parts_of(seen, inventory)

    def log_sources(self, part: str | None, follow: bool) -> Mapping[str, PodLog]:
        pods = self.api.items(POD.path(self.namespace), f"{STACK_LABEL}={self._name}")
        if not pods:
            raise OperatorError(
                f"stack {self._name} has no pods in namespace {self.namespace}", f"./deploy-api.sh up {self._name}"
            )
        chosen = sorted(
            (part_of(pod), str(pod["metadata"]["name"])) for pod in pods if part is None or part_of(pod) == part
        )
        if not chosen:
            known = ", ".join(sorted({part_of(pod) for pod in pods}))
            raise OperatorError(f"stack {self._name} has no part {part}", f"name one of: {known}")
        return {name: PodLog(self.api, f"{POD.path(self.namespace)}/{name}") for _part, name in chosen}

    def migrate(self, write: Callable[[str], None]) -> int:
        code, why = self.run_again(MIGRATIONS, write)
        if why:
            write(why)
        return code

    def run_again(
        self, part: str, write: Write, arguments: Sequence[str] | None = None, seconds: float = JOB_SECONDS
    ) -> tuple[int, str]:
        """Runs a job or the job of a schedule once more, maybe with other arguments; its exit code and why it failed.

        `seconds` is how long it may take. Raises OperatorError when the stack has no such part.
        """
        template = self._template(part)
        if template is None:
            raise OperatorError(f"stack {self._name} has no job {part}", f"./deploy-api.sh up {self._name}")
        body = again(template, self._name, part, arguments)
        return run_job(self.api, self.namespace, body, write, seconds)

    def has_job(self, part: str) -> bool:
        """Whether there is a job or a schedule of that name."""
        return self._template(part) is not None

    def _template(self, part: str) -> Thing | None:
        label = f"{STACK_LABEL}={self._name},workflow.part={part}"
        for schedule in self.api.items(CRON_JOB.path(self.namespace), label):
            template: Thing = schedule["spec"]["jobTemplate"]["spec"]["template"]
            return template
        for job in newest(each for each in self.api.items(JOB.path(self.namespace), label) if not is_derived(each)):
            return dict(job["spec"]["template"])
        return None

    def stop(self, report: Report) -> list[str]:
        return kube_stop.stop(self.api, self.namespace, self._name, report)

    def deployed(self, home: Home) -> None:
        """Notes which cluster it is, so that the stack is not taken for lost on another one."""
        remember_cluster(home, self.api, self._name)

    def resume(self, report: Report) -> None:
        kube_stop.resume(self.api, self.namespace, self._name, report)

    def fingerprint(self) -> str:
        return fingerprint(managed(self.api, self._name, self.namespace))

    def recover(self, engine: Engine, report: Report, refuse_foreign: bool = True) -> None:
        state = engine.export(self._name)
        if refuse_foreign:
            kube_leftovers.refuse_foreign(self.api, self._name, self.namespace, state)
        if state.get("pending_operations"):
            report("tidying up after an operation that was cut off")
            kube_leftovers.remove_unrecorded(self.api, self._name, self.namespace, state, report)
            engine.refresh(self._name, report)

    def remove_leftovers(self, report: Report, keep_data: bool = False) -> str:
        return kube_leftovers.remove_all(self.api, self._name, self.namespace, keep_data, report)

    def published_ports(self) -> set[int]:
        """None: ports of a cluster's nodes are the cluster's to give."""
        return set()

    def close(self) -> None:
        self.api.close()
