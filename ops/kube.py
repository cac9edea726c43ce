"""The connection to a Kubernetes cluster, with its refusals put into words. The one place that makes a client.

Answers are the API's own JSON, so that what is concluded from them is plain functions of plain data. The library is
imported when a connection is made and not before: it takes half a second, and most commands need none.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote

from ops.errors import OperatorError
from ops.home import Home
from ops.kubeconfig import kubeconfig

CONNECT_SECONDS = 5
REQUEST_SECONDS = 30
NOT_FOUND = 404
REFUSED = (401, 403)
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Thing = dict[str, Any]
"""One object of the cluster, as its API shows it."""


class ClusterAwayError(OperatorError):
    """No API server answers."""


class ClusterRefusalError(OperatorError):
    """The API server said no; `status` is the HTTP status."""

    def __init__(self, reason: str, mend: str, status: int) -> None:
        super().__init__(reason, mend)
        self.status = status


class Api(Protocol):
    """What the commands ask of a cluster. Paths are the API's own, `/api/v1/namespaces` for instance."""

    server: str

    def get(self, path: str) -> Thing:
        """One object. Raises ClusterRefusalError with status 404 when there is none."""

    def find(self, path: str) -> Thing | None:
        """One object, or None when there is none."""

    def items(self, path: str, selector: str = "", metadata_only: bool = False) -> list[Thing]:
        """All objects of a list whose labels match; empty too when the cluster does not know the kind."""

    def create(self, path: str, body: Thing) -> Thing:
        """Makes an object."""

    def patch(self, path: str, body: Thing | Sequence[Thing]) -> Thing:
        """Changes an object: by a merge patch when given a mapping, by a JSON patch when given a list."""

    def delete(self, path: str) -> None:
        """Deletes an object and what it owns; one that is gone is fine."""

    def lines(self, path: str, seconds: float | None = None) -> Iterator[bytes]:
        """The chunks of a text answer as they come; `seconds` bounds the silence between two."""

    def close(self) -> None:
        """Ends the connections."""


class Cluster:
    """The API server that a kubeconfig's context names."""

    def __init__(self, client: Any, context: str) -> None:
        self._client = client
        self.context = context
        self.server = str(client.configuration.host)

    def get(self, path: str) -> Thing:
        return self._json("GET", path)

    def find(self, path: str) -> Thing | None:
        try:
            return self.get(path)
        except ClusterRefusalError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def items(self, path: str, selector: str = "", metadata_only: bool = False) -> list[Thing]:
        query = f"{'&' if '?' in path else '?'}labelSelector={quote(selector)}" if selector else ""
        accept = f"{METADATA_ONLY},application/json" if metadata_only else "application/json"
        try:
            return list(self._json("GET", f"{path}{query}", headers={"Accept": accept}).get("items") or [])
        except ClusterRefusalError as error:
            if error.status == NOT_FOUND:
                return []
            raise

    def create(self, path: str, body: Thing) -> Thing:
        return self._json("POST", path, body)

    def patch(self, path: str, body: Thing | Sequence[Thing]) -> Thing:
        kind = MERGE_PATCH if isinstance(body, Mapping) else JSON_PATCH
        return self._json("PATCH", path, body if isinstance(body, Mapping) else list(body), {"Content-Type": kind})

    def delete(self, path: str) -> None:
        try:
            self._json("DELETE", path, {"propagationPolicy": "Background"})
        except ClusterRefusalError as error:
            if error.status != NOT_FOUND:
                raise

    def lines(self, path: str, seconds: float | None = None) -> Iterator[bytes]:
        with self._explained("GET", path):
            answer = self._send("GET", path, None, {"Accept": "*/*"}, (CONNECT_SECONDS, seconds))
            try:
                yield from answer.response.stream(amt=None, decode_content=True)
            finally:
                answer.response.close()

    def close(self) -> None:
        self._client.close()

    def _json(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Thing:
        given = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        with self._explained(method, path):
            answer = self._send(method, path, body, given, (CONNECT_SECONDS, REQUEST_SECONDS)).read()
        document: Thing = json.loads(answer)
        return document

    def _send(self, method: str, path: str, body: object, headers: Mapping[str, str], seconds: object) -> Any:
        prepared = self._client.param_serialize(
            method, path, header_params=dict(headers), body=body, auth_settings=["BearerToken"]
        )
        answer = self._client.call_api(*prepared, _request_timeout=seconds)
        if not 200 <= answer.status < 300:
            raise _refusal(method, path, int(answer.status), answer.read())
        return answer

    @contextmanager
    def _explained(self, method: str, path: str) -> Iterator[None]:
        from urllib3.exceptions import HTTPError

        try:
            yield
        except OperatorError:
            raise
        except (HTTPError, OSError) as error:
            raise ClusterAwayError(
                f"the cluster at {self.server} does not answer ({method} {path.partition('?')[0]}: {_cause(error)})",
                "start it (./deploy-api.sh cluster up for the one of this machine), or name another: KUBECONFIG, "
                "or kubernetes.context in the stack's description",
            ) from error


def connect(home: Home, context: str | None) -> Cluster:
    """A client of the cluster that `context` names; without one, of the kubeconfig's current context.

    Raises OperatorError when there is no kubeconfig or no such context. Nothing is asked of the cluster yet.
    """
    files = kubeconfig(home)
    if files is None:
        raise OperatorError(
            "no kubeconfig is there: $KUBECONFIG is not set, and neither this machine's node nor the user has one",
            "./deploy-api.sh cluster up, or set KUBECONFIG to the kubeconfig of your cluster",
        )
    import kubernetes

    client: Any = kubernetes.client
    config: Any = kubernetes.config
    logging.getLogger("urllib3.connectionpool").setLevel(logging.CRITICAL)
    try:
        contexts, current = config.list_kube_config_contexts(config_file=files)
    except config.ConfigException as error:
        raise OperatorError(f"the kubeconfig {files} can't be used: {error}", "mend it, or set KUBECONFIG") from error
    known = sorted(str(each["name"]) for each in contexts)
    chosen = context or str((current or {}).get("name") or "")
    if chosen not in known:
        raise OperatorError(
            f"the kubeconfig {files} has no context {chosen or '(none is named and none is current)'}",
            f"name one of: {', '.join(known) or 'none is there'} (kubernetes.context in the stack's description)",
        )
    settings = client.Configuration()
    settings.retries = False
    try:
        config.load_kube_config(config_file=files, context=chosen, client_configuration=settings)
    except config.ConfigException as error:
        raise OperatorError(
            f"context {chosen} of {files} can't be used: {error}", "mend it, or name another"
        ) from error
    return Cluster(client.ApiClient(configuration=settings), chosen)


def _refusal(method: str, path: str, status: int, body: bytes) -> ClusterRefusalError:
    try:
        said = str(json.loads(body).get("message") or "")
    except (ValueError, AttributeError):
        said = body.decode(errors="replace")[:200]
    where = path.partition("?")[0]
    if status in REFUSED:
        return ClusterRefusalError(
            f"the cluster refuses {method} {where}: {said or 'no rights'}",
            "use a kubeconfig whose user has the rights to operate the stack's namespace",
            status,
        )
    return ClusterRefusalError(
        f"the cluster answered {status} to {method} {where}: {said}", "see what it says and try again", status
    )


def _cause(error: BaseException) -> str:
    """The innermost reason, without the wrapping that repeats the address."""
    while (inner := getattr(error, "reason", None)) and isinstance(inner, BaseException):
        error = inner
    return str(error).rpartition(": ")[2] or type(error).__name__
