"""How many replicas there are, what spreads work over them, and the form of what runs on a cluster."""

from tests.policies.changes import ABSENT, UNKNOWN, Case, Change, env, put, without

POD = "spec.template.spec"
MAIN = f"{POD}.containers[0]"
SCALER = "HorizontalPodAutoscaler"
DOCKER = "docker:index/container:Container"
OTHER = {"matchLabels": {"workflow.part": "nobody"}}


def api(path: str, to: object) -> Change:
    return put("Deployment", "api", path, to)


def budget(path: str, to: object) -> Change:
    return put("PodDisruptionBudget", "api-budget", path, to)


def scaler(path: str, to: object) -> Change:
    return put(SCALER, "api-autoscaler", path, to)


CASES = [
    Case("a_load_balancer_is_in_front", put("Service", "edge", "spec.type", "ClusterIP")),
    Case("a_load_balancer_is_in_front", put("Service", "edge", "spec.type", UNKNOWN), "not evaluated"),
    Case("a_service_spreads_over_the_apis_replicas", put("Service", "api", "spec.clusterIP", "None")),
    Case("a_service_spreads_over_the_apis_replicas", put("Service", "api", "spec.sessionAffinity", "ClientIP")),
    Case("a_service_spreads_over_the_apis_replicas", put("Service", "api", "spec.selector", UNKNOWN), "not evaluated"),
    Case("services_lead_to_a_program", put("Service", "api", "spec.selector", {"app.kubernetes.io/name": "apy"})),
    Case("services_lead_to_a_program", put("Service", "relay", "spec.ports[0].targetPort", 8002)),
    Case("services_lead_to_a_program", put("Service", "relay", "spec.ports[0].targetPort", UNKNOWN), "not evaluated"),
    Case("the_api_has_three_replicas", scaler("spec.minReplicas", 2), path="minReplicas"),
    Case("the_api_has_three_replicas", without(SCALER, "api-autoscaler"), path="spec.replicas"),
    Case("the_api_has_three_replicas", scaler("spec.minReplicas", UNKNOWN), "not evaluated"),
    Case("the_api_is_autoscaled", without(SCALER, "api-autoscaler")),
    Case("the_api_is_autoscaled", scaler("spec.minReplicas", 1), path="minReplicas"),
    Case("the_api_is_autoscaled", scaler("spec.scaleTargetRef", UNKNOWN), "not evaluated"),
    Case("autoscalers_have_room_to_grow", scaler("spec.maxReplicas", 3)),
    Case("autoscalers_have_room_to_grow", scaler("spec.maxReplicas", UNKNOWN), "not evaluated"),
    Case("autoscalers_have_a_cpu_target", scaler("spec.metrics", [])),
    Case("autoscalers_have_a_cpu_target", scaler("spec.metrics[0].resource.target.averageUtilization", 250)),
    Case("autoscalers_have_a_cpu_target", scaler("spec.metrics", UNKNOWN), "not evaluated"),
    Case("autoscalers_have_something_to_measure", scaler("spec.scaleTargetRef.name", "apy"), why="nobody"),
    Case("autoscalers_have_something_to_measure", api(f"{MAIN}.resources", {"limits": {"memory": "1Gi"}})),
    Case("autoscalers_have_something_to_measure", scaler("spec.scaleTargetRef", UNKNOWN), "not evaluated"),
    Case("the_api_is_a_deployment_of_the_agreed_name", api("metadata.name", "api"), path="metadata.name"),
    Case("the_api_is_a_deployment_of_the_agreed_name", api("apiVersion", "extensions/v1beta1"), path="kind"),
    Case("the_api_is_a_deployment_of_the_agreed_name", api("metadata.name", UNKNOWN), "not evaluated"),
    Case("the_apis_container_has_the_agreed_name_and_image", api(f"{MAIN}.name", "web"), path="name"),
    Case("the_apis_container_has_the_agreed_name_and_image", api(f"{MAIN}.image", "registry.internal/api:1")),
    Case("the_apis_container_has_the_agreed_name_and_image", api(f"{MAIN}.image", UNKNOWN), "not evaluated"),
    Case("the_api_listens_on_the_agreed_port", api(f"{MAIN}.ports[0].containerPort", 8080)),
    Case("the_api_listens_on_the_agreed_port", env("api", "API_PORT", "8080"), path="env"),
    Case("the_api_listens_on_the_agreed_port", api(f"{MAIN}.ports", UNKNOWN), "not evaluated"),
    Case("the_api_is_given_what_it_requires", env("api", "KAFKA_BROKERS", ABSENT), why="brokers"),
    Case("the_api_is_given_what_it_requires", env("api", "DATABASE_URL_FILE", ABSENT), why="database"),
    Case("the_api_is_given_what_it_requires", env("api", "DATABASE_URL", "postgresql://db/d"), why="written down"),
    Case("the_api_is_given_what_it_requires", api(f"{MAIN}.env", UNKNOWN), "not evaluated"),
    Case("programs_select_their_own_pods", put("StatefulSet", "kafka", "spec.selector", OTHER)),
    Case("programs_select_their_own_pods", put("StatefulSet", "kafka", "spec.selector", ABSENT), why="none"),
    Case("programs_select_their_own_pods", put("StatefulSet", "kafka", "spec.selector", UNKNOWN), "not evaluated"),
    Case("new_replicas_come_before_old_ones_go", api("spec.strategy", {"type": "Recreate"})),
    Case("new_replicas_come_before_old_ones_go", api("spec.strategy.rollingUpdate.maxUnavailable", 1), why="1"),
    Case("new_replicas_come_before_old_ones_go", api("spec.strategy", ABSENT), why="default"),
    Case("new_replicas_come_before_old_ones_go", api("spec.strategy", UNKNOWN), "not evaluated"),
    Case("replicas_are_spread_over_machines", api(f"{POD}.topologySpreadConstraints", []), path="Deployment api"),
    Case(
        "replicas_are_spread_over_machines",
        put("StatefulSet", "kafka", f"{POD}.affinity", ABSENT),
        path="StatefulSet kafka",
    ),
    Case(
        "replicas_are_spread_over_machines",
        api(f"{POD}.topologySpreadConstraints[0].labelSelector", OTHER),
        why="others",
    ),
    Case("replicas_are_spread_over_machines", api(f"{POD}.topologySpreadConstraints", UNKNOWN), "not evaluated"),
    Case("replicated_programs_have_a_budget", without("PodDisruptionBudget", "kafka-budget"), path="StatefulSet kafka"),
    Case("replicated_programs_have_a_budget", budget("spec.selector", OTHER), path="Deployment api"),
    Case("replicated_programs_have_a_budget", budget("spec.selector", UNKNOWN), "not evaluated"),
    Case("budgets_leave_replicas_and_let_one_go", budget("spec.maxUnavailable", 3), why="all"),
    Case("budgets_leave_replicas_and_let_one_go", budget("spec.maxUnavailable", 0), why="none"),
    Case("budgets_leave_replicas_and_let_one_go", budget("spec.minAvailable", "100%"), why="share"),
    Case("budgets_leave_replicas_and_let_one_go", budget("spec.maxUnavailable", UNKNOWN), "not evaluated"),
    Case("budgets_are_for_programs_that_exist", budget("spec.selector", OTHER), path="api-budget"),
    Case("budgets_are_for_programs_that_exist", budget("spec.selector", UNKNOWN), "not evaluated"),
    Case("programs_have_time_to_end", api(f"{POD}.terminationGracePeriodSeconds", 25)),
    Case("programs_have_time_to_end", put("Deployment", "edge", f"{POD}.terminationGracePeriodSeconds", 8), why="edge"),
    Case("programs_have_time_to_end", api(f"{POD}.terminationGracePeriodSeconds", UNKNOWN), "not evaluated"),
    Case("programs_with_visitors_drain_before_they_end", api(f"{MAIN}.lifecycle", ABSENT)),
    Case("programs_with_visitors_drain_before_they_end", api(f"{MAIN}.lifecycle", UNKNOWN), "not evaluated"),
    Case("earlier_versions_are_kept", api("spec.revisionHistoryLimit", 0)),
    Case("earlier_versions_are_kept", api("spec.revisionHistoryLimit", UNKNOWN), "not evaluated"),
    Case("autoscaled_programs_have_no_fixed_number", api("spec.replicas", 3), path="Deployment api"),
    Case("autoscaled_programs_have_no_fixed_number", api("spec.replicas", UNKNOWN), "not evaluated"),
]
