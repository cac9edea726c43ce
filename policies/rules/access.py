"""Who gets in, how fast, and under which names."""

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view import nginx
from policies.view.parts import Platform, PlatformPart
from policies.view.pods import Container
from policies.view.resources import Resource
from policies.view.targets import place
from policies.view.values import Value

ALGORITHMS = ("HS256", "HS384", "HS512")
MOST_MINUTES = 24 * 60
MOST_REQUESTS_PER_SECOND = 1000
EDGE_FILE = "nginx.conf"
DOCS = ("/docs", "/docs/assets/swagger-ui.css", "/redoc", "/openapi.json")
RESERVED_HEADERS = frozenset(
    {
        "authorization", "cookie", "set-cookie", "host", "content-type", "content-length", "connection", "accept",
        "origin", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-correlation-id", "x-request-id",
    }
)  # fmt: skip
"""Headers that mean something else already."""


@rule(
    "jwt-algorithm-pinned", on=PlatformPart, parts=["api"], wanted=f"one of {', '.join(ALGORITHMS)}",
    mend="authentication.jwtAlgorithm",
)  # fmt: skip
def tokens_are_signed_by_one_algorithm(part: PlatformPart) -> Iterator[Fault]:
    """An API that takes whatever algorithm a token names takes `none`, which is no signature at all."""
    given = part.setting("JWT_ALGORITHM")
    # The service's own default, HS256, is one of them.
    if (given.text() or "HS256").upper() not in ALGORITHMS:
        yield Fault(given, "JWT_ALGORITHM is not one of the algorithms that the API's key is for")


@rule("jwt-algorithm-pinned", on=Container, wanted="an algorithm that signs", mend="name one, such as HS256")
def no_program_takes_unsigned_tokens(container: Container) -> Iterator[Fault]:
    """With `none` everybody writes his own token."""
    for name, value in container.env.items():
        if re.search(r"JWT_ALG(ORITHMS?)?$|TOKEN_ALG(ORITHMS?)?$", name.upper()):
            allowed = {each.strip(" \"'[]").lower() for each in (value.text() or "").split(",")}
            if "none" in allowed:
                yield Fault(value, "the program takes tokens without a signature")


@rule(
    "jwt-expiration-bounded", on=PlatformPart, parts=["api"], wanted=f"whole minutes, 1 to {MOST_MINUTES} (a day)",
    mend="authentication.jwtExpirationMinutes",
)  # fmt: skip
def tokens_end_within_a_day(part: PlatformPart) -> Iterator[Fault]:
    """A token can't be called back: who finds one may use it until it ends."""
    given = part.setting("JWT_EXPIRATION_MINUTES")
    if given.is_absent:
        return
    minutes = given.number()
    if minutes is None or minutes != int(minutes) or not 1 <= minutes <= MOST_MINUTES:
        yield Fault(given, "JWT_EXPIRATION_MINUTES is no whole number of minutes within a day")


@rule(
    "api-key-header-setting", on=PlatformPart, parts=["api"], wanted="letters, digits and hyphens, such as X-API-Key",
    mend="authentication.apiKeyHeader",
)  # fmt: skip
def the_header_of_keys_is_a_header(part: PlatformPart) -> Iterator[Fault]:
    """A name that no header can have, or one that means something else, locks every holder of a key out."""
    given = part.setting("API_KEY_HEADER")
    if given.is_absent:
        return
    name = given.text() or ""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        yield Fault(given, "API_KEY_HEADER is no name that a header can have")
    elif name.lower() in RESERVED_HEADERS:
        yield Fault(given, "API_KEY_HEADER is a header that means something else already")


@rule(
    "api-key-header-setting", on=Platform, wanted="the header of API_KEY_HEADER among CORS_ALLOW_HEADERS",
    mend="api.cors.headers, or authentication.apiKeyHeader",
)  # fmt: skip
def browsers_may_send_the_header_of_keys(platform: Platform) -> Iterator[Fault]:
    """A browser sends only the headers that CORS allows, so a renamed header locks out every page that uses keys."""
    if (api := platform.parts.get("api")) is None:
        return
    header = (api.setting("API_KEY_HEADER").text() or "X-API-Key").lower()
    allowed = {each.strip().lower() for each in (api.setting("CORS_ALLOW_HEADERS").text() or "*").split(",")}
    if not allowed & {"*", header}:
        yield Fault(
            place(api.resource, api.setting("CORS_ALLOW_HEADERS")),
            "CORS_ALLOW_HEADERS leaves out the header that carries API keys",
        )


@rule(
    "allowed-hosts", on=Platform, wanted="exact names in TRUSTED_HOSTS, or an edge that refuses every other name",
    mend="edge.hosts, or api.trustedHosts",
)  # fmt: skip
def unknown_host_names_are_refused(platform: Platform) -> Iterator[Fault]:
    """A service that answers to every name can be made to write somebody else's name into links and caches."""
    if (edge := platform.parts.get("edge")) is not None:
        yield from _faults_of_servers(edge.file(EDGE_FILE))
    elif (api := platform.parts.get("api")) is not None:
        given = api.setting("TRUSTED_HOSTS")
        if "*" in {each.strip() for each in (given.text() or "*").split(",")}:
            yield Fault(place(api.resource, given), "TRUSTED_HOSTS takes every name and no edge stands before the API")


def _faults_of_servers(file: Value) -> Iterator[Fault]:
    servers = list(nginx.nginx_of(file).below("server"))
    public = [each for each in servers if any(_is_public(listen) for listen in each.all("listen"))]
    ports = {listen.words[0] for each in public for listen in each.all("listen") if listen.words}
    refused = {
        listen.words[0]
        for each in public
        for listen in each.all("listen")
        if listen.words and "default_server" in listen.words and _refuses(each)
    }
    for port in sorted(ports - refused):
        yield Fault(file, f"port {port} has no default server that refuses names which are not ours")
    for each in public:
        names = [word for named in each.all("server_name") for word in named.words]
        if any(name in ("", "_", "*") or name.startswith(("~", "*.")) for name in names) and not _refuses(each):
            yield Fault(file, "a server answers to names that are not written out")


def _is_public(listen: nginx.Directive) -> bool:
    # 8081 is for probes only; no Service and no published port leads there.
    return bool(listen.words) and listen.words[0].rpartition(":")[2] != "8081" and "127.0.0.1" not in listen.words[0]


def _refuses(server: nginx.Directive) -> bool:
    """Whether a server has no way to a program, and answers every path with a refusal."""
    told = [each.words[0] for each in server.below("return") if each.words]
    return not any(server.below("proxy_pass")) and bool(told) and all(code.startswith("4") for code in told)


@rule(
    "allowed-hosts", on=Resource, kinds=["Ingress"], wanted="a `host` in each rule, and no default backend",
    mend="write the host names into spec.rules",
)  # fmt: skip
def ingresses_name_their_hosts(resource: Resource) -> Iterator[Fault]:
    """A rule without a host answers to every name that somebody points at the cluster's address."""
    spec = resource.inputs["spec"]
    for each in spec["rules"].items():
        if (each["host"].text() or "*") == "*":
            yield Fault(each["host"], "the rule takes requests for every host name")
    if not spec["defaultBackend"].is_absent:
        yield Fault(spec["defaultBackend"], "the default backend takes requests for every host name")


@rule(
    "api-docs-restricted", on=PlatformPart, parts=["edge"], wanted="no location that leads /docs, /redoc and "
    "/openapi.json to the API", mend="remove the location from infra/edge/nginx.conf",
)  # fmt: skip
def the_edge_does_not_show_the_docs(part: PlatformPart) -> Iterator[Fault]:
    """The interactive documentation is a map of everything that can be tried, made for those inside."""
    file = part.file(EDGE_FILE)
    shown = {
        path
        for server in nginx.nginx_of(file).below("server")
        for path in DOCS
        if (location := server.chosen(path)) is not None and location.has("proxy_pass") and not _guarded(location)
    }
    for path in sorted(shown):
        yield Fault(file, f"visitors are led to {path}")


def _guarded(location: nginx.Directive) -> bool:
    denied = any(each.words == ("all",) for each in location.all("deny"))
    return denied or any(location.has(name) for name in ("auth_request", "auth_basic", "auth_jwt"))


@rule(
    "api-docs-restricted", on=Platform, wanted="an API that is reached through the edge only",
    mend="edge, and no published port of the API",
)  # fmt: skip
def visitors_reach_the_api_through_the_edge_only(platform: Platform) -> Iterator[Fault]:
    """The API itself shows its documentation to everybody who reaches it, so nobody outside may reach it directly."""
    for resource in platform.snapshot.resources:
        if resource.part != "api":
            continue
        if resource.kind == "Service" and resource.inputs.at("spec", "type").text() in ("LoadBalancer", "NodePort"):
            yield Fault(place(resource, "spec.type"), "the API's Service is open to the outside")
        if resource.kind == "Container":
            for port in resource.inputs["ports"].items():
                if (port["ip"].text() or "0.0.0.0") not in ("127.0.0.1", "::1"):  # noqa: S104 - the engine's default
                    yield Fault(place(resource, port), "the API's port is open to the outside")


@rule(
    "api-docs-restricted", on=Resource, kinds=["Ingress"], wanted="no path to interactive documentation",
    mend="leave the path out, or send it to a program that asks for a login",
)  # fmt: skip
def ingresses_do_not_show_docs(resource: Resource) -> Iterator[Fault]:
    """A path that is opened on purpose is still open to everybody."""
    for each in resource.inputs.at("spec", "rules").items():
        for path in each.at("http", "paths").items():
            text = (path["path"].text() or "").rstrip("/")
            if re.fullmatch(r"(/[\w-]+)*/(docs|redoc|swagger(-ui)?|openapi\.(json|ya?ml)|api-docs)", text):
                yield Fault(path["path"], "the path leads to interactive documentation")


@rule(
    "rate-limiting", on=PlatformPart, parts=["api"], wanted="a whole number, 1 or more",
    mend="api.rateLimit.requests",
)  # fmt: skip
def the_api_limits_its_callers(part: PlatformPart) -> Iterator[Fault]:
    """Without a limit one caller with a loop takes the whole service, and passwords can be tried at will."""
    given = part.setting("RATE_LIMIT_REQUESTS")
    if given.is_absent:
        return
    requests = given.number()
    if requests is None or requests < 1:
        yield Fault(given, "RATE_LIMIT_REQUESTS switches the limit off or is no number")


@rule(
    "rate-limiting", on=PlatformPart, parts=["api"],
    wanted=f"at most {MOST_REQUESTS_PER_SECOND} requests a second of one caller",
    mend="api.rateLimit.requests, api.rateLimit.window",
)  # fmt: skip
def the_limit_can_be_reached(part: PlatformPart) -> Iterator[Fault]:
    """A limit above what the service can answer at all protects nothing."""
    requests = part.setting("RATE_LIMIT_REQUESTS").number()
    window = part.setting("RATE_LIMIT_WINDOW")
    seconds = 60 if window.is_absent else window.number()
    if seconds is None or seconds < 1:
        yield Fault(window, "RATE_LIMIT_WINDOW is no number of seconds")
    elif requests is not None and requests / seconds > MOST_REQUESTS_PER_SECOND:
        yield Fault(window, "RATE_LIMIT_REQUESTS per RATE_LIMIT_WINDOW is more than any caller can send")


@rule(
    "rate-limiting", on=Platform, wanted="FORWARDED_ALLOW_IPS, so that the edge may say who its visitor is",
    mend="set FORWARDED_ALLOW_IPS on the API where an edge stands before it",
)  # fmt: skip
def the_limit_counts_visitors_not_the_edge(platform: Platform) -> Iterator[Fault]:
    """Behind a proxy that is not trusted all visitors are one caller, and the first loud one locks out the rest."""
    api = platform.parts.get("api")
    if api is not None and "edge" in platform.parts and not (api.setting("FORWARDED_ALLOW_IPS").text() or "").strip():
        yield Fault(
            place(api.resource, api.setting("FORWARDED_ALLOW_IPS")),
            "FORWARDED_ALLOW_IPS is not given, though an edge is there",
        )


@rule(
    "rate-limiting", on=PlatformPart, parts=["edge"], wanted="`limit_req` and `limit_conn` for all of http, answered "
    "with 429", mend="edge.limits",
)  # fmt: skip
def the_edge_limits_its_visitors(part: PlatformPart) -> Iterator[Fault]:
    """What the edge refuses costs the API nothing."""
    file = part.file(EDGE_FILE)
    for http in nginx.nginx_of(file).all("http"):
        for name in ("limit_req", "limit_conn"):
            if not http.has(name):
                yield Fault(file, f"the edge has no {name} for all its servers")
            elif ("429",) not in {each.words for each in http.all(f"{name}_status")}:
                yield Fault(file, f"{name}_status is not 429")
        return
    yield Fault(file, "the edge's configuration has no http block, and so no limits")
