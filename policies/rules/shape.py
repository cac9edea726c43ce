"""The form of what runs on a cluster: the API's, which is agreed on, and what keeps programs there during changes."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.deployment import Deployment
from policies.view.parts import PlatformPart
from policies.view.pods import Pod
from policies.view.references import reference_of
from policies.view.replicas import autoscaler_of, least_replicas
from policies.view.resources import Resource
from policies.view.selectors import labels_of, matches, namespace_of
from policies.view.targets import on_kubernetes, place
from policies.view.values import Value

ITEM = "kubernetes-deployment-shape"
API = "workflow-api"
API_PORT = 8000

CARRIERS = ("Deployment", "StatefulSet")

ENDING_SECONDS = {"api": 20, "relay": 20, "executor": 20}
"""How long our programs go on with what is under way: GRACEFUL_SHUTDOWN_SECONDS of service/platform/settings.py."""


@rule(ITEM, on=PlatformPart, parts=["api"], wanted=f"a Deployment of apps/v1 with the name {API}",
      mend="infra/components/service.py", where=on_kubernetes)  # fmt: skip
def the_api_is_a_deployment_of_the_agreed_name(api: PlatformPart) -> Iterator[Fault]:
    """Handbooks and people call it by this name."""
    if api.pod.kind != "Deployment" or api.resource.inputs["apiVersion"].text() not in (None, "apps/v1"):
        yield Fault("kind", "the API is no Deployment of apps/v1")
    if api.resource.object_name.text() != API:
        yield Fault(api.resource.object_name, f"the API's Deployment is not called {API}")


@rule(ITEM, on=PlatformPart, parts=["api"], wanted=f"a container api of the image {API}",
      mend="infra/components/service.py", where=on_kubernetes)  # fmt: skip
def the_apis_container_has_the_agreed_name_and_image(api: PlatformPart) -> Iterator[Fault]:
    """Logs and figures are asked for by these names."""
    if api.container.spec["name"].text() != "api":
        yield Fault(api.container.spec["name"], "the container is not called api")
    if reference_of(api.container.image.text() or "").repository.rpartition("/")[2] != API:
        yield Fault(api.container.image, f"the image is not {API}")


@rule(ITEM, on=PlatformPart, parts=["api"], wanted=f"containerPort {API_PORT}, the one of API_PORT", mend="api.port",
      where=on_kubernetes)  # fmt: skip
def the_api_listens_on_the_agreed_port(api: PlatformPart) -> Iterator[Fault]:
    """Services, probes and policies lead to this port."""
    ports = [each["containerPort"].number() for each in api.container.spec["ports"].items()]
    if API_PORT not in ports:
        yield Fault(api.container.spec["ports"], f"containerPort {API_PORT} is missing")
    if api.setting("API_PORT").number() not in ports:
        yield Fault(api.setting("API_PORT"), "API_PORT is none of the container's ports")


@rule(ITEM, on=PlatformPart, parts=["api"], wanted="DATABASE_URL and KAFKA_BROKERS", mend="infra/components/service.py",
      where=on_kubernetes)  # fmt: skip
def the_api_is_given_what_it_requires(api: PlatformPart) -> Iterator[Fault]:
    """Without these two it does not start; the URL holds a password, so that it belongs into a Secret."""
    for name in ("DATABASE_URL", "KAFKA_BROKERS"):
        if not api.setting(name).is_given and not _is_injected(api, name):
            yield Fault(api.container.spec["env"], f"{name} is not given")
    if "DATABASE_URL" in api.container.env:
        yield Fault(api.container.env["DATABASE_URL"], "DATABASE_URL is written down, and not injected from a Secret")


def _is_injected(api: PlatformPart, name: str) -> bool:
    return any(
        each["name"].text() == name and each["valueFrom"].is_given for each in api.container.spec["env"].items()
    ) or any(each["secretRef"].is_given for each in api.container.spec["envFrom"].items())


@rule(ITEM, on=Pod, wanted="a selector that the pods' labels have", mend="spec.selector", where=on_kubernetes)
def programs_select_their_own_pods(pod: Pod) -> Iterator[Fault]:
    """With another selector the cluster refuses the object, or takes other programs' pods for its own."""
    if pod.kind not in (*CARRIERS, "DaemonSet", "ReplicaSet"):
        return
    selector = pod.resource.inputs.at("spec", "selector")
    if not selector.entries() or not matches(selector, labels_of(pod)):
        yield Fault(selector, "it does not select its own pods")


@rule(ITEM, on=Resource, kinds=["Deployment"], wanted="RollingUpdate with maxUnavailable 0", mend="spec.strategy")
def new_replicas_come_before_old_ones_go(deployment: Resource) -> Iterator[Fault]:
    """Otherwise fewer replicas carry all requests in just the minutes in which something new may go wrong."""
    strategy = deployment.inputs.at("spec", "strategy")
    if strategy["type"].text() == "Recreate":
        yield Fault(strategy["type"], "all replicas are ended before new ones begin")
    elif (strategy.at("rollingUpdate", "maxUnavailable").text() or "25%") not in ("0", "0%"):
        yield Fault(strategy.at("rollingUpdate", "maxUnavailable"), "replicas are ended before new ones are ready")


@rule(ITEM, on=Deployment, wanted="replicas on different machines",
      mend="topologySpreadConstraints or podAntiAffinity by kubernetes.io/hostname")  # fmt: skip
def replicas_are_spread_over_machines(deployment: Deployment) -> Iterator[Fault]:
    """Three replicas on one machine are gone together with it."""
    for pod in _replicated(deployment):
        labels = labels_of(pod)
        spreads = pod.spec["topologySpreadConstraints"].items()
        apart = pod.spec.at("affinity", "podAntiAffinity")
        terms = [
            *apart["requiredDuringSchedulingIgnoredDuringExecution"].items(),
            *(each["podAffinityTerm"] for each in apart["preferredDuringSchedulingIgnoredDuringExecution"].items()),
        ]
        if not any(
            each["topologyKey"].is_given and each["labelSelector"].is_given and matches(each["labelSelector"], labels)
            for each in [*spreads, *terms]
        ):
            yield Fault(place(pod.resource, "topologySpreadConstraints"), "nothing keeps its replicas apart")


@rule(ITEM, on=Deployment, wanted="a PodDisruptionBudget for each program with replicas", mend="maxUnavailable: 1")
def replicated_programs_have_a_budget(deployment: Deployment) -> Iterator[Fault]:
    """Without one, whoever empties machines for maintenance may take all replicas at once."""
    for pod in _replicated(deployment):
        if not any(True for _ in _budgets_of(deployment, pod)):
            yield Fault(place(pod.resource, "labels"), "no budget bounds how many replicas may be taken at once")


@rule(ITEM, on=Deployment, wanted="a budget that leaves some and lets one go", mend="maxUnavailable: 1")
def budgets_leave_replicas_and_let_one_go(deployment: Deployment) -> Iterator[Fault]:
    """A budget that lets nobody go holds up every maintenance; one that lets all go is none."""
    for pod in _replicated(deployment):
        _, least = least_replicas(deployment, pod.resource)
        for budget in _budgets_of(deployment, pod):
            spec = budget.inputs["spec"]
            kept = _count(spec["minAvailable"], least)
            taken = _count(spec["maxUnavailable"], least) if kept is None else least - kept
            if taken is not None and not 0 < taken < least:
                yield Fault(place(budget, "spec"), "it lets all replicas go at once, or none")


@rule(ITEM, on=Deployment, wanted="a budget for programs that exist", mend="mend its selector, or remove it")
def budgets_are_for_programs_that_exist(deployment: Deployment) -> Iterator[Fault]:
    """A budget whose labels have a slip protects nobody."""
    for budget in deployment.of("PodDisruptionBudget"):
        if not any(budget is found for pod in deployment.pods for found in _budgets_of(deployment, pod)):
            yield Fault(place(budget, "spec.selector"), "it selects no program of this deployment")


def _replicated(deployment: Deployment) -> Iterator[Pod]:
    for pod in deployment.pods:
        if pod.target == "kubernetes" and pod.kind in CARRIERS and least_replicas(deployment, pod.resource)[1] > 1:
            yield pod


def _budgets_of(deployment: Deployment, pod: Pod) -> Iterator[Resource]:
    if pod.target == "kubernetes":
        for budget in deployment.of("PodDisruptionBudget"):
            selector = budget.inputs.at("spec", "selector")
            here = namespace_of(budget) == namespace_of(pod.resource)
            if here and selector.entries() and matches(selector, labels_of(pod)):
                yield budget


def _count(value: Value, of: float) -> float | None:
    text = value.text()
    if text is not None and text.endswith("%"):
        return of * float(text[:-1]) / 100
    return value.number()


@rule(ITEM, on=Pod, wanted="a grace period longer than preStop, and than the program's own end",
      mend="stop_seconds and drain_seconds of the workload", where=on_kubernetes)  # fmt: skip
def programs_have_time_to_end(pod: Pod) -> Iterator[Fault]:
    """The grace period runs from before preStop on; what is not done when it ends is cut off in the middle."""
    grace = pod.spec["terminationGracePeriodSeconds"]
    given = grace.number()
    own = ENDING_SECONDS.get(pod.part or "", 0)
    for container in pod.main:
        before = container.spec.at("lifecycle", "preStop", "sleep", "seconds").number() or 0
        if (30 if given is None else given) <= before + own:
            yield Fault(grace, "the program is ended before it can have finished what it does")


@rule(ITEM, on=PlatformPart, parts=["api", "edge"], wanted="lifecycle.preStop", mend="api.drainSeconds",
      where=on_kubernetes)  # fmt: skip
def programs_with_visitors_drain_before_they_end(part: PlatformPart) -> Iterator[Fault]:
    """For some seconds machines still send requests to a replica that leaves: it must go on answering so long."""
    hook = part.container.spec.at("lifecycle", "preStop")
    if hook.is_absent:
        yield Fault(hook, "a leaving replica stops answering while requests still come")


@rule(ITEM, on=Resource, kinds=["Deployment"], wanted="a few earlier versions kept", mend="revisionHistoryLimit")
def earlier_versions_are_kept(deployment: Resource) -> Iterator[Fault]:
    """Without them there is nothing to go back to."""
    if deployment.inputs.at("spec", "revisionHistoryLimit").number() == 0:
        yield Fault(deployment.inputs.at("spec", "revisionHistoryLimit"), "no earlier version is kept")


@rule(ITEM, on=Deployment, wanted="a number in one place only", mend="leave spec.replicas out where there is a scaler")
def autoscaled_programs_have_no_fixed_number(deployment: Deployment) -> Iterator[Fault]:
    """With both, every deployment throws away what the autoscaler has just found to be needed."""
    for pod in deployment.pods:
        if pod.target != "kubernetes" or not autoscaler_of(deployment, pod.resource):
            continue
        if not pod.resource.inputs.at("spec", "replicas").is_absent:
            yield Fault(place(pod.resource, "spec.replicas"), "the number of replicas is fixed beside an autoscaler")
