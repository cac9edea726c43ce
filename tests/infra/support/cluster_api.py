"""The cluster's API, as far as the checks use it: plain JSON in and out."""

import json
from typing import Any, Protocol
from urllib.parse import quote

Thing = dict[str, Any]

CONNECT_SECONDS, REQUEST_SECONDS = 5, 30


class RefusedError(Exception):
    """The API server said no; `status` is the HTTP status."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the cluster answered {status}: {said}")
        self.status = status
        self.said = said


class ClusterApi(Protocol):
    """What is asked of a cluster. Paths are the API's own, for instance `/api/v1/namespaces`."""

    def get(self, path: str) -> Thing:
        """One object. Raises RefusedError."""

    def items(self, path: str, selector: str = "") -> list[Thing]:
        """All objects of a list whose labels match. Raises RefusedError."""

    def create(self, path: str, body: Thing) -> Thing:
        """Makes an object. Raises RefusedError."""

    def delete(self, path: str) -> None:
        """Deletes an object; one that is gone is fine. Raises RefusedError."""

    def text(self, path: str) -> str:
        """A text, for instance a log. Raises RefusedError."""

    def close(self) -> None:
        """Ends the connections."""


class KubeconfigApi:
    """The cluster that a context of the user's kubeconfig names; without one its current context."""

    def __init__(self, context: str | None = None) -> None:
        # A stack on Docker must not pay half a second for a library that it does not use.
        from kubernetes import config

        make: Any = config.new_client_from_config
        self._client = make(context=context)

    def get(self, path: str) -> Thing:
        return self._json("GET", path)

    def items(self, path: str, selector: str = "") -> list[Thing]:
        query = f"{'&' if '?' in path else '?'}labelSelector={quote(selector)}" if selector else ""
        return list(self._json("GET", path + query).get("items") or ())

    def create(self, path: str, body: Thing) -> Thing:
        return self._json("POST", path, body)

    def delete(self, path: str) -> None:
        try:
            self._json("DELETE", path, {"propagationPolicy": "Background"})
        except RefusedError as error:
            if error.status != 404:
                raise

    def text(self, path: str) -> str:
        return self._send("GET", path, None, "*/*").decode(errors="replace")

    def close(self) -> None:
        self._client.close()

    def _json(self, method: str, path: str, body: Thing | None = None) -> Thing:
        answer: Thing = json.loads(self._send(method, path, body, "application/json"))
        return answer

    def _send(self, method: str, path: str, body: Thing | None, accept: str) -> bytes:
        prepared = self._client.param_serialize(
            method,
            path,
            header_params={"Accept": accept, "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(*prepared, _request_timeout=(CONNECT_SECONDS, REQUEST_SECONDS))
        content = bytes(answer.read())
        if not 200 <= answer.status < 300:
            raise RefusedError(int(answer.status), _said(content))
        return content


def _said(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace")[:300]
