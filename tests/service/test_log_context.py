"""Fields that go with everything a piece of work logs."""

import asyncio
from typing import Any

import pytest

from service.platform.log_context import bind_contextvars, bound_contextvars, merge

pytestmark = pytest.mark.ring("unit")


def _bound() -> dict[str, Any]:
    return dict(merge(None, "info", {}))


def test_nothing_that_was_bound_inside_is_left_afterwards() -> None:
    with bound_contextvars(a=1):
        with bound_contextvars(a=2, b=3):
            bind_contextvars(c=4)
            assert _bound() == {"a": 2, "b": 3, "c": 4}
        assert _bound() == {"a": 1}
    assert _bound() == {}


def test_they_are_as_before_also_after_an_error() -> None:
    with pytest.raises(RuntimeError), bound_contextvars(a=1):
        raise RuntimeError
    assert _bound() == {}


def test_what_a_record_says_itself_stays() -> None:
    with bound_contextvars(a=1):
        assert merge(None, "info", {"a": 2}) == {"a": 2}


async def test_a_task_has_what_was_bound_where_it_was_started_and_keeps_its_own() -> None:
    async def child() -> dict[str, Any]:
        bind_contextvars(b=2)
        return _bound()

    with bound_contextvars(a=1):
        assert await asyncio.create_task(child()) == {"a": 1, "b": 2}
        assert _bound() == {"a": 1}
