"""What the programs of the service are told: every setting there, known, of its type, and no document's sample."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.names import is_sample
from policies.view.parts import PlatformPart
from policies.view.project import Project
from policies.view.settings import effective, filler, is_read, known_names, refusals, runs_the_service

DEV, PROD, VALIDATED = "stack-config-dev-complete", "stack-config-prod-complete", "config-values-validated"

DOCUMENTED = (
    "API_TITLE", "API_VERSION", "API_HOST", "API_PORT", "API_RELOAD", "API_WORKERS",
    "DATABASE_URL", "DATABASE_POOL_SIZE", "DATABASE_MAX_OVERFLOW", "DATABASE_ECHO",
    "KAFKA_BROKERS", "KAFKA_EXECUTION_TOPIC", "KAFKA_CANCELLATION_TOPIC",
    "JWT_SECRET", "JWT_ALGORITHM", "JWT_EXPIRATION_MINUTES", "API_KEY_HEADER",
    "CORS_ORIGINS", "CORS_ALLOW_CREDENTIALS", "CORS_ALLOW_METHODS", "CORS_ALLOW_HEADERS",
    "LOG_LEVEL", "LOG_FORMAT", "DEFAULT_PAGE_SIZE", "MAX_PAGE_SIZE", "ENABLE_METRICS", "ENABLE_AUDIT_LOGGING",
)  # fmt: skip
"""The 27 variables that the deployment guide's production sample fills in."""

_VERSION = re.compile(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?")
"""Three numbers, then what marks a build or a candidate."""

_PREFIX = re.compile(r"(/[a-z0-9-]+)*/v[0-9]+")
"""A path whose last step is the version: /api/v1."""

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def _missing(part: PlatformPart, names: tuple[str, ...]) -> Iterator[Fault]:
    for name in names:
        value = part.setting(name)
        if not value.is_given or (not value.is_unknown and not (value.text() or "").strip()):
            yield Fault(value, f"{name} is not given or empty")


@rule(
    DEV, on=PlatformPart, parts=["api"], wanted="a value for every documented setting", mend="the stack's api section"
)
def the_development_api_is_given_every_setting(api: PlatformPart) -> Iterator[Fault]:
    """A setting that is left out has whatever default the image of the day brings; what runs is to be what is written
    down. Without JWT_SECRET development runs without authentication, which it may."""
    yield from _missing(api, tuple(name for name in DOCUMENTED if name != "JWT_SECRET"))


@rule(
    PROD, on=PlatformPart, parts=["api"], wanted="a value for every documented setting", mend="the stack's api section"
)
def the_production_api_is_given_every_setting(api: PlatformPart) -> Iterator[Fault]:
    """A setting that is left out has the default, which is made for development: open origins, one worker, no login."""
    yield from _missing(api, DOCUMENTED)


@rule(
    PROD, on=PlatformPart, where=runs_the_service, wanted="values of your own",
    mend="replace the sample; secrets with `pulumi config set --secret`",
)  # fmt: skip
def production_is_given_no_sample_of_the_documents(part: PlatformPart) -> Iterator[Fault]:
    """Names and passwords of the documents' samples are known to everybody and belong to nobody's production. A secret
    that is only drawn by this deployment is no sample."""
    for name, value in part.container.env.items():
        if is_sample(value.text() or ""):
            yield Fault(value, f"{name} holds a sample value of the documents")
    for name, value in part.secret_files.items():
        if not value.is_unknown and is_sample(value.text() or ""):
            yield Fault(value, f"the secret file {name} holds a sample value of the documents")


def _description_faults(project: Project) -> Iterator[Fault]:
    from stacks.errors import StackError
    from stacks.load import load_stack

    try:
        load_stack(project.stack, project.root)
    except StackError as error:
        for fault in error.faults:
            # What follows the key holds the value that was written there.
            yield Fault(f"Pulumi.{project.stack}.yaml", f"{fault.partition(' is ')[0].partition(';')[0]} can't be used")


@rule(
    DEV,
    on=Project,
    wanted="a description that can be read",
    mend="see `./deploy-api.sh preview` for each fault's words",
)
def the_development_description_can_be_read(project: Project) -> Iterator[Fault]:
    """What the typed description refuses is never deployed; told here it is found without a machine to deploy to."""
    yield from _description_faults(project)


@rule(
    PROD,
    on=Project,
    wanted="a description that can be read",
    mend="see `./deploy-api.sh preview` for each fault's words",
)
def the_production_description_can_be_read(project: Project) -> Iterator[Fault]:
    """What the typed description refuses is never deployed; told here it is found without a cluster to deploy to."""
    yield from _description_faults(project)


@rule(VALIDATED, on=PlatformPart, where=runs_the_service, wanted="a variable that the service reads", mend="its name")
def programs_are_given_no_setting_that_nobody_reads(part: PlatformPart) -> Iterator[Fault]:
    """The service passes over variables that it does not know, so a misspelt one does nothing and nobody is told."""
    for name in part.container.env:
        if not is_read(name):
            yield Fault(f"env.{name}", "the service reads no such variable")


@rule(VALIDATED, on=PlatformPart, where=runs_the_service, wanted="a value that the service accepts at its start")
def settings_are_of_their_type_and_range(part: PlatformPart) -> Iterator[Fault]:
    """A program stops at the first setting that it can't read; found before the deployment it costs nothing."""
    given, unknown = {}, []
    for name in sorted(known_names()):
        value = part.setting(name)
        if value.is_unknown:
            # The filler keeps relations between settings judgeable: a login has a name and a password, or neither.
            given[name] = filler(name)
            if name in part.container.env:
                unknown.append(value)
                del given[name]
        elif (text := value.text()) is not None:
            given[name] = text
    for name, why in refusals(given):
        yield Fault(f"env.{name}", f"{name} {why}")
    for value in unknown:
        value.text()


@rule(
    "api-metadata-settings", on=PlatformPart, parts=["api"], wanted="a title, a version and a description",
    mend="api.title, api.version, api.description",
)  # fmt: skip
def the_api_says_what_it_is(api: PlatformPart) -> Iterator[Fault]:
    """They are what callers read at the head of the API's documentation; without them the service says its defaults."""
    yield from _missing(api, ("API_TITLE", "API_VERSION", "API_DESCRIPTION"))


@rule("api-metadata-settings", on=PlatformPart, parts=["api"], wanted="a version such as 1.4.0", mend="api.version")
def the_apis_version_is_a_release(api: PlatformPart) -> Iterator[Fault]:
    """A version that can be compared tells callers whether what they read is what runs."""
    version = effective(api, "API_VERSION")
    if not _VERSION.fullmatch(version.text() or ""):
        yield Fault(version, "API_VERSION is no version of three numbers")


@rule("api-prefix-setting", on=PlatformPart, parts=["api"], wanted="a path such as /api/v1", mend="api.prefix")
def the_prefix_is_a_path_with_a_version(api: PlatformPart) -> Iterator[Fault]:
    """Business routes live below one versioned path, so that a later version can stand beside it."""
    prefix = effective(api, "API_PREFIX")
    if not _PREFIX.fullmatch(prefix.text() or ""):
        yield Fault(prefix, "API_PREFIX is no path that ends with a version")


@rule("api-bind-address", on=PlatformPart, parts=["api"], wanted="0.0.0.0, or :: where there is IPv6", mend="API_HOST")
def the_api_listens_beyond_its_own_container(api: PlatformPart) -> Iterator[Fault]:
    """In a container the loopback address is the container's own: nobody outside would reach the API."""
    host = effective(api, "API_HOST")
    if host.text() not in _EVERYWHERE:
        yield Fault(host, "API_HOST is not every address of the container")


@rule("api-bind-address", on=PlatformPart, parts=["api"], wanted="the port that is opened for it", mend="api.port")
def the_api_listens_at_the_port_that_is_opened(api: PlatformPart) -> Iterator[Fault]:
    """The port that is probed, published and routed to is worth nothing when the program listens at another one."""
    port = effective(api, "API_PORT")
    spec = api.container.spec
    key = "containerPort" if api.container.target == "kubernetes" else "internal"
    opened = {each[key].number() for each in spec["ports"].items()}
    if port.number() not in opened:
        yield Fault(port, "API_PORT is none of the ports that are opened for the API")


@rule(
    "page-size-settings", on=PlatformPart, parts=["api"], wanted="1 <= DEFAULT_PAGE_SIZE <= MAX_PAGE_SIZE",
    mend="api.defaultPageSize, api.maxPageSize",
)  # fmt: skip
def a_page_is_no_larger_than_the_largest(api: PlatformPart) -> Iterator[Fault]:
    """A list without an end is how one caller makes the database read everything at once."""
    usual, largest = effective(api, "DEFAULT_PAGE_SIZE"), effective(api, "MAX_PAGE_SIZE")
    if not 1 <= (usual.number() or 0) <= (largest.number() or 0):
        yield Fault(usual, "DEFAULT_PAGE_SIZE is not between 1 and MAX_PAGE_SIZE")
