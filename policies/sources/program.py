"""Runs a Pulumi program without an engine, a cluster or a provider, and keeps what it registers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import dill
import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.rpc import deserialize_properties

from policies.view.deployment import Deployment
from policies.view.resources import Resource
from policies.view.tokens import CONTAINER, DYNAMIC, KUBERNETES, REMOTE_IMAGE
from policies.view.values import Value, plain

_PROVIDER = "__provider"
_STACK = "pulumi:pulumi:Stack"


class Recorder(MockMonitor):
    """Answers like an engine on which everything succeeds. Dynamic resources are really made, in this process."""

    def __init__(self, project: str, stack: str) -> None:
        super().__init__(_Answers())
        self._prefix = f"urn:pulumi:{stack}::{project}"
        self.found: list[Resource] = []

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes it: with the types of all parents but the stack's."""
        above = parent.split("::")[2] if parent else _STACK
        return "::".join([self._prefix, type_ if above == _STACK else f"{above}${type_}", name])

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Keeps what is registered and answers with what it will be."""
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        inputs = plain(deserialize_properties(request.object, keep_unknowns=True))
        inputs.pop(_PROVIDER, None)
        self.found.append(
            Resource(
                urn=answer.urn,
                type=request.type,
                name=request.name,
                inputs=Value(inputs),
                parent=request.parent or None,
                dependencies=frozenset(request.dependencies),
                property_dependencies={
                    name: frozenset(each.urns) for name, each in request.propertyDependencies.items()
                },
                protect=request.protect,
                retain=request.retainOnDelete,
            )
        )
        return answer


class _Answers(Mocks):
    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ == CONTAINER:
            outputs["exitCode"] = 0
        elif args.typ == REMOTE_IMAGE:
            outputs["imageId"] = args.inputs.get("name")
        elif args.typ == DYNAMIC and _PROVIDER in args.inputs:
            inputs = plain(args.inputs)
            provider = dill.loads(base64.b64decode(inputs.pop(_PROVIDER)))  # noqa: S301 - our own program's
            outputs |= provider.create(inputs).outs
        elif args.typ.startswith(KUBERNETES):
            outputs["metadata"] = {"name": args.name, "uid": args.name, **(args.inputs.get("metadata") or {})}
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> Any:
        raise NotImplementedError(f"the program looks up {args.token}, which needs an engine: preview it instead")


def record(program: Callable[[], None], project: str, stack: str) -> Deployment:
    """What the program registers. Raises what the program raises.

    Generated secrets are drawn and certificates issued for this one look; none is kept.
    """
    monitor = Recorder(project, stack)
    pulumi.runtime.set_mocks(monitor.mocks, project=project, stack=stack, preview=False, monitor=monitor)
    exported: dict[str, Any] = {}

    # All registrations have landed when the decorated function returns.
    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> pulumi.Output[None]:
        program()
        root: Any = pulumi.runtime.get_root_resource()
        return pulumi.Output.all(**root.outputs).apply(exported.update)

    run()
    return Deployment(stack, monitor.found, plain(exported))
