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
    """One part of the stack: its container, image reference, kind (service, stateful, job, schedule) and uid."""

    part: str
    container: str
    image: str
    kind: str
    uid: int | None

    @property
    def runs_on(self) -> bool:
        """False for jobs, which end."""
        return self.kind not in {"job", "schedule"}


@dataclass(frozen=True)
class StackOutputs:
    """The outputs of one stack. The password is kept out of `repr`, so that no failing test prints it."""

    urls: dict[str, str]
    network: str
    inventory: dict[str, Deployed]
    missing: dict[str, str]
    admin_username: str
    admin_password: str = field(repr=False)

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
        inventory[part] = Deployed(part, container, image, kind, None if uid is None else int(uid))
    if "api" not in inventory:
        raise OutputsError("the inventory has no entry 'api'")
    return StackOutputs(
        urls=dict(document["urls"]),
        network=str(document["network"]),
        inventory=inventory,
        missing=dict(document.get("missing") or {}),
        admin_username=str(document["adminUsername"]),
        admin_password=str(document["adminPassword"]),
    )
