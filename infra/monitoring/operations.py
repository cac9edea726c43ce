"""Who answers for the stack and what was promised, as series: shown where alerts are, and used by rules."""

from datetime import UTC, date, datetime, time

import yaml

from stacks.parts.operations import Operations

FILE = "operations.yml"
"""Its name among the rule files."""

CONTACT = "declared_contact"
CONTACTS_REVIEWED = "declared_contacts_reviewed_seconds"
ON_CALL = "declared_oncall"
ON_CALL_SINCE = "declared_oncall_since_seconds"
ON_CALL_TURN = "declared_oncall_turn_seconds"
RECOVERY_POINT = "declared_recovery_point_seconds"
RECOVERY_TIME = "declared_recovery_time_seconds"

_DAY_SECONDS = 24 * 3600


def render(operations: Operations) -> str:
    """A rule file that records them."""
    recovery = operations.recovery
    records = [
        _record(RECOVERY_POINT, recovery.point_minutes * 60),
        _record(RECOVERY_TIME, recovery.time_minutes * 60),
    ]
    if (contacts := operations.contacts) is not None:
        roles = contacts.model_dump(exclude={"reviewed"})
        records += [_record(CONTACT, 1, role=role.replace("_", "-"), address=at) for role, at in roles.items()]
        records.append(_record(CONTACTS_REVIEWED, _midnight(contacts.reviewed)))
    if (on_call := operations.on_call) is not None:
        records += [
            _record(ON_CALL, 1, turn=str(turn), address=person) for turn, person in enumerate(on_call.people, 1)
        ]
        records.append(_record(ON_CALL_SINCE, _midnight(on_call.since)))
        records.append(_record(ON_CALL_TURN, on_call.turn_days * _DAY_SECONDS))
    return yaml.safe_dump({"groups": [{"name": "operations", "rules": records}]}, sort_keys=False)


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _record(name: str, value: int, **labels: str) -> dict[str, object]:
    return {"record": name, "expr": f"vector({value})", **({"labels": labels} if labels else {})}
