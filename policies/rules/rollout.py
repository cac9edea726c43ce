"""In which order things come up."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.parts import Platform, PlatformPart
from policies.view.pods import Pod
from policies.view.targets import on_docker, on_kubernetes, place

FIRST = "infrastructure-first"
WAIT = "wait-for-infrastructure"
MIGRATIONS = "migrations-before-start"

STORES = ("postgres", "kafka")
LONGEST_WAIT = 300
"""Seconds: a cluster of brokers needs a minute or two to find together; the documents speak of up to one."""

SKIP = "pulumi.com/skipAwait"
LIMIT = "pulumi.com/timeoutSeconds"


def _is_of_a_program(platform: Platform) -> bool:
    return platform.snapshot.of_a_program


def _applications(platform: Platform) -> Iterator[PlatformPart]:
    for name, part in platform.parts.items():
        if name in ("api", "relay", "migrations") or name.partition("-")[0] == "executor":
            yield part


@rule(FIRST, on=Platform, wanted="a dependency of the program on both", mend="depends_on, or `needs` of its workload",
      where=_is_of_a_program)  # fmt: skip
def applications_come_after_their_stores(platform: Platform) -> Iterator[Fault]:
    """A program that starts before its database fails, and fails the deployment with it, or worse: half works."""
    for part in _applications(platform):
        for name in STORES:
            store = platform.parts.get(name)
            if store is not None and not platform.snapshot.waits_for(part.resource, store.resource):
                yield Fault(place(part.resource, "dependencies"), f"it does not wait for {name}")


@rule(FIRST, on=Platform, wanted="no dependency of Prometheus on the applications",
      mend="infra/program.py", where=_is_of_a_program)  # fmt: skip
def monitoring_does_not_wait_for_what_it_watches(platform: Platform) -> Iterator[Fault]:
    """Monitoring that comes up only after the applications is missing just when their start goes wrong."""
    prometheus = platform.parts.get("prometheus")
    for part in _applications(platform):
        if prometheus is not None and platform.snapshot.waits_for(prometheus.resource, part.resource):
            yield Fault(place(prometheus.resource, "dependencies"), f"it waits for {part.name}")


@rule(WAIT, on=Pod, parts=STORES, wanted="wait: true", mend="infra/targets/docker.py",
      where=lambda pod: on_docker(pod) and not pod.runs_to_its_end)  # fmt: skip
def the_engine_is_waited_for_until_stores_are_healthy(pod: Pod) -> Iterator[Fault]:
    """That a database's container runs does not mean that it answers; it may still be reading its log."""
    if not pod.spec["wait"].flag():
        yield Fault(pod.spec["wait"], "its health is not waited for")
    if not pod.spec.at("healthcheck", "tests").items():
        yield Fault(pod.spec.at("healthcheck", "tests"), "there is no health check to wait for")


@rule(WAIT, on=Pod, parts=STORES, wanted=f"waitTimeout of 1 to {LONGEST_WAIT} s", mend="infra/targets/docker.py",
      where=lambda pod: on_docker(pod) and not pod.runs_to_its_end)  # fmt: skip
def the_wait_for_stores_ends(pod: Pod) -> Iterator[Fault]:
    """A wait without end hides that the database will never come up."""
    longest = pod.spec["waitTimeout"].number()
    if longest is None or not 0 < longest <= LONGEST_WAIT:
        yield Fault(pod.spec["waitTimeout"], "the wait for its health has no bound, or too wide a one")


@rule(WAIT, on=Pod, parts=STORES, wanted="awaited until it is ready, for a bounded time", mend="the annotation",
      where=on_kubernetes)  # fmt: skip
def stores_in_a_cluster_are_awaited(pod: Pod) -> Iterator[Fault]:
    """Pulumi waits for an object to be ready unless it is told not to; then the applications start into nothing."""
    notes = pod.resource.inputs.at("metadata", "annotations")
    if notes[SKIP].flag():
        yield Fault(notes[SKIP], "it is not awaited")
    longest = notes[LIMIT]
    if not longest.is_absent and not 0 < (longest.number() or 0) <= 2 * LONGEST_WAIT:
        yield Fault(longest, "the wait for it has no bound, or too wide a one")


@rule(WAIT, on=Pod, parts=STORES, wanted="a readiness probe in each container", mend="health of the part",
      where=on_kubernetes)  # fmt: skip
def stores_in_a_cluster_say_when_they_are_ready(pod: Pod) -> Iterator[Fault]:
    """Without the probe `ready` only means `started`, and the wait for it ends too early."""
    for container in pod.main:
        if container.spec["readinessProbe"].is_absent:
            yield Fault(container.spec["readinessProbe"], "nobody asks whether it is ready")


def _runners(platform: Platform) -> Iterator[PlatformPart]:
    yield from (part for part in _applications(platform) if part.name != "migrations")


@rule(MIGRATIONS, on=Platform, wanted="a dependency on the migrations", mend="infra/components/service.py",
      where=_is_of_a_program)  # fmt: skip
def applications_start_after_the_migrations(platform: Platform) -> Iterator[Fault]:
    """A program meets a schema that it does not know when it starts before the migrations have ended well."""
    migrations = platform.parts.get("migrations")
    for part in _runners(platform):
        if migrations is None:
            yield Fault(place(part.resource, "dependencies"), "there is no job that migrates the schema")
        elif not platform.snapshot.waits_for(part.resource, migrations.resource):
            yield Fault(place(part.resource, "dependencies"), "it does not wait for the migrations")


@rule(MIGRATIONS, on=Platform, wanted="the same image", mend="infra/components/service.py")
def migrations_are_of_the_image_that_follows(platform: Platform) -> Iterator[Fault]:
    """Migrations of another version bring the schema of another version."""
    if (migrations := platform.parts.get("migrations")) is None:
        return
    image = migrations.container.image.text()
    for part in _runners(platform):
        if part.container.image.text() != image:
            yield Fault(place(part.resource, part.container.image), "its image is not that of the migrations")


@rule(MIGRATIONS, on=Pod, parts=["migrations"], wanted="a job whose end is awaited", mend="infra/components/service.py")
def migrations_run_to_their_end(pod: Pod) -> Iterator[Fault]:
    """What only has begun has not migrated anything yet, and what begins again and again never ends."""
    if not pod.runs_to_its_end:
        yield Fault(pod.resource.kind, "the migrations are no job")
    elif pod.target == "docker" and not pod.spec["attach"].flag():
        yield Fault(pod.spec["attach"], "the end of the migrations is not awaited")
    elif pod.target == "kubernetes" and pod.resource.inputs.at("metadata", "annotations", SKIP).flag():
        yield Fault(pod.resource.inputs.at("metadata", "annotations", SKIP), "the end of the migrations is not awaited")
