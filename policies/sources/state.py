"""An exported state (`pulumi stack export`) as a deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from policies.errors import PolicyError
from policies.sources.sdk import stack_of
from policies.view.deployment import Deployment
from policies.view.resources import Resource
from policies.view.values import Value, plain

_EXPORT = "pulumi stack export --file FILE"


def read_state(path: Path) -> Deployment:
    """What is recorded as deployed; encrypted values are unknown. Raises PolicyError with line and field."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} can't be read: {type(error).__name__}", f"make it with {_EXPORT}") from error
    try:
        document = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise PolicyError(f"{path}:{line}: not JSON", f"make it with {_EXPORT}") from error
    return deployment_of(document, str(path))


def deployment_of(document: Any, name: str = "the state") -> Deployment:
    """The same for a document that was read. Raises PolicyError naming the field."""
    deployment = document.get("deployment") if isinstance(document, dict) else None
    if not isinstance(deployment, dict):
        raise PolicyError(f"{name}: `deployment` is missing, so it is no exported state", f"make it with {_EXPORT}")
    resources = deployment.get("resources")
    if not isinstance(resources, list):
        raise PolicyError(f"{name}: `deployment.resources` must be a list", f"make it with {_EXPORT}")
    found = [_resource(each, f"{name}: deployment.resources[{index}]") for index, each in enumerate(resources)]
    roots = [each for each in resources if each.get("type") == "pulumi:pulumi:Stack"]
    outputs = plain(roots[0].get("outputs") or {}) if roots else {}
    return Deployment(stack_of(found), [each for each in found if each is not None], outputs)


def _resource(entry: Any, where: str) -> Resource:
    if not isinstance(entry, dict):
        raise PolicyError(f"{where} must be a mapping", f"make it with {_EXPORT}")
    for key in ("urn", "type"):
        if not isinstance(entry.get(key), str):
            raise PolicyError(f"{where}.{key} must be a text", f"make it with {_EXPORT}")
    for key in ("inputs", "propertyDependencies"):
        if not isinstance(entry.get(key) or {}, dict):
            raise PolicyError(f"{where}.{key} must be a mapping", f"make it with {_EXPORT}")
    inputs = plain(entry.get("inputs") or {})
    inputs.pop("__provider", None)
    return Resource(
        urn=entry["urn"],
        type=entry["type"],
        name=entry["urn"].rpartition("::")[2],
        inputs=Value(inputs),
        parent=entry.get("parent"),
        dependencies=frozenset(entry.get("dependencies") or ()),
        property_dependencies={
            name: frozenset(urns or ()) for name, urns in (entry.get("propertyDependencies") or {}).items()
        },
        protect=bool(entry.get("protect")),
        retain=bool(entry.get("retainOnDelete")),
    )
