"""A cluster in memory that speaks the paths of the API, for commands that only need its objects."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from ops.kube import ClusterRefusalError, Thing


class FakeCluster:
    """Objects by the path of their collection. Lists know label selectors of `key=value,...`."""

    server = "https://cluster.test:6443"

    def __init__(self) -> None:
        self.objects: dict[str, list[Thing]] = {}
        self.done: list[tuple[str, str]] = []
        self.refused: dict[str, int] = {}
        self.text: dict[str, list[bytes]] = {}
        self.version = 1

    def add(self, path: str, name: str, labels: dict[str, str] | None = None, **rest: Any) -> Thing:
        namespace = path.partition("/namespaces/")[2].partition("/")[0] if "/namespaces/" in path else ""
        data: Thing = {"name": name, "uid": f"uid-{name}", "labels": labels or {}, "resourceVersion": "1"}
        if namespace:
            data["namespace"] = namespace
        data.update(rest.pop("metadata", {}))
        thing: Thing = {"metadata": data, **rest}
        self.objects.setdefault(path, []).append(thing)
        return thing

    def get(self, path: str) -> Thing:
        self._refuse(path)
        if path == "/version":
            return {"major": "1", "minor": "34", "gitVersion": "v1.34.4"}
        return copy.deepcopy(self._one(path))

    def find(self, path: str) -> Thing | None:
        try:
            return self.get(path)
        except ClusterRefusalError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, selector: str = "", metadata_only: bool = False) -> list[Thing]:
        path = path.partition("?")[0]
        self._refuse(path)
        wanted = [part.split("=", 1) for part in selector.split(",") if part]
        found = [
            thing
            for thing in self.objects.get(path, [])
            if all((thing["metadata"].get("labels") or {}).get(key) == value for key, value in wanted)
        ]
        return copy.deepcopy(found if not metadata_only else [{"metadata": each["metadata"]} for each in found])

    def create(self, path: str, body: Thing) -> Thing:
        self._refuse(path)
        name = body["metadata"].get("name") or f"{body['metadata']['generateName']}abcde"
        labels = dict(body["metadata"].get("labels") or {})
        self.done.append(("create", name))
        rest = {key: value for key, value in body.items() if key != "metadata"}
        return copy.deepcopy(self.add(path, name, labels, **rest))

    def patch(self, path: str, body: Thing | Sequence[Thing]) -> Thing:
        path = path.partition("?")[0]
        thing = self._one(path)
        self.version += 1
        if isinstance(body, dict):
            _merge(thing, body)
            self.done.append(("patch", path.rpartition("/")[2]))
            thing["metadata"]["managedFields"] = [{"manager": "pulumi"}, {"manager": "workflow-operator"}]
        else:
            self.done.append(("release fields of", path.rpartition("/")[2]))
            for operation in body:
                if operation["op"] == "remove":
                    thing["metadata"]["managedFields"].pop(int(operation["path"].rpartition("/")[2]))
        thing["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(thing)

    def delete(self, path: str) -> None:
        self.done.append(("delete", path.rpartition("/")[2]))
        collection, _, name = path.rpartition("/")
        kept = [each for each in self.objects.get(collection, []) if each["metadata"]["name"] != name]
        self.objects[collection] = kept

    def lines(self, path: str, seconds: float | None = None) -> Iterator[bytes]:
        yield from self.text.get(unquote(path), [])

    def close(self) -> None:
        """Nothing is open."""

    def _one(self, path: str) -> Thing:
        collection, _, name = path.rpartition("/")
        for thing in self.objects.get(collection, []):
            if thing["metadata"]["name"] == name:
                return thing
        raise ClusterRefusalError("not found", "-", 404)

    def _refuse(self, path: str) -> None:
        for prefix, status in self.refused.items():
            if path.startswith(prefix):
                raise ClusterRefusalError("refused", "-", status)


def _merge(thing: Thing, patch: Thing) -> None:
    for key, value in patch.items():
        if value is None:
            thing.pop(key, None)
        elif isinstance(value, dict):
            _merge(thing.setdefault(key, {}), value)
        else:
            thing[key] = value
