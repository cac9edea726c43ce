"""A step that is done once for each item of a list: how it unfolds into items, and how these make its output."""

from collections.abc import Mapping
from typing import Any

from service.executor.expressions import search
from service.executor.kinds.base import StepFailedError
from service.executor.progress import COMPLETED, PENDING, RUNNING, WAITING, ItemState, JournalledStep, StepState
from service.executor.values import check_output

MAX_ITEMS = 1000


def unfold(state: StepState, scope: Mapping[str, Any], known: Mapping[int, JournalledStep]) -> None:
    """Give the step its items, those that the journal knows as completed with their outputs; raises StepFailedError."""
    if state.step.for_each is None:
        return
    values = read_items(state.step.for_each.items, scope)
    state.items = [ItemState(state.step, parent=state, place=place, value=value) for place, value in enumerate(values)]
    for place, entry in known.items():
        if place < len(state.items):
            state.items[place].restore(entry)


def read_items(expression: str, scope: Mapping[str, Any]) -> list[Any]:
    """The list that the expression gives; raises StepFailedError where it gives none, or a longer one than may be."""
    try:
        values = search(expression, scope)
    except ValueError as error:
        raise _unusable(str(error)) from None
    if not isinstance(values, list):
        raise _unusable(f"{expression!r} gives {_named(values)}; it must give a list")
    if len(values) > MAX_ITEMS:
        raise _unusable(f"{expression!r} gives {len(values)} items; there may be {MAX_ITEMS}")
    return values


def startable(state: StepState) -> list[ItemState]:
    """The items that may start now, in their order."""
    if state.step.for_each is None or state.status != RUNNING:
        return []
    free = state.step.for_each.max_parallel - sum(item.status in (RUNNING, WAITING) for item in state.items)
    return [item for item in state.items if item.status == PENDING][: max(0, free)]


def item_scope(item: ItemState, scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the expressions of the step's input see for this item."""
    return {**scope, "item": item.value, "index": item.place}


def fold(state: StepState) -> bool:
    """Make the step's output of its items' outputs once all are completed; raises StepFailedError for one too large."""
    if state.status != RUNNING or any(item.status != COMPLETED for item in state.items):
        return False
    output = [item.output for item in state.items]
    check_output(output)
    state.output = output
    return True


def failure_of(item: ItemState, failure: StepFailedError) -> StepFailedError:
    """The failure of the step, one of whose items has failed for good."""
    return StepFailedError(failure.code, f"item {item.place}: {failure.detail}", retryable=False)


def _unusable(detail: str) -> StepFailedError:
    return StepFailedError("for-each", detail, retryable=False)


def _named(value: Any) -> str:
    names = {dict: "an object", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
