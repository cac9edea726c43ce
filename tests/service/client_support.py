"""What the tests of the client share: an API made of prepared answers, and a clock that only pauses move."""

import asyncio
import inspect
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from wfm import AsyncWorkflowClient, WorkflowClient, client, following, session
from wfm.cli import access
from wfm.operations import runs

URL = "http://workflow.test"
AGENT = {
    "id": "01a20245-580a-721f-b174-27897f913689",
    "name": "wait",
    "kind": "delay",
    "settings": {"seconds": 1},
    "created_at": "2030-01-01T00:00:00Z",
    "updated_at": "2030-01-01T00:00:00Z",
}
RUN: dict[str, Any] = {
    "id": "01a20245-580a-721f-b174-27897f913689",
    "workflow_id": "01a20245-580a-721f-b174-27897f913689",
    "workflow_version": 1,
    "correlation_id": "req-1",
    "requested_by": "ada",
    "attempt": 1,
    "created_at": "2030-01-01T00:00:00Z",
    "started_at": None,
    "finished_at": None,
    "cancel_requested_at": None,
    "pause_requested_at": None,
    "paused_at": None,
    "priority": 0,
    "waits_for": None,
    "origin_run_id": None,
    "input": {},
    "output": {"text": "hello"},
    "error": None,
    "steps": [],
}

Answer = httpx.Response | Exception


@dataclass
class Clock:
    """Time passes only while somebody pauses."""

    now: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        """Takes no time at all."""
        self.pauses.append(seconds)
        self.now += seconds

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both clients live by this clock."""

        async def pause(seconds: float) -> None:
            self.pause(seconds)

        waiting = SimpleNamespace(monotonic=lambda: self.now, time=time.time, sleep=self.pause)
        for module in (client, following, session, runs):
            monkeypatch.setattr(module, "time", waiting)
        monkeypatch.setattr(client, "asyncio", SimpleNamespace(sleep=pause, Lock=asyncio.Lock))


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer in pieces; what is an error breaks the connection, what can be called is called."""

    def __init__(self, *parts: bytes | Exception | Callable[[], None]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, bytes):
                yield part
            else:
                part()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


def stream(*parts: bytes | Exception | Callable[[], None]) -> httpx.Response:
    """An answer that is a stream of events."""
    return httpx.Response(200, headers={"Content-Type": "text/event-stream; charset=utf-8"}, stream=Chunks(*parts))


def told(kind: str, number: int, **data: Any) -> bytes:
    """An event as the server sends it; its id is the number."""
    text = json.dumps(data, ensure_ascii=False)
    return f"event: {kind}\ndata: {text}\nid: {number}\n\n".encode()


def run_told(number: int, status: str = "running", error: dict[str, Any] | None = None) -> bytes:
    """The event of the run's newest state."""
    fields = ("id", "workflow_id", "workflow_version", "attempt", "created_at", "started_at", "finished_at")
    known = {name: RUN[name] for name in (*fields, "cancel_requested_at")}
    return told("run", number, **known, status=status, error=error)


class Answers:
    """Gives the prepared answers one after another, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        if isinstance(found.stream, Chunks):
            return found
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    @property
    def bodies(self) -> list[Any]:
        """What was sent."""
        return [json.loads(each.content) for each in self.requests]


def answer(value: Any, status: int = 200, **headers: str) -> httpx.Response:
    """An answer of the API."""
    return httpx.Response(status, json=value, headers=headers)


def problem(status: int, kind: str, detail: str = "No.", **more: Any) -> httpx.Response:
    """A refusal of the API; header fields by ``headers``."""
    headers = {"Content-Type": "application/problem+json", **more.pop("headers", {})}
    document = {"type": f"urn:problem:workflow-management:{kind}", "title": "T", "status": status, "detail": detail}
    return httpx.Response(status, content=json.dumps({**document, **more}), headers=headers)


def page(*items: Any, number: int = 1, size: int = 2, total: int = 0) -> httpx.Response:
    """A page of a list."""
    return answer({"items": list(items), "page": number, "size": size, "total": total or len(items)})


Make = Callable[..., Any]
Start = Callable[..., Answers]


def apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command without a variable or a profile of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("WFM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WFM_CONFIG", str(folder / "config.yaml"))
    monkeypatch.setenv("COLUMNS", "200")


def answering(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Makes the command talk to prepared answers."""

    def start(*answers: Answer) -> Answers:
        found = Answers(*answers)
        monkeypatch.setattr(access, "WorkflowClient", partial(WorkflowClient, transport=httpx.MockTransport(found)))
        return found

    return start


def waiting_client(handler: Any, **options: Any) -> WorkflowClient:
    """The client that waits for each answer, with prepared ones."""
    return WorkflowClient(URL, transport=httpx.MockTransport(handler), **options)


def awaited_client(handler: Any, **options: Any) -> AsyncWorkflowClient:
    """The client that is awaited, with prepared answers."""
    return AsyncWorkflowClient(URL, transport=httpx.MockTransport(handler), **options)


async def settled(value: Any) -> Any:
    """What either client gives: a value, something awaitable, items of either kind."""
    if inspect.isawaitable(value):
        return await value
    if hasattr(value, "__aiter__"):
        return [item async for item in value]
    return list(value) if hasattr(value, "__next__") else value
