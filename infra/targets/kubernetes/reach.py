"""Who may reach a workload and how: its services and its network policies."""

from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.networking import v1 as networking

from infra.targets.kubernetes.objects import PART_LABEL, Objects
from infra.workload import WORLD, Port, nodes_service

NOT_AWAITED = {"pulumi.com/skipAwait": "true"}
"""A service has nothing to wait for that its program's own wait does not see. Waiting here as well would fill all of
the engine's places with services that wait for programs, which then never get their turn."""

PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
"""What is not the outside: a program that may call out still reaches nothing else of the cluster or its network."""


def services(objects: Objects) -> list[core.Service]:
    """One service for each name of the workload, and the headless one that gives the addresses of its replicas."""
    workload = objects.workload
    if not workload.ports:
        return []
    made = []
    for name, more in (workload.services or {workload.part: {}}).items():
        published = workload.exposure is not None and name == workload.part
        spec = core.ServiceSpecArgs(
            type=workload.exposure if published else "ClusterIP",
            selector={**objects.selector, **more},
            ports=[
                _service_port(port, published and workload.exposure == "NodePort")
                for port in workload.ports
                if not published or port.published
            ],
        )
        made.append(_service(objects, name, spec))
    return [*made, _headless(objects)]


def _headless(objects: Objects) -> core.Service:
    spec = core.ServiceSpecArgs(
        cluster_ip="None",
        selector=objects.selector,
        # Replicas must find one another before they are ready, and figures are collected of those that are not, too.
        publish_not_ready_addresses=True,
        ports=[_service_port(port, False) for port in objects.workload.ports],
    )
    return _service(objects, nodes_service(objects.workload.part), spec)


def _service(objects: Objects, name: str, spec: core.ServiceSpecArgs) -> core.Service:
    return core.Service(name, metadata=objects.metadata(name, NOT_AWAITED), spec=spec, opts=objects.opts)


def _service_port(port: Port, on_nodes: bool) -> core.ServicePortArgs:
    return core.ServicePortArgs(
        name=f"tcp-{port.service or port.number}",
        port=port.service or port.number,
        target_port=port.number,
        protocol="TCP",
        node_port=port.published if on_nodes else None,
    )


def policies(objects: Objects) -> list[networking.NetworkPolicy]:
    """Both directions of every declared way: what may come in here, and that its peers may go out to here."""
    workload, own = objects.workload, objects.pods
    made = []

    def register(name: str, spec: networking.NetworkPolicySpecArgs) -> None:
        data = objects.metadata(name)
        made.append(networking.NetworkPolicy(f"policy-{name}", metadata=data, spec=spec, opts=objects.opts))

    reached = [port for port in workload.ports if port.peers]
    if reached:
        rules = [
            networking.NetworkPolicyIngressRuleArgs(ports=[_policy_port(port)], from_=_origins(port))
            for port in reached
        ]
        register(
            f"{workload.part}-is-reached",
            networking.NetworkPolicySpecArgs(pod_selector=own, policy_types=["Ingress"], ingress=rules),
        )
    for port in reached:
        if parts := [peer for peer in port.peers if peer != WORLD]:
            register(
                f"{workload.part}-{port.number}-may-be-called",
                networking.NetworkPolicySpecArgs(
                    pod_selector=_parts(parts),
                    policy_types=["Egress"],
                    egress=[
                        networking.NetworkPolicyEgressRuleArgs(
                            ports=[_policy_port(port)], to=[networking.NetworkPolicyPeerArgs(pod_selector=own)]
                        )
                    ],
                ),
            )
    outside = []
    if workload.api_access:
        # The API server's address is the cluster's business, and behind its service it is not a pod.
        ports = [networking.NetworkPolicyPortArgs(port=number, protocol="TCP") for number in (443, 6443)]
        outside.append(networking.NetworkPolicyEgressRuleArgs(ports=ports))
    if workload.calls_out:
        block = networking.IPBlockArgs(cidr="0.0.0.0/0", except_=list(PRIVATE_RANGES))
        outside.append(networking.NetworkPolicyEgressRuleArgs(to=[networking.NetworkPolicyPeerArgs(ip_block=block)]))
    for network in workload.calls_networks:
        peer = networking.NetworkPolicyPeerArgs(ip_block=networking.IPBlockArgs(cidr=network))
        outside.append(networking.NetworkPolicyEgressRuleArgs(to=[peer]))
    if outside:
        register(
            f"{workload.part}-calls-out",
            networking.NetworkPolicySpecArgs(pod_selector=own, policy_types=["Egress"], egress=outside),
        )
    return made


def _policy_port(port: Port) -> networking.NetworkPolicyPortArgs:
    return networking.NetworkPolicyPortArgs(port=port.number, protocol="TCP")


def _origins(port: Port) -> list[networking.NetworkPolicyPeerArgs] | None:
    if WORLD in port.peers:
        return None
    return [networking.NetworkPolicyPeerArgs(pod_selector=_parts(list(port.peers)))]


def _parts(parts: list[str]) -> meta.LabelSelectorArgs:
    return meta.LabelSelectorArgs(
        match_expressions=[meta.LabelSelectorRequirementArgs(key=PART_LABEL, operator="In", values=sorted(set(parts)))]
    )
