"""A caller of the workflow API that waits out throttling and removes what it made."""

import secrets
import ssl
import time
from typing import Any, Self

import httpx

from tests.infra.support.waiting import NotYet, eventually

FINAL = frozenset({"completed", "failed", "cancelled"})
LONGEST_THROTTLE = 65.0  # seconds; one full window of the documented rate limit


class WorkflowApi:
    """The API at one base address (which ends with its prefix), with or without credentials."""

    def __init__(
        self,
        base_url: str,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._base_url = base_url
        self.http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, verify=verify)
        self._made: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clean_up()
        self.http.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; a 429 is repeated after the time it asks for, within one window of the rate limit."""
        end = time.monotonic() + LONGEST_THROTTLE

        def attempt() -> httpx.Response | None:
            response = self.http.request(method, path, **options)
            throttled = response.status_code == httpx.codes.TOO_MANY_REQUESTS
            return None if throttled and time.monotonic() < end else response

        return eventually(attempt, LONGEST_THROTTLE + 10, f"{method} {path} without throttling", interval=1.0)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET request."""
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        """A POST request; what it created (201) is remembered and removed at the end."""
        response = self.request("POST", path, json=json, **options)
        if response.status_code == httpx.codes.CREATED:
            identity = response.json().get("id")
            self._made.append(f"{path.rstrip('/')}/{identity}")
        return response

    def clean_up(self) -> None:
        """Deletes what this caller made, last first; what the API keeps on purpose (for instance history) stays."""
        while self._made:
            self.request("DELETE", self._made.pop())

    def agent(self, kind: str = "noop", settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """A new agent with a name of its own."""
        body = {"name": unique("agent"), "kind": kind, "settings": settings or {}}
        return _created(self.post("/agents", body))

    def workflow(self, *steps: dict[str, Any]) -> dict[str, Any]:
        """A new workflow with a name of its own."""
        body = {"name": unique("workflow"), "description": "made by the live verification", "steps": list(steps)}
        return _created(self.post("/workflows", body))

    def execute(self, workflow: dict[str, Any], data: dict[str, Any] | None = None, **options: Any) -> str:
        """Starts a run and returns its id."""
        response = self.post(f"/workflows/{workflow['id']}/execute", {"input": data or {}}, **options)
        assert response.status_code == httpx.codes.ACCEPTED, told(response)
        return str(response.json()["run_id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """The run as the API tells it now."""
        response = self.get(f"/runs/{run_id}")
        assert response.status_code == httpx.codes.OK, told(response)
        return dict(response.json())

    def finished(self, run_id: str, timeout: float = 20.0) -> dict[str, Any]:
        """The run once it has ended, whichever way; AssertionError after `timeout` seconds."""

        def ended() -> dict[str, Any] | NotYet:
            run = self.run(run_id)
            return run if run["status"] in FINAL else NotYet(f"it is {run['status']}, attempt {run['attempt']}")

        return eventually(ended, timeout, f"the end of run {run_id}", interval=0.05)


def step(identity: str, agent: dict[str, Any], *needs: str, **data: Any) -> dict[str, Any]:
    """A step of a workflow: which agent it calls, after which steps, with what input."""
    return {"id": identity, "agent": agent["name"], "needs": list(needs), "input": data}


def unique(what: str) -> str:
    """A name that no other check uses."""
    return f"verify-{what}-{secrets.token_hex(4)}"


def told(response: httpx.Response) -> str:
    """What an unexpected answer was, short enough for a failure message."""
    return (
        f"{response.request.method} {response.request.url.path} answered {response.status_code}: {response.text[:500]}"
    )


def _created(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == httpx.codes.CREATED, told(response)
    return dict(response.json())
