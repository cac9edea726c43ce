"""The Kubernetes plugin as the engine sees it, with plain dicts in place of protobuf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import pulumi  # noqa: F401 - before airgap.protocol, which otherwise enters bare packages in its place
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from airgap.provider.wire import decode_map, encode_map
from tests.airgap.support import Process

SECONDS = 60


def token_of(item: dict[str, Any]) -> str:
    """The SDK's token for an object."""
    version = item["apiVersion"]
    return f"kubernetes:{version if '/' in version else f'core/{version}'}:{item['kind']}"


@dataclass
class Kubernetes:
    """A configured plugin."""

    stub: Any

    def urn(self, item: dict[str, Any], name: str = "thing") -> str:
        return f"urn:pulumi:dev::test::{token_of(item)}::{name}"

    def check(self, item: dict[str, Any], old: dict[str, Any] | None = None, urn: str = "", **extra: Any) -> Any:
        request = provider_pb2.CheckRequest(urn=urn or self.urn(item), randomSeed=b"seed", **extra)
        encode_map(request.news, item)
        encode_map(request.olds, old or {})
        return self.stub.Check(request, timeout=SECONDS)

    def checked(self, item: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self.check(item, old)
        assert not response.failures, response.failures
        return decode_map(response.inputs)

    def diff(
        self, old: dict[str, Any], new: dict[str, Any], state: dict[str, Any] | None = None, identity: str = "shop/web"
    ) -> Any:
        request = provider_pb2.DiffRequest(urn=self.urn(new), id=identity)
        encode_map(request.old_inputs, self.checked(old))
        encode_map(request.olds, state or {})
        encode_map(request.news, self.checked(new))
        return self.stub.Diff(request, timeout=SECONDS)

    def create(self, item: dict[str, Any], *, preview: bool = False, timeout: float = 0) -> tuple[str, dict[str, Any]]:
        request = provider_pb2.CreateRequest(urn=self.urn(item), preview=preview, timeout=timeout)
        encode_map(request.properties, self.checked(item))
        response = self.stub.Create(request, timeout=SECONDS)
        return response.id, decode_map(response.properties)

    def read(
        self, item: dict[str, Any], identity: str, state: dict[str, Any] | None = None, *, known: bool = True
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        request = provider_pb2.ReadRequest(urn=self.urn(item), id=identity)
        if known:
            encode_map(request.inputs, self.checked(item))
        encode_map(request.properties, state or {})
        response = self.stub.Read(request, timeout=SECONDS)
        return response.id, decode_map(response.inputs), decode_map(response.properties)

    def update(
        self, item: dict[str, Any], state: dict[str, Any], *, preview: bool = False, timeout: float = 0
    ) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(urn=self.urn(item), id="x", preview=preview, timeout=timeout)
        encode_map(request.olds, state)
        encode_map(request.news, self.checked(item))
        return decode_map(self.stub.Update(request, timeout=SECONDS).properties)

    def delete(self, item: dict[str, Any], identity: str, *, timeout: float = 0) -> None:
        request = provider_pb2.DeleteRequest(urn=self.urn(item), id=identity, timeout=timeout)
        encode_map(request.old_inputs, item)
        self.stub.Delete(request, timeout=SECONDS)


def configured(process: Process, **settings: Any) -> Kubernetes:
    """A client of a plugin process, with the provider configured."""
    plugin = Kubernetes(provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(process.address)))
    request = provider_pb2.ConfigureRequest(acceptSecrets=True)
    encode_map(request.args, settings)
    plugin.stub.Configure(request, timeout=SECONDS)
    return plugin


def half_made(error: grpc.RpcError) -> Any:
    """The detail by which the engine learns that the resource is there although the call has failed."""
    trailing = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    return detail
