"""The cluster that stacks are deployed to: the one a kubeconfig names, or the one-node cluster of this machine."""

import base64
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.table import Table

from airgap.node import cluster, programs, teardown
from airgap.node.layout import Node
from ops.console import Progress
from ops.errors import OperatorError
from ops.home import Home
from ops.locks import exclusive
from ops.setup import docker_engine
from ops.setup.step import Step, run_steps

ANSWER_SECONDS = 10.0
WAIT_FOR_ANOTHER_SECONDS = 1800.0


def other_kubeconfig(home: Home, given: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The kubeconfig of a cluster that is not ours: the one given, else `$KUBECONFIG`; None when neither names one."""
    first = environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    chosen = given or (Path(first) if first else None)
    if chosen is None or chosen.expanduser().resolve() == Node.of(home.root).kubeconfig.resolve():
        return None
    return chosen.expanduser()


def up(home: Home, progress: Progress) -> list[str]:
    """Brings the one-node cluster up, and returns the names of the steps that were needed. Waits for one under way.

    Raises OperatorError or AirgapError, each with a reason and a mend.
    """
    home.make()
    node = Node.of(home.root)
    steps = [
        Step("Docker engine", docker_engine.answers, lambda report: docker_engine.ensure(home, report)),
        Step(
            "Kubernetes programs",
            lambda: programs.built(node) and programs.unpacked(node),
            lambda report: cluster.provide(node, report),
        ),
        # These two look at every part anew, so they also mend what was damaged; on a sound cluster they change nothing.
        Step("Node", lambda: False, lambda report: cluster.start(node, report)),
        Step("DNS, metrics and storage", lambda: False, lambda report: cluster.finish(node, report)),
    ]
    with exclusive(_lock(home), "changing the cluster", progress.say, WAIT_FOR_ANOTHER_SECONDS):
        return run_steps(steps, progress)


def down(home: Home, progress: Progress, purge: bool) -> list[str]:
    """Takes it away, with `purge` its data too; returns what was there."""
    home.make()
    title = "Taking the cluster away with its data" if purge else "Taking the cluster down"
    alone = exclusive(_lock(home), "changing the cluster", progress.say, WAIT_FOR_ANOTHER_SECONDS)
    with alone, progress.task(title) as report:
        return teardown.down(Node.of(home.root), purge, report)


def status(home: Home) -> dict[str, Any]:
    """What runs and what works, as airgap tells it."""
    return cluster.status(Node.of(home.root))


def status_table(found: Mapping[str, Any]) -> Table:
    """The same for people."""
    table = Table("part", "state", "memory", "restarts", box=None)
    for name, part in found["parts"].items():
        memory = f"{part['memory_bytes'] / 1024**2:.0f} MB"
        table.add_row(name, "runs" if part["running"] else "ended", memory, str(part["restarts"]))
    for name, works in found["works"].items():
        table.add_row(name, "works" if works else "does not work", "", "")
    return table


def check_answers(kubeconfig: Path) -> str:
    """Asks the API server of a kubeconfig's current context whether it is there; returns its address.

    The credentials are not tried: a cluster that refuses an unknown caller has answered. Raises OperatorError.
    """
    server, authority = _current_server(kubeconfig)
    try:
        context = ssl.create_default_context(cadata=authority) if authority else ssl.create_default_context()
        answer = httpx.get(f"{server}/version", verify=context, timeout=ANSWER_SECONDS, trust_env=True)
    except (httpx.HTTPError, ssl.SSLError, httpx.InvalidURL) as error:
        raise OperatorError(
            f"the cluster {server} of {kubeconfig} does not answer: {error or type(error).__name__}",
            "check the address and the network, or unset KUBECONFIG to use this machine's own cluster",
        ) from error
    if answer.status_code >= 500:
        raise OperatorError(
            f"the cluster {server} of {kubeconfig} answers {answer.status_code}", "see the cluster's control plane"
        )
    return server


def _current_server(kubeconfig: Path) -> tuple[str, str]:
    """The address of the current context's cluster and the authority it is trusted by, if one is named."""
    mend = "correct the file, or unset KUBECONFIG to use this machine's own cluster"
    try:
        document = yaml.safe_load(kubeconfig.read_text())
        contexts = {one["name"]: one["context"] for one in document["contexts"]}
        clusters = {one["name"]: one["cluster"] for one in document["clusters"]}
        chosen = clusters[contexts[document["current-context"]]["cluster"]]
        authority = base64.b64decode(chosen.get("certificate-authority-data", "")).decode()
        if not authority and (named := chosen.get("certificate-authority")):
            authority = (kubeconfig.parent / named).read_text()
        return str(chosen["server"]).rstrip("/"), authority
    except OSError as error:
        raise OperatorError(f"{error.filename} cannot be read: {error.strerror}", mend) from error
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        what = f"nothing named {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:120]
        raise OperatorError(f"{kubeconfig} names no cluster that could be used ({what})", mend) from error


def _lock(home: Home) -> Path:
    return home.locks / "cluster.lock"
