"""What the outside reaches."""

from tests.policies.changes import ABSENT, UNKNOWN, Case, also, both, put

POD = "spec.template.spec"
DOCKER = "docker:index/container:Container"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
TO_API = {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "api"}}}]}}]}
TO_GRAFANA = {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "grafana"}}}]}}]}


def published(external: object, internal: object = 80, ip: object = "0.0.0.0", image: str = "web") -> dict[str, object]:  # noqa: S104
    """A container of somebody else's on Docker."""
    return {"name": "web", "image": image, "ports": [{"external": external, "internal": internal, "ip": ip}]}


POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
EVERYWHERE = {"ipBlock": {"cidr": "0.0.0.0/0"}}


def policy(**spec: object) -> dict[str, object]:
    return {"metadata": {"name": "p"}, "spec": {"podSelector": {}, "policyTypes": ["Egress"], **spec}}


CASES = [
    Case("services_open_web_ports_only", put("Service", "edge", "spec.ports[0].port", 8443), path="spec.ports[0].port"),
    Case("services_open_web_ports_only", put("Service", "api", "spec.type", "NodePort"), path="spec.ports[0].port"),
    Case("services_open_web_ports_only", put("Service", "kafka", "spec.externalIPs", ["192.0.2.7"]), why="external"),
    Case("services_open_web_ports_only", put("Service", "edge", "spec.ports[0].port", UNKNOWN), "not evaluated"),
    Case("containers_publish_web_ports_only", also(DOCKER, "web", published(8000))),
    Case("containers_publish_web_ports_only", also(DOCKER, "web", published(8000, ip="8.8.4.4")), why="address"),
    Case("containers_publish_web_ports_only", also(DOCKER, "web", published(8000, ip=None)), why="no address"),
    Case("containers_publish_web_ports_only", also(DOCKER, "web", published(80, ip=UNKNOWN)), "not evaluated"),
    Case("programs_take_no_ports_of_the_node", put("Deployment", "api", f"{POD}.containers[0].ports[0].hostPort", 443)),
    Case(
        "programs_take_no_ports_of_the_node",
        put("Deployment", "api", f"{POD}.initContainers", [{"name": "i", "ports": [{"hostPort": 22}]}]),
        path="initContainers[0]",
        why="init",
    ),
    Case(
        "programs_take_no_ports_of_the_node",
        put("Deployment", "api", f"{POD}.containers[0].ports[0].hostPort", UNKNOWN),
        "not evaluated",
    ),
    Case("services_keep_inner_ports_inside", put("Service", "prometheus", "spec.type", "LoadBalancer")),
    Case("services_keep_inner_ports_inside", put("Service", "edge", "spec.ports[0].targetPort", 5432)),
    Case("services_keep_inner_ports_inside", put("Service", "edge", "spec.type", UNKNOWN), "not evaluated"),
    Case("containers_keep_inner_ports_inside", also(DOCKER, "db", published(443, 5432))),
    Case("containers_keep_inner_ports_inside", also(DOCKER, "db", published(29092, "x"))),
    Case("containers_keep_inner_ports_inside", also(DOCKER, "db", published(80, UNKNOWN)), "not evaluated"),
    Case(
        "no_public_way_leads_to_a_data_service",
        both(put("Service", "postgres", "spec.type", "LoadBalancer"), put("Service", "postgres", "spec.ports", [])),
        path="Service postgres",
    ),
    Case("no_public_way_leads_to_a_data_service", also(DOCKER, "db", published(443, 443, image="redis:7.2"))),
    Case("no_public_way_leads_to_a_data_service", put("Service", "kafka", "spec.type", UNKNOWN), "not evaluated"),
    Case(
        "no_public_way_leads_to_an_administrative_program",
        also(INGRESS, "tools", {"spec": TO_GRAFANA}),
        path="Service grafana",
    ),
    Case(
        "no_public_way_leads_to_an_administrative_program",
        put("Service", "alertmanager", "spec.type", "NodePort"),
    ),
    Case(
        "no_public_way_leads_to_an_administrative_program",
        also(DOCKER, "tool", published(443, 443, image="dpage/pgadmin4:8")),
        path="Container tool",
    ),
    Case(
        "no_public_way_leads_to_an_administrative_program",
        put("Service", "grafana", "spec.type", UNKNOWN),
        "not evaluated",
    ),
    Case("remote_logins_are_on_private_addresses", also(DOCKER, "shell", published(22, 22))),
    Case("remote_logins_are_on_private_addresses", also(DOCKER, "shell", {"ports": UNKNOWN}), "not evaluated"),
    Case("the_api_is_reached_by_the_edge_only", put("Service", "api", "spec.type", "LoadBalancer")),
    Case("the_api_is_reached_by_the_edge_only", put("Service", "api-nodes", "spec.externalIPs", ["192.0.2.7"])),
    Case("the_api_is_reached_by_the_edge_only", put("Service", "api", "spec.type", UNKNOWN), "not evaluated"),
    Case("no_ingress_passes_the_edge_by", also(INGRESS, "beside", {"spec": TO_API})),
    Case(
        "no_ingress_passes_the_edge_by",
        both(also(INGRESS, "beside", {"spec": TO_API}), put("Service", "api", "spec.selector", UNKNOWN)),
        "not evaluated",
    ),
    Case(
        "who_may_call_the_api_is_named", put("NetworkPolicy", "policy-api-is-reached", "spec.ingress[0].from", ABSENT)
    ),
    Case(
        "who_may_call_the_api_is_named",
        put("NetworkPolicy", "policy-api-is-reached", "spec.ingress[0].from", [EVERYWHERE]),
        why="address",
    ),
    Case(
        "who_may_call_the_api_is_named",
        put("NetworkPolicy", "policy-api-is-reached", "spec.ingress[0].from", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "every_program_bounds_who_may_connect",
        both(
            put("NetworkPolicy", "policy-default-deny", "spec.policyTypes", ["Egress"]),
        ),
    ),
    Case(
        "every_program_bounds_who_may_connect",
        put("NetworkPolicy", "policy-default-deny", "metadata.namespace", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "every_program_bounds_where_it_may_connect",
        both(
            put("NetworkPolicy", "policy-default-deny", "spec.policyTypes", ["Ingress"]),
            put("NetworkPolicy", "policy-dns", "spec.podSelector", {"matchLabels": {"workflow.part": "api"}}),
        ),
    ),
    Case(
        "every_program_bounds_where_it_may_connect",
        put("NetworkPolicy", "policy-default-deny", "metadata.namespace", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "every_policy_selects_a_program",
        put("NetworkPolicy", "policy-api-is-reached", "spec.podSelector", {"matchLabels": {"workflow.part": "apy"}}),
        path="NetworkPolicy policy-api-is-reached",
    ),
    Case(
        "every_policy_selects_a_program",
        put("NetworkPolicy", "policy-api-is-reached", "spec.podSelector.matchLabels", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "every_peer_of_a_policy_exists",
        put(
            "NetworkPolicy",
            "policy-api-is-reached",
            "spec.ingress[0].from[0].podSelector",
            {"matchExpressions": [{"key": "workflow.part", "operator": "In", "values": ["egde"]}]},
        ),
        path="spec.ingress[0].from[0]",
    ),
    Case(
        "every_peer_of_a_policy_exists",
        put(
            "NetworkPolicy",
            "policy-api-8000-may-be-called",
            "spec.egress[0].to[0].podSelector",
            {"matchLabels": {"workflow.part": "apy"}},
        ),
        path="spec.egress[0].to[0]",
    ),
    Case(
        "every_peer_of_a_policy_exists",
        put("NetworkPolicy", "policy-api-is-reached", "spec.ingress[0].from", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "only_published_programs_are_open_to_everybody",
        put("NetworkPolicy", "policy-kafka-is-reached", "spec.ingress[0].from", ABSENT),
        path="policy-kafka-is-reached",
    ),
    Case(
        "only_published_programs_are_open_to_everybody",
        put("NetworkPolicy", "policy-kafka-is-reached", "spec.ingress[0].from", [EVERYWHERE]),
        why="address",
    ),
    Case(
        "only_published_programs_are_open_to_everybody",
        put("NetworkPolicy", "policy-kafka-is-reached", "spec.ingress[0].from", UNKNOWN),
        "not evaluated",
    ),
    Case("policies_do_not_open_every_way_out", also(POLICY, "p", policy(egress=[{}]))),
    Case("policies_do_not_open_every_way_out", also(POLICY, "p", policy(egress=[{"ports": [{"port": 80}]}])), why="80"),
    Case("policies_do_not_open_every_way_out", also(POLICY, "p", policy(egress=[{"to": [EVERYWHERE]}])), why="address"),
    Case("policies_do_not_open_every_way_out", also(POLICY, "p", policy(egress=UNKNOWN)), "not evaluated"),
    Case(
        "no_policy_opens_the_way_to_a_clouds_credentials",
        put(
            "NetworkPolicy",
            "policy-executor-calls-out",
            "spec.egress[0].to[0].ipBlock.except",
            ["10.0.0.0/8"],
        ),
    ),
    Case("no_policy_opens_the_way_to_a_clouds_credentials", also(POLICY, "p", policy(egress=UNKNOWN)), "not evaluated"),
    Case("containers_are_not_on_the_engines_common_network", also(DOCKER, "web", {"name": "w", "image": "i"})),
    Case(
        "containers_are_not_on_the_engines_common_network",
        also(DOCKER, "web", {"name": "w", "image": "i", "networkMode": UNKNOWN}),
        "not evaluated",
    ),
]
