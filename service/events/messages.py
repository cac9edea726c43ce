"""What a reader is told: news as server-sent events, each with the place from which to go on."""

import hashlib
from dataclasses import dataclass

from fastapi.sse import format_sse_event
from pydantic import BaseModel

from service.events.cursor import Cursor
from service.events.read import News
from service.events.schemas import EndEvent, RunEvent, StepEvent
from service.platform.tables import FINAL_RUN_STATUSES


@dataclass(frozen=True, slots=True)
class Told:
    """Events in the order in which they are told, and what their reader knows then."""

    messages: tuple[bytes, ...]
    cursor: Cursor
    is_last: bool
    """Whether the run has ended and all of it was told."""

    @property
    def says_nothing(self) -> bool:
        """Whether a reader who comes back learns no more than that the run has ended."""
        return self.is_last and len(self.messages) == 1


def tell(cursor: Cursor, news: News) -> Told:
    """The events of the news for a reader who knows the cursor: the run before its steps, its end after them."""
    messages = []

    def add(event: str, content: BaseModel) -> None:
        messages.append(format_sse_event(data_str=content.model_dump_json(), event=event, id=cursor.write()))

    run = RunEvent.model_validate(news.run)
    digest = hashlib.blake2b(run.model_dump_json().encode(), digest_size=6).hexdigest()
    has_ended = run.status in FINAL_RUN_STATUSES
    if digest != cursor.run and not has_ended:
        cursor = cursor.knowing(digest)
        add("run", run)
    for row in news.steps:
        cursor = cursor.after(row.xid, row.step_id, news.snapshot)
        add("step", StepEvent(**{**row._mapping, "id": row.step_id}))
    if not news.is_all:
        return Told(tuple(messages), cursor, is_last=False)
    cursor = cursor.at(news.snapshot)
    if has_ended:
        if digest != cursor.run:
            cursor = cursor.knowing(digest)
            add("run", run)
        add("end", EndEvent(status=run.status))
    return Told(tuple(messages), cursor, is_last=has_ended)
