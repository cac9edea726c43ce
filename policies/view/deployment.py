"""Everything that one deployment is to make, for rules about how it fits together."""

from __future__ import annotations

from functools import cached_property

from policies.view.parts import Platform
from policies.view.pods import Pod, pods
from policies.view.resources import Snapshot


class Deployment(Snapshot):
    """All resources of one deployment, and what they mean."""

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """Everything that runs programs."""
        return tuple(pods(self))

    @cached_property
    def platform(self) -> Platform:
        """The parts of our own platform; none in a deployment of somebody else's."""
        return Platform(self)
