"""Which kubeconfig is used here. Reads no cluster library, so that every command can ask."""

import os
from collections.abc import Mapping
from pathlib import Path

from ops.home import Home


def kubeconfig(home: Home, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value of $KUBECONFIG for this machine: what the user set, else the files that are there; None for none.

    The file of the node that this machine runs itself comes before the user's own, so that its context is the current
    one and a context that a description names is still found in either.
    """
    if given := environ.get("KUBECONFIG"):
        return given
    of_user = Path(environ.get("HOME") or "~").expanduser() / ".kube" / "config"
    found = [str(path) for path in (home.node / "kubeconfig", of_user) if path.is_file()]
    return os.pathsep.join(found) or None
