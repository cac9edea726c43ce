"""Any number of runs: as many requests as it takes, each done once however often it is sent."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID, uuid4

from wfm.calls import Flow, Id, ask
from wfm.errors import BulkError, WorkflowError

MAX_RUNS = 1_000
MAX_BYTES = 1_000_000
"""Of one request's inputs; the server takes bodies of 1 MiB."""


def chunks(inputs: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Inputs in groups that fit into one request. The same inputs make the same groups."""
    group: list[dict[str, Any]] = []
    size = 0
    for each in inputs:
        length = len(json.dumps(each, ensure_ascii=False, default=str).encode()) + len('{"input":},')
        if group and (len(group) == MAX_RUNS or size + length > MAX_BYTES):
            yield group
            group, size = [], 0
        group.append(each)
        size += length
    if group:
        yield group


def execute_many(
    workflow_id: Id, inputs: Iterable[dict[str, Any]], *, idempotency_key: str | None = None
) -> Flow[list[UUID]]:
    """Execute once for each input, up to 1,000 with a request; gives the runs' ids in the order of the inputs.

    Raises BulkError when a request fails after others were accepted; the same with its key goes on from there.
    """
    from wfm.operations.workflows import execute_at_once

    key = idempotency_key or str(uuid4())
    accepted: list[UUID] = []
    for number, group in enumerate(chunks(inputs)):
        body = {"runs": [{"input": each} for each in group]}
        try:
            answer = yield from ask(execute_at_once(workflow_id, body, idempotency_key=f"{key}-{number}"))
        except WorkflowError as error:
            # Also after the first one: whether it was stored may be not known, and with the key it does not matter.
            raise BulkError(accepted, key, str(error)) from error
        accepted += answer.run_ids
    return accepted
