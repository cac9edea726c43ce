"""The database, its backups, and one of somebody else."""

from typing import Annotated

from pydantic import Field

from stacks.parts.common import HealthTiming, Part, Resources
from stacks.quantities import Memory, Port

Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
"""A name that Postgres takes without quotes."""

Cron = Annotated[str, Field(pattern=r"^(\S+\s+){4}\S+$")]


class ExternalPostgres(Part):
    """A server that somebody else runs. Connections are encrypted and the server is verified."""

    host: Annotated[str, Field(min_length=1)]
    port: Port = 5432
    ca_file: Annotated[str, Field(min_length=1)]
    """The certificates by which it is trusted, PEM; a path below the project's folder."""


class Backup(Part):
    """Physical backups of a cluster with its write-ahead log; times are cron's five fields, UTC."""

    full: Cron = "15 1 * * *"
    incremental: Cron = "45 * * * *"
    drill: Cron = "30 3 * * 0"
    """When the newest backup is restored into a scratch server and compared with the live tables."""
    keep_daily: Annotated[int, Field(ge=1, le=366)] = 14
    """Days whose newest full backup is kept, with its incremental ones and the log: any point in time can be had."""
    keep_weekly: Annotated[int, Field(ge=0, le=520)] = 8
    keep_monthly: Annotated[int, Field(ge=0, le=120)] = 12
    size: Annotated[Memory, Field(ge=512)] = 8192
    """Of the repository's volume."""
    resources: Resources = Resources(cpus=1, memory=256)
    health: HealthTiming = HealthTiming()


class Postgres(Part):
    """The database server."""

    database: Identifier = "workflow_db"
    user: Identifier = "workflow_user"
    max_connections: Annotated[int, Field(ge=20, le=10000)] = 100
    shared_buffers: Memory = 128
    resources: Resources = Resources(cpus=1, memory=512)
    health: HealthTiming = HealthTiming(interval=3, retries=20)
    provision: bool = True
    """Whether the server is made here; where not, `external` says where it is."""
    external: ExternalPostgres | None = None
    members: Annotated[int, Field(ge=1, le=7)] = 1
    """One primary and its standbys; several need a target that replicates."""
    synchronous: bool = True
    """Whether a commit waits until a standby has it too, while there is one."""
    size: Annotated[Memory, Field(ge=512)] = 4096
    """Of each member's volume, where the target can bound it."""
    backup: Backup = Backup()
