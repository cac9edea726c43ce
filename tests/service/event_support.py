"""Reads event streams of the application in this process, called as a server calls it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class Event:
    """One event as EventSource would hand it over."""

    name: str
    id: str
    data: Any


@dataclass
class Reader:
    """What a reader got of an answer."""

    gone: asyncio.Event = field(default_factory=asyncio.Event)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, it takes nothing more."""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    is_complete: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def events(self) -> list[Event]:
        """All events until now; comments and what only sets the retry are none."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in fields:
                found.append(Event(fields["event"], fields["id"], json.loads(fields["data"])))
        return found

    @property
    def told(self) -> list[tuple[str, str]]:
        """The events in short: the step, or what else it is, and the status."""
        return [(each.data["id"] if each.name == "step" else each.name, each.data["status"]) for each in self.events]

    async def until(self, name: str, status: str) -> None:
        """Returns once it is told."""
        async with asyncio.timeout(WAIT_SECONDS):
            while (name, status) not in self.told:
                self.changed.clear()
                await self.changed.wait()

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message["body"].decode()
            self.is_complete = not message.get("more_body", False)
        self.changed.set()


@asynccontextmanager
async def reading(
    app: ASGIApp, path: str, headers: dict[str, str], *, address: str = "192.0.2.1"
) -> AsyncIterator[tuple[Reader, "asyncio.Task[None]"]]:
    """A reader of the path, and the task that answers it; at the end the reader goes away."""
    reader = Reader()
    reader.reads.set()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in {"Host": "testserver", **headers}.items()
        ],
        "client": (address, 40000),
        "server": ("testserver", 80),
        "state": {},
    }
    task = asyncio.ensure_future(app(scope, reader._receive, reader._send))
    try:
        yield reader, task
    finally:
        reader.gone.set()
        reader.reads.set()
        async with asyncio.timeout(WAIT_SECONDS):
            await task
