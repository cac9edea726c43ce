"""Objects in a cluster: applied on the server side, waited for, removed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from airgap.provider.operation import Operation, ResourceError

from .awaiting.settle import settle, shortcoming
from .client import ApiError, Client
from .configuration import Settings
from .discovery import Discovery, UnknownKindError
from .objects import (
    DELETION_PROPAGATION,
    PATCH_FORCE,
    SKIP_AWAIT,
    Type,
    annotated,
    annotation,
    called,
    from_program,
    is_secret,
    metadata,
    name_of,
    namespace_of,
    split_identity,
    type_of,
)
from .target import Live, Task
from .wording import already_there, explained, not_gone

MANAGER = "pulumi-kubernetes"
_LOOK_SECONDS = 0.5
_FIRST_SECONDS = 0.1
_AT_MOST_SECONDS = 1.0
_ACCOUNT_SECONDS = 15.0
_NOT_YET = ("error looking up service account", "serviceaccount", "no PriorityClass with name")
_DELETED_WITHOUT_WAITING = frozenset({"Namespace", "Pod", "DaemonSet", "Deployment", "StatefulSet", "Job"})


class Cluster:
    """One cluster, as the provider's settings want it used."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._discovery = Discovery(client)

    def ping(self) -> None:
        """Raises UnreachableError when the API server does not answer, ApiError when it does not let us in."""
        self._client.ping()

    def namespaced(self, wanted: Type) -> bool:
        """Whether objects of the type live in namespaces; assumed of one that the cluster does not know (yet)."""
        return self._discovery.namespaced(wanted)

    def default_namespace(self) -> str:
        """The provider's namespace, else the one of the kubeconfig's context."""
        return self._settings.namespace or self._client.access.namespace

    def preview(self, task: Task, new: bool) -> Live | None:
        """What the server says that it would do, None when something that it needs is not there yet."""
        try:
            kind = self._discovery.find(type_of(task.inputs))
        except UnknownKindError:
            return None
        body = _body(task.inputs, kind.namespaced)
        path = kind.path(namespace_of(body), name_of(body))
        try:
            if new and not self._settings.upsert:
                existing = self._get(path)
                if existing is not None:
                    if not _managed_by_pulumi(existing):
                        raise ResourceError(already_there(body))
                    return None  # most likely the very object that this one is going to replace
            return self._apply(path, body, task, dryRun="All")
        except ApiError as error:
            if error.missing or _may_come(error):
                return None
            raise explained(error, body, changing=not new) from None

    def create(self, task: Task) -> Live:
        """Apply what is not there yet, and wait for it."""
        kind = self._discovery.wait_for(type_of(task.inputs), task.operation)
        body = _body(task.inputs, kind.namespaced)
        path = kind.path(namespace_of(body), name_of(body))
        if not self._settings.upsert:
            self._until_free(path, body, task.operation)
        live = self._applied(path, body, task, changing=False)
        return settle(self._client, path, live, body, task.operation, task.tell)

    def update(self, task: Task) -> Live:
        """Apply the change, give up what was held under another manager's name, and wait."""
        kind = self._discovery.wait_for(type_of(task.inputs), task.operation)
        body = _body(task.inputs, kind.namespaced)
        path = kind.path(namespace_of(body), name_of(body))
        live = self._applied(path, body, task, changing=True)
        if task.earlier_manager and task.earlier_manager != task.manager:
            bare = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": {"name": name_of(body)}}
            live = self._client.apply(path, bare, fieldManager=task.earlier_manager)
        return settle(self._client, path, live, body, task.operation, task.tell)

    def read(self, wanted: Type, identity: str) -> Live | None:
        """The object, or None when it or its kind is gone."""
        namespace, name = split_identity(identity)
        try:
            kind = self._discovery.find(wanted)
        except UnknownKindError:
            return None
        return self._get(kind.path(namespace, name))

    def shortcoming(self, live: Live, inputs: Mapping[str, Any]) -> str:
        """Why a workload is not of use at this moment."""
        return shortcoming(self._client, live, inputs)

    def delete(self, wanted: Type, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
        """Delete it with the propagation that its annotation asks for (foreground), and wait until it is gone."""
        namespace, name = split_identity(identity)
        try:
            path = self._discovery.find(wanted).path(namespace, name)
        except UnknownKindError:
            return
        asked = annotation(inputs, DELETION_PROPAGATION).lower()
        policy = {"orphan": "Orphan", "background": "Background"}.get(asked, "Foreground")
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy}
        try:
            answer = self._client.delete(path, options)
        except ApiError as error:
            if error.missing:
                return
            raise ResourceError(f"{wanted.kind} {identity}: {error}") from None
        if annotated(inputs, SKIP_AWAIT) and wanted.kind in _DELETED_WITHOUT_WAITING:
            return
        gone = str((answer.get("metadata") or answer.get("details") or {}).get("uid") or "")
        self._until_gone(path, gone, f"{wanted.kind} {identity}", operation)

    def _until_gone(self, path: str, uid: str, what: str, operation: Operation) -> None:
        pause = _FIRST_SECONDS
        while True:
            left = self._get(path)
            if left is None or (uid and metadata(left).get("uid") != uid):
                return  # another uid: somebody has made a new one of the same name
            try:
                operation.pause(pause)
            except ResourceError as error:
                raise ResourceError(f"{what}: {not_gone(left)} ({error})") from None
            pause = min(pause * 1.5, _AT_MOST_SECONDS)

    def _until_free(self, path: str, body: Mapping[str, Any], operation: Operation) -> None:
        """Raises ResourceError when the object is there; one that is just going is waited for."""
        existing = self._get(path)
        if existing is None:
            return
        if not metadata(existing).get("deletionTimestamp"):
            raise ResourceError(already_there(body))
        self._until_gone(path, str(metadata(existing).get("uid") or ""), called(body), operation)

    def _applied(self, path: str, body: Mapping[str, Any], task: Task, changing: bool) -> Live:
        while True:
            try:
                return self._apply(path, body, task)
            except ApiError as error:
                # The service account of a new namespace is made a moment after the namespace.
                if not _may_come(error) or task.operation.elapsed() > _ACCOUNT_SECONDS:
                    raise explained(error, body, changing=changing) from None
            task.operation.pause(_LOOK_SECONDS)

    def _apply(self, path: str, body: Mapping[str, Any], task: Task, **query: str) -> Live:
        if self._settings.force or annotated(body, PATCH_FORCE):
            query["force"] = "true"
        return self._client.apply(
            path, body, self._heard(task), fieldManager=task.manager, fieldValidation="Strict", **query
        )

    def _heard(self, task: Task) -> Any:
        def warn(line: str) -> None:
            if not (self._settings.suppress_deprecations and "deprecated" in line):
                task.warn(line)

        return warn

    def _get(self, path: str) -> Live | None:
        try:
            return self._client.get(path)
        except ApiError as error:
            if error.missing:
                return None
            raise


def _body(inputs: Mapping[str, Any], namespaced: bool) -> dict[str, Any]:
    """The inputs as they are applied.

    The namespace is left out for a kind that has none. Text data of a Secret is put in its place in `data`: the server
    would do so as well, but it would not take it away again when the input goes.
    """
    body: dict[str, Any] = from_program(inputs)
    found = {**body["metadata"]}
    if not namespaced:
        found.pop("namespace", None)
    else:
        found.setdefault("namespace", "default")
    body["metadata"] = found
    if is_secret(body) and isinstance(body.get("stringData"), Mapping):
        texts = body.pop("stringData")
        body["data"] = {
            **(body.get("data") or {}),
            **{key: base64.b64encode(str(value).encode()).decode() for key, value in texts.items()},
        }
    return body


def _managed_by_pulumi(existing: Live) -> bool:
    managers = metadata(existing).get("managedFields") or []
    return any(str(entry.get("manager", "")).startswith(MANAGER) for entry in managers)


def _may_come(error: ApiError) -> bool:
    """Whether it is refused for the want of something that may be made by the same deployment."""
    message = str(error)
    if error.code == 400 and "does not support dry run" in message:
        return True
    return error.code == 403 and any(text in message for text in _NOT_YET) and "not found" in message
