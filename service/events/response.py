"""The answer that is a stream of events."""

import asyncio
import contextlib
import time

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.events import metrics
from service.events.streams import Stream, Streams
from service.platform.logging import get_logger

KEEP_ALIVE_SECONDS = 15.0
MOST_SECONDS = 300.0
"""How long a stream lasts at most: who lost his rights reads no longer than that."""

SEND_SECONDS = 10.0
"""A reader who takes nothing for so long is dropped."""

RETRY_MILLISECONDS = 1000
MEDIA_TYPE = "text/event-stream"

log = get_logger(__name__)


class EventStreamResponse(Response):
    """Sends what the stream is told, and comments while there is nothing, until it ends or its reader goes away.

    No connection to the database is held. Every wait is bounded, and whatever ends the answer takes the stream out.
    """

    media_type = MEDIA_TYPE

    def __init__(self, streams: Streams, stream: Stream) -> None:
        # Proxies that know the field pass events on as they come.
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._stream = streams, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._streams.add(self._stream)
        gone = asyncio.create_task(_gone(receive), name="event-reader")
        gone.add_done_callback(lambda _: self._stream.end())
        try:
            await _send(send, {"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await _send(send, _body(format_sse_event(retry=RETRY_MILLISECONDS)))
            await self._go_on(send, gone)
            await _send(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # The server closes the connection of an answer that has no end.
            metrics.DROPPED.inc()
            log.info("An event stream was dropped: its reader takes nothing", run_id=str(self._stream.run_id))
        finally:
            self._streams.remove(self._stream)
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await gone

    async def _go_on(self, send: Send, gone: "asyncio.Task[None]") -> None:
        ends = time.monotonic() + MOST_SECONDS
        while not gone.done() and (left := ends - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left, KEEP_ALIVE_SECONDS)):
                    messages = await self._stream.next()
            except TimeoutError:
                await _send(send, _body(KEEPALIVE_COMMENT))
                continue
            if messages is None:
                return
            await _send(send, _body(b"".join(messages)))


def _body(content: bytes) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": True}


async def _send(send: Send, message: Message) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send(message)


async def _gone(receive: Receive) -> None:
    """Returns when the reader has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
