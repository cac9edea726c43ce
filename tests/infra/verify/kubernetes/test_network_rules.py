"""Who may reach whom, and what somebody gets who reaches all the same."""

import json
from collections.abc import Callable

import pytest

from tests.infra.support import foreign_pod, network_rules, stranger
from tests.infra.support.kubernetes_live import KubernetesLive
from tests.infra.support.network_rules import Policy
from tests.infra.support.stack_outputs import StackOutputs

pytestmark = [
    pytest.mark.ring("verify"),
    pytest.mark.target("kubernetes", why="Docker's networks know no rules between containers"),
]

ENTRY = "edge"
CALLS = {("edge", "api"), ("api", "postgres"), ("relay", "kafka"), ("executor", "kafka"), ("prometheus", "api")}


@pytest.fixture(scope="module")
def policies(live: KubernetesLive) -> list[Policy]:
    """The network policies of the stack."""
    return live.objects.items("/apis/networking.k8s.io/v1", "networkpolicies")


@pytest.mark.item("network-policies")
def test_nothing_goes_in_or_out_that_no_rule_allows(policies: list[Policy]) -> None:
    assert network_rules.denies_by_default(policies) == {"Ingress", "Egress"}


@pytest.mark.item("network-policies")
def test_every_way_is_allowed_at_both_of_its_ends(policies: list[Policy], outputs: StackOutputs) -> None:
    # Also what is not running all the time calls: jobs.
    parts = outputs.inventory.keys()
    entering, leaving = network_rules.ways_in(policies, parts), network_rules.ways_out(policies, parts)
    assert {(caller, called) for caller, called, _ in entering} >= CALLS
    assert not entering - leaving, f"let in but not let out: {sorted(entering - leaving)}"
    assert not leaving - entering, f"let out but not let in: {sorted(leaving - entering)}"


@pytest.mark.item("network-policies", "admin-access-private")
def test_only_the_entry_may_be_reached_from_everywhere(policies: list[Policy], outputs: StackOutputs) -> None:
    assert network_rules.open_to_everybody(policies, outputs.inventory.keys()).keys() == {ENTRY}


@pytest.mark.item("network-policies", "admin-access-private", "database-tls")
def test_a_foreign_pod_gets_nothing_without_a_certificate_and_credentials(
    live: KubernetesLive, outputs: StackOutputs, record_property: Callable[[str, object], None]
) -> None:
    known = {part: set(deployed.ports) for part, deployed in outputs.inventory.items()}
    misplaced = [name for name, way in stranger.WAYS.items() if way.port not in known.get(way.part, set())]
    assert not misplaced, f"nobody listens where these are tried: {misplaced}"
    command = ["python", "-c", stranger.SOURCE, outputs.network, *stranger.WAYS]
    found = json.loads(foreign_pod.run(live.api, outputs.inventory["api"].image, command))
    wrong = (stranger.LET_IN, stranger.UNKNOWN)
    assert not {what: verdict for what, verdict in found.items() if verdict.startswith(wrong)}
    assert found.keys() == stranger.WAYS.keys()
    away = sorted(what for what, verdict in found.items() if verdict.startswith(stranger.AWAY))
    # Where the network enforces its policies nothing answers at all; where it does not, every refusal is a server's.
    record_property("foreign_pod_found_away", f"{len(away)} of {len(found)}")
