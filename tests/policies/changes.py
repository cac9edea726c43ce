"""Small changes of a good deployment, each of which one rule must see."""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from policies.view.deployment import Deployment
from policies.view.fingerprints import Fingerprints
from policies.view.parts import CONFIG_SUFFIX, TOLD_ANNOTATION, TOLD_LABEL, UPLOAD_FOLDER
from policies.view.resources import Resource
from policies.view.values import ABSENT, UNKNOWN, Value

Change = Callable[[Deployment], Deployment]
"""Makes a copy with one thing changed; AssertionError when what it is to change is not there."""

_STEP = re.compile(r"([^.\[\]]+)|\[(-?\d+)\]")


def put(kind: str, name: str, path: str, to: Any) -> Change:
    """One input of one resource becomes `to`: a value, ABSENT, UNKNOWN, or a function of what was there.

    `path` is written as in messages: `spec.template.spec.containers[0].image`; what is missing on the way is made.
    """

    def change(resource: Resource) -> Resource:
        content = copy.deepcopy(resource.inputs.content)
        _put(content, _steps(path), to)
        return replace(resource, inputs=Value(content))

    return _each(kind, name, change)


def env(part: str, name: str, to: Any) -> Change:
    """A variable of a part's main container, on either target; ABSENT removes it, UNKNOWN hides it."""

    def change(deployment: Deployment) -> Deployment:
        container = deployment.platform.parts[part].container
        resource = container.resource
        content = copy.deepcopy(resource.inputs.content)
        holder = _find(content, container.spec.path)
        if resource.target == "docker":
            holder["envs"] = [each for each in holder["envs"] if not each.startswith(f"{name}=")]
            if to is UNKNOWN:
                holder["envs"].append(UNKNOWN)
            elif to is not ABSENT:
                holder["envs"].append(f"{name}={to}")
        else:
            holder["env"] = [each for each in holder["env"] if each["name"] != name]
            if to is not ABSENT:
                holder["env"].append({"name": name, "value": to})
        return _with(deployment, resource, replace(resource, inputs=Value(content)))

    return change


def config(part: str, path: str, to: Any) -> Change:
    """A config file of a part: `to` is a content, ABSENT, UNKNOWN, or a function of the content."""

    def change(deployment: Deployment) -> Deployment:
        return _file(deployment, part, path, path.replace("/", "__"), "ConfigMap", to, lambda text: text)

    return change


def secret(part: str, name: str, to: Any) -> Change:
    """A secret file of a part: `to` is a content, ABSENT, UNKNOWN, or a function of the content."""

    def change(deployment: Deployment) -> Deployment:
        return _file(deployment, part, f"secrets/{name}", name, "Secret", to, _encoded)

    return change


def swap(before: str, after: str) -> Callable[[str], str]:
    """For `to` of files: one piece of the text becomes another; AssertionError when it is not there."""

    def change(text: str) -> str:
        assert before in text, f"the file has no {before}"
        return text.replace(before, after)

    return change


def told(part: str, name: str, to: Any) -> Change:
    """What a part tells of a secret setting: a text, ABSENT or UNKNOWN."""

    def change(deployment: Deployment) -> Deployment:
        resource = deployment.platform.parts[part].resource
        content = copy.deepcopy(resource.inputs.content)
        if resource.target == "docker":
            label = f"{TOLD_LABEL}{name}"
            content["labels"] = [each for each in content["labels"] if each["label"] != label]
            if to is not ABSENT:
                content["labels"].append({"label": label, "value": to})
        else:
            path = deployment.platform.parts[part].pod.metadata["annotations"].path
            _put(content, [*_steps(path), f"{TOLD_ANNOTATION}{name}"], to)
        return _with(deployment, resource, replace(resource, inputs=Value(content)))

    return change


def without(kind: str, name: str) -> Change:
    """One resource is not there."""

    def change(deployment: Deployment) -> Deployment:
        found = _named(deployment, kind, name)
        rest = [each for each in deployment.resources if each.urn != found.urn]
        return Deployment(deployment.stack, rest, deployment.outputs.content)

    return change


def also(token: str, name: str, inputs: dict[str, Any]) -> Change:
    """One resource more."""

    def change(deployment: Deployment) -> Deployment:
        urn = f"urn:pulumi:{deployment.stack}::workflow-platform::{token}::{name}"
        more = Resource(urn=urn, type=token, name=name, inputs=Value(inputs))
        return Deployment(deployment.stack, [*deployment.resources, more], deployment.outputs.content)

    return change


def adjust(kind: str, name: str, **fields: Any) -> Change:
    """Another field of the resource than its inputs: dependencies, protect, retain."""
    return _each(kind, name, lambda resource: replace(resource, **fields))


def output(name: str, to: Any) -> Change:
    """An output of the stack."""

    def change(deployment: Deployment) -> Deployment:
        content = copy.deepcopy(deployment.outputs.content)
        _put(content, [name], to)
        return Deployment(deployment.stack, deployment.resources, content)

    return change


def recorded_elsewhere(stack: str, *secrets: str) -> Change:
    """Another stack has these secrets. To be applied last: other changes make a deployment without records."""
    known = Fingerprints(b"for tests", {})
    prints = Fingerprints(b"for tests", {stack: frozenset(map(known.of, secrets))})
    return lambda deployment: deployment.compared_with(prints)


def both(*changes: Change) -> Change:
    """Several changes that only together are wrong."""

    def change(deployment: Deployment) -> Deployment:
        for each in changes:
            deployment = each(deployment)
        return deployment

    return change


@dataclass(frozen=True)
class Case:
    """A change under which one check, and with it its requirement, turns red."""

    check: str
    """The name of the rule's function."""
    change: Change
    status: str = "fail"
    environment: str = "prod"
    """Which of the good deployments is changed: dev or prod."""
    path: str | None = None
    """What the finding's place must contain: kind and name of the resource, and the field."""
    why: str = ""
    """Tells cases of one check apart."""

    @property
    def id(self) -> str:
        """For the test's name."""
        return "-".join(filter(None, [self.check, self.environment, self.status.replace(" ", "_"), self.why]))


def _each(kind: str, name: str, change: Callable[[Resource], Resource]) -> Change:
    def changed(deployment: Deployment) -> Deployment:
        found = _named(deployment, kind, name)
        return _with(deployment, found, change(found))

    return changed


def _named(deployment: Deployment, kind: str, name: str) -> Resource:
    found = [each for each in deployment.of(kind) if each.name == name]
    known = sorted(each.name for each in deployment.of(kind))
    assert len(found) == 1, f"there is not one {kind} {name}, but of that kind: {known}"
    return found[0]


def _with(deployment: Deployment, old: Resource, new: Resource) -> Deployment:
    resources = [new if each.urn == old.urn else each for each in deployment.resources]
    return Deployment(deployment.stack, resources, deployment.outputs.content)


def _file(
    deployment: Deployment, part: str, path: str, key: str, kind: str, to: Any, encode: Callable[[str], str]
) -> Deployment:
    target = deployment.platform.parts[part].pod.target
    if target == "docker":
        holder = next(each for each in deployment.of("Container") if each.part == f"{part}{CONFIG_SUFFIX}")
        uploads = copy.deepcopy(holder.inputs.content["uploads"])
        entry = next(each for each in uploads if each["file"] == f"{UPLOAD_FOLDER}{path}")
        if to is ABSENT:
            uploads.remove(entry)
        else:
            entry["content"] = to(entry["content"]) if callable(to) else to
        content = {**holder.inputs.content, "uploads": uploads}
        return _with(deployment, holder, replace(holder, inputs=Value(content)))
    holder = next(
        each for each in deployment.of(kind) if each.part == part and key in (each.inputs["data"].content or {})
    )
    data = dict(holder.inputs.content["data"])
    if to is ABSENT:
        del data[key]
    elif to is UNKNOWN:
        data[key] = UNKNOWN
    else:
        before = data[key] if kind == "ConfigMap" else base64.b64decode(data[key]).decode()
        data[key] = encode(to(before) if callable(to) else to)
    return _with(deployment, holder, replace(holder, inputs=Value({**holder.inputs.content, "data": data})))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _steps(path: str) -> list[str | int]:
    return [int(index) if index else key for key, index in _STEP.findall(path)]


def _find(content: Any, path: str) -> Any:
    for step in _steps(path):
        content = content[step]
    return content


def _put(content: Any, steps: list[str | int], to: Any) -> None:
    *way, last = steps
    for index, step in enumerate(way):
        if isinstance(step, str) and isinstance(content, dict) and content.get(step) is None:
            following = steps[index + 1]
            content[step] = [] if isinstance(following, int) else {}
        content = content[step]
    if isinstance(last, int) and isinstance(content, list) and last == len(content):
        content.append(None)
    value = to(content[last] if not isinstance(content, dict) else content.get(last)) if callable(to) else to
    if value is ABSENT:
        del content[last]
    else:
        content[last] = value
