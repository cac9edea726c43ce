"""Fixtures of the live verification: everything starts from the outputs of one deployed stack."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from checklist.secret_scan import SecretScanner
from ops.verification import NOT_APPLICABLE
from tests.infra.support import database_url, exposition, kafka_inside, stack_outputs, waiting
from tests.infra.support.database_url import DatabaseUrl
from tests.infra.support.hidden import Hidden
from tests.infra.support.hosts import Host
from tests.infra.support.inside import Said, run_inside
from tests.infra.support.live import CannotTellError, ImageFacts, Live, connect
from tests.infra.support.workflow_api import WorkflowApi, told, unique

HERE = Path(__file__).parent

# The first completed run is what a deployer waits for; the restarts come last, so that the rest sees the stack as it
# was deployed.
FIRST = ("test_functional_smoke",)
LAST = ("test_logs", "test_restart")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the smoke first and the restarts last, keeps the order of the rest; leaves out what is for other targets.

    A check that is made for another target is no check of this stack: it does not count as passed, nor as skipped. The
    record lists it with its reason (`ops.verification` reads the property).
    """

    def place(item: pytest.Item) -> int:
        module = item.path.stem if item.path.parent == HERE else ""
        if module in FIRST:
            return FIRST.index(module) - len(FIRST)
        return LAST.index(module) + 1 if module in LAST else 0

    if os.environ.get(stack_outputs.VARIABLE):
        target = stack_outputs.target_from_environment()
        other = [(item, marker) for item in items if (marker := item.get_closest_marker("target"))]
        left = [(item, marker) for item, marker in other if target not in (None, marker.args[0])]
        for item, marker in left:
            item.user_properties.append((NOT_APPLICABLE, marker.kwargs["why"]))
        if left:
            gone = {id(item) for item, _ in left}
            config.hook.pytest_deselected(items=[item for item, _ in left])
            items[:] = [item for item in items if id(item) not in gone]
    items.sort(key=place)


@pytest.fixture(scope="session")
def outputs() -> stack_outputs.StackOutputs:
    """The outputs of the stack under test."""
    try:
        return stack_outputs.read_from_environment()
    except stack_outputs.OutputsError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def live(outputs: stack_outputs.StackOutputs) -> Iterator[Live]:
    """The stack under test, whatever carries it."""
    found = connect(outputs)
    yield found
    found.close()


@pytest.fixture(scope="session")
def host(live: Live) -> Callable[[str], Host]:
    """The inside of a part's container."""
    return live.host


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
def environment(live: Live) -> Callable[[str], dict[str, str]]:
    """The variables that a part's container was given."""
    return cache(live.environment)


@pytest.fixture(scope="session")
def database_urls(
    outputs: stack_outputs.StackOutputs,
    environment: Callable[[str], dict[str, str]],
    secrets_of_stack: dict[str, Hidden],
) -> dict[str, DatabaseUrl]:
    """The DATABASE_URL of each program, without the passwords."""
    files = {part: environment(part)["DATABASE_URL_FILE"].rsplit("/", 1)[-1] for part in outputs.programs}
    return {part: database_url.parse(secrets_of_stack[f"{part}: {file}"]) for part, file in files.items()}


@pytest.fixture(scope="session")
def logins(database_urls: dict[str, DatabaseUrl]) -> list[str]:
    """The names under which the programs log in to the database."""
    return sorted({str(url.user) for url in database_urls.values()})


@pytest.fixture(scope="session")
def psql(live: Live, database_urls: dict[str, DatabaseUrl]) -> Callable[[str], str]:
    """Answers a query in the application's database: one line a row, columns separated by `|`."""
    database = database_urls["api"].database

    def ask(query: str) -> str:
        return live.database_host().check_output("psql -U postgres -d %s -XAtc %s", database, query).strip()

    return ask


@pytest.fixture(scope="session")
def in_api(host: Callable[[str], Host]) -> Callable[..., str]:
    """Runs a Python script inside the API's container, with its settings and its place on the network."""
    return lambda script, *arguments: _python(host("api"), script, *arguments)


@pytest.fixture(scope="session")
def ask_kafka(host: Callable[[str], Host]) -> Callable[..., Any]:
    """The answer of `support/kafka_inside.py`, asked by an executor: the program that may read the topics."""
    return lambda *arguments: json.loads(_python(host("executor"), kafka_inside.SOURCE, *arguments))


def _python(inside: Host, script: str, *arguments: str) -> str:
    placeholders = " ".join(["%s"] * len(arguments))
    return inside.check_output(f"python -c %s {placeholders}", script, *arguments)


@pytest.fixture(scope="session")
def image_of(live: Live) -> Callable[[str], ImageFacts]:
    """What is known of a part's image; without its registry nothing is, and the check is not made."""

    @cache
    def find(part: str) -> ImageFacts:
        try:
            return live.image(part)
        except CannotTellError as error:
            pytest.skip(str(error))

    return find


@pytest.fixture(scope="session")
def secrets_of_stack(outputs: stack_outputs.StackOutputs, live: Live) -> dict[str, Hidden]:
    """Every secret of the stack by a name that says where it was found."""
    found = {"adminPassword output": Hidden(outputs.admin_password)}
    for part in outputs.inventory:
        found.update({f"{part}: {name}": Hidden(value) for name, value in live.secrets(part).items()})
    return found


@pytest.fixture(scope="session")
def scanner(secrets_of_stack: dict[str, Hidden], token: Hidden) -> SecretScanner:
    """Looks for every secret of the stack, and for the token these checks work with."""
    return SecretScanner({**secrets_of_stack, "token of the checks": token})


@pytest.fixture(scope="session")
def log_of(live: Live) -> Callable[[str], str]:
    """What a part has written since its container was started."""
    return live.log


@pytest.fixture(scope="session")
def root(outputs: stack_outputs.StackOutputs, live: Live) -> Iterator[httpx.Client]:
    """A caller without credentials at the root of the API's public address."""
    with httpx.Client(base_url=outputs.urls["api"], timeout=10, verify=live.trust) as client:
        yield client


@pytest.fixture
def inner(live: Live) -> Iterator[httpx.Client]:
    """A caller without credentials right at an API, past what may stand before it: for pages that are not public."""
    with httpx.Client(base_url=live.url("api"), timeout=10, verify=live.insider) as client:
        yield client


@pytest.fixture(scope="session")
def document(live: Live) -> dict[str, Any]:
    """The OpenAPI document that the live API serves."""
    response = httpx.get(f"{live.url('api')}/openapi.json", timeout=10, verify=live.insider)
    assert response.status_code == httpx.codes.OK, told(response)
    return dict(response.json())


@pytest.fixture(scope="session")
def prefix(environment: Callable[[str], dict[str, str]]) -> str:
    """The prefix of the business routes."""
    return environment("api").get("API_PREFIX", "/api/v1")


@pytest.fixture(scope="session")
def calling(outputs: stack_outputs.StackOutputs, prefix: str, live: Live) -> Callable[..., WorkflowApi]:
    """Makes a caller of the business routes with the given headers."""
    return lambda headers=None: WorkflowApi(outputs.urls["api"] + prefix, headers, verify=live.trust)


@pytest.fixture(scope="session")
def api(calling: Callable[..., WorkflowApi]) -> Iterator[WorkflowApi]:
    """A caller of the business routes without credentials."""
    with calling() as caller:
        yield caller


@pytest.fixture(scope="session")
def token(api: WorkflowApi, outputs: stack_outputs.StackOutputs) -> Hidden:
    """A token of the stack's administrator."""
    credentials = {"username": outputs.admin_username, "password": outputs.admin_password}
    response = api.post("/auth/login", credentials)
    assert response.status_code == httpx.codes.OK, told(response)
    return Hidden(response.json()["access_token"])


@pytest.fixture(scope="session")
def signed_in(calling: Callable[..., WorkflowApi], token: Hidden) -> Callable[..., WorkflowApi]:
    """Makes a caller with the administrator's rights, optionally with further headers."""
    return lambda **headers: calling({"Authorization": f"Bearer {token}", **headers})


@pytest.fixture(scope="session")
def admin(signed_in: Callable[..., WorkflowApi]) -> Iterator[WorkflowApi]:
    """A caller with the administrator's rights; removes at the end what was made through it."""
    with signed_in() as caller:
        yield caller


@pytest.fixture(scope="session")
def viewer(
    admin: WorkflowApi, calling: Callable[..., WorkflowApi], environment: Callable[[str], dict[str, str]]
) -> Iterator[WorkflowApi]:
    """A caller who may only read; its key is revoked at the end."""
    response = admin.post("/auth/keys", {"name": unique("viewer"), "role": "viewer"})
    assert response.status_code == httpx.codes.CREATED, f"creating an API key answered {response.status_code}"
    header = environment("api").get("API_KEY_HEADER", "X-API-Key")
    with calling({header: Hidden(response.json()["key"])}) as caller:
        yield caller


@pytest.fixture(scope="session")
def metrics(live: Live) -> Callable[[], exposition.Metrics]:
    """The metrics of the API, of all its replicas together, as they are now."""
    return lambda: exposition.parse_all(live.figures(["api"]))


@pytest.fixture(scope="session")
def program_metrics(outputs: stack_outputs.StackOutputs, live: Live) -> Callable[..., float]:
    """The sum of a metric over all programs of the service."""
    return lambda name, **labels: exposition.parse_all(live.figures(outputs.programs)).total(name, **labels)


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


@pytest.fixture
def prometheus(live: Live) -> Iterator[httpx.Client]:
    """A caller of Prometheus."""
    with httpx.Client(base_url=live.url("prometheus"), timeout=10, verify=live.insider) as client:
        yield client


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Waits, with a bound, until a check answers something true."""
    return waiting.eventually
