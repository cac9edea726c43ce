"""A process' death inside this one, at any await: what it was doing is never gone on with, and nothing is cleaned up.

All tasks of a mortal share one count of their suspensions. At the chosen one all of them stand still for ever, as after
kill -9: no ``finally``, no ``except``. What they had sent may still be done; its answer reaches nobody.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from typing import Any

_BODIES: list[Coroutine[Any, Any, Any]] = []
"""Kept for ever: one that is forgotten is closed by Python, and then its ``finally`` is done after all."""


class Mortal:
    """Runs a coroutine, and the tasks that it makes, until its ``dies_at``-th await (None: it lives on).

    ``answered`` decides which side of that await it dies on: before anything can have come of it, or when what it
    waited for is there and only the answer is lost.
    """

    def __init__(self, *, dies_at: int | None = None, answered: bool = False) -> None:
        self.awaits = 0
        self.awaits_of: Counter[str] = Counter()
        """The same by the names of the tasks."""
        self.dead = asyncio.Event()
        self._dies_at = dies_at
        self._answered = answered
        self._tasks: set[asyncio.Task[Any]] = set()

    async def live(self, work: Coroutine[Any, Any, None], seconds: float) -> bool:
        """Whether the work came to its end; False where it died. Raises what the work raises."""
        loop = asyncio.get_running_loop()
        usual = loop.get_task_factory()
        task = self._own(loop, work, {})
        # The tasks that its own tasks make are its own, too.
        loop.set_task_factory(self._task)
        dying = asyncio.ensure_future(self.dead.wait())
        try:
            done, _ = await asyncio.wait({task, dying}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            assert done, f"neither dead nor done within {seconds:g} s, after {self.awaits} awaits"
            # Dead is dead, also where the task was told to stop by another that died with it.
            if task not in done or (task.cancelled() and self.dead.is_set()):
                return False
            task.result()
            return True
        finally:
            loop.set_task_factory(usual)
            dying.cancel()
            for each in self._tasks:
                each.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _task(self, loop: asyncio.AbstractEventLoop, body: Any, **given: Any) -> asyncio.Task[Any]:
        if asyncio.current_task() in self._tasks:
            return self._own(loop, body, given)
        return asyncio.Task(body, loop=loop, **given)

    def _own(self, loop: asyncio.AbstractEventLoop, body: Any, given: dict[str, Any]) -> asyncio.Task[Any]:
        _BODIES.append(body)
        task = asyncio.Task(_Body(self, body), loop=loop, **given)
        self._tasks.add(task)
        return task

    def step(self, resume: Callable[[], Any]) -> Any:
        """Go on to the next await, unless this is where it ends; returns what is awaited."""
        if self._is_over(self._answered):
            return self._stand_still()
        awaited = resume()
        self.awaits += 1
        current = asyncio.current_task()
        self.awaits_of[current.get_name() if current is not None else ""] += 1
        if self._is_over(not self._answered):
            return self._stand_still()
        return awaited

    def _is_over(self, this_side: bool) -> bool:
        if self._dies_at is not None and self.awaits >= self._dies_at and this_side:
            self.dead.set()
        return self.dead.is_set()

    def _stand_still(self) -> Any:
        return iter(asyncio.get_running_loop().create_future()).__next__()


class _Body(Coroutine[Any, Any, Any]):
    """What a mortal's task drives: hands each step to the mortal first."""

    def __init__(self, mortal: Mortal, body: Coroutine[Any, Any, Any]) -> None:
        self._mortal = mortal
        self._body = body

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError

    def send(self, value: Any) -> Any:
        return self._mortal.step(lambda: self._body.send(value))

    def throw(self, *error: Any) -> Any:
        if self._mortal.dead.is_set():
            # Its task is taken away; the body does not learn of it.
            raise asyncio.CancelledError
        return self._mortal.step(lambda: self._body.throw(*error))

    def close(self) -> None:
        if not self._mortal.dead.is_set():
            self._body.close()
