"""Lets layers add to the message that begins an answer, without each standing between the application and ``send``."""

from collections.abc import Callable

from starlette.types import Message, Scope, Send

Change = Callable[[Message], None]

_CHANGES = "service.answer_start"


def before_start(scope: Scope, send: Send, change: Change) -> Send:
    """What a layer hands on as ``send``, so that ``change`` is called with each message that begins an answer.

    The first layer that asks, the outermost, makes the only function around ``send``; those further in are called
    before those further out. The message's headers are a list of its own, with names in lower case, as Starlette
    writes them.
    """
    changes: list[Change] | None = scope.get(_CHANGES)
    if changes is not None:
        changes.insert(0, change)
        return send
    changes = scope[_CHANGES] = [change]

    async def send_changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            # What Starlette gives is the response's own list.
            message["headers"] = list(message.get("headers", ()))
            for each in changes:
                each(message)
        await send(message)

    return send_changed
