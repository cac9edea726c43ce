"""A short-lived pod that belongs to no stack, in a namespace of its own."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ops.kube import Api
from tests.infra.support.cluster_objects import text
from tests.infra.support.waiting import NotYet, eventually

NAMESPACES = "/api/v1/namespaces"
LONGEST = 120.0
"""Seconds until it has ended: its image may have to be fetched."""
ENDED = {"Succeeded", "Failed"}


def manifest(name: str, image: str, command: Sequence[str]) -> dict[str, Any]:
    """A pod that pod security `restricted` allows and that ends by itself."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "activeDeadlineSeconds": int(LONGEST),
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "command": list(command),
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "64Mi"},
                        "limits": {"cpu": "500m", "memory": "128Mi"},
                    },
                }
            ],
        },
    }


@contextmanager
def foreign_namespace(api: Api) -> Iterator[str]:
    """A namespace that is no stack's, deleted at the end whatever happened."""
    name = f"verify-foreign-{secrets.token_hex(4)}"
    api.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        api.delete(f"{NAMESPACES}/{name}")


def run(api: Api, image: str, command: Sequence[str]) -> str:
    """Runs a command in such a pod and returns what it wrote. AssertionError when it does not end well."""
    with foreign_namespace(api) as namespace:
        # Only then does a pod find the account that it must have, even without its token.
        account = f"{NAMESPACES}/{namespace}/serviceaccounts"
        eventually(lambda: bool(api.items(account)), LONGEST, "the namespace being usable", interval=0.3)
        api.create(f"{NAMESPACES}/{namespace}/pods", manifest("stranger", image, command))
        path = f"{NAMESPACES}/{namespace}/pods/stranger"

        def ended() -> str | NotYet:
            phase = str(api.get(path)["status"].get("phase"))
            return phase if phase in ENDED else NotYet(f"it is {phase}")

        phase = eventually(ended, LONGEST, "the foreign pod's end", interval=0.5)
        said = text(api, f"{path}/log")
    assert phase == "Succeeded", f"the foreign pod {phase.lower()}: {said[-500:]}"
    return said
