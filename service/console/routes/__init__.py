"""The console's routes; ``ROUTERS`` are all of them."""

from service.console.routes import (
    agents,
    audit,
    dead_letters,
    decision,
    login,
    replay,
    run,
    runs,
    schedules,
    static,
    webhook_changes,
    webhooks,
    workflows,
)

_PARTS = (
    runs,
    run,
    replay,
    decision,
    workflows,
    schedules,
    agents,
    dead_letters,
    webhook_changes,
    webhooks,
    audit,
    login,
    static,
)
ROUTERS = tuple(part.router for part in _PARTS)
