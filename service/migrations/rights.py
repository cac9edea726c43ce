"""What each program may do with each table, given to the group roles of a server that has such roles.

The rights are said beside the tables, and given by whoever makes the tables. A server with one user for everything, as
in development, has no such roles, and nothing happens. `cluster-roles.sql` of the Postgres image makes them.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

READ = ("SELECT",)
WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")
APPEND = ("SELECT", "INSERT")

RIGHTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "api": {
        "users": READ,
        "api_keys": ("SELECT", "INSERT", "UPDATE"),
        "agents": WRITE,
        "workflows": WRITE,
        "workflow_versions": APPEND,
        # Never deleted but with their workflow: they tell executors of runs that wait.
        "workflow_limits": ("SELECT", "INSERT", "UPDATE"),
        # It accepts runs, marks what executors shall do with them, and takes those that no executor holds out of the
        # queue and puts them back. What a run does, and how it ends, is the executor's.
        "runs": (
            "SELECT",
            "INSERT",
            "UPDATE (cancel_requested_at, pause_requested_at, status, paused_at, paused_seconds, queued_at, signals)",
        ),
        # A retry begins with copies of what its origin has done.
        "run_steps": ("SELECT", "INSERT (run_id, step_id, status, attempt, output, started_at, finished_at)"),
        "signals": APPEND,
        # A retry begins with a line that says so.
        "run_logs": ("SELECT", "INSERT (run_id, number, level, message, fields)"),
        "idempotency_keys": APPEND,
        "schedules": WRITE,
        "webhooks": WRITE,
        # It shows them, sends one again, and deletes those of a webhook that is deleted.
        "webhook_deliveries": ("SELECT", "UPDATE", "DELETE"),
        "outbox": ("INSERT", "SELECT (id)"),
        "dead_letters": ("SELECT", "UPDATE (state, settled_at, settled_by)"),
        "audit_log": APPEND,
        # It tells which schema it works with.
        "alembic_version": READ,
    },
    "relay": {
        # A row that is locked needs the right to change something of it, though nothing ever is.
        "outbox": ("SELECT", "INSERT", "DELETE", "UPDATE (id)"),
        # Beside relaying it fires schedules: it accepts their runs and moves their times on.
        "runs": ("SELECT (id, workflow_version, status, requested_by, created_at, started_at)", "INSERT"),
        # It shows for how long nothing has happened to a run.
        "run_steps": ("SELECT (run_id, started_at, finished_at)",),
        "workflows": ("SELECT (id, current_version)",),
        "schedules": (
            "SELECT",
            "UPDATE (next_fire_at, last_planned_at, last_run_id, last_skipped_at, last_skip_reason)",
        ),
        # It sends what webhooks wait for, and switches off one that fails for long.
        "webhooks": ("SELECT", "UPDATE (failing_since, disabled_at, disabled_reason)"),
        "webhook_deliveries": ("SELECT", "UPDATE", "DELETE"),
        "audit_log": ("INSERT",),
        "dead_letters": ("SELECT (place, times, state)", "INSERT", "UPDATE (times, last_seen_at)"),
    },
    "executor": {
        # A step executes a workflow that it knows by name.
        "workflows": ("SELECT (id, name, current_version)",),
        "workflow_versions": READ,
        # It marks that it has claimed runs under them.
        "workflow_limits": ("SELECT", "UPDATE (revision)"),
        # A step begins a run, with its message; the end of one is a signal for the step that began it.
        "runs": ("SELECT", "INSERT", "UPDATE"),
        "run_steps": ("SELECT", "INSERT", "UPDATE"),
        "signals": APPEND,
        "outbox": ("INSERT",),
        # It adds lines, and sees how much a run has logged before it was taken over.
        "run_logs": ("SELECT (run_id, message, fields)", "INSERT"),
        "inbox": ("SELECT", "INSERT", "DELETE"),
        # It forgets those that are too old to be sent again; it knows them by their time only.
        "idempotency_keys": ("SELECT (created_at)", "DELETE"),
        # With the end of a run it stores what is to be sent about it.
        "webhooks": ("SELECT (id, workflow_id, events, disabled_at)",),
        "webhook_deliveries": ("INSERT",),
        "audit_log": ("INSERT",),
        # What is in a letter is none of its business any more.
        "dead_letters": ("SELECT (place, times)", "INSERT", "UPDATE (times, last_seen_at)"),
    },
}
"""By group role and table. Nobody but the owner may delete or change what is in the audit log, and nobody has a right
to one of its partitions: rights to the whole are enough."""

FUNCTIONS: Mapping[str, Sequence[str]] = {
    "relay": (
        "forget_runs(integer, integer)",
        "forget_dead_letters(integer, integer)",
        "forget_audit(integer, integer)",
        "make_audit_partitions(integer)",
    ),
}
"""By group role: functions that run with the owner's rights and do one thing that the role may not do by itself."""

NUMBERED = ("outbox", "audit_log")
"""Tables that number their rows: who inserts into them draws from their sequence."""


async def grant(connection: AsyncConnection) -> list[str]:
    """Bring the rights of the group roles to RIGHTS, in the connection's transaction; returns the roles there are.

    Rights that are not listed are taken away. The caller must own the tables.
    """
    query = text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names) AND NOT rolcanlogin")
    found = sorted(row.rolname for row in await connection.execute(query, {"names": list(RIGHTS)}))
    # Names of ours, not the server's, become part of statements.
    for role in [each for each in RIGHTS if each in found]:
        for kind in ("TABLES", "SEQUENCES"):
            await connection.execute(text(f"REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {role}"))
        for table, rights in RIGHTS[role].items():
            await connection.execute(text(f"GRANT {', '.join(rights)} ON {table} TO {role}"))
            if table in NUMBERED and "INSERT" in rights:
                await connection.execute(text(f"GRANT USAGE ON SEQUENCE {table}_id_seq TO {role}"))
        # One by one: what else the schema holds may be an extension's, whose rights are not ours to take.
        for function in {each for functions in FUNCTIONS.values() for each in functions}:
            await connection.execute(text(f"REVOKE ALL ON FUNCTION {function} FROM {role}"))
        for function in FUNCTIONS.get(role, ()):
            await connection.execute(text(f"GRANT EXECUTE ON FUNCTION {function} TO {role}"))
    return found
