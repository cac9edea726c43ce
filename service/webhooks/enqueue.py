"""Stores what is to be sent about a run in the statement that ends it, so that nothing is sent or lost by a crash."""

NOTED = """, noted AS (
    INSERT INTO webhook_deliveries (webhook_id, run_id, event, payload)
    SELECT webhooks.id, owner.id, 'run.' || owner.status, jsonb_build_object(
        'id', owner.id, 'workflow_id', owner.workflow_id, 'workflow_version', runs.workflow_version,
        'status', owner.status, 'correlation_id', owner.correlation_id, 'requested_by', owner.requested_by,
        'created_at', runs.created_at, 'started_at', owner.started_at, 'finished_at', now(),
        'error_code', owner.error ->> 'code'
    )
    FROM webhooks JOIN owner ON webhooks.workflow_id IS NULL OR webhooks.workflow_id = owner.workflow_id
    JOIN runs ON runs.id = owner.id
    WHERE webhooks.disabled_at IS NULL AND 'run.' || owner.status = ANY(webhooks.events)
)"""
"""A part of a statement whose part ``owner`` has the ended runs. It knows of the run what callers did not choose.

``started_at`` is from ``owner`` because the same statement may write it, and ``runs`` is seen here as it was before."""
