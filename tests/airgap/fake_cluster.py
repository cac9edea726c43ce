"""A small stand-in for a Kubernetes API server: it keeps what is applied, and says what a test has told it to say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_SERVED = {
    "/api/v1": ("Pod", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim", "Namespace*", "ServiceAccount"),
    "/apis/apps/v1": ("Deployment", "StatefulSet", "DaemonSet"),
    "/apis/batch/v1": ("Job",),
    "/apis/storage.k8s.io/v1": ("StorageClass*",),
    "/apis/networking.k8s.io/v1": ("Ingress",),
    "/apis/discovery.k8s.io/v1": ("EndpointSlice",),
    "/apis/rbac.authorization.k8s.io/v1": ("Role", "ClusterRole*"),
    "/apis/apiextensions.k8s.io/v1": ("CustomResourceDefinition*",),
}
_PLURALS = {"StorageClass": "storageclasses", "Ingress": "ingresses"}

Reply = tuple[int, dict[str, Any]]


def plural(kind: str) -> str:
    """`Deployment` as it is in a path."""
    return _PLURALS.get(kind, f"{kind.lower()}s")


def refusal(code: int, reason: str, message: str, causes: list[dict[str, str]] | None = None) -> Reply:
    """A `Status` as an API server sends it."""
    status = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return code, {**status, "details": {"causes": causes or []}}


class FakeCluster:
    """Objects by path. `on_apply` may change what is kept or refuse; `on_get` is called before each look."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.served = dict(_SERVED)
        self.on_apply: Callable[[str, dict[str, Any]], dict[str, Any] | Reply] = lambda path, item: item
        self.on_get: Callable[[str], None] = lambda path: None
        self.warnings: list[str] = []
        self._counter = 0
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
        """What a request gets."""
        with self._lock:
            self.requests.append((method, path, query, body))
            if path == "/version":
                return 200, {"major": "1", "minor": "34"}
            if path in self.served:
                return 200, {"resources": [self._resource(kind) for kind in self.served[path]]}
            if method == "GET":
                self.on_get(path)
                return self._get(path)
            if method == "DELETE":
                return self._delete(path)
            return self._apply(path, query, body)

    def _resource(self, kind: str) -> dict[str, Any]:
        name = kind.rstrip("*")
        return {"kind": name, "name": plural(name), "namespaced": not kind.endswith("*")}

    def _get(self, path: str) -> Reply:
        if path in self.objects:
            return 200, self.objects[path]
        if path.rpartition("/")[2] in {plural(kind.rstrip("*")) for kinds in self.served.values() for kind in kinds}:
            return 200, {"items": [item for key, item in self.objects.items() if key.startswith(f"{path}/")]}
        return refusal(404, "NotFound", f"{path.rpartition('/')[2]} not found")

    def _delete(self, path: str) -> Reply:
        if path not in self.objects:
            return refusal(404, "NotFound", "not found")
        item = self.objects[path]
        if item["metadata"].get("finalizers"):
            item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return 200, item
        del self.objects[path]
        return 200, {"kind": "Status", "details": {"uid": item["metadata"]["uid"]}}

    def _apply(self, path: str, query: dict[str, str], body: dict[str, Any]) -> Reply:
        self._counter += 1
        there = self.objects.get(path)
        found = {"uid": f"uid-{self._counter}", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}
        if there:
            found = {**there["metadata"], "generation": there["metadata"]["generation"] + 1}
        managed = [{"manager": query["fieldManager"], "operation": "Apply"}]
        stamp = {"resourceVersion": str(self._counter), "managedFields": managed}
        item = {**(there or {}), **body, "metadata": {**found, **body["metadata"], **stamp}}
        made = self.on_apply(path, json.loads(json.dumps(item)))
        if isinstance(made, tuple):
            return made
        if "dryRun" not in query:
            self.objects[path] = made
        return 200, made


@contextmanager
def serving(cluster: FakeCluster) -> Iterator[str]:
    """Serve it on a free port; gives a kubeconfig."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            code, found = cluster.answer(self.command, parts.path, query, body)
            data = json.dumps(found).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(data)))
            for line in cluster.warnings:
                self.send_header("warning", f'299 - "{line}"')
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that the base class calls

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kubeconfig(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def kubeconfig(address: str, namespace: str = "shop") -> str:
    """A kubeconfig for an address."""
    config = {
        "current-context": "fake",
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me", "namespace": namespace}}],
        "clusters": [{"name": "fake", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": "let-me-in"}}],
    }
    return json.dumps(config)
