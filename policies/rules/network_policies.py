"""Which programs may speak with which."""

import ipaddress
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.deployment import Deployment
from policies.view.openings import is_public
from policies.view.pods import Pod
from policies.view.resources import Resource
from policies.view.selectors import labels_of, matches, namespace_of, pods_of_service
from policies.view.targets import on_docker, place
from policies.view.values import Value

ITEM = "network-policies"

METADATA_SERVICE = ipaddress.ip_address("169.254.169.254")
"""Where clouds hand a machine's own credentials to whoever asks from it."""

DNS, CLUSTER_API = {"53"}, {"443", "6443"}


def _policies(deployment: Deployment, pod: Pod) -> Iterator[Resource]:
    for policy in deployment.of("NetworkPolicy"):
        selector = policy.inputs.at("spec", "podSelector")
        if namespace_of(policy) == namespace_of(pod.resource) and matches(selector, labels_of(pod)):
            yield policy


def _directions(policy: Resource) -> set[str]:
    """What a policy bounds; by the cluster's own rule, without `policyTypes`, ingress, and egress if it has any."""
    spec = policy.inputs["spec"]
    told = set(spec["policyTypes"].texts())
    return told or ({"Ingress", "Egress"} if spec["egress"].items() else {"Ingress"})


@rule(ITEM, on=Deployment, wanted="a NetworkPolicy that bounds who may connect to it", mend="a default-deny policy")
def every_program_bounds_who_may_connect(deployment: Deployment) -> Iterator[Fault]:
    """A pod that no policy selects takes connections from every other program of the cluster."""
    yield from _unbounded(deployment, "Ingress", "nothing bounds who may connect to it")


@rule(ITEM, on=Deployment, wanted="a NetworkPolicy that bounds where it may connect", mend="a default-deny policy")
def every_program_bounds_where_it_may_connect(deployment: Deployment) -> Iterator[Fault]:
    """An intruder needs a way out to fetch tools and to carry data away."""
    yield from _unbounded(deployment, "Egress", "nothing bounds where it may connect")


def _unbounded(deployment: Deployment, direction: str, what: str) -> Iterator[Fault]:
    for pod in deployment.pods:
        if pod.target != "kubernetes":
            continue
        if not any(direction in _directions(each) for each in _policies(deployment, pod)):
            yield Fault(place(pod.resource, "labels"), what)


@rule(ITEM, on=Deployment, wanted="each policy selects a program", mend="mend its podSelector, or remove it")
def every_policy_selects_a_program(deployment: Deployment) -> Iterator[Fault]:
    """A policy for nobody is usually one whose labels have a slip: what it should have bounded is not."""
    for policy in deployment.of("NetworkPolicy"):
        selector = policy.inputs.at("spec", "podSelector")
        if not any(_in_namespace(deployment, namespace_of(policy), selector)):
            yield Fault(place(policy, selector), "it selects no program of this deployment")


@rule(ITEM, on=Deployment, wanted="each named peer exists", mend="mend the labels of the peer, or remove it")
def every_peer_of_a_policy_exists(deployment: Deployment) -> Iterator[Fault]:
    """A way that is open for a program that does not exist is open for whoever takes its labels."""
    for policy in deployment.of("NetworkPolicy"):
        for peer in _peers(policy):
            if not peer["podSelector"].entries() or peer["namespaceSelector"].is_given:
                continue
            if not any(_in_namespace(deployment, namespace_of(policy), peer["podSelector"])):
                yield Fault(place(policy, peer), "no program of this deployment is such a peer")


def _in_namespace(deployment: Deployment, namespace: str, selector: Value) -> Iterator[Pod]:
    for pod in deployment.pods:
        here = pod.target == "kubernetes" and namespace_of(pod.resource) == namespace
        if here and matches(selector, labels_of(pod)):
            yield pod


def _peers(policy: Resource) -> Iterator[Value]:
    spec = policy.inputs["spec"]
    for rule_ in spec["ingress"].items():
        yield from rule_["from"].items()
    for rule_ in spec["egress"].items():
        yield from rule_["to"].items()


@rule(ITEM, on=Deployment, wanted="named peers, but for what is published", mend="say in `from` who may connect")
def only_published_programs_are_open_to_everybody(deployment: Deployment) -> Iterator[Fault]:
    """Connections from everywhere are for the one program in front; for any other they undo its policy."""
    public = [each for each in deployment.of("Service") if is_public(each)]
    for policy in deployment.of("NetworkPolicy"):
        open_to_all = [each for each in policy.inputs.at("spec", "ingress").items() if _lets_everybody_in(each)]
        if not open_to_all:
            continue
        selector = policy.inputs.at("spec", "podSelector")
        selected = list(_in_namespace(deployment, namespace_of(policy), selector))
        published = {pod.resource.urn for service in public for pod in pods_of_service(service, deployment.pods)}
        if deployment.of("Ingress") or (selected and all(pod.resource.urn in published for pod in selected)):
            continue
        for each in open_to_all:
            yield Fault(place(policy, each), "everybody may connect to a program that is not published")


def _lets_everybody_in(ingress: Value) -> bool:
    origins = ingress["from"].items()
    return not origins or any(_is_everywhere(each["ipBlock"]) for each in origins)


@rule(ITEM, on=Resource, kinds=["NetworkPolicy"], wanted="peers, or ports of the DNS or the cluster's API only",
      mend="say in `to` where")  # fmt: skip
def policies_do_not_open_every_way_out(policy: Resource) -> Iterator[Fault]:
    """A way out to everywhere undoes the policy; name services and the cluster's API are the usual exceptions."""
    for each in policy.inputs.at("spec", "egress").items():
        if each["to"].items():
            if any(_is_everywhere(peer["ipBlock"]) for peer in each["to"].items()):
                yield Fault(each["to"], "every address may be called, private ones too")
            continue
        ports = {port["port"].text() for port in each["ports"].items()}
        if not ports or not ports <= DNS | CLUSTER_API:
            yield Fault(each, "every address may be called")


def _is_everywhere(block: Value) -> bool:
    """All addresses without exception: what is excepted leaves the cluster's own networks out."""
    return block["cidr"].text() in ("0.0.0.0/0", "::/0") and not block["except"].items()


@rule(ITEM, on=Resource, kinds=["NetworkPolicy"], wanted="169.254.0.0/16 excepted", mend="ipBlock.except")
def no_policy_opens_the_way_to_a_clouds_credentials(policy: Resource) -> Iterator[Fault]:
    """Clouds give the credentials of a machine to every program on it that asks one well-known address."""
    for rule_ in policy.inputs.at("spec", "egress").items():
        for peer in rule_["to"].items():
            block = peer["ipBlock"]
            if _holds(block["cidr"]) and not any(_holds(each) for each in block["except"].items()):
                yield Fault(block, "the address where clouds hand out credentials may be called")


def _holds(network: Value) -> bool:
    try:
        return METADATA_SERVICE in ipaddress.ip_network(network.text() or "", strict=False)
    except ValueError:
        return False


@rule(ITEM, on=Pod, wanted="a network of its own", mend="networksAdvanced", where=on_docker)
def containers_are_not_on_the_engines_common_network(pod: Pod) -> Iterator[Fault]:
    """On the engine's default network every container of the machine reaches every other, whoever it belongs to."""
    mode = pod.spec["networkMode"]
    if not pod.spec["networksAdvanced"].items() and mode.text() in (None, "", "default", "bridge"):
        yield Fault(mode, "the container is on the network that all containers of the machine share")
