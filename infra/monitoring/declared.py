"""What the description declares, as series beside the measured ones, so that rules can compare the two."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import yaml

REPLICAS = "declared_replicas"
CERTIFICATE_END = "declared_certificate_end_seconds"
CERTIFICATE_RENEWAL = "declared_certificate_renewal_seconds"

FILE = "declared.yml"
"""Its name among the rule files."""


class Target(Protocol):
    """What is scraped; `infra.endpoints.ScrapeTarget` is one."""

    @property
    def job(self) -> str: ...
    @property
    def replicas(self) -> int: ...


class Life(Protocol):
    """How long a certificate is good for; `infra.trust.Life` is one."""

    @property
    def end(self) -> datetime: ...
    @property
    def renewal(self) -> datetime: ...


def render(targets: Sequence[Target], lives: Mapping[str, Life]) -> str:
    """A rule file that records them. Targets of one job are added up; `lives` are by part."""
    replicas: dict[str, int] = {}
    for target in targets:
        replicas[target.job] = replicas.get(target.job, 0) + target.replicas
    records = [
        *_records(REPLICAS, "job", replicas.items()),
        *_records(CERTIFICATE_END, "part", ((part, life.end.timestamp()) for part, life in lives.items())),
        *_records(CERTIFICATE_RENEWAL, "part", ((part, life.renewal.timestamp()) for part, life in lives.items())),
    ]
    return yaml.safe_dump({"groups": [{"name": "declared", "rules": records}]}, sort_keys=False)


def _records(name: str, label: str, values: Iterable[tuple[str, float]]) -> list[dict[str, object]]:
    return [
        {"record": name, "expr": f"vector({value:.0f})", "labels": {label: whose}} for whose, value in sorted(values)
    ]
