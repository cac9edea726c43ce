"""The dashboard covers every figure that is asked for, and Grafana is told where to find it."""

import json
from typing import Any

import pytest
import yaml

from infra.monitoring import dashboards
from infra.monitoring.figures import APPLICATION, BUSINESS, FIGURES, INFRASTRUCTURE

pytestmark = pytest.mark.ring("unit")

WANTED = {
    APPLICATION: {
        "request-rate",
        "error-rate",
        "latency",
        "submission-rate",
        "completion-rate",
        "failure-rate",
        "queue-depth",
    },
    INFRASTRUCTURE: {"cpu", "memory", "disk-io", "network-io", "postgres-connections", "kafka-lag"},
    BUSINESS: {"active-users", "runs-per-period", "run-duration", "success-rate", "worker-utilisation"},
}


def board() -> dict[str, Any]:
    return dict(json.loads(dashboards.dashboards()["workflow-platform.json"]))


def panels() -> list[dict[str, Any]]:
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


@pytest.mark.item("dashboard-covers-key-metrics")
@pytest.mark.parametrize("group", WANTED)
def test_every_figure_has_its_panel(group: str) -> None:
    assert {figure.name for figure in FIGURES if figure.group == group} == WANTED[group]
    shown = {panel["description"].removeprefix("figure: ") for panel in panels()}
    assert WANTED[group] <= shown


def test_percentiles_50_95_and_99_are_shown() -> None:
    latency = next(panel for panel in panels() if panel["description"] == "figure: latency")
    assert [target["legendFormat"] for target in latency["targets"]] == ["p50", "p95", "p99"]


def test_the_panels_ask_exactly_the_listed_queries_of_the_provisioned_source() -> None:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert asked == [expression for expressions in dashboards.queries().values() for expression in expressions]
    assert {panel["datasource"]["uid"] for panel in panels()} == {dashboards.DATA_SOURCE}


def test_no_two_panels_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_cannot_be_changed_by_hand_and_has_a_lasting_address() -> None:
    assert board()["uid"] == "workflow-platform"
    assert board()["editable"] is False


@pytest.mark.item("grafana-dashboards")
def test_grafana_is_told_its_source_and_its_folder() -> None:
    files = {
        name: yaml.safe_load(text) for name, text in dashboards.grafana_provisioning("http://prometheus:9090").items()
    }
    source = files["provisioning/datasources/prometheus.yml"]["datasources"][0]
    assert (source["uid"], source["url"]) == (dashboards.DATA_SOURCE, "http://prometheus:9090")
    assert files["provisioning/dashboards/workflow.yml"]["providers"][0]["options"]["path"] == "/config/dashboards"
