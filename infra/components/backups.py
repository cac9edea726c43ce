"""The repository of Postgres' backups: its host, and what fills it by the clock."""

import pulumi

from infra.endpoints import Placed
from infra.postgres.names import (
    BACKUP_FIGURES_PORT,
    BACKUP_PORT,
    BACKUPS,
    FULL_BACKUP,
    INCREMENTAL_BACKUP,
    MEMBERS,
    REPOSITORY_FOLDER,
    member_hosts,
)
from infra.postgres.pgbackrest import CONFIG_FILE, PASSPHRASE_FILE, passphrase_file, repository_config
from infra.targets import Target
from infra.trust import IDENTITY_FILES, Trust
from infra.workload import DataVolume, Health, Kind, Port, TcpCheck, Workload
from stacks.model import Stack

VOLUME = "repository"
STOP_SECONDS = 30
PORTS = (Port(BACKUP_PORT, peers=[MEMBERS]), Port(BACKUP_FIGURES_PORT, peers=["prometheus"]))


class Backups(pulumi.ComponentResource):
    """pgBackRest's repository host, a daily full and an hourly incremental backup, all encrypted with `passphrase`."""

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
            part: str, kind: Kind, command: list[str], volume: DataVolume, *, schedule: str | None = None
        ) -> Placed:
            host = kind is Kind.STATEFUL
            return target.place(
                Workload(
                    part=part,
                    image=image,
                    kind=kind,
                    resources=backup.resources,
                    command=command,
                    env=keep,
                    config_files={CONFIG_FILE: config},
                    secret_files={PASSPHRASE_FILE: secret, **trust.identity(part)},
                    rereads=IDENTITY_FILES | {CONFIG_FILE},
                    ports=PORTS if host else [],
                    volumes=[volume],
                    health=Health(
                        ["tcp-probe", "127.0.0.1", str(BACKUP_PORT)], backup.health, probe=TcpCheck(BACKUP_PORT)
                    )
                    if host
                    else None,
                    stop_seconds=STOP_SECONDS,
                    schedule=schedule,
                    # The volume can be mounted on one machine only.
                    near=None if host else BACKUPS,
                ),
                parent=self,
            )

        own = DataVolume(VOLUME, REPOSITORY_FOLDER, backup.size)
        shared = DataVolume(VOLUME, REPOSITORY_FOLDER, owner=BACKUPS)
        self.placed = [
            place(BACKUPS, Kind.STATEFUL, ["backups-start"], own),
            place(FULL_BACKUP, Kind.SCHEDULE, ["backup-run", "full"], shared, schedule=backup.full),
            place(INCREMENTAL_BACKUP, Kind.SCHEDULE, ["backup-run", "incr"], shared, schedule=backup.incremental),
        ]
        self.register_outputs({})
