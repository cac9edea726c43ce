"""Names, ports and places that the programs of a Postgres cluster share."""

from infra.trust import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE
from infra.workload import secret_path

MEMBERS, BACKUPS, ROLES_JOB = "postgres", "backups", "postgres-roles"
FULL_BACKUP, INCREMENTAL_BACKUP = "backup-full", "backup-incremental"
RESTORE_DRILL = "restore-drill"
REPLICAS_SERVICE = "postgres-replicas"

SERVER_PORT, REST_PORT, BACKUP_PORT, BACKUP_FIGURES_PORT = 5432, 8008, 8432, 9854

DATA_VOLUME = "/var/lib/postgresql/data"
DATA_FOLDER = f"{DATA_VOLUME}/15"
SOCKET_FOLDER = "/var/run/postgresql"
REPOSITORY_FOLDER = "/var/lib/pgbackrest"
SCRATCH_FOLDER = "/tmp"  # noqa: S108 - a path inside the container, in memory
DRILL_FOLDER = "/var/lib/drill"
"""Where a drill restores to."""

STANZA = "workflow"
"""What pgBackRest calls a cluster."""

REPLICATOR, REWINDER, SUPERUSER = "replicator", "rewinder", "postgres"
"""Roles inside the cluster. None has a password: a certificate, or the socket inside the container, proves them."""

DRILL_ROLE = "restore_drill"
"""Reads every table and marks a point in the log, to compare a restored copy; its certificate proves it."""

CERTIFICATE, KEY, AUTHORITY = secret_path(CERTIFICATE_FILE), secret_path(KEY_FILE), secret_path(AUTHORITY_FILE)


def member_domain(namespace: str) -> str:
    """What follows a member's name in its host name."""
    return f"{MEMBERS}-nodes.{namespace}.svc.cluster.local"


def member_hosts(members: int, namespace: str) -> list[str]:
    """The host names of all members."""
    return [f"{MEMBERS}-{number}.{member_domain(namespace)}" for number in range(members)]
