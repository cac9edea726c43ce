"""What is kept of a message that could not be read or delivered; bounded, whatever the message was."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from service.platform.ids import new_id

MAX_PAYLOAD_BYTES = 64 * 1024
"""The most that is kept of a payload."""

_MOST_HEADERS = 20
_TEXT = 1_000

Source = Literal["kafka", "outbox"]
Reason = Literal["unreadable", "too-large"]
Kept = Literal["whole", "without-input", "beginning"]
"""What is kept of the payload. A message's input may be left out: executors read it from the run itself."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message with the place that it came from; the same place is the same letter."""

    source: Source
    place: str
    topic: str
    key: str | None
    headers: Mapping[str, str]
    reason: Reason
    detail: str
    payload: bytes
    payload_bytes: int
    kept: Kept
    sent: float | None
    """When the message was written, in seconds since 1970."""
    id: UUID = field(default_factory=new_id)

    @classmethod
    def of_record(cls, record: Any, detail: str) -> DeadLetter:
        """A record of Kafka that makes no sense to its reader."""
        # A topic that is made anew counts its offsets from 0 again; the time tells the two apart.
        place = f"{record.topic}/{record.partition}/{record.offset}@{record.timestamp}"
        value = record.value or b""
        payload, kept = bounded(value)
        headers = [(str(name), _readable(text)) for name, text in record.headers]
        return cls(
            source="kafka",
            place=place,
            topic=record.topic,
            key=None if record.key is None else _readable(record.key),
            headers=_few(headers),
            reason="unreadable",
            detail=_short(detail),
            payload=payload,
            payload_bytes=len(value),
            kept=kept,
            sent=record.timestamp / 1000 if record.timestamp and record.timestamp > 0 else None,
        )

    @classmethod
    def of_outbox(
        cls, number: int, created_at: datetime, topic: str, key: str, headers: Iterable[tuple[str, str]], value: bytes
    ) -> DeadLetter:
        """A row of the outbox that Kafka would never take."""
        payload, kept = bounded(value)
        return cls(
            source="outbox",
            place=f"outbox/{number}@{created_at.isoformat()}",
            topic=topic,
            key=key,
            headers=_few(headers),
            reason="too-large",
            detail="the message is larger than Kafka takes",
            payload=payload,
            payload_bytes=len(value),
            kept=kept,
            sent=created_at.timestamp(),
        )


def bounded(value: bytes) -> tuple[bytes, Kept]:
    """As much of a payload as is kept. Of a large one the input is left out first: it then still is a message."""
    if len(value) <= MAX_PAYLOAD_BYTES:
        return value, "whole"
    message = readable_object(value)
    if message is not None and message.pop("input", None) is not None:
        shorter = json.dumps(message, separators=(",", ":")).encode()
        if len(shorter) <= MAX_PAYLOAD_BYTES:
            return shorter, "without-input"
    return value[:MAX_PAYLOAD_BYTES], "beginning"


def readable_object(payload: bytes) -> dict[str, Any] | None:
    """The payload as a JSON object; None when it is none."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def as_json(letters: Iterable[DeadLetter]) -> str:
    """The letters as the statement that stores them reads them; each place once, as one statement must have it."""
    rows = {
        letter.place: {
            "id": str(letter.id),
            "source": letter.source,
            "place": letter.place,
            "topic": letter.topic,
            "key": letter.key,
            "headers": dict(letter.headers),
            "reason": letter.reason,
            "detail": letter.detail,
            "payload": base64.b64encode(letter.payload).decode(),
            "payload_bytes": letter.payload_bytes,
            "kept": letter.kept,
            "sent": letter.sent,
        }
        for letter in letters
    }
    return json.dumps(list(rows.values()))


def _readable(value: bytes | None) -> str:
    return _short((value or b"").decode("utf-8", errors="replace"))


def _short(text: str) -> str:
    # The database's texts hold no NUL.
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:_TEXT]


def _few(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {_short(name): _short(value) for name, value in list(headers)[:_MOST_HEADERS]}
