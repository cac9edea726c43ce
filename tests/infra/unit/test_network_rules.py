"""Ways between parts are read from both ends of the network policies."""

from typing import Any

import pytest

from tests.infra.support import network_rules as rules

pytestmark = pytest.mark.ring("unit")

PARTS = {"api", "edge", "postgres", "relay"}
CLOSED: dict[str, Any] = {"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}


def of(part: str) -> dict[str, Any]:
    return {"matchLabels": {"app.kubernetes.io/name": part, "app.kubernetes.io/instance": "t"}}


def any_of(*parts: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "workflow.part", "operator": "In", "values": list(parts)}]}


def way_in(called: str, port: int, *callers: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"}]}
    if callers:
        rule["from"] = [{"podSelector": any_of(*callers)}]
    return {"spec": {"podSelector": of(called), "policyTypes": ["Ingress"], "ingress": [rule]}}


def way_out(called: str, port: int, *callers: str) -> dict[str, Any]:
    rule = {"ports": [{"port": port, "protocol": "TCP"}], "to": [{"podSelector": of(called)}]}
    return {"spec": {"podSelector": any_of(*callers), "policyTypes": ["Egress"], "egress": [rule]}}


def test_a_policy_without_rules_closes_its_directions() -> None:
    assert rules.denies_by_default([CLOSED]) == {"Ingress", "Egress"}
    assert rules.denies_by_default([way_in("api", 8000, "edge")]) == set()


def test_a_rule_that_names_nobody_is_open_to_everybody() -> None:
    assert rules.open_to_everybody([way_in("edge", 8443), way_in("api", 8000, "edge")], PARTS) == {"edge": {8443}}


def test_ways_are_the_same_seen_from_both_ends() -> None:
    wanted = {("api", "postgres", 5432), ("relay", "postgres", 5432)}
    assert rules.ways_in([way_in("postgres", 5432, "api", "relay")], PARTS) == wanted
    assert rules.ways_out([way_out("postgres", 5432, "api", "relay")], PARTS) == wanted


def test_a_way_that_is_open_at_one_end_only_shows() -> None:
    entering = rules.ways_in([way_in("postgres", 5432, "api", "relay")], PARTS)
    leaving = rules.ways_out([way_out("postgres", 5432, "api")], PARTS)
    assert entering - leaving == {("relay", "postgres", 5432)}


def test_a_way_out_to_addresses_is_no_way_between_parts() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}
    policy = {"spec": {"podSelector": of("api"), "policyTypes": ["Egress"], "egress": [rule]}}
    assert rules.ways_out([policy], PARTS) == set()
