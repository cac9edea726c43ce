"""Dead letters: messages that could not be read or delivered."""

from wfm.calls import Call, Everything, Id, operation
from wfm.models import DeadLetterAnswer, DeadLetterPage, DeadLetterSummary, PayloadAnswer


@operation("GET /api/v1/dead-letters")
def list_dead_letters(
    *,
    state: str | None = None,
    reason: str | None = None,
    topic: str | None = None,
    cursor: str | None = None,
    size: int | None = None,
) -> Call[DeadLetterPage]:
    """A page of the dead letters, newest first."""
    query = {"state": state, "reason": reason, "topic": topic, "cursor": cursor, "size": size}
    return Call(DeadLetterPage, query=query)


@operation("GET /api/v1/dead-letters/{letter_id}")
def get_dead_letter(letter_id: Id) -> Call[DeadLetterAnswer]:
    """Read a dead letter with its headers, without its payload."""
    return Call(DeadLetterAnswer, path={"letter_id": letter_id})


@operation("GET /api/v1/dead-letters/{letter_id}/payload")
def get_payload(letter_id: Id) -> Call[PayloadAnswer]:
    """Read what is in a dead letter; it may come from anywhere and hold anything."""
    return Call(PayloadAnswer, path={"letter_id": letter_id})


@operation("POST /api/v1/dead-letters/{letter_id}/requeue")
def requeue_dead_letter(letter_id: Id) -> Call[DeadLetterAnswer]:
    """Send the message again, once however often it is asked."""
    return Call(DeadLetterAnswer, path={"letter_id": letter_id})


@operation("POST /api/v1/dead-letters/{letter_id}/discard")
def discard_dead_letter(letter_id: Id) -> Call[DeadLetterAnswer]:
    """Note that nothing is to be done about the message; it can still be read."""
    return Call(DeadLetterAnswer, path={"letter_id": letter_id})


class DeadLetterOperations:
    """Dead letters: messages that could not be read or delivered."""

    list = list_dead_letters
    all = Everything(list_dead_letters, DeadLetterSummary)
    get = get_dead_letter
    payload = get_payload
    requeue = requeue_dead_letter
    discard = discard_dead_letter
