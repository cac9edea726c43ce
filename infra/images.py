"""Which image each program is started from."""

from collections.abc import Callable
from typing import NamedTuple

from images.catalog import reference, registry_reference
from stacks.errors import StackError
from stacks.model import PROJECT, Stack

ImageSource = Callable[[str], str]
"""The reference of an image by its name in images/."""


class Lookup(NamedTuple):
    """Who is asked about images that are not of this process: registries, and this machine's engine."""

    digest: Callable[[str], str | None]
    """The same reference by digest; None when its registry does not answer or does not have it."""
    unavailable: Callable[[str], str | None]
    """Why an image can't be had; None when it can."""


def image_source(stack: Stack, lookup: Lookup) -> ImageSource:
    """References for a stack: those it names itself, else the ones of this tree, by digest where there is a registry.

    The returned function raises StackError when the registry does not have the image.
    """
    found: dict[str, str] = {}

    def image(name: str) -> str:
        if name not in found:
            found[name] = stack.images.get(name) or _of_this_tree(stack, name, lookup)
        return found[name]

    return image


def pinned(stack: Stack, reference: str, lookup: Lookup) -> str:
    """An image that is not built here, on a cluster by digest, so that every node and every restart gets the same one.

    As it is given where its registry does not answer, which the policies then refuse.
    """
    if stack.target == "docker" or "@" in reference:
        return reference
    return lookup.digest(reference) or reference


def _of_this_tree(stack: Stack, name: str, lookup: Lookup) -> str:
    registry = stack.kubernetes.registry
    if stack.target == "docker":
        return reference(name)
    if registry is None:
        fault = (
            f"{PROJECT}:kubernetes.registry is not set; a cluster pulls its images from a registry: "
            f"name one, or give {PROJECT}:images.{name} by digest"
        )
        raise StackError(stack.name, [fault])
    tagged = registry_reference(registry, name)
    pinned = lookup.digest(tagged)
    if pinned is None:
        fault = (
            f"image {tagged} is not in its registry, or the registry does not answer; ./deploy-api.sh push {stack.name}"
        )
        raise StackError(stack.name, [fault])
    return pinned
