"""What Prometheus is told: its jobs, its rules, and the series that are declared to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from policies.view.files import yaml_of
from policies.view.parts import PlatformPart
from policies.view.values import Value

CONFIG = "prometheus.yml"
RULES_FOLDER = "rules/"
DECLARED = f"{RULES_FOLDER}declared.yml"
"""Series only, no alerts; it can't be known before the certificates whose ends it tells are issued."""
OPERATIONS = f"{RULES_FOLDER}operations.yml"

_ADDRESS = re.compile(r"^(?P<host>[^:/]+):(?P<port>[0-9]+)$")
"""`host:port`, as Prometheus writes a target."""


@dataclass(frozen=True)
class Asked:
    """Where a job looks for figures: a host, and the port there if it is told."""

    host: str
    port: int | None


def jobs(prometheus: PlatformPart) -> list[Value]:
    """What it scrapes."""
    return yaml_of(prometheus.file(CONFIG))["scrape_configs"].items()


def asked(job: Value) -> list[Asked]:
    """Every address of a job; a name that stands for all replicas of a part counts as the part's."""
    found = []
    for each in job["static_configs"].items():
        for target in each["targets"].texts():
            match = _ADDRESS.match(target)
            found.append(Asked(match["host"], int(match["port"])) if match else Asked(target, None))
    for each in job["dns_sd_configs"].items():
        port = each["port"].number()
        for name in each["names"].texts():
            host = name.partition(".")[0].removesuffix("-nodes")
            found.append(Asked(host, None if port is None else int(port)))
    return found


def parts_asked(job: Value) -> set[str]:
    """The hosts of a job's addresses; Prometheus itself is at home."""
    return {"prometheus" if each.host in ("localhost", "127.0.0.1") else each.host for each in asked(job)}


def rule_files(prometheus: PlatformPart) -> dict[str, Value]:
    """The files with alerts, by their path below the config folder."""
    return {
        path: content
        for path, content in prometheus.config_files.items()
        if fnmatch(path, f"{RULES_FOLDER}*.yml") and path != DECLARED
    }


def rules_of(file: Value) -> Iterator[Value]:
    """Every rule of a rule file."""
    for group in yaml_of(file)["groups"].items():
        yield from group["rules"].items()


def alerts(prometheus: PlatformPart) -> Iterator[Value]:
    """Every alert of all files."""
    for file in rule_files(prometheus).values():
        yield from (each for each in rules_of(file) if each["alert"].is_given)


def declared(prometheus: PlatformPart, series: str) -> list[Value]:
    """The records of a series in the file about operations."""
    found = rules_of(prometheus.file(OPERATIONS))
    return [each for each in found if each["record"].text() == series]


def declared_number(prometheus: PlatformPart, series: str) -> float | None:
    """The one number that is declared as a series; None when there is none."""
    found = declared(prometheus, series)
    text = (found[0]["expr"].text() or "") if found else ""
    try:
        return float(text.removeprefix("vector(").removesuffix(")"))
    except ValueError:
        return None
