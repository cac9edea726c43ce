"""What can be reached, from where."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "firewall-rules",
        "prod",
        "infra/components/edge.py",
        "peers=[WORLD], service=443)",
        "peers=[WORLD])",
        "services_open_web_ports_only",
    ),
    Mutation(
        "unneeded-ports-closed",
        "prod",
        "infra/components/kafka_cluster.py",
        "ports=[\n            Port(CLIENT_PORT, peers=PROGRAMS),",
        'exposure="LoadBalancer",\n        ports=[\n            Port(CLIENT_PORT, 443, PROGRAMS, 443),',
        "no_public_way_leads_to_a_data_service",
    ),
    # Each administrative program of the platform keeps data as well.
    Mutation(
        "admin-access-private",
        "prod",
        "infra/components/monitoring.py",
        'ports=[Port(PROMETHEUS_PORT, settings.published_port, peers=["grafana"] if shown else [])],',
        'ports=[Port(PROMETHEUS_PORT, 443, ["grafana"] if shown else [], service=443)], exposure="LoadBalancer",',
        "no_public_way_leads_to_an_administrative_program",
        consequences=frozenset({"unneeded-ports-closed"}),
    ),
    Mutation(
        "api-intended-channels-only",
        "prod",
        "infra/targets/kubernetes/reach.py",
        "pod_selector=_parts(list(port.peers))",
        "pod_selector=meta.LabelSelectorArgs()",
        "who_may_call_the_api_is_named",
    ),
    Mutation(
        "network-policies",
        "prod",
        "infra/targets/kubernetes/reach.py",
        ', "169.254.0.0/16")',
        ")",
        "no_policy_opens_the_way_to_a_clouds_credentials",
    ),
]
