"""The Postgres image: roles and rights, passwords, restarts, and what happens when its first start was cut short."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from docker.models.containers import Container

from tests.images.containers import Engine, engine, logs, run, wait_healthy, wait_stopped, wait_until

pytestmark = pytest.mark.ring("images")

DATA = "/var/lib/postgresql/data"
ENVIRONMENT = {
    "POSTGRES_DB": "workflow_db",
    "POSTGRES_USER": "workflow_user",
    "POSTGRES_PASSWORD_FILE": "/config/secrets/app",
    "MONITORING_PASSWORD_FILE": "/config/secrets/monitoring",
}
APP_PASSWORD = 'app-It\'s \\ "quoted" $(x) %s'
MONITORING_PASSWORD = "monitoring-5f3a91"
SECRETS = {"secrets/app": APP_PASSWORD, "secrets/monitoring": MONITORING_PASSWORD}


def start(containers: Engine, **options: Any) -> Container:
    settings = {"config": SECRETS, "environment": ENVIRONMENT, "ports": {"5432/tcp": ("127.0.0.1", None)}, **options}
    return containers.start("postgres", **settings)


def query(container: Container, statement: str, *, user: str, password: str, database: str = "workflow_db") -> Any:
    """First column of the first row, asked over TCP as any client would."""
    container.reload()
    port = int(container.attrs["NetworkSettings"]["Ports"]["5432/tcp"][0]["HostPort"])

    async def ask() -> Any:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user=user, password=password, database=database, timeout=30
        )
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def as_app(container: Container, statement: str) -> Any:
    return query(container, statement, user="workflow_user", password=APP_PASSWORD)


@pytest.fixture(scope="module")
def server() -> Iterator[Container]:
    with engine() as containers:
        container = start(containers)
        wait_healthy(container)
        yield container


def test_the_application_owns_its_database_and_nothing_else(server: Container) -> None:
    assert as_app(server, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == (
        "workflow_user"
    )
    rights = "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles"
    assert as_app(server, rights + " WHERE rolname = current_user") is False
    as_app(server, "CREATE TABLE mine (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        as_app(server, "SELECT pg_read_file('/etc/passwd')")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        query(server, "SELECT 1", user="workflow_user", password=APP_PASSWORD, database="postgres")


def test_the_monitoring_role_sees_figures_but_no_data(server: Container) -> None:
    as_app(server, "CREATE TABLE secret_data AS SELECT 1 AS id")

    def ask(statement: str) -> Any:
        return query(server, statement, user="monitoring", password=MONITORING_PASSWORD)

    assert ask("SELECT count(*) > 0 FROM pg_stat_statements") is True
    assert ask("SELECT count(*) > 0 FROM pg_stat_activity") is True
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        ask("SELECT * FROM secret_data")


@pytest.mark.parametrize(
    ("user", "password"), [("workflow_user", "wrong"), ("monitoring", APP_PASSWORD), ("postgres", APP_PASSWORD)]
)
def test_a_wrong_password_and_the_superuser_are_refused_over_the_network(
    server: Container, user: str, password: str
) -> None:
    with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
        query(server, "SELECT 1", user=user, password=password)


def test_the_server_has_the_settings_that_the_platform_relies_on(server: Container) -> None:
    wanted = {
        "password_encryption": "scram-sha-256",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "fsync": "on",
        "synchronous_commit": "on",
        "shared_preload_libraries": "pg_stat_statements",
        "logging_collector": "off",
        "timezone": "UTC",
    }
    # Only the monitoring role may read all of them.
    read = {
        name: query(server, f"SELECT current_setting('{name}')", user="monitoring", password=MONITORING_PASSWORD)
        for name in wanted
    }
    assert read == wanted


def test_passwords_appear_in_no_log_argument_or_statistic(server: Container) -> None:
    shown = logs(server) + run(server, "bash", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true")
    shown += run(server, "psql", "-U", "postgres", "-Atc", "SELECT query FROM pg_stat_statements")
    for password in (APP_PASSWORD, MONITORING_PASSWORD):
        assert password not in shown
    assert "SCRAM-SHA-256" not in shown


def test_data_outlive_the_container_and_a_new_password_holds_from_the_next_start(containers: Engine) -> None:
    volume = {containers.volume().name: {"bind": DATA, "mode": "rw"}}
    first = start(containers, volumes=volume)
    wait_healthy(first)
    as_app(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    first.remove(force=True)

    second = start(containers, volumes=volume, config={**SECRETS, "secrets/app": "changed"})
    wait_healthy(second)
    assert query(second, "SELECT answer FROM kept", user="workflow_user", password="changed") == 42
    with pytest.raises(asyncpg.InvalidPasswordError):
        as_app(second, "SELECT 1")
    assert "made a new cluster" not in logs(second)


def test_an_interrupted_first_start_is_done_again(containers: Engine) -> None:
    volume = {containers.volume().name: {"bind": DATA, "mode": "rw"}}
    # The moment is the worst one: initdb has begun to write, and the container is killed.
    broken = start(
        containers,
        volumes=volume,
        command=["bash", "-c", f"mkdir -p {DATA}/15.new/base && echo 15 > {DATA}/15.new/PG_VERSION && exec sleep 600"],
    )
    wait_until(lambda: broken.exec_run(["test", "-e", f"{DATA}/15.new/PG_VERSION"]).exit_code == 0, "half a cluster")
    broken.remove(force=True)
    whole = start(containers, volumes=volume)
    wait_healthy(whole)
    assert as_app(whole, "SELECT 1") == 1
    assert run(whole, "bash", "-c", f"ls -A {DATA}").split() == [".lock", "15"]


def test_a_killed_server_comes_back_with_what_was_committed(containers: Engine) -> None:
    container = start(containers, volumes={containers.volume().name: {"bind": DATA, "mode": "rw"}})
    wait_healthy(container)
    as_app(container, "CREATE TABLE kept AS SELECT 42 AS answer")
    container.kill("SIGKILL")
    wait_stopped(container)
    container.start()
    wait_healthy(container)
    assert as_app(container, "SELECT answer FROM kept") == 42


def test_a_stop_is_quick_and_clean_with_sessions_open(containers: Engine) -> None:
    container = start(containers)
    wait_healthy(container)
    container.exec_run(["psql", "-U", "postgres", "-c", "SELECT pg_sleep(600)"], detach=True)
    container.stop(timeout=30)
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0
    assert "database system is shut down" in logs(container).splitlines()[-1]


def test_a_second_container_on_the_same_volume_is_refused(containers: Engine) -> None:
    volume = {containers.volume().name: {"bind": DATA, "mode": "rw"}}
    first = start(containers, volumes=volume)
    wait_healthy(first)
    second = start(containers, volumes=volume)
    assert wait_stopped(second) == 64
    assert "another container is running on this volume" in logs(second)
    assert as_app(first, "SELECT 1") == 1


@pytest.mark.parametrize(
    ("environment", "config", "reason"),
    [
        ({"POSTGRES_USER": ""}, {}, "POSTGRES_USER is not set"),
        ({"POSTGRES_USER": "postgres"}, {}, "a name the server keeps for itself"),
        ({"POSTGRES_DB": ""}, {}, "POSTGRES_DB is not set"),
        ({"POSTGRES_PASSWORD_FILE": ""}, {}, "POSTGRES_PASSWORD_FILE is not set"),
        (
            {"POSTGRES_PASSWORD_FILE": "/config/nothing"},
            {},
            "password file /config/nothing cannot be read by uid 10001",
        ),
        ({}, {"secrets/app": " \n"}, "password file /config/secrets/app is empty"),
    ],
)
def test_a_wrong_environment_is_refused_with_its_reason(
    containers: Engine, environment: dict[str, str], config: dict[str, str], reason: str
) -> None:
    container = start(containers, environment={**ENVIRONMENT, **environment}, config={**SECRETS, **config})
    assert wait_stopped(container) == 64
    assert reason in logs(container)


def test_the_stack_own_settings_win(containers: Engine) -> None:
    container = start(containers, config={**SECRETS, "postgresql.conf": "max_connections = 57\n"})
    wait_healthy(container)
    assert as_app(container, "SELECT current_setting('max_connections')") == "57"
