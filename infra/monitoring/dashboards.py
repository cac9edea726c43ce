"""The dashboards as code, and the files by which Grafana finds them and their data source."""

import yaml
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from infra.monitoring.figures import APPLICATION, BUSINESS, FIGURES, INFRASTRUCTURE, Figure
from infra.trust import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE
from infra.workload import secret_path

DATA_SOURCE = "prometheus"
FOLDER = "/config/dashboards"
_COLUMNS = 24
_PANEL_HEIGHT = 8
_PER_ROW = {APPLICATION: 3, INFRASTRUCTURE: 3, BUSINESS: 5}


def dashboards() -> dict[str, str]:
    """Grafana's JSON by file name, to be mounted in `FOLDER`."""
    board = (
        dashboard.Dashboard("Workflow platform")
        .uid("workflow-platform")
        .description("Requests, runs, the machines below them, and what they are used for.")
        .tags(["workflow"])
        .timezone("utc")
        .time("now-1h", "now")
        .refresh("15s")
        .readonly()
    )
    for group, per_row in _PER_ROW.items():
        board.with_row(dashboard.Row(group))
        for figure in FIGURES:
            if figure.group == group:
                board.with_panel(_panel(figure).height(_PANEL_HEIGHT).span(_COLUMNS // per_row))
    return {"workflow-platform.json": JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"}


def grafana_provisioning(prometheus_url: str, known_callers_only: bool = False) -> dict[str, str]:
    """Grafana's provisioning files by their path below /config: the data source and where dashboards are.

    `known_callers_only` tells that Prometheus answers only to a certificate of the stack, which Grafana then shows.
    """
    settings: dict[str, object] = {"timeInterval": "15s", "httpMethod": "POST"}
    identity: dict[str, object] = {}
    if known_callers_only:
        settings |= {"tlsAuth": True, "tlsAuthWithCACert": True}
        files = {"tlsCACert": AUTHORITY_FILE, "tlsClientCert": CERTIFICATE_FILE, "tlsClientKey": KEY_FILE}
        # Grafana reads the files when it starts, so that no key is in its provisioning.
        identity = {"secureJsonData": {key: f"$__file{{{secret_path(name)}}}" for key, name in files.items()}}
    source = {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus",
                "uid": DATA_SOURCE,
                "type": "prometheus",
                "access": "proxy",
                "url": prometheus_url,
                "isDefault": True,
                "editable": False,
                "jsonData": settings,
                **identity,
            }
        ],
    }
    provider = {
        "apiVersion": 1,
        "providers": [
            {
                "name": "workflow",
                "type": "file",
                "allowUiUpdates": False,
                "disableDeletion": True,
                "options": {"path": FOLDER},
            }
        ],
    }
    return {
        "provisioning/datasources/prometheus.yml": yaml.safe_dump(source, sort_keys=False),
        "provisioning/dashboards/workflow.yml": yaml.safe_dump(provider, sort_keys=False),
    }


def queries() -> dict[str, list[str]]:
    """Every PromQL expression of the dashboards by the name of its figure."""
    return {figure.name: [query.expression for query in figure.queries] for figure in FIGURES}


def _panel(figure: Figure) -> stat.Panel | timeseries.Panel:
    panel = stat.Panel() if figure.single else timeseries.Panel()
    panel.title(figure.title).unit(figure.unit).datasource(DataSourceRef(type_val="prometheus", uid=DATA_SOURCE))
    panel.description(f"figure: {figure.name}")
    for number, query in enumerate(figure.queries):
        target = (
            prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(chr(ord("A") + number))
        )
        panel.with_target(target.instant() if figure.single else target)
    return panel
