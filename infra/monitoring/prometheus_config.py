"""prometheus.yml from the list of what is to be scraped."""

from collections.abc import Sequence
from typing import Protocol

import yaml

SCRAPE_INTERVAL = "15s"
RULES = "/config/rules/*.yml"


class Target(Protocol):
    """One address that serves figures; `infra.endpoints.ScrapeTarget` is one."""

    @property
    def job(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def path(self) -> str: ...


def render(targets: Sequence[Target], alertmanager: str) -> str:
    """The whole file. `alertmanager` is its `host:port`; it and Prometheus itself are scraped as well.

    Targets of one job share its path; two paths in one job raise `ValueError`.
    """
    config = {
        "global": {
            "scrape_interval": SCRAPE_INTERVAL,
            "scrape_timeout": "10s",
            "evaluation_interval": SCRAPE_INTERVAL,
        },
        "rule_files": [RULES],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            *_jobs(targets),
            _job("prometheus", "/metrics", ["localhost:9090"]),
            _job("alertmanager", "/metrics", [alertmanager]),
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)


def _jobs(targets: Sequence[Target]) -> list[dict[str, object]]:
    paths: dict[str, str] = {}
    addresses: dict[str, list[str]] = {}
    for target in targets:
        path = paths.setdefault(target.job, target.path)
        if path != target.path:
            raise ValueError(f"scrape job '{target.job}' has the paths {path} and {target.path}: give each its own job")
        addresses.setdefault(target.job, []).append(f"{target.host}:{target.port}")
    return [_job(job, paths[job], found) for job, found in addresses.items()]


def _job(name: str, path: str, addresses: list[str]) -> dict[str, object]:
    return {
        "job_name": name,
        "metrics_path": path,
        "scrape_interval": SCRAPE_INTERVAL,
        "static_configs": [{"targets": addresses}],
    }
