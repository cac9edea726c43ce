"""What the tests of firing share: stored schedules whose times are moved, instead of clocks."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import transaction
from service.platform.ids import new_id
from service.platform.tables import runs, schedules
from service.schedules.store import database_now


async def add_schedule(engine: AsyncEngine, workflow_id: UUID, *, late: timedelta, **changes: Any) -> UUID:
    """Store a schedule of every hour's current minute, due since ``late`` (rounded to the minute before)."""
    return (await add_schedules(engine, workflow_id, 1, late=late, **changes))[0]


async def add_schedules(
    engine: AsyncEngine, workflow_id: UUID, count: int, *, late: timedelta, **changes: Any
) -> list[UUID]:
    """So many of them."""
    ids = [new_id() for _ in range(count)]
    async with transaction(engine) as connection:
        due = (await database_now(connection) - late).replace(second=0, microsecond=0)
        values = {
            "workflow_id": workflow_id,
            "expression": f"{due.minute} * * * *",
            "time_zone": "UTC",
            "catch_up": "latest",
            "catch_up_limit": 10,
            "overlap": "allow",
            "next_fire_at": due,
            "created_by": "test",
            **changes,
        }
        await connection.execute(schedules.insert(), [{"id": each, "name": str(each), **values} for each in ids])
    return ids


async def read_schedule(engine: AsyncEngine, schedule_id: UUID) -> Any:
    """The schedule's row."""
    async with transaction(engine) as connection:
        return (await connection.execute(select(schedules).where(schedules.c.id == schedule_id))).one()


async def move_back(engine: AsyncEngine, schedule_id: UUID, to: datetime) -> None:
    """As if the schedule had not been looked at since then."""
    async with transaction(engine) as connection:
        await connection.execute(schedules.update().where(schedules.c.id == schedule_id).values(next_fire_at=to))


async def runs_of(engine: AsyncEngine, *schedule_ids: UUID) -> list[Any]:
    """The runs of the schedules, by planned time."""
    actors = [f"schedule:{each}" for each in schedule_ids]
    async with transaction(engine) as connection:
        query = select(runs).where(runs.c.requested_by.in_(actors)).order_by(runs.c.correlation_id)
        return list((await connection.execute(query)).all())
