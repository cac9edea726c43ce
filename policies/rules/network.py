"""What the outside reaches, by which ports, and what it must not reach."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.deployment import Deployment
from policies.view.openings import host_ports, is_public, openings_of_container, openings_of_service
from policies.view.parts import Platform
from policies.view.pods import Pod
from policies.view.references import ADMINISTRATIVE, STORES, reference_of
from policies.view.resources import Resource
from policies.view.selectors import matches, pods_of_service
from policies.view.targets import on_docker, on_kubernetes, place

FIREWALL = "firewall-rules"
CLOSED = "unneeded-ports-closed"
CHANNELS = "api-intended-channels-only"
ADMIN = "admin-access-private"

OPEN_PORTS = frozenset({80, 443, 22})
"""Web and administration, the only ones that the documents open to the outside."""

INNER_PORTS = frozenset(
    {5432, 6432, 8008, 9092, 9093, 9094, 9095, 29092, 9090, 3000, 9100, 9187, 9404, 9854, 8432, 3306, 6379, 27017,
     2181, 2379, 5672, 15672, 9200, 11211, 10250}
)  # fmt: skip
"""Where databases, brokers, caches and monitoring listen: of the documents, of this platform, and of usual programs."""

WEB_PORTS = "only 80, 443 and 22 are open to the outside"


@rule(FIREWALL, on=Resource, kinds=["Service"], wanted=WEB_PORTS, mend="type: ClusterIP, or another port")
def services_open_web_ports_only(service: Resource) -> Iterator[Fault]:
    """Each further open port is one more program that strangers may try; the documents open web and admin ports."""
    for each in openings_of_service(service):
        if each.number not in OPEN_PORTS:
            yield Fault(each.where, "another port than 80, 443 and 22 is open to the outside")


@rule(
    FIREWALL, on=Resource, kinds=["Container"], wanted=WEB_PORTS,
    mend="bind the port to 127.0.0.1 or a private address, or leave it out", where=on_docker,
)  # fmt: skip
def containers_publish_web_ports_only(container: Resource) -> Iterator[Fault]:
    """A published port passes the machine's own firewall: the engine writes its rules before the others."""
    for each in openings_of_container(container):
        if each.number not in OPEN_PORTS:
            yield Fault(each.where, "another port than 80, 443 and 22 is open to the outside")


@rule(FIREWALL, on=Pod, wanted="no port of the node", mend="put a Service in front", where=on_kubernetes)
def programs_take_no_ports_of_the_node(pod: Pod) -> Iterator[Fault]:
    """A host port is open on every machine that the program happens to run on, past all services."""
    for each in host_ports(pod):
        yield Fault(each.where, "a port of the node itself is taken")


@rule(CLOSED, on=Resource, kinds=["Service"], wanted="a ClusterIP service", mend="type: ClusterIP")
def services_keep_inner_ports_inside(service: Resource) -> Iterator[Fault]:
    """Databases, brokers and monitoring are for the programs beside them; outside they are only targets."""
    for each in openings_of_service(service):
        if each.number in INNER_PORTS or each.inner in {str(number) for number in INNER_PORTS}:
            yield Fault(each.where, "the port of a data or monitoring service is open to the outside")


@rule(
    CLOSED, on=Resource, kinds=["Container"], wanted="bound to 127.0.0.1, or not published",
    mend="ports[].ip: 127.0.0.1", where=on_docker,
)  # fmt: skip
def containers_keep_inner_ports_inside(container: Resource) -> Iterator[Fault]:
    """A port bound to all addresses of the machine is open to every network that the machine is in."""
    for each in openings_of_container(container):
        if each.number in INNER_PORTS or each.inner in {str(number) for number in INNER_PORTS}:
            yield Fault(each.where, "the port of a data or monitoring service is open to the outside")


@rule(CLOSED, on=Deployment, wanted="data services inside only", mend="no public Service, Ingress or port for them")
def no_public_way_leads_to_a_data_service(deployment: Deployment) -> Iterator[Fault]:
    """Whatever number a port has outside, behind it there must not be a program that keeps data."""
    yield from _public_ways_to(deployment, STORES, "a data or monitoring service is open to the outside")


@rule(ADMIN, on=Deployment, wanted="reached from a private network only", mend="a ClusterIP service, or 127.0.0.1")
def no_public_way_leads_to_an_administrative_program(deployment: Deployment) -> Iterator[Fault]:
    """Tools by which a system is watched and run show its inside, and are the first thing that intruders look for."""
    yield from _public_ways_to(deployment, ADMINISTRATIVE, "an administrative program is open to the outside")


@rule(ADMIN, on=Resource, kinds=["Container"], wanted="22 on a private address", mend="ports[].ip", where=on_docker)
def remote_logins_are_on_private_addresses(container: Resource) -> Iterator[Fault]:
    """A remote login inside a container is a second way in beside the machine's own, which nobody watches."""
    for each in openings_of_container(container):
        if each.inner in ("22", "2222", "3389", "5900"):
            yield Fault(each.where, "a remote login is open to the outside")


def _public_ways_to(deployment: Deployment, programs: tuple[str, ...], what: str) -> Iterator[Fault]:
    for pod in deployment.pods:
        if pod.target == "docker" and any(openings_of_container(pod.resource)) and _is_one_of(pod, programs):
            yield Fault(place(pod.resource, "ports"), what)
    behind_ingress = set(_names_behind_ingresses(deployment))
    for service in deployment.of("Service"):
        if is_public(service) or service.object_name.text() in behind_ingress:
            for pod in pods_of_service(service, deployment.pods):
                if _is_one_of(pod, programs):
                    yield Fault(place(service, "spec"), what)


def _names_behind_ingresses(deployment: Deployment) -> Iterator[str | None]:
    for ingress in deployment.of("Ingress"):
        spec = ingress.inputs["spec"]
        yield spec.at("defaultBackend", "service", "name").text()
        for each in spec["rules"].items():
            for path in each.at("http", "paths").items():
                yield path.at("backend", "service", "name").text()


def _is_one_of(pod: Pod, programs: tuple[str, ...]) -> bool:
    return any(reference_of(each.image.text() or "").program in programs for each in pod.main)


@rule(CHANNELS, on=Platform, wanted="a ClusterIP service, the edge in front", mend="edge")
def the_api_is_reached_by_the_edge_only(platform: Platform) -> Iterator[Fault]:
    """Limits, redirection and closed paths are the edge's: who reaches the API beside it meets none of them."""
    if (api := platform.parts.get("api")) is None:
        return
    if api.pod.target == "docker":
        for each in openings_of_container(api.resource):
            yield Fault(place(api.resource, each.where), "the API's own port is open to the outside")
        return
    for service in platform.snapshot.of("Service"):
        if pods_of_service(service, (api.pod,)) and is_public(service):
            yield Fault(place(service, "spec.type"), "the API's own service is open to the outside")


@rule(CHANNELS, on=Platform, wanted="no Ingress leads to the API itself", mend="edge")
def no_ingress_passes_the_edge_by(platform: Platform) -> Iterator[Fault]:
    """An Ingress beside the edge is a second entrance without the edge's limits."""
    api, edge = platform.parts.get("api"), platform.parts.get("edge")
    if api is None or edge is None:
        return
    for ingress in platform.snapshot.of("Ingress"):
        for service in platform.snapshot.of("Service"):
            text = service.object_name.text()
            if pods_of_service(service, (api.pod,)) and text in {
                leaf.text() for leaf in ingress.inputs["spec"].walk() if leaf.path.endswith("service.name")
            }:
                yield Fault(place(ingress, "spec"), "an Ingress leads to the API beside the edge")


@rule(CHANNELS, on=Platform, wanted="only pods that are named may connect to the API", mend="the API's NetworkPolicy")
def who_may_call_the_api_is_named(platform: Platform) -> Iterator[Fault]:
    """Without this any program of the cluster could call the API by its own address, past the edge."""
    if (api := platform.parts.get("api")) is None or api.pod.target != "kubernetes":
        return
    labels = {name: value.text() or "" for name, value in api.pod.metadata["labels"].entries().items()}
    for policy in platform.snapshot.of("NetworkPolicy"):
        spec = policy.inputs["spec"]
        if not matches(spec["podSelector"], labels):
            continue
        for each in spec["ingress"].items():
            origins = each["from"].items()
            if not origins or any(not _names_pods(origin["podSelector"].entries()) for origin in origins):
                yield Fault(place(policy, each), "others than named programs may connect to the API")


def _names_pods(selector: object) -> bool:
    return bool(selector)
