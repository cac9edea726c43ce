"""Faults of the network's rules, each of which turns a check red."""

from tests.infra.support import stranger
from tests.infra.unit.red.scene import Scene
from tests.infra.unit.red.stage import Reds
from tests.infra.verify.kubernetes import test_network_rules as checks

red = Reds()
ONE = "prometheus"


@red(checks.test_nothing_goes_in_or_out_that_no_rule_allows)
def what_goes_out_is_not_closed(scene: Scene) -> None:
    scene.object("networkpolicies", "default-deny")["spec"]["policyTypes"].remove("Egress")


@red(checks.test_nothing_goes_in_or_out_that_no_rule_allows)
def the_rule_that_closes_is_gone(scene: Scene) -> None:
    scene.objects("networkpolicies").remove(scene.object("networkpolicies", "default-deny"))


@red(checks.test_every_way_is_allowed_at_both_of_its_ends)
def the_database_is_called_by_one_more_than_it_lets_in(scene: Scene) -> None:
    spec = scene.object("networkpolicies", "postgres-5432-may-be-called")["spec"]
    spec["podSelector"]["matchExpressions"][0]["values"].append("edge")


@red(checks.test_every_way_is_allowed_at_both_of_its_ends)
def the_alertmanager_lets_in_whom_nothing_lets_out(scene: Scene) -> None:
    policies = scene.objects("networkpolicies")
    policies.remove(scene.object("networkpolicies", "alertmanager-9093-may-be-called"))


@red(checks.test_every_way_is_allowed_at_both_of_its_ends)
def a_part_may_not_be_called_at_all(scene: Scene) -> None:
    policies = scene.objects("networkpolicies")
    for name in ("api-8000-may-be-called", "api-is-reached"):
        policies.remove(scene.object("networkpolicies", name))


@red(checks.test_only_the_entry_may_be_reached_from_everywhere)
def prometheus_is_open_to_everybody(scene: Scene) -> None:
    (rule,) = scene.object("networkpolicies", "prometheus-is-reached")["spec"]["ingress"]
    del rule["from"]


@red(checks.test_only_the_entry_may_be_reached_from_everywhere)
def nobody_reaches_the_entry(scene: Scene) -> None:
    scene.objects("networkpolicies").remove(scene.object("networkpolicies", "edge-is-reached"))


@red(checks.test_a_foreign_pod_gets_nothing_without_a_certificate_and_credentials)
def a_stranger_gets_figures(scene: Scene) -> None:
    scene.strangers_log[ONE] = f"{stranger.LET_IN}: status 200"


@red(checks.test_a_foreign_pod_gets_nothing_without_a_certificate_and_credentials)
def a_name_leads_nowhere(scene: Scene) -> None:
    scene.strangers_log[ONE] = f"{stranger.UNKNOWN}: Name or service not known"


@red(checks.test_a_foreign_pod_gets_nothing_without_a_certificate_and_credentials)
def a_way_was_not_tried(scene: Scene) -> None:
    del scene.strangers_log[ONE]


@red(checks.test_a_foreign_pod_gets_nothing_without_a_certificate_and_credentials)
def a_way_is_tried_where_nobody_listens(scene: Scene) -> None:
    scene.tell()[ONE]["ports"] = []
