"""Faults of what the cluster gives the stack, each of which turns a check red."""

from dataclasses import replace

from ops.kube import Thing
from tests.infra.unit.red.scene import NAMESPACE, Scene, refusal
from tests.infra.unit.red.stage import Reds
from tests.infra.verify.kubernetes import test_cluster as checks

red = Reds()
SOME = "kafka"


def condition(document: Thing, kind: str) -> Thing:
    """The condition of that kind."""
    found: list[Thing] = [each for each in document["status"]["conditions"] if each["type"] == kind]
    return found[0]


@red(checks.test_the_cluster_answers_and_is_recent_enough)
def the_cluster_is_old(scene: Scene) -> None:
    scene.single["/version"]["gitVersion"] = "v1.29.14"


@red(checks.test_every_node_is_ready_and_under_no_pressure)
def a_node_is_not_ready(scene: Scene) -> None:
    condition(scene.node(), "Ready")["status"] = "Unknown"


@red(checks.test_every_node_is_ready_and_under_no_pressure)
def a_node_says_nothing_of_itself(scene: Scene) -> None:
    scene.node()["status"]["conditions"] = []


@red(checks.test_every_node_is_ready_and_under_no_pressure)
def a_node_has_little_memory_left(scene: Scene) -> None:
    condition(scene.node(), "MemoryPressure")["status"] = "True"


@red(
    checks.test_every_node_is_ready_and_under_no_pressure,
    checks.test_every_node_rotates_the_logs_of_its_containers,
)
def there_is_no_node(scene: Scene) -> None:
    scene.lists["/api/v1/nodes"].clear()


def kubelet(scene: Scene) -> Thing:
    """The settings of the first node."""
    name = scene.node()["metadata"]["name"]
    config: Thing = scene.single[f"/api/v1/nodes/{name}/proxy/configz"]["kubeletconfig"]
    return config


@red(checks.test_every_node_rotates_the_logs_of_its_containers)
def logs_grow_without_end(scene: Scene) -> None:
    kubelet(scene)["containerLogMaxSize"] = "0"


@red(checks.test_every_node_rotates_the_logs_of_its_containers)
def a_log_has_one_file_only(scene: Scene) -> None:
    kubelet(scene)["containerLogMaxFiles"] = 1


@red(checks.test_the_namespace_refuses_a_pod_with_more_privilege_than_it_needs)
def the_namespace_asks_for_less(scene: Scene) -> None:
    labels = scene.single[f"/api/v1/namespaces/{NAMESPACE}"]["metadata"]["labels"]
    labels[checks.RESTRICTED] = "baseline"


@red(checks.test_the_namespace_refuses_a_pod_with_more_privilege_than_it_needs)
def a_privileged_pod_is_let_in(scene: Scene) -> None:
    scene.admits = True


@red(checks.test_the_namespace_refuses_a_pod_with_more_privilege_than_it_needs)
def the_pod_is_refused_for_its_form(scene: Scene) -> None:
    scene.admission = refusal(422, "PodSecurity was not even asked")


@red(checks.test_the_namespace_refuses_a_pod_with_more_privilege_than_it_needs)
def the_pod_is_refused_for_the_quota(scene: Scene) -> None:
    scene.admission = refusal(403, 'pods "planted" is forbidden: exceeded quota')


@red(checks.test_only_parts_that_need_the_clusters_api_have_a_token_for_it)
def the_api_has_a_token_of_the_cluster(scene: Scene) -> None:
    scene.with_token.add("api")


@red(checks.test_only_parts_that_need_the_clusters_api_have_a_token_for_it)
def the_database_has_lost_its_token(scene: Scene) -> None:
    scene.with_token.clear()


@red(checks.test_only_parts_that_need_the_clusters_api_have_a_token_for_it)
def the_relay_runs_under_the_account_of_the_database(scene: Scene) -> None:
    scene.pods("relay")[1]["spec"]["serviceAccountName"] = "postgres"


@red(checks.test_no_part_may_do_more_with_the_clusters_api_than_is_named)
def the_database_may_do_everything(scene: Scene) -> None:
    scene.object("roles", "postgres")["rules"][0]["verbs"] = ["*"]


@red(checks.test_no_part_may_do_more_with_the_clusters_api_than_is_named)
def the_database_may_read_secrets(scene: Scene) -> None:
    scene.object("roles", "postgres")["rules"][0]["resources"].append("secrets")


@red(checks.test_no_part_may_do_more_with_the_clusters_api_than_is_named)
def the_database_has_a_right_on_the_whole_cluster(scene: Scene) -> None:
    scene.object("rolebindings", "postgres")["roleRef"]["kind"] = "ClusterRole"


@red(checks.test_no_part_may_do_more_with_the_clusters_api_than_is_named)
def the_relay_has_a_right_on_the_whole_cluster(scene: Scene) -> None:
    subject = {"kind": "ServiceAccount", "name": "relay", "namespace": NAMESPACE}
    scene.bindings_of_the_cluster().append({"metadata": {"name": "view-all"}, "subjects": [subject]})


@red(checks.test_no_part_may_do_more_with_the_clusters_api_than_is_named)
def all_accounts_of_the_namespace_have_a_right_on_the_whole_cluster(scene: Scene) -> None:
    subject = {"kind": "Group", "name": f"system:serviceaccounts:{NAMESPACE}"}
    scene.bindings_of_the_cluster().append({"metadata": {"name": "view-all"}, "subjects": [subject]})


@red(checks.test_the_namespace_has_a_quota_that_is_not_used_up)
def the_quota_is_used_up(scene: Scene) -> None:
    status = scene.objects("resourcequotas")[0]["status"]
    status["used"]["pods"] = status["hard"]["pods"]


@red(checks.test_the_namespace_has_a_quota_that_is_not_used_up)
def there_is_no_quota(scene: Scene) -> None:
    scene.objects("resourcequotas").clear()


@red(checks.test_the_namespace_has_a_quota_that_is_not_used_up)
def there_are_no_limits_by_default(scene: Scene) -> None:
    scene.objects("limitranges").clear()


@red(checks.test_every_program_is_probed_for_life_and_for_readiness)
def an_exporter_is_not_probed_for_readiness(scene: Scene) -> None:
    del scene.container("node-exporter")["readinessProbe"]


@red(checks.test_every_program_is_probed_for_life_and_for_readiness)
def one_broker_is_not_probed_for_life(scene: Scene) -> None:
    del scene.pods(SOME)[2]["spec"]["containers"][0]["livenessProbe"]


@red(checks.test_a_replica_of_the_api_gets_requests_only_while_its_dependencies_answer)
def the_api_is_ready_while_it_lives(scene: Scene) -> None:
    scene.container("api")["readinessProbe"]["httpGet"]["path"] = "/health"


@red(checks.test_a_replica_of_the_api_gets_requests_only_while_its_dependencies_answer)
def the_api_is_asked_in_the_clear(scene: Scene) -> None:
    scene.container("api")["readinessProbe"]["httpGet"]["scheme"] = "HTTP"


@red(checks.test_three_or_more_replicas_of_the_api_are_ready)
def two_replicas_are_described(scene: Scene) -> None:
    scene.tell()["api"]["replicas"] = 2


@red(checks.test_three_or_more_replicas_of_the_api_are_ready)
def two_replicas_are_ready(scene: Scene) -> None:
    for pod in scene.pods("api")[2:]:
        condition(pod, "Ready")["status"] = "False"


@red(checks.test_replicas_are_spread_budgeted_and_preferred)
def the_api_has_one_replica(scene: Scene) -> None:
    scene.tell()["api"]["replicas"] = 1


@red(checks.test_replicas_are_spread_budgeted_and_preferred)
def all_brokers_may_be_taken_away_at_once(scene: Scene) -> None:
    scene.objects("poddisruptionbudgets").remove(scene.object("poddisruptionbudgets", SOME))


@red(checks.test_replicas_are_spread_budgeted_and_preferred)
def too_few_brokers_are_healthy(scene: Scene) -> None:
    scene.object("poddisruptionbudgets", SOME)["status"]["currentHealthy"] = 1


@red(checks.test_replicas_are_spread_budgeted_and_preferred)
def all_brokers_may_be_on_one_node(scene: Scene) -> None:
    spec = scene.pods(SOME)[0]["spec"]
    spec.pop("affinity", None)
    spec.pop("topologySpreadConstraints", None)


@red(checks.test_replicas_are_spread_budgeted_and_preferred)
def brokers_have_no_priority(scene: Scene) -> None:
    del scene.pods(SOME)[0]["spec"]["priorityClassName"]


@red(checks.test_an_upgrade_takes_no_replica_away_before_its_successor_is_ready)
def an_upgrade_takes_one_replica_away(scene: Scene) -> None:
    scene.object("deployments", "api")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = 1


@red(checks.test_an_upgrade_takes_no_replica_away_before_its_successor_is_ready)
def an_upgrade_makes_no_successor(scene: Scene) -> None:
    scene.object("deployments", "api")["spec"]["strategy"]["rollingUpdate"]["maxSurge"] = 0


@red(checks.test_every_autoscaler_reads_its_figure_and_keeps_the_least_number)
def executors_are_not_scaled(scene: Scene) -> None:
    scalers = scene.objects("horizontalpodautoscalers")
    scalers.remove(scene.object("horizontalpodautoscalers", "executor"))


@red(checks.test_every_autoscaler_reads_its_figure_and_keeps_the_least_number)
def an_autoscaler_reads_nothing(scene: Scene) -> None:
    condition(scene.object("horizontalpodautoscalers", "api"), "ScalingActive")["status"] = "False"


@red(checks.test_every_autoscaler_reads_its_figure_and_keeps_the_least_number)
def an_autoscaler_has_too_few(scene: Scene) -> None:
    scene.object("horizontalpodautoscalers", "api")["status"]["currentReplicas"] = 2


@red(checks.test_every_scheduled_job_is_active)
def full_backups_are_suspended(scene: Scene) -> None:
    scene.object("cronjobs", "backup-full")["spec"]["suspend"] = True


@red(checks.test_every_scheduled_job_is_active)
def a_full_backup_failed(scene: Scene) -> None:
    labels = {"workflow.part": "backup-full", "workflow.kind": "schedule"}
    status = {"conditions": [{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}]}
    failed = {"metadata": {"name": "backup-full-29000000", "labels": labels}, "status": status}
    scene.told = scene.inventory()
    scene.objects("jobs").append(failed)


@red(checks.test_every_scheduled_job_is_active)
def nothing_is_scheduled(scene: Scene) -> None:
    for part in ("backup-full", "backup-incremental"):
        del scene.tell()[part]


@red(checks.test_every_image_is_known_by_its_digest_in_its_registry)
def an_image_is_named_by_its_tag(scene: Scene) -> None:
    scene.tell()["relay"]["image"] = "localhost:5000/workflow/workflow-api:latest"


@red(checks.test_every_image_is_known_by_its_digest_in_its_registry)
def an_image_is_named_by_its_tag_in_a_registry_that_tells_nothing(scene: Scene) -> None:
    an_image_is_named_by_its_tag(scene)
    scene.images.clear()


@red(checks.test_every_image_is_known_by_its_digest_in_its_registry)
def an_image_is_empty(scene: Scene) -> None:
    scene.images["relay"] = replace(scene.images["relay"], size=0)
