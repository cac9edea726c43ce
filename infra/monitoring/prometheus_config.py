"""prometheus.yml from the list of what is to be scraped: by address on one machine, by discovery on a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import yaml

from infra.workload import nodes_service

SCRAPE_INTERVAL = "15s"
RULES = "/config/rules/*.yml"


class Target(Protocol):
    """One program that serves figures; `infra.endpoints.ScrapeTarget` is one."""

    @property
    def job(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def scheme(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Paths, inside the container, of the files by which Prometheus trusts what it calls and is known there."""

    ca: str
    certificate: str
    key: str

    def calling(self, part: str) -> dict[str, object]:
        """The `tls_config` for a part. Its name is given, because replicas are reached by their addresses."""
        return {
            "tls_config": {
                "ca_file": self.ca,
                "cert_file": self.certificate,
                "key_file": self.key,
                "server_name": part,
            }
        }


def render(targets: Sequence[Target], alertmanager: str) -> str:
    """The whole file for fixed addresses. `alertmanager` is its `host:port`; it and Prometheus itself are scraped too.

    Targets of one job share its path; two paths in one job raise `ValueError`.
    """
    jobs = [
        *_static_jobs(targets),
        _static_job("prometheus", "/metrics", ["localhost:9090"]),
        _static_job("alertmanager", "/metrics", [alertmanager]),
    ]
    return _document({"static_configs": [{"targets": [alertmanager]}]}, jobs)


def render_discovering(targets: Sequence[Target], alertmanager: Target, identity: Identity) -> str:
    """The whole file for a cluster: each replica of each target is a target of its own.

    `targets` are everything that is scraped. Two parts in one job raise `ValueError`: each is known by its own name.
    """
    parts: dict[str, str] = {}
    for target in targets:
        if parts.setdefault(target.job, target.host) != target.host:
            raise ValueError(
                f"scrape job '{target.job}' has the parts {parts[target.job]} and {target.host}: give each its own job"
            )
    receiver = {
        "scheme": alertmanager.scheme,
        **identity.calling(alertmanager.host),
        "static_configs": [{"targets": [f"{alertmanager.host}:{alertmanager.port}"]}],
    }
    return _document(receiver, [_discovered_job(target, identity) for target in targets])


def _document(alertmanager: Mapping[str, object], jobs: Sequence[Mapping[str, object]]) -> str:
    config = {
        "global": {
            "scrape_interval": SCRAPE_INTERVAL,
            "scrape_timeout": "10s",
            "evaluation_interval": SCRAPE_INTERVAL,
        },
        "rule_files": [RULES],
        "alerting": {"alertmanagers": [dict(alertmanager)]},
        "scrape_configs": [dict(job) for job in jobs],
    }
    # Two equal parts are written out twice: an anchor is hard to read.
    return yaml.dump(config, Dumper=_Plain, sort_keys=False)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _static_jobs(targets: Sequence[Target]) -> list[dict[str, object]]:
    paths: dict[str, str] = {}
    addresses: dict[str, list[str]] = {}
    for target in targets:
        path = paths.setdefault(target.job, target.path)
        if path != target.path:
            raise ValueError(f"scrape job '{target.job}' has the paths {path} and {target.path}: give each its own job")
        addresses.setdefault(target.job, []).append(f"{target.host}:{target.port}")
    return [_static_job(job, paths[job], found) for job, found in addresses.items()]


def _static_job(name: str, path: str, addresses: list[str]) -> dict[str, object]:
    return {
        "job_name": name,
        "metrics_path": path,
        "scrape_interval": SCRAPE_INTERVAL,
        "static_configs": [{"targets": addresses}],
    }


def _discovered_job(target: Target, identity: Identity) -> dict[str, object]:
    return {
        "job_name": target.job,
        "metrics_path": target.path,
        "scrape_interval": SCRAPE_INTERVAL,
        "scheme": target.scheme,
        **(identity.calling(target.host) if target.scheme == "https" else {}),
        # Every part has a name that stands for the addresses of all its replicas, ready or not. Asking the DNS needs no
        # rights on the cluster's API, and every build of Prometheus can.
        "dns_sd_configs": [
            {
                "names": [nodes_service(target.host)],
                "type": "A",
                "port": target.port,
                "refresh_interval": SCRAPE_INTERVAL,
            }
        ],
        "relabel_configs": [{"target_label": "part", "replacement": target.host}],
    }
