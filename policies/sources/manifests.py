"""Rendered Kubernetes manifests as a deployment, and a deployment as manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from airgap.kubernetes_plugin.kinds import CLUSTER_SCOPED
from policies.errors import PolicyError
from policies.view.deployment import Deployment
from policies.view.resources import STACK_LABEL, Resource
from policies.view.tokens import KUBERNETES
from policies.view.values import UNKNOWN, Value, plain

SUFFIXES = (".yaml", ".yml", ".json")
UNNAMED = "manifests"
"""The stack of manifests that do not say of which they are."""
PROVIDER = "pulumi:providers:kubernetes"


def read_manifests(folder: Path, name: str | None = None) -> Deployment:
    """Every object in the YAML and JSON files of a folder and of those in it.

    Without a name they are of the stack that their labels say, if it is one.
    Raises PolicyError naming file and line.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES] if folder.is_dir() else [folder]
    objects: list[tuple[Path, Any]] = []
    for path in paths:
        for document in _documents(path):
            items = document.get("items") if str(document.get("kind", "")).endswith("List") else [document]
            objects += [(path, each) for each in items or []]
    if not objects:
        raise PolicyError(f"{folder} has no manifests", "name a folder or a file with Kubernetes objects")
    stack = name or _stack([each for _, each in objects])
    found = Deployment(stack, [_resource(each, path, stack) for path, each in objects])
    found.of_a_program = False
    return found


def manifests_of(deployment: Deployment) -> list[dict[str, Any]]:
    """The Kubernetes objects of a deployment as documents; what is not known is left out.

    One that the engine is to name has the name that the program gives it; one that says no namespace is in that of the
    provider.
    """
    found = []
    providers = [each for each in deployment.resources if each.type == PROVIDER]
    namespace = providers[0].inputs["namespace"].text() if len(providers) == 1 else None
    for each in deployment.resources:
        if each.target == "kubernetes":
            known = _known(each.inputs.content)
            metadata = {"name": each.name, **(known.get("metadata") or {})}
            if namespace and each.kind not in CLUSTER_SCOPED:
                metadata.setdefault("namespace", namespace)
            found.append({"apiVersion": _api_version(each.type), "kind": each.kind, **known, "metadata": metadata})
    return found


def _documents(path: Path) -> list[dict[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} can't be read: {type(error).__name__}", "see that it is there") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise PolicyError(f"{path}:{mark.line + 1 if mark else 1}: not YAML", "mend the syntax there") from error
    for index, each in enumerate(documents):
        if each is not None and not isinstance(each, dict):
            raise PolicyError(f"{path}: document {index + 1} is no object", "write `apiVersion`, `kind`, `metadata`")
    return [each for each in documents if each]


def _stack(documents: list[Any]) -> str:
    """Of which stack the objects say that they are, if they agree."""
    labels = [(each.get("metadata") or {}).get("labels") or {} for each in documents if isinstance(each, dict)]
    named = {each[STACK_LABEL] for each in labels if STACK_LABEL in each}
    return str(named.pop()) if len(named) == 1 else UNNAMED


def _resource(document: Any, path: Path, stack: str) -> Resource:
    kind = document.get("kind") if isinstance(document, dict) else None
    version = document.get("apiVersion") if isinstance(document, dict) else None
    if not isinstance(kind, str) or not isinstance(version, str):
        raise PolicyError(f"{path}: an object has no `kind` or no `apiVersion`", "write both")
    token = f"{KUBERNETES}{version if '/' in version else f'core/{version}'}:{kind}"
    name = str((document.get("metadata") or {}).get("name") or kind)
    content = {key: value for key, value in plain(document).items() if key not in ("kind", "apiVersion", "status")}
    return Resource(f"urn:pulumi:{stack}::manifests::{token}::{name}", token, name, Value(content))


def _api_version(token: str) -> str:
    return token.removeprefix(KUBERNETES).rpartition(":")[0].removeprefix("core/")


def _known(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _known(value) for key, value in content.items() if value is not UNKNOWN}
    if isinstance(content, list):
        return [_known(value) for value in content if value is not UNKNOWN]
    return int(content) if isinstance(content, float) and content.is_integer() else content
