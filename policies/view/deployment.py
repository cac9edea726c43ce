"""Everything that one deployment is to make, for rules about how it fits together."""

from __future__ import annotations

from functools import cached_property

from policies.view.credentials import Credential, credentials
from policies.view.fingerprints import Fingerprints
from policies.view.parts import Platform
from policies.view.pods import Pod, pods
from policies.view.resources import Snapshot


class Deployment(Snapshot):
    """All resources of one deployment, and what they mean."""

    fingerprints: Fingerprints | None = None
    """Of the secrets of other stacks; None where nobody gave them."""

    def compared_with(self, fingerprints: Fingerprints | None) -> Deployment:
        """The same deployment, with what is recorded of other stacks' secrets."""
        found = Deployment(self.stack, self.resources, self.outputs.content)
        found.fingerprints = fingerprints
        return found

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """Everything that runs programs."""
        return tuple(pods(self))

    @cached_property
    def platform(self) -> Platform:
        """The parts of our own platform; none in a deployment of somebody else's."""
        return Platform(self)

    @cached_property
    def credentials(self) -> tuple[Credential, ...]:
        """Everything by which a program or a person proves who they are."""
        return tuple(credentials(self, self.fingerprints))
