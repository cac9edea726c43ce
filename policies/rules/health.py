"""How programs are asked whether they work."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from policies.engine.rule import Fault, rule
from policies.view.durations import seconds
from policies.view.parts import PlatformPart
from policies.view.pods import Container
from policies.view.targets import on_docker, on_kubernetes
from policies.view.values import Value

DOCKER = "docker-healthcheck-settings"
START = "health-start-period-tunable"
LIVENESS = "kubernetes-liveness-probe"
READINESS = "kubernetes-readiness-probe"
ALL = "health-checks-all-services"

SHORTEST_START = 40
LONGEST_START = 120
"""Twice the 60 s to which the documents raise it: a program that starts longer has another trouble."""


def _runs_along(container: Container) -> bool:
    """Whether it is there for as long as its program: no job, and nothing that only prepares the start."""
    beside = container.role == "init" and container.spec["restartPolicy"].text() == "Always"
    return (container.role == "main" or beside) and not container.pod.runs_to_its_end


@rule(ALL, on=Container, wanted="a health check", mend="livenessProbe and readinessProbe, or healthcheck.tests",
      where=_runs_along)  # fmt: skip
def services_have_a_health_check(container: Container) -> Iterator[Fault]:
    """A program that hangs without ending looks like one that works, until somebody asks it."""
    if not container.has_health_check:
        yield Fault(container.spec["healthcheck" if container.target == "docker" else "livenessProbe"], "nobody asks")
    elif container.target == "docker" and container.spec.at("healthcheck", "tests").texts()[:1] == ["NONE"]:
        yield Fault(container.spec.at("healthcheck", "tests"), "the health check is switched off")


def _is_a_clusters_service(container: Container) -> bool:
    return container.target == "kubernetes" and container.role == "main" and not container.pod.runs_to_its_end


@rule(ALL, on=Container, wanted="a readiness probe", mend="readinessProbe", where=_is_a_clusters_service)
def services_say_when_they_are_ready(container: Container) -> Iterator[Fault]:
    """Without it a replica gets work from its first moment on, and a rollout replaces good replicas by broken ones."""
    if container.spec["readinessProbe"].is_absent:
        yield Fault(container.spec["readinessProbe"], "nobody asks whether it is ready")


def _is_docker_api(part: PlatformPart) -> bool:
    return on_docker(part)


@rule(DOCKER, on=PlatformPart, parts=["api"], wanted="interval 30s, timeout 10s, 3 retries",
      mend="api.health.interval, api.health.timeout, api.health.retries", where=_is_docker_api)  # fmt: skip
def the_health_check_has_the_agreed_timing(api: PlatformPart) -> Iterator[Fault]:
    """The numbers are agreed on: asked more often it costs, more seldom a broken API stays unnoticed."""
    check = api.container.spec["healthcheck"]
    for name, wanted in (("interval", 30), ("timeout", 10)):
        if seconds(check[name].text()) != wanted:
            yield Fault(check[name], f"healthcheck.{name} is not {wanted} s")
    if check["retries"].number() != 3:
        yield Fault(check["retries"], "healthcheck.retries is not 3")


@rule(DOCKER, on=PlatformPart, parts=["api"], wanted="/health on localhost, at API_PORT",
      mend="infra/components/service.py", where=_is_docker_api)  # fmt: skip
def the_health_check_asks_the_health_path(api: PlatformPart) -> Iterator[Fault]:
    """Another address may answer while the API itself does not."""
    tests = api.container.spec.at("healthcheck", "tests")
    url = urlsplit((tests.texts() or [""])[-1])
    port = api.setting("API_PORT").number() or 8000
    if url.hostname not in ("localhost", "127.0.0.1") or url.port != port or url.path != "/health":
        yield Fault(tests, "the health check does not ask the API's /health")


def _start_period(api: PlatformPart) -> tuple[Value, float | None]:
    """Before which second a failed answer does not count."""
    spec = api.container.spec
    if api.pod.target == "docker":
        found = spec.at("healthcheck", "startPeriod")
        return found, seconds(found.text())
    found = spec.at("livenessProbe", "initialDelaySeconds")
    return found, found.number()


@rule(START, on=PlatformPart, parts=["api"], wanted=f"{SHORTEST_START} to {LONGEST_START} s",
      mend="api.health.startPeriod")  # fmt: skip
def the_start_period_is_within_its_bounds(api: PlatformPart) -> Iterator[Fault]:
    """Shorter, a slow start is taken for a broken one and begun anew for ever; longer, a broken one is waited for."""
    where, length = _start_period(api)
    if length is None or length < SHORTEST_START:
        yield Fault(where, f"the start period is shorter than {SHORTEST_START} s")
    elif length > LONGEST_START:
        yield Fault(where, f"the start period is longer than {LONGEST_START} s")


@rule(LIVENESS, on=PlatformPart, parts=["api"], wanted="GET /health on the API's port",
      mend="infra/components/service.py", where=on_kubernetes)  # fmt: skip
def the_liveness_probe_asks_for_health(api: PlatformPart) -> Iterator[Fault]:
    """It asks the process alone: with dependencies in the answer a database's pause would restart every replica."""
    yield from _asks(api, "livenessProbe", "/health")


@rule(LIVENESS, on=PlatformPart, parts=["api"], wanted="delay 40 s, every 30 s, 10 s to answer, 3 failures",
      mend="api.health", where=on_kubernetes)  # fmt: skip
def the_liveness_probe_has_the_agreed_timing(api: PlatformPart) -> Iterator[Fault]:
    """The numbers are agreed on; only the delay may be raised, for slow starts (health-start-period-tunable)."""
    probe = api.container.spec["livenessProbe"]
    yield from _timing(probe, {"periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 3})
    if (probe["initialDelaySeconds"].number() or 0) < SHORTEST_START:
        yield Fault(probe["initialDelaySeconds"], f"initialDelaySeconds is less than {SHORTEST_START}")


@rule(READINESS, on=PlatformPart, parts=["api"], wanted="GET /health/ready on the API's port",
      mend="infra/components/service.py", where=on_kubernetes)  # fmt: skip
def the_readiness_probe_asks_for_readiness(api: PlatformPart) -> Iterator[Fault]:
    """It asks for database and broker too: a replica that can't reach them should get no requests."""
    yield from _asks(api, "readinessProbe", "/health/ready")


@rule(READINESS, on=PlatformPart, parts=["api"], wanted="delay 20 s, every 10 s, 5 s to answer, 3 failures",
      mend="api.readiness", where=on_kubernetes)  # fmt: skip
def the_readiness_probe_has_the_agreed_timing(api: PlatformPart) -> Iterator[Fault]:
    """The numbers are agreed on: they bound for how long a replica gets requests that it can't answer."""
    probe = api.container.spec["readinessProbe"]
    wanted = {"initialDelaySeconds": 20, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}
    yield from _timing(probe, wanted)


def _asks(api: PlatformPart, name: str, path: str) -> Iterator[Fault]:
    probe = api.container.spec[name]["httpGet"]
    if probe["path"].text() != path:
        yield Fault(probe["path"], f"it does not ask for {path}")
    if not _is_the_apis(api, probe["port"]):
        yield Fault(probe["port"], "it does not ask the API's port")


def _is_the_apis(api: PlatformPart, port: Value) -> bool:
    told = port.text()
    for each in api.container.spec["ports"].items():
        if told is not None and told in (each["name"].text(), each["containerPort"].text()):
            return each["containerPort"].number() == (api.setting("API_PORT").number() or 8000)
    return False


def _timing(probe: Value, wanted: dict[str, int]) -> Iterator[Fault]:
    for name, number in wanted.items():
        if probe[name].number() != number:
            yield Fault(probe[name], f"{name} is not {number}")
