"""Every secret by which a program or a person proves who they are, wherever it stands in a deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from policies.view.fingerprints import Fingerprints
from policies.view.parts import CONFIG_SUFFIX, SECRET_FOLDER, SECRET_MOUNT, UPLOAD_FOLDER, decoded
from policies.view.pods import Container, pods
from policies.view.resources import Resource, Snapshot
from policies.view.secret_text import (
    CERTIFICATE,
    PRIVATE_KEY,
    assignments,
    is_written_down,
    names_a_secret,
    normal_name,
    url_logins,
)
from policies.view.tokens import DYNAMIC
from policies.view.values import UNKNOWN, NotKnownError, Value

RANDOM_PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a kind of resource
GENERATORS = (RANDOM_PASSWORD, "random:index/randomBytes:RandomBytes")
KEY_MAKERS = ("tls:index/privateKey:PrivateKey", "tls:index/selfSignedCert:SelfSignedCert")

_DATABASE_SCHEMES = re.compile(r"(postgres|postgresql|mysql|mariadb|mssql|oracle|mongodb)(\+\w+)?")
_DATABASE_NAME = re.compile(
    r"(^|_)(postgres|postgresql|pg|db|database|mysql|mariadb|mssql|mongo)(_\w+)?_(pass|pw)|^pgpass"
)
_TOKEN_KEY_NAME = re.compile(r"(^|_)jwt_(\w+_)?(secret|key)|(^|_)(secret|signing)_key$|^jwt(_previous)?$")
_USER_NAME = re.compile(r"(^|_)(user|username|login|host|hostname|db|database|dbname)$")
_KEY_FILE = re.compile(r"\.(crt|pem|key|cer|der|p12|pfx|jks)$")
_OF_NO_PASSWORD = ("kubernetes.io/service-account-token", "kubernetes.io/dockerconfigjson", "kubernetes.io/tls")

# On our own platform these files are named after the login whose password they hold, or after nothing that tells.
_PROGRAM_OF_SERVICE = re.compile(r"(api|relay|executor|migrations)(-\d+)?")
_SERVERS_LOGINS = {"postgres-roles": "database", "kafka-access": "kafka", "postgres": "database"}


@dataclass(frozen=True, eq=False)
class Credential:
    """One secret at one place, without what stands around it: of a URL only the password."""

    name: str
    """Of the file, key, variable or setting that holds it."""
    value: Value
    resource: Resource
    sources: tuple[Resource, ...]
    """The resources that it may come from."""
    stack: str
    user: str | None = None
    """Whose it is, where that can be told."""
    surroundings: frozenset[str] = frozenset()
    """Names that stand beside it: users, hosts, databases, the program, the stack."""
    is_of_database: bool = False
    is_hidden: bool = False
    """Whether it stands for secrets of which not even the names can be known."""
    fingerprints: Fingerprints | None = None

    @property
    def part(self) -> str | None:
        """The part of our own platform that gets it."""
        found = self.resource.part
        return found.removesuffix(CONFIG_SUFFIX) if found and self.resource.kind == "Container" else found

    @property
    def signs_tokens(self) -> bool:
        """Whether it is the key of JSON Web Tokens."""
        hidden = self.is_hidden and self.part == "api"
        return hidden or _TOKEN_KEY_NAME.search(normal_name(self.name)) is not None

    @property
    def comes_from_generator(self) -> bool:
        """Whether everything that it may come from draws random secrets or makes keys."""
        return bool(self.sources) and all(draws(each) or makes_keys(each) for each in self.sources)

    def known(self) -> str | None:
        """The secret; None where it is still to be drawn, so that there is nothing to judge. Raises NotKnownError."""
        if self.value.is_unknown and self.comes_from_generator:
            return None
        return self.value.text() or ""

    @property
    def system(self) -> str:
        """What it opens: database, kafka, a part of our own platform, or what its name says."""
        if self.is_of_database:
            return "database"
        if self.part in _SERVERS_LOGINS or "kafka" in normal_name(self.name):
            return _SERVERS_LOGINS.get(self.part or "", "kafka")
        if self.part is None or self._is_setting:
            return normal_name(self.name)
        # What programs of one image have under one name is one purpose: one signs with it, others verify or show it.
        return "service" if _PROGRAM_OF_SERVICE.fullmatch(self.part) else self.part

    @property
    def login(self) -> str:
        """Whose it is, or its name where that is not told."""
        return normal_name(self.user or self.name)

    @property
    def _is_setting(self) -> bool:
        return ": " in self.name


def draws(resource: Resource) -> bool:
    """Whether a resource draws a random secret: our own RandomHex, which has a generation only, or another one."""
    if resource.type == DYNAMIC:
        given = resource.inputs.content if isinstance(resource.inputs.content, dict) else {}
        return "generation" in given and set(given) <= {"generation", "value", "__provider"}
    return resource.type in GENERATORS


def makes_keys(resource: Resource) -> bool:
    """Whether a resource makes a key with its certificate."""
    given = resource.inputs.content if isinstance(resource.inputs.content, dict) else {}
    return resource.type in KEY_MAKERS or (resource.type == DYNAMIC and {"commonName", "generation"} <= set(given))


def credentials(snapshot: Snapshot, fingerprints: Fingerprints | None = None) -> Iterator[Credential]:
    """All of a deployment. What can't be known is among them, as unknown."""
    users = _users_of_files(snapshot)
    for place in _places(snapshot):
        yield from place.credentials(snapshot, users, fingerprints)


@dataclass(frozen=True)
class _Place:
    """A text that is or holds secrets."""

    name: str
    value: Value
    resource: Resource
    top: str
    """The input of the resource in which it is."""
    beside: Mapping[str, str]
    """The other texts of the same list, by name."""
    is_secret_file: bool = False
    """Whether it is a secret whatever its name says."""
    hides_names: bool = False

    def credentials(
        self, snapshot: Snapshot, users: Mapping[tuple[str, str], str], fingerprints: Fingerprints | None
    ) -> Iterator[Credential]:
        part = self.resource.part
        owner = part.removesuffix(CONFIG_SUFFIX) if part and self.resource.kind == "Container" else part
        around = {snapshot.stack, owner or "", self.resource.name, *self._names_beside()}

        def made(name: str, value: Value, user: str | None, more: set[str], database: bool) -> Credential:
            return Credential(
                name=name,
                value=value,
                resource=self.resource,
                sources=tuple(snapshot.sources(self.resource, self.top)),
                stack=snapshot.stack,
                user=user,
                surroundings=frozenset(each.casefold() for each in around | more | {user or ""} if each),
                is_of_database=database,
                is_hidden=self.hides_names,
                fingerprints=fingerprints,
            )

        user = users.get((owner or "", self.name)) or self._user_beside()
        of_database = bool(_DATABASE_NAME.search(normal_name(self.name))) or self._is_of_our_database(owner)
        if self.value.is_unknown:
            if self.is_secret_file or self.hides_names or names_a_secret(self.name):
                yield made(self.name, self.value, user, set(), of_database)
            return
        text = (self.value.text() or "").strip()
        if CERTIFICATE in text or PRIVATE_KEY.search(text):
            return
        logins = list(url_logins(text))
        settings = list(assignments(text)) if "\n" in text else []
        for scheme, login, password, host in logins:
            database = _DATABASE_SCHEMES.fullmatch(scheme) is not None
            yield made(self.name, Value(password, self.value.path), login or None, {host}, database)
        for setting, content in settings:
            database = _DATABASE_NAME.search(normal_name(setting)) is not None
            yield made(f"{self.name}: {setting}", Value(content, self.value.path), None, set(), database)
        alone = not logins and not settings and "://" not in text
        if alone and (self.is_secret_file or (names_a_secret(self.name) and self._is_written_down(text))):
            yield made(self.name, Value(text, self.value.path), user, set(), of_database)

    def _is_written_down(self, text: str) -> bool:
        # In a Secret an empty password is one too; in a variable it means that there is none.
        return is_written_down(self.name, text) or (not text and self.resource.kind == "Secret")

    def _is_of_our_database(self, part: str | None) -> bool:
        if not self.is_secret_file or part is None:
            return False
        hidden = self.hides_names and part in ("postgres-exporter", "api", "migrations", "relay", "executor")
        return (
            hidden
            or _SERVERS_LOGINS.get(part) == "database"
            or part == "postgres-exporter"
            or (self.name == "database_url")
        )

    def _names_beside(self) -> list[str]:
        return [text for name, text in self.beside.items() if _USER_NAME.search(normal_name(name)) and "/" not in text]

    def _user_beside(self) -> str | None:
        stem = re.sub(r"_?(password|passwd|pass|pw|pwd)$", "", normal_name(self.name))
        wanted = {f"{stem}_user".strip("_"), f"{stem}_username".strip("_")}
        return next((text for name, text in self.beside.items() if normal_name(name) in wanted), None)


def _places(snapshot: Snapshot) -> Iterator[_Place]:
    for resource in snapshot.of("Secret"):
        kind = resource.inputs["type"]
        if not kind.is_unknown and kind.text() in _OF_NO_PASSWORD:
            continue
        for top in ("data", "stringData"):
            yield from _of_secret(resource, top)
    for pod in pods(snapshot):
        if pod.target == "docker":
            yield from _of_uploads(pod.resource)
        try:
            containers = pod.containers
        except NotKnownError:
            continue
        for container in containers:
            yield from _of_variables(container)


def _of_secret(resource: Resource, top: str) -> Iterator[_Place]:
    found = resource.inputs[top]
    ours = resource.part is not None
    if found.is_unknown:
        yield _Place(top, found, resource, top, {}, ours, hides_names=True)
        return
    entries = {key: decoded(each) if top == "data" else each for key, each in found.entries().items()}
    beside = _texts(entries)
    for key, value in entries.items():
        if not _KEY_FILE.search(key):
            yield _Place(key, value, resource, top, beside, ours)


def _of_uploads(resource: Resource) -> Iterator[_Place]:
    uploads = resource.inputs["uploads"]
    if uploads.is_unknown:
        yield _Place("uploads", uploads, resource, "uploads", {}, resource.part is not None, hides_names=True)
        return
    for each in uploads.items():
        path = "" if each["file"].is_unknown else each["file"].text() or ""
        ours = resource.part is not None and path.startswith(UPLOAD_FOLDER + SECRET_FOLDER)
        name = path.rpartition("/")[2]
        if (ours or "/secrets/" in path or names_a_secret(name)) and not _KEY_FILE.search(name):
            yield _Place(name, each["content"], resource, "uploads", {}, ours or "/secrets/" in path)


def _of_variables(container: Container) -> Iterator[_Place]:
    resource = container.resource
    top = "envs" if container.target == "docker" else "spec"
    variables = _variables(container)
    beside = _texts(variables)
    for name, value in variables.items():
        if names_a_secret(name) or (not value.is_unknown and any(url_logins(value.text() or ""))):
            yield _Place(name, value, resource, top, beside)


def _variables(container: Container) -> dict[str, Value]:
    """Like `env`, without those whose names can't be known."""
    key = "envs" if container.target == "docker" else "env"
    given = container.spec[key]
    if given.is_unknown:
        return {}
    if container.target == "docker":
        whole = [each for each in given.items() if not each.is_unknown]
        pairs = [((each.text() or "").partition("="), each.path) for each in whole]
        return {name: Value(value, path) for (name, _, value), path in pairs}
    named = [each for each in given.items() if not each.is_unknown and not each["name"].is_unknown]
    return {each["name"].text() or "": each["value"] for each in named if each["value"].is_given}


def _texts(values: Mapping[str, Value]) -> dict[str, str]:
    return {name: each.text() or "" for name, each in values.items() if each.content is not UNKNOWN}


def _users_of_files(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """Whose password a secret file of our own parts holds, by part and file.

    Told by the variables: X_PASSWORD_FILE names the file, X_USER or X_USERNAME the user.
    """
    users = {}
    for pod in pods(snapshot):
        if pod.part is None:
            continue
        try:
            texts = _texts({name: value for each in pod.main for name, value in _variables(each).items()})
        except NotKnownError:
            continue
        for name, path in texts.items():
            match = re.fullmatch(r"(\w+?)_(PASSWORD|PASS)_+FILE", name)
            user = texts.get(f"{match[1]}_USERNAME") or texts.get(f"{match[1]}_USER") if match else None
            if user and path.startswith(SECRET_MOUNT):
                users[pod.part, path.removeprefix(SECRET_MOUNT)] = user
    return users
