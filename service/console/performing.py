"""Adds the routes that do what the buttons of a page say."""

from collections.abc import Iterable
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from service.auth.access import GuardedRouter
from service.auth.principal import Caller
from service.console.access import guarded
from service.console.actions import Action
from service.console.pages import go_to
from service.platform.problems import documented
from service.runs.schemas import AcceptedAgain
from service.state import State


def add_actions(router: GuardedRouter, below: str, actions: Iterable[Action]) -> None:
    """A route for each action below a page's path, such as ``/runs``; leads there, to the new run or to the list."""
    for action in actions:
        _add(router, below, action)


def _add(router: GuardedRouter, below: str, action: Action) -> None:
    async def perform(subject_id: UUID, request: Request, caller: Caller, state: State) -> Response:
        given = await action.perform(subject_id, request, caller, state)
        if action.is_last:
            return go_to(request, below, done=action.name)
        shown = given.run_id if isinstance(given, AcceptedAgain) else subject_id
        return go_to(request, f"{below}/{shown}", done=action.name)

    router.add_api_route(
        f"{below}/{{subject_id}}/{action.name}",
        perform,
        methods=["POST"],
        dependencies=[guarded(action.scope, audit=action.audit)],
        responses=documented(404, 409),
        name=f"console_{action.audit}",
    )
