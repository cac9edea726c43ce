"""Where this machine keeps what the project makes on it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """The folder of machine state, `$WORKFLOW_HOME`; readable by its owner only."""

    root: Path

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> "Home":
        """`$WORKFLOW_HOME`, or `workflow-platform` in the user's data folder."""
        if given := environ.get("WORKFLOW_HOME"):
            return cls(Path(given).expanduser().absolute())
        data = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".local" / "share")
        return cls(Path(data) / "workflow-platform")

    def make(self) -> "Home":
        """Makes the folder with its subfolders. Raises OSError when that is not allowed."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.pulumi, self.state, self.builds, self.logs, self.locks):
            folder.mkdir(exist_ok=True, mode=0o700)
        return self

    @property
    def pulumi(self) -> Path:
        """PULUMI_HOME: the CLI's `bin/` and its `plugins/`."""
        return self.root / "pulumi"

    @property
    def state(self) -> Path:
        """The file backend: what Pulumi knows about each stack, secrets encrypted."""
        return self.root / "state"

    @property
    def passphrase(self) -> Path:
        """The file whose content encrypts the secrets of all stacks on this machine."""
        return self.root / "passphrase"

    @property
    def builds(self) -> Path:
        """Work in progress of slow builds."""
        return self.root / "builds"

    @property
    def logs(self) -> Path:
        """Full output of the commands."""
        return self.root / "logs"

    @property
    def locks(self) -> Path:
        """Files that keep two commands from doing the same thing at a time."""
        return self.root / "locks"

    @property
    def node(self) -> Path:
        """The one-node Kubernetes of this machine, where it runs one."""
        return self.root / "node"

    @property
    def reports(self) -> Path:
        """What was found out about the tree: its tests, its images (policies/view/reports.py has the shapes)."""
        return self.root / "reports"

    def releases(self, stack: str) -> Path:
        """The records of what was released to a stack."""
        return self.root / "releases" / stack

    def drills(self, stack: str) -> Path:
        """The records of restores of a stack's backups."""
        return self.root / "drills" / stack

    def cluster(self, stack: str) -> Path:
        """Which cluster the stack was deployed to."""
        return self.root / "clusters" / stack

    def fingerprint(self, stack: str) -> Path:
        """What the live stack looked like after its last deployment from here."""
        return self.root / "fingerprints" / stack

    @property
    def secret_fingerprints(self) -> Path:
        """Keyed fingerprints of each stack's secrets, by which two stacks with the same secret are told."""
        return self.root / "secret-fingerprints"
