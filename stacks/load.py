"""From a Pulumi stack config to a Stack, or a list of all that is wrong with it."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from stacks.errors import StackError
from stacks.model import PROJECT, Stack

SECRET_KEYS = frozenset(
    {"jwtSecret", "postgresPassword", "monitoringPassword", "adminPassword", "grafanaPassword", "kafkaPassword"}
)
"""Top-level keys that may be given with `pulumi config set --secret`; what is not given is generated, but for
`kafkaPassword`, which belongs to brokers that somebody else runs."""

AGENT_SECRET = "agentSecret-"  # noqa: S105 - what keys begin with
"""What the keys of secrets that agents may use begin with; their name follows, as `executor.agentSecrets` has it."""

_PREFIX = f"{PROJECT}:"

EXTENDS = f"{_PREFIX}extends"
"""The key by which a stack says which other stack's description it starts from."""


def config_file(name: str, project: Path) -> Path:
    """Where Pulumi keeps the config of a stack."""
    return project / f"Pulumi.{name}.yaml"


def load_stack(name: str, project: Path) -> Stack:
    """Reads `Pulumi.<name>.yaml`. Raises StackError with every fault and the file's name."""
    config = _config_of(name, project)
    secret = [key for key, value in config.items() if _encrypted(value)]
    return parse_stack(name, extended(name, config, project), secret)


def _config_of(name: str, project: Path) -> dict[str, Any]:
    path = config_file(name, project)
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        known = sorted(found.name.split(".")[1] for found in project.glob("Pulumi.*.yaml"))
        raise StackError(name, [f"{path.name} does not exist; there are: {', '.join(known) or 'none'}"]) from None
    except yaml.YAMLError as error:
        raise StackError(name, [f"{path.name} is not YAML: {' '.join(str(error).split())}"]) from None
    config = document.get("config", {}) if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise StackError(name, [f"{path.name}: `config` must be a mapping of keys such as {_PREFIX}api"])
    return config


def _encrypted(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def load_stack_of_program(name: str, project: Path) -> Stack:
    """Reads the config that the Pulumi engine hands to the program, `--config` arguments included.

    With $WORKFLOW_RELEASE the description and the images are those of that release record.
    """
    if record := os.environ.get("WORKFLOW_RELEASE"):
        return load_release(name, Path(record))
    values = json.loads(os.environ.get("PULUMI_CONFIG") or "{}")
    secret = json.loads(os.environ.get("PULUMI_CONFIG_SECRET_KEYS") or "[]")
    config = {key: _decoded(value) for key, value in values.items()}
    return parse_stack(name, extended(name, config, project), secret)


def extended(name: str, config: Mapping[str, Any], project: Path) -> dict[str, Any]:
    """The config laid over the one of the stack that it extends, so that only differences are written twice.

    Mappings are merged, everything else is replaced. Secrets are each stack's own and are not inherited. Raises
    StackError when the other stack does not exist or extends one itself.
    """
    own = dict(config)
    base = own.pop(EXTENDS, None)
    if base is None:
        return own
    if not isinstance(base, str) or base == name:
        raise StackError(name, [f"{EXTENDS} is {base!r}; it must be the name of another stack"])
    inherited = {key: value for key, value in _config_of(base, project).items() if not _encrypted(value)}
    if EXTENDS in inherited:
        raise StackError(name, [f"{EXTENDS} is {base}, which itself extends {inherited[EXTENDS]}; extend that one"])
    return _merged(inherited, own)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def load_release(name: str, record: Path) -> Stack:
    """The description that a release record holds, its images by digest. Raises StackError when it can't be used."""
    try:
        document = json.loads(record.read_text(encoding="utf-8"))
        if document["stack"] != name:
            raise StackError(name, [f"{record.name} is a release of stack {document['stack']}"])
        described = {**document["description"], "images": document["images"]}
    except OSError as error:
        raise StackError(name, [f"{record} can't be read: {error.strerror}"]) from None
    except (ValueError, KeyError, TypeError):
        raise StackError(name, [f"{record} is not a release record"]) from None
    return parse_stack(name, {f"{_PREFIX}{key}": value for key, value in described.items()})


def parse_stack(name: str, config: Mapping[str, Any], secret_keys: Iterable[str] = ()) -> Stack:
    """Builds the description from config keys with their namespace. Keys of other namespaces are Pulumi's own."""
    secret = set(secret_keys)
    fields: dict[str, Any] = {}
    faults: list[str] = []
    for key, value in config.items():
        if not key.startswith(_PREFIX):
            continue
        field = key.removeprefix(_PREFIX)
        if field in SECRET_KEYS or field.startswith(AGENT_SECRET):
            if key not in secret:
                faults.append(f"{key} is in plain text; set it with `pulumi config set --secret {field}`")
        elif key in secret:
            faults.append(f"{key} is encrypted; only {', '.join(sorted(SECRET_KEYS))} and {AGENT_SECRET}... may be")
        else:
            fields[field] = value
    if "name" in fields:
        faults.append(f"{_PREFIX}name is not a setting; the stack's name is")
        del fields["name"]
    try:
        stack = Stack.model_validate({"name": name, **fields})
    except ValidationError as error:
        raise StackError(name, faults + list(_worded(error))) from None
    given = {key.removeprefix(_PREFIX + AGENT_SECRET) for key in config if key.startswith(_PREFIX + AGENT_SECRET)}
    for unused in sorted(given - set(stack.executor.agent_secrets)):
        faults.append(f"{_PREFIX}{AGENT_SECRET}{unused} is given, but executor.agentSecrets does not name {unused}")
    if faults:
        raise StackError(name, faults)
    return stack


def _decoded(value: object) -> object:
    """Structured values reach the program as JSON text, plain ones as they are."""
    if isinstance(value, str) and value[:1] in "{[":
        return json.loads(value)
    return value


def _worded(error: ValidationError) -> Iterable[str]:
    for fault in error.errors(include_url=False, include_context=False):
        key = ".".join(to_camel(part) if isinstance(part, str) else str(part) for part in fault["loc"])
        if not fault["loc"]:
            yield from fault["msg"].removeprefix("Value error, ").split("\n")
        elif fault["type"] == "extra_forbidden":
            yield f"{_PREFIX}{key} is not a setting; remove it or mend its name"
        else:
            yield f"{_PREFIX}{key} is {fault['input']!r}; {fault['msg'].removeprefix('Value error, ')}"
