"""Waiting for something to become true, with a bound."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NotYet:
    """An answer that means "go on waiting" and says what was seen instead."""

    def __init__(self, seen: object) -> None:
        self.seen = seen

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"{self.seen}"


def eventually(
    check: Callable[[], T | NotYet],
    timeout: float,
    what: str = "the condition",
    interval: float = 0.1,
    tolerate: tuple[type[Exception], ...] = (),
) -> T:
    """Calls `check` until it answers something true, and returns that.

    `timeout` and `interval` are seconds. Exceptions in `tolerate` count as "not yet". Raises AssertionError naming
    `what` and the last answer once the time is over; `check` is called at least once, and once more at the very end.
    """
    pause = threading.Event()
    end = time.monotonic() + timeout
    while True:
        last_round = time.monotonic() >= end
        last: object
        try:
            answer = check()
            if answer and not isinstance(answer, NotYet):
                return answer
            last = answer
        except tolerate as error:
            last = error
        if last_round:
            raise AssertionError(f"{what} did not come true within {timeout:g} s; last seen: {last!r}")
        pause.wait(interval)
