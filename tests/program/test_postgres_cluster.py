"""What the program registers for a highly available Postgres, and for one that somebody else runs."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from infra import provisioning
from stacks.errors import StackError
from stacks.load import load_stack
from tests.program.conftest import Deploy, Engine

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def prod(deploy: Deploy) -> Engine:
    return deploy(stack=load_stack("prod", ROOT), grafana="left out for the test")


def secrets_of(engine: Engine, part: str) -> dict[str, str]:
    """The secret files of a part, as a cluster's Secret holds them; the engine wraps what is secret."""
    data = engine.kubernetes("Secret")[f"{part}-secrets"]["data"]
    found: dict[str, str] = data.get("value", data)
    return found


def secret(engine: Engine, part: str, name: str) -> str:
    data = secrets_of(engine, part)
    return base64.b64decode(data[name]).decode()


@pytest.mark.item("postgres-reachable")
def test_there_are_three_members_and_services_for_the_primary_and_the_standbys(prod: Engine) -> None:
    assert prod.kubernetes("StatefulSet")["postgres"]["spec"]["replicas"] == 3
    selectors = {
        name: prod.kubernetes("Service")[name]["spec"]["selector"].get("role")
        for name in ("postgres", "postgres-replicas", "postgres-nodes")
    }
    assert selectors == {"postgres": "master", "postgres-replicas": "replica", "postgres-nodes": None}


def test_a_member_may_change_only_the_state_and_the_pods_of_its_own_cluster(prod: Engine) -> None:
    rules = prod.kubernetes("Role")["postgres-role"]["rules"]
    changing = [rule for rule in rules if {"patch", "update", "delete"} & set(rule["verbs"])]
    names = {name for rule in changing for name in rule["resourceNames"]}
    assert names == {
        "postgres-0", "postgres-1", "postgres-2", "workflow-platform-leader", "workflow-platform-config",
        "workflow-platform-sync", "workflow-platform-failover",
    }  # fmt: skip
    assert {resource for rule in rules for resource in rule["resources"]} == {"configmaps", "pods"}


def test_no_config_object_of_ours_has_the_name_of_one_of_patronis(prod: Engine) -> None:
    ours = {each["metadata"]["name"] for each in prod.kubernetes("ConfigMap").values()}
    assert not {name for name in ours if name.startswith("workflow-platform-")}


def test_the_pods_carry_the_labels_by_which_patroni_finds_them(prod: Engine) -> None:
    config = prod.kubernetes("ConfigMap")["postgres-config"]["data"]["patroni.yml"]
    labels = prod.kubernetes("StatefulSet")["postgres"]["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/part-of"] == "workflow-platform"
    assert labels["app.kubernetes.io/instance"] == "prod"
    assert "scope_label: app.kubernetes.io/part-of" in config


@pytest.mark.item("database-tls")
def test_each_program_logs_in_as_itself_with_its_certificate_to_a_verified_server(prod: Engine) -> None:
    for program in ("api", "relay", "executor", "migrations"):
        url = secret(prod, program, "database_url")
        assert url.startswith(f"postgresql://{program}_1:")
        assert "@postgres:5432/workflow_prod?sslmode=verify-full&sslrootcert=/config/secrets/database-ca.crt" in url
        assert url.endswith("&sslcert=/config/secrets/tls.crt&sslkey=/config/secrets/tls.key")


def test_the_roles_job_has_the_passwords_of_this_generation_and_of_the_one_before(deploy: Deploy) -> None:
    stack = load_stack("prod", ROOT).model_copy(update={"secret_generation": 3})
    engine = deploy(stack=stack, grafana="left out")
    files = secrets_of(engine, "postgres-roles").keys()
    programs = ("api", "relay", "executor", "migrations", "monitoring")
    logins = {f"{program}_{generation}" for program in programs for generation in (2, 3)}
    assert files == logins | {"tls.crt", "tls.key", "ca.crt"}


@pytest.mark.item("backup-hourly-incremental")
def test_backups_run_by_the_clock_beside_the_repository(prod: Engine) -> None:
    jobs = prod.kubernetes("CronJob")
    assert jobs["backup-incremental"]["spec"]["schedule"] == "45 * * * *"
    assert jobs["backup-full"]["spec"]["schedule"] == "15 1 * * *"
    for job in ("backup-full", "backup-incremental"):
        pod = jobs[job]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        claims = [
            each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"] if "persistentVolumeClaim" in each
        ]
        assert claims == ["repository-backups-0"]
        assert "podAffinity" in pod["affinity"]


@pytest.mark.item("backup-restore-tested")
def test_every_week_a_backup_is_restored_into_room_that_passes_and_compared_with_the_primary(prod: Engine) -> None:
    schedule = prod.kubernetes("CronJob")["restore-drill"]["spec"]
    assert schedule["schedule"] == "30 3 * * 0"
    job = schedule["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] == 4 * 3600
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert mounts["/var/lib/pgbackrest"]["readOnly"] is True
    assert volumes[mounts["/var/lib/drill"]["name"]]["emptyDir"]["sizeLimit"] == "51200Mi"
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env == {"PGHOST": "postgres", "POSTGRES_DB": "workflow_prod", "DRILL_SCRATCH": "/var/lib/drill"}
    assert not any(volume for volume in volumes.values() if "data-postgres" in json.dumps(volume))


@pytest.mark.item("backup-restore-tested")
def test_the_drill_reaches_the_primary_and_nothing_else(prod: Engine) -> None:
    def callers(policy: dict[str, Any]) -> list[str]:
        return list(policy["spec"]["podSelector"].get("matchExpressions", [{"values": []}])[0]["values"])

    policies = prod.kubernetes("NetworkPolicy")
    assert [name for name, each in policies.items() if "restore-drill" in callers(each)] == [
        "policy-postgres-5432-may-be-called"
    ]


@pytest.mark.item("backup-restore-tested")
def test_the_drill_has_no_password_but_the_repositorys(prod: Engine) -> None:
    assert secrets_of(prod, "restore-drill").keys() == {"tls.crt", "tls.key", "ca.crt", "repository.conf"}


def test_the_passphrase_is_in_no_config_map(prod: Engine) -> None:
    shown = json.dumps([each["data"] for each in prod.kubernetes("ConfigMap").values()])
    assert "cipher-pass" not in shown
    assert "repo1-cipher-pass=" in secret(prod, "backups", "repository.conf")


def external(**changed: Any) -> Any:
    stack = load_stack("prod", ROOT)
    described = {"provision": False, "external": {"host": "db.example.org", "caFile": "db-ca.pem"}, **changed}
    postgres = type(stack.postgres).model_validate({**stack.postgres.model_dump(), **described})
    return stack.model_copy(update={"postgres": postgres})


def test_a_server_of_somebody_else_takes_the_place_of_all_members_and_backups(
    deploy: Deploy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db-ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    monkeypatch.setattr(provisioning, "PROJECT_FOLDER", tmp_path)
    given = {"workflow-platform:postgresPassword": "p" * 64, "workflow-platform:monitoringPassword": "m" * 64}
    monkeypatch.setattr("pulumi.Config.get_secret", lambda _self, key: _output(given.get(f"workflow-platform:{key}")))
    engine = deploy(stack=external(), grafana="left out")
    assert "postgres" not in engine.kubernetes("StatefulSet")
    assert "backup-full" not in engine.kubernetes("CronJob")
    url = secret(engine, "api", "database_url")
    assert url.startswith(f"postgresql://prod_user:{'p' * 64}@db.example.org:5432/workflow_prod?sslmode=verify-full")
    assert "sslcert" not in url


def _output(value: str | None) -> Any:
    import pulumi

    return None if value is None else pulumi.Output.secret(value)


def test_a_server_of_somebody_else_without_its_passwords_is_refused_with_every_fault(deploy: Deploy) -> None:
    with pytest.raises(StackError) as refused:
        deploy(stack=external(), grafana="left out")
    said = str(refused.value)
    assert "postgresPassword is missing" in said
    assert "monitoringPassword is missing" in said
    assert "caFile is db-ca.pem, which can't be read" in said
