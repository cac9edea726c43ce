"""A shape for each status, so that it is told by more than its colour: paths in a square of 16."""

ICONS = {
    "completed": "M3 8.5 6.5 12 13 4.5",
    "failed": "M4 4 12 12M12 4 4 12",
    "running": "M5 3 13 8 5 13z",
    "queued": "M8 3a5 5 0 1 0 .01 0zM8 5.5V8l2 1.5",
    "pending": "M8 3a5 5 0 1 0 .01 0z",
    "skipped": "M3 4 7 8 3 12M9 4 13 8 9 12",
    "cancelled": "M4 4h8v8H4z",
    "waiting": "M4 3h8M4 13h8M5 3c0 3 3 4 3 5s-3 2-3 5M11 3c0 3-3 4-3 5s3 2 3 5",
    "paused": "M5.5 3v10M10.5 3v10",
    "active": "M3 8.5 6.5 12 13 4.5",
    "disabled": "M4 12 12 4M8 2.5a5.5 5.5 0 1 0 .01 0z",
    "failing": "M8 3v6M8 12.5v.5",
    "open": "M8 3v6M8 12.5v.5",
    "requeued": "M13 8a5 5 0 1 1-1.5-3.5M12 2v3H9",
    "discarded": "M3 8h10",
    "delivered": "M3 8.5 6.5 12 13 4.5",
    "dead": "M4 4 12 12M12 4 4 12",
    "step": "M5 5h6v6H5z",
}
"""By status of runs, steps, schedules, webhooks, deliveries and dead letters; ``step`` is a step of no run."""
