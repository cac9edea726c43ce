"""The Python environment that a program or policy pack runs in, and what is installed there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LIST_SECONDS = 60
_MENTION = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


class EnvironmentProblem(Exception):  # noqa: N818 - a message for people, not a fault of the program
    """The environment that the project names cannot be used; the text says how to make it."""


@dataclass(frozen=True)
class Environment:
    """One interpreter, and the virtual environment that it belongs to (None: the one that this process runs under)."""

    python: Path
    folder: Path | None

    def variables(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The process environment for a child in it."""
        variables = {**os.environ, **(extra or {})}
        if self.folder is not None:
            variables.pop("PYTHONHOME", None)
            variables["VIRTUAL_ENV"] = str(self.folder)
            variables["PATH"] = f"{self.python.parent}{os.pathsep}{variables.get('PATH', '')}"
        return variables

    def site_packages(self) -> list[Path]:
        """Where its packages are, without starting it."""
        base = self.folder or Path(sys.prefix)
        return sorted(base.glob("lib/python3*/site-packages"))


def of_project(info: Any) -> Environment:
    """The environment named by the runtime option `virtualenv`, relative to the project's folder; else our own.

    Raises EnvironmentProblem when there is none at the named place.
    """
    named = options(info).get("virtualenv")
    if not named:
        return Environment(Path(sys.executable), None)
    folder = Path(info.root_directory, str(named))
    python = folder / "bin" / "python"
    if not python.is_file():
        raise EnvironmentProblem(
            f"The 'virtualenv' option is set to {str(named)!r}, but there is no virtual environment at {folder}. "
            f"Make it with: python3 -m venv {folder} && {folder}/bin/python -m pip install -r requirements.txt"
        )
    return Environment(python, folder)


def options(info: Any) -> dict[str, Any]:
    """The runtime options of a project or policy pack."""
    return {
        key: value.string_value
        for key, value in info.options.fields.items()
        if value.WhichOneof("kind") == "string_value"
    }


def resource_plugins(environment: Environment, home: Path) -> Iterator[tuple[str, str]]:
    """Name and version of the provider plugins that installed SDKs ask for, as far as they are in `home/plugins`.

    The engine downloads at once what is named here and not there, for every installed SDK, used or not. One that is not
    named is looked for when a program first makes a resource of it.
    """
    for folder in environment.site_packages():
        for description in folder.glob("*/pulumi-plugin.json"):
            try:
                wanted = json.loads(description.read_text())
            except (OSError, ValueError):
                continue
            name = wanted.get("name") or description.parent.name.removeprefix("pulumi_").replace("_", "-")
            version = str(wanted.get("version") or "").removeprefix("v")
            if wanted.get("resource") and version and (home / "plugins" / f"resource-{name}-v{version}").is_dir():
                yield name, version


def installed(environment: Environment) -> list[tuple[str, str]]:
    """Name and version of every installed distribution, in alphabetical order."""
    import importlib.metadata as metadata

    places = [str(folder) for folder in environment.site_packages()]
    found = {
        item.metadata["Name"]: item.version for item in metadata.distributions(path=places) if item.metadata["Name"]
    }
    return sorted(found.items(), key=lambda pair: pair[0].lower())


def mentioned(project: Path) -> set[str] | None:
    """The distributions that the project's requirements.txt names, in lower case; None when there is no such file."""
    try:
        lines = (project / "requirements.txt").read_text().splitlines()
    except OSError:
        return None
    found = (_MENTION.match(line) for line in lines if not line.lstrip().startswith("#"))
    return {match[1].lower().replace("_", "-") for match in found if match}


def version_of(environment: Environment) -> str:
    """The interpreter's version, e.g. `3.11.2`."""
    command = [str(environment.python), "-c", "import platform; print(platform.python_version())"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIST_SECONDS, check=False)
    return done.stdout.strip()
