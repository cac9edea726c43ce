"""A Kubernetes object as plain Python: how it is called, what it is, and what the annotations on it ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airgap.provider.operation import ResourceError

AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
PATCH_FORCE = "pulumi.com/patchForce"
FIELD_MANAGER = "pulumi.com/patchFieldManager"
REPLACE_UNREADY = "pulumi.com/replaceUnready"
DELETION_PROPAGATION = "pulumi.com/deletionPropagationPolicy"
WAIT_FOR = "pulumi.com/waitFor"

_MODULE = re.compile(r"(?:[a-z0-9.-]+/)?v[0-9][a-z0-9]*")
_SERVER_FIELDS = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_SERVER_ANNOTATIONS = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")


@dataclass(frozen=True)
class Type:
    """An apiVersion such as `apps/v1` with a kind such as `Deployment`."""

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        """The API group, empty for the core one."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.api_version}/{self.kind}"


def type_of_token(token: str) -> Type:
    """The type that a token such as `kubernetes:apps/v1:Deployment` stands for; the core group is left out.

    Raises ResourceError when the token is not one of an object.
    """
    package, _, rest = token.partition(":")
    module, _, kind = rest.rpartition(":")
    if package != "kubernetes" or not kind or not _MODULE.fullmatch(module):
        raise ResourceError(f"{token} is not the type of a Kubernetes object; install the official kubernetes plugin")
    return Type(module.removeprefix("core/"), kind)


def type_of(item: Mapping[str, Any]) -> Type:
    """The type that an object says it is of."""
    return Type(str(item.get("apiVersion", "")), str(item.get("kind", "")))


def metadata(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its metadata, empty when there is none or it is not known yet."""
    found = item.get("metadata")
    return found if isinstance(found, Mapping) else {}


def name_of(item: Mapping[str, Any]) -> str:
    """Its name; empty when it has none."""
    return str(metadata(item).get("name") or "")


def namespace_of(item: Mapping[str, Any]) -> str:
    """Its namespace; empty when it has none."""
    return str(metadata(item).get("namespace") or "")


def annotation(item: Mapping[str, Any], key: str) -> str:
    """The value of an annotation; empty when it is not there."""
    found = metadata(item).get("annotations")
    value = found.get(key) if isinstance(found, Mapping) else None
    return value if isinstance(value, str) else ""


def annotated(item: Mapping[str, Any], key: str) -> bool:
    """Whether an annotation says `true`."""
    return annotation(item, key).lower() == "true"


def identity_of(item: Mapping[str, Any]) -> str:
    """The id in the state: `namespace/name`, or `name` for what has no namespace."""
    namespace = namespace_of(item)
    return f"{namespace}/{name_of(item)}" if namespace else name_of(item)


def split_identity(identity: str) -> tuple[str, str]:
    """Namespace (may be empty) and name of an id."""
    namespace, _, name = identity.rpartition("/")
    return namespace, name


def called(item: Mapping[str, Any]) -> str:
    """The object in words for people: `Deployment shop/web`."""
    return f"{item.get('kind', 'object')} {identity_of(item) or '(without a name)'}"


def is_secret(item: Mapping[str, Any]) -> bool:
    """Whether it is a core Secret, whose data is never shown."""
    return item.get("kind") == "Secret" and item.get("apiVersion") == "v1"


def is_definition(item: Mapping[str, Any]) -> bool:
    """Whether it defines a custom resource."""
    return item.get("kind") == "CustomResourceDefinition"


def as_inputs(live: Mapping[str, Any]) -> dict[str, Any]:
    """A live object without what only the server writes: what a program would have to say to get it."""
    inputs = {key: value for key, value in live.items() if key != "status"}
    kept = {key: value for key, value in metadata(live).items() if key not in _SERVER_FIELDS}
    notes = {key: text for key, text in (kept.pop("annotations", None) or {}).items() if key not in _SERVER_ANNOTATIONS}
    return {**inputs, "metadata": {**kept, **({"annotations": notes} if notes else {})}}


def without_bookkeeping(live: Mapping[str, Any]) -> dict[str, Any]:
    """A live object without the list of who manages which field, which is as long as the object itself."""
    kept = {key: value for key, value in metadata(live).items() if key != "managedFields"}
    notes = {
        key: text
        for key, text in (kept.get("annotations") or {}).items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    if "annotations" in kept:
        kept["annotations"] = notes
    return {**live, "metadata": kept}


_DASHED = {
    f"x_kubernetes_{name}": f"x-kubernetes-{name.replace('_', '-')}"
    for name in (
        "embedded_resource", "int_or_string", "list_map_keys", "list_type", "map_type",
        "preserve_unknown_fields", "validations",
    )
}  # fmt: skip
_UNDERSCORED = {dashed: underscored for underscored, dashed in _DASHED.items()}


def from_program(value: Any) -> Any:
    """Inputs as the API takes them: nulls left out, and the dashes that the SDK cannot have in a name put back."""
    return _renamed(value, _DASHED)


def to_program(value: Any) -> Any:
    """An object as the SDK reads it: the reverse of `from_program`."""
    return _renamed(value, _UNDERSCORED)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value
