"""A copy of this project as it is when it is released, with reports in which everything went well."""

from __future__ import annotations

import compileall
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.home import PROJECT_DIR
from ops.rings import RINGS
from policies.rules.project_builds import COMMIT
from policies.rules.project_migrations import FOLDER as MIGRATIONS
from policies.sources.fingerprints import FOLDER, fingerprint_key
from policies.view.fingerprints import Fingerprints
from policies.view.project import Project
from policies.view.reports import digest_of

PASSPHRASE = "of-a-test"
"""What the states of the copies are encrypted with."""
KEY_OF_ANOTHER_STACK = "Kq7vX2mTz9RbW4sLpY8hNc3dJf6gQaVe5uBk1nHrZw0tDxMy"
"""Long and random, and written down as the key of another stack on the copy's machine."""

TIME = "2026-01-02T03:04:05+00:00"
COPIED = ("stacks", "infra", "policies", "checklist", "ops", "images", "service", "airgap", "docs", "requirements")
"""The folders that judging a stack reads."""
FILES = ("pyproject.toml", "deploy-api.sh", ".gitignore", ".dockerignore")


@dataclass(frozen=True)
class GoodTree:
    """Where the copy is, and the home of its commands, in which the reports lie."""

    root: Path
    home: Path

    @property
    def reports(self) -> Path:
        """The folder of the reports about it."""
        return self.home / "reports"


@contextmanager
def good_tree(folder: Path) -> Iterator[GoodTree]:
    """The copy: dated, committed, tagged. The environment in it is only linked, and must outlive it."""
    tree = GoodTree(folder / "project", folder / "home")
    tree.root.mkdir()
    try:
        _copy(tree.root)
        # Once for all judgements; a mutated file is compiled by each for itself.
        compileall.compile_dir(tree.root, quiet=2, workers=1)
        _release(tree.root)
        tree.reports.mkdir(parents=True, mode=0o700)
        for kind, document in _reports(Project(tree.root, "prod", tree.reports)).items():
            (tree.reports / f"{kind}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        _another_stack(tree.home)
        yield tree
    finally:
        (tree.root / ".venv").unlink(missing_ok=True)
        shutil.rmtree(tree.root)


def _another_stack(home: Path) -> None:
    """The fingerprints that the deployment of one left behind."""
    key = fingerprint_key(PASSPHRASE)
    folder = home / FOLDER
    folder.mkdir(mode=0o700)
    found = [Fingerprints(key, {}).of(KEY_OF_ANOTHER_STACK)]
    (folder / "another.json").write_text(json.dumps({"fingerprints": found}), encoding="utf-8")


def _copy(root: Path) -> None:
    for name in COPIED:
        shutil.copytree(PROJECT_DIR / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for pattern in ("Pulumi*.yaml", "*.py", "*.md", *FILES):
        for path in PROJECT_DIR.glob(pattern):
            if not path.name.startswith("Pulumi.test-"):
                shutil.copy(path, root)
    (root / ".venv").symlink_to(sys.prefix)


def _release(root: Path) -> None:
    """What a person does before a release: the date of the version, a look at the contacts, a commit, its tag."""
    project = Project(root, "prod")
    notes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    (root / "CHANGELOG.md").write_text(
        notes.replace(f"## {project.version} - not released yet\n", f"## {project.version} - {TIME[:10]}\n"),
        encoding="utf-8",
    )
    production = root / "Pulumi.prod.yaml"
    looked_at = f'reviewed: "{datetime.now(UTC).date()}"'
    production.write_text(
        re.sub(r'reviewed: "[0-9-]+"', looked_at, production.read_text(encoding="utf-8")), encoding="utf-8"
    )
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / ".git/info/exclude").write_text(".venv\n", encoding="utf-8")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=a release")
    git(root, "tag", f"v{project.version}")


def git(root: Path, *words: str) -> None:
    """A command of git in the copy, by nobody in particular and whatever this machine's user has set."""
    who = ("-c", "user.name=test", "-c", "user.email=test@test.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True, timeout=60)


def _reports(project: Project) -> dict[str, Any]:
    """Of each kind one in which everything went well (policies/view/reports.py has the shapes)."""
    commit = project.tree.commit
    assert COMMIT.match(commit), commit
    header = {"commit": commit, "dirty": False, "time": TIME}
    none = {"critical": 0, "high": 0}
    ours = {name: reference for name, reference in project.image_references.items() if reference}
    image = {"imageId": "sha256:0", "sizeBytes": 10**8, "revision": commit, "version": project.version}
    approvals = [("code-review", commit), ("vulnerability-assessment", commit)]
    for path in project.files(f"{MIGRATIONS}/*.py"):
        digest = digest_of(path.read_text(encoding="utf-8"))
        approvals += [(kind, digest) for kind in ("migration", "migration-impact", "data-migration")]
    return {
        "tests": {"rings": {ring.name: {**header, "passed": True, "seconds": 1.0, "why": ""} for ring in RINGS}},
        "images": {
            "images": {
                name: {**image, "reference": reference, "warnings": [], "time": TIME}
                for name, reference in ours.items()
            }
        },
        "coverage": {**header, "percent": 90.5},
        "scan": {**header, "code": none, "dependencies": none, "images": dict.fromkeys(ours.values(), none)},
        "approvals": {
            "approvals": [
                {"kind": kind, "of": of, "by": "a reviewer", "author": "an author", "time": TIME}
                for kind, of in approvals
            ]
        },
        "preview": {"stack": project.stack, "time": TIME, "changes": []},
        "state": {"version": 3, "deployment": {"secrets_providers": {"type": "passphrase"}, "resources": []}},
    }
