"""How many replicas there are, and what spreads work over them."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.deployment import Deployment
from policies.view.parts import Platform, PlatformPart
from policies.view.replicas import autoscaler_of, least_replicas
from policies.view.resources import Resource
from policies.view.selectors import namespace_of, pods_of_service
from policies.view.targets import place

BALANCER = "load-balancer-configured"
REPLICAS = "api-replicas-prod"
SCALING = "autoscaling-policy"

LEAST_REPLICAS = 3


def _api(platform: Platform) -> PlatformPart | None:
    return platform.parts.get("api")


@rule(BALANCER, on=Platform, wanted="a LoadBalancer, NodePort or Ingress in front", mend="edge")
def a_load_balancer_is_in_front(platform: Platform) -> Iterator[Fault]:
    """Visitors have one address; behind it replicas come and go."""
    if (api := _api(platform)) is None:
        return
    snapshot = platform.snapshot
    outer = [
        each for each in snapshot.of("Service") if each.inputs.at("spec", "type").text() in ("LoadBalancer", "NodePort")
    ]
    if not outer and not snapshot.of("Ingress"):
        yield Fault(place(api.resource, "service"), "nothing takes visitors' requests and spreads them")


@rule(BALANCER, on=Platform, wanted="a Service that leads to the API's replicas", mend="the Service's selector")
def a_service_spreads_over_the_apis_replicas(platform: Platform) -> Iterator[Fault]:
    """Whatever is in front, it is this Service that chooses the replica."""
    api = _api(platform)
    if api is None or api.pod.target != "kubernetes":
        return
    leading = [each for each in platform.snapshot.of("Service") if pods_of_service(each, (api.pod,))]
    if not any(each.inputs.at("spec", "clusterIP").text() != "None" for each in leading):
        yield Fault(place(api.resource, "service"), "no Service spreads requests over the API's replicas")
    for each in leading:
        if each.inputs.at("spec", "sessionAffinity").text() == "ClientIP":
            yield Fault(place(each, "spec.sessionAffinity"), "all requests of the proxy in front go to one replica")


@rule(BALANCER, on=Deployment, wanted="a program behind each Service", mend="the Service's selector and targetPort")
def services_lead_to_a_program(deployment: Deployment) -> Iterator[Fault]:
    """A Service whose labels or port have a slip refuses every connection."""
    for service in deployment.of("Service"):
        if not service.inputs.at("spec", "selector").entries():
            continue
        pods = pods_of_service(service, deployment.pods)
        if not pods:
            yield Fault(place(service, "spec.selector"), "it leads to no program of this deployment")
            continue
        known = {
            text
            for pod in pods
            for container in pod.containers
            for port in container.spec["ports"].items()
            for text in (port["name"].text(), port["containerPort"].text())
        }
        for port in service.inputs.at("spec", "ports").items():
            inner = port["targetPort"] if port["targetPort"].is_given else port["port"]
            if known and inner.text() not in known:
                yield Fault(place(service, inner), "no program behind it has this port")


@rule(REPLICAS, on=Platform, wanted=f"{LEAST_REPLICAS} replicas or more, on a cluster", mend="api.replicas")
def the_api_has_three_replicas(platform: Platform) -> Iterator[Fault]:
    """With three one may be replaced while another fails, and there still is one that answers."""
    if (api := _api(platform)) is None:
        return
    if api.pod.target == "docker":
        yield Fault(place(api.resource, "name"), "one engine runs one replica of the API")
        return
    said, least = least_replicas(platform.snapshot, api.resource)
    if least < LEAST_REPLICAS:
        yield Fault(place(api.resource, said), f"the API may have fewer than {LEAST_REPLICAS} replicas")


@rule(SCALING, on=Platform, wanted=f"a HorizontalPodAutoscaler with {LEAST_REPLICAS} replicas or more",
      mend="api.autoscaling")  # fmt: skip
def the_api_is_autoscaled(platform: Platform) -> Iterator[Fault]:
    """A busy hour should not need a person who notices it."""
    api = _api(platform)
    if api is None:
        return
    scaler = autoscaler_of(platform.snapshot, api.resource) if api.pod.target == "kubernetes" else None
    if scaler is None:
        yield Fault(place(api.resource, "spec.replicas"), "nothing changes the number of replicas with their use")
    elif (scaler.inputs.at("spec", "minReplicas").number() or 1) < LEAST_REPLICAS:
        yield Fault(place(scaler, "spec.minReplicas"), f"minReplicas is less than {LEAST_REPLICAS}")


@rule(SCALING, on=Resource, kinds=["HorizontalPodAutoscaler"], wanted="maxReplicas above minReplicas",
      mend="autoscaling.most of the part")  # fmt: skip
def autoscalers_have_room_to_grow(scaler: Resource) -> Iterator[Fault]:
    """Between equal bounds nothing can be scaled."""
    spec = scaler.inputs["spec"]
    if (spec["maxReplicas"].number() or 0) <= (spec["minReplicas"].number() or 1):
        yield Fault(spec["maxReplicas"], "maxReplicas is not above minReplicas")


@rule(SCALING, on=Resource, kinds=["HorizontalPodAutoscaler"], wanted="a target of processor use from 1 to 100 %",
      mend="autoscaling.cpuPercent of the part")  # fmt: skip
def autoscalers_have_a_cpu_target(scaler: Resource) -> Iterator[Fault]:
    """Without a trigger the number never changes; above the requested time the trigger comes too late."""
    spec = scaler.inputs["spec"]
    found = [spec["targetCPUUtilizationPercentage"].number()]
    for metric in spec["metrics"].items():
        if metric.at("resource", "name").text() == "cpu":
            found.append(metric.at("resource", "target", "averageUtilization").number())
    if not any(each is not None and 0 < each <= 100 for each in found):
        yield Fault(spec["metrics"], "there is no target of processor use, or one above 100 %")


@rule(SCALING, on=Deployment, wanted="a program whose containers all request processor time", mend="scaleTargetRef")
def autoscalers_have_something_to_measure(deployment: Deployment) -> Iterator[Fault]:
    """Use is measured against what is requested: without requests, or without a program, nothing ever happens."""
    for scaler in deployment.of("HorizontalPodAutoscaler"):
        target = scaler.inputs.at("spec", "scaleTargetRef")
        kind, name = target["kind"].text(), target["name"].text()
        pods = [
            pod
            for pod in deployment.pods
            if pod.kind == kind and pod.resource.object_name.text() == name
            if namespace_of(pod.resource) == namespace_of(scaler)
        ]
        if not pods:
            yield Fault(place(scaler, target), "it scales no program of this deployment")
        for container in (each for pod in pods for each in pod.main):
            requests = container.spec["resources"]
            if not (requests.at("requests", "cpu").is_given or requests.at("limits", "cpu").is_given):
                yield Fault(place(scaler, target), "what it scales does not request processor time")
