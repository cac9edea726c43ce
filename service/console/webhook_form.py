"""The form of a webhook: what it is filled with, and what it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from service.console.refusal import read_model
from service.console.workflow_choice import UNKNOWN, offered_names, workflow_called
from service.platform.database import autocommit
from service.platform.problems import FieldProblem, ProblemError, invalid
from service.state import ServiceState
from service.webhooks.schemas import EventName, WebhookAnswer, WebhookRequest
from service.workflows import store

EVENTS: tuple[str, ...] = get_args(EventName)
_EVENT = "event-"
"""What the names of the boxes begin with."""


@dataclass(frozen=True, slots=True)
class TypedWebhook:
    """What the form is filled with; the workflow is a name or an id."""

    name: str = ""
    url: str = ""
    events: frozenset[str] = frozenset()
    workflow: str = ""

    @classmethod
    def sent(cls, fields: Mapping[str, str]) -> "TypedWebhook":
        """As a form sends it."""
        name, url, workflow = (fields.get(name, "").strip() for name in ("name", "url", "workflow_id"))
        events = frozenset(each for each in EVENTS if f"{_EVENT}{each}" in fields)
        return cls(name, url, events, workflow)

    @classmethod
    async def of(cls, webhook: WebhookAnswer, state: ServiceState) -> "TypedWebhook":
        """As a webhook is."""
        workflow = ""
        if webhook.workflow_id is not None:
            async with autocommit(state.engine) as connection:
                names = await store.names(connection, [webhook.workflow_id])
            workflow = names.get(webhook.workflow_id, str(webhook.workflow_id))
        return cls(webhook.name, webhook.url, frozenset(webhook.events), workflow)

    async def asked(self, state: ServiceState) -> WebhookRequest:
        """The webhook as it shall be. Raises a 422 problem that names all fields that are wrong."""
        workflow_id = await workflow_called(self.workflow, state)
        problems = []
        if not self.events:
            problems.append(FieldProblem(field="events", message="choose at least one"))
        if self.workflow and workflow_id is None:
            problems.append(FieldProblem(field="workflow_id", message=UNKNOWN))
        values = {"name": self.name, "url": self.url, "events": sorted(self.events), "workflow_id": workflow_id}
        try:
            body = read_model(WebhookRequest, values)
        except ProblemError as error:
            named = {each.field for each in problems}
            raise invalid([*(each for each in error.errors if each.field not in named), *problems]) from None
        if problems:
            raise invalid(problems)
        return body


async def form_context(typed: TypedWebhook, state: ServiceState) -> dict[str, Any]:
    """What the form's template needs besides problems."""
    return {"typed": typed, "events": EVENTS, "event_prefix": _EVENT, "offered": await offered_names(state)}
