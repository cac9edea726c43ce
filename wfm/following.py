"""How the events of a run are followed over as many connections as it takes. Sends nothing itself."""

import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, Generic, ParamSpec, overload

import httpx

from wfm.calls import AsyncPart, Call, Operation, SyncPart
from wfm.errors import UnreachableError
from wfm.events import EndEvent, EventReader, LiveEvent, RunEvent
from wfm.session import pause_after

P = ParamSpec("P")

LAST_EVENT_HEADER = "Last-Event-ID"
SILENCE_SECONDS = 45.0
"""The server says something every 15 s; after three times as long the connection counts as cut."""


class Following:
    """Where somebody is in the events of one run, and whether to come back for more.

    The clients open ``opening()``, hand over what comes to ``opened()`` and ``read()``, and after each connection ask
    ``cut()`` how long to wait, until ``is_over``.
    """

    def __init__(self, call: Call[None], *, timeout: float | None = None) -> None:
        self.is_over = False
        self._call = call
        self._last_id = call.headers.get(LAST_EVENT_HEADER)
        self._ends = None if timeout is None else time.monotonic() + timeout
        self._reader = EventReader()
        self._status: str | None = None
        self._in_vain = 0
        self._failing_since = 0.0

    def opening(self) -> Call[None]:
        """The request of the next connection, which goes on after the last event."""
        left = SILENCE_SECONDS if self._ends is None else self._ends - time.monotonic()
        headers = {**self._call.headers, "Accept": "text/event-stream, application/problem+json"}
        headers |= {LAST_EVENT_HEADER: self._last_id} if self._last_id else {}
        return replace(self._call, headers=headers, quiet_seconds=max(0.1, min(SILENCE_SECONDS, left)))

    def opened(self, response: httpx.Response) -> Iterator[LiveEvent]:
        """What an answer says before anything is read of it."""
        self._reader = EventReader()
        if response.status_code == 204:
            # The run has ended and everything was told, the end too or all but it.
            self.is_over = True
            if self._status is not None and self._last_id:
                yield LiveEvent("end", EndEvent(status=self._status), self._last_id)

    def read(self, chunk: bytes) -> Iterator[LiveEvent]:
        """The events that are complete now."""
        for event in self._reader.read(chunk):
            self._last_id = event.id or self._last_id
            if isinstance(event.data, RunEvent):
                self._status = event.data.status
            self.is_over = event.kind == "end"
            yield event
            if self.is_over:
                return
        self._look_at_the_clock()

    def cut(self, error: UnreachableError | None, retry_seconds: float) -> float:
        """The seconds to wait before the next connection. Raises the error when there was nothing for too long.

        Streams also end by themselves, after some minutes or because a replica stops: coming back once for that is
        no failure. Without a sign of life it is tried again for ``retry_seconds``.
        """
        self._look_at_the_clock()
        if self.is_over:
            return 0.0
        now = time.monotonic()
        if self._reader.heard or not self._in_vain:
            self._in_vain, self._failing_since = 0, now
        self._in_vain += 1
        pause = pause_after(self._in_vain, self._reader.retry_seconds)
        if (error is not None or self._in_vain > 1) and now + pause > self._failing_since + retry_seconds:
            raise error or UnreachableError(
                f"The events ended {self._in_vain} times before anything was told.", certainly_not_done=False
            )
        return pause if self._ends is None else min(pause, self._ends - now)

    def _look_at_the_clock(self) -> None:
        self.is_over = self.is_over or (self._ends is not None and time.monotonic() >= self._ends)


class Events(Generic[P]):
    """A function that makes a Following, as a method of both clients that gives its events as they come."""

    def __init__(self, make: Callable[P, Following], opens: Operation[..., Any]) -> None:
        self.make = make
        self.opens = opens
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, part: SyncPart, owner: type | None = None) -> Callable[P, Generator[LiveEvent, None, None]]: ...
    @overload
    def __get__(self, part: AsyncPart, owner: type | None = None) -> Callable[P, AsyncGenerator[LiveEvent, None]]: ...
    @overload
    def __get__(self, part: None, owner: type | None = None) -> "Events[P]": ...
    def __get__(self, part: Any, owner: type | None = None) -> Any:
        if part is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return part.client.events(self.make(*args, **kwargs))

        method.__doc__ = self.__doc__
        return method
