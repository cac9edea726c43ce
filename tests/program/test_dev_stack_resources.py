"""What the program registers for a stack on Docker."""

from typing import Any

import pytest

from tests.program.conftest import CONTAINER, IMAGE, NETWORK, VOLUME, Deploy

pytestmark = pytest.mark.ring("unit")

PROGRAMS = {
    "postgres",
    "kafka",
    "migrations",
    "api",
    "relay",
    "executor",
    "node-exporter",
    "postgres-exporter",
    "alertmanager",
    "prometheus",
    "grafana",
}


def labels(container: dict[str, Any]) -> dict[str, str]:
    return {each["label"]: each["value"] for each in container["labels"]}


def test_every_program_of_the_stack_gets_one_container(deploy: Deploy) -> None:
    containers = deploy().of(CONTAINER)
    assert {name for name in containers if not name.endswith("-config")} == PROGRAMS


@pytest.mark.item("resource-limits-set")
def test_every_container_has_limits_of_memory_and_cpu(deploy: Deploy) -> None:
    for name, container in deploy().of(CONTAINER).items():
        assert container["memory"] > 0, name
        assert container["memorySwap"] == container["memory"], f"{name} may swap"
        assert float(container["cpus"]) > 0, name


@pytest.mark.item("container-hardening")
def test_every_container_is_hardened(deploy: Deploy) -> None:
    for name, container in deploy().of(CONTAINER).items():
        assert int(container["user"].split(":")[0]) > 0, name
        assert container["capabilities"]["drops"] == ["ALL"], name
        assert "no-new-privileges:true" in container["securityOpts"], name
        assert "privileged" not in container, name
        if not name.endswith("-config"):
            assert container["readOnly"] is True, name


@pytest.mark.item("log-rotation")
def test_the_logs_of_every_container_are_rotated(deploy: Deploy) -> None:
    for name, container in deploy().of(CONTAINER).items():
        assert container["logDriver"] == "json-file", name
        assert container["logOpts"].keys() == {"max-size", "max-file"}, name


@pytest.mark.item("unneeded-ports-closed")
def test_only_the_api_kafka_and_the_monitoring_pages_are_published_and_on_loopback(deploy: Deploy) -> None:
    published = {name: c["ports"] for name, c in deploy().of(CONTAINER).items() if c.get("ports")}
    assert set(published) == {"api", "prometheus", "alertmanager", "grafana", "kafka"}
    assert {port["ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_all_programs_share_one_network_under_their_own_names(deploy: Deploy) -> None:
    engine = deploy()
    assert len(engine.of(NETWORK)) == 1
    for name, container in engine.of(CONTAINER).items():
        if not name.endswith("-config"):
            (network,) = container["networksAdvanced"]
            assert network["aliases"] == [name]


@pytest.mark.item("docker-healthcheck-settings")
def test_the_api_is_probed_with_the_documented_timing(deploy: Deploy) -> None:
    probe = deploy().of(CONTAINER)["api"]["healthcheck"]
    assert (probe["interval"], probe["timeout"], probe["startPeriod"], probe["retries"]) == ("30s", "10s", "40s", 3)
    assert probe["tests"][-1] == "http://localhost:8000/health"


@pytest.mark.item("health-checks-all-services")
def test_every_program_but_a_job_has_a_health_check(deploy: Deploy) -> None:
    for name, container in deploy().of(CONTAINER).items():
        if container["restart"] != "no":
            assert container["healthcheck"]["tests"][0] == "CMD", name


@pytest.mark.item("persistent-volumes")
def test_data_is_on_named_volumes(deploy: Deploy) -> None:
    volumes = {name for name in deploy().of(VOLUME) if name.endswith("-data")}
    assert volumes == {"postgres-data", "kafka-data", "prometheus-data", "alertmanager-data", "grafana-data"}


def test_no_secret_is_in_an_environment_a_command_or_a_label(deploy: Deploy) -> None:
    engine = deploy()
    secrets = [f"{key:x<64}" for key in ("jwtSecret", "postgresPassword", "monitoringPassword", "adminPassword")]
    for name, container in engine.of(CONTAINER).items():
        visible = str({key: value for key, value in container.items() if key != "uploads"})
        assert not [secret for secret in secrets if secret in visible], name
    uploads = str([c["uploads"] for c in engine.of(CONTAINER).values() if c.get("uploads")])
    assert all(secret in uploads for secret in secrets), "the secrets must arrive as files"


def test_a_program_is_replaced_when_its_files_are(deploy: Deploy) -> None:
    assert labels(deploy().of(CONTAINER)["kafka"])["workflow.config"] == "kafka-config-id"


@pytest.mark.item("migrations-before-start")
def test_the_api_and_the_workers_wait_for_the_migrations(deploy: Deploy) -> None:
    containers = deploy().of(CONTAINER)
    for part in ("api", "relay", "executor"):
        assert labels(containers[part])["workflow.after.migrations"] == "migrations-id"


def test_nothing_of_the_service_starts_after_failed_migrations(deploy: Deploy) -> None:
    with pytest.raises(RuntimeError, match="migrations ended with exit code 1"):
        deploy(exit_codes={"migrations": 1})


def test_a_stack_without_grafana_says_so_and_has_the_rest(deploy: Deploy) -> None:
    engine = deploy(grafana="its registry can't be reached")
    assert "grafana" not in engine.of(CONTAINER)
    assert "prometheus" in engine.of(CONTAINER)
    assert engine.exported["missing"] == {"grafana": "its registry can't be reached"}
    assert "grafana" not in engine.exported["urls"]


def test_a_stack_that_requires_grafana_is_refused_without_it(deploy: Deploy) -> None:
    with pytest.raises(Exception, match=r"grafana\.required is true, but its registry"):
        deploy({"grafana": {"required": True}}, grafana="its registry can't be reached")


def test_executors_have_ids_of_their_own(deploy: Deploy) -> None:
    containers = deploy({"executor": {"instances": 3}}).of(CONTAINER)
    ids = {
        env for part in ("executor", "executor-2", "executor-3") for env in containers[part]["envs"] if "_ID=" in env
    }
    assert ids == {"EXECUTOR_ID=worker-1", "EXECUTOR_ID=worker-2", "EXECUTOR_ID=worker-3"}


def test_an_image_of_the_stack_replaces_the_one_built_here(deploy: Deploy) -> None:
    images = {
        each["name"] for each in deploy({"images": {"postgres": "mirror.local/postgres@sha256:12"}}).of(IMAGE).values()
    }
    assert "mirror.local/postgres@sha256:12" in images
    assert not [name for name in images if name.startswith("workflow-postgres:")]


@pytest.mark.item("monitoring-urls-exported")
def test_the_entry_points_are_outputs(deploy: Deploy) -> None:
    assert deploy().exported["urls"] == {
        "api": "http://127.0.0.1:8000",
        "prometheus": "http://127.0.0.1:9090",
        "alertmanager": "http://127.0.0.1:9093",
        "grafana": "http://127.0.0.1:3001",
    }


def test_logical_names_are_pinned_because_they_are_in_the_state(deploy: Deploy) -> None:
    names = {each.name for each in deploy().registered if each.typ == VOLUME}
    parts = {"kafka", "postgres", "prometheus", "alertmanager", "grafana"}
    configured = parts | {"api", "relay", "executor", "migrations", "postgres-exporter"}
    assert names == {f"{part}-data" for part in parts} | {f"{part}-config" for part in configured}
