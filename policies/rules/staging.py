"""Whether what is rehearsed is what production will be."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from policies.engine.rule import Fault, rule
from policies.view.project import Project
from stacks.errors import StackError
from stacks.load import config_file, load_stack

ITEM = "staging-matches-production"
PRODUCTION, REHEARSAL = "prod", "rehearsal"

MAY_DIFFER = (
    # Names and places.
    "name", "environment", "kubernetes.context", "kubernetes.namespace", "kubernetes.storageClass",
    "kubernetes.registry",
    "kubernetes.imagePullSecret", "kubernetes.publicAddress", "edge.hosts", "edge.serviceType", "edge.publishedPort",
    "edge.publishedHttpPort", "*.publishedPort", "alerting.*", "api.cors.origins", "images.*", "secretGeneration",
    # Sizes.
    "*.resources.*", "*.pool.*", "*.autoscaling.most", "*.autoscaling.cpuPercent", "*.size", "*.storage", "*.heap",
    "*.sharedBuffers", "*.maxConnections", "*.workers", "kubernetes.quota.*", "kubernetes.nodes", "kubernetes.spread",
    "executor.instances", "executor.concurrency", "kafka.partitions", "prometheus.retentionDays",
    # A rehearsal's data are nobody's.
    "kubernetes.keepData",
)  # fmt: skip
"""What a rehearsal on a smaller cluster needs otherwise; `*` stands for any text. Everything else must be equal."""


def differences(production: Mapping[str, Any], rehearsal: Mapping[str, Any]) -> list[str]:
    """The config keys in which two descriptions differ though they should not."""
    left, right = dict(_leaves(production)), dict(_leaves(rehearsal))
    different = [key for key in sorted({*left, *right}) if left.get(key, _NOTHING) != right.get(key, _NOTHING)]
    return [key for key in different if not any(fnmatchcase(key, pattern) for pattern in MAY_DIFFER)]


_NOTHING = object()


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


@rule(ITEM, on=Project, wanted="the same description but for sizes, names and secrets",
      mend="leave the key out of Pulumi.rehearsal.yaml, or change it in Pulumi.prod.yaml too")  # fmt: skip
def the_rehearsal_is_described_like_production(project: Project) -> Iterator[Fault]:
    """What was rehearsed with other settings says nothing of how production will behave."""
    described = {}
    for name in (PRODUCTION, REHEARSAL):
        try:
            described[name] = load_stack(name, project.root).model_dump(mode="json", by_alias=True)
        except StackError:
            yield Fault(config_file(name, project.root).name, "there is no valid description to compare")
    if len(described) == 2:
        for key in differences(described[PRODUCTION], described[REHEARSAL]):
            yield Fault(config_file(REHEARSAL, project.root).name, f"{key} is not what production has")
