"""What all objects of one workload have in common."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.meta import v1 as meta

from infra.workload import Workload
from stacks.model import Stack

PART_LABEL = "workflow.part"


@dataclass(frozen=True)
class Objects:
    """A workload on its way into a stack's namespace; `opts` are those of each of its objects."""

    workload: Workload
    stack: Stack
    opts: pulumi.ResourceOptions

    @property
    def labels(self) -> dict[str, str]:
        """Carried by every object of the workload."""
        return labels_of(self.stack, self.workload.part, self.workload.kind)

    @property
    def selector(self) -> dict[str, str]:
        """By which its pods are known."""
        return selector_of(self.stack, self.workload.part)

    @property
    def pods(self) -> meta.LabelSelectorArgs:
        """`selector`, as most objects want it."""
        return meta.LabelSelectorArgs(match_labels=self.selector)

    @property
    def carrier_name(self) -> str:
        """The name of the object that runs its pods."""
        return self.workload.object_name or self.workload.part

    def metadata(self, name: str | None = None, annotations: Mapping[str, str] | None = None) -> meta.ObjectMetaArgs:
        """Of an object that has the part's name, or another one."""
        return meta.ObjectMetaArgs(
            name=name or self.workload.part,
            labels=self.labels,
            annotations=dict(annotations) if annotations is not None else None,
        )


def labels_of(stack: Stack, part: str, kind: str = "") -> dict[str, str]:
    """Labels of everything that belongs to a part of the stack."""
    labels = {
        **selector_of(stack, part),
        "app.kubernetes.io/part-of": "workflow-platform",
        "app.kubernetes.io/managed-by": "pulumi",
        "workflow.stack": stack.name,
        PART_LABEL: part,
    }
    return {**labels, "workflow.kind": kind} if kind else labels


def selector_of(stack: Stack, part: str) -> dict[str, str]:
    """The labels by which the pods of a part are known."""
    return {"app.kubernetes.io/name": part, "app.kubernetes.io/instance": stack.name}
