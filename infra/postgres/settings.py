"""Server settings that the stack decides, the same for a single server and for every member of a cluster."""

from stacks.parts.postgres import Postgres


def stack_settings(postgres: Postgres) -> dict[str, str]:
    """The settings by name."""
    return {
        "max_connections": str(postgres.max_connections),
        "shared_buffers": f"{postgres.shared_buffers}MB",
        "log_min_duration_statement": "500ms",
        "log_lock_waits": "on",
        "idle_in_transaction_session_timeout": "60s",
    }


def server_settings(postgres: Postgres) -> str:
    """The same as a piece of postgresql.conf."""
    return "".join(f"{name} = {value}\n" for name, value in stack_settings(postgres).items())
