"""Which kinds the API server serves, where, and whether they live in namespaces; asked once for each API version."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airgap.provider.operation import Operation, ResourceError

from .client import ApiError, Client
from .kinds import CLUSTER_SCOPED
from .objects import Type, name_of, namespace_of, type_of

_LOOK_SECONDS = 0.3
_NEW_KIND_SECONDS = 15.0


class UnknownKindError(ResourceError):
    """The API server does not serve the kind (yet)."""


@dataclass(frozen=True)
class Kind:
    """One kind as it is served: `/apis/apps/v1`, `deployments`, and whether it lives in namespaces."""

    root: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """The path of an object, or of all of a namespace."""
        place = f"{self.root}/namespaces/{namespace or 'default'}" if self.namespaced else self.root
        return f"{place}/{self.plural}{f'/{quote(name)}' if name else ''}"


class Discovery:
    """The kinds of one cluster, remembered; safe for use by many threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[str, Mapping[str, Kind]] = {}

    def find(self, wanted: Type) -> Kind:
        """The kind as it is served.

        Raises UnknownKindError when it is not; the server is asked again each time, for it may be defined meanwhile.
        """
        with self._lock:
            kinds = self._known.get(wanted.api_version)
            if kinds is None or wanted.kind not in kinds:
                kinds = self._known[wanted.api_version] = self._ask(wanted.api_version)
        if wanted.kind not in kinds:
            raise UnknownKindError(
                f"this cluster serves no {wanted.kind} of apiVersion {wanted.api_version}; "
                "correct the apiVersion, or create the CustomResourceDefinition first (depends_on)"
            )
        return kinds[wanted.kind]

    def wait_for(self, wanted: Type, operation: Operation) -> Kind:
        """The kind, waited for a little while: a definition that was just made is not served at once."""
        while True:
            try:
                return self.find(wanted)
            except UnknownKindError:
                if operation.elapsed() > _NEW_KIND_SECONDS:
                    raise
            operation.pause(_LOOK_SECONDS)

    def namespaced(self, wanted: Type) -> bool:
        """Whether objects of it live in namespaces; of a kind that is not served that is assumed, as officially."""
        try:
            return self.find(wanted).namespaced
        except UnknownKindError:
            return usually_namespaced(wanted)

    def path(self, item: Mapping[str, Any]) -> str:
        """The path of an object."""
        return self.find(type_of(item)).path(namespace_of(item), name_of(item))

    def _ask(self, api_version: str) -> Mapping[str, Kind]:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            served = self._client.get(root).get("resources") or []
        except ApiError as error:
            if error.missing:
                return {}
            raise
        return {
            str(entry["kind"]): Kind(root, str(entry["name"]), bool(entry["namespaced"]))
            for entry in served
            if "/" not in entry["name"]
        }


def usually_namespaced(wanted: Type) -> bool:
    """Whether objects of a kind live in namespaces, as far as that is known without a cluster."""
    return wanted.kind not in CLUSTER_SCOPED
