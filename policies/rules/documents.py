"""The page of all settings says what the service's code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.project import Project

ITEM = "env-vars-documented"
MODEL, PAGE = "service/platform/settings.py", "docs/settings.md"
CLASS = "Settings"

REQUIRED, NOTHING, COMPUTED = "required", "none", "computed"

_ROW = re.compile(r"^\|\s*`(?P<name>[A-Z][A-Z0-9_]*)`\s*\|(?P<default>[^|]*)\|(?P<meaning>[^|]*)\|", re.MULTILINE)
"""A row of the page's table: variable, default, meaning."""


def _has_settings(project: Project) -> bool:
    return project.text(MODEL) is not None


@rule(
    ITEM,
    on=Project,
    where=_has_settings,
    wanted="a row for every setting, and no other",
    mend=f"add or remove the row in {PAGE}",
)
def every_setting_has_its_row(project: Project) -> Iterator[Fault]:
    """Who sets up a stack looks here for what can be set; what is missing here is not found."""
    settings, rows = _settings(project), _rows(project)
    for name in sorted(settings.keys() - rows.keys()):
        yield Fault(PAGE, f"the setting {name} is not on the page")
    for name in sorted(rows.keys() - settings.keys()):
        yield Fault(PAGE, f"the service reads no {name}")


@rule(ITEM, on=Project, where=_has_settings, wanted="the default of the code", mend=f"mend the row in {PAGE}")
def every_row_has_the_codes_default(project: Project) -> Iterator[Fault]:
    """A wrong default on the page is a setting that somebody leaves out by mistake."""
    settings, rows = _settings(project), _rows(project)
    for name in sorted(settings.keys() & rows.keys()):
        if rows[name][0] != settings[name]:
            yield Fault(PAGE, f"the default of {name} is not that of the code")


@rule(ITEM, on=Project, where=_has_settings, wanted="a sentence in each row", mend=f"fill in the row in {PAGE}")
def every_row_says_what_the_setting_means(project: Project) -> Iterator[Fault]:
    """A name alone helps only who wrote the code."""
    for name, (_default, meaning) in _rows(project).items():
        if not meaning:
            yield Fault(PAGE, f"the row of {name} has no meaning")


def declared_settings(code: str) -> dict[str, str]:
    """The variables of the model's code with their defaults, as the page has them. The code is read, not run."""
    found = {}
    for each in ast.walk(ast.parse(code)):
        if isinstance(each, ast.ClassDef) and each.name == CLASS:
            for field in each.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    found[field.target.id.upper()] = _default(field.value)
    return found


def _default(given: ast.expr | None) -> str:
    if given is None:
        return REQUIRED
    if isinstance(given, ast.Call):
        if any(each.arg == "default_factory" for each in given.keywords):
            return COMPUTED
        return _default(given.args[0] if given.args else None)
    value = ast.literal_eval(given)
    if value is None or value == ():
        return NOTHING
    text = (
        ",".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )
    return f"`{text}`"


def _settings(project: Project) -> dict[str, str]:
    return declared_settings(project.text(MODEL) or "")


def _rows(project: Project) -> dict[str, tuple[str, str]]:
    rows = _ROW.finditer(project.text(PAGE) or "")
    return {row["name"]: (row["default"].strip(), row["meaning"].strip()) for row in rows}
