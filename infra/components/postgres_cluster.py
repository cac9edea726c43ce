"""Highly available Postgres: Patroni's members, the roles and logins in it, and its backups."""

import pulumi

from infra.components.backups import Backups
from infra.endpoints import PostgresEndpoint, ScrapeTarget
from infra.postgres.names import (
    BACKUP_FIGURES_PORT,
    BACKUP_PORT,
    BACKUPS,
    DATA_VOLUME,
    FULL_BACKUP,
    INCREMENTAL_BACKUP,
    MEMBERS,
    REPLICAS_SERVICE,
    REST_PORT,
    RESTORE_DRILL,
    ROLES_JOB,
    SCRATCH_FOLDER,
    SERVER_PORT,
    SOCKET_FOLDER,
    member_domain,
)
from infra.postgres.patroni import PRIMARY_ROLE, REPLICA_ROLE, ROLE_LABEL, STATE_OBJECTS, patroni_config
from infra.postgres.pgbackrest import CONFIG_FILE, member_config
from infra.stack_secrets import Secrets
from infra.targets import Target
from infra.trust import IDENTITY_FILES, Trust
from infra.workload import ApiAccess, DataVolume, Health, HttpCheck, Kind, Port, Readiness, Workload
from stacks.model import Stack
from stacks.parts.common import HealthTiming, Resources

PROGRAMS = ("api", "relay", "executor", "migrations", "monitoring")
"""Who has a login of its own, with the rights of its group role."""

CLIENTS = (MEMBERS, ROLES_JOB, "migrations", "api", "relay", "executor", "postgres-exporter", RESTORE_DRILL)
STOP_SECONDS = 60
"""Longer than Patroni takes to stop its server and to hand the lock over."""

LIVENESS = HealthTiming(interval=10, timeout=5, start_period=30, retries=6)
READINESS = HealthTiming(interval=10, timeout=5, start_period=2, retries=2)
"""A member is asked about itself over HTTPS, which starts no process."""


class PostgresCluster(pulumi.ComponentResource):
    """The members, the job that makes roles and logins, and the backups; `endpoint` is always the primary."""

    def __init__(self, stack: Stack, target: Target, trust: Trust, image: str, secrets: Secrets) -> None:
        super().__init__("workflow:infra:PostgresCluster", "postgres-cluster")
        if not trust.enabled:
            raise TypeError("a cluster's members know one another by certificates; this stack has none")
        settings = stack.postgres
        logins = {program: secrets.logins("postgres", program, "_") for program in PROGRAMS}
        members = target.place(_members(stack, trust, image), parent=self)
        roles = target.place(
            Workload(
                part=ROLES_JOB,
                image=image,
                kind=Kind.JOB,
                resources=Resources(cpus=1, memory=128, cpu_request=0.05),
                command=["postgres-roles"],
                env={
                    "PGHOST": MEMBERS,
                    "POSTGRES_DB": settings.database,
                    "SECRET_GENERATION": str(stack.secret_generation),
                },
                secret_files={
                    **{login.user: login.password for found in logins.values() for login in found},
                    **trust.identity(ROLES_JOB),
                },
                # A renewed certificate is no reason to do the job again.
                rereads=IDENTITY_FILES,
            ),
            parent=self,
            needs=[members.resource],
        )
        backups = Backups(stack, target, trust, image, secrets.fixed("backupPassphrase"))
        self.placed = [members, roles, *backups.placed]
        self.scrape = [
            ScrapeTarget("patroni", MEMBERS, REST_PORT, scheme=trust.scheme, replicas=settings.members),
            ScrapeTarget("backups", BACKUPS, BACKUP_FIGURES_PORT, scheme=trust.scheme),
        ]
        self.endpoint = PostgresEndpoint(
            host=MEMBERS,
            port=SERVER_PORT,
            database=settings.database,
            logins={program: found[0] for program, found in logins.items()},
            ca=trust.authority,
            identity=trust.identity,
            ready=[members.resource, roles.resource],
        )
        self.register_outputs({})


def _members(stack: Stack, trust: Trust, image: str) -> Workload:
    settings = stack.postgres
    return Workload(
        part=MEMBERS,
        image=image,
        kind=Kind.STATEFUL,
        resources=settings.resources,
        command=["patroni-start"],
        env={"MEMBER_DOMAIN": member_domain(stack.namespace)},
        config_files={
            "patroni.yml": patroni_config(settings, stack.name, stack.namespace),
            CONFIG_FILE: member_config(),
        },
        secret_files=trust.identity(MEMBERS, [REPLICAS_SERVICE]),
        # Not patroni.yml: some settings need a restart, which a rolling update does in the right order.
        rereads=IDENTITY_FILES | {CONFIG_FILE},
        ports=[
            Port(SERVER_PORT, peers=CLIENTS),
            Port(REST_PORT, peers=[MEMBERS, "prometheus"]),
            Port(BACKUP_PORT, peers=[BACKUPS, FULL_BACKUP, INCREMENTAL_BACKUP]),
        ],
        volumes=[DataVolume("data", DATA_VOLUME, settings.size)],
        scratch=[SCRATCH_FOLDER, SOCKET_FOLDER],
        health=Health(
            ["pg_isready", "--quiet", f"--host={SOCKET_FOLDER}"],
            settings.health,
            probe=HttpCheck(REST_PORT, "/liveness", tls=True),
            readiness=Readiness(HttpCheck(REST_PORT, "/readiness", tls=True), READINESS),
        ),
        stop_seconds=STOP_SECONDS,
        replicas=settings.members,
        services={
            MEMBERS: {ROLE_LABEL: PRIMARY_ROLE},
            REPLICAS_SERVICE: {ROLE_LABEL: REPLICA_ROLE},
        },
        identity=True,
        api_access=_rights(settings.members),
    )


def _rights(members: int) -> list[ApiAccess]:
    """What Patroni does with the cluster's API: keep its state, see its members, and label them."""
    names = [f"{MEMBERS}-{number}" for number in range(members)]
    return [
        # Kubernetes can't bound creating, listing and watching by name.
        ApiAccess("", ["configmaps"], ["create", "list", "watch"]),
        ApiAccess("", ["configmaps"], ["get", "patch"], STATE_OBJECTS),
        ApiAccess("", ["pods"], ["list", "watch"]),
        ApiAccess("", ["pods"], ["patch"], names),
    ]
