"""The console's routes; ``ROUTERS`` are all of them."""

from service.console.routes import agents, audit, login, run, runs, schedules, static, workflows

_PARTS = (runs, run, workflows, schedules, agents, audit, login, static)
ROUTERS = tuple(part.router for part in _PARTS)
