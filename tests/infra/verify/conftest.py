"""Fixtures of the live verification: everything starts from the outputs of one deployed stack."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import testinfra
from docker.models.containers import Container

from checklist.secret_scan import SecretScanner
from tests.infra.support import container_facts, deployed_secrets, exposition, stack_outputs, waiting
from tests.infra.support.hidden import Hidden
from tests.infra.support.hosts import Host
from tests.infra.support.inside import Said, run_inside
from tests.infra.support.workflow_api import WorkflowApi, told, unique

HERE = Path(__file__).parent

# The first completed run is what a deployer waits for; the restarts come last, so that the rest sees the stack as it
# was deployed.
FIRST = ("test_functional_smoke",)
LAST = ("test_logs", "test_restart")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the smoke first and the restarts last; keeps the order of the rest."""

    def place(item: pytest.Item) -> int:
        module = item.path.stem if item.path.parent == HERE else ""
        if module in FIRST:
            return FIRST.index(module) - len(FIRST)
        return LAST.index(module) + 1 if module in LAST else 0

    items.sort(key=place)


@pytest.fixture(scope="session")
def outputs() -> stack_outputs.StackOutputs:
    """The outputs of the stack under test."""
    try:
        return stack_outputs.read_from_environment()
    except stack_outputs.OutputsError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine that carries the stack."""
    client = docker.from_env(timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="session")
def container(engine: docker.DockerClient, outputs: stack_outputs.StackOutputs) -> Callable[[str], Container]:
    """The container of a part, freshly inspected at each call."""

    def find(part: str) -> Container:
        return engine.containers.get(outputs.inventory[part].container)

    return find


@pytest.fixture(scope="session")
def host(outputs: stack_outputs.StackOutputs) -> Callable[[str], Host]:
    """The inside of a part's container."""

    @cache
    def find(part: str) -> Host:
        found: Host = testinfra.get_host(f"docker://{outputs.inventory[part].container}")
        return found

    return find


@pytest.fixture(scope="session")
def everywhere(outputs: stack_outputs.StackOutputs, host: Callable[[str], Host]) -> Callable[..., dict[str, Said]]:
    """Runs one command inside every running container (or those of the given parts) at the same time."""

    def run(command: str, *arguments: str, parts: Iterable[str] | None = None) -> dict[str, Said]:
        asked = sorted(outputs.running if parts is None else parts)
        with ThreadPoolExecutor() as pool:
            said = pool.map(lambda part: run_inside(host(part), part, command, *arguments), asked)
            return dict(zip(asked, said, strict=True))

    return run


@pytest.fixture(scope="session")
def environment(container: Callable[[str], Container]) -> Callable[[str], dict[str, str]]:
    """The variables that a part's container was given."""

    @cache
    def find(part: str) -> dict[str, str]:
        return container_facts.environment(container(part).attrs)

    return find


@pytest.fixture(scope="session")
def psql(host: Callable[[str], Host], environment: Callable[[str], dict[str, str]]) -> Callable[[str], str]:
    """Answers a query in the application's database: one line a row, columns separated by `|`."""

    def ask(query: str) -> str:
        database = environment("postgres")["POSTGRES_DB"]
        return host("postgres").check_output("psql -U postgres -d %s -XAtc %s", database, query).strip()

    return ask


@pytest.fixture(scope="session")
def in_api(host: Callable[[str], Host]) -> Callable[..., str]:
    """Runs a Python script inside the API's container, with its settings and its place on the network."""

    def run(script: str, *arguments: str) -> str:
        placeholders = " ".join(["%s"] * len(arguments))
        return host("api").check_output(f"python -c %s {placeholders}", script, *arguments)

    return run


@pytest.fixture(scope="session")
def secrets_of_stack(outputs: stack_outputs.StackOutputs, container: Callable[[str], Container]) -> dict[str, Hidden]:
    """Every secret of the stack by a name that says where it was found."""
    found = {"adminPassword output": Hidden(outputs.admin_password)}
    for part in outputs.inventory:
        files = deployed_secrets.read(container(part))
        found.update({f"{part}: {name}": Hidden(value) for name, value in files.items()})
    return found


@pytest.fixture(scope="session")
def scanner(secrets_of_stack: dict[str, Hidden], token: Hidden) -> SecretScanner:
    """Looks for every secret of the stack, and for the token these checks work with."""
    return SecretScanner({**secrets_of_stack, "token of the checks": token})


@pytest.fixture(scope="session")
def stack_label(container: Callable[[str], Container]) -> str:
    """The value of the label `workflow.stack` that everything of this stack carries."""
    return str(container("api").labels["workflow.stack"])


@pytest.fixture(scope="session")
def log_of(container: Callable[[str], Container]) -> Callable[[str], str]:
    """What a part has written since its container was started."""

    def read(part: str) -> str:
        found = container(part)
        started = datetime.fromisoformat(found.attrs["State"]["StartedAt"][:19] + "+00:00")
        return found.logs(since=started).decode(errors="replace")

    return read


@pytest.fixture(scope="session")
def root(outputs: stack_outputs.StackOutputs) -> Iterator[httpx.Client]:
    """A caller without credentials at the root of the API's public address."""
    with httpx.Client(base_url=outputs.urls["api"], timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def prefix(environment: Callable[[str], dict[str, str]]) -> str:
    """The prefix of the business routes."""
    return environment("api").get("API_PREFIX", "/api/v1")


@pytest.fixture(scope="session")
def api(outputs: stack_outputs.StackOutputs, prefix: str) -> Iterator[WorkflowApi]:
    """A caller of the business routes without credentials."""
    with WorkflowApi(outputs.urls["api"] + prefix) as caller:
        yield caller


@pytest.fixture(scope="session")
def token(api: WorkflowApi, outputs: stack_outputs.StackOutputs) -> Hidden:
    """A token of the stack's administrator."""
    credentials = {"username": outputs.admin_username, "password": outputs.admin_password}
    response = api.post("/auth/login", credentials)
    assert response.status_code == httpx.codes.OK, told(response)
    return Hidden(response.json()["access_token"])


@pytest.fixture(scope="session")
def signed_in(outputs: stack_outputs.StackOutputs, prefix: str, token: Hidden) -> Callable[..., WorkflowApi]:
    """Makes a caller with the administrator's rights, optionally with further headers."""

    def make(**headers: str) -> WorkflowApi:
        return WorkflowApi(outputs.urls["api"] + prefix, {"Authorization": f"Bearer {token}", **headers})

    return make


@pytest.fixture(scope="session")
def admin(signed_in: Callable[..., WorkflowApi]) -> Iterator[WorkflowApi]:
    """A caller with the administrator's rights; removes at the end what was made through it."""
    with signed_in() as caller:
        yield caller


@pytest.fixture(scope="session")
def viewer(
    admin: WorkflowApi, outputs: stack_outputs.StackOutputs, prefix: str, environment: Callable[[str], dict[str, str]]
) -> Iterator[WorkflowApi]:
    """A caller who may only read; its key is revoked at the end."""
    response = admin.post("/auth/keys", {"name": unique("viewer"), "role": "viewer"})
    assert response.status_code == httpx.codes.CREATED, f"creating an API key answered {response.status_code}"
    header = environment("api").get("API_KEY_HEADER", "X-API-Key")
    with WorkflowApi(outputs.urls["api"] + prefix, {header: Hidden(response.json()["key"])}) as caller:
        yield caller


@pytest.fixture(scope="session")
def metrics(root: httpx.Client) -> Callable[[], exposition.Metrics]:
    """The API's metrics as they are now."""

    def read() -> exposition.Metrics:
        response = root.get("/metrics")
        assert response.status_code == httpx.codes.OK, told(response)
        return exposition.parse(response.text)

    return read


@pytest.fixture(scope="session")
def program_metrics(
    outputs: stack_outputs.StackOutputs,
    in_api: Callable[..., str],
    environment: Callable[[str], dict[str, str]],
) -> Callable[..., float]:
    """The sum of a metric over all programs of the service, read from each of them inside the network."""
    ask = (
        "import json, sys, urllib.request as r;"
        "print(json.dumps([r.urlopen(url, timeout=5).read().decode() for url in sys.argv[1:]]))"
    )
    ports = {part: environment(part).get("WORKER_HTTP_PORT", "8001") for part in outputs.programs}
    ports["api"] = environment("api").get("API_PORT", "8000")
    urls = [f"http://{part}:{port}/metrics" for part, port in ports.items()]

    def total(name: str, **labels: str) -> float:
        return sum(exposition.parse(text).total(name, **labels) for text in json.loads(in_api(ask, *urls)))

    return total


@pytest.fixture(scope="session")
def connections(outputs: stack_outputs.StackOutputs, host: Callable[[str], Host]) -> dict[str, dict[str, str]]:
    """What each program of the service says when it tries its database and its Kafka; empty where they answer."""
    script = (
        "import contextlib, io, json; from service.cli import main\n"
        "said = {}\n"
        "for part in ('database', 'kafka'):\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):\n"
        "        said[part] = '' if main(['check', part]) == 0 else err.getvalue() or 'failed'\n"
        "print(json.dumps(said))"
    )

    def ask(part: str) -> dict[str, str]:
        return dict(json.loads(host(part).check_output("python -c %s", script)))

    with ThreadPoolExecutor() as pool:
        return dict(zip(outputs.programs, pool.map(ask, outputs.programs), strict=True))


@pytest.fixture(scope="session")
def prometheus(outputs: stack_outputs.StackOutputs) -> Iterator[httpx.Client]:
    """A caller of Prometheus."""
    with httpx.Client(base_url=outputs.urls["prometheus"], timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Waits, with a bound, until a check answers something true."""
    return waiting.eventually
