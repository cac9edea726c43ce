"""What a configured provider reaches: a cluster, a folder, or nothing, with the reason why."""

from __future__ import annotations

from dataclasses import dataclass

from airgap.provider.operation import ResourceError

from .client import Client, UnreachableError
from .cluster import Cluster
from .configuration import Settings
from .discovery import usually_namespaced
from .objects import Type
from .render import Folder
from .target import Target

_GONE = "if the cluster is gone for good, PULUMI_K8S_DELETE_UNREACHABLE=true drops its objects from the state"


@dataclass(frozen=True)
class Reach:
    """`target` is None when nothing is reached: `away` says why."""

    settings: Settings
    target: Target | None = None
    away: str = "the provider is not configured"

    def place(self) -> Target:
        """The target. Raises ResourceError when nothing is reached."""
        if self.target is None:
            raise ResourceError(self.away)
        return self.target

    def namespaced(self, wanted: Type) -> bool:
        """Whether objects of the type live in namespaces, as well as it can be known."""
        return usually_namespaced(wanted) if self.target is None else self.target.namespaced(wanted)

    @property
    def skipping(self) -> bool:
        """Whether everything is to be taken as recorded, because the cluster is away."""
        return self.target is None and self.settings.known and self.settings.skip_unreachable

    @property
    def forgetting(self) -> bool:
        """Whether objects are to be dropped from the state, because the cluster is away."""
        return self.target is None and self.settings.known and self.settings.delete_unreachable


def reach(settings: Settings) -> Reach:
    """Reach what the settings name.

    Raises ResourceError when that is a cluster that is away, unless the settings say what to do then.
    """
    if settings.render_to:
        return Reach(settings, Folder(settings), "")
    if not settings.known:
        return Reach(settings, None, "the cluster is made by this deployment and not known yet")
    try:
        cluster = Cluster(Client(settings.access()), settings)
        cluster.ping()
    except UnreachableError as error:
        if settings.skip_unreachable or settings.delete_unreachable:
            return Reach(settings, None, str(error))
        raise ResourceError(f"{error}; {_GONE}") from None
    except ResourceError as error:
        if settings.delete_unreachable:
            return Reach(settings, None, str(error))
        raise
    return Reach(settings, cluster, "")
