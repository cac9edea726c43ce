"""A small checkout, and what the rules about a project's files say of it."""

from __future__ import annotations

from pathlib import Path

from policies.engine.findings import Finding
from policies.engine.judge import judge
from policies.view.deployment import Deployment
from policies.view.project import Project
from tests.policies.conftest import profiles, rules_by_name


class Tree:
    """Files to write and a question to ask."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        """Makes a file, and the folders above it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def found(self, name: str, stack: str = "prod") -> list[Finding]:
        """What one rule says."""
        project = Project(self.root, stack)
        return judge(Deployment(stack, []), [rules_by_name()[name]], profiles(), project=project).findings
