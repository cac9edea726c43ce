"""How much a program may take, and whether there is room for all."""

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.deployment import Deployment
from policies.view.files import properties_of, yaml_of
from policies.view.parts import PlatformPart
from policies.view.pods import Container, Pod
from policies.view.replicas import most_replicas
from policies.view.resources import Resource
from policies.view.selectors import namespace_of
from policies.view.targets import on_docker, place
from policies.view.values import Value
from stacks.quantities import MEBIBYTE, quantity

ITEM = "resource-limits-set"


def _may_be_bounded(container: Container) -> bool:
    """The cluster takes no limits for the containers that people start to look into a pod."""
    return container.role != "ephemeral"


@rule(ITEM, on=Container, wanted="a limit of memory", mend="resources.memory of the part", where=_may_be_bounded)
def containers_have_a_memory_limit(container: Container) -> Iterator[Fault]:
    """A program that leaks takes the machine's memory from all others, and the kernel ends any of them."""
    if not container.memory_limit.number():
        yield Fault(container.memory_limit, "there is no limit of memory")


@rule(ITEM, on=Container, wanted="a limit of processor time", mend="resources.cpus of the part", where=_may_be_bounded)
def containers_have_a_cpu_limit(container: Container) -> Iterator[Fault]:
    """A program in a loop takes the processors from all others."""
    if not container.cpu_limit.number():
        yield Fault(container.cpu_limit, "there is no limit of processor time")


@rule(ITEM, on=Container, wanted="no swap beyond the memory's limit", mend="memorySwap equal to memory",
      where=on_docker)  # fmt: skip
def containers_do_not_swap_without_bound(container: Container) -> Iterator[Fault]:
    """With unlimited swap the limit of memory only moves the leak to the disk, and the machine crawls."""
    if (container.spec["memorySwap"].number() or 0) < 0:
        yield Fault(container.spec["memorySwap"], "swap is unlimited")


@rule(ITEM, on=Pod, wanted="a bound for each folder in memory or on the node's disk", mend="sizeLimit, or size=")
def scratch_folders_are_bounded(pod: Pod) -> Iterator[Fault]:
    """What a program writes there fills the machine's memory or the node's disk, and others are put out for it."""
    if pod.target == "docker":
        for options in pod.spec["tmpfs"].entries().values():
            if "size=" not in (options.text() or ""):
                yield Fault(pod.spec["tmpfs"], "a folder in memory has no bound")
        return
    for volume in pod.spec["volumes"].items():
        if volume["emptyDir"].is_given and volume.at("emptyDir", "sizeLimit").is_absent:
            yield Fault(volume["emptyDir"], "a scratch folder has no bound")


@rule(
    ITEM,
    on=PlatformPart,
    wanted="a number of runs at a time",
    mend="executor.concurrency",
    where=lambda part: part.name.partition("-")[0] == "executor",
)
def executors_bound_their_runs(part: PlatformPart) -> Iterator[Fault]:
    """Each run takes memory: without a bound the queue decides how much an executor takes."""
    if (part.setting("EXECUTOR_CONCURRENCY").number() or 0) < 1:
        yield Fault(part.setting("EXECUTOR_CONCURRENCY"), "EXECUTOR_CONCURRENCY does not bound the runs")


@rule(ITEM, on=PlatformPart, parts=["kafka"], wanted="at most two thirds of the container's memory", mend="kafka.heap")
def the_brokers_heap_leaves_room(kafka: PlatformPart) -> Iterator[Fault]:
    """A broker works through the file cache; with a heap as large as the container the kernel ends it."""
    heap = kafka.setting("KAFKA_HEAP_OPTS")
    # Java's largest heap, such as -Xmx384m.
    found = re.search(r"-Xmx(\d+)([kKmMgG])", heap.text() or "")
    if found is None:
        yield Fault(heap, "KAFKA_HEAP_OPTS has no -Xmx")
        return
    mebibytes = int(found.group(1)) * {"k": 1 / 1024, "m": 1, "g": 1024}[found.group(2).lower()]
    limit = kafka.container.memory_limit.number()
    if limit is not None and mebibytes * 3 > limit * 2:
        yield Fault(heap, "-Xmx is more than two thirds of the container's limit of memory")


@rule(ITEM, on=PlatformPart, parts=["postgres"], wanted="at most half of the container's memory",
      mend="postgres.sharedBuffers")  # fmt: skip
def the_databases_buffers_leave_room(postgres: PlatformPart) -> Iterator[Fault]:
    """What connections sort and hash comes on top of the shared buffers."""
    told = yaml_of(postgres.file("patroni.yml")).at("postgresql", "parameters", "shared_buffers")
    if not told.is_given:
        files = [properties_of(postgres.file(name)) for name in postgres.config_files if name.endswith(".conf")]
        told = next((each["shared_buffers"] for each in files if each["shared_buffers"].is_given), told)
    buffers, limit = _mebibytes(told), postgres.container.memory_limit.number()
    if buffers is not None and limit is not None and buffers * 2 > limit:
        yield Fault(told, "shared_buffers is more than half of the container's limit of memory")


def _mebibytes(value: Value) -> float | None:
    # Postgres writes a size as 128MB, or 1GB.
    found = re.fullmatch(r"'?(\d+)\s*(kB|MB|GB)'?", value.text() or "")
    return int(found.group(1)) * {"kB": 1 / 1024, "MB": 1, "GB": 1024}[found.group(2)] if found else None


@rule(ITEM, on=Deployment, wanted="a ResourceQuota in each namespace that is made", mend="kubernetes.quota")
def namespaces_are_bounded(deployment: Deployment) -> Iterator[Fault]:
    """An autoscaler or a failing job makes more and more pods; the quota keeps the rest of the cluster out of it."""
    quotas = list(deployment.of("ResourceQuota"))
    for namespace in deployment.of("Namespace"):
        name = namespace.object_name.text()
        # A quota without a namespace is in that of its provider, which is the one being made here.
        if not any(namespace_of(each) in ("", name) for each in quotas):
            yield Fault(place(namespace, "metadata.name"), "no quota bounds the namespace")


@rule(ITEM, on=Deployment, wanted="room for all programs at their largest", mend="kubernetes.quota")
def the_quota_has_room_for_everything(deployment: Deployment) -> Iterator[Fault]:
    """When the quota is too small, the replicas that a rollout or a busy hour needs are refused."""
    quotas = deployment.of("ResourceQuota")
    if len(quotas) != 1:
        return
    (quota,) = quotas
    for name, needed in _needed(deployment).items():
        given = _quantity(quota.inputs.at("spec", "hard", name))
        if given is not None and given < needed:
            yield Fault(place(quota, f"spec.hard.{name}"), f"{name} has no room for all programs at their largest")


def _needed(deployment: Deployment) -> dict[str, float]:
    """What all services take with every replica that autoscaling allows; jobs come and go and are not counted."""
    total = {"limits.cpu": 0.0, "limits.memory": 0.0, "pods": 0.0}
    for pod in deployment.pods:
        if pod.target != "kubernetes" or pod.runs_to_its_end:
            continue
        count = most_replicas(deployment, pod)
        total["pods"] += count
        for container in pod.main:
            total["limits.cpu"] += count * (container.cpu_limit.number() or 0)
            total["limits.memory"] += count * (container.memory_limit.number() or 0) * MEBIBYTE
    return total


def _quantity(value: Value) -> float | None:
    text = value.text()
    try:
        return quantity(text) if text else None
    except ValueError:
        return None


@rule(ITEM, on=Resource, kinds=["LimitRange"], wanted="default limits of both", mend="spec.limits[].default")
def default_limits_are_of_both(limits: Resource) -> Iterator[Fault]:
    """What comes into the namespace without limits, such as a person's pod, gets these."""
    for each in limits.inputs.at("spec", "limits").items():
        if each["type"].text() == "Container" and not {"cpu", "memory"} <= set(each["default"].entries()):
            yield Fault(each["default"], "containers without limits get none for processor or memory")
