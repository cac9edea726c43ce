"""Every input of the production program is one that the official Kubernetes provider's SDK knows."""

import importlib
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import _types

from stacks.load import load_stack
from tests.program.conftest import Deploy

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).parents[2]


def sdk_class(token: str) -> type:
    """The SDK's class of a type token, say `kubernetes:apps/v1:Deployment`."""
    _, module, kind = token.split(":")
    group, version = module.split("/")
    path = f"pulumi_kubernetes.{group.split('.')[0]}.{version}"
    found: type = getattr(importlib.import_module(path), kind)
    return found


def known_inputs(resource: type) -> dict[str, Any]:
    """The input types of a resource by their names in the protocol."""
    names = {**vars(typing), **vars(pulumi), **vars(sys.modules[resource.__module__])}
    hints = typing.get_type_hints(resource._internal_init, names)  # type: ignore[attr-defined]
    return {"".join([first, *(word.title() for word in rest)]): hint
            for name, hint in hints.items() for first, *rest in [name.split("_")]}  # fmt: skip


def args_class(hint: Any) -> type | None:
    """The class of structured values inside a type hint, if there is one."""
    if isinstance(hint, type):
        return hint if _types.is_input_type(hint) else None
    return next((found for each in typing.get_args(hint) if (found := args_class(each)) is not None), None)


def unknown(value: Any, hint: Any, path: str) -> Iterator[str]:
    """Paths of the inputs that the types do not know."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from unknown(item, hint, f"{path}[{number}]")
        return
    structure = args_class(hint)
    if structure is None or not isinstance(value, Mapping):
        return
    types = _types.input_type_types(structure)
    for name, item in value.items():
        if name not in types:
            yield f"{path}.{name}"
        else:
            yield from unknown(item, types[name], f"{path}.{name}")


def test_no_input_of_the_production_stack_is_unknown_to_the_sdk(deploy: Deploy) -> None:
    engine = deploy(stack=load_stack("prod", ROOT), grafana="left out for the test")
    objects = [each for each in engine.registered if each.typ.startswith("kubernetes:")]
    wrong = []
    for each in objects:
        inputs = known_inputs(sdk_class(each.typ))
        for name, value in each.inputs.items():
            if name not in inputs:
                wrong.append(f"{each.name}: {name}")
            else:
                wrong += unknown(value, inputs[name], f"{each.name}: {name}")
    assert len(objects) > 50
    assert not wrong, "inputs that the SDK does not know:\n" + "\n".join(wrong)


def test_an_input_that_the_sdk_does_not_know_is_found() -> None:
    spec = known_inputs(sdk_class("kubernetes:apps/v1:Deployment"))["spec"]
    value = {"template": {"spec": {"containers": [{"name": "a", "imagee": "b", "env": [{"nam": "x"}]}]}}}
    assert list(unknown(value, spec, "spec")) == [
        "spec.template.spec.containers[0].imagee",
        "spec.template.spec.containers[0].env[0].nam",
    ]
