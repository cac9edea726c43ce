"""What the cluster gives the stack, and what it holds it to."""

from collections.abc import Callable
from typing import Any

import pytest

from ops.kube import ClusterRefusalError, Thing
from stacks.quantities import quantity
from tests.infra.support import pod_facts
from tests.infra.support.inside import Said
from tests.infra.support.kubernetes_live import KubernetesLive
from tests.infra.support.live import ImageFacts
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.versions import version_in

pytestmark = [
    pytest.mark.ring("verify"),
    pytest.mark.target("kubernetes", why="it is about the objects of a cluster"),
]

LEAST_CLUSTER = (1, 30)
LEAST_API_REPLICAS = 3
FORBIDDEN = 403
RESTRICTED = "pod-security.kubernetes.io/enforce"
ACCOUNTS = "system:serviceaccounts"
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
DISRUPTION, SCALING = "/apis/policy/v1", "/apis/autoscaling/v2"
RIGHTS = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def replicated(outputs: StackOutputs) -> list[str]:
    """The parts that are described with more than one replica."""
    return [part for part, deployed in outputs.running.items() if deployed.replicas > 1]


@pytest.mark.item("host-access-verified", "host-tool-versions")
def test_the_cluster_answers_and_is_recent_enough(live: KubernetesLive) -> None:
    assert version_in(live.api.get("/version")["gitVersion"]) >= LEAST_CLUSTER


@pytest.mark.item("host-minimum-resources")
def test_every_node_is_ready_and_under_no_pressure(live: KubernetesLive) -> None:
    nodes = live.api.items("/api/v1/nodes")
    assert nodes
    for node in nodes:
        conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
        assert conditions.pop("Ready", None) == "True", node["metadata"]["name"]
        pressed = [kind for kind, status in conditions.items() if status == "True"]
        assert not pressed, f"{node['metadata']['name']}: {pressed}"


@pytest.mark.item("log-rotation")
def test_every_node_rotates_the_logs_of_its_containers(live: KubernetesLive) -> None:
    nodes = live.api.items("/api/v1/nodes")
    assert nodes
    for node in nodes:
        name = node["metadata"]["name"]
        try:
            config = live.api.get(f"/api/v1/nodes/{name}/proxy/configz")["kubeletconfig"]
        except ClusterRefusalError as error:
            pytest.skip(f"the settings of node {name} may not be read: {error}")
        assert quantity(config["containerLogMaxSize"]) > 0, name
        assert int(config["containerLogMaxFiles"]) >= 2, name


@pytest.mark.item("container-hardening")
def test_the_namespace_refuses_a_pod_with_more_privilege_than_it_needs(
    live: KubernetesLive, outputs: StackOutputs
) -> None:
    namespace = live.api.get(f"/api/v1/namespaces/{outputs.network}")
    assert namespace["metadata"]["labels"].get(RESTRICTED) == "restricted"
    container = {"name": "planted", "image": outputs.inventory["api"].image, "securityContext": {"privileged": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "planted"}, "spec": {"containers": [container]}}
    with pytest.raises(ClusterRefusalError) as refused:
        live.api.create(f"{live.objects.path('/api/v1', 'pods')}?dryRun=All", pod)
    assert refused.value.status == FORBIDDEN
    assert "PodSecurity" in refused.value.reason


@pytest.mark.item("container-hardening")
def test_only_parts_that_need_the_clusters_api_have_a_token_for_it(
    live: KubernetesLive, outputs: StackOutputs, everywhere: Callable[..., dict[str, Said]]
) -> None:
    with_rights = {str(role["metadata"]["name"]) for role in live.objects.items(RIGHTS, "roles")}
    held = everywhere(f"test -e {TOKEN_FOLDER}/token")
    with_token = {part for part, said in held.items() if said.rc == 0}
    assert with_token == with_rights & outputs.running.keys()
    accounts = {part: {spec.get("serviceAccountName") for spec in live.objects.specs(part)} for part in held}
    assert accounts == {part: {part} for part in held}, "a part runs under an account that is not its own"


@pytest.mark.item("role-permissions-enforced")
def test_no_part_may_do_more_with_the_clusters_api_than_is_named(live: KubernetesLive, outputs: StackOutputs) -> None:
    for role in live.objects.items(RIGHTS, "roles"):
        for rule in role["rules"]:
            words = {*rule["verbs"], *rule.get("resources", ()), *rule.get("apiGroups", ())}
            assert "*" not in words, f"{role['metadata']['name']} may do everything with {rule}"
            assert "secrets" not in words, f"{role['metadata']['name']} may read secrets"
    bound = live.objects.items(RIGHTS, "rolebindings")
    foreign = [each["metadata"]["name"] for each in bound if each["roleRef"]["kind"] != "Role"]
    for each in live.api.items(f"{RIGHTS}/clusterrolebindings"):
        given = {(subject.get("namespace"), subject["name"]) for subject in each.get("subjects") or ()}
        if any(outputs.network == space or name == f"{ACCOUNTS}:{outputs.network}" for space, name in given):
            foreign.append(each["metadata"]["name"])
    assert not foreign, f"rights on more than the namespace: {foreign}"


@pytest.mark.item("resource-limits-set")
def test_the_namespace_has_a_quota_that_is_not_used_up(live: KubernetesLive) -> None:
    quotas = live.objects.items("/api/v1", "resourcequotas")
    assert quotas, "the namespace has no quota"
    for quota in quotas:
        used = quota["status"]["used"]
        for what, hard in quota["status"]["hard"].items():
            assert quantity(used[what]) < quantity(hard), f"{what}: {used[what]} of {hard}"
    assert live.objects.items("/api/v1", "limitranges"), "a container without limits gets none"


@pytest.mark.item("health-checks-all-services")
def test_every_program_is_probed_for_life_and_for_readiness(live: KubernetesLive, outputs: StackOutputs) -> None:
    for part in outputs.running:
        for spec in live.objects.specs(part):
            assert {"livenessProbe", "readinessProbe"} <= pod_facts.container(spec).keys(), part


@pytest.mark.item("readiness-endpoint")
def test_a_replica_of_the_api_gets_requests_only_while_its_dependencies_answer(live: KubernetesLive) -> None:
    (spec, *_) = live.objects.specs("api")
    asked = pod_facts.container(spec)["readinessProbe"]["httpGet"]
    assert (asked["path"], asked["scheme"]) == ("/health/ready", "HTTPS")


@pytest.mark.item("api-replicas-prod")
def test_three_or_more_replicas_of_the_api_are_ready(live: KubernetesLive, outputs: StackOutputs) -> None:
    assert outputs.inventory["api"].replicas >= LEAST_API_REPLICAS
    ready = [pod for pod in live.objects.pods("api") if pod_facts.ready(pod)]
    assert len(ready) >= LEAST_API_REPLICAS


@pytest.mark.item("api-replicas-prod", "container-status-up")
def test_replicas_are_spread_budgeted_and_preferred(live: KubernetesLive, replicated: list[str]) -> None:
    budgets = {str(each["metadata"]["name"]): each for each in live.objects.items(DISRUPTION, "poddisruptionbudgets")}
    assert "api" in replicated
    for part in replicated:
        assert part in budgets, f"nothing bounds how many replicas of {part} may be taken away at a time"
        budget = budgets[part]["status"]
        assert budget["currentHealthy"] >= budget["desiredHealthy"], f"{part}: {budget}"
        (spec, *_) = live.objects.specs(part)
        apart = spec.get("topologySpreadConstraints") or (spec.get("affinity") or {}).get("podAntiAffinity")
        assert apart, f"nothing spreads the replicas of {part}"
        assert spec.get("priorityClassName"), f"{part} has no priority"


@pytest.mark.item("api-replicas-prod")
def test_an_upgrade_takes_no_replica_away_before_its_successor_is_ready(live: KubernetesLive) -> None:
    rolling = live.objects.carrier("api")["spec"]["strategy"]["rollingUpdate"]
    assert rolling["maxUnavailable"] == 0
    assert rolling["maxSurge"]


@pytest.mark.item("api-replicas-prod")
def test_every_autoscaler_reads_its_figure_and_keeps_the_least_number(
    live: KubernetesLive, eventually: Callable[..., Any]
) -> None:
    scalers = live.objects.items(SCALING, "horizontalpodautoscalers")
    assert {"api", "executor"} <= {str(each["metadata"]["name"]) for each in scalers}

    def blind() -> list[Thing]:
        found = live.objects.items(SCALING, "horizontalpodautoscalers")
        return [each for each in found if not _sees(each)]

    eventually(lambda: not blind(), 90, "every autoscaler reading the use of processors", interval=3)
    for each in live.objects.items(SCALING, "horizontalpodautoscalers"):
        current, least = each["status"]["currentReplicas"], each["spec"]["minReplicas"]
        assert current >= least, f"{each['metadata']['name']}: {current} of at least {least}"


def _sees(scaler: Thing) -> bool:
    conditions = {each["type"]: each["status"] for each in scaler["status"].get("conditions") or ()}
    return conditions.get("ScalingActive") == "True"


@pytest.mark.item("scheduled-jobs-running")
def test_every_scheduled_job_is_active(live: KubernetesLive, outputs: StackOutputs) -> None:
    scheduled = [part for part, deployed in outputs.inventory.items() if deployed.kind == "schedule"]
    assert scheduled, "the inventory lists no scheduled job"
    for part in scheduled:
        job = live.objects.carrier(part)
        assert not job["spec"].get("suspend"), f"{part} is suspended"
        failed = [
            each for each in live.objects.items("/apis/batch/v1", "jobs", f"workflow.part={part}") if _failed(each)
        ]
        assert not failed, f"{part} failed: {[each['metadata']['name'] for each in failed]}"


def _failed(job: Thing) -> bool:
    return any(each["type"] == "Failed" and each["status"] == "True" for each in job["status"].get("conditions") or ())


@pytest.mark.item("image-registry")
def test_every_image_is_known_by_its_digest_in_its_registry(
    outputs: StackOutputs, image_of: Callable[[str], ImageFacts]
) -> None:
    for part, deployed in outputs.inventory.items():
        assert "@sha256:" in deployed.image, f"{part} runs {deployed.image}, which may become another one"
    for part in outputs.inventory:
        assert image_of(part).size, part
