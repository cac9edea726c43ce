"""Small trees of files, and what a rule says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.home import PROJECT_DIR
from policies.engine.judge import judge
from policies.view.deployment import Deployment
from policies.view.project import Project
from policies.view.tree import tree_of
from tests.policies.conftest import profiles, rules_by_name

TIME = "2026-01-02T03:04:05+00:00"
PYPROJECT = '[project]\nname = "x"\nversion = "1.2.3"\n'


def make(
    folder: Path, files: Mapping[str, str], stack: str = "prod", reports: Mapping[str, Any] | None = None
) -> Project:
    """A tree with these files outside of git, and these reports about it."""
    root, written = folder / "tree", folder / "reports"
    for path, text in {"pyproject.toml": PYPROJECT, **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    written.mkdir(exist_ok=True)
    for kind, document in (reports or {}).items():
        (written / f"{kind}.json").write_text(json.dumps(document), encoding="utf-8")
    return Project(root, stack, written)


def report(project: Project, kind: str, document: Any) -> Project:
    """The same tree with one report more."""
    assert project.reports is not None
    (project.reports / f"{kind}.json").write_text(json.dumps(document), encoding="utf-8")
    return Project(project.root, project.stack, project.reports)


def about(project: Project, **fields: Any) -> dict[str, Any]:
    """What a report of exactly this tree begins with."""
    return {"commit": tree_of(project.root).commit, "dirty": False, "time": TIME, **fields}


def said(project: Project, check: str, environment: str = "prod") -> list[str] | None:
    """What a rule says: each finding as `path: what`, with its status unless it fails; None when it does not apply."""
    rule = rules_by_name()[check]
    judged = judge(Deployment(project.stack, [], {}), [rule], profiles(), environment=environment, project=project)
    if rule.item in judged.not_applicable:
        return None
    return [
        f"{'' if each.status == 'fail' else f'{each.status}: '}{each.path}: {each.what}" for each in judged.findings
    ]


def this_tree(stack: str = "prod") -> Project:
    """The tree of this checkout, of which nothing was written down."""
    return Project(PROJECT_DIR, stack, PROJECT_DIR / "nothing-written-down")
