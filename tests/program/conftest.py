"""A recording engine: every registration the program makes, with its inputs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks

from infra import program
from infra.images import Lookup
from stacks.load import parse_stack
from stacks.model import PROJECT, Stack

CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"
NETWORK = "docker:index/network:Network"
IMAGE = "docker:index/remoteImage:RemoteImage"
CERTIFICATES_END = "2030-01-31T00:00:00+00:00"


@dataclass
class Engine(Mocks):
    """Answers like an engine on which everything succeeds, unless told otherwise, and keeps what it was asked."""

    exit_codes: dict[str, int] = field(default_factory=dict)
    registered: list[MockResourceArgs] = field(default_factory=list)
    exported: dict[str, Any] = field(default_factory=dict)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.registered.append(args)
        outputs = dict(args.inputs)
        if args.typ == CONTAINER:
            outputs["exitCode"] = self.exit_codes.get(args.name, 0)
        if args.typ == IMAGE:
            outputs["imageId"] = f"sha256:{args.inputs['name']}"
        if args.typ == "pulumi-python:dynamic:Resource":
            outputs["value"] = f"{args.name:x<64}"
            outputs |= {each: f"{args.name}-{each:x<64}" for each in ("certificate", "key")}
            outputs["notAfter"] = CERTIFICATES_END
        if args.typ.startswith("kubernetes:"):
            outputs["metadata"] = {"name": args.name, "uid": f"{args.name}-uid", **(args.inputs.get("metadata") or {})}
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"the program looked up {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Inputs by name, of every resource of a type."""
        return {each.name: each.inputs for each in self.registered if each.typ == kind}

    def kubernetes(self, kind: str) -> dict[str, dict[str, Any]]:
        """Inputs by name, of every Kubernetes object of a kind, whatever its API's version."""
        prefix = "kubernetes:"
        return {
            each.name: each.inputs
            for each in self.registered
            if each.typ.startswith(prefix) and each.typ.endswith(f":{kind}")
        }


Deploy = Callable[..., Engine]


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """Runs the whole program on a recording engine. All registrations have landed when it returns."""
    return recording(monkeypatch)


def recording(monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """As the fixture `deploy`, for fixtures of a wider scope."""

    def run(
        config: dict[str, Any] | None = None,
        *,
        grafana: str | None = None,
        exit_codes: dict[str, int] | None = None,
        stack: Stack | None = None,
    ) -> Engine:
        engine = Engine(exit_codes or {})
        pulumi.runtime.set_mocks(engine, project=PROJECT, stack="dev", preview=False)
        monkeypatch.setattr(pulumi, "export", engine.exported.__setitem__)
        lookup = Lookup(lambda tagged: f"{tagged.rpartition(':')[0]}@sha256:{'0' * 64}", lambda _reference: grafana)
        described = stack or parse_stack("dev", {f"{PROJECT}:{key}": value for key, value in (config or {}).items()})

        # Absence can only be asserted once every registration has landed: the decorator waits for them.
        @pulumi.runtime.test
        def build() -> None:
            program.deploy(described, lookup)

        build()
        return engine

    return run
