"""Each subject's operations as methods: of the client that waits, and of the one that is awaited."""

from wfm.calls import AsyncPart, SyncPart
from wfm.operations.agents import AgentOperations
from wfm.operations.audit import AuditOperations
from wfm.operations.auth import AuthOperations
from wfm.operations.deadletters import DeadLetterOperations
from wfm.operations.health import HealthOperations
from wfm.operations.keys import KeyOperations
from wfm.operations.runs import RunOperations
from wfm.operations.schedules import ScheduleOperations
from wfm.operations.webhooks import WebhookOperations
from wfm.operations.workflows import WorkflowOperations


class Agents(AgentOperations, SyncPart):
    """``client.agents``"""


class AsyncAgents(AgentOperations, AsyncPart):
    """``client.agents``"""


class Audit(AuditOperations, SyncPart):
    """``client.audit``"""


class AsyncAudit(AuditOperations, AsyncPart):
    """``client.audit``"""


class Auth(AuthOperations, SyncPart):
    """``client.auth``"""


class AsyncAuth(AuthOperations, AsyncPart):
    """``client.auth``"""


class DeadLetters(DeadLetterOperations, SyncPart):
    """``client.dead_letters``"""


class AsyncDeadLetters(DeadLetterOperations, AsyncPart):
    """``client.dead_letters``"""


class Health(HealthOperations, SyncPart):
    """``client.health``"""


class AsyncHealth(HealthOperations, AsyncPart):
    """``client.health``"""


class Keys(KeyOperations, SyncPart):
    """``client.keys``"""


class AsyncKeys(KeyOperations, AsyncPart):
    """``client.keys``"""


class Runs(RunOperations, SyncPart):
    """``client.runs``"""


class AsyncRuns(RunOperations, AsyncPart):
    """``client.runs``"""


class Schedules(ScheduleOperations, SyncPart):
    """``client.schedules``"""


class AsyncSchedules(ScheduleOperations, AsyncPart):
    """``client.schedules``"""


class Webhooks(WebhookOperations, SyncPart):
    """``client.webhooks``"""


class AsyncWebhooks(WebhookOperations, AsyncPart):
    """``client.webhooks``"""


class Workflows(WorkflowOperations, SyncPart):
    """``client.workflows``"""


class AsyncWorkflows(WorkflowOperations, AsyncPart):
    """``client.workflows``"""
