"""Monitoring as the program registers it for the production stack: found by discovery, and closed to strangers."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.load import load_stack
from tests.program.conftest import CERTIFICATES_END, Deploy, Engine, recording

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).parents[2]
CARRIERS = ("Deployment", "DaemonSet", "StatefulSet")
PROGRAMS = {"prometheus": 9090, "alertmanager": 9093, "node-exporter": 9100, "postgres-exporter": 9187}
NOT_SCRAPED: set[str] = set()
"""Those that serve no figures; none at present."""


@pytest.fixture(scope="module")
def prod() -> Iterator[Engine]:
    """Recorded once: it takes seconds, and no test here changes it."""
    with pytest.MonkeyPatch.context() as patch:
        yield recording(patch)(stack=load_stack("prod", ROOT))


def config(engine: Engine, part: str) -> dict[str, str]:
    return dict(engine.kubernetes("ConfigMap")[f"{part}-config"]["data"])


def jobs(engine: Engine) -> dict[str, dict[str, Any]]:
    text = config(engine, "prometheus")["prometheus.yml"]
    return {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}


def kept(job: dict[str, Any]) -> tuple[str, int]:
    (found,) = job["dns_sd_configs"]
    (name,) = found["names"]
    return name.removesuffix("-nodes"), int(found["port"])


def pod(engine: Engine, part: str) -> dict[str, Any]:
    kinds = {name: each for kind in CARRIERS for name, each in engine.kubernetes(kind).items()}
    return dict(kinds[part]["spec"]["template"]["spec"])


@pytest.mark.item("prometheus-scrapes-api")
def test_the_documented_jobs_keep_their_names(prod: Engine) -> None:
    wanted = {"workflow-api", "relay", "executor", "kafka", "postgres", "node", "prometheus", "alertmanager"}
    assert wanted <= set(jobs(prod))


@pytest.mark.item("monitoring-covers-new-infrastructure")
def test_every_part_that_listens_is_scraped_or_known_to_have_no_figures(prod: Engine) -> None:
    listening = {
        name
        for kind in CARRIERS
        for name, inputs in prod.kubernetes(kind).items()
        if inputs["spec"]["template"]["spec"]["containers"][0].get("ports")
    }
    measured_by = {"postgres": {"postgres", "postgres-exporter"}}
    scraped = {part for part, _ in map(kept, jobs(prod).values())}
    missing = {part for part in listening - NOT_SCRAPED if not measured_by.get(part, {part}) & scraped}
    assert not missing


def test_each_job_asks_a_port_that_its_part_opens_to_prometheus(prod: Engine) -> None:
    policies = prod.kubernetes("NetworkPolicy")
    for name, job in jobs(prod).items():
        part, port = kept(job)
        opened = [each["containerPort"] for each in pod(prod, part)["containers"][0]["ports"]]
        assert port in opened, name
        assert f"{part}-nodes" in prod.kubernetes("Service"), f"no name stands for all replicas of {part}"
        if part != "prometheus" and f"policy-{part}-is-reached" in policies:
            rules = policies[f"policy-{part}-is-reached"]["spec"]["ingress"]
            callers = [str(rule.get("from")) for rule in rules if rule["ports"][0]["port"] == port]
            assert "prometheus" in "".join(callers), f"{part} does not let Prometheus in at {port}"


def test_prometheus_needs_no_rights_on_the_cluster(prod: Engine) -> None:
    assert "prometheus-role" not in prod.kubernetes("Role")
    assert not [each for each in prod.registered if each.typ.endswith(":ClusterRole")]


@pytest.mark.item("api-intended-channels-only")
@pytest.mark.parametrize("part", PROGRAMS)
def test_monitoring_serves_over_tls_to_callers_with_a_certificate(prod: Engine, part: str) -> None:
    assert {"tls.crt", "tls.key", "ca.crt"} <= set(secrets(prod)[part])
    assert "web.yml" in config(prod, part)


@pytest.mark.item("health-checks-all-services")
@pytest.mark.parametrize("part", PROGRAMS)
def test_a_probe_without_a_certificate_only_opens_a_connection(prod: Engine, part: str) -> None:
    container = pod(prod, part)["containers"][0]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["tcpSocket"] == {"port": PROGRAMS[part]}, probe


@pytest.mark.item("unneeded-ports-closed")
@pytest.mark.parametrize("part", PROGRAMS)
def test_monitoring_is_not_published(prod: Engine, part: str) -> None:
    assert prod.kubernetes("Service")[part]["spec"]["type"] == "ClusterIP"


def test_a_new_certificate_restarts_no_exporter(deploy: Deploy) -> None:
    def mark(engine: Engine) -> str:
        template = engine.kubernetes("DaemonSet")["node-exporter"]["spec"]["template"]
        return str(template["metadata"]["annotations"]["workflow.platform/files"])

    described = load_stack("prod", ROOT)
    again = described.model_copy(update={"pki": described.pki.model_copy(update={"generation": 2})})
    assert mark(deploy(stack=described, grafana="left out")) == mark(deploy(stack=again, grafana="left out"))


def test_host_figures_come_without_a_mount_of_the_host(prod: Engine) -> None:
    volumes = pod(prod, "node-exporter")["volumes"]
    assert [volume["name"] for volume in volumes if "hostPath" in volume] == []
    # A scratch folder on the node's disk is what tells how full that is.
    assert [volume["emptyDir"] for volume in volumes if "emptyDir" in volume]


@pytest.mark.item("tls-certificates-valid")
def test_the_end_of_every_certificate_and_the_replicas_of_every_job_are_declared_to_the_rules(prod: Engine) -> None:
    (group,) = yaml.safe_load(config(prod, "prometheus")["rules__declared.yml"])["groups"]
    found: dict[str, dict[str, str]] = {}
    for rule in group["rules"]:
        (label,) = rule["labels"].values()
        found.setdefault(rule["record"], {})[label] = rule["expr"]
    assert set(found["declared_replicas"]) == set(jobs(prod))
    assert found["declared_replicas"]["workflow-api"] == "vector(3)"
    holders = {part for part, files in secrets(prod).items() if "tls.crt" in files}
    # Grafana comes after Prometheus; its certificate is renewed by the same `up` as the others.
    assert set(found["declared_certificate_end_seconds"]) == (holders | {"operator"}) - {"grafana"}
    end = datetime.fromisoformat(CERTIFICATES_END).timestamp()
    assert set(found["declared_certificate_end_seconds"].values()) == {f"vector({end:.0f})"}


def secrets(engine: Engine) -> dict[str, dict[str, str]]:
    """Files by part. The recording engine is given a secret as its value beside a mark."""
    return {name.removesuffix("-secrets"): each["data"]["value"] for name, each in engine.kubernetes("Secret").items()}


def test_people_get_a_certificate_by_which_they_are_let_in(prod: Engine) -> None:
    assert set(prod.exported["operator"]) == {"tls.crt", "tls.key", "ca.crt"}


def test_a_grafana_on_a_cluster_shows_prometheus_its_certificate(prod: Engine) -> None:
    text = config(prod, "grafana")["provisioning__datasources__prometheus.yml"]
    (source,) = yaml.safe_load(text)["datasources"]
    assert source["url"] == "https://prometheus:9090"
    assert source["jsonData"]["tlsAuth"] is True
    assert source["secureJsonData"]["tlsClientKey"] == "$__file{/config/secrets/tls.key}"
