"""Who may do what, and what is refused."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest

from checklist.secret_scan import SecretScanner
from tests.infra.support import openapi
from tests.infra.support.hidden import Hidden
from tests.infra.support.inside import Said
from tests.infra.support.live import ImageFacts, Live
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.workflow_api import WorkflowApi, told, unique

pytestmark = pytest.mark.ring("verify")

ALLOWED_ALGORITHMS = {"HS256", "HS384", "HS512"}
LONGEST_TOKEN = 1440  # minutes
INJECTIONS = ("' OR '1'='1", "'; DROP TABLE agents; --", "1) UNION SELECT password_hash FROM users --", "%' AND 1=0 --")


@pytest.fixture(scope="module")
def signing_secret(secrets_of_stack: dict[str, Hidden], environment: Callable[[str], dict[str, str]]) -> Hidden:
    """The secret that the API signs its tokens with."""
    file = environment("api")["JWT_SECRET_FILE"].rsplit("/", 1)[-1]
    return secrets_of_stack[f"api: {file}"]


@pytest.fixture(scope="module")
def claims(token: Hidden) -> dict[str, Any]:
    """What the administrator's token says."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


@pytest.fixture(scope="module")
def with_token(calling: Callable[..., WorkflowApi]) -> Callable[[str], httpx.Response]:
    """The answer of a guarded route to a bearer token."""

    def ask(presented: str) -> httpx.Response:
        with calling({"Authorization": f"Bearer {presented}"}) as caller:
            return caller.get("/agents")

    return ask


@pytest.mark.item("authentication-works")
def test_a_guarded_route_takes_a_good_token_and_refuses_none_and_a_corrupted_one(
    api: WorkflowApi, token: Hidden, with_token: Callable[[str], httpx.Response]
) -> None:
    assert with_token(token).status_code == httpx.codes.OK
    missing = api.get("/agents")
    assert (missing.status_code, "WWW-Authenticate" in missing.headers) == (httpx.codes.UNAUTHORIZED, True)
    corrupted = token[:-6] + ("AAAAAA" if not token.endswith("AAAAAA") else "BBBBBB")
    assert with_token(corrupted).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.item("authentication-works")
def test_every_business_route_but_the_log_in_needs_credentials(
    root: httpx.Client, document: dict[str, Any], prefix: str
) -> None:
    for path, operations in document["paths"].items():
        if not path.startswith(prefix) or path == f"{prefix}/auth/login":
            continue
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            response = root.request(method, openapi.filled(path, lambda: str(uuid.uuid4())))
            assert response.status_code in {401, 429}, told(response)


@pytest.mark.item("default-admin-account-changed")
def test_the_well_known_administrator_password_is_refused(api: WorkflowApi, outputs: StackOutputs) -> None:
    for name in {"admin", outputs.admin_username}:
        response = api.post("/auth/login", {"username": name, "password": "admin123"})
        assert response.status_code == httpx.codes.UNAUTHORIZED, told(response)


@pytest.mark.item("jwt-algorithm-pinned")
def test_tokens_of_another_algorithm_are_refused(
    token: Hidden, claims: dict[str, Any], signing_secret: Hidden, with_token: Callable[[str], httpx.Response]
) -> None:
    pinned = jwt.get_unverified_header(token)["alg"]
    assert pinned in ALLOWED_ALGORITHMS
    assert with_token(jwt.encode(claims, signing_secret, pinned)).status_code == httpx.codes.OK
    for other in sorted(ALLOWED_ALGORITHMS - {pinned}):
        assert with_token(jwt.encode(claims, signing_secret, other)).status_code == httpx.codes.UNAUTHORIZED, other
    assert with_token(jwt.encode(claims, None, "none")).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.item("jwt-expiration-bounded")
def test_tokens_end_after_the_configured_time(
    claims: dict[str, Any],
    token: Hidden,
    signing_secret: Hidden,
    with_token: Callable[[str], httpx.Response],
    environment: Callable[[str], dict[str, str]],
) -> None:
    minutes = int(environment("api").get("JWT_EXPIRATION_MINUTES", "60"))
    assert 0 < minutes <= LONGEST_TOKEN
    assert claims["exp"] - claims["iat"] == minutes * 60
    now = int(time.time())
    expired = {**claims, "iat": now - 7200, "exp": now - 60}
    algorithm = jwt.get_unverified_header(token)["alg"]
    assert with_token(jwt.encode(expired, signing_secret, algorithm)).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.item("jwt-secret-length", "jwt-secret-not-default")
def test_the_signing_secret_is_long_and_no_sample(signing_secret: Hidden) -> None:
    long_enough = len(signing_secret) >= 32
    sample = any(word in signing_secret.lower() for word in ("change_this", "your-secret", "strong_password"))
    assert (long_enough, sample) == (True, False)


@pytest.fixture(scope="module")
def api_key(admin: WorkflowApi) -> Hidden:
    """An API key with the rights of an operator; revoked at the end."""
    response = admin.post("/auth/keys", {"name": unique("key"), "role": "operator"})
    assert response.status_code == httpx.codes.CREATED, f"creating an API key answered {response.status_code}"
    return Hidden(response.json()["key"])


@pytest.mark.item("api-key-header-setting")
def test_an_api_key_works_under_the_configured_header_only(
    api: WorkflowApi, api_key: Hidden, environment: Callable[[str], dict[str, str]]
) -> None:
    header = environment("api").get("API_KEY_HEADER", "X-API-Key")
    assert api.get("/agents", headers={header: api_key}).status_code == httpx.codes.OK
    assert api.get("/agents", headers={"X-Another-Key": api_key}).status_code == httpx.codes.UNAUTHORIZED
    assert api.get("/agents", headers={header: api_key[:-1] + "_"}).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.item("role-permissions-enforced")
def test_a_viewer_may_read_and_not_write(admin: WorkflowApi, viewer: WorkflowApi) -> None:
    agent = admin.agent()
    assert viewer.get(f"/agents/{agent['id']}").status_code == httpx.codes.OK
    refused = {
        "create": viewer.post("/agents", {"name": unique("agent"), "kind": "noop", "settings": {}}),
        "delete": viewer.request("DELETE", f"/agents/{agent['id']}"),
        "audit": viewer.get("/audit"),
    }
    assert {what: answer.status_code for what, answer in refused.items()} == dict.fromkeys(refused, 403)
    assert admin.get(f"/agents/{agent['id']}").status_code == httpx.codes.OK


@pytest.mark.item("cors-live-behaviour")
def test_only_listed_origins_may_call_from_a_browser(
    root: httpx.Client, prefix: str, environment: Callable[[str], dict[str, str]]
) -> None:
    listed = environment("api").get("CORS_ORIGINS", "http://localhost:3000").split(",")[0]

    def preflight(origin: str) -> httpx.Response:
        wanted = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return root.options(f"{prefix}/agents", headers=wanted)

    granted = preflight(listed)
    assert granted.status_code == httpx.codes.OK, told(granted)
    assert granted.headers.get("Access-Control-Allow-Origin") == listed
    for other in ("https://elsewhere.example", f"{listed}.elsewhere.example", "null"):
        assert "Access-Control-Allow-Origin" not in preflight(other).headers, other


@pytest.mark.item("sql-injection-prevention")
def test_injected_sql_changes_nothing_and_breaks_nothing(
    root: httpx.Client,
    document: dict[str, Any],
    api: WorkflowApi,
    admin: WorkflowApi,
    psql: Callable[[str], str],
) -> None:
    kept = psql("select (select count(*) from users), to_regclass('public.agents') is not null")
    for injection in INJECTIONS:
        response = api.post("/auth/login", {"username": injection, "password": injection})
        assert response.status_code in {401, 422}, told(response)
        named = admin.post("/agents", {"name": injection, "kind": "noop", "settings": {}})
        assert named.status_code in {201, 422}, told(named)
        if named.status_code == httpx.codes.CREATED:
            assert admin.get(f"/agents/{named.json()['id']}").json()["name"] == injection
        for method, path, names in openapi.text_parameters(document):
            url = str(root.base_url.copy_with(path=openapi.filled(path, lambda: "x"))).replace("/x", f"/{injection}")
            answer = admin.request(method, url, params=dict.fromkeys(names, injection))
            assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, told(answer)
            assert "password_hash" not in answer.text
            assert "$argon2" not in answer.text
    assert psql("select (select count(*) from users), to_regclass('public.agents') is not null") == kept


@pytest.mark.item("service-passwords-from-secrets")
def test_no_secret_is_visible_to_who_can_inspect_the_stack(
    outputs: StackOutputs, live: Live, image_of: Callable[[str], ImageFacts], scanner: SecretScanner
) -> None:
    leaks = []
    for name, text in live.descriptions().items():
        leaks += scanner.scan_text(name, text)
    for part, deployed in outputs.inventory.items():
        leaks += scanner.scan_text(f"history of {deployed.image}", image_of(part).history)
    assert not leaks, "\n".join(map(str, leaks))


@pytest.mark.item("service-passwords-from-secrets")
def test_no_secret_is_in_arguments_or_variables_of_a_process(
    everywhere: Callable[..., dict[str, Said]], scanner: SecretScanner
) -> None:
    leaks = []
    words = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"
    for part, result in everywhere(words).items():
        assert result.stdout, f"{part}: no process can be read"
        leaks += scanner.scan_text(f"processes of {part}", result.stdout)
    assert not leaks, "\n".join(map(str, leaks))


@pytest.fixture(scope="module")
def rate_limit(environment: Callable[[str], dict[str, str]]) -> int:
    """How many requests a client may send in a window."""
    limit = int(environment("api").get("RATE_LIMIT_REQUESTS", "100"))
    if limit == 0:
        pytest.skip("the rate limit is switched off in this stack")
    return limit


LONGEST_BURST = 15.0  # seconds; a quarter of the documented window, so that the burst is in one
BATCH = 50  # requests sent at a time, without waiting for the answer to each
EXHAUST = f"""
import os, socket, ssl, sys, time
port, most, batch, seconds = int(sys.argv[1]), int(sys.argv[2]), {BATCH}, {LONGEST_BURST}
request = b"GET /no-such-page-for-throttling HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
end, sent, head = time.monotonic() + seconds, 0, b""
connection = socket.create_connection(("127.0.0.1", port), timeout=10)
if os.environ.get("TLS_CERT_FILE"):
    context = ssl.create_default_context(cafile=os.path.dirname(os.environ["TLS_CERT_FILE"]) + "/ca.crt")
    connection = context.wrap_socket(connection, server_hostname="localhost")
with connection:
    while sent < most and b" 429 " not in head and time.monotonic() < end:
        connection.sendall(request * batch)
        sent, head = sent + batch, b""
        while head.count(b"HTTP/1.1 ") < batch or not head.endswith(b"}}"):
            received = connection.recv(65536)
            if not received:
                sys.exit(f"the server hangs up after {{sent}} requests")
            head += received
    retry = [line.split()[1].decode() for line in head.splitlines() if line.lower().startswith(b"retry-after:")]
    connection.sendall(b"GET /health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    health = connection.recv(65536).split()[1].decode()
print(sent, *retry[:1] or "-", health)
"""


@pytest.mark.item("rate-limiting", "rate-limit-events-tracked")
def test_a_client_that_sends_too_much_is_throttled_recorded_and_counted(
    rate_limit: int,
    in_api: Callable[..., str],
    environment: Callable[[str], dict[str, str]],
    metrics: Callable[[], Any],
    log_of: Callable[[str], str],
) -> None:
    counted = metrics().total("rate_limited_total")
    recorded = log_of("api").count("Too many requests")
    # From inside the container, so that the address of the caller is one that nobody else has; a quarter more than the
    # limit, because a sliding window is an estimate.
    most = rate_limit + rate_limit // 4 + BATCH
    sent, retry_after, health = in_api(EXHAUST, environment("api").get("API_PORT", "8000"), str(most)).split()
    if retry_after == "-" and int(sent) < most:
        pytest.skip(f"this machine answers only {sent} requests in {LONGEST_BURST:g} s, the limit is {rate_limit}")
    assert retry_after.isdigit(), f"{sent} requests in a row were all answered, the limit is {rate_limit}"
    assert health == "200", "health is throttled too"
    assert metrics().total("rate_limited_total") > counted
    assert log_of("api").count("Too many requests") > recorded
