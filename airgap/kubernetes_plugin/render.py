"""Objects as YAML files in a folder, in place of a cluster: the provider's `renderYamlToDirectory`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airgap.provider.operation import Operation, ResourceError

from .configuration import Settings
from .discovery import usually_namespaced
from .objects import Type, from_program, is_definition, name_of, namespace_of, split_identity
from .target import Live, Task

DEFINITIONS = "0-crd"
OTHERS = "1-manifest"


class Folder:
    """A folder of manifests, laid out as the official provider does: definitions first, one file for each object."""

    def __init__(self, settings: Settings) -> None:
        self._root = Path(settings.render_to)
        self._namespace = settings.namespace

    def namespaced(self, wanted: Type) -> bool:
        """Whether the type lives in namespaces, as far as that is known without a cluster."""
        return usually_namespaced(wanted)

    def default_namespace(self) -> str:
        """The provider's namespace."""
        return self._namespace

    def preview(self, task: Task, new: bool) -> Live | None:
        """The object as it would be written."""
        return from_program(task.inputs)  # type: ignore[no-any-return]

    def create(self, task: Task) -> Live:
        """Write the file, readable by its owner only."""
        return self._write(task)

    def update(self, task: Task) -> Live:
        """Write it anew."""
        return self._write(task)

    def read(self, wanted: Type, identity: str) -> Live | None:
        """Nothing is read back: the server keeps to what is recorded."""
        raise ResourceError(f"{wanted.kind} {identity} cannot be read: the provider writes YAML and has no cluster")

    def shortcoming(self, live: Live, inputs: Mapping[str, Any]) -> str:
        """A file is as good as it gets."""
        return ""

    def delete(self, wanted: Type, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
        """Remove the file; gone already is fine."""
        namespace, name = split_identity(identity)
        self.path(wanted, namespace, name).unlink(missing_ok=True)

    def path(self, wanted: Type, namespace: str, name: str) -> Path:
        """The file of an object."""
        version = wanted.api_version.replace("/", "_").replace(":", "_")
        part = DEFINITIONS if is_definition({"kind": wanted.kind}) else OTHERS
        return self._root / part / f"{version}-{wanted.kind.lower()}-{namespace or 'default'}-{name}.yaml"

    def _write(self, task: Task) -> Live:
        import yaml

        item: dict[str, Any] = from_program(task.inputs)
        wanted = Type(str(item["apiVersion"]), str(item["kind"]))
        path = self.path(wanted, namespace_of(item), name_of(item))
        try:
            for part in (DEFINITIONS, OTHERS):
                (self._root / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump(item, default_flow_style=False, allow_unicode=True))
        except OSError as error:
            raise ResourceError(f"{path} cannot be written ({error.strerror}); see renderYamlToDirectory") from None
        if task.has_secrets:
            task.warn(f"rendered file {path} contains a secret value in plaintext")
        return item
