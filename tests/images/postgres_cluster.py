"""A Postgres member and a repository host on one Docker network, with the configuration that a stack gives them.

Patroni keeps its state with Kubernetes in a stack and in a file of its own here; everything else is the same.
"""

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import docker
import docker.errors
import yaml
from docker.models.containers import Container
from docker.models.networks import Network

from infra.certificates import Issued, issue, make_authority
from infra.postgres.names import (
    BACKUPS,
    DRILL_FOLDER,
    MEMBERS,
    REPOSITORY_FOLDER,
    RESTORE_DRILL,
    member_domain,
    member_hosts,
)
from infra.postgres.patroni import patroni_config
from infra.postgres.pgbackrest import member_config, passphrase_file, repository_config
from infra.trust import part_names
from stacks.parts.postgres import Postgres
from tests.images.containers import Engine, archive, engine, run, wait_until

NAMESPACE = "test"
DATABASE = "workflow_prod"
SETTINGS = Postgres(database=DATABASE, max_connections=60, shared_buffers=64, size=1024)
PASSWORDS = {
    f"{program}_{generation}": f"{program}-{generation}-6f1d0c"
    for program in ("api", "relay", "executor", "migrations", "monitoring")
    for generation in (1, 2, 3)
}
PASSPHRASE = "a passphrase of the repository 8c11"


@dataclass
class Cluster:
    """What a test speaks to."""

    containers: Engine
    network: Network
    authority: Issued = field(default_factory=lambda: make_authority("test authority", timedelta(days=1)))
    foreign: Issued = field(default_factory=lambda: make_authority("somebody else", timedelta(days=1)))

    def identity(self, part: str, authority: Issued | None = None) -> dict[str, str]:
        """The files of a part, newly issued."""
        signer = authority or self.authority
        made = issue(signer.certificate, signer.key, part, part_names(part, NAMESPACE), timedelta(hours=12))
        return {
            "secrets/tls.crt": made.certificate,
            "secrets/tls.key": made.key,
            "secrets/ca.crt": self.authority.certificate,
        }

    def member(self) -> Container:
        """The one member, running; it may not be ready yet."""
        document = yaml.safe_load(patroni_config(SETTINGS, "test", NAMESPACE))
        del document["kubernetes"]
        document["raft"] = {"data_dir": "/var/lib/postgresql/data/raft", "self_addr": "127.0.0.1:2222"}
        config = {
            "patroni.yml": yaml.safe_dump(document),
            "pgbackrest.conf": member_config(),
            **self.identity(MEMBERS),
        }
        return self._start(
            ["patroni-start"],
            [MEMBERS, *member_hosts(1, NAMESPACE)],
            config,
            {
                "POD_NAME": "postgres-0",
                "POD_IP": "127.0.0.1",
                "MEMBER_DOMAIN": member_domain(NAMESPACE),
            },
        )

    def backups(self) -> Container:
        """The repository's host, running."""
        config = self._repository(BACKUPS)
        environment = {"BACKUP_KEEP_DAILY": "14", "BACKUP_KEEP_WEEKLY": "8", "BACKUP_KEEP_MONTHLY": "12"}
        return self._start(["backups-start"], [BACKUPS], config, environment, volume=REPOSITORY_FOLDER)

    def drill(self, backups: Container) -> Container:
        """A pod of the restore drill, which only waits: it reads the repository and has room of its own in memory."""
        mounted = next(each["Name"] for each in backups.attrs["Mounts"] if each["Destination"] == REPOSITORY_FOLDER)
        return self._start(
            ["sleep", "infinity"],
            [],
            self._repository(RESTORE_DRILL),
            {"PGHOST": MEMBERS, "POSTGRES_DB": DATABASE, "DRILL_SCRATCH": DRILL_FOLDER},
            mounts={mounted: {"bind": REPOSITORY_FOLDER, "mode": "ro"}},
            tmpfs={"/tmp": "uid=10001,mode=0700", DRILL_FOLDER: "uid=10001,mode=0700"},  # noqa: S108 - the container's own
        )

    def _repository(self, part: str) -> dict[str, str]:
        return {
            "pgbackrest.conf": repository_config(SETTINGS.backup, member_hosts(1, NAMESPACE)),
            "secrets/repository.conf": passphrase_file(PASSPHRASE),
            **self.identity(part),
        }

    def roles(self, generation: int = 1, **changed: str) -> tuple[int, str]:
        """Exit code and log of the roles job."""
        config = {f"secrets/{login}": password for login, password in PASSWORDS.items()}
        config |= self.identity("postgres-roles") | changed
        environment = {"PGHOST": MEMBERS, "POSTGRES_DB": DATABASE, "SECRET_GENERATION": str(generation)}
        job = self._start(["postgres-roles"], [], config, environment)
        code = int(job.wait(timeout=180)["StatusCode"])
        return code, bytes(job.logs()).decode(errors="replace")

    def client(self, part: str, authority: Issued | None = None) -> Container:
        """A pod of another part, with that part's certificate, that only waits."""
        return self._start(["sleep", "infinity"], [], self.identity(part, authority), {})

    def _start(
        self,
        command: list[str],
        aliases: list[str],
        config: dict[str, str],
        environment: dict[str, str],
        *,
        volume: str = "/var/lib/postgresql/data",
        mounts: dict[str, dict[str, str]] | None = None,
        **options: Any,
    ) -> Container:
        endpoint = self.containers.client.api.create_endpoint_config(aliases=aliases or None)
        return self.containers.start(
            "postgres",
            command=command,
            config=config,
            environment=environment,
            network=self.network.name,
            networking_config={self.network.name: endpoint},
            volumes={self.containers.volume().name: {"bind": volume, "mode": "rw"}, **(mounts or {})},
            healthcheck={"test": ["NONE"]},
            **options,
        )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A network with nothing on it; all of it is gone after the block."""
    with engine() as containers:
        network = containers.client.networks.create(f"workflow-test-{secrets.token_hex(6)}", internal=True)
        try:
            # The engine's containers go first: a network with containers on it can't be removed.
            with contextlib.ExitStack() as stack:
                inner = stack.enter_context(engine())
                yield Cluster(inner, network)
        finally:
            with contextlib.suppress(docker.errors.NotFound):
                network.remove()


def sql(container: Container, statement: str, database: str = "postgres") -> str:
    """A statement as the superuser over the socket inside the container."""
    return run(container, "psql", "-XAtq", "-U", "postgres", "-d", database, "-c", statement).strip()


def over_tls(container: Container, user: str, statement: str = "SELECT 1", **changed: str) -> tuple[int, str]:
    """Exit code and output of psql with the container's certificate, asking the primary over the network."""
    settings = {
        "PGHOST": MEMBERS,
        "PGUSER": user,
        "PGDATABASE": DATABASE,
        "PGPASSWORD": PASSWORDS.get(user, ""),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/config/secrets/ca.crt",
        "PGSSLCERT": "/config/secrets/tls.crt",
        "PGSSLKEY": "/config/secrets/tls.key",
        "PGCONNECT_TIMEOUT": "10",
        **changed,
    }
    code, output = container.exec_run(["psql", "-XAtqw", "-c", statement], environment=settings)
    return int(code), bytes(output).decode(errors="replace").strip()


def wait_primary(member: Container) -> None:
    """Until the member takes writes."""
    ask = ["psql", "-XAtq", "-U", "postgres", "-c", "SELECT pg_is_in_recovery()"]

    def writes() -> bool:
        member.reload()
        assert member.status == "running", bytes(member.logs(tail=40)).decode(errors="replace")
        code, output = member.exec_run(ask)
        return code == 0 and bytes(output).strip() == b"f"

    wait_until(writes, "a primary")


def processes(container: Container, begin: str) -> list[str]:
    """Numbers of the container's processes whose command line begins so."""
    look = 'for p in /proc/[0-9]*; do echo "${p#/proc/} $(tr "\\0" " " < $p/cmdline)"; done 2>/dev/null'
    lines = (line.split(" ", 1) for line in run(container, "bash", "-c", look).splitlines())
    return [number for number, command in lines if command.startswith(begin)]


def replace_files(container: Container, files: dict[str, str]) -> None:
    """Writes files below /config anew, as a cluster does when a secret changes."""
    assert container.put_archive("/config", archive(files))
