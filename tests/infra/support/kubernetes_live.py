"""A stack in a namespace of a cluster."""

import ssl
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import cached_property

import httpx
import testinfra

from ops.home import Home
from ops.kube import Api, ClusterRefusalError, connect
from tests.infra.support import pod_facts, registry
from tests.infra.support.cluster_objects import (
    ClusterObjects,
    container_id,
    image_digest,
    main_port,
    replica_numbers,
    text,
    told_by_pod,
)
from tests.infra.support.hosts import Host
from tests.infra.support.live import ImageFacts, Limits
from tests.infra.support.port_forward import PortForwards, put_on_path
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.tls import client_context, server_context
from tests.infra.support.waiting import NotYet, eventually

LONGEST_LOG = 20_000  # lines of a container, and no more
INSIDER = "prometheus"
"""The part whose certificate opens the pages that are for the stack's own programs."""
BUDGET_SECONDS = 240.0
"""How long a replica may have to wait until the others are ready and it may go."""
BUSY = 429


class KubernetesLive:
    """One stack: each part is some pods."""

    target = "kubernetes"

    def __init__(self, outputs: StackOutputs, api: Api | None = None) -> None:
        self._outputs = outputs
        self.api = api or connect(Home.of(), outputs.context)
        self.objects = ClusterObjects(self.api, outputs)
        self.trust: ssl.SSLContext = server_context(outputs.authority)
        self._hosts: dict[str, Host] = {}
        self._forwards: PortForwards | None = None
        self._clients: dict[str, httpx.Client] = {}
        self._stops: dict[str, list[str]] = {}

    @cached_property
    def insider(self) -> ssl.SSLContext:
        files = self.objects.all_files(INSIDER)
        return client_context(self._outputs.authority, files["tls.crt"], files["tls.key"])

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        if self._forwards is not None:
            self._forwards.close()
        self.api.close()

    # ---- the inside ----
    def instances(self, part: str) -> list[str]:
        # One that the autoscaler has just asked for has no inside yet; whether enough of them run is asked elsewhere.
        started = [pod for pod in self.objects.pods(part) if (pod.get("status") or {}).get("phase") != "Pending"]
        return [str(pod["metadata"]["name"]) for pod in started]

    def host(self, part: str, instance: str | None = None) -> Host:
        names = [instance] if instance else self.instances(part)
        assert names, f"{part} has no pod"
        (name, *_) = names
        if name not in self._hosts:
            put_on_path()
            where = f"kubectl://{name}?namespace={self.objects.namespace}&container={part}"
            where += f"&context={self._outputs.context}" if self._outputs.context else ""
            self._hosts[name] = testinfra.get_host(where)
        return self._hosts[name]

    def database_host(self) -> Host:
        return self.host("postgres", self.primary())

    def primary(self) -> str:
        """The pod of the database server that takes writes, as Patroni says. AssertionError unless there is one."""
        found = [
            str(pod["metadata"]["name"])
            for pod in self.objects.pods("postgres")
            if pod["metadata"]["labels"].get("role") in {"master", "primary"}
        ]
        assert len(found) == 1, f"the database has {len(found)} primaries: {found}"
        return found[0]

    def environment(self, part: str) -> dict[str, str]:
        return pod_facts.environment(self.objects.specs(part)[0])

    def secrets(self, part: str) -> dict[str, str]:
        return self.objects.secrets(part)

    # ---- what it says ----
    def log(self, part: str) -> str:
        return "".join(self._log(name, part) for name in self.instances(part))

    def _log(self, pod: str, container: str, previous: bool = False) -> str:
        path = self.objects.path("/api/v1", "pods", pod)
        query = f"container={container}&tailLines={LONGEST_LOG}" + ("&previous=true" if previous else "")
        return text(self.api, f"{path}/log?{query}")

    def logs(self) -> dict[str, str]:
        found = {}
        for pod in self.objects.all_pods():
            name = str(pod["metadata"]["name"])
            for each in pod["status"].get("containerStatuses") or ():
                if not each.get("containerID"):
                    continue
                found[name] = self._log(name, each["name"])
                if each.get("restartCount"):
                    try:
                        found[f"{name} before its restart"] = self._log(name, each["name"], previous=True)
                    except ClusterRefusalError:
                        continue  # The node has thrown the ended container away, with its log.
        return found

    def figures(self, parts: Collection[str]) -> list[str]:
        urls = [self.url(part, name) for part in sorted(parts) for name in self.instances(part)]
        return [self._client(url).get("/metrics").raise_for_status().text for url in urls]

    def _client(self, url: str) -> httpx.Client:
        if url not in self._clients:
            self._clients[url] = httpx.Client(base_url=url, verify=self.insider, timeout=10)
        return self._clients[url]

    def url(self, part: str, instance: str | None = None) -> str:
        name = instance or self.instances(part)[0]
        if self._forwards is None:
            self._forwards = PortForwards(self.objects.namespace, self._outputs.context)
        return f"https://localhost:{self._forwards.port(name, main_port(self.objects.specs(part)[0]))}"

    def scrape_urls(self, part: str, path: str = "/metrics") -> set[str]:
        pods = self.objects.pods(part)
        return {f"https://{pod['status']['podIP']}:{main_port(pod['spec'])}{path}" for pod in pods}

    def series_of(self, part: str) -> str:
        return f'part="{part}"'

    # ---- what it is ----
    def started(self, part: str) -> datetime:
        states = [
            each["state"]["running"]["startedAt"]
            for pod in self.objects.pods(part)
            for each in pod["status"].get("containerStatuses") or ()
            if "running" in each.get("state", {})
        ]
        assert states, f"no replica of {part} runs"
        return max(pod_facts.instant(state) for state in states)

    def runs(self, part: str) -> set[str]:
        return {container_id(pod) for pod in self.objects.pods(part)}

    def restart(self, part: str, seconds: float) -> None:
        """Evicts one pod after the other; the disruption budget lets one go when those before have successors."""
        self._stops[part] = []
        for name in self.instances(part):
            self._evict(name)
            begun = time.monotonic()
            grace = self._gone(name, seconds)
            taken = time.monotonic() - begun
            if taken > grace:
                self._stops[part].append(f"{name} took {taken:.0f} s to end, so it was killed after {grace:.0f} s")
            self._settled(part, BUDGET_SECONDS)

    def _evict(self, pod: str) -> None:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.objects.namespace},
        }

        def ask() -> bool | NotYet:
            try:
                self.api.create(f"{self.objects.path('/api/v1', 'pods', pod)}/eviction", body)
            except ClusterRefusalError as error:
                if error.status == BUSY:
                    return NotYet(error)
                raise
            return True

        eventually(ask, BUDGET_SECONDS, f"the disruption budget letting {pod} go", interval=1)

    def _gone(self, pod: str, seconds: float) -> float:
        """Waits until a pod is gone; answers how long it was given to end by itself."""
        given = seconds

        def look() -> bool:
            nonlocal given
            found = self.objects.find("/api/v1", "pods", pod)
            if found is None:
                return True
            given = float(found["spec"].get("terminationGracePeriodSeconds") or seconds)
            return False

        eventually(look, seconds * 2, f"the end of {pod}", interval=0.5)
        return given

    def _settled(self, part: str, seconds: float) -> None:
        def look() -> bool | NotYet:
            faults = self._replica_faults(part)
            return not faults or NotYet(faults)

        eventually(look, seconds, f"all replicas of {part} being ready", interval=1)

    def descriptions(self) -> dict[str, str]:
        return {name: repr(each) for name, each in self.objects.described()}

    def image(self, part: str) -> ImageFacts:
        return registry.image_facts(self._outputs.inventory[part].image)

    def same_image(self, parts: Collection[str]) -> dict[str, bool]:
        wanted = self._outputs.inventory["api"].image.rpartition("@")[2]
        return {part: {image_digest(pod) for pod in self.objects.pods(part)} == {wanted} for part in parts}

    def limits(self, part: str) -> Limits:
        return Limits(*pod_facts.limits(self.objects.specs(part)[0]))

    def identities(self, part: str) -> list[str]:
        return [
            pod_facts.environment(pod["spec"]).get("EXECUTOR_ID") or str(pod["metadata"]["name"])
            for pod in self.objects.pods(part)
        ]

    # ---- judgements ----
    def state_faults(self, part: str) -> list[str]:
        pods, now = self.objects.pods(part), datetime.now(UTC)
        return [
            *self._replica_faults(part),
            *told_by_pod(pods, [pod_facts.state_faults(pod, now) for pod in pods]),
        ]

    def _replica_faults(self, part: str) -> list[str]:
        carrier = self.objects.carrier(part)
        status = carrier.get("status") or {}
        if status.get("observedGeneration") != carrier["metadata"].get("generation"):
            return ["its last change has not been taken up yet"]
        wanted, ready, updated = replica_numbers(carrier)
        faults = [] if ready >= wanted else [f"{ready} of {wanted} replicas are ready"]
        return faults if updated >= wanted else [*faults, f"{updated} of {wanted} replicas are as described"]

    def job_faults(self, part: str) -> list[str]:
        return pod_facts.job_faults(self.objects.carrier(part))

    def stop_faults(self, part: str) -> list[str]:
        return self._stops.get(part, [])

    def hardening_faults(self, part: str, *, read_only: bool = True) -> list[str]:
        return self._of_specs(part, lambda spec: pod_facts.hardening_faults(spec, read_only=read_only))

    def limit_faults(self, part: str) -> list[str]:
        return self._of_specs(part, pod_facts.limit_faults)

    def health_faults(self, part: str) -> list[str]:
        pods = self.objects.pods(part)
        if not pods:
            return ["it has no pod"]
        return told_by_pod(pods, [pod_facts.health_faults(pod) for pod in pods])

    def health_timing_faults(
        self, part: str, *, interval: int, timeout: int, start_period: int, retries: int
    ) -> list[str]:
        def judge(spec: Mapping[str, object]) -> list[str]:
            return pod_facts.health_timing_faults(
                dict(spec), interval=interval, timeout=timeout, start_period=start_period, retries=retries
            )

        return self._of_specs(part, judge)

    def health_question(self, part: str) -> str:
        return pod_facts.health_question(self.objects.specs(part)[0])

    def volume_faults(self, part: str, destination: str) -> list[str]:
        pods, claims = self.objects.pods(part), self.objects.claims()
        if not pods:
            return ["it has no pod"]
        return told_by_pod(pods, [pod_facts.volume_faults(pod, claims, destination) for pod in pods])

    def _of_specs(self, part: str, judge: Callable[[dict[str, object]], list[str]]) -> list[str]:
        """The faults of all replicas, each told once: they are made alike."""
        return list(dict.fromkeys(fault for spec in self.objects.specs(part) for fault in judge(spec)))
