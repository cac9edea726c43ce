"""How Prometheus' programs serve: plainly on one machine's private network, else over TLS to known callers only."""

import pulumi

from infra.monitoring import web_config
from infra.trust import IDENTITY_FILES, Trust
from infra.workload import Health, TcpCheck, http_probe
from stacks.parts.common import HealthTiming

REREAD = IDENTITY_FILES | {web_config.FILE}
"""Files that these programs read again for each connection."""

LIVENESS_SECONDS = 60
"""Where callers need a certificate the cluster can only open a connection and drop it, and each leaves a log line."""


def config_files(trust: Trust) -> dict[str, pulumi.Input[str]]:
    """What makes the program serve over TLS; nothing where connections are in the clear."""
    return {web_config.FILE: web_config.render()} if trust.enabled else {}


def health(trust: Trust, port: int, path: str, timing: HealthTiming) -> Health:
    """The program's health. Nothing waits for it: no other part needs it to start."""
    command = http_probe(port, path)
    if not trust.enabled:
        return Health(command, timing, gates_start=False)
    slower = timing.model_copy(update={"interval": max(timing.interval, LIVENESS_SECONDS)})
    return Health(command, slower, gates_start=False, probe=TcpCheck(port))
