"""Queries of dashboards are found at any depth, and their metrics told from everything else."""

import json

import pytest

from tests.infra.support import promql

pytestmark = pytest.mark.ring("unit")


def test_the_queries_of_nested_panels_are_found() -> None:
    inner = {"title": "inner", "targets": [{"expr": "up"}, {"expr": ""}]}
    board = {"panels": [{"title": "row", "panels": [inner]}, {"title": "outer", "targets": [{"expr": "sum(up)"}]}]}
    found = promql.panel_queries({"a.json": json.dumps(board), "provider.yml": "apiVersion: 1"})
    assert found == {"a.json: inner #1": "up", "a.json: outer #1": "sum(up)"}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", {"up"}),
        ('sum by (status) (rate(http_requests_total{status=~"5.."}[$__rate_interval]))', {"http_requests_total"}),
        ("histogram_quantile(0.95, sum(rate(latency_seconds_bucket[5m])) by (le))", {"latency_seconds_bucket"}),
        ("a_total / ignoring(x) b_total > bool 0.5 or vector(0)", {"a_total", "b_total"}),
        ('label_replace(m, "new", "$1", "old", "(metric_like)")', {"m"}),
        ("rate(x_total[${__rate_interval}]) offset 5m", {"x_total"}),
    ],
)
def test_the_metrics_of_an_expression_are_told(expression: str, names: set[str]) -> None:
    assert promql.metric_names(expression) == names
