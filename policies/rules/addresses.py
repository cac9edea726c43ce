"""Where the programs find the database and the brokers, and where visitors find the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult

from policies.engine.rule import Fault, rule
from policies.view.names import why_not_public
from policies.view.parts import Platform, PlatformPart
from policies.view.project import Project
from policies.view.resources import Resource
from policies.view.settings import listed, programs, runs_the_service
from policies.view.values import Value

URL = "DATABASE_URL"
FORM = "postgresql://user:password@host:5432/name?sslmode=verify-full"
SERVER_PORT = 5432
PRIMARY_ROLES = ("master", "primary")
"""What Patroni labels the member with that takes writes: by an older and by a newer default."""

_BROKER = re.compile(r"[A-Za-z0-9.-]+:(?P<port>[0-9]{1,5})")
"""host:port"""

_SERVER_NAME = re.compile(r"^\s*server_name\s+([^;]+);", re.MULTILINE)
"""The names that a server of nginx answers for."""


@rule(
    "database-url-set", on=PlatformPart, where=runs_the_service, wanted=FORM, mend="postgres in the stack's description"
)
def every_program_knows_its_database(part: PlatformPart) -> Iterator[Fault]:
    """There is no default for it: a program without it stops at its start."""
    if part.url(URL) is None:
        yield Fault(part.setting(URL), f"{URL} is not given")


@rule(
    "database-url-set", on=PlatformPart, where=runs_the_service, wanted=FORM, mend="postgres in the stack's description"
)
def the_databases_url_is_whole(part: PlatformPart) -> Iterator[Fault]:
    """A part that is missing is filled in by the driver: with the system user's name, or with no password at all."""
    value, url = part.setting(URL), part.url(URL)
    if url is None:
        if value.text():
            yield Fault(value, f"{URL} is no URL")
        return
    # What is told of an unknown URL has no password; that of a generated one is there.
    absent = [name for name in _absent(url) if not (value.is_unknown and name == "password")]
    if absent:
        yield Fault(value, f"{URL} lacks or mistakes its {', '.join(absent)}")


def _absent(url: SplitResult) -> Iterator[str]:
    if url.scheme not in ("postgresql", "postgres"):
        yield "scheme"
    for name, given in (("user", url.username), ("password", url.password), ("host", url.hostname)):
        if not given:
            yield name
    if _port(url) is None:
        yield "port"
    if not url.path.strip("/") or "/" in url.path.strip("/"):
        yield "database"


def _port(url: SplitResult) -> int | None:
    try:
        return url.port
    except ValueError:
        return None


def _has_server(platform: Platform) -> bool:
    return "postgres" in platform.parts


def _urls(platform: Platform) -> Iterator[tuple[PlatformPart, Value, SplitResult]]:
    for part in programs(platform):
        url = part.url(URL)
        if url is not None:
            value = part.setting(URL)
            yield part, Value(value.content, f"{part.name}: {value.path}"), url


MATCHES: dict[str, Any] = {
    "on": Platform, "where": _has_server, "wanted": "the coordinates of the Postgres of this stack", "mend": "postgres",
}  # fmt: skip


@rule("database-url-matches-provisioned", **MATCHES)
def programs_go_to_the_server_of_their_stack(platform: Platform) -> Iterator[Fault]:
    """A host or port of somewhere else is another environment's data, or nobody's."""
    for _part, value, url in _urls(platform):
        if url.hostname not in _names_of_the_server(platform) or _port(url) != SERVER_PORT:
            yield Fault(value, f"{URL} names another host or port than those of the stack's server")


@rule("database-url-matches-provisioned", **MATCHES)
def programs_use_the_database_that_is_made(platform: Platform) -> Iterator[Fault]:
    """The server of a stack makes one database; another name is not there."""
    made = _made_with(platform, "POSTGRES_DB")
    for _part, value, url in _urls(platform):
        if made is not None and url.path.strip("/") != made:
            yield Fault(value, f"{URL} names another database than the one that is made")


@rule("database-url-matches-provisioned", **MATCHES)
def programs_log_in_as_users_that_are_made(platform: Platform) -> Iterator[Fault]:
    """A login that nobody makes is refused by the server, at the first request."""
    roles = platform.parts.get("postgres-roles")
    owner = _made_with(platform, "POSTGRES_USER")
    made = set(roles.secret_files) if roles else {owner} if owner else set()
    for _part, value, url in _urls(platform):
        if url.username not in made:
            yield Fault(value, f"{URL} names a user whom nobody makes")


def _names_of_the_server(platform: Platform) -> set[str]:
    """The part is known by its name on a Docker network; on a cluster by the services that lead to the one member which
    takes writes. A service of all members, or of the standbys, refuses them most of the time."""
    server = platform.parts["postgres"]
    if server.container.target == "docker":
        networks = server.container.spec["networksAdvanced"].items()
        return {alias for each in networks for alias in each["aliases"].texts()}
    services = [each for each in platform.snapshot.of("Service") if each.part == "postgres"]
    single = (server.resource.inputs.at("spec", "replicas").number() or 1) == 1
    writable = [
        each for each in services if single or each.inputs.at("spec", "selector", "role").text() in PRIMARY_ROLES
    ]
    return {name for each in writable if (name := each.object_name.text())}


def _made_with(platform: Platform, variable: str) -> str | None:
    """What the server, or the job that makes its roles, is told."""
    for name in ("postgres-roles", "postgres"):
        part = platform.parts.get(name)
        if part is not None and (text := part.setting(variable).text()):
            return text
    return None


@rule(
    "postgres-prod-dedicated", on=PlatformPart, where=runs_the_service, wanted="a database of production's own",
    mend="postgres.database",
)  # fmt: skip
def production_does_not_use_developments_database(part: PlatformPart) -> Iterator[Fault]:
    """A database with the development name is one that somebody may take for development's, and empty."""
    url = part.url(URL)
    if url is not None and url.path.strip("/") == "workflow_db":
        yield Fault(part.setting(URL), f"{URL} names the development database")


@rule(
    "postgres-prod-dedicated", on=Project, wanted="a server or a database of this stack's own",
    mend="postgres.database, or postgres.external.host of one of them",
)  # fmt: skip
def no_two_stacks_share_a_database(project: Project) -> Iterator[Fault]:
    """Two stacks on one database write into one another's data; one of them is made to be torn down. A stack that runs
    its own server shares nothing, whatever the name; one that extends another inherits where its server is."""
    own = _database(project, project.stack)
    for path in project.files("Pulumi.*.yaml"):
        other = path.name.split(".")[1]
        if own is not None and other != project.stack and _database(project, other) == own:
            yield Fault(f"Pulumi.{project.stack}.yaml", f"stack {other} has the same server and database")


def _database(project: Project, stack: str) -> tuple[str, int, str] | None:
    """Server, port and database of a stack that does not run its own server; None for one that does."""
    from stacks.errors import StackError
    from stacks.load import load_stack

    try:
        postgres = load_stack(stack, project.root).postgres
    except StackError:
        # Told by the rules about the description; what can't be read can't be deployed.
        return None
    external = postgres.external
    return (external.host.lower(), external.port, postgres.database) if external else None


@rule(
    "kafka-brokers-set", on=PlatformPart, where=runs_the_service, wanted="host:port, several apart by commas",
    mend="kafka.external.brokers, or none where the stack has its own",
)  # fmt: skip
def every_program_knows_its_brokers(part: PlatformPart) -> Iterator[Fault]:
    """There is no default for it: a program without it stops at its start."""
    brokers = part.setting("KAFKA_BROKERS")
    named = listed(brokers)
    if not named:
        yield Fault(brokers, "KAFKA_BROKERS names no broker")
    for number, each in enumerate(named, 1):
        match = _BROKER.fullmatch(each)
        if match is None or not 1 <= int(match["port"]) <= 65535:
            yield Fault(brokers, f"entry {number} of KAFKA_BROKERS is not host:port")


@rule("domain-configured", on=PlatformPart, parts=["edge"], wanted="public names of your own", mend="edge.hosts")
def visitors_ask_for_a_public_name(edge: PlatformPart) -> Iterator[Fault]:
    """The name is what the certificate, the browsers' rules and the visitors' links are made of; an address or a sample
    can't be any of that."""
    config = edge.file("nginx.conf")
    names = [name for line in _SERVER_NAME.findall(config.text() or "") for name in line.split()]
    if not names:
        yield Fault(config, "the edge answers for no name")
    for why in sorted({why for name in names if (why := why_not_public(name))}):
        yield Fault(config, f"a name that visitors ask for {why}")


@rule(
    "domain-configured", on=Resource, kinds=["Ingress"], wanted="a public name in every rule", mend="spec.rules[].host"
)
def an_ingress_answers_for_public_names(ingress: Resource) -> Iterator[Fault]:
    """A rule without a host answers for whatever name a visitor makes up."""
    for each in ingress.inputs.at("spec", "rules").items():
        why = why_not_public((each["host"].text() or "").removeprefix("*."))
        if why:
            yield Fault(each["host"], f"the name that visitors ask for {why}")
