"""Runs the generators of ``session`` and ``calls``: each thing they yield is done, its result or error given back."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def run(steps: Generator[S, Any, T], do: Callable[[S], Any]) -> T:
    """To its end, waiting for each step."""
    given: Any = None
    error: Exception | None = None
    try:
        while True:
            step = steps.send(given) if error is None else steps.throw(error)
            given, error = None, None
            try:
                given = do(step)
            except Exception as raised:  # noqa: BLE001 - the generator decides what becomes of it
                error = raised
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()


async def run_async(steps: Generator[S, Any, T], do: Callable[[S], Awaitable[Any]]) -> T:
    """The same, awaiting each step."""
    given: Any = None
    error: Exception | None = None
    try:
        while True:
            step = steps.send(given) if error is None else steps.throw(error)
            given, error = None, None
            try:
                given = await do(step)
            except Exception as raised:  # noqa: BLE001 - the generator decides what becomes of it
                error = raised
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()
