"""The repository of Postgres' backups: its host, and what fills it by the clock."""

from collections.abc import Mapping
from dataclasses import replace

import pulumi

from infra.endpoints import Placed
from infra.postgres.names import (
    BACKUP_FIGURES_PORT,
    BACKUP_PORT,
    BACKUPS,
    DRILL_FOLDER,
    FULL_BACKUP,
    INCREMENTAL_BACKUP,
    MEMBERS,
    REPOSITORY_FOLDER,
    RESTORE_DRILL,
    member_hosts,
)
from infra.postgres.pgbackrest import CONFIG_FILE, PASSPHRASE_FILE, passphrase_file, repository_config
from infra.targets import Target
from infra.trust import IDENTITY_FILES, Trust
from infra.workload import DataVolume, Health, Kind, Port, TcpCheck, Workload
from stacks.model import Stack

VOLUME = "repository"
STOP_SECONDS = 30
DRILL_SECONDS = 4 * 3600
"""After how long a drill is ended: it restores, replays and reads the whole database."""
PORTS = (Port(BACKUP_PORT, peers=[MEMBERS]), Port(BACKUP_FIGURES_PORT, peers=["prometheus"]))


class Backups(pulumi.ComponentResource):
    """pgBackRest's repository host, a daily full and an hourly incremental backup, all encrypted with `passphrase`,
    and the drill that restores them and compares."""

    def __init__(self, stack: Stack, target: Target, trust: Trust, image: str, passphrase: pulumi.Output[str]) -> None:
        super().__init__("workflow:infra:Backups", "postgres-backups")
        backup = stack.postgres.backup
        config = repository_config(backup, member_hosts(stack.postgres.members, stack.namespace))
        secret: pulumi.Output[str] = pulumi.Output.secret(passphrase.apply(passphrase_file))
        keep = {
            "BACKUP_KEEP_DAILY": str(backup.keep_daily),
            "BACKUP_KEEP_WEEKLY": str(backup.keep_weekly),
            "BACKUP_KEEP_MONTHLY": str(backup.keep_monthly),
        }

        def place(
            part: str,
            kind: Kind,
            command: list[str],
            *volumes: DataVolume,
            schedule: str | None = None,
            env: Mapping[str, str] = keep,
            longest_seconds: int | None = None,
        ) -> Placed:
            host = kind is Kind.STATEFUL
            return target.place(
                Workload(
                    part=part,
                    image=image,
                    kind=kind,
                    resources=backup.resources,
                    command=command,
                    env=env,
                    config_files={CONFIG_FILE: config},
                    secret_files={PASSPHRASE_FILE: secret, **trust.identity(part)},
                    rereads=IDENTITY_FILES | {CONFIG_FILE},
                    ports=PORTS if host else [],
                    volumes=volumes,
                    health=Health(
                        ["tcp-probe", "127.0.0.1", str(BACKUP_PORT)], backup.health, probe=TcpCheck(BACKUP_PORT)
                    )
                    if host
                    else None,
                    stop_seconds=STOP_SECONDS,
                    schedule=schedule,
                    longest_seconds=longest_seconds,
                    # The volume can be mounted on one machine only.
                    near=None if host else BACKUPS,
                ),
                parent=self,
            )

        own = DataVolume(VOLUME, REPOSITORY_FOLDER, backup.size)
        shared = DataVolume(VOLUME, REPOSITORY_FOLDER, owner=BACKUPS)
        drill = {"PGHOST": MEMBERS, "POSTGRES_DB": stack.postgres.database, "DRILL_SCRATCH": DRILL_FOLDER}
        self.placed = [
            place(BACKUPS, Kind.STATEFUL, ["backups-start"], own),
            place(FULL_BACKUP, Kind.SCHEDULE, ["backup-run", "full"], shared, schedule=backup.full),
            place(INCREMENTAL_BACKUP, Kind.SCHEDULE, ["backup-run", "incr"], shared, schedule=backup.incremental),
            # It reads the repository and can't change it; what it restores is gone with it.
            place(
                RESTORE_DRILL,
                Kind.SCHEDULE,
                ["restore-drill"],
                replace(shared, read_only=True),
                DataVolume("drill", DRILL_FOLDER, stack.postgres.size, passing=True),
                schedule=backup.drill,
                env=drill,
                longest_seconds=DRILL_SECONDS,
            ),
        ]
        self.register_outputs({})
