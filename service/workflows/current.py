"""The input schemas of workflows' current versions, kept by each process.

A version never changes, but which one is current does, so what is kept may be old. Whoever uses it says for which
version it holds, and the statement that stores runs stores none when that is not the current one any more.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import autocommit

MOST_KEPT = 1000

_CURRENT = text(
    """
SELECT version.version, version.definition -> 'input_schema' AS input_schema
FROM workflows JOIN workflow_versions AS version
  ON version.workflow_id = workflows.id AND version.version = workflows.current_version
WHERE workflows.id = :workflow_id
"""
)


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """A version, and what its runs' inputs have to fit; None for anything."""

    version: int
    input_schema: Any


class CurrentVersions:
    """What one process knows of them; the workflows that are used least are forgotten first."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: OrderedDict[UUID, CurrentVersion] = OrderedDict()

    async def of(self, workflow_id: UUID) -> CurrentVersion | None:
        """The version that was current when it was last asked for; None where there is no such workflow."""
        found = self._kept.get(workflow_id)
        if found is None:
            async with autocommit(self._engine) as connection:
                row = (await connection.execute(_CURRENT, {"workflow_id": workflow_id})).one_or_none()
            if row is None:
                return None
            found = self._kept[workflow_id] = CurrentVersion(row.version, row.input_schema)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(workflow_id)
        return found

    def forget(self, workflow_id: UUID) -> None:
        """Ask again next time: what was known turned out to be old."""
        self._kept.pop(workflow_id, None)
