"""What is told of a run that is followed live, and how it is read from the bytes of a stream.

Written by hand, because the API's document has no schemas for the parts of a stream; a test holds them to the server's.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from wfm.errors import UnexpectedAnswerError
from wfm.models import Received

MOST_BYTES = 4 * 1024 * 1024
"""No event is longer; those of runs are some hundred bytes, with an error's text."""


class RunEvent(Received):
    """The run's newest state, without its data."""

    id: UUID
    workflow_id: UUID
    workflow_version: int
    status: str
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    error: dict[str, Any] | None


class StepEvent(Received):
    """The newest state of a step, or of an item of one, without its output."""

    id: str
    status: str
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    error: dict[str, Any] | None


class EndEvent(Received):
    """The run has ended and everything was told."""

    status: str


KINDS: Mapping[str, type[Received]] = {"run": RunEvent, "step": StepEvent, "end": EndEvent}


@dataclass(frozen=True)
class LiveEvent:
    """One event. ``kind`` is run, step or end; what only a newer server knows has its fields as they came."""

    kind: str
    data: RunEvent | StepEvent | EndEvent | Received
    id: str
    """The place from which to go on: ``last_event_id`` of the next time."""


class EventReader:
    """Reads the events of one connection out of its bytes, wherever these are cut."""

    def __init__(self) -> None:
        self.heard = False
        """Whether an event or a comment has come: the stream lives."""
        self.retry_seconds: float | None = None
        """How long to wait before coming back, where the server says so."""
        self._rest = b""
        self._fields: dict[str, list[str]] = {}
        self._size = 0

    def read(self, chunk: bytes) -> Iterator[LiveEvent]:
        """The events that are complete now. Raises UnexpectedAnswerError for what is none."""
        # Only line feeds end lines, not all that Python takes for it: an error's text may hold U+2028.
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._size += len(line)
            if self._size + len(self._rest) > MOST_BYTES:
                break
            if (event := self._take(line.removesuffix(b"\r").decode("utf-8", "replace"))) is not None:
                yield event
        if self._size + len(self._rest) > MOST_BYTES:
            raise UnexpectedAnswerError(200, f"An event is longer than {MOST_BYTES // 1024**2} MiB.")

    def _take(self, line: str) -> LiveEvent | None:
        if not line:
            fields, self._fields, self._size = self._fields, {}, 0
            return self._event(fields) if "data" in fields else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            self.heard = True
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_seconds = min(int(value[:9]) / 1000, 60.0)
        else:
            self._fields.setdefault(name, []).append(value)
        return None

    def _event(self, fields: Mapping[str, list[str]]) -> LiveEvent:
        self.heard = True
        kind = fields.get("event", ["message"])[-1]
        try:
            data = KINDS.get(kind, Received).model_validate(json.loads("\n".join(fields["data"])))
        except (ValueError, ValidationError):
            raise UnexpectedAnswerError(200, f"The event {kind!r} is something else than this API tells.") from None
        return LiveEvent(kind, data, fields.get("id", [""])[-1])
