"""The parts of our own platform: the settings and files that each is started with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

from policies.view.pods import Container, Pod, pods
from policies.view.resources import Resource, Snapshot
from policies.view.values import ABSENT, UNKNOWN, Missing, Value

CONFIG_SUFFIX = "-config"
"""On Docker the container that fills a part's config volume is called so."""

UPLOAD_FOLDER = "/uploaded/"
SECRET_FOLDER = "secrets/"  # noqa: S105 - a folder
TOLD_ANNOTATION, TOLD_LABEL = "workflow.platform/told-", "workflow.told."
SECRET_MOUNT = "/config/secrets/"  # noqa: S105 - a folder


@dataclass(frozen=True, eq=False)
class PlatformPart:
    """One part: its main container, the variables it is given, and the files it finds below its config folder."""

    name: str
    container: Container
    config_files: Mapping[str, Value]
    """Content by path."""
    secret_files: Mapping[str, Value]
    """Content by name; what can't be known is unknown, and where it comes from is told by `secret_sources`."""
    secret_sources: Mapping[str, tuple[Resource, ...]]
    """The resources that a secret file's content comes from, where the source of the snapshot tells."""
    hides_files: bool = False
    """Whether there may be files of which not even the names can be known."""

    @property
    def pod(self) -> Pod:
        """What runs it."""
        return self.container.pod

    @property
    def resource(self) -> Resource:
        """The resource that runs it."""
        return self.container.resource

    def setting(self, name: str) -> Value:
        """A variable's value: the one written down, or the content of the secret file that `<name>_FILE` names."""
        found = self.container.env.get(name)
        if found is not None:
            return found
        path = self.container.env.get(f"{name}_FILE")
        if path is not None and (text := path.text()) is not None and text.startswith(SECRET_MOUNT):
            return self.secret_files.get(text.removeprefix(SECRET_MOUNT), Value(self._no_file, f"env.{name}_FILE"))
        return Value(ABSENT, f"env.{name}")

    def told(self, name: str) -> Value:
        """What is told of a secret setting: its value without what is secret in it; absent where nothing is."""
        if self.pod.target == "kubernetes":
            return self.pod.metadata["annotations"][f"{TOLD_ANNOTATION}{name}"]
        return self.resource.labels.get(f"{TOLD_LABEL}{name}", Value(ABSENT, f"labels.{TOLD_LABEL}{name}"))

    def url(self, name: str) -> SplitResult | None:
        """A setting that is a URL, taken apart; None when it is absent or no URL.

        Where the setting can't be known it is what is told of it, which has no password. Raises NotKnownError.
        """
        value = self.setting(name)
        if value.is_unknown and self.told(name).is_given:
            value = self.told(name)
        text = value.text()
        try:
            return urlsplit(text) if text else None
        except ValueError:
            return None

    def file(self, path: str) -> Value:
        """The content of a config file."""
        return self.config_files.get(path, Value(self._no_file, f"files.{path}"))

    @property
    def _no_file(self) -> Missing:
        return UNKNOWN if self.hides_files else ABSENT


def platform_parts(snapshot: Snapshot) -> Iterator[PlatformPart]:
    """Every part of our own platform that runs a program; none in a deployment of somebody else's."""
    files = _files_of_parts(snapshot)
    helpers = {f"{name}{CONFIG_SUFFIX}" for name in snapshot.parts()}
    for pod in pods(snapshot):
        part = pod.part
        if part is None or (pod.target == "docker" and part in helpers):
            continue
        for container in pod.main[:1]:
            found = files.get(part, _Files())
            if found.hidden:
                _name_hidden_files(found, pod)
            yield PlatformPart(part, container, found.config, found.secrets, found.sources, found.hidden)


class _Files:
    def __init__(self) -> None:
        self.config: dict[str, Value] = {}
        self.secrets: dict[str, Value] = {}
        self.sources: dict[str, tuple[Resource, ...]] = {}
        self.hidden = False
        self.of_hidden: tuple[Resource, ...] = ()
        """Where the content of a Secret comes from of which not even the keys are known."""


def _files_of_parts(snapshot: Snapshot) -> dict[str, _Files]:
    found: dict[str, _Files] = {}
    for resource in snapshot.resources:
        part = resource.part
        if part is None:
            continue
        if resource.kind in ("ConfigMap", "Secret"):
            files = found.setdefault(part, _Files())
            files.hidden |= resource.inputs["data"].is_unknown
        if resource.kind == "ConfigMap":
            files.config |= {key.replace("__", "/"): value for key, value in _entries(resource.inputs["data"]).items()}
        elif resource.kind == "Secret":
            sources = tuple(snapshot.sources(resource, "data"))
            if resource.inputs["data"].is_unknown:
                files.of_hidden = sources
            for key, value in _entries(resource.inputs["data"]).items():
                files.secrets[key], files.sources[key] = decoded(value), sources
        elif resource.kind == "Container" and part.endswith(CONFIG_SUFFIX):
            _take_uploads(found.setdefault(part.removesuffix(CONFIG_SUFFIX), _Files()), snapshot, resource)
    return found


def _name_hidden_files(files: _Files, pod: Pod) -> None:
    """The mount of a Secret names the keys that it shows, also where the Secret itself tells none."""
    for volume in pod.spec["volumes"].items() if pod.target == "kubernetes" else ():
        for source in volume.at("projected", "sources").items():
            for item in source.at("secret", "items").items():
                name = (item["path"].text() or "").removeprefix(SECRET_FOLDER)
                if name not in files.secrets:
                    files.secrets[name] = Value(UNKNOWN, f"files.{SECRET_FOLDER}{name}")
                    files.sources[name] = files.of_hidden


def _take_uploads(files: _Files, snapshot: Snapshot, resource: Resource) -> None:
    uploads = resource.inputs["uploads"]
    if uploads.is_unknown:
        files.hidden = True
        return
    sources = tuple(snapshot.sources(resource, "uploads"))
    for each in uploads.items():
        if each["file"].is_unknown:
            files.hidden = True
            continue
        path = (each["file"].text() or "").removeprefix(UPLOAD_FOLDER)
        if path.startswith(SECRET_FOLDER):
            name = path.removeprefix(SECRET_FOLDER)
            files.secrets[name], files.sources[name] = each["content"], sources
        else:
            files.config[path] = each["content"]


def decoded(value: Value) -> Value:
    """The text in a value of a Secret's `data`, where it is known and text."""
    if value.content is UNKNOWN or not isinstance(value.content, str):
        return value
    try:
        return Value(base64.b64decode(value.content, validate=True).decode(), value.path)
    except (binascii.Error, UnicodeDecodeError):
        return Value(UNKNOWN, value.path)


def _entries(value: Value) -> dict[str, Value]:
    return {} if value.is_unknown else value.entries()


class Platform:
    """All parts of our own platform in one deployment, for rules about how they fit together."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    @cached_property
    def parts(self) -> Mapping[str, PlatformPart]:
        """By name."""
        return {each.name: each for each in platform_parts(self.snapshot)}
