"""What a deployed stack tells about itself: the outputs that `verify` starts from."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "WORKFLOW_OUTPUTS"
MEND = "start the checks with `./deploy-api.sh verify <stack>`, which writes the outputs of the live stack"


class OutputsError(Exception):
    """The outputs can't be read or lack something; the message says what would be right."""


@dataclass(frozen=True)
class Deployed:
    """One part of the stack: its container, image reference, kind (service, daemon, stateful, job, schedule) and uid.

    `object` is the name of what carries it on a cluster, `replicas` how many it is described with.
    """

    part: str
    container: str
    image: str
    kind: str
    uid: int | None
    object: str = ""
    replicas: int = 1
    ports: tuple[int, ...] = ()

    @property
    def runs_on(self) -> bool:
        """False for jobs, which end."""
        return self.kind not in {"job", "schedule"}


@dataclass(frozen=True)
class StackOutputs:
    """The outputs of one stack. The password is kept out of `repr`, so that no failing test prints it.

    `network` is what the parts share: a Docker network, or a namespace of the cluster that `context` names.
    `authority` holds the certificates, PEM, by which the stack's addresses are trusted.
    """

    urls: dict[str, str]
    network: str
    inventory: dict[str, Deployed]
    missing: dict[str, str]
    admin_username: str
    admin_password: str = field(repr=False)
    target: str = "docker"
    authority: str | None = None
    context: str | None = None

    @property
    def running(self) -> dict[str, Deployed]:
        """The parts whose containers must be up."""
        return {part: deployed for part, deployed in self.inventory.items() if deployed.runs_on}

    @property
    def programs(self) -> dict[str, Deployed]:
        """The running parts made from the service's own image: API, relay and executors."""
        api = self.inventory["api"].image
        return {part: deployed for part, deployed in self.running.items() if deployed.image == api}

    @property
    def of_the_service(self) -> set[str]:
        """All parts made from the service's own image, jobs too."""
        image = self.inventory["api"].image
        return {part for part, deployed in self.inventory.items() if deployed.image == image}

    @property
    def executors(self) -> dict[str, Deployed]:
        """The executor instances."""
        return {part: deployed for part, deployed in self.programs.items() if part.startswith("executor")}


def read(path: Path) -> StackOutputs:
    """The outputs in a JSON file. Raises OutputsError."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError) as error:
        raise OutputsError(f"{path} does not hold stack outputs ({error}); {MEND}") from error


def read_from_environment() -> StackOutputs:
    """The outputs in the file that the environment names. Raises OutputsError."""
    path = os.environ.get(VARIABLE)
    if not path:
        raise OutputsError(f"{VARIABLE} is not set; {MEND}")
    return read(Path(path))


def target_from_environment() -> str | None:
    """What carries the stack, or None where that can't be read: the checks then fail one by one and say why."""
    try:
        return read_from_environment().target
    except OutputsError:
        return None


def parse(document: dict[str, Any]) -> StackOutputs:
    """The typed outputs. Raises OutputsError naming what is absent."""
    needed = ("urls", "inventory", "network", "adminUsername", "adminPassword")
    absent = [name for name in needed if not document.get(name)]
    if absent:
        raise OutputsError(f"the stack outputs lack {', '.join(absent)}: is the stack up? {MEND}")
    inventory = {}
    for part, value in document["inventory"].items():
        lacking = [name for name in ("container", "image", "kind") if not value.get(name)]
        if lacking:
            raise OutputsError(f"the inventory entry '{part}' lacks {', '.join(lacking)}")
        uid = value.get("uid")
        container, image, kind = (str(value[name]) for name in ("container", "image", "kind"))
        inventory[part] = Deployed(
            part,
            container,
            image,
            kind,
            None if uid is None else int(uid),
            str(value.get("object") or part),
            int(value.get("replicas") or 1),
            tuple(int(port) for port in value.get("ports") or ()),
        )
    if "api" not in inventory:
        raise OutputsError("the inventory has no entry 'api'")
    return StackOutputs(
        urls=dict(document["urls"]),
        network=str(document["network"]),
        inventory=inventory,
        missing=dict(document.get("missing") or {}),
        admin_username=str(document["adminUsername"]),
        admin_password=str(document["adminPassword"]),
        target=str(document.get("target") or "docker"),
        authority=document.get("authority"),
        context=document.get("context"),
    )
