"""What a run finds in its input about the schedule that began it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.schedules.schemas import RESERVED
from service.schedules.timetable import Timetable


def input_of(
    own: dict[str, Any], *, schedule_id: UUID, name: str, planned: datetime, timetable: Timetable
) -> dict[str, Any]:
    """The whole input of the run of one planned time: the schedule's own, and what planned it."""
    told = {
        "id": str(schedule_id),
        "name": name,
        "planned_at": planned.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "planned_local": timetable.local(planned).isoformat(),
    }
    return {**own, RESERVED: told}
